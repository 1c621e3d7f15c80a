//! What the fake holds to be true of branches' protection, in the words of our attributes.

use serde_json::{Value, json};
use std::collections::BTreeMap;

use crate::fake::Fake;

/// Branches by `owner/name:branch`.
pub(crate) type Truth = BTreeMap<String, Settings>;

/// Attributes: what is in force, and the sources that ask for it.
type Settings = BTreeMap<String, (Value, Vec<String>)>;

/// What must be found of each branch that is tested: its settings, by the names of our attributes, and their sources.
pub(crate) fn truth(fake: &Fake) -> Truth {
    let truth = fake.control("/_fake/truth", &Value::Null);
    let mut branches = BTreeMap::new();
    for (name, repository) in truth["repositories"].as_object().unwrap() {
        let out = |flag: &str| repository[flag] == true;
        if !name.starts_with("acme/") || out("archived") || out("vanishes") {
            continue;
        }
        for (branch, told) in repository["branches"].as_object().unwrap() {
            let tested = repository["default_branch"] == branch.as_str()
                || branch.starts_with("release/")
                || branch == "develop";
            if tested {
                branches.insert(format!("{name}:{branch}"), settings_of(told));
            }
        }
    }
    branches
}

fn settings_of(branch: &Value) -> Settings {
    const NAMES: &[(&str, &str)] = &[
        ("required_approvals", "required_approvals"),
        ("dismiss_stale", "dismiss_stale_reviews"),
        ("last_push_approval", "require_last_push_approval"),
        ("code_owner_review", "require_code_owner_review"),
        ("checks", "required_checks"),
        ("strict_checks", "strict_checks"),
        ("signatures", "require_signatures"),
        ("linear_history", "require_linear_history"),
        ("conversation_resolution", "require_conversation_resolution"),
        ("force_push_blocked", "allow_force_pushes"),
        ("deletion_blocked", "allow_deletions"),
        ("merge_queue", "merge_queue"),
    ];
    let source = |text: &Value| {
        let text = text.as_str().unwrap();
        let Some(name) = text.strip_prefix("ruleset ") else {
            return "classic".to_owned();
        };
        let mut rulesets = branch["rulesets"].as_array().unwrap().iter();
        let ruleset = rulesets.find(|ruleset| ruleset["name"] == name).unwrap();
        format!(
            "ruleset {} of {}",
            ruleset["id"],
            ruleset["source"].as_str().unwrap()
        )
    };
    let settings = &branch["settings"];
    let mut found: BTreeMap<_, _> = NAMES
        .iter()
        .map(|(theirs, ours)| {
            let setting = &settings[theirs];
            let value = match (*ours, &setting["value"]) {
                ("allow_force_pushes" | "allow_deletions", value) => json!(value != true),
                ("required_approvals", Value::Null) => json!(0),
                ("required_checks", Value::Null) => json!([]),
                (_, Value::Null) => json!(false),
                (_, value) => value.clone(),
            };
            let asked = value != json!(0) && value != json!([]);
            let sources = setting["sources"].as_array().into_iter().flatten();
            let mut sources: Vec<_> = sources.filter(|_| asked).map(source).collect();
            sources.sort();
            ((*ours).to_owned(), (value, sources))
        })
        .collect();
    let asks = settings.get("required_approvals").is_some();
    found.insert("pull_request_required".to_owned(), (json!(asks), Vec::new()));
    found
}
