//! The evidence that people owe in the half-year that is made up: given in time, late, when it was overdue, and not at all.

use chrono::TimeDelta;
use evidenced::control::Criterion;
use evidenced::log::leaf::{Acknowledgement, Days};
use evidenced::period::manual::{DueState, State};
use evidenced::period::response::{Said, Told};
use evidenced::summary::{
    AttachmentRow, BareRow, CalendarRow, ControlRow, DueRow, ManualRow, OverdueRow, PeriodResult, Summary,
};

use crate::made::{FORMULA, MARKUP, day, version};

/// A title as people write them.
pub(crate) const LONG: &str = "Quarterly review of access rights to production, staging, the data warehouse, the ticket system, the \
    source code hosting and every administrative console of our cloud providers, with the decisions of each system's owner \
    (2026-Q1_access-review_final_v3_signed.pdf)";

pub(crate) fn rows() -> Vec<ManualRow> {
    let mut reviewed = row("access-is-reviewed", "quarterly", Some("14d"), Some("120d"));
    reviewed.before = Some(attachment(
        310,
        -20,
        "access-is-reviewed",
        "Access review, fourth quarter",
    ));
    let mut first = attachment(7800, 88, "access-is-reviewed", LONG);
    (first.prepared_by, first.note) = (MARKUP.to_owned(), Some(FORMULA.to_owned()));
    reviewed.dues = vec![
        due(90, 14, DueState::OnTime, Some(first)),
        due(181, 14, DueState::Grace, None),
    ];
    reviewed.result = PeriodResult::Incomplete;
    reviewed.bare = vec![BareRow {
        from: day(100),
        to: day(103),
        seconds: 3 * 86_400,
        after: Some(310),
    }];
    (reviewed.covered_seconds, reviewed.coverage_percent) = (178 * 86_400, Some(98.34));
    reviewed.days = format!("{}G{}---{}", "c".repeat(88), "c".repeat(11), "c".repeat(78));
    reviewed.state = State::Current;

    let mut restored = row("restores-are-tried", "monthly", Some("5d"), None);
    let mut own = attachment(5300, 57, "restores-are-tried", "Restore test, February");
    (own.approved_by, own.self_approved) = (own.prepared_by.clone(), true);
    restored.dues = vec![
        due(
            31,
            5,
            DueState::Late,
            Some(attachment(
                4000,
                33,
                "restores-are-tried",
                "Restore test, January",
            )),
        ),
        due(59, 5, DueState::OnTime, Some(own)),
        due(
            90,
            5,
            DueState::MetOverdue,
            Some(attachment(8100, 104, "restores-are-tried", "Restore test, March")),
        ),
        due(120, 5, DueState::Overdue, None),
        due(151, 5, DueState::Overdue, None),
        due(181, 5, DueState::Ahead, None),
    ];
    restored.overdue = vec![
        overdue(90, 5, Some((104, 8100))),
        overdue(120, 5, None),
        overdue(151, 5, None),
    ];
    restored.overdue[0].acknowledged = vec![said(7900, 97)];
    restored.overdue[0].notified = Some(told(7890, 95));
    (restored.result, restored.state) = (PeriodResult::Deviations, State::Overdue);
    restored.further = vec![attachment(
        8200,
        105,
        "restores-are-tried",
        "Restore test, March: the logs",
    )];
    restored.days = format!(
        "{}G{}G{}{}Gc{}{}",
        "-".repeat(33),
        "c".repeat(23),
        "c".repeat(37),
        "O".repeat(9),
        "c".repeat(19),
        "O".repeat(56)
    );
    restored.bare = vec![BareRow {
        from: day(0),
        to: day(33),
        seconds: 33 * 86_400,
        after: None,
    }];
    (restored.covered_seconds, restored.coverage_percent) = (148 * 86_400, Some(81.76));

    let mut approved = row("policies-are-approved", "yearly", None, Some("400d"));
    approved.before = Some(attachment(
        12,
        -60,
        "policies-are-approved",
        "Information security policy, approved",
    ));
    approved.days = "c".repeat(181);

    let mut nothing = row("vendors-are-reviewed", "yearly", Some("30d"), Some("400d"));
    nothing.result = PeriodResult::NoEvidence;
    (nothing.state, nothing.covered_seconds, nothing.coverage_percent) = (State::Never, 0, Some(0.0));
    nothing.days = "-".repeat(181);
    nothing.bare = vec![BareRow {
        from: day(0),
        to: day(181),
        seconds: 181 * 86_400,
        after: None,
    }];
    vec![reviewed, approved, restored, nothing]
}

/// What the rows name, and what was attached to a criterion.
pub(crate) fn attachments() -> Vec<AttachmentRow> {
    let mut all = Vec::new();
    for row in rows() {
        all.extend(row.before);
        all.extend(row.dues.into_iter().filter_map(|due| due.given));
        all.extend(row.further);
    }
    let mut report = attachment(9300, 120, "", "SOC 2 report of the hoster");
    (report.controls, report.criteria) = (Vec::new(), vec!["CC9.2".to_owned()]);
    all.push(report);
    all.sort_by_key(|given| given.seq);
    all
}

