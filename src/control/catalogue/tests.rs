//! What ships holds, and what a company writes is checked to the letter.

use super::*;
use crate::control::{Compiled, MaxAge, Outcome, Severity, Test};
use serde_json::json;
use std::collections::BTreeMap;

const NEW: &str = r#"
[[test]]
id = "thing-on"
title = "The thing is on"
doc = "Whether the thing is on."
resource = "a.thing"
passes = "resource.on && resource.size < parameters.limit"
parameters = { limit = 10 }
severity = "low"
example = [
    { given = { on = true, size = 9 }, outcome = "pass" },
    { given = { on = true, size = 10 }, outcome = "fail" },
]
[[control]]
id = "things"
statement = "Things are on."
owner = "platform"
criteria = ["CC6.1", "A1.2"]
tests = ["thing-on"]
[[exclusion]]
reason = "belongs to a customer"
test = "thing-on"
resource = "customer-*"
"#;

fn shipped() -> Rules {
    Rules::shipped().unwrap()
}

fn test<'a>(rules: &'a Rules, id: &str) -> &'a Test {
    rules.tests.iter().find(|test| test.id.as_str() == id).unwrap()
}

/// Message and the text it points at, of every problem.
fn problems(rules: Rules, text: &str) -> Vec<(String, String)> {
    rules
        .with(text)
        .unwrap_err()
        .into_iter()
        .map(|problem| (problem.message, text[problem.span.unwrap()].to_owned()))
        .collect()
}

#[track_caller]
fn only_problem(rules: Rules, text: &str, message: &str, place: &str) {
    let found = problems(rules, text);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].0.contains(message), "{found:?}");
    assert_eq!(found[0].1, place);
}

#[test]
fn every_example_of_the_shipped_catalogue_holds() {
    let report = Compiled::new(&shipped()).unwrap().self_test();
    assert_eq!(report.failures, []);
    assert!(report.examples >= 30);
}

#[test]
fn every_shipped_test_serves_the_criteria_that_it_is_meant_for() {
    const CRITERIA: [(&str, &str); 39] = [
        ("host-disk-encrypted", "CC6.1"),
        ("host-accounts-expected", "CC6.2 CC6.3"),
        ("host-ssh-hardened", "CC6.1"),
        ("host-patched", "CC7.1"),
        ("host-listeners-expected", "CC6.6"),
        ("host-time-synchronised", "CC7.2"),
        ("aws-root-mfa", "CC6.1"),
        ("aws-root-hardware-mfa", "CC6.1"),
        ("aws-root-no-keys", "CC6.1"),
        ("aws-root-unused", "CC6.1 CC7.2"),
        ("aws-console-mfa", "CC6.1"),
        ("aws-key-age", "CC6.1"),
        ("aws-credentials-used", "CC6.2 CC6.3"),
        ("aws-password-policy", "CC6.1"),
        ("aws-accounts-covered", "CC4.1"),
        ("s3-classified", "C1.1"),
        ("s3-kms", "C1.1 CC6.1"),
        ("s3-key-rotation", "CC6.1"),
        ("s3-ssec-blocked", "CC6.1"),
        ("s3-public-access-blocked", "CC6.6"),
        ("s3-not-public", "CC6.6"),
        ("s3-tls-only", "CC6.7"),
        ("s3-acl-disabled", "CC6.3"),
        ("s3-versioned", "A1.2"),
        ("s3-locked", "A1.2"),
        ("s3-access-logged", "CC7.2"),
        ("github-repositories-covered", "CC4.1 CC8.1"),
        ("github-two-factor-required", "CC6.1"),
        ("github-review-required", "CC8.1"),
        ("github-stale-approval-dismissed", "CC8.1"),
        ("github-bypass-limited", "CC8.1"),
        ("github-history-kept", "CC8.1"),
        ("github-checks-required", "CC8.1"),
        ("github-code-owners", "CC8.1"),
        ("github-pr-approved", "CC8.1"),
        ("github-pr-checks-passed", "CC8.1"),
        ("github-no-direct-push", "CC8.1"),
        ("github-no-force-push", "CC8.1"),
        ("github-bypass-followed-up", "CC7.3 CC8.1"),
    ];
    const OFF: [&str; 3] = ["s3-classified", "github-code-owners", "github-bypass-followed-up"];
    let rules = shipped();
    let served = rules.tests.iter().map(|test| {
        let controls = rules
            .controls
            .iter()
            .filter(|control| control.tests.contains(&test.id));
        let numbers: Vec<_> = controls
            .flat_map(|control| &control.criteria)
            .map(|each| each.number())
            .collect();
        (test.id.as_str(), numbers.join(" "))
    });
    let meant = CRITERIA.map(|(id, criteria)| (id, criteria.to_owned()));
    assert_eq!(served.collect::<Vec<_>>(), meant);
    for test in &rules.tests {
        assert!(test.shipped, "{}", test.id);
        assert_eq!(test.enabled, !OFF.contains(&test.id.as_str()), "{}", test.id);
    }
}

