//! Bodies as GitHub documents them, for tests of what is made of them.

use serde_json::{Value, json};

use evidenced_collector_api::Resource;

use crate::bypass::of_ruleset;
use crate::effective::describe;
use crate::layers::Layers;

/// A classic rule that asks for nothing, as GitHub answers it, with changes.
pub(crate) fn classic_rule(changes: Value) -> Value {
    let mut rule = json!({
        "url": "https://api.github.com/repos/acme/api/branches/main/protection",
        "required_signatures": { "url": "https://api.github.com/", "enabled": false },
        "enforce_admins": { "url": "https://api.github.com/", "enabled": false },
        "required_linear_history": { "enabled": false },
        "allow_force_pushes": { "enabled": false },
        "allow_deletions": { "enabled": false },
        "block_creations": { "enabled": false },
        "required_conversation_resolution": { "enabled": false },
        "lock_branch": { "enabled": false },
        "allow_fork_syncing": { "enabled": false },
    });
    let Value::Object(changes) = changes else {
        return rule;
    };
    rule.as_object_mut().unwrap().extend(changes);
    rule
}

pub(crate) fn reviews(count: u64) -> Value {
    json!({
        "url": "https://api.github.com/",
        "dismiss_stale_reviews": false,
        "require_code_owner_reviews": false,
        "require_last_push_approval": false,
        "required_approving_review_count": count,
    })
}

/// A rule of the repository's ruleset 42, or of the organisation's 7.
pub(crate) fn rule_of(id: u64, kind: &str, parameters: &Value) -> Value {
    let (level, of) = if id == 7 {
        ("Organization", "acme")
    } else {
        ("Repository", "acme/api")
    };
    let mut rule =
        json!({ "type": kind, "ruleset_source_type": level, "ruleset_source": of, "ruleset_id": id });
    if !parameters.is_null() {
        rule["parameters"] = parameters.clone();
    }
    rule
}

pub(crate) fn pull_request(id: u64, count: u64) -> Value {
    let parameters = json!({
        "required_approving_review_count": count,
        "dismiss_stale_reviews_on_push": false,
        "require_code_owner_review": false,
        "require_last_push_approval": false,
        "required_review_thread_resolution": false,
        "allowed_merge_methods": ["merge", "squash", "rebase"],
    });
    rule_of(id, "pull_request", &parameters)
}

pub(crate) fn checks(id: u64, names: &[&str], strict: bool) -> Value {
    let required: Vec<_> = names.iter().map(|name| json!({ "context": name })).collect();
    let parameters = json!({
        "required_status_checks": required,
        "strict_required_status_checks_policy": strict,
        "do_not_enforce_on_create": false,
    });
    rule_of(id, "required_status_checks", &parameters)
}

/// A ruleset's own answer, with those who bypass it if they are shown.
pub(crate) fn ruleset(id: u64, bypass: Option<Value>) -> (u64, Value) {
    let mut body = json!({ "id": id, "name": "r", "source": "acme", "enforcement": "active", "rules": [] });
    if let Some(bypass) = bypass {
        body["bypass_actors"] = bypass;
    }
    (id, body)
}

pub(crate) const HIDDEN: &str = "classic protection is not known: reading it was refused (403)";

pub(crate) fn found(
    rule: Result<Option<Value>, &'static str>,
    rules: &[Value],
    cut: Option<&str>,
    rulesets: &[(u64, Value)],
) -> Resource {
    let mut layers = Layers::default();
    match rule {
        Ok(rule) => layers.classic(Ok(rule.as_ref())),
        Err(reason) => layers.classic(Err(reason.to_owned())),
    };
    layers.rules(rules, cut.map(str::to_owned));
    let of_rulesets = rulesets
        .iter()
        .map(|(id, body)| (*id, (vec![1], of_ruleset(body))));
    describe(
        Resource::new("github.branch", "acme/api:main", "acme/api:main", 0),
        &layers,
        &of_rulesets.collect(),
    )
}

#[track_caller]
pub(crate) fn assert_has(resource: &Resource, expected: Value) {
    let Value::Object(expected) = expected else {
        panic!("attributes are an object")
    };
    for (name, value) in expected {
        assert_eq!(
            resource.attributes.get(&name),
            Some(&value),
            "{name}: {resource:#?}"
        );
    }
}

#[track_caller]
pub(crate) fn assert_unknown(resource: &Resource, names: &[&str]) {
    let unknown: Vec<_> = resource.unknown.keys().map(String::as_str).collect();
    assert_eq!(unknown, names, "{resource:#?}");
}
