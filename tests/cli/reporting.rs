//! `evidenced report`: a page, or a folder with everything, and nothing of what is there already is lost.

use serde_json::json;

use crate::fake::{Answer, Bench, HandClock, RULES, thing};
use crate::workplace::Workplace;

const PERIOD: &str = "\
[[period]]
name = \"march\"
from = \"2026-03-01\"
to = \"2026-03-31\"

[[source]]
name = \"here\"
type = \"host\"
[source.collectors.\"host.baseline\"]
schedule = \"0 * * * *\"
";

#[tokio::test]
async fn a_report_is_a_page_or_a_folder_that_was_empty() {
    let place = Workplace::new();
    place.write("evidenced.toml", PERIOD);
    let bench = Bench::begun_at(&place.store(), RULES, HandClock::at("2026-03-01T10:00:00Z")).await;
    bench.holds([("a", Answer::seen([thing("x", false)]))]);
    bench.run().await;
    let path = |name: &str| place.path(name).display().to_string();
    let (page, folder) = (path("march.html"), path("march"));
    let read = |name: &str| std::fs::read_to_string(name).unwrap();

    let told = place.run(&["report", "-o", &page]).ends(0);
    assert!(
        told.out.contains(&page) && told.out.contains("This is a draft: "),
        "{}",
        told.out
    );
    let written = read(&page);
    assert!(written.starts_with("<!doctype html>") && written.contains("DRAFT"));
    place.run(&["report", "-o", &page]).ends(0);
    assert_eq!(read(&page), written, "again, over the old one");

    let arguments = ["report", "--period", "march", "-o", &folder, "--format", "json"];
    let told = place.run(&arguments).ends(0).json();
    assert_eq!(told["files"].as_array().unwrap().len(), 9);
    assert_eq!(told["files"][0], json!(path("march/report.html")));
    assert_eq!(read(&path("march/report.html")), written);
    let period = place.run(&["period", "march", "--format", "json"]);
    assert_eq!(read(&path("march/period.json")), period.out);

    let refused = place.run(&arguments).ends(2);
    assert!(
        refused.err.contains("march is in the way\n  help: name a folder"),
        "{}",
        refused.err
    );
    let unknown = place.run(&["report", "--period", "merch", "-o", &page]).ends(2);
    assert!(unknown.err.contains("did you mean \"march\"?"), "{}", unknown.err);
}