#[test]
fn every_shipped_test_serves_a_control_and_shows_what_it_makes_of_the_unknown() {
    let rules = shipped();
    for test in &rules.tests {
        assert!(
            rules
                .controls
                .iter()
                .any(|control| control.tests.contains(&test.id)),
            "{}",
            test.id
        );
        assert!(
            test.examples
                .iter()
                .any(|example| example.outcome == Outcome::Unknown),
            "{}",
            test.id
        );
        assert!(test.doc.contains("Not checked"), "{}", test.id);
    }
}

#[test]
fn an_example_that_does_not_hold_is_reported_by_the_self_test() {
    for index in 0..shipped().tests.len() {
        let mut rules = shipped();
        let example = &mut rules.tests[index].examples[0];
        example.outcome = if example.outcome == Outcome::Fail {
            Outcome::Pass
        } else {
            Outcome::Fail
        };
        let (id, expected) = (
            rules.tests[index].id.clone(),
            rules.tests[index].examples[0].outcome,
        );
        let failures = Compiled::new(&rules).unwrap().self_test().failures;
        assert_eq!(failures.len(), 1);
        assert_eq!(
            (&failures[0].test, failures[0].example, failures[0].expected),
            (&id, 1, expected)
        );
    }
}

#[test]
fn rules_read_back_from_json_as_they_were() {
    let text = r#"
        [[test]]
        id = "host-time-synchronised"
        parameters = { max_offset_ms = 0.1 }
        [[test]]
        id = "host-disk-encrypted"
        enabled = false
        reason = "no data on hosts"
        [[exclusion]]
        reason = "a build machine"
        target = "build-*"
    "#;
    let rules = shipped().with(NEW).unwrap().with(text).unwrap();
    let sealed = serde_json::to_string(&rules).unwrap();
    let read: Rules = serde_json::from_str(&sealed).unwrap();
    assert_eq!(read, rules);
    assert_eq!(serde_json::to_string(&read).unwrap(), sealed);
}

proptest::proptest! {
    #[test]
    fn any_number_reads_back_to_the_last_bit(number: f64) {
        proptest::prop_assume!(number.is_finite());
        let mut rules = shipped();
        rules.tests[0].parameters.insert("x".to_owned(), json!(number));
        let read: Rules = serde_json::from_str(&serde_json::to_string(&rules).unwrap()).unwrap();
        proptest::prop_assert_eq!(read, rules);
    }
}

#[test]
fn sealed_rules_with_an_unknown_field_or_a_bad_id_are_refused() {
    assert!(
        serde_json::from_value::<Rules>(json!({"tests": [], "controls": [], "exclusions": [], "x": 1}))
            .is_err()
    );
    let mut rules = serde_json::to_value(shipped()).unwrap();
    rules["tests"][0]["id"] = json!("Not Kebab");
    assert!(serde_json::from_value::<Rules>(rules).is_err());
}

#[test]
fn a_company_adds_tests_controls_and_exclusions() {
    let rules = shipped().with(NEW).unwrap();
    let added = test(&rules, "thing-on");
    assert!(!added.shipped && added.enabled && added.applies == "true");
    assert_eq!(
        (added.severity, &added.max_age),
        (Severity::Low, &MaxAge::default())
    );
    assert_eq!(rules.controls.last().unwrap().criteria.len(), 2);
    assert_eq!(rules.exclusions[0].reason, "belongs to a customer");
}

