//! Populations and samples that are made up: whole, with gaps, not read at all, changed, withheld, erased; and what is told of them.

use chrono::TimeDelta;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use evidenced::control::Exclusion;
use evidenced::period::deviation::Scope;
use evidenced::period::obtained::{Calls, Obtained, Reconciled, Values};
use evidenced::period::population::{Gap, What, Why};
use evidenced::period::span::Span;
use evidenced::populations::handed::{Drawn, Handed, Tabled};
use evidenced::populations::named::named;
use evidenced::populations::sealed::Listed;
use evidenced::populations::{Counts, Population};
use evidenced::summary::{DrawRow, SealedRow};
use evidenced::table::Table;
use serde_json::Value;

use crate::file;
use crate::made::{FORMULA, MARKUP, day, half_year, unfinished};

fn scope(source: &str, target: &str) -> Scope {
    Scope {
        collector: "github.pull_requests".to_owned(),
        source: source.to_owned(),
        target: target.to_owned(),
    }
}

fn gap(target: &str, from: i64, to: i64, what: What, leaves: &[u64]) -> Gap {
    Gap {
        scope: scope("acme", target),
        span: Span::new(day(from), day(to)),
        why: Why {
            happened: BTreeMap::from([(what, leaves.to_vec())]),
            ..Why::default()
        },
    }
}

fn calls(calls: u64, parameters: &[(&str, &[&str])]) -> Calls {
    let values = |values: &[&str]| Values {
        some: values.iter().map(ToString::to_string).collect(),
        more: false,
    };
    Calls {
        calls,
        pages: calls * 2,
        items: calls * 31,
        statuses: BTreeMap::from([("200".to_owned(), calls - 1), ("502".to_owned(), 1)]),
        dates: Some((day(0), day(180))),
        parameters: parameters
            .iter()
            .map(|(name, some)| ((*name).to_owned(), values(some)))
            .collect(),
    }
}

fn obtained(differ: u64) -> Rc<Obtained> {
    let operation = |operation: &str| ("graphql".to_owned(), operation.to_owned());
    Rc::new(Obtained {
        snapshots: 362,
        dates: Some((day(0) + TimeDelta::hours(6), day(180) + TimeDelta::hours(6))),
        incomplete: BTreeMap::from([(4711, MARKUP.to_owned())]),
        unreadable: BTreeSet::from([9001]),
        callers: BTreeMap::from([(
            r#"{"app":"evidenced-reader","installation":4411}"#.to_owned(),
            362,
        )]),
        bases: BTreeMap::from([(
            "every page was read, and the branch's ancestry agrees".to_owned(),
            361,
        )]),
        second_sources: BTreeMap::from([("commits on the branch by ancestry".to_owned(), 361)]),
        reconciled: Reconciled {
            snapshots: 361,
            expected: 5210 + differ,
            read: 5210,
            differ,
        },
        calls: BTreeMap::from([
            (
                operation("pullRequests"),
                calls(
                    362,
                    &[
                        ("states", &["\"MERGED\""]),
                        (
                            "query",
                            &[
                                "\"query($owner: String!) { repository(owner: $owner) { pullRequests(first: 50) { nodes { number mergedAt } } } }\"",
                            ],
                        ),
                    ],
                ),
            ),
            (
                operation("compare"),
                calls(
                    1204,
                    &[
                        ("base", &["\"a\"", "\"b\"", "\"c\"", "\"d\"", "\"e\""]),
                        ("of", &[MARKUP]),
                    ],
                ),
            ),
        ]),
    })
}

fn population(of: &str, count: u64, gaps: Vec<Gap>, obtained: &Rc<Obtained>) -> Tabled {
    let named = named(of);
    Tabled {
        population: Population {
            of: of.to_owned(),
            name: named.map(|named| named.name),
            part: named.and_then(|named| named.part),
            collector: "github.pull_requests".to_owned(),
            period: Span::new(day(0), day(181)),
            now: day(182),
            leaves: 52_814,
            only_sources: BTreeSet::new(),
            is_events: true,
            items: Vec::new(),
            counts: Counts {
                items: count,
                changed: 3,
                late: 1,
                ..Counts::default()
            },
            gaps,
            read: count + count / 10,
            targets: ["acme/api", "acme/web", FORMULA]
                .map(|target| scope("acme", target))
                .into(),
            reach: None,
            obtained: Rc::clone(obtained),
            exclusions: Vec::new(),
        },
        table: format!("\u{feff}\"n\",\"id\"\r\n1,\"{of}\"\r\n").into_bytes(),
    }
}

