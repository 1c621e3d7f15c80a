//! Joins a `[[control]]` with the control that it overrides, or makes a new one of it.

use super::{Join, no_such_test, note_overridden, set, values};
use crate::control::read::ControlEntry;
use crate::control::{Control, Rules};

impl Join<'_> {
    pub(super) fn control(&mut self, rules: &mut Rules, entry: ControlEntry) {
        let span = entry.id.span.clone();
        for test in entry.tests.iter().flatten() {
            if !rules.tests.iter().any(|known| known.id == test.value) {
                self.problems
                    .push(no_such_test(test.value.as_str(), test.span.clone()));
            }
        }
        if let Some(criteria) = entry
            .criteria
            .as_ref()
            .filter(|criteria| criteria.value.is_empty())
        {
            self.problem(
                &criteria.span,
                "the control serves no criterion",
                "name at least one, such as \"CC6.1\"",
            );
        }
        let known = rules
            .controls
            .iter()
            .position(|control| control.id == entry.id.value);
        if known.is_none() {
            // What people bring may serve it alone.
            let served = if entry.given.contains(&"manual") {
                "manual"
            } else {
                "tests"
            };
            let required = ["statement", "owner", "criteria", served];
            let what = format!("the control {}", entry.id.value);
            if !self.required(&span, &what, &entry.given, &required) {
                return;
            }
        }
        let mut control = known.map_or_else(
            || Control {
                id: entry.id.value.clone(),
                statement: String::new(),
                owner: String::new(),
                frequency: None,
                criteria: Vec::new(),
                tests: Vec::new(),
                manual: None,
                enabled: true,
                reason: None,
                shipped: self.shipped,
                overridden: Vec::new(),
            },
            |index| {
                let mut control = rules.controls[index].clone();
                note_overridden(&mut control.overridden, &entry.given);
                control
            },
        );
        set(&mut control.statement, entry.statement);
        set(&mut control.owner, entry.owner);
        set(&mut control.enabled, entry.enabled);
        set(&mut control.criteria, entry.criteria.map(|at| values(at.value)));
        set(&mut control.tests, entry.tests.map(values));
        control.manual = entry.manual.or(control.manual);
        control.frequency = entry.frequency.or(control.frequency);
        control.reason = entry.reason.or(control.reason);
        if !control.enabled && control.reason.is_none() {
            let message = format!("the control {} is switched off without a reason", control.id);
            self.problem(
                &span,
                message,
                "add `reason`: it stands in the plan, for the auditor",
            );
        }
        match known {
            Some(index) => rules.controls[index] = control,
            None => rules.controls.push(control),
        }
    }
}
