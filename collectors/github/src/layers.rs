//! What each layer of a branch's protection asks for: its classic rule, and every ruleset that is in force on it. Pure.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

use crate::bypass::{self, Actor};

/// A fact, or why it is not known.
pub(crate) type Said<T> = Result<T, String>;

/// Where settings come from, written `classic` or `ruleset 42 of acme`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    Classic,
    Ruleset { id: Option<u64>, of: String },
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Classic => f.write_str("classic"),
            Self::Ruleset { id: Some(id), of } => write!(f, "ruleset {id} of {of}"),
            Self::Ruleset { id: None, of } => write!(f, "a ruleset of {of}"),
        }
    }
}

/// What one source asks for.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) source: Source,
    /// Empty: no pull request is asked for.
    pub(crate) reviews: Vec<Reviews>,
    pub(crate) checks: Vec<Checks>,
    pub(crate) signatures: Said<bool>,
    pub(crate) linear_history: Said<bool>,
    pub(crate) conversations: Said<bool>,
    pub(crate) no_force_pushes: Said<bool>,
    pub(crate) no_deletions: Said<bool>,
    pub(crate) merge_queue: Said<bool>,
    /// Who need not keep a classic rule on reviews; a ruleset says so elsewhere.
    pub(crate) bypass: Option<Said<Vec<Actor>>>,
}

/// What is asked for before a merge, by people.
#[derive(Debug)]
pub(crate) struct Reviews {
    pub(crate) approvals: Said<u64>,
    pub(crate) dismiss_stale: Said<bool>,
    pub(crate) last_push: Said<bool>,
    pub(crate) code_owners: Said<bool>,
}

/// What is asked for before a merge, by machines.
#[derive(Debug)]
pub(crate) struct Checks {
    pub(crate) names: Said<BTreeSet<String>>,
    pub(crate) strict: Said<bool>,
}

/// All layers of a branch, as far as they could be read.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    pub(crate) read: Vec<Layer>,
    /// Why there may be more.
    pub(crate) unread: Vec<String>,
}

impl Layers {
    /// Adds a branch's classic rule, `GET /repos/{owner}/{repo}/branches/{branch}/protection`: `None` where GitHub says
    /// that there is none. Returns whether it is known now.
    pub(crate) fn classic(&mut self, said: Said<Option<&Value>>) -> bool {
        match said {
            Ok(None) => return true,
            // What is left out is not asked for, so that an answer without anything must not be taken for a rule.
            Ok(Some(rule)) if rule.get("enforce_admins").is_some() => {
                self.read.push(classic(rule));
                return true;
            }
            Ok(Some(_)) => self.unread.push(odd("classic protection")),
            Err(reason) => self.unread.push(reason),
        }
        false
    }

    /// Adds the rules that rulesets put in force on a branch, `GET /repos/{owner}/{repo}/rules/branches/{branch}`, as
    /// many as were read.
    pub(crate) fn rules(&mut self, rules: &[Value], cut: Option<String>) {
        self.unread.extend(cut);
        let mut rulesets = BTreeMap::new();
        for rule in rules {
            let Some(kind) = rule["type"].as_str() else {
                self.unread.push(odd("a rule"));
                continue;
            };
            let source = Source::Ruleset {
                id: rule["ruleset_id"].as_u64(),
                of: rule["ruleset_source"].as_str().unwrap_or("unknown").to_owned(),
            };
            let layer = rulesets
                .entry(source)
                .or_insert_with_key(|source| ruleset(source.clone()));
            add(layer, kind, &rule["parameters"]);
        }
        self.read.extend(rulesets.into_values());
    }

    /// The rulesets that ask for reviews, by number.
    pub(crate) fn reviewing(&self) -> impl Iterator<Item = u64> {
        let asking = self.read.iter().filter(|layer| !layer.reviews.is_empty());
        asking.filter_map(|layer| match layer.source {
            Source::Ruleset { id, .. } => id,
            Source::Classic => None,
        })
    }
}

fn odd(what: &str) -> String {
    format!("{what} is not as GitHub documents it")
}

