//! Which rules and which resources are out of scope.

use evidenced_collector_api::Resource;

use super::{Control, Exclusion, Rules, Test, TestId};

impl Rules {
    /// These rules without what came with this program for vendors that the company does not use: controls none of
    /// whose tests is on a kind that a configured collector yields, and the tests that only they need. What the
    /// company wrote stays, a control of which it changed a field too: where nobody can observe that, it is unknown.
    #[must_use]
    pub fn in_scope(mut self, kinds: &[&str]) -> Self {
        let observed = |test: &Test| kinds.contains(&test.resource.as_str());
        let tests = &self.tests;
        self.controls.retain(|control| {
            let serves = |test: &&Test| control.tests.contains(&test.id);
            !is_as_shipped(control) || tests.iter().filter(serves).any(observed)
        });
        let controls = &self.controls;
        self.tests.retain(|test| {
            observed(test) || !test.shipped || controls.iter().any(|control| control.tests.contains(&test.id))
        });
        self
    }
}

fn is_as_shipped(control: &Control) -> bool {
    control.shipped && control.overridden.is_empty()
}

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

    const HOST: [&str; 2] = ["host.mount", "host.account"];

    fn ids(rules: &Rules) -> (Vec<&str>, Vec<&str>) {
        (
            rules.controls.iter().map(|control| control.id.as_str()).collect(),
            rules.tests.iter().map(|test| test.id.as_str()).collect(),
        )
    }

    #[test]
    fn what_ships_for_vendors_that_are_not_used_is_out_of_scope() {
        let rules = Rules::shipped().unwrap().in_scope(&HOST);
        assert_eq!(
            ids(&rules),
            (
                vec!["data-at-rest-encrypted", "host-accounts-authorised"],
                vec!["host-disk-encrypted", "host-accounts-expected"]
            )
        );
        let rules = Rules::shipped().unwrap().in_scope(&["aws.organization.account"]);
        assert_eq!(
            ids(&rules),
            (vec!["cloud-accounts-observed"], vec!["aws-accounts-covered"])
        );
    }

    #[test]
    fn numbers_for_a_vendor_that_is_not_used_bring_nothing_into_scope() {
        let text = "[[test]]\nid = \"aws-key-age\"\nparameters = { max_age_days = 60 }\n";
        let rules = Rules::shipped().unwrap().with(text).unwrap();
        assert_eq!(ids(&rules.in_scope(&HOST)).0.len(), 2);
    }

    #[test]
    fn what_the_company_says_itself_stays_in_scope_though_nobody_observes_it() {
        let text = r#"
            [[control]]
            id = "access-keys-renewed"
            owner = "alice"
            [[control]]
            id = "our-second-factors"
            statement = "We have second factors."
            owner = "bob"
            criteria = ["CC6.1"]
            tests = ["aws-console-mfa"]
            [[test]]
            id = "thing-on"
            title = "The thing is on"
            doc = "Whether the thing is on."
            resource = "acme.thing"
            passes = "resource.on"
            severity = "low"
            example = [{ given = { on = true }, outcome = "pass" }, { given = { on = false }, outcome = "fail" }]
        "#;
        let rules = Rules::shipped().unwrap().with(text).unwrap().in_scope(&[]);
        assert_eq!(
            ids(&rules),
            (
                vec!["access-keys-renewed", "our-second-factors"],
                vec!["aws-console-mfa", "aws-key-age", "thing-on"]
            )
        );
    }

    /// Else a control would be half in scope, and unknown for a vendor that is not used.
    #[test]
    fn a_shipped_control_rests_on_kinds_of_one_collector() {
        let rules = Rules::shipped().unwrap();
        for control in &rules.controls {
            assert!(is_as_shipped(control), "{}", control.id);
            let tests = rules.tests.iter().filter(|test| control.tests.contains(&test.id));
            let families: std::collections::BTreeSet<_> = tests
                .filter_map(|test| test.resource.rsplit_once('.'))
                .map(|(family, _)| family)
                .collect();
            assert_eq!(families.len(), 1, "{}: {families:?}", control.id);
        }
    }

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
