//! Reads a TOML table field by field, so that every mistake in a file is reported, each with its place.

use chrono::{DateTime, Utc};
use serde_json::{Number, Value};
use std::collections::BTreeMap;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Problem;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
}

/// One table of the file, and where its mistakes are gathered.
pub(super) struct Table<'d, 'p, 't> {
    entries: &'d DeTable<'t>,
    pub(super) span: Range<usize>,
    pub(super) problems: &'p mut Vec<Problem>,
}

impl<'d, 'p, 't> Table<'d, 'p, 't> {
    /// The table, once every key that is not among `known` is reported. A value that is no table is reported too.
    pub(super) fn read(
        value: &'d Spanned<DeValue<'t>>,
        what: &str,
        known: &[&str],
        problems: &'p mut Vec<Problem>,
    ) -> Option<Self> {
        let DeValue::Table(entries) = value.get_ref() else {
            problems.push(wrong_type(value, what, "a table"));
            return None;
        };
        for key in entries
            .keys()
            .filter(|key| !known.contains(&key.get_ref().as_ref()))
        {
            problems.push(Problem::at(
                key.span(),
                format!("unknown key {:?} in {what}", key.get_ref()),
                format!("known are {}", known.join(", ")),
            ));
        }
        Some(Self {
            entries,
            span: value.span(),
            problems,
        })
    }

    /// A field as some type; `wanted` says which, for the person.
    pub(super) fn field<T>(
        &mut self,
        key: &str,
        wanted: &str,
        read: impl FnOnce(&DeValue<'t>) -> Option<T>,
    ) -> Option<At<T>> {
        let value = self.entries.get(key)?;
        let read = read(value.get_ref());
        if read.is_none() {
            self.problems.push(wrong_type(value, key, wanted));
        }
        Some(At {
            value: read?,
            span: value.span(),
        })
    }

    /// A string with something in it.
    pub(super) fn text(&mut self, key: &str) -> Option<At<String>> {
        let text = self.field(key, "a string", |value| value.as_str().map(str::to_owned))?;
        if text.value.trim().is_empty() {
            self.problem(
                &text.span,
                format!("{key} is empty"),
                "say it in words, or leave the key out",
            );
            return None;
        }
        Some(text)
    }

    /// A string as some type that checks it.
    pub(super) fn parsed<T>(
        &mut self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<At<T>> {
        let text = self.text(key)?;
        self.checked(key, &text, parse)
    }

    /// A list of strings of some type that checks each; none may stand in it twice.
    pub(super) fn parsed_list<T: PartialEq>(
        &mut self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<At<Vec<At<T>>>> {
        let value = self.entries.get(key)?;
        let Some(items) = value.get_ref().as_array() else {
            self.problems.push(wrong_type(value, key, "a list of strings"));
            return None;
        };
        let mut read: Vec<At<T>> = Vec::new();
        for item in items {
            let Some(text) = item.get_ref().as_str() else {
                self.problems.push(wrong_type(item, key, "a list of strings"));
                continue;
            };
            let text = At {
                value: text.to_owned(),
                span: item.span(),
            };
            if let Some(each) = self.checked(key, &text, &parse) {
                if read.iter().any(|known| known.value == each.value) {
                    self.problem(
                        &each.span,
                        format!("{:?} is named twice in {key}", text.value),
                        "name it once",
                    );
                }
                read.push(each);
            }
        }
        Some(At {
            value: read,
            span: value.span(),
        })
    }

    fn checked<T>(
        &mut self,
        key: &str,
        text: &At<String>,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<At<T>> {
        match parse(&text.value) {
            Ok(value) => Some(At {
                value,
                span: text.span.clone(),
            }),
            Err(message) => {
                self.problem(&text.span, message, format!("correct {key}"));
                None
            }
        }
    }

    /// An instant: a TOML date-time with an offset, or the same as a string.
    pub(super) fn instant(&mut self, key: &str) -> Option<DateTime<Utc>> {
        self.field(key, "an instant such as 2026-01-01T00:00:00Z", |value| {
            let text = match value {
                DeValue::Datetime(instant) => instant.to_string(),
                value => value.as_str()?.to_owned(),
            };
            DateTime::parse_from_rfc3339(&text)
                .ok()
                .map(|instant| instant.to_utc())
        })
        .map(|instant| instant.value)
    }

    /// A table of JSON values, each with the place of its key.
    pub(super) fn values(&mut self, key: &str) -> Option<BTreeMap<String, At<Value>>> {
        let value = self.entries.get(key)?;
        let Some(entries) = value.get_ref().as_table() else {
            self.problems.push(wrong_type(value, key, "a table"));
            return None;
        };
        let mut read = BTreeMap::new();
        for (name, value) in entries {
            if let Some(json) = json(value, self.problems) {
                let at = At {
                    value: json,
                    span: name.span(),
                };
                read.insert(name.get_ref().to_string(), at);
            }
        }
        Some(read)
    }

    /// The tables in a list of tables.
    pub(super) fn tables(&mut self, key: &str) -> &'d [Spanned<DeValue<'t>>] {
        let Some(value) = self.entries.get(key) else {
            return &[];
        };
        if let Some(items) = value.get_ref().as_array() {
            items
        } else {
            self.problems.push(wrong_type(value, key, "a list of tables"));
            &[]
        }
    }

    /// Whether the key is there, right or wrong.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// A field's raw value.
    pub(super) fn raw(&self, key: &str) -> Option<&'d Spanned<DeValue<'t>>> {
        self.entries.get(key)
    }

    /// Reports a mistake.
    pub(super) fn problem(
        &mut self,
        span: &Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.problems.push(Problem::at(span.clone(), message, help));
    }
}

fn wrong_type(value: &Spanned<DeValue<'_>>, what: &str, wanted: &str) -> Problem {
    let found = match value.get_ref() {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    Problem::at(
        value.span(),
        format!("{what} must be {wanted}, and this is {found} that does not fit"),
        format!("write {wanted}"),
    )
}

/// Only what JSON can hold without loss, and readers in other languages too.
fn json(value: &Spanned<DeValue<'_>>, problems: &mut Vec<Problem>) -> Option<Value> {
    const LIMIT: u64 = 1 << 53;
    let mut refuse = |wanted: &str| {
        problems.push(wrong_type(value, "the value", wanted));
        None
    };
    match value.get_ref() {
        DeValue::String(text) => Some(Value::String(text.to_string())),
        DeValue::Boolean(bool) => Some(Value::Bool(*bool)),
        DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) if number.unsigned_abs() < LIMIT => Some(Value::from(number)),
            _ => refuse("a whole number below 2^53"),
        },
        DeValue::Float(float) => float
            .as_str()
            .parse()
            .ok()
            .and_then(Number::from_f64)
            .map_or_else(|| refuse("a finite number"), |number| Some(Value::Number(number))),
        DeValue::Datetime(_) => refuse("a string: CEL reads it with timestamp(…)"),
        DeValue::Array(items) => items.iter().map(|item| json(item, problems)).collect(),
        DeValue::Table(entries) => entries
            .iter()
            .map(|(name, value)| Some((name.get_ref().to_string(), json(value, problems)?)))
            .collect::<Option<serde_json::Map<_, _>>>()
            .map(Value::Object),
    }
}
