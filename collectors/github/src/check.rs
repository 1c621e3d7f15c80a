//! Trying what the collectors need, so that a missing permission is named before anything is collected.

use std::sync::Arc;

use evidenced_collector_api::{Recording, Run};

use crate::access::{Access, Identity};
use crate::ask::Question;
use crate::branches::for_money;
use crate::calls::{self, Route};
use crate::client::Refusal;
use crate::scope::Repository;
use crate::trial::{self, Fared, Trial};

/// What was tried, and how it went or what to do.
type Tried = Vec<(String, Result<String, String>)>;

/// So many repositories are tried for one that has a pull request.
const WITH_PULL_REQUEST: usize = 5;

/// Whether each owner can be listed, and whether all of its repositories are seen.
pub(crate) async fn listings(access: &Access, run: &Run<'_>) -> Tried {
    populations(access, run).await.0
}

/// The same, and for each owner whether one of its repositories lets its branches' protection be read.
pub(crate) async fn protection(access: &Access, run: &Run<'_>) -> Tried {
    let (mut tried, owners) = populations(access, run).await;
    for (owner, identity, repositories) in owners {
        match candidates(access, &repositories).first() {
            Some(repository) => tried.extend(permissions(run, &identity, repository, PROTECTION).await),
            None => tried.push(nothing_tested("branches", &owner)),
        }
    }
    tried
}

/// The same, and for each owner whether one of its repositories lets be read what was merged and pushed.
pub(crate) async fn changes(access: &Access, run: &Run<'_>) -> Tried {
    let (mut tried, owners) = populations(access, run).await;
    for (owner, identity, repositories) in owners {
        let candidates = candidates(access, &repositories);
        let Some(repository) = candidates.first() else {
            tried.push(nothing_tested("pull requests", &owner));
            continue;
        };
        tried.extend(permissions(run, &identity, repository, CHANGES).await);
        if access.settings.rule_suites {
            tried.extend(permissions(run, &identity, repository, BYPASSES).await);
        }
        tried.extend(by_graphql(run, &identity, &candidates).await);
    }
    tried
}

/// The repositories that are tested, those first that not everybody may read.
fn candidates<'a>(access: &Access, repositories: &'a [Repository]) -> Vec<&'a Repository> {
    let tested = repositories.iter().filter(|repository| access.tests(repository));
    let (mut closed, open): (Vec<_>, Vec<_>) =
        tested.partition(|repository| repository.visibility != "public");
    closed.extend(open);
    closed
}

fn nothing_tested(what: &str, owner: &str) -> (String, Result<String, String>) {
    let advice = "no repository is tested: let `repositories` name some that are not archived";
    (format!("{what} of {owner}"), Err(advice.to_owned()))
}

/// Tries each permission on one repository.
async fn permissions(
    run: &Run<'_>,
    identity: &Identity,
    repository: &Repository,
    trials: &[(&Route, &str, &str)],
) -> Tried {
    let (owner, repo) = repository.parts();
    let branch = repository.default_branch.as_deref().unwrap_or("main");
    let mut tried = Vec::new();
    for (route, means, what) in trials {
        let question = Question::new(route, &[("owner", owner), ("repo", repo), ("branch", branch)]);
        let result = match identity.client.one(run, &question).await.result {
            Ok(_) => Ok("readable".to_owned()),
            Err(refusal) if refusal.says("Branch not protected") => Ok("readable: there is none".to_owned()),
            Err(refusal) if refusal.says("Branch not found") => {
                Ok("readable: there is no such branch".to_owned())
            }
            Err(refusal) => Err(advice(&refusal, means)),
        };
        tried.push((format!("{what} of {}:{branch}", repository.full_name), result));
    }
    tried
}

