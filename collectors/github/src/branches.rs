//! Reading one repository: its branches that are tested, and what protects each.
//!
//! What GitHub says is not there is told apart from what it refuses: a branch or repository that went while it was read
//! is left out, and what could not be read is said.

use std::sync::OnceLock;

use evidenced_collector_api::{Call, FailureClass, Recording, Run};

use crate::ask::{Answer, Question};
use crate::bypass::{self, Actor};
use crate::calls;
use crate::client::{Client, Refusal};
use crate::layers::{Layers, Said};
use crate::scope::Repository;
use crate::settings::Settings;

/// What was read of a repository, with the calls in the order in which they were made.
#[derive(Default)]
pub(crate) struct Read {
    answers: Vec<(Call, Vec<Vec<u8>>)>,
    pub(crate) branches: Vec<Branch>,
    /// Why something that is to be tested was not read.
    pub(crate) missing: Vec<String>,
    /// Whether the repository, or one of its branches, went while it was read.
    pub(crate) gone: bool,
}

/// A branch and what protects it.
pub(crate) struct Branch {
    /// `owner/name`.
    pub(crate) repository: String,
    pub(crate) name: String,
    pub(crate) default: bool,
    pub(crate) layers: Layers,
    /// Lines of CODEOWNERS that GitHub does not accept, or none without such a file; read where it is asked for.
    pub(crate) code_owners_errors: Option<Said<Option<u64>>>,
    /// The calls that this comes from, by position.
    pub(crate) calls: Vec<usize>,
}

/// Reads repositories at one owner, until the limit or the time ends the run.
pub(crate) struct Reader<'a> {
    pub(crate) run: &'a Run<'a>,
    pub(crate) client: &'a Client,
    pub(crate) settings: &'a Settings<secrecy::SecretString>,
    /// Why nothing more is asked in this run.
    pub(crate) over: OnceLock<String>,
}

impl Read {
    /// Puts the calls on record, and returns their positions there, at which the branches then point.
    pub(crate) fn record(&mut self, recording: &mut Recording) -> Vec<usize> {
        let positions: Vec<_> = std::mem::take(&mut self.answers)
            .into_iter()
            .map(|(call, bodies)| recording.add(call, bodies))
            .collect();
        for call in self.branches.iter_mut().flat_map(|branch| &mut branch.calls) {
            *call = positions[*call];
        }
        positions
    }

    fn take<T>(&mut self, answer: Answer<T>) -> (usize, Result<T, Refusal>) {
        self.answers.push((answer.call, answer.bodies));
        (self.answers.len() - 1, answer.result)
    }
}

