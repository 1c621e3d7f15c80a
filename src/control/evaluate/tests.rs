//! What snapshots are told by tests: outcomes, reasons, exclusions.

use super::*;
use Outcome::{Excepted, Fail, NotApplicable, Pass, Unknown};
use proptest::prelude::*;
use serde_json::json;

const KINDS: [&str; 8] = [
    "host.system",
    "host.updates",
    "host.mount",
    "host.account",
    "host.account_sources",
    "host.sshd",
    "host.listener",
    "host.time",
];

fn observation(resources: &[Resource]) -> Observation<'_> {
    Observation {
        kinds: &KINDS,
        source: "fleet",
        target: "web-1",
        resources,
        volatile: &[("host.time", "offset_ms")],
        complete: true,
        now: Example::NOW,
    }
}

fn compiled(text: &str) -> Compiled {
    Compiled::new(&Rules::shipped().unwrap().with(text).unwrap()).unwrap()
}

fn mount(id: &str, encrypted: bool) -> Resource {
    Resource::new("host.mount", id, id, 0)
        .with("data", true)
        .with("encrypted", encrypted)
}

fn result<'a>(evaluation: &'a Evaluation, test: &str) -> &'a TestResult {
    evaluation
        .results
        .iter()
        .find(|result| result.test.as_str() == test)
        .unwrap()
}

#[test]
fn every_test_on_a_yielded_kind_has_a_result_and_no_occurrence_is_not_applicable() {
    let evaluation = compiled("").evaluate(&observation(&[]));
    assert_eq!(evaluation.results.len(), 6);
    assert!(
        evaluation
            .results
            .iter()
            .all(|result| result.outcome == NotApplicable)
    );
    assert!(evaluation.results.is_sorted_by_key(|result| result.test.clone()));
    let other = Observation {
        kinds: &["acme.badge"],
        ..observation(&[])
    };
    assert_eq!(compiled("").evaluate(&other).results, []);
}

#[test]
fn an_incomplete_snapshot_can_fail_a_test_but_not_pass_it() {
    let tests = compiled("");
    let judge = |resources: &[Resource]| {
        let evaluation = tests.evaluate(&Observation {
            complete: false,
            ..observation(resources)
        });
        result(&evaluation, "host-disk-encrypted").clone()
    };
    assert_eq!(judge(&[]).outcome, Unknown);
    let passing = judge(&[mount("/", true)]);
    assert_eq!((passing.outcome, passing.pass), (Unknown, 1));
    assert_eq!(judge(&[mount("/", true), mount("/srv", false)]).outcome, Fail);
}

#[test]
fn findings_stand_by_test_then_resource_whatever_the_order_of_collection() {
    let resources = [mount("/b", true), mount("/a", false), mount("/", true)];
    let mut reversed = resources.clone();
    reversed.reverse();
    let tests = compiled("");
    let evaluation = tests.evaluate(&observation(&resources));
    assert_eq!(evaluation, tests.evaluate(&observation(&reversed)));
    let ids: Vec<_> = evaluation
        .findings
        .iter()
        .map(|finding| finding.resource.as_str())
        .collect();
    assert_eq!(ids, ["/", "/a", "/b"]);
    let total = result(&evaluation, "host-disk-encrypted");
    assert_eq!((total.outcome, total.pass, total.fail), (Fail, 2, 1));
}

#[test]
fn a_failure_names_what_is_seen_and_what_it_is_held_against() {
    let account = Resource::new("host.account", "mallory", "mallory", 0)
        .with("uid", 1001)
        .with("login_shell", true)
        .with("shell", "/bin/bash");
    let finding = compiled("").evaluate(&observation(&[account])).findings.remove(0);
    assert_eq!(
        finding.reason,
        "id = \"mallory\"; against allowed = [\"root\"]; applies as login_shell = true, uid = 1001"
    );
}

#[test]
fn a_failure_names_only_the_parts_that_do_not_hold() {
    let sshd = Resource::new("host.sshd", "sshd", "sshd", 0)
        .with("installed", true)
        .with("permit_root_login", "no")
        .with("password_authentication", true)
        .with("kbd_interactive_authentication", false);
    let finding = compiled("").evaluate(&observation(&[sshd])).findings.remove(0);
    assert_eq!(
        (finding.outcome, finding.reason.as_str()),
        (
            Fail,
            "password_authentication = true; applies as installed = true"
        )
    );
}

