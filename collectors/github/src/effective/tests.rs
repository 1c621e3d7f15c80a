//! What protects the branch, by bodies as GitHub documents them.

use serde_json::{Value, json};

use crate::bodies::{
    HIDDEN, assert_has, assert_unknown, checks, classic_rule, found, pull_request, reviews, rule_of, ruleset,
};

#[test]
fn without_protection_everything_is_allowed_and_nothing_asked_for() {
    let branch = found(Ok(None), &[], None, &[]);
    assert_has(
        &branch,
        json!({
            "pull_request_required": false, "required_approvals": 0, "dismiss_stale_reviews": false,
            "require_last_push_approval": false, "require_code_owner_review": false, "required_checks": [],
            "strict_checks": false, "require_signatures": false, "require_linear_history": false,
            "require_conversation_resolution": false, "allow_force_pushes": true, "allow_deletions": true,
            "merge_queue": false, "bypass_actors": [], "sources": {},
        }),
    );
    assert_unknown(&branch, &[]);
}

#[test]
fn a_recorded_classic_rule_is_read_field_by_field() {
    let body = include_str!("../../tests/recorded/protected.json");
    let branch = found(Ok(serde_json::from_str(body).unwrap()), &[], None, &[]);
    assert_has(
        &branch,
        json!({
            "pull_request_required": true, "required_approvals": 1, "dismiss_stale_reviews": true,
            "require_code_owner_review": false, "required_checks": ["foo/bar"], "strict_checks": true,
            "require_signatures": false, "allow_force_pushes": false, "allow_deletions": false,
            "bypass_actors": [],
            "sources": {
                "pull_request_required": ["classic"], "required_approvals": ["classic"],
                "dismiss_stale_reviews": ["classic"], "required_checks": ["classic"], "strict_checks": ["classic"],
                "allow_force_pushes": ["classic"], "allow_deletions": ["classic"],
            },
        }),
    );
    // It is older than this setting, and says nothing of it; of a merge queue no answer says anything.
    assert_unknown(&branch, &["merge_queue", "require_last_push_approval"]);
}

#[test]
fn a_recorded_answer_says_that_there_is_no_classic_rule() {
    let body: Value = serde_json::from_str(include_str!("../../tests/recorded/not-protected.json")).unwrap();
    assert_eq!(body["message"], "Branch not protected");
}

#[test]
fn a_classic_rule_without_reviews_or_checks_asks_for_none() {
    let branch = found(Ok(Some(classic_rule(json!({})))), &[], None, &[]);
    assert_has(
        &branch,
        json!({
            "pull_request_required": false, "required_approvals": 0, "required_checks": [],
            "allow_force_pushes": false, "bypass_actors": [],
        }),
    );
    let none = json!({ "required_status_checks": { "strict": true, "contexts": [], "checks": [] } });
    let branch = found(Ok(Some(classic_rule(none))), &[], None, &[]);
    assert_has(&branch, json!({ "required_checks": [], "strict_checks": true }));
    assert!(branch.attributes["sources"].get("required_checks").is_none());
}

#[test]
fn rulesets_alone_protect_a_branch() {
    let rules = [
        pull_request(42, 2),
        checks(42, &["test", "build"], true),
        rule_of(42, "non_fast_forward", &Value::Null),
        rule_of(42, "merge_queue", &json!({ "merge_method": "MERGE" })),
        rule_of(42, "required_signatures", &Value::Null),
        rule_of(7, "deletion", &Value::Null),
        rule_of(7, "required_linear_history", &Value::Null),
        rule_of(7, "max_file_size", &json!({ "max_file_size": 10 })),
    ];
    let branch = found(Ok(None), &rules, None, &[ruleset(42, Some(json!([])))]);
    assert_has(
        &branch,
        json!({
            "required_approvals": 2, "required_checks": ["build", "test"], "strict_checks": true,
            "allow_force_pushes": false, "allow_deletions": false, "merge_queue": true,
            "require_signatures": true, "require_linear_history": true, "bypass_actors": [],
            "sources": {
                "pull_request_required": ["ruleset 42 of acme/api"],
                "required_approvals": ["ruleset 42 of acme/api"],
                "required_checks": ["ruleset 42 of acme/api"],
                "strict_checks": ["ruleset 42 of acme/api"],
                "allow_force_pushes": ["ruleset 42 of acme/api"],
                "allow_deletions": ["ruleset 7 of acme"],
                "merge_queue": ["ruleset 42 of acme/api"],
                "require_signatures": ["ruleset 42 of acme/api"],
                "require_linear_history": ["ruleset 7 of acme"],
            },
        }),
    );
    assert_unknown(&branch, &[]);
}

