//! `evidenced readiness`: what serves each criterion, what is missing, and how it stood on an earlier day.

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};

use crate::attaching;
use crate::workplace::Workplace;

fn criterion<'a>(json: &'a Value, number: &str) -> &'a Value {
    let criteria = json["criteria"].as_array().unwrap();
    criteria.iter().find(|each| each["criterion"] == number).unwrap()
}

fn days_ago(days: i64) -> chrono::DateTime<Utc> {
    evidenced::clock::system().now() - TimeDelta::days(days)
}

#[tokio::test]
async fn every_criterion_in_scope_is_gone_through_with_what_is_missing_and_who_mends_it() {
    let place = Workplace::new();
    drop(attaching::begun(&place, 15).await);
    let json = place.run(&["readiness", "--format", "json"]).ends(1).json();
    assert_eq!(
        (&json["ready"], &json["categories"]),
        (&json!(false), &json!(["security"]))
    );
    assert_eq!(json["criteria"].as_array().unwrap().len(), 33);
    let access = criterion(&json, "CC6.2");
    assert_eq!(
        (&access["state"], &access["since"]),
        (&json!("wanting"), &json!(null))
    );
    assert_eq!(
        access["gloss"],
        "access is registered before it is given, and removed"
    );
    let review = &access["controls"][0];
    assert_eq!(
        (&review["outcome"], &review["manual"]["state"]),
        (&json!("fail"), &json!("overdue"))
    );
    let missing = &access["missing"][0];
    assert_eq!(
        (&missing["control"], &missing["owner"]),
        (&json!("access-review"), &json!("security"))
    );
    assert_eq!(missing["by"], review["manual"]["due"]);
    let logical = criterion(&json, "CC6.1");
    assert_eq!(logical["since"]["seq"], 5);
    assert_eq!(logical["controls"][0]["tests"][0]["outcome"], "pass");
    let none = criterion(&json, "CC1.1");
    assert_eq!(none["state"], "no_control");
    assert_eq!(
        none["missing"],
        json!([{ "what": "no control serves it", "control": null, "owner": null, "by": null }])
    );

    let wide = [
        "readiness",
        "--category",
        "privacy",
        "--category",
        "availability",
        "--format",
        "json",
    ];
    let json = place.run(&wide).ends(1).json();
    assert_eq!(json["criteria"].as_array().unwrap().len(), 33 + 3 + 18);
    place.write(
        "evidenced.toml",
        &format!(
            "{}\n[[period]]\nname = \"h1\"\nfrom = \"2099-01-01\"\nto = \"2099-06-30\"\ncriteria = [\"CC6.*\", \"A1.2\"]\n",
            include_str!("../../config.example.toml")
        ),
    );
    let json = place
        .run(&["readiness", "--period", "h1", "--format", "json"])
        .ends(1)
        .json();
    assert_eq!(json["criteria"].as_array().unwrap().len(), 33 + 1);
    assert_eq!(criterion(&json, "A1.2")["missing"][0]["by"], "2099-06-30");
    assert_eq!(
        criterion(&json, "CC6.2")["missing"][0]["by"],
        missing["by"],
        "that is due before"
    );
    let ran = place.run(&["readiness", "--category", "secrecy"]).ends(2);
    assert!(
        ran.err.contains("no category \"secrecy\" is known"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("processing-integrity"), "{}", ran.err);
}

#[tokio::test]
async fn what_is_given_makes_a_criterion_ready_and_an_earlier_day_stays_as_it_was() {
    let place = Workplace::new();
    drop(attaching::begun(&place, 15).await);
    place.write("review.csv", "who\nzoë\n");
    let today = days_ago(0).format("%Y-%m-%d").to_string();
    let attach = |flag: &str, of: &str| {
        let arguments = [
            "attach",
            "review.csv",
            flag,
            of,
            "--title",
            "Review",
            "--covers",
            &today,
        ];
        let who = ["--prepared-by", "Ann Smith", "--approved-by", "Bob Jones"];
        place.run(&[arguments.as_slice(), &who].concat()).ends(0);
    };
    attach("--control", "access-review");
    attach("--control", "safe-things");
    attach("--criterion", "CC1.1");
    let json = place.run(&["readiness", "--format", "json"]).ends(1).json();
    for number in ["CC6.1", "CC6.2", "CC6.3"] {
        assert_eq!(criterion(&json, number)["state"], "ready", "{number}");
    }
    assert_eq!(criterion(&json, "CC6.2")["since"]["seq"], 6);
    // A file alone is no control.
    let ethics = criterion(&json, "CC1.1");
    assert_eq!(
        (&ethics["state"], &ethics["attachments"]),
        (&json!("no_control"), &json!([8]))
    );

    let day = days_ago(1).format("%Y-%m-%d").to_string();
    let before = place
        .run(&["readiness", "--at", &day, "--format", "json"])
        .ends(1)
        .json();
    let things = criterion(&before, "CC6.1");
    assert_eq!(
        (&things["state"], &things["since"]),
        (&json!("wanting"), &json!(null))
    );
    assert_eq!(
        things["controls"][0]["tests"][0]["reason"],
        "src, targets unknown: never observed"
    );
    assert_eq!(
        criterion(&before, "CC6.2")["controls"][0]["manual"]["newest"],
        json!(null)
    );

    let text = place.run(&["readiness"]).ends(1).out;
    assert!(
        text.contains("33 criteria in scope (Security)\n3 ready, 0 wanting, 30 without a control\n"),
        "{text}"
    );
    assert!(text.contains("\nCC6.1  ready       logical access: "), "{text}");
    let early = days_ago(20).format("%Y-%m-%d").to_string();
    let ran = place.run(&["readiness", "--at", &early]).ends(2);
    assert!(ran.err.contains("nothing had been planned by "), "{}", ran.err);
    let ran = place.run(&["readiness", "--at", "2999-01-01"]).ends(2);
    assert!(ran.err.contains("is still to come"), "{}", ran.err);
}