#[test]
fn an_unknown_finding_gives_the_attributes_own_reason() {
    let mut sshd = Resource::new("host.sshd", "sshd", "sshd", 0)
        .with("installed", true)
        .with("permit_empty_passwords", false);
    sshd.unknown.insert(
        "permit_root_login".to_owned(),
        "sshd -T needs\u{1b}[31m root".to_owned(),
    );
    sshd.unknown.insert(
        "password_authentication".to_owned(),
        "sshd -T needs\u{1b}[31m root".to_owned(),
    );
    let finding = compiled("").evaluate(&observation(&[sshd])).findings.remove(0);
    assert_eq!(finding.outcome, Unknown);
    assert_eq!(
        finding.reason,
        "permit_root_login, password_authentication: sshd -T needs\\u{1b}[31m root; \
         kbd_interactive_authentication: not among what was collected"
    );
}

#[test]
fn a_reason_holds_no_running_figure() {
    let clock = |offset: f64| {
        Resource::new("host.time", "clock", "clock", 0)
            .with("synchronised", true)
            .with("offset_ms", offset)
    };
    let tests = compiled("");
    let first = tests.evaluate(&observation(&[clock(5000.1)]));
    assert_eq!(first, tests.evaluate(&observation(&[clock(6000.7)])));
    assert_eq!(
        first.findings[0].reason,
        "offset_ms (varies: see the evidence); against max_offset_ms = 1000"
    );
}

#[test]
fn whether_a_test_applies_may_itself_be_unknown() {
    let mut mount = mount("/", true);
    mount.attributes.remove("data");
    mount
        .unknown
        .insert("data".to_owned(), "inside a container".to_owned());
    let finding = compiled("").evaluate(&observation(&[mount])).findings.remove(0);
    assert_eq!(
        (finding.outcome, finding.reason.as_str()),
        (Unknown, "whether the test applies: data: inside a container")
    );
}

#[test]
fn an_excluded_resource_is_not_applicable_with_the_companys_reason() {
    let tests = compiled(
        "[[exclusion]]\nreason = \"scratch space\"\nkind = \"host.mount\"\nresource = \"/scratch*\"\n",
    );
    let evaluation = tests.evaluate(&observation(&[mount("/scratch/1", false), mount("/", true)]));
    assert_eq!(evaluation.findings[1].reason, "excluded: scratch space");
    assert_eq!(result(&evaluation, "host-disk-encrypted").outcome, Pass);
    let evaluation = tests.evaluate(&observation(&[mount("/scratch/1", false)]));
    assert_eq!(result(&evaluation, "host-disk-encrypted").outcome, NotApplicable);
}

#[test]
fn a_test_that_is_switched_off_is_not_evaluated() {
    let tests = compiled("[[test]]\nid = \"host-disk-encrypted\"\nenabled = false\nreason = \"r\"");
    let evaluation = tests.evaluate(&observation(&[mount("/", false)]));
    assert_eq!(evaluation.results.len(), 5);
    assert_eq!(evaluation.findings, []);
}

#[test]
fn now_is_the_instant_that_the_facts_are_from() {
    let mut updates = Resource::new("host.updates", "updates", "updates", 0)
        .with("security_updates_pending", 0)
        .with("package_lists_as_of", "2025-12-24T00:00:00Z")
        .with("reboot_required", false);
    let tests = compiled("");
    let judge = |updates: &Resource| {
        tests
            .evaluate(&observation(std::slice::from_ref(updates)))
            .findings[0]
            .outcome
    };
    assert_eq!(judge(&updates), Fail);
    updates.as_of = Some(Example::NOW - chrono::TimeDelta::days(2));
    assert_eq!(judge(&updates), Pass);
}

#[test]
fn an_attribute_with_a_reserved_name_hides_nothing() {
    let account = Resource::new("host.account", "mallory", "mallory", 0)
        .with("id", "root")
        .with("uid", 1001)
        .with("login_shell", true);
    let finding = compiled("").evaluate(&observation(&[account])).findings.remove(0);
    assert_eq!(finding.outcome, Unknown);
    assert!(finding.reason.contains("reserved name"), "{}", finding.reason);
}

#[test]
fn an_attribute_both_known_and_unknown_is_unknown() {
    let mut mount = mount("/", true);
    mount
        .unknown
        .insert("encrypted".to_owned(), "not allowed to look".to_owned());
    assert_eq!(
        compiled("").evaluate(&observation(&[mount])).findings[0].outcome,
        Unknown
    );
}

#[test]
fn an_exception_covers_failures_and_never_what_is_unknown() {
    let mut resources = [mount("/", false), mount("/srv", false), mount("/unseen", true)];
    resources[2].attributes.remove("encrypted");
    let mut evaluation = compiled("").evaluate(&observation(&resources));
    let before = evaluation.clone();
    evaluation.except(|_, _| None);
    assert_eq!(evaluation, before);
    evaluation.except(|test, resource| {
        (test.as_str() == "host-disk-encrypted" && resource != "/srv").then(|| "seq 7".to_owned())
    });
    assert_eq!(
        evaluation.findings[0].reason,
        "excepted, seq 7: encrypted = false; applies as data = true"
    );
    let total = result(&evaluation, "host-disk-encrypted");
    assert_eq!(
        (total.outcome, total.fail, total.excepted, total.unknown),
        (Fail, 1, 1, 1)
    );
    evaluation.except(|_, _| Some("all".to_owned()));
    assert_eq!(result(&evaluation, "host-disk-encrypted").outcome, Unknown);
}

