//! Values on their way from JSON into CEL, how they are compared there, and how they are shown to people.

use cel::objects::Key;
use cel::{ExecutionError, Value as Cel};
use serde_json::Value;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// How much of one value a reason shows, in bytes.
const SHOWN: usize = 160;

/// JSON as CEL sees it: whole numbers are ints and never pass through a double.
pub(super) fn to_cel(value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(bool) => Cel::Bool(*bool),
        Value::Number(number) => number
            .as_i64()
            .map(Cel::Int)
            .or_else(|| number.as_u64().map(Cel::UInt))
            .or_else(|| number.as_f64().map(Cel::Float))
            .unwrap_or(Cel::Null),
        Value::String(text) => Cel::String(Arc::new(text.clone())),
        Value::Array(items) => Cel::List(Arc::new(items.iter().map(to_cel).collect())),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.as_str(), to_cel(value)))
            .collect::<HashMap<_, _>>()
            .into(),
    }
}

/// What type a value has, in CEL's words.
pub(super) fn type_name(value: &Cel) -> &'static str {
    match value {
        Cel::List(_) => "list",
        Cel::Map(_) => "map",
        Cel::Int(_) => "int",
        Cel::UInt(_) => "uint",
        Cel::Float(_) => "double",
        Cel::String(_) => "string",
        Cel::Bytes(_) => "bytes",
        Cel::Bool(_) => "bool",
        Cel::Duration(_) => "duration",
        Cel::Timestamp(_) => "timestamp",
        Cel::Null => "null",
        _ => "unsupported value",
    }
}

/// `==`. Plain CEL calls `"22" == 22` false and so `"22" != 22` true, which would let a test pass by a typing error:
/// here it is an error, and the finding unknown. Only null may be compared with anything.
pub(super) fn equals(left: &Cel, right: &Cel) -> Result<bool, ExecutionError> {
    match (left, right) {
        (Cel::Null, _) | (_, Cel::Null) => Ok(matches!((left, right), (Cel::Null, Cel::Null))),
        (Cel::List(left), Cel::List(right)) => {
            let items = left
                .iter()
                .zip(right.iter())
                .map(|(left, right)| equals(left, right));
            all(items).map(|same| same && left.len() == right.len())
        }
        (Cel::Map(left), Cel::Map(right)) => {
            if left.map.len() != right.map.len() || left.map.keys().any(|key| !right.map.contains_key(key)) {
                return Ok(false);
            }
            // Sorted, so that of several values that can't be compared always the same one is named.
            let mut keys: Vec<&Key> = left.map.keys().collect();
            keys.sort();
            all(keys
                .into_iter()
                .filter_map(|key| Some(equals(left.map.get(key)?, right.map.get(key)?))))
        }
        _ if type_name(left) == type_name(right) || (numeric(left) && numeric(right)) => Ok(left == right),
        _ => Err(mismatch("==", left, right)),
    }
}

/// `in`: an item of a list, or a key of a map. Items of another type are errors unless the item is found.
pub(super) fn is_in(item: &Cel, container: &Cel) -> Result<bool, ExecutionError> {
    match container {
        Cel::List(items) => {
            all(items.iter().map(|other| equals(item, other).map(|same| !same))).map(|none| !none)
        }
        Cel::Map(map) => match item {
            Cel::String(text) => Ok(map.map.contains_key(&Key::String(Arc::clone(text)))),
            _ => Err(mismatch("in", item, container)),
        },
        _ => Err(mismatch("in", item, container)),
    }
}

/// What a comprehension runs over: a list, or a map's keys, sorted. The interpreter's own order of a map's keys varies
/// from run to run, and with it the result of `map` and `filter`.
pub(super) fn items(range: Cel) -> Result<Cel, ExecutionError> {
    match range {
        Cel::List(_) => Ok(range),
        Cel::Map(map) => {
            let mut keys: Vec<Key> = map.map.keys().cloned().collect();
            keys.sort();
            Ok(Cel::List(Arc::new(keys.into_iter().map(Cel::from).collect())))
        }
        _ => Err(ExecutionError::UnexpectedType {
            got: type_name(&range).to_owned(),
            want: "list or map".to_owned(),
        }),
    }
}

