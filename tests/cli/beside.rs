//! A test that was worded otherwise within a period, as `evidenced period` and `evidenced report` tell of it.

use chrono::TimeDelta;
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
async fn a_test_that_was_made_milder_is_told_with_what_the_stricter_wording_says() {
    let place = Workplace::new();
    place.write("evidenced.toml", PERIOD);
    let mut bench = Bench::begun_at(&place.store(), RULES, HandClock::at("2026-03-01T10:00:00Z")).await;
    let mild = RULES.replace(
        "passes = \"resource.safe\"",
        "passes = \"resource.safe || resource.id == 'x'\"",
    );
    // x is unsafe at the second, the fourth and the fifth look, y at the fourth; the test is milder from the fourth on.
    for (look, [x, y]) in [
        [true, true],
        [false, true],
        [true, true],
        [false, false],
        [false, true],
    ]
    .into_iter()
    .enumerate()
    {
        if look == 3 {
            bench.rules(&mild).await;
        }
        bench.holds([("a", Answer::seen([thing("x", x), thing("y", y)]))]);
        bench.run().await;
        bench.clock.forward(TimeDelta::hours(12));
    }
    // The log goes on behind the last look: nobody could be asked.
    bench.world.lock().unwrap().answers = None;
    bench.run().await;
    let told = place.run(&["period", "march"]).ends(1).out;
    assert!(
        told.contains(
            "~ things-safe was worded in 2 ways: from 2026-03-01 10:00; from 2026-03-02 22:00 (passes)\n    \
             by that of 2026-03-01 10:00: 2 of 5 looks passed, 3 failed, covered 85.71 %; \
             2 findings fail that passed, on 1 resource\n    \
             by that of 2026-03-02 22:00: 4 of 5 looks passed, 1 failed, covered 85.71 %; \
             1 finding passes that failed, on 1 resource\n    \
             the stricter is that of 2026-03-01 10:00: of all that was observed, what passes by it passes by every other\n"
        ),
        "{told}"
    );
    let shown = place.run(&["period", "march", "--format", "json"]).ends(1).json();
    let beside = &shown["tests"][0]["beside"];
    assert_eq!(beside["comparison"], json!("stricter"));
    assert_eq!(beside["unreadable"], json!([]));
    let first = &beside["wordings"][0];
    assert_eq!(
        [&first["stricter"], &first["passes"]],
        [&json!(true), &json!("resource.safe")]
    );
    assert_eq!(first["fails_where_passed"]["named"][0]["resource"], json!("x"));
    assert_eq!(
        first["fails_where_passed"]["named"][0]["time"],
        json!("2026-03-02T22:00:00Z")
    );

    let folder = place.path("told").display().to_string();
    place
        .run(&["report", "--period", "march", "-o", &folder, "--format", "json"])
        .ends(0);
    let read = |name: &str| std::fs::read_to_string(place.path("told").join(name)).unwrap();
    let page = read("report.html");
    assert!(page.contains("What each wording says of the whole period"));
    assert!(page.contains("<strong>stricter</strong>") && page.contains("2 fail that passed"));
    let table = read("csv/wordings.csv");
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(
        table
            .lines()
            .nth(1)
            .unwrap()
            .contains(",\"stricter\",\"yes\",5,2,3,0,0,0,"),
        "{table}"
    );
}
