//! Who bypasses reviews, by bodies as GitHub documents them.

use serde_json::json;

use crate::bodies::{HIDDEN, classic_rule, found, pull_request, reviews, ruleset};

#[test]
fn who_bypasses_is_listed_with_mode_and_source() {
    let mut asked = reviews(1);
    asked["bypass_pull_request_allowances"] = json!({
        "users": [{ "login": "dave" }], "teams": [{ "slug": "release" }], "apps": [{ "slug": "robot" }],
    });
    let rule = classic_rule(json!({ "required_pull_request_reviews": asked }));
    let actors = json!([
        { "actor_id": 5, "actor_type": "RepositoryRole", "bypass_mode": "pull_request" },
        { "actor_id": 1, "actor_type": "OrganizationAdmin", "bypass_mode": "always" },
        { "actor_id": 31, "actor_type": "Team", "bypass_mode": "exempt" },
        { "actor_id": 32, "actor_type": "Integration" },
        { "actor_id": null, "actor_type": "DeployKey", "bypass_mode": "always" },
        { "actor_id": 33, "actor_type": "User", "bypass_mode": "always" },
        { "actor_id": 34, "actor_type": "SomethingNew", "bypass_mode": "always" },
    ]);
    let branch = found(
        Ok(Some(rule)),
        &[pull_request(42, 1)],
        None,
        &[ruleset(42, Some(actors))],
    );
    let listed = branch.attributes["bypass_actors"].as_array().unwrap();
    let shown: Vec<_> = listed
        .iter()
        .map(|each| {
            let text = |name: &str| each[name].as_str().unwrap();
            format!("{} {} {}", text("actor"), text("mode"), text("source"))
        })
        .collect();
    assert_eq!(
        shown,
        [
            "SomethingNew/#34 always ruleset 42 of acme/api",
            "admins always classic",
            "app/#32 always ruleset 42 of acme/api",
            "app/robot always classic",
            "key always ruleset 42 of acme/api",
            "owners always ruleset 42 of acme/api",
            "role/5 pull_request ruleset 42 of acme/api",
            "team/#31 always ruleset 42 of acme/api",
            "team/release always classic",
            "user/#33 always ruleset 42 of acme/api",
            "user/dave always classic",
        ]
    );
}

#[test]
fn one_source_that_asks_for_approval_and_binds_everybody_is_enough() {
    let open = || {
        Ok(Some(classic_rule(
            json!({ "required_pull_request_reviews": reviews(1) }),
        )))
    };
    let bound = || {
        let enforced = json!({ "enabled": true });
        Ok(Some(classic_rule(
            json!({ "required_pull_request_reviews": reviews(1), "enforce_admins": enforced }),
        )))
    };
    let admins = json!([{ "actor_id": 5, "actor_type": "RepositoryRole", "bypass_mode": "always" }]);
    let (none, some, hidden) = (
        || ruleset(42, Some(json!([]))),
        || ruleset(42, Some(admins.clone())),
        || ruleset(42, None),
    );
    let asked = [pull_request(42, 1)];
    let only_requests = [pull_request(42, 0)];
    for (label, branch, expected) in [
        ("ruleset binds", found(open(), &asked, None, &[none()]), Some(0)),
        ("classic binds", found(bound(), &asked, None, &[some()]), Some(0)),
        (
            "classic binds, ruleset hides",
            found(bound(), &asked, None, &[hidden()]),
            Some(0),
        ),
        (
            "classic binds, rules unread",
            found(bound(), &[], Some("cut"), &[]),
            Some(0),
        ),
        (
            "ruleset binds, classic unread",
            found(Err(HIDDEN), &asked, None, &[none()]),
            Some(0),
        ),
        ("neither binds", found(open(), &asked, None, &[some()]), Some(2)),
        ("ruleset hides", found(open(), &asked, None, &[hidden()]), None),
        (
            "ruleset hides alone",
            found(Ok(None), &asked, None, &[hidden()]),
            None,
        ),
        ("ruleset not asked", found(Ok(None), &asked, None, &[]), None),
        (
            "ruleset lets some, classic unread",
            found(Err(HIDDEN), &asked, None, &[some()]),
            None,
        ),
        (
            "nobody asks, classic unread",
            found(Err(HIDDEN), &[], None, &[]),
            None,
        ),
        (
            "nobody asks",
            found(Ok(Some(classic_rule(json!({})))), &[], None, &[]),
            Some(0),
        ),
        // A pull request that nobody need approve does not bind to an approval.
        (
            "requests bind",
            found(open(), &only_requests, None, &[none()]),
            Some(1),
        ),
        (
            "requests alone bind",
            found(Ok(None), &only_requests, None, &[none()]),
            Some(0),
        ),
        (
            "requests bind, classic unread",
            found(Err(HIDDEN), &only_requests, None, &[none()]),
            None,
        ),
        (
            "requests hide",
            found(bound(), &only_requests, None, &[hidden()]),
            Some(0),
        ),
    ] {
        let known = branch.attributes.get("bypass_actors");
        let count = known.map(|actors| actors.as_array().unwrap().len());
        assert_eq!(count, expected, "{label}: {branch:#?}");
        assert_eq!(
            branch.unknown.contains_key("bypass_actors"),
            expected.is_none(),
            "{label}"
        );
    }
}
