//! CEL in three values: true, false, unknown.
//!
//! The interpreter has two, and errors. It already combines errors as Kleene combines unknowns: `&&`, `||`, `all` and
//! `exists` forgive an error whose value could not matter, everything else passes it on. So an attribute that is not
//! known is left out of `resource`, touching it is an error, and an error is unknown. What remains is to close the
//! ways by which an absent attribute could give a plain true or false; the expression is checked and rewritten
//! once, before it is ever evaluated:
//! - `resource` is only ever the left side of `.attribute` or `["attribute"]`: not compared, sized, searched with `in`,
//!   iterated over or passed on. The same for `parameters`, whose names must exist.
//! - `has(x.y)` is true or unknown, never false.
//! - `==`, `!=` and `in` between types that can't be equal are errors (see `value`).
//! - Optional syntax, `type`, `dyn`, messages and undeclared names and functions are refused.
//!
//! The value of a known attribute is known in full: `"k" in resource.tags` is a plain true or false.
//!
//! An expression always ends: there are no loops but over lists, nested at most twice, and the interpreter's regular
//! expressions take linear time. It recurses, though, so length and depth are limited, and should it panic on a
//! resource, the finding is unknown: the daemon would meet the same resource again at its next start.

mod check;
mod functions;

use cel::common::ast::IdedExpr;
use cel::{Context, Env, ExecutionError, Value as Cel};
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::value::{describe, equals, is_in, items, to_cel, type_name};

pub(super) use check::Fault;

/// A checked expression: a conjunction, so that a failure can name the part that does not hold.
#[derive(Clone, Debug)]
pub(super) struct Expression {
    pub(super) clauses: Vec<Clause>,
}

/// One term of it.
#[derive(Clone, Debug)]
pub(super) struct Clause {
    program: IdedExpr,
    /// Attributes that it touches, in the order of their first use.
    pub(super) attributes: Vec<String>,
    /// Parameters likewise.
    pub(super) parameters: Vec<String>,
}

/// What a clause says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Truth {
    True,
    False,
    /// Without a reason where the touched attributes that are not known are reason enough.
    Unknown(Option<String>),
}

/// What an expression may see, except the resource.
pub(super) struct Machine<'a> {
    root: Context<'a, 'a>,
}

/// What it sees of the resource and the time.
pub(super) struct Scene<'a> {
    pub(super) attributes: &'a BTreeMap<&'a str, &'a Value>,
    pub(super) parameters: &'a BTreeMap<String, Value>,
    pub(super) now: DateTime<Utc>,
}

impl Expression {
    /// Checks and rewrites an expression; `parameters` are the names that exist.
    pub(super) fn compile(source: &str, parameters: &[&str]) -> Result<Self, Vec<Fault>> {
        let clauses = check::compile(source, parameters)?
            .into_iter()
            .map(|checked| Clause {
                program: checked.program,
                attributes: checked.attributes,
                parameters: checked.parameters,
            })
            .collect();
        Ok(Self { clauses })
    }

    /// Each attribute that any clause touches, once.
    pub(super) fn attributes(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for name in self.clauses.iter().flat_map(|clause| &clause.attributes) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        names
    }

    /// Whether any clause uses the parameter.
    pub(super) fn uses(&self, parameter: &str) -> bool {
        self.clauses
            .iter()
            .any(|clause| clause.parameters.iter().any(|name| name == parameter))
    }
}

impl Machine<'_> {
    pub(super) fn new(env: &Arc<Env>) -> Self {
        let mut root = Context::with_env(Arc::clone(env));
        let added = [
            root.add_function(check::EQUALS, |a: Cel, b: Cel| equals(&a, &b)),
            root.add_function(check::DIFFERS, |a: Cel, b: Cel| equals(&a, &b).map(|same| !same)),
            root.add_function(check::IN, |a: Cel, b: Cel| is_in(&a, &b)),
            root.add_function(check::ITEMS, items),
        ];
        // A name that was taken would leave the function undeclared, and what calls it unknown.
        debug_assert!(added.iter().all(Result::is_ok), "{added:?}");
        Self { root }
    }

    /// What the clause says of the resource.
    pub(super) fn evaluate(&self, clause: &Clause, scene: &Scene<'_>) -> Truth {
        let mut context = self.root.new_inner_scope();
        let resource: HashMap<&str, Cel> = clause
            .attributes
            .iter()
            .filter_map(|name| Some((name.as_str(), to_cel(scene.attributes.get(name.as_str())?))))
            .collect();
        let parameters: HashMap<&str, Cel> = clause
            .parameters
            .iter()
            .filter_map(|name| Some((name.as_str(), to_cel(scene.parameters.get(name)?))))
            .collect();
        context.add_variable_from_value("resource", resource);
        context.add_variable_from_value("parameters", parameters);
        context.add_variable_from_value("now", Cel::Timestamp(scene.now.fixed_offset()));
        match catch_unwind(AssertUnwindSafe(|| context.resolve(&clause.program))) {
            Ok(Ok(Cel::Bool(true))) => Truth::True,
            Ok(Ok(Cel::Bool(false))) => Truth::False,
            Ok(Ok(other)) => {
                Truth::Unknown(Some(format!("it gives {}, not true or false", type_name(&other))))
            }
            Ok(Err(error)) => Truth::Unknown(reason(clause, scene, &error)),
            Err(_) => Truth::Unknown(Some("the interpreter broke on it".to_owned())),
        }
    }
}

/// None where the error is that of an attribute that is not known.
fn reason(clause: &Clause, scene: &Scene<'_>, error: &ExecutionError) -> Option<String> {
    match error {
        ExecutionError::NoSuchKey(key)
            if clause.attributes.contains(key) && !scene.attributes.contains_key(key.as_str()) =>
        {
            None
        }
        error => Some(describe(error)),
    }
}

#[cfg(test)]
mod tests;
