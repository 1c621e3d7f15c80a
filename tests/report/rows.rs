//! The rows of the half-year that is made up: controls, gaps and deviations of each kind.

use chrono::TimeDelta;
use evidenced::control::Criterion;
use evidenced::log::leaf::Acknowledgement;
use evidenced::period::ledger::Counts;
use evidenced::period::response::{Said, Told};
use evidenced::summary::{Change, ControlRow, EvidenceRow, Failed, HoleRow, PeriodResult, Person, Sighting};

use crate::made::{FORMULA, MARKUP, day, version};

#[expect(clippy::too_many_lines, reason = "a table, a line for each result")]
pub(crate) fn controls() -> Vec<ControlRow> {
    use PeriodResult::{Deviations, Incomplete, NoDeviations, NoEvidence, NoOccurrence, NotTested};
    let control = |id: &str, statement: &str, criteria: &[&str], tests: &[&str], result, deviations, open| {
        let criteria = criteria.iter().map(|number| Criterion::parse(number).unwrap());
        ControlRow {
            control: id.to_owned(),
            statement: statement.to_owned(),
            owner: "Head of Platform".to_owned(),
            frequency: Some("continuous".to_owned()),
            criteria: criteria.collect(),
            versions: vec![version(7, 0, None, &[])],
            tests: tests.iter().map(ToString::to_string).collect(),
            result,
            deviations,
            open,
            coverage_percent: match result {
                NotTested => None,
                NoEvidence => Some(0.0),
                Incomplete => Some(94.47),
                Deviations | NoDeviations | NoOccurrence => Some(100.0),
            },
        }
    };
    let mut all = vec![
        control(
            "second-factor",
            "Access to production consoles requires a second factor.",
            &["CC6.1"],
            &["console-mfa", "root-mfa"],
            Deviations,
            3,
            0,
        ),
        control(
            "root-is-guarded",
            "The root user of each account has a second factor and is not used for daily work.",
            &["CC6.1", "CC7.2"],
            &["root-mfa"],
            NoDeviations,
            0,
            0,
        ),
        control(
            "keys-rotate",
            "Long-lived credentials are replaced every quarter.",
            &["CC6.1", "CC6.2", "CC6.3"],
            &["key-age"],
            Incomplete,
            0,
            0,
        ),
        control(
            "data-is-private",
            "Customer data is never readable from outside.",
            &["CC6.6", "C1.1"],
            &["bucket-private"],
            Deviations,
            4,
            1,
        ),
        control(
            "changes-are-reviewed",
            "Every change to production code is approved by somebody other than its author, and comes by a pull request.",
            &["CC8.1"],
            &["review-required", "no-direct-push"],
            Deviations,
            5,
            0,
        ),
        control(
            "hosts-are-patched",
            "Security updates are installed within 14 days.",
            &["CC7.1"],
            &["host-patched"],
            NoEvidence,
            0,
            0,
        ),
        control(
            "backups-are-locked",
            "Backups can't be deleted before their time.",
            &["A1.2"],
            &["bucket-locked"],
            NoDeviations,
            0,
            0,
        ),
        control(
            "changes-are-rolled-back",
            "A change that fails is rolled back.",
            &["CC8.1"],
            &["rollback-approved"],
            NoOccurrence,
            0,
            0,
        ),
        control("names-are-told", MARKUP, &["CC2.1"], &[MARKUP], NoEvidence, 0, 0),
        control("formulas-are-told", FORMULA, &["CC2.2"], &[], NotTested, 0, 0),
    ];
    all[2].versions = vec![
        version(7, 0, Some(75), &[]),
        version(12_001, 75, None, &["statement", "owner"]),
    ];
    all.extend(crate::brought::controls());
    all
}

pub(crate) fn evidence() -> Vec<EvidenceRow> {
    let hole = |first, last, ticks, fate, why: &str| HoleRow {
        first: day(first) + TimeDelta::hours(6),
        last: day(last) + TimeDelta::hours(6),
        ticks,
        fate,
        why: why.to_owned(),
    };
    let row = |collector: &str, source: &str, target: Option<&str>, ticks, holes| EvidenceRow {
        collector: collector.to_owned(),
        source: source.to_owned(),
        target: target.map(str::to_owned),
        ticks,
        holes,
    };
    let counts = |collected, incomplete, failed, missed| Counts {
        owed: 181,
        collected,
        incomplete,
        failed,
        missed,
        unaccounted: 0,
    };
    vec![
        row(
            "aws.iam.mfa",
            "production",
            Some("111122223333"),
            counts(174, 1, 1, 5),
            vec![
                hole(41, 45, 5, "missed", "the daemon was down"),
                hole(80, 80, 1, "failed", "the source refused: rate limited"),
                hole(99, 99, 1, "incomplete", "not the whole population"),
            ],
        ),
        row(
            "github.pull_requests",
            "acme",
            Some(FORMULA),
            counts(181, 0, 0, 0),
            vec![],
        ),
        row(
            "host.baseline",
            "bastion",
            None,
            counts(0, 0, 181, 0),
            vec![hole(0, 180, 181, "failed", MARKUP)],
        ),
    ]
}