/// Tries the permissions that GraphQL takes, on the first repository that has something to try them on.
async fn by_graphql(run: &Run<'_>, identity: &Identity, candidates: &[&Repository]) -> Tried {
    let mut tried = Vec::new();
    for repository in candidates.iter().take(WITH_PULL_REQUEST) {
        let (owner, name) = repository.parts();
        let answer = identity.client.graphql(run, &trial::query(owner, name)).await;
        let refused = |reason: String| (format!("pull requests of {}", repository.full_name), Err(reason));
        let trial = match answer.result.map(|answer| Trial::read(&answer)) {
            Ok(Some(trial)) => trial,
            Ok(None) => {
                let reason = "GitHub says nothing of the repository";
                return vec![refused(format!("{reason}; {PULL_REQUESTS_MEANS}"))];
            }
            Err(refusal) => return vec![refused(advice(&refusal, PULL_REQUESTS_MEANS))],
        };
        let done = trial.pull_requests != Fared::Untried;
        tried = [
            (
                "pull requests and reviews",
                trial.pull_requests,
                PULL_REQUESTS_MEANS,
            ),
            ("check suites and check runs", trial.checks, CHECKS_MEANS),
            ("commit statuses", trial.statuses, STATUSES_MEANS),
        ]
        .map(|(what, fared, means)| {
            let result = match fared {
                Fared::Given => Ok("readable".to_owned()),
                Fared::Untried => Ok("not tried: there is nothing yet to try it on".to_owned()),
                Fared::Missing => Err(format!("reading it was refused; {means}")),
            };
            (format!("{what} of {}", repository.full_name), result)
        })
        .to_vec();
        if done {
            break;
        }
    }
    tried
}

const ADMINISTRATION_MEANS: &str = "give the fine-grained token or App the repository permission Administration: read; a classic token needs the scope repo and a user who administers the repository";
const CHECKS_MEANS: &str = "give the App the repository permission Checks: read; a fine-grained token can't have it, and what was checked stays unknown";
const CONTENTS_MEANS: &str = "give the fine-grained token or App the repository permission Contents: read; a classic token needs the scope repo";
const METADATA_MEANS: &str = "give the fine-grained token or App the repository permission Metadata: read; a classic token needs the scope repo";
const PULL_REQUESTS_MEANS: &str = "give the fine-grained token or App the repository permission Pull requests: read; a classic token needs the scope repo";
const STATUSES_MEANS: &str = "give the fine-grained token or App the repository permission Commit statuses: read; a classic token needs the scope repo";
const RULE_SUITES_MEANS: &str = "give the fine-grained token or App the repository permission Administration: read; a classic token needs the scope repo and a user who administers the repository; a server that wants the right to write for it can't be asked: set rule_suites = false";

/// Routes, what to give to be allowed to ask them, and what they tell: of protection.
const PROTECTION: &[(&Route, &str, &str)] = &[
    (&calls::PROTECTION, ADMINISTRATION_MEANS, "classic protection"),
    (&calls::RULES, METADATA_MEANS, "rules of rulesets"),
    (&calls::BRANCH, CONTENTS_MEANS, "the branch"),
];

/// Of what was merged and pushed.
const CHANGES: &[(&Route, &str, &str)] = &[
    (&calls::BRANCH, CONTENTS_MEANS, "the branch"),
    (&calls::ACTIVITY, CONTENTS_MEANS, "the activity log"),
];

/// Of who went past the rules.
const BYPASSES: &[(&Route, &str, &str)] = &[(&calls::RULE_SUITES, RULE_SUITES_MEANS, "bypassed rules")];

fn advice(refusal: &Refusal, means: &str) -> String {
    let reason = &refusal.reason;
    match refusal.status {
        _ if for_money(refusal) => {
            format!(
                "{reason}: the owner's plan protects no private repositories; change the plan, or exclude them with a reason"
            )
        }
        Some(403 | 404) => format!("{reason}; {means}"),
        _ => reason.clone(),
    }
}

/// Lists each owner; those that can be listed are returned with who asked and what there is.
async fn populations(
    access: &Access,
    run: &Run<'_>,
) -> (Tried, Vec<(String, Arc<Identity>, Vec<Repository>)>) {
    let (mut tried, mut owners) = (Vec::new(), Vec::new());
    for owner in &access.settings.owners {
        let what = format!("repositories of {}", owner.0);
        let identity = match access.identity(run, &owner.0).await {
            Ok(identity) => identity,
            Err(error) => {
                tried.push((what, Err(error.to_string())));
                continue;
            }
        };
        let mut recording = Recording::default();
        let found = access.population(run, &identity, &owner.0, &mut recording).await;
        let said = match &found {
            Ok(population) if population.completeness.complete => {
                Ok(format!("{}, all of them", population.repositories.len()))
            }
            Ok(population) => Err(format!(
                "{} are seen, and perhaps not all: {}; let the token or App see all repositories",
                population.repositories.len(),
                population.completeness.basis
            )),
            Err(error) => Err(error.to_string()),
        };
        tried.push((what, said));
        owners.extend(found.map(|population| (owner.0.clone(), identity, population.repositories)));
    }
    (tried, owners)
}