#[test]
fn the_stricter_layer_wins_whichever_it_is() {
    let lax = classic_rule(json!({
        "allow_force_pushes": { "enabled": true },
        "allow_deletions": { "enabled": true },
        "required_pull_request_reviews": reviews(1),
        "required_status_checks": { "strict": false, "contexts": ["test"], "checks": [{ "context": "test", "app_id": 1 }] },
    }));
    let rules = [
        pull_request(42, 2),
        checks(42, &["build", "test"], true),
        rule_of(7, "non_fast_forward", &Value::Null),
    ];
    let branch = found(Ok(Some(lax)), &rules, None, &[ruleset(42, Some(json!([])))]);
    assert_has(
        &branch,
        json!({
            "required_approvals": 2, "required_checks": ["build", "test"], "strict_checks": true,
            "allow_force_pushes": false, "allow_deletions": true,
        }),
    );
    let sources = &branch.attributes["sources"];
    assert_eq!(sources["required_approvals"], json!(["ruleset 42 of acme/api"]));
    assert_eq!(
        sources["required_checks"],
        json!(["classic", "ruleset 42 of acme/api"])
    );
    assert!(sources.get("allow_deletions").is_none());

    let strict = classic_rule(json!({ "required_pull_request_reviews": reviews(3) }));
    let branch = found(
        Ok(Some(strict)),
        &[pull_request(42, 3), pull_request(7, 1)],
        None,
        &[],
    );
    assert_has(
        &branch,
        json!({ "required_approvals": 3, "allow_force_pushes": false }),
    );
    let both = json!(["classic", "ruleset 42 of acme/api"]);
    assert_eq!(branch.attributes["sources"]["required_approvals"], both);
}

#[test]
fn where_classic_protection_is_unread_only_what_a_ruleset_asks_for_is_known() {
    let rules = [pull_request(42, 1), rule_of(7, "non_fast_forward", &Value::Null)];
    let branch = found(Err(HIDDEN), &rules, None, &[ruleset(42, None)]);
    assert_has(
        &branch,
        json!({ "pull_request_required": true, "required_approvals": 1, "allow_force_pushes": false }),
    );
    assert_unknown(
        &branch,
        &[
            "allow_deletions",
            "bypass_actors",
            "dismiss_stale_reviews",
            "merge_queue",
            "require_code_owner_review",
            "require_conversation_resolution",
            "require_last_push_approval",
            "require_linear_history",
            "require_signatures",
            "required_checks",
            "strict_checks",
        ],
    );
    assert!(
        branch.unknown.values().all(|reason| reason == HIDDEN),
        "{:#?}",
        branch.unknown
    );
}

/// Each kind of thing that a layer can ask for, as a classic rule and as a ruleset's rules.
fn asking() -> Vec<(Value, Vec<Value>)> {
    let mut all = reviews(1);
    for flag in [
        "dismiss_stale_reviews",
        "require_code_owner_reviews",
        "require_last_push_approval",
    ] {
        all[flag] = true.into();
    }
    let on = || json!({ "enabled": true });
    let required = json!({ "strict": true, "contexts": ["test"], "checks": [] });
    let mut request = pull_request(42, 1);
    for flag in [
        "dismiss_stale_reviews_on_push",
        "require_code_owner_review",
        "require_last_push_approval",
        "required_review_thread_resolution",
    ] {
        request["parameters"][flag] = true.into();
    }
    let bare = |kind: &str| vec![rule_of(42, kind, &Value::Null)];
    vec![
        (
            json!({ "required_pull_request_reviews": reviews(0) }),
            vec![pull_request(42, 0)],
        ),
        (
            json!({ "required_pull_request_reviews": all, "required_conversation_resolution": on() }),
            vec![request],
        ),
        (
            json!({ "required_status_checks": required }),
            vec![checks(42, &["test"], true)],
        ),
        (
            json!({ "required_signatures": on() }),
            bare("required_signatures"),
        ),
        (
            json!({ "required_linear_history": on() }),
            bare("required_linear_history"),
        ),
        (
            json!({ "allow_force_pushes": { "enabled": false } }),
            bare("non_fast_forward"),
        ),
        (
            json!({ "allow_deletions": { "enabled": false } }),
            bare("deletion"),
        ),
        (Value::Null, bare("merge_queue")),
    ]
}