#[test]
fn compiling_rules_that_a_file_would_refuse_tells_every_problem() {
    let mut rules = Rules::shipped().unwrap();
    rules.tests[0].passes = "resource".to_owned();
    rules.tests[1].applies = "typo".to_owned();
    let problems = Compiled::new(&rules).map(|_| ()).unwrap_err();
    assert_eq!(problems.len(), 2);
    assert!(problems[0].message.starts_with("passes of host-disk-encrypted: "));
}

#[test]
fn compiled_tests_may_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Compiled>();
}

/// Any value for an attribute: mostly one of an example, sometimes of another type.
fn value(examples: &BTreeSet<String>) -> BoxedStrategy<Value> {
    let fit: Vec<Value> = examples
        .iter()
        .map(|json| serde_json::from_str(json).unwrap())
        .collect();
    let odd = vec![
        Value::Null,
        json!(true),
        json!("x"),
        json!([1]),
        json!({"a": 1}),
        json!([{"active": true, "created": null}]),
    ];
    let odd = prop::sample::select(odd);
    if fit.is_empty() {
        return odd.boxed();
    }
    prop_oneof![8 => prop::sample::select(fit), 1 => odd].boxed()
}

/// A shipped test, a resource of its kind, and one of the attributes that it touches.
fn judged() -> impl Strategy<Value = (TestId, Resource, String)> {
    let tests = Compiled::new(&Rules::shipped().unwrap()).unwrap().tests;
    let tests = tests.into_iter().filter(|ready| ready.test.enabled);
    let tests: Vec<(Test, BTreeMap<String, BTreeSet<String>>)> = tests
        .map(|ready| {
            let touched = [ready.applies.attributes(), ready.passes.attributes()].concat();
            let given = |name: &str| {
                let examples = ready.test.examples.iter();
                examples
                    .filter_map(|example| Some(example.given.get(name)?.to_string()))
                    .collect()
            };
            let touched = touched.iter().map(|name| ((*name).to_owned(), given(name)));
            (ready.test.clone(), touched.collect())
        })
        .collect();
    prop::sample::select(tests).prop_flat_map(|(test, mut touched)| {
        let id = touched.remove("id").unwrap_or_default();
        let names: Vec<String> = touched.keys().cloned().collect();
        let values: Vec<_> = touched
            .values()
            .map(|examples| prop::option::weighted(0.9, value(examples)))
            .collect();
        (values, value(&id), prop::sample::select(names.clone())).prop_map(move |(values, id, chosen)| {
            let id = id.as_str().unwrap_or("eve").to_owned();
            let mut resource = Resource::new(&test.resource, &id, &id, 0);
            for (name, value) in names.iter().zip(values) {
                match value {
                    Some(value) => resource.attributes.insert(name.clone(), value).map(|_| ()),
                    None => resource
                        .unknown
                        .insert(name.clone(), "hidden".to_owned())
                        .map(|_| ()),
                };
            }
            (test.id.clone(), resource, chosen)
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Knowing less changes an outcome to unknown or not at all: so no failure, and nothing unknown, becomes a pass.
    #[test]
    fn making_an_attribute_unknown_never_makes_anything_better((test, resource, chosen) in judged()) {
        let rules = std::sync::LazyLock::force(&SHIPPED);
        let judge = |resource: &Resource| {
            let evaluation = rules.evaluate(&Observation {
                kinds: &[&resource.kind],
                ..observation(std::slice::from_ref(resource))
            });
            evaluation.findings.into_iter().find(|finding| finding.test == test).unwrap()
        };
        let before = judge(&resource);
        let mut hidden = resource.clone();
        hidden.attributes.remove(&chosen);
        let absent = judge(&hidden);
        hidden.unknown.insert(chosen.clone(), "hidden".to_owned());
        let after = judge(&hidden);
        prop_assert_eq!(absent.outcome, after.outcome);
        prop_assert!(
            after.outcome == before.outcome || after.outcome == Unknown,
            "{:?} became {:?} without {} in {:?}", before, after, chosen, resource
        );
        prop_assert_eq!(after.reason.is_empty(), after.outcome == Pass);
        prop_assert!(before.outcome != Excepted);
    }
}

static SHIPPED: std::sync::LazyLock<Compiled> =
    std::sync::LazyLock::new(|| Compiled::new(&Rules::shipped().unwrap()).unwrap());
