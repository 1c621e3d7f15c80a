//! Which repositories an owner has, how we know that these are all, and which of them are tested.

use serde_json::Value;

use evidenced_collector_api::{CollectError, Completeness, Recording, Run, Target};

use crate::access::{Access, Identity};
use crate::ask::{Listed, Question};
use crate::calls;
use crate::client::Refusal;

/// A repository, as listings have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Repository {
    /// `owner/name`.
    pub(crate) full_name: String,
    pub(crate) visibility: String,
    pub(crate) archived: bool,
    pub(crate) fork: bool,
    pub(crate) default_branch: Option<String>,
}

/// An owner's repositories.
pub(crate) struct Population {
    /// By name.
    pub(crate) repositories: Vec<Repository>,
    pub(crate) completeness: Completeness,
    /// Why the listing does not go on, if it was cut short.
    pub(crate) cut: Option<Refusal>,
    /// What GitHub says of the owner, or why it says nothing.
    pub(crate) owner: Result<Value, Refusal>,
    /// The calls that the owner and the repositories come from.
    pub(crate) calls: (usize, usize),
}

impl Repository {
    fn read(item: &Value) -> Option<Self> {
        let private = item["private"].as_bool()?;
        let visibility = item["visibility"]
            .as_str()
            .unwrap_or(if private { "private" } else { "public" });
        Some(Self {
            full_name: item["full_name"].as_str()?.to_owned(),
            visibility: visibility.to_owned(),
            archived: item["archived"].as_bool()?,
            fork: item["fork"].as_bool()?,
            default_branch: item["default_branch"].as_str().map(str::to_owned),
        })
    }

    /// The owner and the name.
    pub(crate) fn parts(&self) -> (&str, &str) {
        self.full_name.split_once('/').unwrap_or(("", &self.full_name))
    }
}

impl Access {
    /// The owners, as targets.
    pub(crate) fn owners(&self) -> Result<Vec<Target>, CollectError> {
        let mut owners: Vec<_> = self.settings.owners.iter().map(|owner| owner.0.clone()).collect();
        owners.sort();
        owners.dedup();
        owners.into_iter().map(Target::new).collect()
    }

    /// Whether a repository is tested: selected, not left out, and not archived.
    pub(crate) fn tests(&self, repository: &Repository) -> bool {
        let name = &repository.full_name;
        !repository.archived && self.settings.selects(name) && self.settings.exclusion(name).is_none()
    }

    /// Lists an owner's repositories and counts them a second time.
    pub(crate) async fn population(
        &self,
        run: &Run<'_>,
        identity: &Identity,
        owner: &str,
        recording: &mut Recording,
    ) -> Result<Population, CollectError> {
        let client = &identity.client;
        let organization = Question::new(&calls::ORGANIZATION, &[("org", owner)]);
        let (mut owner_call, mut account) = client.one(run, &organization).await.record(recording);
        let (mut is_user, mut own) = (false, false);
        if account.as_ref().is_err_and(|refusal| refusal.status == Some(404)) {
            own = identity
                .login
                .as_deref()
                .is_some_and(|login| login.eq_ignore_ascii_case(owner));
            let user = if own {
                Question::new(&calls::USER, &[])
            } else {
                Question::new(&calls::ACCOUNT, &[("username", owner)])
            };
            is_user = true;
            (owner_call, account) = client.one(run, &user).await.record(recording);
        }
        let by_app = identity.selection.is_some();
        let (question, within) = match (by_app, is_user, own) {
            (true, ..) => (
                Question::new(&calls::INSTALLATION_REPOSITORIES, &[]),
                Some("repositories"),
            ),
            (_, false, _) => {
                let question = Question::new(&calls::ORGANIZATION_REPOSITORIES, &[("org", owner)]);
                (question.with("type", "all"), None)
            }
            (_, true, true) => (
                Question::new(&calls::OWN_REPOSITORIES, &[]).with("affiliation", "owner"),
                None,
            ),
            (_, true, false) => {
                let question = Question::new(&calls::ACCOUNT_REPOSITORIES, &[("username", owner)]);
                (question.with("type", "owner"), None)
            }
        };
        let mut head = Value::Null;
        let listed = client
            .all(run, question, within, |page| {
                if head.is_null() {
                    head = page.clone();
                }
                false
            })
            .await;
        let (call, listed) = listed.record(recording);
        let listed = listed?;
        let mut repositories: Vec<_> = listed.items.iter().filter_map(Repository::read).collect();
        let unread = listed.items.len() - repositories.len();
        // Page by page, one that moved between two pages comes twice.
        repositories.sort_by(|a, b| a.full_name.cmp(&b.full_name));
        repositories.dedup_by(|a, b| a.full_name == b.full_name);
        let counted = if by_app {
            counted_by_app(identity, &head)
        } else {
            counted_by_account(account.as_ref(), is_user && !own)
        };
        let completeness = completeness(&repositories, unread, &listed, &counted);
        Ok(Population {
            repositories,
            completeness,
            cut: listed.cut,
            owner: account,
            calls: (owner_call, call),
        })
    }
}

/// A second count: how many there are and who says so, or why nobody does.
type Counted = Result<(u64, &'static str), String>;

fn counted_by_app(identity: &Identity, head: &Value) -> Counted {
    // Who asks was found out before, and an installation can be narrowed since: the listing says how it is now.
    let now = head["repository_selection"].as_str();
    if identity.selection.as_deref() != Some("all") || now.is_some_and(|now| now != "all") {
        let why = "the App is installed on selected repositories only: GitHub leaves the others out";
        return Err(why.to_owned());
    }
    let total = head["total_count"].as_u64();
    total
        .map(|total| {
            (
                total,
                "total_count of the installation, which is on all repositories",
            )
        })
        .ok_or_else(|| "the installation does not say how many repositories there are".to_owned())
}

fn counted_by_account(account: Result<&Value, &Refusal>, of_another: bool) -> Counted {
    let account = account.map_err(|refusal| refusal.reason.clone())?;
    let public = account["public_repos"].as_u64();
    let private = account["total_private_repos"].as_u64();
    if of_another {
        let why = "the owner is a user other than the token's: private repositories are not listed";
        return Err(why.to_owned());
    }
    match public.zip(private) {
        Some((public, private)) => Ok((
            public + private,
            "public_repos and total_private_repos of the owner",
        )),
        None => Err("the token may not see how many private repositories the owner has".to_owned()),
    }
}

fn completeness(
    repositories: &[Repository],
    unread: usize,
    listed: &Listed,
    counted: &Counted,
) -> Completeness {
    let read = repositories.len() as u64;
    let (expected, second_source) = match counted {
        Ok((expected, source)) => (Some(*expected), Some((*source).to_owned())),
        Err(_) => (None, None),
    };
    let against = match (&listed.cut, unread, counted) {
        (Some(refusal), ..) => Some(refusal.reason.clone()),
        (None, 1.., _) => Some("the listing holds items that are no repositories".to_owned()),
        (None, 0, Err(why)) => Some(why.clone()),
        (None, 0, Ok((expected, source))) if *expected != read => {
            Some(format!("the listing and {source} differ"))
        }
        _ => None,
    };
    Completeness {
        complete: against.is_none(),
        basis: against
            .unwrap_or_else(|| "every page of the listing, and the owner's own count agrees".to_owned()),
        expected,
        read,
        second_source,
    }
}