#[test]
fn a_layer_that_is_unread_never_changes_what_the_other_settles() {
    let lax = json!({ "allow_force_pushes": { "enabled": true }, "allow_deletions": { "enabled": true } });
    let nothing = classic_rule(lax.clone());
    for (as_classic, as_rules) in asking() {
        let mut rule = nothing.clone();
        if let Value::Object(changes) = as_classic {
            rule.as_object_mut().unwrap().extend(changes);
        }
        let by_rules = [ruleset(42, Some(json!([])))];
        for (label, known, unread) in [
            (
                "rules",
                found(Ok(None), &as_rules, None, &by_rules),
                found(Err(HIDDEN), &as_rules, None, &by_rules),
            ),
            (
                "classic",
                found(Ok(Some(rule.clone())), &[], None, &[]),
                found(Ok(Some(rule)), &[], Some("cut"), &[]),
            ),
        ] {
            let free = found(Ok(None), &[], None, &[]);
            for (name, value) in &unread.attributes {
                assert_eq!(known.attributes.get(name), Some(value), "{label}: {name}");
                // What the layer does not ask for is open.
                let settled = name == "sources" || name == "bypass_actors" || value != &free.attributes[name];
                assert!(settled, "{label}: {name} is {value} though a layer was not read");
            }
            for name in known.attributes.keys() {
                assert!(
                    unread.attributes.contains_key(name) != unread.unknown.contains_key(name),
                    "{label}: {name} is lost"
                );
            }
        }
    }
}

#[test]
fn a_field_that_is_absent_or_odd_is_unknown() {
    for (field, attribute) in [
        ("required_signatures", "require_signatures"),
        ("required_linear_history", "require_linear_history"),
        (
            "required_conversation_resolution",
            "require_conversation_resolution",
        ),
        ("allow_force_pushes", "allow_force_pushes"),
        ("allow_deletions", "allow_deletions"),
    ] {
        let mut rule = classic_rule(json!({}));
        rule.as_object_mut().unwrap().remove(field);
        let branch = found(Ok(Some(rule)), &[], None, &[]);
        assert!(branch.unknown.contains_key(attribute), "{branch:#?}");
        assert_eq!(branch.unknown.len(), 2, "{branch:#?}");
    }
    let mut rule = classic_rule(json!({ "required_pull_request_reviews": reviews(1) }));
    rule["enforce_admins"] = json!("yes");
    assert_unknown(
        &found(Ok(Some(rule)), &[], None, &[]),
        &["bypass_actors", "merge_queue"],
    );

    let nonsense = [json!({ "kind": "pull_request" })];
    let branch = found(Ok(None), &nonsense, None, &[]);
    assert_eq!(
        branch.unknown["required_approvals"],
        "a rule is not as GitHub documents it"
    );
    for odd in [json!([]), json!({}), json!("yes")] {
        let branch = found(Ok(Some(odd)), &[], None, &[]);
        let known: Vec<_> = branch.attributes.keys().collect();
        assert_eq!(known, ["sources"], "{branch:#?}");
    }
    let bare = [rule_of(42, "pull_request", &Value::Null)];
    let branch = found(Ok(None), &bare, None, &[ruleset(42, Some(json!({})))]);
    assert_has(&branch, json!({ "pull_request_required": true }));
    assert!(
        branch.unknown.contains_key("required_approvals") && branch.unknown.contains_key("bypass_actors")
    );
}
