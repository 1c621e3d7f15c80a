//! A period's report as people and programs are handed it, of a summary that is made up: nothing left out, nothing run, the
//! same bytes each time, and documents that others' programs take.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "report/brought.rs"]
mod brought;
#[path = "report/findings.rs"]
mod findings;
#[path = "report/made.rs"]
mod made;
#[path = "report/populations.rs"]
mod populations;
#[path = "../collectors/aws/tests/moto/python.rs"]
mod python;
#[path = "report/rows.rs"]
mod rows;
#[path = "report/valid.rs"]
mod valid;

use evidenced::populations::handed::Handed;
use evidenced::report;
use evidenced::summary::Summary;
use evidenced::table::Table;

fn file(summary: &Summary, path: &str) -> String {
    let files = report::files(summary, handed(summary)).unwrap();
    let (_, bytes) = files.into_iter().find(|(name, _)| name == path).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// Populations, where the summary has anything at all.
fn handed(summary: &Summary) -> Handed {
    if summary.controls.is_empty() {
        Handed::default()
    } else {
        populations::handed()
    }
}

fn all() -> [(&'static str, Summary); 4] {
    [
        ("half-year", made::half_year()),
        ("unfinished", made::unfinished()),
        ("empty", made::empty()),
        ("by-hand", brought::by_hand(made::half_year())),
    ]
}

/// Leaves the reports in the folder that `EVIDENCED_REPORTS` names, for whoever wants to look.
#[test]
fn every_period_has_each_of_its_files() {
    let own = tempfile::tempdir().unwrap();
    let folder =
        std::env::var_os("EVIDENCED_REPORTS").map_or(own.path().to_owned(), std::path::PathBuf::from);
    for (name, summary) in all() {
        for (path, bytes) in report::files(&summary, handed(&summary)).unwrap() {
            let file = folder.join(name).join(path);
            let may_be_empty = file.extension().is_some_and(|extension| extension == "jsonl");
            assert!(may_be_empty || !bytes.is_empty(), "{}", file.display());
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, bytes).unwrap();
        }
        for path in [
            "report.html",
            "period.json",
            "csv/controls.csv",
            "oscal/assessment-results.json",
        ] {
            assert!(folder.join(name).join(path).exists(), "{name}: {path}");
        }
    }
}

#[test]
fn the_same_summary_gives_the_same_bytes() {
    for ((name, once), (_, again)) in all().into_iter().zip(all()) {
        assert!(
            report::files(&once, handed(&once)).unwrap() == report::files(&again, handed(&again)).unwrap(),
            "{name}"
        );
    }
}

#[test]
fn every_control_test_deviation_gap_and_change_is_on_the_page() {
    let summary = made::half_year();
    let page = file(&summary, "report.html");
    for control in &summary.controls {
        let place = format!("id=\"control-{}\"", control.control);
        assert_eq!(page.matches(&place).count(), 1, "{place}");
    }
    let tests = summary.tests.iter().filter(|test| test.test != made::MARKUP);
    for test in tests {
        let place = format!("id=\"test-{}\"", test.test);
        assert_eq!(page.matches(&place).count(), 1, "{place}");
        assert!(page.contains(&test.title));
    }
    for number in 1..=summary.deviations.len() {
        assert_eq!(
            page.matches(&format!("<tr id=\"D{number}\">")).count(),
            1,
            "D{number}"
        );
    }
    for failed in &summary.deviations {
        let way = format!("evidenced show {}<", failed.first_fail.evaluation);
        assert!(page.contains(&way), "{way}");
    }
    let gaps: usize = summary.evidence.iter().map(|row| row.holes.len()).sum();
    assert_eq!(page.matches("<tr id=\"G").count(), gaps);
    for change in &summary.changes {
        assert!(page.contains(&format!(">{}</code>", change.seq)));
    }
    assert!(page.contains(&summary.origin.replace('/', "&#x2f;")) && page.contains("52,814"));
}

#[test]
fn each_due_date_and_what_was_given_for_it_is_on_the_page_and_what_was_overdue_is_a_deviation() {
    let mut summary = made::half_year();
    let page = file(&summary, "report.html");
    for row in &summary.manual {
        let place = format!("id=\"manual-{}\"", row.control);
        assert_eq!(page.matches(&place).count(), 1, "{place}");
        assert!(page.contains(&format!("from 2026-01-01: {}\"", row.days)));
        for due in &row.dues {
            assert!(page.contains(&format!("<td class=\"nowrap\">{}</td>", due.day)));
        }
    }
    for given in &summary.attachments {
        assert_eq!(page.matches(&format!("id=\"A{}\"", given.seq)).count(), 1);
        assert!(page.contains(given.sha256.as_deref().unwrap()));
    }
    for number in 1..=3 {
        assert_eq!(page.matches(&format!("<tr id=\"M{number}\">")).count(), 1);
    }
    for words in [
        "6 due dates: 1 met on time, 1 late within its grace time, 1 given when it was overdue, 2 overdue, 1 still ahead.",
        "2 due dates: 1 met on time, 1 not given while its grace time runs.",
        "Nothing fell due; next by 2026-09-30.",
        "<span class=\"flag\">the same person</span>",
    ] {
        assert!(page.contains(words), "{words}");
    }
    for words in [
        "3 deviations noted, 2 open",
        "Incomplete: evidence is late, and its grace time runs",
        "No evidence: nothing was given, and nothing fell due",
    ] {
        assert!(page.contains(&format!(">{words}</span>")), "{words}");
    }
    assert!(
        page.contains("(15 deviations, 3 open)"),
        "twelve of tests and three of people"
    );
    summary.manual.clear();
    summary.attachments.clear();
    let without = file(&summary, "report.html");
    assert!(!without.contains("Evidence that people") && without.contains("nobody owes evidence for it"));
}

#[test]
fn what_each_wording_of_a_test_says_is_on_the_page_and_in_a_table() {
    let summary = made::half_year();
    let page = file(&summary, "report.html");
    for said in [
        "resource.age_days &lt; 2 * parameters.days",
        "days = 90",
        "<strong>stricter</strong>",
        "31 fail that passed</span>, on 2 resources: arn:aws:iam::1:user&#x2f;eve",
        "The stricter one is marked",
        "1 snapshot can't be judged again",
    ] {
        assert!(page.contains(said), "{said}");
    }
    let table = file(&summary, "csv/wordings.csv");
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(
        table.contains(",\"stricter\",\"yes\",181,147,34,0,0,0,"),
        "{table}"
    );
}

#[test]
fn every_day_of_every_source_is_shown_with_its_letter() {
    let summary = made::half_year();
    let page = file(&summary, "report.html");
    for (test, source) in summary
        .tests
        .iter()
        .flat_map(|test| test.sources.iter().map(move |source| (test, source)))
    {
        assert_eq!(source.all.days.len(), 181, "{}", test.test);
        assert!(
            page.contains(&format!("from 2026-01-01: {}\"", source.all.days)),
            "{}",
            test.test
        );
    }
    let sources: usize = summary.tests.iter().map(|test| test.sources.len()).sum();
    assert_eq!(
        page.matches("<i class=\"").count() - runs_and_key(&page),
        sources * 181
    );
}

/// What looks like a day of the strips and is none.
fn runs_and_key(page: &str) -> usize {
    let key = &page[page.find("<ul class=\"key\"").unwrap()..];
    let key = key[..key.find("</ul>").unwrap()].matches("<i class=\"").count();
    page.matches("style=\"flex:").count() + key
}

#[test]
fn the_page_needs_nothing_from_anywhere_and_runs_nothing() {
    for (name, summary) in all() {
        let page = file(&summary, "report.html");
        for foreign in [
            "http",
            "src=",
            "<script",
            "<link",
            "<iframe",
            "@import",
            "url(",
            "javascript:",
        ] {
            assert!(!page.contains(foreign), "{name}: {foreign}");
        }
    }
}

#[test]
fn names_stay_names_in_the_page_and_in_its_style_sheet() {
    let mut summary = made::unfinished();
    summary.period.name = Some("</style>\"; } body { display: none } /*".to_owned());
    let page = file(&summary, "report.html");
    assert!(page.contains("&lt;script&gt;alert(1)"));
    assert_eq!(page.matches("</style>").count(), 1);
    assert!(!page.contains("body { display: none }\"") && !page.contains("\"; } body"));
}

#[test]
fn a_draft_says_so_with_its_reasons_and_what_is_final_does_not() {
    let draft = file(&made::unfinished(), "report.html");
    assert!(
        draft.contains("class=\"mark\"") && draft.contains("<li>the period goes on until 2026-06-30</li>")
    );
    assert!(draft.contains("NOT ALL IS TOLD HERE"));
    let last = file(&made::half_year(), "report.html");
    assert!(!last.contains("class=\"mark\"") && !last.contains("DRAFT") && !last.contains("NOT ALL"));
}

#[test]
fn no_result_is_called_more_than_it_is() {
    for (name, summary) in all() {
        for (path, bytes) in report::files(&summary, handed(&summary)).unwrap() {
            let text = String::from_utf8(bytes).unwrap().to_lowercase();
            assert!(!text.contains("compliant"), "{name}/{path}");
        }
    }
    let page = file(&made::half_year(), "report.html");
    for words in [
        "3 deviations noted",
        "4 deviations noted, 1 open",
        "No deviations noted",
        "Incomplete: none noted where evidence speaks, which is not all of the time",
        "No evidence: nobody looked",
        "Not tested by a machine",
    ] {
        assert!(page.contains(&format!(">{words}</span>")), "{words}");
    }
    assert!(file(&made::empty(), "report.html").contains("nothing can be said of this period"));
}

#[test]
fn tables_have_a_row_for_each_and_no_cell_that_a_spreadsheet_runs() {
    let summary = made::half_year();
    let rows = |name: &str| {
        let text = file(&summary, &format!("csv/{name}.csv"));
        for cell in text.split(['\n', ',']) {
            let cell = cell.trim_start_matches(['"', '\u{feff}']);
            assert!(!cell.starts_with(['=', '+', '@']), "{name}: {cell}");
        }
        Table::read(text.as_bytes()).unwrap().rows
    };
    assert_eq!(rows("controls").len(), summary.controls.len());
    assert_eq!(rows("deviations").len(), summary.deviations.len());
    assert_eq!(rows("gaps").len(), 4);
    assert_eq!(rows("changes").len(), summary.changes.len());
    // Each due date, what counts at the start, what is further evidence, what fell due nowhere, and what has no calendar.
    assert_eq!(rows("manual").len(), 8 + 2 + 1 + 1 + 1);
    let overdue: Vec<_> = rows("manual")
        .into_iter()
        .filter(|row| !row.cells[7].is_empty())
        .map(|row| (row.cells[7].clone(), row.cells[6].clone(), row.cells[10].clone()))
        .collect();
    let told = |id: &str, state: &str, is: &str| (id.to_owned(), state.to_owned(), is.to_owned());
    let expected = [
        told("M1", "met_overdue", "given"),
        told("M2", "overdue", "open"),
        told("M3", "overdue", "open"),
    ];
    assert_eq!(overdue, expected);
    // Each source once for all targets together, each target, and what has no source.
    let tests = summary.tests.iter();
    let wanted: usize = tests
        .map(|test| {
            let of_source = test.sources.iter().map(|source| 1 + source.targets.len());
            of_source.sum::<usize>().max(1)
        })
        .sum();
    assert_eq!(rows("tests").len(), wanted);
    let formula = rows("deviations")
        .into_iter()
        .find(|row| row.cells[0] == "D5")
        .unwrap();
    assert_eq!(formula.cells[7], made::FORMULA);
}

#[test]
fn the_summary_goes_along_as_it_is() {
    let summary = made::unfinished();
    let told: serde_json::Value = serde_json::from_str(&file(&summary, "period.json")).unwrap();
    assert_eq!(told, serde_json::to_value(&summary).unwrap());
}
