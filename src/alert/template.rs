//! The words of messages: three templates, and a company's own in their place.
//!
//! They are given the [`Facts`], and `text.txt` and `mail.html` also the finished `title`. What is not there is an error,
//! not nothing: a slip in a template is found when the configuration is read, by trying it on every kind of message.

use chrono::{DateTime, Utc};
use minijinja::value::{Serde, Value};
use minijinja::{Environment, ErrorKind, UndefinedBehavior};
use std::path::{Path, PathBuf};

use super::facts::Facts;

pub(super) mod samples;

/// The templates' names, and their texts where a company has none of its own.
const SHIPPED: [(&str, &str); 3] = [
    ("title.txt", include_str!("templates/title.txt")),
    ("text.txt", include_str!("templates/text.txt")),
    ("mail.html", include_str!("templates/mail.html")),
];

/// Far above any message's.
const SIZE_LIMIT: u64 = 256 * 1024;

/// Templates ready to be filled in.
pub struct Templates {
    environment: Environment<'static>,
}

/// A template is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {what}", .file.display(), .line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct TemplateError {
    /// The company's file, or the shipped template's name.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: Option<usize>,
    /// What is wrong.
    pub what: String,
}

/// A message's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// One line.
    pub title: String,
    /// Lines without markup.
    pub text: String,
    /// A whole document.
    pub html: String,
}

impl Templates {
    /// The shipped templates, each with the file of its name in a folder in its place, tried on every kind of message.
    pub fn load(folder: Option<&Path>) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.add_filter("time", |time: Serde<DateTime<Utc>>| {
            time.0.format("%Y-%m-%d %H:%M UTC").to_string()
        });
        environment.add_filter("date", |time: Serde<DateTime<Utc>>| {
            time.0.format("%Y-%m-%d").to_string()
        });
        environment.add_filter("bytes", bytes);
        environment.add_filter("value", value);
        for (name, shipped) in SHIPPED {
            let own = folder
                .map(|folder| folder.join(name))
                .filter(|file| file.exists());
            let text = match &own {
                Some(file) => read(file)?,
                None => shipped.to_owned(),
            };
            environment
                .add_template_owned(name, text)
                .map_err(|error| wrong(&error, name, own.as_deref()))?;
        }
        let templates = Self { environment };
        for facts in samples::all() {
            templates.fill(&facts).map_err(|error| TemplateError {
                file: match folder.map(|folder| folder.join(&error.file)) {
                    Some(own) if own.exists() => own,
                    _ => error.file.clone(),
                },
                what: format!(
                    "{} (for {}, {})",
                    error.what,
                    facts.event.as_str(),
                    facts.phase.as_str()
                ),
                ..error
            })?;
        }
        Ok(templates)
    }

    /// Words facts.
    pub fn fill(&self, facts: &Facts) -> Result<Words, TemplateError> {
        let fill = |name: &str, title: Option<&str>| {
            let context = minijinja::context! { title => title, ..Value::from(Serde(facts)) };
            self.environment
                .get_template(name)
                .and_then(|template| template.render(context))
                .map_err(|error| wrong(&error, name, None))
        };
        let title = fill("title.txt", None)?;
        let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
        Ok(Words {
            text: fill("text.txt", Some(&title))?.trim_end().to_owned(),
            html: fill("mail.html", Some(&title))?,
            title,
        })
    }
}

fn read(file: &Path) -> Result<String, TemplateError> {
    let unreadable = |what: String| TemplateError {
        file: file.to_owned(),
        line: None,
        what,
    };
    let length = std::fs::metadata(file).map_err(|error| unreadable(format!("can't be read: {error}")))?;
    if length.len() > SIZE_LIMIT {
        return Err(unreadable("over 256 KiB, which no template is".to_owned()));
    }
    std::fs::read_to_string(file).map_err(|error| unreadable(format!("can't be read: {error}")))
}

fn wrong(error: &minijinja::Error, name: &str, own: Option<&Path>) -> TemplateError {
    let what = match (error.kind(), error.detail()) {
        (ErrorKind::UndefinedError, None) => "something that is not there is used".to_owned(),
        (kind, None) => kind.to_string(),
        (_, Some(detail)) => detail.to_owned(),
    };
    TemplateError {
        file: own.map_or_else(|| PathBuf::from(error.name().unwrap_or(name)), Path::to_owned),
        line: error.line(),
        what,
    }
}

fn bytes(count: u64) -> String {
    indicatif::BinaryBytes(count).to_string()
}

/// A value in a line: texts as they are, anything else as JSON.
fn value(value: &Value) -> String {
    const LONGEST: usize = 200;
    let text = match value.as_str() {
        Some(text) => text.to_owned(),
        None if value.is_none() || value.is_undefined() => "none".to_owned(),
        None => serde_json::to_string(value).unwrap_or_default(),
    };
    if text.chars().count() > LONGEST {
        let shown: String = text.chars().take(LONGEST).collect();
        return format!("{shown}…");
    }
    text
}