/// Kleene's and: a false decides, whatever else can't be told.
fn all(terms: impl Iterator<Item = Result<bool, ExecutionError>>) -> Result<bool, ExecutionError> {
    let mut error = None;
    for term in terms {
        match term {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(found) => error = Some(found),
        }
    }
    error.map_or(Ok(true), Err)
}

fn numeric(value: &Cel) -> bool {
    matches!(value, Cel::Int(_) | Cel::UInt(_) | Cel::Float(_))
}

fn mismatch(operator: &str, left: &Cel, right: &Cel) -> ExecutionError {
    ExecutionError::no_such_overload(
        operator,
        vec![type_name(left).to_owned(), type_name(right).to_owned()],
    )
}

/// What went wrong, without the values: they may vary from run to run, and the interpreter prints maps in any order.
pub(super) fn describe(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => format!("no key {:?}", plain(key)),
        ExecutionError::NoSuchOverload(error) => error.to_string(),
        ExecutionError::UndeclaredReference(name) => format!("{name} is not declared"),
        ExecutionError::UnexpectedType { got, want } => format!("{got} where {want} is expected"),
        ExecutionError::FunctionError { function, .. } => format!("{function}() refuses its argument"),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "division by zero".to_owned()
        }
        ExecutionError::Overflow(operator, ..) => format!("overflow in {operator}"),
        ExecutionError::IndexOutOfBounds(_) => "index out of bounds".to_owned(),
        ExecutionError::DuplicateKey(_) => "a map names a key twice".to_owned(),
        ExecutionError::InvalidArgumentCount { expected, actual } => {
            format!("{actual} arguments where {expected} are expected")
        }
        _ => "values of types that do not go together".to_owned(),
    }
}

/// A value for a person, in one line: JSON, cut where it is long.
pub(super) fn show(value: &Value) -> String {
    cut(plain(&value.to_string()), SHOWN)
}

/// Foreign text for a person: whatever could move the cursor, hide or reorder text is escaped. The set is fixed here
/// and not the standard library's, so that the same evidence gives the same reason under every compiler.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let hidden = matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
        if c.is_control() || hidden {
            // Writing to a string can't fail.
            write!(out, "\\u{{{:x}}}", u32::from(c)).unwrap_or_default();
        } else {
            out.push(c);
        }
    }
    out
}

/// At most `length` bytes, an ellipsis where something is missing.
pub(super) fn cut(mut text: String, length: usize) -> String {
    if text.len() > length {
        text.truncate(text.floor_char_boundary(length - 3));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn whole_numbers_never_pass_through_a_double() {
        assert!(matches!(
            to_cel(&json!(9_007_199_254_740_993_i64)),
            Cel::Int(9_007_199_254_740_993)
        ));
        assert!(matches!(to_cel(&json!(0)), Cel::Int(0)));
        assert!(matches!(to_cel(&json!(u64::MAX)), Cel::UInt(u64::MAX)));
        assert!(matches!(to_cel(&json!(1.0)), Cel::Float(_)));
    }

    #[test]
    fn comparing_a_string_with_a_number_is_an_error_and_not_false() {
        let (text, number) = (to_cel(&json!("22")), to_cel(&json!(22)));
        assert!(equals(&text, &number).is_err());
        assert!(is_in(&text, &to_cel(&json!([22]))).is_err());
        assert_eq!(is_in(&text, &to_cel(&json!([22, "22"]))), Ok(true));
        assert_eq!(equals(&number, &to_cel(&json!(22.0))), Ok(true));
        assert_eq!(equals(&number, &Cel::Null), Ok(false));
        assert!(equals(&to_cel(&json!([1, "a"])), &to_cel(&json!([1, 2]))).is_err());
        assert_eq!(
            equals(&to_cel(&json!({"a": [1]})), &to_cel(&json!({"a": [2]}))),
            Ok(false)
        );
    }

    #[test]
    fn foreign_text_is_shown_without_control_characters() {
        assert_eq!(show(&json!("a\u{1b}[2J\u{202e}b")), "\"a\\u001b[2J\\u{202e}b\"");
        assert_eq!(plain("a\nb\u{9b}"), "a\\u{a}b\\u{9b}");
        assert!(show(&json!("ä".repeat(500))).len() <= SHOWN);
    }
}
