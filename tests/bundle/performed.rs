//! Every snapshot judged again from the bundle alone.

use serde_json::json;

use crate::exported::{bundle, export};
use crate::workplace::forge_newest;

#[tokio::test]
async fn every_evaluation_comes_out_the_same() {
    let (place, _) = bundle().await;
    let shown = place
        .run(&["reperform", "bundle/", "--format", "json"])
        .ends(0)
        .json();
    assert_eq!(shown["same"], json!(true));
    assert_eq!(
        shown["evaluations"],
        json!({ "same": 10, "different": 0, "not_performed": 0, "unjudged": 0 }),
        "{shown}"
    );
    // Two tests on three things, and of the 3 March on two.
    assert_eq!(shown["findings"], json!(10 * 6 - 3 * 2));
    export(&place, "bundle.zip", &[]);
    let ran = place.run(&["reperform", "bundle.zip"]).ends(0);
    assert!(
        ran.out
            .contains("10 evaluations performed again with 54 findings, the same"),
        "{}",
        ran.out
    );
}

#[tokio::test]
async fn what_is_withheld_is_named_and_never_counts_as_the_same() {
    let (place, _) = bundle().await;
    export(&place, "narrow/", &["--control", "by-hand"]);
    let shown = place
        .run(&["reperform", "narrow/", "--format", "json"])
        .ends(0)
        .json();
    assert_eq!(
        shown["evaluations"],
        json!({ "same": 0, "different": 0, "not_performed": 10, "unjudged": 0 })
    );
    assert_eq!(
        shown["not_performed"][0]["why"],
        json!("its findings are not in the bundle")
    );
    let ran = place.run(&["reperform", "narrow/"]).ends(0);
    assert!(
        ran.out.contains("nothing could be performed again"),
        "{}",
        ran.out
    );
}

#[tokio::test]
async fn a_judgement_that_was_made_up_is_found() {
    let place = crate::workplace::Workplace::new();
    let bench = crate::fake::Bench::new(&place.store()).await;
    bench.holds([("a", crate::fake::Answer::seen([crate::fake::thing("x", false)]))]);
    bench.run().await;
    drop(bench);
    // By who has the key: the log is whole, and says what the evidence does not.
    forge_newest(&place.store(), |leaf| {
        leaf.replace("\"outcome\":\"fail\"", "\"outcome\":\"pass\"")
            .replace("\"pass\":0,\"fail\":1", "\"pass\":1,\"fail\":0")
    });
    place
        .run(&["export", "-o", "b/", "--from", "2026-03-01", "--to", "2026-03-02"])
        .ends(0);
    place.run(&["verify", "b/"]).ends(0);
    let shown = place.run(&["reperform", "b/", "--format", "json"]).ends(4).json();
    assert_eq!(
        [&shown["same"], &shown["evaluations"]["different"]],
        [&json!(false), &json!(1)]
    );
    let difference = &shown["differences"][0];
    assert_eq!(
        [&difference["seq"], &difference["test"]],
        [&json!(4), &json!("things-safe")],
        "{shown}"
    );
    let ran = place.run(&["reperform", "b/"]).ends(4);
    assert!(
        ran.out.contains("DIFFER") && ran.out.contains("\"outcome\":\"pass\""),
        "{}",
        ran.out
    );
}

#[tokio::test]
async fn a_bundle_that_does_not_verify_is_not_performed() {
    let (place, folder) = bundle().await;
    std::fs::remove_file(folder.join("log/key")).unwrap();
    let ran = place.run(&["reperform", "bundle/"]).ends(4);
    assert!(
        ran.out.contains("NOT INTACT") && ran.out.contains("log/key is missing"),
        "{}",
        ran.out
    );
}