impl Reader<'_> {
    /// Reads a repository.
    pub(crate) async fn repository(&self, repository: &Repository) -> Read {
        let mut read = Read::default();
        let Some(default) = &repository.default_branch else {
            let reason = "the listing does not name a repository's default branch";
            read.missing.push(reason.to_owned());
            return read;
        };
        let mut names = vec![default.clone()];
        let mut listed = None;
        if !self.settings.branches.is_empty() && !self.is_over(&mut read) {
            match self.list(repository, &mut read).await {
                Ok(there) if there.is_empty() => return read,
                Ok(there) => {
                    let others = there.iter().filter(|name| *name != default);
                    names.extend(others.filter(|name| self.settings.selects_branch(name)).cloned());
                    names[1..].sort();
                    listed = Some(there);
                }
                // Whether it is there at all is seen below.
                Err(refusal) if refusal.says("Not Found") => {}
                Err(refusal) => read.missing.push(refusal.reason),
            }
        }
        for name in names {
            self.branch(repository, &name, listed.as_deref(), &mut read).await;
        }
        read
    }

    /// Reads what protects a branch. `listed` are the repository's branches, where they were asked for.
    async fn branch(&self, repository: &Repository, name: &str, listed: Option<&[String]>, read: &mut Read) {
        if self.is_over(read) {
            return;
        }
        let (owner, repo) = repository.parts();
        let parts = [("owner", owner), ("repo", repo), ("branch", name)];
        let mut layers = Layers::default();
        let question = Question::new(&calls::PROTECTION, &parts);
        let (call, classic) = read.take(self.client.one(self.run, &question).await);
        let mut calls = vec![call];
        let known = match classic {
            Ok(rule) => layers.classic(Ok(Some(&rule))),
            Err(refusal) if refusal.says("Branch not protected") => layers.classic(Ok(None)),
            Err(refusal) if refusal.says("Branch not found") => {
                self.absent(repository, name, listed, read).await;
                return;
            }
            Err(refusal) if self.ended_by(&refusal) || moved(&refusal) => {
                read.missing.push(refusal.reason);
                return;
            }
            Err(refusal) => layers.classic(Err(unknown_classic(&refusal))),
        };
        let question = Question::new(&calls::RULES, &parts);
        let (call, rules) = read.take(self.client.all(self.run, question, None, |_| false).await);
        calls.push(call);
        let (rules, cut) = match rules {
            Ok(listed) => (listed.items, listed.cut),
            Err(refusal) => (Vec::new(), Some(refusal)),
        };
        let ended = cut.as_ref().is_some_and(|refusal| self.ended_by(refusal));
        if ended && !known {
            read.missing.extend(cut.map(|refusal| refusal.reason));
            return;
        }
        layers.rules(&rules, cut.as_ref().map(unknown_rules));
        let seen = listed.is_some_and(|listed| listed.iter().any(|each| each == name));
        let certain = known || (seen && cut.is_none());
        // The rules are answered for any name: they do not say whether there is such a branch.
        if !certain && !self.stands(repository, name, cut, read).await {
            return;
        }
        let code_owners_errors = match layers.code_owners() {
            Ok(true) => Some(self.code_owners(&parts, read, &mut calls).await),
            _ => None,
        };
        read.branches.push(Branch {
            repository: repository.full_name.clone(),
            name: name.to_owned(),
            default: repository.default_branch.as_deref() == Some(name),
            layers,
            code_owners_errors,
            calls,
        });
    }

    /// Whether a branch is there whose classic protection may not be read; where it is not, that is noted. `rules` says
    /// why its rules were not read either.
    async fn stands(
        &self,
        repository: &Repository,
        name: &str,
        rules: Option<Refusal>,
        read: &mut Read,
    ) -> bool {
        let (owner, repo) = repository.parts();
        let question = Question::new(
            &calls::BRANCH,
            &[("owner", owner), ("repo", repo), ("branch", name)],
        );
        let (_, branch) = read.take(self.client.one(self.run, &question).await);
        let Err(refusal) = branch else { return true };
        self.ended_by(&refusal);
        let not_found = refusal.says("Not Found");
        match rules {
            _ if refusal.says("Branch not found") => self.absent(repository, name, None, read).await,
            // Three times not found: the repository went.
            Some(rules) if not_found && rules.says("Not Found") => read.gone = true,
            Some(rules) if not_found => read.missing.push(rules.reason),
            _ if moved(&refusal) => read.missing.push(refusal.reason),
            _ => return true,
        }
        false
    }

    /// Notes why a branch is not there: it went, or it never was, as in an empty repository.
    async fn absent(&self, repository: &Repository, name: &str, listed: Option<&[String]>, read: &mut Read) {
        let others = match listed {
            Some(listed) => Ok(!listed.is_empty()),
            None => self.list(repository, read).await.map(|listed| !listed.is_empty()),
        };
        let default = repository.default_branch.as_deref() == Some(name);
        match others {
            Ok(false) => {}
            // It has another one now, which was not read.
            Ok(true) if default => {
                let reason = "a default branch was not there any more when it was to be read";
                read.missing.push(reason.to_owned());
            }
            Ok(true) => read.gone = true,
            Err(refusal) if refusal.says("Not Found") => read.gone = true,
            Err(refusal) => read.missing.push(refusal.reason),
        }
    }

    /// The names of all branches, `GET /repos/{owner}/{repo}/branches`; notes where they may be more.
    async fn list(&self, repository: &Repository, read: &mut Read) -> Result<Vec<String>, Refusal> {
        let (owner, repo) = repository.parts();
        let question = Question::new(&calls::BRANCHES, &[("owner", owner), ("repo", repo)]);
        let (_, listed) = read.take(self.client.all(self.run, question, None, |_| false).await);
        let listed = listed.inspect_err(|refusal| {
            self.ended_by(refusal);
        })?;
        if let Some(cut) = listed.cut {
            self.ended_by(&cut);
            read.missing.push(cut.reason);
        }
        let names = listed
            .items
            .iter()
            .map(|branch| branch["name"].as_str().map(str::to_owned));
        names.collect::<Option<_>>().ok_or_else(|| {
            let reason = "a listing of branches holds one without a name";
            Refusal::new(FailureClass::InvalidResponse, reason)
        })
    }

    /// How many lines of CODEOWNERS GitHub does not accept, `GET /repos/{owner}/{repo}/codeowners/errors`.
    async fn code_owners(
        &self,
        parts: &[(&'static str, &str); 3],
        read: &mut Read,
        calls: &mut Vec<usize>,
    ) -> Said<Option<u64>> {
        if let Some(reason) = self.over.get() {
            return Err(reason.clone());
        }
        let [owner, repo, (_, branch)] = *parts;
        let question = Question::new(&calls::CODEOWNERS_ERRORS, &[owner, repo]).with("ref", branch);
        let (call, errors) = read.take(self.client.one(self.run, &question).await);
        calls.push(call);
        match errors {
            Ok(said) => {
                let errors = said["errors"].as_array();
                let count = errors.map(|errors| Some(errors.len() as u64));
                count.ok_or_else(|| "GitHub does not say which lines of CODEOWNERS are wrong".to_owned())
            }
            Err(refusal) if refusal.says("Not Found") => Ok(None),
            Err(refusal) => {
                self.ended_by(&refusal);
                Err(refusal.reason)
            }
        }
    }

    /// Who bypasses a ruleset, `GET /repos/{owner}/{repo}/rulesets/{ruleset_id}`, asked by way of the first of these
    /// repositories that is still there.
    pub(crate) async fn ruleset(&self, id: u64, repositories: &[Repository]) -> (Read, Said<Vec<Actor>>) {
        let mut read = Read::default();
        let mut said = Err("no repository is left by which to ask".to_owned());
        for repository in repositories {
            if let Some(reason) = self.over.get() {
                return (read, Err(reason.clone()));
            }
            let (owner, repo) = repository.parts();
            let number = id.to_string();
            let parts = [("owner", owner), ("repo", repo), ("ruleset_id", &number)];
            let question = Question::new(&calls::RULESET, &parts);
            let (_, ruleset) = read.take(self.client.one(self.run, &question).await);
            said = match ruleset {
                Ok(ruleset) => return (read, bypass::of_ruleset(&ruleset)),
                Err(refusal) => {
                    let again = refusal.status == Some(404);
                    self.ended_by(&refusal);
                    if !again {
                        return (read, Err(refusal.reason));
                    }
                    Err(refusal.reason)
                }
            };
        }
        (read, said)
    }

    /// Whether nothing more is asked in this run, which is then noted as missing.
    fn is_over(&self, read: &mut Read) -> bool {
        let reason = self.over.get();
        read.missing.extend(reason.cloned());
        reason.is_some()
    }

    /// Notes whether a refusal ends the run.
    fn ended_by(&self, refusal: &Refusal) -> bool {
        let ended = refusal.ends(self.run);
        if ended {
            self.over.get_or_init(|| refusal.reason.clone());
        }
        ended
    }
}

fn moved(refusal: &Refusal) -> bool {
    matches!(refusal.status, Some(301 | 302 | 307 | 308))
}

fn unknown_classic(refusal: &Refusal) -> String {
    let why = match refusal.status {
        Some(403) if for_money(refusal) => "the owner's plan has none for private repositories (403)",
        Some(403) => "reading it was refused (403)",
        Some(404) => "GitHub shows it to administrators of the repository only (404)",
        _ => &refusal.reason,
    };
    format!("classic protection is not known: {why}")
}

fn unknown_rules(refusal: &Refusal) -> String {
    let why = match refusal.status {
        Some(403) if for_money(refusal) => "the owner's plan has none for private repositories (403)",
        Some(403) => "reading them was refused (403)",
        _ => &refusal.reason,
    };
    format!("the rules of rulesets are not all known: {why}")
}

/// `Upgrade to GitHub Pro or make this repository public to enable this feature.`
pub(crate) fn for_money(refusal: &Refusal) -> bool {
    refusal.status == Some(403)
        && refusal
            .message
            .as_deref()
            .is_some_and(|message| message.starts_with("Upgrade to "))
}
