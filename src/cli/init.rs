//! `evidenced init`: write a commented configuration, and make the store and its key.

use anyhow::{Context as _, Result};
use serde_json::json;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::exit::{Exit, UsageError};
use super::{Common, Format, print_json, setup};
use crate::clock;
use crate::config::{Config, Environment};
use crate::log::append::Appender;
use crate::log::start;
use crate::log::store::{Paths, Reader};
use crate::registry;

/// Write a commented configuration, and make the store and its key
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  evidenced init
  evidenced init --config /etc/evidenced/config.toml --store /srv/evidence

What is there already is left as it is. Where there are credentials for AWS, a source for their
account is configured too.")]
pub(super) struct Arguments {}

pub(super) fn run(common: &Common, _arguments: &Arguments, out: &mut dyn Write) -> Result<Exit> {
    let environment = Environment::of_process();
    let path = common
        .config
        .clone()
        .or(environment.config.clone())
        .unwrap_or_else(|| PathBuf::from("evidenced.toml"));
    let wrote = write_configuration(&path, common.store.as_deref(), &environment)?;
    let with_config = Common {
        config: Some(path.clone()),
        ..common.clone()
    };
    let checked = setup::setup(&with_config).with_context(|| {
        let state = if wrote {
            "was written"
        } else {
            "exists and was left as it is"
        };
        format!("{} {state}, but it can't be used", path.display())
    })?;
    let made = match make_store(&checked.paths, &checked.config) {
        Ok(made) => made,
        Err(error) => {
            // Nothing is left half done: the next try finds what this one found.
            if wrote {
                std::fs::remove_file(&path)
                    .with_context(|| format!("failed to remove {}", path.display()))?;
            }
            return Err(error);
        }
    };
    let key = start::verifier_key(&Reader::open(&checked.paths)?)?.to_string();
    let (config, store) = (
        path.display().to_string(),
        checked.paths.directory().display().to_string(),
    );
    if common.format == Format::Json {
        let value = json!({ "config": config, "config_written": wrote, "store": store, "store_made": made, "key": key });
        print_json(out, &value)?;
        return Ok(Exit::Well);
    }
    let said = |done| {
        if done {
            "made"
        } else {
            "was there already, and was left as it is"
        }
    };
    writeln!(out, "configuration  {config}: {}", said(wrote))?;
    writeln!(out, "store          {store}: {}", said(made))?;
    writeln!(out, "verifier key   {key}")?;
    let elsewhere = checked.config.store_directory(None, &environment)?;
    if std::path::absolute(&elsewhere).ok() != std::path::absolute(checked.paths.directory()).ok() {
        writeln!(
            out,
            "\n{config} means another store, {}: write directory into its [store], or give --store with every verb.",
            elsewhere.display()
        )?;
    }
    writeln!(
        out,
        "\nGive that key to your auditor now: it tells your log from any other."
    )?;
    writeln!(
        out,
        "Next: fill in {config}, try it with `evidenced check`, then `evidenced collect --once`."
    )?;
    Ok(Exit::Well)
}

/// Writes the commented default, unless there is a file; a store that was named goes into it, and sources that are
/// there to be found.
fn write_configuration(path: &Path, store: Option<&Path>, environment: &Environment) -> Result<bool> {
    let mut text = Config::embedded_text().to_owned();
    if let Some(store) = store {
        let absolute = std::path::absolute(store)?;
        let value = toml::Value::from(absolute.to_string_lossy().into_owned());
        text = text.replace(
            "# directory = \"/var/lib/evidenced\"",
            &format!("directory = {value}"),
        );
    }
    text.extend(registry::found(
        &|name| std::env::var_os(name),
        environment.home.as_deref(),
    ));
    let file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path);
    match file {
        Ok(mut file) => {
            file.write_all(text.as_bytes())
                .and_then(|()| file.sync_all())
                .with_context(|| format!("failed to write {}", path.display()))?;
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(UsageError::error(
            format!("failed to write {}: {error}", path.display()),
            "name a file in a folder that is there and can be written with --config",
        )),
    }
}

fn make_store(paths: &Paths, config: &Config) -> Result<bool> {
    let fresh = !paths.database().exists();
    drop(Appender::open(paths, config.name.as_str(), clock::system())?);
    Ok(fresh)
}
