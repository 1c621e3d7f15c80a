//! A matrix that goes out, is edited, and comes back.

use super::*;

const RULES: &str = r#"
[[control]]
id = "access-review"
statement = "=Access is reviewed, \"quarterly\"; by whoever grants it."
owner = "security"
frequency = "quarterly"
criteria = ["CC6.2", "CC6.3"]
manual = { every = "quarterly", timezone = "Europe/Berlin", grace = "14d", max_age = "200d" }

[[control]]
id = "hosts-patched"
owner = "platform"
"#;

fn rules() -> Rules {
    Rules::shipped().unwrap().with(RULES).unwrap()
}

/// The matrix as text, without the guards of a spreadsheet.
fn text(rules: &Rules) -> String {
    String::from_utf8(write(&rules.controls, Vec::new()).unwrap()).unwrap()
}

fn returned(text: &str, rules: &Rules) -> Result<Returned, Vec<Wrong>> {
    read(&Table::read(text.as_bytes()).unwrap(), rules, &rules.controls)
}

#[test]
fn what_goes_out_and_comes_back_unedited_changes_nothing() {
    let rules = rules();
    let back = returned(&text(&rules), &rules).unwrap();
    assert_eq!(
        (back.changed.len(), back.added.len(), back.absent.len()),
        (0, 0, 0)
    );
    assert!(text(&rules).contains("\"'=Access is reviewed"));
}

#[test]
fn against_the_shipped_rules_alone_it_gives_all_that_the_company_says() {
    let (rules, shipped) = (rules(), Rules::shipped().unwrap());
    let back = returned(&text(&rules), &shipped).unwrap();
    let ids = |ids: &[ControlId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(ids(&back.added), ["access-review"]);
    let again = shipped.with(&back.toml).unwrap();
    let by_id = |rules: &Rules, id: &str| {
        let mut found = rules
            .controls
            .iter()
            .find(|control| control.id.as_str() == id)
            .cloned()
            .unwrap();
        found.overridden.clear();
        found
    };
    for id in ["access-review", "hosts-patched"] {
        assert_eq!(by_id(&again, id), by_id(&rules, id));
    }
}

#[test]
fn an_edited_row_changes_what_was_edited_and_a_row_that_is_gone_changes_nothing() {
    let rules = rules();
    let edited =
        "control,owner,in force,reason\nhosts-patched,it,yes,\naccess-review,security,no,outsourced\n";
    let back = returned(edited, &rules).unwrap();
    assert_eq!(
        back.toml.split_once('\n').unwrap().1,
        "\n[[control]]\nid = \"hosts-patched\"\nowner = \"it\"\n\
         \n[[control]]\nid = \"access-review\"\nenabled = false\nreason = \"outsourced\"\n"
    );
    assert_eq!(back.absent.len(), rules.controls.len() - 2);
    let joined = rules.with(&back.toml).unwrap();
    let review = joined
        .controls
        .iter()
        .find(|control| control.id.as_str() == "access-review");
    assert!(!review.unwrap().enabled);
}

#[test]
fn what_is_wrong_is_told_with_its_line_and_column_all_at_once() {
    let rules = rules();
    let told = |text: &str| -> Vec<String> {
        returned(text, &rules)
            .unwrap_err()
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    assert_eq!(
        told("control,owner,criteria,tests,nature\nhosts-patched,,CC6.9,host-patchd,\nHosts,x,CC6.1,,\n"),
        [
            "line 2, column owner: it is empty: say it in words",
            "line 2, column criteria: \"CC6.9\" is no Trust Services Criterion (CC1.1 to CC9.2, A1.1 to A1.3, C1.1, C1.2, \
             PI1.1 to PI1.5, P1.1 to P8.1)",
            "line 2, column tests: there is no test \"host-patchd\"; did you mean host-patched?",
            "line 3, column control: the id \"Hosts\" is not kebab-case (lowercase letters, digits, single hyphens, a letter \
             first, at most 64)",
        ]
    );
    assert_eq!(
        told("control,remarks,onwer\nhosts-patched,a,b\n"),
        [
            "line 1, column remarks: there is no such column; nothing would keep it: remove it",
            "line 1, column onwer: there is no such column; did you mean \"owner\"?",
        ]
    );
    assert_eq!(
        told("control,nature\nhosts-patched,manual\n"),
        [
            "line 2, column nature: \"manual\" does not fit: the row names what makes it \"automated\". Tests make a control \
          automated, \"evidence due\" makes it manual"
        ]
    );
    let emptied = told("control,frequency,evidence due\naccess-review,,\n");
    assert!(
        emptied[0].starts_with("line 2, column frequency: it was said before"),
        "{emptied:?}"
    );
    assert!(
        emptied[1].starts_with("line 2, column evidence due: evidence was owed before"),
        "{emptied:?}"
    );
    let due = told("control,evidence due,grace\naccess-review,anually,2w\n");
    assert!(
        due[0].starts_with("line 2, column grace: \"2w\" is not a duration"),
        "{due:?}"
    );
    assert!(
        due[1].starts_with("line 2, column evidence due: \"anually\" is no calendar"),
        "{due:?}"
    );
    let twice = told("control,owner\nhosts-patched,a\nhosts-patched,b\n");
    assert_eq!(
        twice,
        ["line 3, column control: hosts-patched stands in an earlier row too"]
    );
    let off = told("control,in force\nhosts-patched,no\n");
    assert_eq!(
        off,
        ["line 2, column reason: it is not in force, and an auditor will ask why"]
    );
}
