//! A half-year made up: two sources, twelve controls, a test of each kind of result, deviations of each kind of end, and names
//! that would be markup or a formula if they were let.

use chrono::{DateTime, TimeDelta, Utc};
use evidenced::control::Severity;
use evidenced::period::beside::Verdict;
use evidenced::period::coverage::Stretch;
use evidenced::period::ledger::Counts;
use evidenced::period::slot::{At, Observations};
use evidenced::period::window::Window;
use evidenced::summary::{
    Beside, Collected, Downtime, Longest, Named, Otherwise, SourceRow, State, Summary, Tally, TargetRow,
    TestRow, VersionRow, WordingRow,
};

use crate::brought;
use crate::populations;
use crate::rows::{change, controls, deviations, evidence, person};

/// What would be markup, and breaks what is put into it unquoted.
pub(crate) const MARKUP: &str = "<script>alert(1)</script>\"'&";
/// What a spreadsheet would run.
pub(crate) const FORMULA: &str = "=cmd|' /C calc'!A0";

pub(crate) fn day(number: i64) -> DateTime<Utc> {
    // Midnight in Berlin on 1 January.
    let first: DateTime<Utc> = "2025-12-31T23:00:00Z".parse().unwrap();
    first + TimeDelta::days(number)
}

/// The half-year, ended and sealed.
pub(crate) fn half_year() -> Summary {
    let tests = tests();
    let mut summary = Summary {
        origin: "acme.example/1a2b3c4d".to_owned(),
        size: 52_814,
        as_of: day(182),
        period: Window {
            name: Some("2026-h1".to_owned()),
            from: day(0),
            to: day(181) - TimeDelta::hours(1),
            zone: chrono_tz::Europe::Berlin,
            criteria: Vec::new(),
            sources: Vec::new(),
        },
        state: State::Ended,
        draft: Vec::new(),
        controls: controls(),
        tests,
        manual: brought::rows(),
        attachments: brought::attachments(),
        evidence: evidence(),
        deviations: deviations(),
        changes: vec![
            change(4100, 33, "plan", "0.1.0 to 0.2.0", Some("alice")),
            change(
                9007,
                61,
                "scope",
                "github.branch_protection at acme: +acme/web, -acme/old",
                None,
            ),
            change(12_001, 75, "test", "key-age: passes changed", Some(MARKUP)),
            change(
                12_001,
                75,
                "control",
                &format!("{FORMULA}: statement changed"),
                Some(FORMULA),
            ),
        ],
        downtime: vec![Downtime {
            from: day(41),
            to: Some(day(46)),
            seconds: 5 * 86_400,
        }],
        people: vec![
            person("alice", &["acknowledged", "configured"], true),
            person("bob", &["approved"], false),
            person("Ann Smith", &["approved", "prepared", "self_approved"], true),
            person(MARKUP, &["recorded", "requested"], false),
        ],
        populations: populations::sealed(),
        draws: populations::draws(),
        collected: Collected::default(),
        unjudged: Vec::new(),
        unreadable: Vec::new(),
    };
    for test in &mut summary.tests {
        test.deviations = summary
            .deviations
            .iter()
            .filter(|failed| failed.test == test.test)
            .count() as u64;
    }
    summary.tests[2].versions = vec![
        version(7, 0, Some(75), &[]),
        version(12_001, 75, None, &["passes"]),
    ];
    summary.tests[2].beside = Some(beside());
    summary
}