pub(crate) fn deviations() -> Vec<Failed> {
    let mut all = Vec::new();
    for (number, resource) in [
        "arn:aws:iam::111122223333:user/dora",
        "arn:aws:iam::111122223333:user/émile",
        MARKUP,
    ]
    .into_iter()
    .enumerate()
    {
        let seq = 8000 + number as u64 * 10;
        let mut failed = failed(
            "console-mfa",
            "aws.iam.mfa",
            "production",
            "111122223333",
            resource,
            60,
            seq,
        );
        failed.end = Some(sighting(Some("pass"), 63, seq + 96));
        failed.state = "mended";
        failed.at_most_seconds = Some(4 * 86_400);
        all.push(failed);
    }
    let mut edges = failed(
        "bucket-private",
        "aws.s3.encryption",
        "production",
        "111122223333",
        "acme-logs",
        2,
        300,
    );
    (edges.before, edges.open_at_start, edges.state) = (None, true, "gone");
    edges.end = Some(sighting(Some("gone"), 5, 350));
    all.push(edges);
    let mut open = failed(
        "bucket-private",
        "aws.s3.encryption",
        "production",
        "111122223333",
        FORMULA,
        150,
        9900,
    );
    (open.open_at_end, open.notified, open.acknowledged) = (true, None, Vec::new());
    all.push(open);
    let mut after = failed(
        "bucket-private",
        "aws.s3.encryption",
        "production",
        "444455556666",
        "acme-site",
        170,
        11_000,
    );
    (after.open_at_end, after.state, after.exceptions) = (true, "mended", vec![11_050, 11_090]);
    after.end = Some(sighting(Some("pass"), 182, 12_900));
    all.push(after);
    let mut excepted = failed(
        "bucket-private",
        "aws.s3.encryption",
        "production",
        "777788889999",
        "acme-www",
        20,
        900,
    );
    (excepted.state, excepted.end) = ("not_applicable", Some(sighting(Some("not_applicable"), 51, 2000)));
    all.push(excepted);
    for number in 0..5_i64 {
        let seq = 5000 + number.unsigned_abs();
        let resource = format!("commit {:040x}", 0xfeed_u64 + seq);
        let mut event = failed(
            "no-direct-push",
            "github.pull_requests",
            "acme",
            "acme/api",
            &resource,
            90 + number,
            seq,
        );
        (event.state, event.before) = ("event", None);
        event.events_from = Some(day(89 + number) + TimeDelta::hours(6));
        all.push(event);
    }
    all
}

fn failed(
    test: &str,
    collector: &str,
    source: &str,
    target: &str,
    resource: &str,
    at: i64,
    seq: u64,
) -> Failed {
    let first_fail = sighting(None, at, seq);
    Failed {
        test: test.to_owned(),
        collector: collector.to_owned(),
        source: source.to_owned(),
        target: target.to_owned(),
        resource: resource.to_owned(),
        state: "open",
        reason: "resource.mfa_active is false".to_owned(),
        events_from: None,
        before: Some(sighting(Some("pass"), at - 1, seq - 24)),
        detected: first_fail.time + TimeDelta::seconds(4),
        last_fail: sighting(None, at + 2, seq + 48),
        first_fail,
        end: None,
        open_at_start: false,
        open_at_end: false,
        at_least_seconds: 2 * 86_400,
        at_most_seconds: None,
        exceptions: Vec::new(),
        notified: Some(Told {
            seq: seq + 2,
            time: day(at) + TimeDelta::hours(6) + TimeDelta::seconds(7),
            alert: seq + 1,
            channel: "security-pager".to_owned(),
            phase: "opened".to_owned(),
        }),
        acknowledged: vec![Said {
            seq: seq + 3,
            time: day(at) + TimeDelta::hours(8),
            what: Acknowledgement {
                alert: seq + 1,
                note: format!("on it {MARKUP}"),
                ticket: Some("SEC-481".to_owned()),
                cause: Some("A contractor's user was made by hand.".to_owned()),
                correction: Some(FORMULA.to_owned()),
                response: None,
                recorded_by: "alice".to_owned(),
            },
        }],
    }
}

fn sighting(state: Option<&'static str>, at: i64, seq: u64) -> Sighting {
    Sighting {
        state,
        time: day(at) + TimeDelta::hours(6),
        snapshot: seq,
        evaluation: seq + 1,
    }
}

pub(crate) fn change(seq: u64, at: i64, what: &'static str, detail: &str, by: Option<&str>) -> Change {
    Change {
        seq,
        time: day(at),
        what,
        detail: detail.to_owned(),
        by: by.map(str::to_owned),
    }
}

pub(crate) fn person(name: &str, roles: &[&'static str], overlap: bool) -> Person {
    Person {
        name: name.to_owned(),
        roles: roles.to_vec(),
        overlap,
    }
}
