//! Names for populations: every kind of resource is one, and some have a name that people use. A population may also be a part
//! of a kind.

use evidenced_collector_api::Resource;
use serde_json::Value;

/// A population that has a name of its own.
#[derive(Clone, Copy, Debug)]
pub struct Named {
    /// What people call it.
    pub name: &'static str,
    /// What it is called in the log: its kind, or a name for the part of a kind that it is.
    pub of: &'static str,
    /// The kind of its resources.
    pub kind: &'static str,
    /// What the part is, where it is not the whole kind.
    pub part: Option<&'static str>,
}

const fn kind(name: &'static str, kind: &'static str) -> Named {
    Named {
        name,
        of: kind,
        kind,
        part: None,
    }
}

/// All of them.
pub const NAMED: [Named; 9] = [
    kind("pull-requests", "github.pull_request"),
    kind("commits", "github.commit"),
    Named {
        name: "direct-pushes",
        of: "github.direct_push",
        kind: "github.commit",
        part: Some("commits that no pull request is known to have brought"),
    },
    kind("force-pushes", "github.force_push"),
    kind("branches", "github.branch"),
    kind("repositories", "github.repository"),
    kind("users", "aws.iam.user"),
    kind("buckets", "aws.s3.bucket"),
    kind("accounts", "host.account"),
];

/// The entry for a population, by either name.
pub fn named(text: &str) -> Option<&'static Named> {
    NAMED.iter().find(|named| named.name == text || named.of == text)
}

/// Whether a resource of its kind belongs to a population. What is not known does not leave it out.
pub fn holds(of: &str, resource: &Resource) -> bool {
    let brought = resource.attributes.get("pull_requests").and_then(Value::as_array);
    of != "github.direct_push" || brought.is_none_or(Vec::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_commit_is_a_direct_push_unless_a_pull_request_is_known_to_have_brought_it() {
        let commit = |brought| Resource::new("github.commit", "c", "c", 0).with("pull_requests", brought);
        assert!(holds("github.direct_push", &commit(json!([]))));
        assert!(!holds("github.direct_push", &commit(json!([7]))));
        assert!(holds("github.commit", &commit(json!([7]))));
        let unknown: Result<Value, _> = Err("not allowed to look".to_owned());
        let unknown = Resource::new("github.commit", "c", "c", 0).with_result("pull_requests", unknown);
        assert!(holds("github.direct_push", &unknown));
    }

    #[test]
    fn a_population_is_found_by_either_name() {
        assert_eq!(named("users").unwrap().kind, "aws.iam.user");
        assert_eq!(named("github.direct_push").unwrap().kind, "github.commit");
        assert!(named("nothing").is_none());
    }
}