/// What is handed over of the half-year.
pub(crate) fn handed() -> Handed {
    let (github, aws) = (obtained(0), obtained(2));
    let failed = || {
        gap(
            "acme/web",
            80,
            81,
            What::Failure("rate_limited".to_owned()),
            &[20_411],
        )
    };
    let missed = |target| {
        gap(
            target,
            41,
            46,
            What::Missed("the daemon was not running".to_owned()),
            &[11_007],
        )
    };
    let gaps = || vec![missed("acme/api"), missed("acme/web"), failed()];
    let mut users = population("aws.iam.user", 57, Vec::new(), &aws);
    (users.population.is_events, users.population.collector) = (false, "aws.iam.mfa".to_owned());
    users.population.exclusions = vec![Exclusion {
        reason: MARKUP.to_owned(),
        resource: Some("arn:aws:iam::111122223333:user/break-glass".to_owned()),
        ..exclusion()
    }];
    let nobody = Rc::new(Obtained::default());
    let mut accounts = population("host.account", 0, Vec::new(), &nobody);
    (accounts.population.collector, accounts.population.read) = ("host.baseline".to_owned(), 0);
    accounts.population.counts = Counts::default();
    accounts.population.targets.clear();
    let items = [32, 5].map(|n| Listed {
        n,
        id: if n == 5 {
            FORMULA.to_owned()
        } else {
            format!("acme/api#{n}")
        },
        source: "acme".to_owned(),
        target: "acme/api".to_owned(),
        at: Some("2026-03-02T11:00:00.000Z".to_owned()),
        first_seen: "2026-03-02T12:00:00.000Z".to_owned(),
        last_seen: "2026-03-02T12:00:00.000Z".to_owned(),
        gone: None,
        snapshot: 20_400,
    });
    Handed {
        populations: vec![
            users,
            population("github.commit", 4903, gaps(), &github),
            population("github.direct_push", 5, gaps(), &github),
            population("github.pull_request", 1873, gaps(), &github),
            accounts,
        ],
        drawn: BTreeMap::from([
            (52_001, Drawn::Items(items.to_vec())),
            (52_003, Drawn::Withheld),
            (52_005, Drawn::Unreadable),
        ]),
    }
}

