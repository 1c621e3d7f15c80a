//! How a reference to a secret is written, and what is said to whoever writes the secret itself.
//!
//! The first line of a message says what is wrong, the second what to do, as `Config::settings_problem` expects.
//! None repeats what was written, be it value or key.

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::path::Path;

use super::SecretRef;
use crate::config::closest;

const KEYS: [&str; 3] = ["env", "file", "credential"];

const FORMS: &str = "{ env = \"NAME\" }, { file = \"/path\" } or { credential = \"NAME\" }";

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reference)
    }
}

struct Reference;

/// Text, number, list: whatever stands in place of a reference may be the secret.
fn literal<E: Error>() -> E {
    E::custom(format!(
        "a secret is written here, and must not be in a configuration\n\
         say where it is: {FORMS}; and replace the secret, since others may have read it"
    ))
}

impl<'de> Visitor<'de> for Reference {
    type Value = SecretRef;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a reference to a secret: {FORMS}")
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<SecretRef, E> {
        Err(literal())
    }

    fn visit_bytes<E: Error>(self, _: &[u8]) -> Result<SecretRef, E> {
        Err(literal())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<SecretRef, E> {
        Err(literal())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<SecretRef, E> {
        Err(literal())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<SecretRef, E> {
        Err(literal())
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<SecretRef, E> {
        Err(literal())
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<SecretRef, E> {
        Err(literal())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<SecretRef, E> {
        Err(literal())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<SecretRef, A::Error> {
        Err(literal())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SecretRef, A::Error> {
        let mut reference = None;
        while let Some(key) = map.next_key::<String>()? {
            if !KEYS.contains(&key.as_str()) {
                map.next_value::<IgnoredAny>()?;
                return Err(unknown_key(&key));
            }
            let Text(value) = map.next_value()?;
            if reference.is_some() {
                return Err(A::Error::custom(format!(
                    "a secret is in one place, and several are given\nkeep one of {FORMS}"
                )));
            }
            reference = Some(read(&key, value)?);
        }
        reference.ok_or_else(|| {
            A::Error::custom(format!(
                "where the secret is, is not said\nsay where it is: {FORMS}"
            ))
        })
    }
}

fn unknown_key<E: Error>(key: &str) -> E {
    let meant = closest(key, &KEYS).map_or_else(String::new, |meant| format!("did you mean {meant:?}? "));
    E::custom(format!(
        "an unknown key in the reference to a secret\n{meant}say where it is: {FORMS}"
    ))
}

fn read<E: Error>(key: &str, value: String) -> Result<SecretRef, E> {
    match key {
        "env" if is_variable(&value) => Ok(SecretRef::Env(value)),
        "env" => Err(E::custom(
            "env must be the name of an environment variable\nwrite capital letters, digits and underscores: { env = \"NAME\" }",
        )),
        "file" if Path::new(&value).is_absolute() && !value.contains('\0') => {
            Ok(SecretRef::File(value.into()))
        }
        "file" => Err(E::custom(
            "file must be an absolute path\nwrite { file = \"/path\" }",
        )),
        _ if is_file_name(&value) => Ok(SecretRef::Credential(value)),
        _ => Err(E::custom(
            "credential must be the name of a systemd credential, not a path\nwrite { credential = \"NAME\" }",
        )),
    }
}

/// In capitals, as is the custom: a token has both cases, and a message about a variable that is not set names it.
fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

/// What systemd allows, so that a name never leads out of the folder.
fn is_file_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && name.len() <= 255
        && name
            .chars()
            .all(|c| c.is_ascii_graphic() && !matches!(c, '/' | ':'))
}

/// The text at a key of a reference. Serde's own reading would quote what is there instead.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)
            .map(Text)
            .map_err(|_| D::Error::custom(format!("what says where a secret is must be text\nwrite {FORMS}")))
    }
}