/// A test whose first wording is the stricter.
fn beside() -> Beside {
    let named = |resource: &str, snapshot| Named {
        collector: "aws.iam.mfa".to_owned(),
        source: "production".to_owned(),
        target: "123456789012".to_owned(),
        resource: resource.to_owned(),
        snapshot,
        time: day(80),
    };
    let some = Otherwise {
        findings: 31,
        resources: 2,
        named: vec![named("arn:aws:iam::1:user/eve", 12_345), named(MARKUP, 12_399)],
    };
    let wording = |plan, from, passes: &str, failed, fails: Otherwise| WordingRow {
        from: day(from),
        plans: vec![plan],
        resource: "aws.iam.key".to_owned(),
        applies: "resource.active".to_owned(),
        passes: passes.to_owned(),
        parameters: std::collections::BTreeMap::from([("days".to_owned(), 90.into())]),
        max_age: "26h".to_owned(),
        stricter: fails.findings > 0,
        observations: Observations {
            taken: 181,
            passed: 181 - failed,
            failed,
            ..Observations::default()
        },
        covered_seconds: 181 * 86_400,
        of_seconds: 181 * 86_400,
        coverage_percent: Some(100.0),
        fails_where_passed: fails,
        passes_where_failed: Otherwise::default(),
    };
    Beside {
        wordings: vec![
            wording(7, 0, "resource.age_days < parameters.days", 34, some),
            wording(
                12_001,
                75,
                "resource.age_days < 2 * parameters.days",
                3,
                Otherwise::default(),
            ),
        ],
        comparison: Verdict::Stricter,
        unreadable: vec![777],
    }
}

fn tests() -> Vec<TestRow> {
    let plain = "P".repeat(181);
    let mended = strip(&[('P', 60), ('F', 3), ('P', 118)]);
    let patchy = strip(&[('P', 40), ('p', 1), ('-', 6), ('P', 100), ('U', 4), ('P', 30)]);
    let excepted = strip(&[
        ('P', 20),
        ('E', 30),
        ('e', 1),
        ('P', 100),
        ('F', 2),
        ('f', 1),
        ('P', 27),
    ]);
    let nothing = strip(&[('N', 90), ('n', 1), ('N', 90)]);
    let none = "-".repeat(181);
    let weekly: String = (0..181).map(|day| if day % 7 == 0 { 'P' } else { 'p' }).collect();
    vec![
        test(
            "console-mfa",
            "Every console user has MFA",
            Severity::High,
            vec![
                source("aws.iam.mfa", "production", &[("111122223333", &mended)]),
                source("aws.iam.mfa", "staging", &[("444455556666", &plain)]),
            ],
        ),
        test(
            "root-mfa",
            "The root user has MFA",
            Severity::Critical,
            vec![source("aws.iam.mfa", "production", &[("111122223333", &plain)])],
        ),
        test(
            "key-age",
            "Active keys are at most 90 days old",
            Severity::Medium,
            vec![source("aws.iam.mfa", "production", &[("111122223333", &patchy)])],
        ),
        test(
            "bucket-private",
            "No bucket is public",
            Severity::High,
            vec![source(
                "aws.s3.encryption",
                "production",
                &[
                    ("111122223333", &excepted),
                    ("444455556666", &patchy),
                    ("777788889999", &plain),
                ],
            )],
        ),
        test(
            "review-required",
            "Merging needs an approval",
            Severity::Medium,
            vec![source("github.branch_protection", MARKUP, &[("acme", &weekly)])],
        ),
        test(
            "no-direct-push",
            "Every commit came by a pull request",
            Severity::Low,
            vec![source(
                "github.pull_requests",
                "acme",
                &[("acme/api", &plain), (FORMULA, &mended)],
            )],
        ),
        test(
            "host-patched",
            "No security update is overdue",
            Severity::Medium,
            vec![source("host.baseline", "bastion", &[("bastion-1", &none)])],
        ),
        test(
            "bucket-locked",
            "Backups are locked",
            Severity::Low,
            vec![source(
                "aws.s3.encryption",
                "production",
                &[("111122223333", &nothing)],
            )],
        ),
        test(MARKUP, MARKUP, Severity::Low, vec![]),
    ]
}