fn classic(rule: &Value) -> Layer {
    let enabled = |name: &str| {
        let said = rule[name]["enabled"].as_bool();
        said.ok_or_else(|| format!("classic protection does not say whether {name} is enabled"))
    };
    let reviews = &rule["required_pull_request_reviews"];
    let checks = &rule["required_status_checks"];
    let in_reviews = |name: &str| flag(reviews, name, "classic protection");
    Layer {
        source: Source::Classic,
        reviews: Vec::from_iter((!reviews.is_null()).then(|| Reviews {
            approvals: number(reviews, "required_approving_review_count", "classic protection"),
            dismiss_stale: in_reviews("dismiss_stale_reviews"),
            last_push: in_reviews("require_last_push_approval"),
            code_owners: in_reviews("require_code_owner_reviews"),
        })),
        checks: Vec::from_iter((!checks.is_null()).then(|| Checks {
            names: classic_checks(checks),
            strict: flag(checks, "strict", "classic protection"),
        })),
        signatures: enabled("required_signatures"),
        linear_history: enabled("required_linear_history"),
        conversations: enabled("required_conversation_resolution"),
        no_force_pushes: enabled("allow_force_pushes").map(|allowed| !allowed),
        no_deletions: enabled("allow_deletions").map(|allowed| !allowed),
        // A classic rule can ask for one, and no field of the answer tells.
        merge_queue: Err("GitHub does not show whether classic protection asks for a merge queue".to_owned()),
        bypass: Some(bypass::of_classic(rule)),
    }
}

/// Both fields name the checks: `contexts` is the old one, `checks` adds which App must have reported.
fn classic_checks(checks: &Value) -> Said<BTreeSet<String>> {
    let (old, new) = (&checks["contexts"], &checks["checks"]);
    if !old.is_array() && !new.is_array() {
        return Err("classic protection does not say which checks it requires".to_owned());
    }
    let old = old.as_array().into_iter().flatten();
    let new = new.as_array().into_iter().flatten();
    names(
        old.chain(new.map(|check| &check["context"])),
        "classic protection",
    )
}

fn ruleset(source: Source) -> Layer {
    Layer {
        source,
        reviews: Vec::new(),
        checks: Vec::new(),
        signatures: Ok(false),
        linear_history: Ok(false),
        conversations: Ok(false),
        no_force_pushes: Ok(false),
        no_deletions: Ok(false),
        merge_queue: Ok(false),
        bypass: None,
    }
}

/// Adds one rule of a ruleset; kinds that no attribute rests on add nothing.
fn add(layer: &mut Layer, kind: &str, parameters: &Value) {
    let what = layer.source.to_string();
    match kind {
        "pull_request" => {
            layer.reviews.push(Reviews {
                approvals: number(parameters, "required_approving_review_count", &what),
                dismiss_stale: flag(parameters, "dismiss_stale_reviews_on_push", &what),
                last_push: flag(parameters, "require_last_push_approval", &what),
                code_owners: flag(parameters, "require_code_owner_review", &what),
            });
            let resolution = flag(parameters, "required_review_thread_resolution", &what);
            layer.conversations = any([&layer.conversations, &resolution]);
        }
        "required_status_checks" => {
            let required = parameters["required_status_checks"].as_array();
            let required = required.ok_or_else(|| format!("{what} does not say which checks it requires"));
            layer.checks.push(Checks {
                names: required.and_then(|all| names(all.iter().map(|check| &check["context"]), &what)),
                strict: flag(parameters, "strict_required_status_checks_policy", &what),
            });
        }
        "required_signatures" => layer.signatures = Ok(true),
        "required_linear_history" => layer.linear_history = Ok(true),
        "non_fast_forward" => layer.no_force_pushes = Ok(true),
        "deletion" => layer.no_deletions = Ok(true),
        "merge_queue" => layer.merge_queue = Ok(true),
        _ => {}
    }
}

/// Whether something is asked for: one that asks settles it, whatever else is not known.
pub(crate) fn any<'a>(said: impl IntoIterator<Item = &'a Said<bool>>) -> Said<bool> {
    let mut found = Ok(false);
    for each in said {
        match (each, &found) {
            (Ok(true), _) => return Ok(true),
            (Err(reason), Ok(_)) => found = Err(reason.clone()),
            _ => {}
        }
    }
    found
}

fn flag(of: &Value, name: &str, what: &str) -> Said<bool> {
    of[name].as_bool().ok_or_else(|| not_said(name, what))
}

fn number(of: &Value, name: &str, what: &str) -> Said<u64> {
    of[name].as_u64().ok_or_else(|| not_said(name, what))
}

fn names<'a>(all: impl Iterator<Item = &'a Value>, what: &str) -> Said<BTreeSet<String>> {
    all.map(|name| name.as_str().map(str::to_owned))
        .collect::<Option<_>>()
        .ok_or_else(|| format!("{what} requires a check without a name"))
}

fn not_said(name: &str, what: &str) -> String {
    format!("{what} does not say {name}")
}