pub(crate) fn controls() -> Vec<ControlRow> {
    let rows = rows().into_iter();
    rows.map(|row| {
        let (statement, criterion) = match row.control.as_str() {
            "access-is-reviewed" => ("Access rights are reviewed every quarter.", "CC6.2"),
            "restores-are-tried" => (
                "A backup is restored every month, and what was restored is compared.",
                "A1.3",
            ),
            "policies-are-approved" => ("Policies are approved by management every year.", "CC5.3"),
            _ => ("Vendors' reports are read every year.", "CC9.2"),
        };
        ControlRow {
            control: row.control.clone(),
            statement: statement.to_owned(),
            owner: row.owner.clone(),
            frequency: Some(row.calendars[0].every.clone()),
            criteria: vec![Criterion::parse(criterion).unwrap()],
            versions: vec![version(7, 0, None, &[])],
            tests: Vec::new(),
            result: row.result,
            deviations: row.overdue.len() as u64,
            open: row.open(),
            coverage_percent: row.coverage_percent,
        }
    })
    .collect()
}

/// Nothing but what people bring.
pub(crate) fn by_hand(mut summary: Summary) -> Summary {
    summary.period.name = Some("by-hand".to_owned());
    summary.controls = controls();
    summary.tests.clear();
    summary.evidence.clear();
    summary.deviations.clear();
    summary
}

fn row(control: &str, every: &str, grace: Option<&str>, max_age: Option<&str>) -> ManualRow {
    ManualRow {
        control: control.to_owned(),
        owner: "Head of Security".to_owned(),
        calendars: vec![CalendarRow {
            from: day(-200),
            until: None,
            every: every.to_owned(),
            timezone: Some("Europe/Berlin".to_owned()),
            grace: grace.map(str::to_owned),
            max_age: max_age.map(str::to_owned),
        }],
        result: PeriodResult::NoDeviations,
        state: State::Current,
        dues: Vec::new(),
        next: Some(day(273).date_naive()),
        overdue: Vec::new(),
        before: None,
        further: Vec::new(),
        bare: Vec::new(),
        covered_seconds: 181 * 86_400,
        of_seconds: 181 * 86_400,
        coverage_percent: Some(100.0),
        days: String::new(),
    }
}

/// Due at the end of a day, by its number.
fn due(at: i64, grace: i64, state: DueState, given: Option<AttachmentRow>) -> DueRow {
    let due = day(at) - TimeDelta::hours(i64::from(at > 90));
    DueRow {
        day: (due - TimeDelta::hours(3)).date_naive(),
        due,
        grace_ends: due + TimeDelta::days(grace),
        state,
        given,
    }
}

fn overdue(at: i64, grace: i64, ended: Option<(i64, u64)>) -> OverdueRow {
    let due = due(at, grace, DueState::Overdue, None);
    let to = ended.map(|(at, _)| day(at) + TimeDelta::hours(9));
    OverdueRow {
        day: Some(due.day),
        due: due.due,
        from: due.grace_ends,
        to,
        state: if to.is_some() { "given" } else { "open" },
        by: ended.map(|(_, seq)| seq),
        seconds: (to.unwrap_or(day(182)) - due.grace_ends).num_seconds(),
        open_at_start: false,
        open_at_end: to.is_none(),
        notified: None,
        acknowledged: Vec::new(),
    }
}

fn told(seq: u64, at: i64) -> Told {
    Told {
        seq,
        time: day(at) + TimeDelta::hours(1),
        alert: seq - 1,
        channel: "security-mail".to_owned(),
        phase: "notice".to_owned(),
    }
}

fn said(seq: u64, at: i64) -> Said {
    Said {
        seq,
        time: day(at) + TimeDelta::hours(8),
        what: Acknowledgement {
            alert: 7889,
            note: format!("restored on the 14th {MARKUP}"),
            ticket: Some("SEC-502".to_owned()),
            cause: Some("The one who does it was ill.".to_owned()),
            correction: Some("There is a deputy now.".to_owned()),
            response: None,
            recorded_by: "alice".to_owned(),
        },
    }
}

fn attachment(seq: u64, at: i64, control: &str, title: &str) -> AttachmentRow {
    let last = (day(at) + TimeDelta::hours(2)).date_naive();
    AttachmentRow {
        seq,
        time: day(at) + TimeDelta::hours(9),
        title: title.to_owned(),
        controls: vec![control.to_owned()],
        criteria: Vec::new(),
        covers: Days {
            from: last - TimeDelta::days(80),
            to: last,
        },
        file: "evidence.pdf".to_owned(),
        media_type: Some("application/pdf".to_owned()),
        size: Some(431_200),
        sha256: Some("0123456789abcdef".repeat(4)),
        prepared_by: "Ann Smith".to_owned(),
        approved_by: "Bob Jones".to_owned(),
        recorded_by: "ann".to_owned(),
        note: None,
        self_approved: false,
    }
}