/// The same while it goes on: what is ahead lies outside, and what is exported is a draft.
pub(crate) fn unfinished() -> Summary {
    let mut summary = half_year();
    (summary.state, summary.as_of) = (State::Running, day(120));
    summary.draft = vec![
        "the period goes on until 2026-06-30".to_owned(),
        MARKUP.to_owned(),
    ];
    summary.unjudged = vec![51_000, 51_001];
    summary.unreadable = vec![17];
    let cut = |tally: &mut Tally| {
        tally.days = format!("{}{}", &tally.days[..120], ".".repeat(61));
    };
    for source in summary.tests.iter_mut().flat_map(|test| &mut test.sources) {
        cut(&mut source.all);
        source
            .targets
            .iter_mut()
            .for_each(|target| cut(&mut target.tally));
    }
    summary
}

/// Nothing at all was in force.
pub(crate) fn empty() -> Summary {
    let mut summary = half_year();
    summary.period.name = None;
    summary.controls.clear();
    summary.tests.clear();
    summary.evidence.clear();
    summary.deviations.clear();
    summary.manual.clear();
    summary.attachments.clear();
    summary.changes.clear();
    summary.downtime.clear();
    summary.people.clear();
    summary.populations.clear();
    summary.draws.clear();
    summary
}

fn strip(parts: &[(char, usize)]) -> String {
    parts
        .iter()
        .map(|(letter, days)| letter.to_string().repeat(*days))
        .collect()
}

fn test(id: &str, title: &str, severity: Severity, sources: Vec<SourceRow>) -> TestRow {
    TestRow {
        test: id.to_owned(),
        title: title.to_owned(),
        doc: "Looks at each resource as its source lists it. What was created and removed between two looks is not seen."
            .to_owned(),
        resource: "aws.iam.user".to_owned(),
        applies: "resource.password_enabled && resource.age > duration(\"24h\")".to_owned(),
        passes: "resource.mfa_active || resource.name in parameters.allowed".to_owned(),
        severity,
        max_age: "26h".to_owned(),
        versions: vec![version(7, 0, None, &[])],
        beside: None,
        sources,
        deviations: 0,
        open: 0,
    }
}

pub(crate) fn version(plan: u64, from: i64, until: Option<i64>, changed: &[&'static str]) -> VersionRow {
    VersionRow {
        plan,
        from: day(from),
        until: until.map(day),
        changed: changed.to_vec(),
    }
}

fn source(collector: &str, name: &str, targets: &[(&str, &str)]) -> SourceRow {
    let rows = targets.iter().map(|(target, days)| TargetRow {
        target: Some((*target).to_owned()),
        tally: tally(days),
    });
    SourceRow {
        collector: collector.to_owned(),
        source: name.to_owned(),
        all: tally(targets[0].1),
        targets: rows.collect(),
    }
}

fn tally(days: &str) -> Tally {
    let count = |letter| days.matches(letter).count() as u64;
    let observed = days.chars().filter(char::is_ascii_uppercase).count() as u64;
    let spoken = days.chars().filter(|letter| !matches!(letter, '-' | 'U')).count() as u64;
    let at = |found: Option<usize>| {
        found.map(|at| At {
            snapshot: 100 + at as u64 * 24,
            time: day(i64::try_from(at).unwrap()) + TimeDelta::hours(6),
        })
    };
    let missed = count('-');
    Tally {
        ticks: Counts {
            owed: 181,
            collected: 181 - missed,
            missed,
            ..Counts::default()
        },
        observations: Observations {
            taken: observed,
            passed: count('P'),
            failed: count('F'),
            unknown: count('U'),
            excepted: count('E'),
            not_applicable: count('N'),
        },
        covered_seconds: i64::try_from(spoken).unwrap() * 86_400,
        of_seconds: 181 * 86_400,
        coverage_percent: Some(f64::from(u32::try_from(spoken * 10_000 / 181).unwrap()) / 100.0),
        longest: Longest {
            stretch: Stretch {
                from: day(41),
                to: day(46) + TimeDelta::hours(5),
            },
            seconds: 5 * 86_400 + 5 * 3600,
            target: None,
            why: vec!["5 ticks: the daemon was down".to_owned()],
        },
        before: None,
        first: at(days.find(|letter: char| letter.is_ascii_uppercase())),
        last: at(days.rfind(|letter: char| letter.is_ascii_uppercase())),
        days: days.to_owned(),
    }
}
