//! Which resources are out of scope.

use evidenced_collector_api::Resource;

use super::{Exclusion, TestId};

impl Exclusion {
    /// Whether it takes this resource out of this test's scope.
    pub fn excludes(&self, test: &TestId, source: &str, target: &str, resource: &Resource) -> bool {
        let same =
            |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        let like = |wanted: &Option<String>, found: &str| {
            wanted.as_deref().is_none_or(|wanted| matches(wanted, found))
        };
        self.test.as_ref().is_none_or(|wanted| wanted == test)
            && same(&self.kind, &resource.kind)
            && same(&self.source, source)
            && like(&self.target, target)
            && like(&self.resource, &resource.id)
    }
}

/// Whether the text fits the pattern: `*` is any run of characters, `?` any one, all else itself.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // The last star, and how far its run reaches: only the last one ever needs to grow, so this is no more than
    // quadratic.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == '?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, reach)) => {
                    star = Some((at, reach + 1));
                    p = at + 1;
                    t = reach + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_run_and_a_question_mark_any_one() {
        for (pattern, text) in [
            ("*", ""),
            ("a*c", "abbc"),
            ("a?c", "aéc"),
            ("/snap/*", "/snap/x/1"),
            ("*a*b", "xaab"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("", "a"),
            ("a", "ab"),
            ("?", ""),
            ("a*c", "ab"),
            ("[a]", "a"),
            ("A", "a"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn an_exclusion_must_fit_in_every_condition_it_gives() {
        let exclusion = Exclusion {
            reason: "snap images are read-only".to_owned(),
            kind: Some("host.mount".to_owned()),
            resource: Some("/snap/*".to_owned()),
            test: None,
            source: None,
            target: Some("web-?".to_owned()),
        };
        let test = TestId::parse("host-disk-encrypted").unwrap();
        let resource = Resource::new("host.mount", "/snap/core", "core", 0);
        assert!(exclusion.excludes(&test, "fleet", "web-1", &resource));
        assert!(!exclusion.excludes(&test, "fleet", "db-1", &resource));
        assert!(!exclusion.excludes(
            &test,
            "fleet",
            "web-1",
            &Resource::new("host.mount", "/data", "data", 0)
        ));
        assert!(!exclusion.excludes(
            &test,
            "fleet",
            "web-1",
            &Resource::new("host.disk", "/snap/core", "core", 0)
        ));
    }
}
