//! Tests and controls: what they are, where they come from, and how a snapshot's resources are judged by them.
//!
//! Pure: no input or output, no clock. The same rules and resources give the same findings for years, which is what
//! lets an auditor perform every test again from the sealed evidence.
//!
//! - [`Rules`]: tests, controls and exclusions, shipped ([`Rules::shipped`]) and the company's ([`Rules::with`]);
//! - [`Compiled`]: the tests, ready to run; [`Compiled::self_test`] runs their examples, [`Compiled::evaluate`] judges
//!   a snapshot;
//! - [`control_outcomes`]: what the newest evaluations say of each control.
//!
//! Unknown is never a pass: the module `expression` says how CEL is kept to that.

mod catalogue;
mod criterion;
mod evaluate;
mod expression;
mod judge;
mod manual;
mod model;
mod problem;
mod read;
mod scope;
mod toml_table;
mod value;

pub use catalogue::FILES;
pub use criterion::{Category, Criterion};
pub use evaluate::{Compiled, Evaluation, ExampleFailure, Finding, Observation, SelfTest, TestResult};
pub use judge::{Brought, ControlResult, Observed, Standing, control_outcomes};
pub use manual::Manual;
pub use model::{Control, ControlId, Example, Exclusion, MaxAge, Outcome, Rules, Severity, Test, TestId};
pub use problem::Problem;
