//! What an expression may call.

use cel::common::ast::operators;

/// What is evaluated as it is written.
pub(super) const OPERATORS: [&str; 15] = [
    operators::CONDITIONAL,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::ADD,
    operators::SUBSTRACT,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::MODULO,
    operators::NEGATE,
    operators::GREATER,
    operators::GREATER_EQUALS,
    operators::LESS,
    operators::LESS_EQUALS,
    operators::NOT_STRICTLY_FALSE,
];
/// Function, whether on a value (`x.f()`), least and most arguments. All are deterministic and read nothing. Parts of an
/// instant are UTC's: what a zone's clocks showed changes with the zone database.
pub(super) const FUNCTIONS: [(&str, bool, usize, usize); 25] = [
    ("size", false, 1, 1),
    ("size", true, 0, 0),
    ("contains", true, 1, 1),
    ("startsWith", true, 1, 1),
    ("endsWith", true, 1, 1),
    ("matches", true, 1, 1),
    ("matches", false, 2, 2),
    ("bool", false, 1, 1),
    ("int", false, 1, 1),
    ("uint", false, 1, 1),
    ("double", false, 1, 1),
    ("string", false, 1, 1),
    ("bytes", false, 1, 1),
    ("timestamp", false, 1, 1),
    ("duration", false, 1, 1),
    ("getFullYear", true, 0, 0),
    ("getMonth", true, 0, 0),
    ("getDate", true, 0, 0),
    ("getDayOfMonth", true, 0, 0),
    ("getDayOfWeek", true, 0, 0),
    ("getDayOfYear", true, 0, 0),
    ("getHours", true, 0, 0),
    ("getMinutes", true, 0, 0),
    ("getSeconds", true, 0, 0),
    ("getMilliseconds", true, 0, 0),
];