#[test]
fn a_company_overrides_only_the_fields_it_gives_and_no_example_breaks() {
    let text = r#"
        [[test]]
        id = "host-accounts-expected"
        parameters = { allowed = ["alice"] }
        severity = "critical"
        [[control]]
        id = "hosts-patched"
        owner = "alice"
    "#;
    let rules = shipped().with(text).unwrap();
    let (old, new) = (shipped(), test(&rules, "host-accounts-expected"));
    let old = test(&old, "host-accounts-expected");
    assert_eq!(
        new.parameters,
        BTreeMap::from([
            ("allowed".to_owned(), json!(["alice"])),
            ("allowed_uid_0".to_owned(), json!(["root"])),
        ])
    );
    assert_eq!(
        (new.severity, &new.title, &new.examples),
        (Severity::Critical, &old.title, &old.examples)
    );
    assert_eq!(new.overridden, ["parameters", "severity"]);
    assert!(new.shipped);
    assert_eq!(Compiled::new(&rules).unwrap().self_test().failures, []);
    let control = rules
        .controls
        .iter()
        .find(|control| control.id.as_str() == "hosts-patched")
        .unwrap();
    assert_eq!((control.owner.as_str(), control.criteria.len()), ("alice", 1));
}

#[test]
fn switching_a_test_off_needs_a_reason() {
    let off = "[[test]]\nid = \"host-patched\"\nenabled = false\n";
    only_problem(
        shipped(),
        off,
        "switched off without a reason",
        "\"host-patched\"",
    );
    let rules = shipped()
        .with(&format!("{off}reason = \"images are rebuilt daily\""))
        .unwrap();
    assert!(!test(&rules, "host-patched").enabled);
    let on = rules
        .with("[[test]]\nid = \"host-patched\"\nenabled = true")
        .unwrap();
    assert_eq!(test(&on, "host-patched").reason, None);
}

#[test]
fn another_expression_needs_examples_of_its_own() {
    let text = "[[test]]\nid = \"host-disk-encrypted\"\npasses = \"resource.encrypted || resource.fs_type == 'vfat'\"\n";
    only_problem(
        shipped(),
        text,
        "for which its examples were not made",
        "\"host-disk-encrypted\"",
    );
    let example = "example = [{ given = { encrypted = true, data = true }, outcome = \"pass\" }]";
    only_problem(
        shipped(),
        &format!("{text}{example}"),
        "no example that gives fail",
        "\"host-disk-encrypted\"",
    );
}

#[test]
fn a_misspelt_or_mistyped_parameter_is_told() {
    let text = |parameters: &str| {
        format!("[[test]]\nid = \"host-accounts-expected\"\nparameters = {{ {parameters} }}")
    };
    only_problem(
        shipped(),
        &text("alowed = [\"a\"]"),
        "does not use a parameter alowed",
        "\"host-accounts-expected\"",
    );
    only_problem(
        shipped(),
        &text("allowed = \"root\""),
        "allowed of host-accounts-expected must be a list",
        "allowed",
    );
    only_problem(
        shipped(),
        &text("allowed = [0]"),
        "must be a list of the same kind",
        "allowed",
    );
    assert!(shipped().with(&text("allowed = []")).is_ok());
}

#[test]
fn every_mistake_in_a_file_is_told_with_its_place() {
    let text = r#"
[[test]]
id = "Bad_Id"
title = 5
colour = "red"
[[control]]
id = "c"
statement = "S."
owner = "o"
criteria = ["CC6.1", "CC9.9"]
tests = ["no-such-test"]
[[exclusion]]
resource = "x"
[[exclusion]]
reason = "everything"
[[controls]]
"#;
    let found = problems(shipped(), text);
    for (message, place) in [
        ("is not kebab-case", "\"Bad_Id\""),
        ("title must be a string", "5"),
        ("unknown key \"colour\"", "colour"),
        ("\"CC9.9\" is no Trust Services Criterion", "\"CC9.9\""),
        ("there is no test no-such-test", "\"no-such-test\""),
        ("the exclusion gives no reason", "[[exclusion]]"),
        ("would exclude everything", "[[exclusion]]"),
        ("unknown key \"controls\"", "controls"),
    ] {
        assert!(
            found
                .iter()
                .any(|(told, at)| told.contains(message) && at.starts_with(place)),
            "{message} at {place}: {found:#?}"
        );
    }
}