fn exclusion() -> Exclusion {
    serde_json::from_str(r#"{"reason":"x"}"#).unwrap()
}

pub(crate) fn sealed() -> Vec<SealedRow> {
    let row = |seq, of: &str, count, gaps, over| SealedRow {
        seq,
        time: day(181) + TimeDelta::hours(9),
        population: of.to_owned(),
        name: named(of).map(|named| named.name),
        period: Some("2026-h1".to_owned()),
        from: day(0),
        to: day(181),
        sources: Vec::new(),
        count,
        targets: 3,
        snapshots: 362,
        incomplete: 1,
        gaps,
        over,
        recorded_by: MARKUP.to_owned(),
    };
    vec![
        row(52_000, "github.pull_request", 1873, 3, true),
        row(52_002, "aws.iam.user", 57, 0, false),
    ]
}

pub(crate) fn draws() -> Vec<DrawRow> {
    let row = |sample, of: Option<&str>, drawn: u64, positions: Option<&[u64]>, draw| DrawRow {
        sample,
        time: day(181) + TimeDelta::hours(10),
        population: sample - 1,
        of: of.map(str::to_owned),
        from: of.map(|_| day(0)),
        to: of.map(|_| day(181)),
        sources: of.map(|_| Vec::new()),
        count: of.map(|_| 1873),
        method: "sha256-smallest".to_owned(),
        seed: FORMULA.to_owned(),
        size: drawn,
        basis: "more than 365 items, as of a control per event: usually 25".to_owned(),
        drawn,
        draw,
        positions: positions.map(<[u64]>::to_vec),
        drawn_by: "alice".to_owned(),
        note: Some(MARKUP.to_owned()),
    };
    vec![
        row(52_001, Some("github.pull_request"), 2, Some(&[32, 5]), 1),
        row(52_003, Some("aws.iam.user"), 57, None, 2),
        row(52_005, None, 3, Some(&[3, 1, 2]), 1),
    ]
}

#[test]
fn every_population_has_its_list_and_its_statement_as_files() {
    let summary = half_year();
    for (name, of, count) in [
        ("users", "aws.iam.user", 57),
        ("commits", "github.commit", 4903),
        ("direct-pushes", "github.direct_push", 5),
        ("pull-requests", "github.pull_request", 1873),
        ("accounts", "host.account", 0),
    ] {
        let table = file(&summary, &format!("populations/{name}.csv"));
        assert_eq!(table, format!("\u{feff}\"n\",\"id\"\r\n1,\"{of}\"\r\n"));
        let told: Value = serde_json::from_str(&file(&summary, &format!("populations/{name}.json"))).unwrap();
        let about = &told["populations"][0];
        assert_eq!(
            (about["population"].as_str(), about["count"].as_u64()),
            (Some(of), Some(count))
        );
        assert!(about.get("items").is_none() && told["origin"] == "acme.example/1a2b3c4d");
    }
}

#[test]
fn a_population_whose_name_is_taken_is_called_by_its_collector_too() {
    let mut handed = handed();
    handed.populations[1].population.of = "aws.iam.user".to_owned();
    handed.populations[1].population.name = Some("users");
    handed.populations[2].population.name = None;
    handed.populations[2].population.of = "../evil kind".to_owned();
    let files = evidenced::report::files(&half_year(), handed).unwrap();
    let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
    for name in ["users.csv", "users.github.pull_requests.csv", "_evil_kind.json"] {
        assert!(
            names.contains(&format!("populations/{name}").as_str()),
            "{names:?}"
        );
    }
}

#[test]
fn every_draw_has_a_row_for_each_item_or_says_why_it_has_none() {
    let text = file(&half_year(), "csv/samples.csv");
    let table = Table::read(text.as_bytes()).unwrap();
    let column = |name: &str| table.columns.iter().position(|column| column == name).unwrap();
    let told: Vec<[&str; 6]> = table
        .rows
        .iter()
        .map(|row| {
            ["sample", "items", "order", "n", "id", "draw"].map(|name| row.cells[column(name)].as_str())
        })
        .collect();
    assert_eq!(
        told,
        [
            ["52001", "listed", "1", "32", "acme/api#32", "1"],
            ["52001", "listed", "2", "5", FORMULA, "1"],
            ["52003", "withheld", "", "", "", "2"],
            ["52005", "unreadable", "1", "3", "", "1"],
            ["52005", "unreadable", "2", "1", "", "1"],
            ["52005", "unreadable", "3", "2", "", "1"],
        ]
    );
    assert_eq!(table.rows[0].cells[column("seed")], FORMULA);
    assert!(text.contains("\"'=cmd") && !text.contains(",\"=cmd"), "{text}");
}

#[test]
fn the_page_tells_of_every_population_what_is_missing_and_how_it_was_obtained() {
    let page = file(&half_year(), "report.html");
    let section = &page[page.find("id=\"populations\"").unwrap()..page.find("id=\"changes\"").unwrap()];
    for words in [
        "<strong>pull-requests</strong>",
        "1,873",
        "commits that no pull request is known to have brought",
        "populations/direct-pushes.csv",
        "3 gaps</span>, 11 d over all targets",
        "No gap</td>",
        "Nobody looked",
        // Once, for the three kinds that a collector yields.
        "<td>commits, direct-pushes, pull-requests</td><td>2 targets of acme</td>",
        "ticks were missed (the daemon was not running; leaf 11007)",
        "5,210 resources of all kinds read, 5,210 expected by the second count, over 361 snapshots: all agree",
        "2 differ",
        "evidenced-reader",
        "commits on the branch by ancestry",
        "5 values, such as",
        "200 ×1,203, 502 ×1",
        "There is no snapshot of this time.",
        "not over then",
        "number 2",
        "Items withheld: out of scope",
        "Items can&#x27;t be read any more",
        "more than 365 items, as of a control per event: usually 25",
        "break-glass not tested: &lt;script&gt;",
    ] {
        assert!(section.contains(words), "{words}\n{section}");
    }
    assert_eq!(section.matches("11007").count(), 1, "told once");
    assert!(!section.contains("The period is not over"));
    let mut now = handed();
    for of in &mut now.populations {
        of.population.now = day(120);
    }
    let page = evidenced::report::html(&unfinished(), &now).unwrap();
    assert!(page.contains("No gap so far<br>") && page.contains("The period is not over"));
}

#[test]
fn where_nothing_was_collected_the_page_says_so() {
    let page = file(&crate::made::empty(), "report.html");
    for words in [
        "there is nothing to draw from",
        "nothing has been drawn from a list that was fixed before",
        "Nothing was drawn.",
    ] {
        assert!(page.contains(words), "{words}");
    }
}
