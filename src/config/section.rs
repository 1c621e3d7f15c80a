//! Reading a TOML table key by key, so that one pass finds every problem and each is located.
//!
//! Deriving the reading would stop at the first problem and quote the value in it.

use std::ops::{Range, RangeInclusive};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::problem::{self, Problem};

/// The problems found so far in one text.
pub(super) struct Reader<'a> {
    pub(super) file: Option<&'a Path>,
    pub(super) text: &'a Arc<str>,
    pub(super) problems: Vec<Problem>,
}

/// A table whose keys are known.
pub(super) struct Section<'t> {
    /// As the user would write it: `[store]`.
    title: String,
    table: &'t DeTable<'t>,
    span: Range<usize>,
    /// What the unknown keys were probably meant to be.
    misspelt: Vec<&'static str>,
}

/// Why a text is not what a key wants: what it is not, and what would be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}; {help}")]
pub struct Rejected {
    /// Fits after the key: `is not a name of 1 to 40 characters`.
    pub what: &'static str,
    /// What to do.
    pub help: &'static str,
}

impl Reader<'_> {
    /// Notes a problem at a place.
    pub(super) fn problem(&mut self, span: &Range<usize>, message: String, help: impl Into<String>) {
        self.problems
            .push(Problem::new(message).help(help).at(self.file, self.text, span));
    }

    /// Opens a table, and notes each key that is not among the known ones.
    pub(super) fn open<'t>(
        &mut self,
        title: impl Into<String>,
        table: &'t DeTable<'t>,
        span: Range<usize>,
        known: &[&'static str],
    ) -> Section<'t> {
        let title = title.into();
        let mut misspelt = Vec::new();
        for key in table
            .keys()
            .filter(|key| !known.contains(&key.get_ref().as_ref()))
        {
            let name = key.get_ref();
            misspelt.extend(problem::closest(name, known));
            self.problem(
                &key.span(),
                format!("unknown key {name:?} {title}"),
                problem::did_you_mean(name, known),
            );
        }
        Section {
            title,
            table,
            span,
            misspelt,
        }
    }

    /// A key that must be there.
    pub(super) fn required<'t>(
        &mut self,
        section: &Section<'t>,
        key: &str,
        example: &str,
    ) -> Option<&'t Spanned<DeValue<'t>>> {
        let value = section.table.get(key);
        if value.is_none() && !section.misspelt.contains(&key) {
            self.problem(
                &section.span,
                format!("no {key:?} {}", section.title),
                format!("add {example}"),
            );
        }
        value
    }

    /// The text at a key as a type that checks it.
    pub(super) fn text<T: FromStr<Err = Rejected>>(
        &mut self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        example: &str,
    ) -> Option<Spanned<T>> {
        let Some(text) = value.get_ref().as_str() else {
            self.mismatch(key, value, "text", example);
            return None;
        };
        match text.parse() {
            Ok(parsed) => Some(Spanned::new(value.span(), parsed)),
            Err(rejected) => {
                self.problem(&value.span(), format!("{key} {}", rejected.what), rejected.help);
                None
            }
        }
    }

    /// The text at a key that may be absent; an error if it is there and was refused.
    pub(super) fn optional<T: FromStr<Err = Rejected>>(
        &mut self,
        key: &str,
        section: &Section<'_>,
        example: &str,
    ) -> Result<Option<T>, ()> {
        let Some(value) = section.get(key) else {
            return Ok(None);
        };
        let text = self.text(key, value, example).ok_or(())?;
        Ok(Some(text.into_inner()))
    }

    /// The whole number at a key that may be absent, within bounds; none also if it was refused.
    pub(super) fn number(
        &mut self,
        key: &str,
        section: &Section<'_>,
        bounds: &RangeInclusive<u64>,
    ) -> Option<u64> {
        let value = section.get(key)?;
        let (from, to) = (bounds.start(), bounds.end());
        let example = format!("{key} = {from}, or up to {to}");
        let Some(number) = value.get_ref().as_integer() else {
            self.mismatch(key, value, "a number", &example);
            return None;
        };
        let number = u64::from_str_radix(&number.as_str().replace('_', ""), number.radix());
        let number = number.ok().filter(|number| bounds.contains(number));
        if number.is_none() {
            let message = format!("{key} is not a whole number from {from} to {to}");
            self.problem(&value.span(), message, format!("write {example}"));
        }
        number
    }

    /// Whether a key that may be absent says `true`; none also if it was refused.
    pub(super) fn flag(&mut self, key: &str, section: &Section<'_>) -> Option<bool> {
        let value = section.get(key)?;
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            self.mismatch(
                key,
                value,
                "true or false",
                &format!("{key} = true, or {key} = false"),
            );
        }
        flag
    }

    /// The texts of a list at a key that may be absent, as a type that checks them; without those that were refused.
    pub(super) fn words<T: FromStr<Err = Rejected>>(
        &mut self,
        key: &str,
        section: &Section<'_>,
        example: &str,
    ) -> Vec<Spanned<T>> {
        let Some(list) = section.get(key).and_then(|value| self.list(key, value, example)) else {
            return Vec::new();
        };
        list.iter()
            .filter_map(|value| self.text(key, value, example))
            .collect()
    }

    /// The one of a few words that stands at a value.
    pub(super) fn one_of(
        &mut self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        known: &[&'static str],
    ) -> Option<&'static str> {
        let Some(text) = value.get_ref().as_str() else {
            let first = known.first().unwrap_or(&"");
            self.mismatch(key, value, "text", &format!("{key} = \"{first}\""));
            return None;
        };
        let found = known.iter().find(|word| **word == text).copied();
        if found.is_none() {
            let message = format!("{key} is none of the words known here");
            self.problem(&value.span(), message, problem::there_are(text, known));
        }
        found
    }

    /// The table at a key.
    pub(super) fn table<'t>(
        &mut self,
        key: &str,
        value: &'t Spanned<DeValue<'t>>,
        example: &str,
    ) -> Option<&'t DeTable<'t>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.mismatch(key, value, "a table", example);
        }
        table
    }

    /// The list at a key.
    pub(super) fn list<'t>(
        &mut self,
        key: &str,
        value: &'t Spanned<DeValue<'t>>,
        example: &str,
    ) -> Option<&'t DeArray<'t>> {
        let list = value.get_ref().as_array();
        if list.is_none() {
            self.mismatch(key, value, "a list", example);
        }
        list
    }

    fn mismatch(&mut self, key: &str, value: &Spanned<DeValue<'_>>, wanted: &str, example: &str) {
        let found = match value.get_ref() {
            DeValue::String(_) => "text",
            DeValue::Integer(_) | DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.problem(
            &value.span(),
            format!("{key} must be {wanted}, not {found}"),
            format!("write {example}"),
        );
    }
}

impl<'t> Section<'t> {
    /// The value at a key, if it is there.
    pub(super) fn get(&self, key: &str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.table.get(key)
    }
}