#[test]
fn what_a_new_test_lacks_is_told_at_its_id() {
    let text = "[[test]]\nid = \"new-one\"\npasses = \"true\"";
    only_problem(
        shipped(),
        text,
        "gives no title, doc, resource, severity, example",
        "\"new-one\"",
    );
    only_problem(
        shipped(),
        &format!("{NEW}{}", "[[control]]\nid = \"things\"\n"),
        "stands twice",
        "\"things\"",
    );
}

#[test]
fn a_mistake_in_an_expression_is_told_where_it_stands_in_the_file() {
    let with = |passes: &str| NEW.replace("\"resource.on && resource.size < parameters.limit\"", passes);
    only_problem(
        Rules::default(),
        &with("'resource.on && parameters.limit > sise'"),
        "sise is not declared",
        "sise",
    );
    let multiline = "\"\"\"\nresource.on\n&& parameters.limit > 'é' + (sise)\"\"\"";
    only_problem(Rules::default(), &with(multiline), "sise is not declared", "sise");
    // An escape moves what follows: the whole string is shown.
    only_problem(
        Rules::default(),
        &with("\"\\u0074rue && parameters.limit > b\""),
        "b is not declared",
        "\"\\u0074rue && parameters.limit > b\"",
    );
    only_problem(
        Rules::default(),
        &with("'parameters.limit > '"),
        "CEL syntax",
        " ",
    );
    only_problem(
        Rules::default(),
        &with("'parameters.limt > parameters.limit'"),
        "no parameter limt",
        ".",
    );
}

#[test]
fn broken_toml_is_told_with_its_place() {
    let found = Rules::default().with("[[test]\nid = \"a\"").unwrap_err();
    assert!(found[0].message.starts_with("TOML syntax"), "{found:?}");
    assert!(found[0].span.is_some());
}

#[test]
fn values_that_json_can_not_hold_are_refused() {
    for value in [
        "nan",
        "inf",
        "9007199254740992",
        "2026-01-01T00:00:00Z",
        "[{ a = [nan] }]",
    ] {
        let text = NEW.replace("limit = 10", &format!("limit = {value}"));
        assert!(
            problems(Rules::default(), &text)
                .iter()
                .any(|(told, _)| told.contains("the value must be")),
            "{value}"
        );
    }
}

#[test]
fn an_example_may_give_json_text_which_has_a_null_where_toml_has_none() {
    let with = |given: &str| NEW.replace("{ on = true, size = 10 }", given);
    let rules = Rules::default()
        .with(&with(r#"'{"on": false, "size": null, "list": [{"x": null}]}'"#))
        .unwrap();
    let given = &rules.tests[0].examples[1].given;
    assert_eq!(
        json!(given),
        json!({"on": false, "size": null, "list": [{"x": null}]})
    );
    assert_eq!(Compiled::new(&rules).unwrap().self_test().failures, []);
    for wrong in ["'[]'", "'{\"on\": }'", "'on'"] {
        only_problem(Rules::default(), &with(wrong), "given is no JSON object", wrong);
    }
}

#[test]
fn examples_take_an_instant_and_unknown_as_names_or_with_reasons() {
    let examples = r#"example = [
        { given = { on = true, size = 1 }, now = 2026-03-01T00:00:00Z, outcome = "pass" },
        { given = { on = false }, unknown = { size = "not told" }, outcome = "fail" },
        { given = { on = true }, unknown = ["size"], now = "2026-03-01T00:00:00+01:00", outcome = "unknown" },
    ]"#;
    let start = NEW.find("example").unwrap();
    let end = NEW.find("[[control]]").unwrap();
    let rules = Rules::default()
        .with(&format!("{}{examples}\n{}", &NEW[..start], &NEW[end..]))
        .unwrap();
    assert_eq!(rules.tests[0].examples[1].unknown["size"], "not told");
    assert_eq!(
        rules.tests[0].examples[2].now.unwrap().to_rfc3339(),
        "2026-02-28T23:00:00+00:00"
    );
    assert_eq!(Compiled::new(&rules).unwrap().self_test().failures, []);
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "(\\[\\[(test|control|exclusion)\\]\\]\n|id = |\"[a-z-]*\"|example = |[\\[\\]{}=,\n]|passes|given|[0-9.]+){0,30}") {
        let _outcome = Rules::default().with(&text);
    }
}
