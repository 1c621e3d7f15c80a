//! The words of the configuration, as types that hold only well-formed ones.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::section::Rejected;
use crate::control::MaxAge;

/// The name that begins the log's origin, which auditors read for years: 1 to 40 of `a-z`, `0-9`, `.` and `-`,
/// beginning with a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogName(String);

/// The name of a source, in kebab case: `this-machine`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceName(String);

/// The vendor of a source: `host`. Which ones there are is known to the registry alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vendor(String);

/// The id of a collector: vendor, a dot, the kind of evidence.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CollectorId(String);

/// The name of a channel, in kebab case: `on-call`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelName(String);

/// The type of a channel: `slack`. Which ones there are is known to [`crate::alert::channel`] alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelType(String);

/// When a collector runs, as written; [`crate::schedule`] reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleText(String);

/// How long a collector may take for one target: 10 seconds to 12 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline(pub Duration);

/// How long runs under way may go on when the daemon is told to stop: at most an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StopWithin(pub Duration);

/// The most that a run may begin behind its tick: at most an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Jitter(pub Duration);

/// The zone that a schedule is meant in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimeZone(pub chrono_tz::Tz);

/// A path that names something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FilePath(pub(super) PathBuf);

/// When the bodies of answers are kept beside the resources that were read from them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeepRaw {
    /// When the resources changed, and at least daily for each target.
    #[default]
    Changed,
    /// With every snapshot.
    Always,
}

macro_rules! word {
    ($type:ident, $check:expr, $what:literal, $help:literal) => {
        impl $type {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $type {
            type Err = Rejected;

            fn from_str(text: &str) -> Result<Self, Rejected> {
                let check: fn(&str) -> bool = $check;
                if check(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(Rejected {
                        what: $what,
                        help: $help,
                    })
                }
            }
        }
    };
}

word!(
    LogName,
    |text| text.len() <= 40
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text
            .bytes()
            .all(|b| letter_or_digit(b) || matches!(b, b'.' | b'-')),
    "can't begin the log's origin",
    "1 to 40 of a-z, 0-9, dot and hyphen, a letter or digit first: name = \"acme\""
);
word!(
    SourceName,
    |text| kebab_case(text),
    "is not in kebab case",
    "1 to 64 of a-z and 0-9, in parts joined by single hyphens: name = \"this-machine\""
);
word!(
    ChannelName,
    |text| kebab_case(text),
    "is not in kebab case",
    "1 to 64 of a-z and 0-9, in parts joined by single hyphens: name = \"on-call\""
);
word!(
    ChannelType,
    |text| text.starts_with(|c: char| c.is_ascii_lowercase()) && identifier(text),
    "is not the type of a channel",
    "a type in a-z, 0-9 and underscore: type = \"slack\""
);
word!(
    Vendor,
    |text| text.starts_with(|c: char| c.is_ascii_lowercase()) && identifier(text),
    "is not a vendor's name",
    "a vendor's name in a-z, 0-9 and underscore: type = \"host\""
);
word!(
    CollectorId,
    |text| text.split('.').count() >= 2 && text.split('.').all(identifier),
    "is not a collector's id",
    "vendor, dot, kind of evidence, in quotes: [source.collectors.\"host.baseline\"]"
);
word!(
    ScheduleText,
    |text| !text.trim().is_empty(),
    "is empty",
    "say when to collect, or remove the collector's section: schedule = \"0 * * * *\""
);

impl Default for LogName {
    fn default() -> Self {
        Self("evidenced".to_owned())
    }
}

fn letter_or_digit(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn kebab_case(text: &str) -> bool {
    text.len() <= 64
        && text
            .split('-')
            .all(|part| !part.is_empty() && part.bytes().all(letter_or_digit))
}

fn identifier(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| letter_or_digit(b) || b == b'_')
}

/// A length of time within bounds, in seconds.
macro_rules! length {
    ($type:ident, $bounds:expr, $what:literal, $help:literal) => {
        impl FromStr for $type {
            type Err = Rejected;

            fn from_str(text: &str) -> Result<Self, Rejected> {
                let length = match text {
                    "0s" => Some(Duration::ZERO),
                    text => MaxAge::parse(text)
                        .ok()
                        .and_then(|age| age.length().to_std().ok()),
                };
                length
                    .filter(|length| ($bounds).contains(&length.as_secs()))
                    .map(Self)
                    .ok_or(Rejected {
                        what: $what,
                        help: $help,
                    })
            }
        }
    };
}

pub(super) use length;

length!(
    Deadline,
    10..=12 * 3600,
    "is not a time from 10 seconds to 12 hours",
    "how long a run may take for one target: deadline = \"30m\""
);
length!(
    StopWithin,
    0..=3600,
    "is not a time of at most an hour",
    "how long runs under way may go on when the daemon is told to stop: stop_within = \"30s\""
);
length!(
    Jitter,
    0..=3600,
    "is not a time of at most an hour",
    "the most that a run may begin behind its tick: jitter = \"5m\", or \"0s\" for none"
);

impl FromStr for TimeZone {
    type Err = Rejected;

    fn from_str(text: &str) -> Result<Self, Rejected> {
        text.parse().map(Self).map_err(|_| Rejected {
            what: "is not a time zone that the IANA database names",
            help: "timezone = \"Europe/Berlin\", or \"UTC\", which is the default",
        })
    }
}

impl FromStr for FilePath {
    type Err = Rejected;

    fn from_str(text: &str) -> Result<Self, Rejected> {
        if text.is_empty() || text.contains('\0') {
            return Err(Rejected {
                what: "is empty or has a null character",
                help: "write a path, absolute or relative to the configuration file",
            });
        }
        Ok(Self(PathBuf::from(text)))
    }
}

impl FromStr for KeepRaw {
    type Err = Rejected;

    fn from_str(text: &str) -> Result<Self, Rejected> {
        match text {
            "changed" => Ok(Self::Changed),
            "always" => Ok(Self::Always),
            _ => Err(Rejected {
                what: "is neither \"changed\" nor \"always\"",
                help: "\"changed\" keeps answers when the resources changed and at least daily, \"always\" each time",
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted<T: FromStr>(texts: &[&str]) -> Vec<bool> {
        texts.iter().map(|text| text.parse::<T>().is_ok()).collect()
    }

    #[test]
    fn a_log_name_is_short_and_plain() {
        let longest = "a".repeat(40);
        assert_eq!(accepted::<LogName>(&["acme", "9-a.b", &longest]), [true; 3]);
        let long = "a".repeat(41);
        assert_eq!(
            accepted::<LogName>(&["", "Acme", "-acme", ".a", "a/b", "a b", "ä", "a_b", &long]),
            [false; 9]
        );
    }

    #[test]
    fn a_source_name_is_in_kebab_case() {
        assert_eq!(accepted::<SourceName>(&["a", "this-machine", "0-x"]), [true; 3]);
        assert_eq!(
            accepted::<SourceName>(&["", "-a", "a-", "a--b", "A", "a.b", "a_b", &"a".repeat(65)]),
            [false; 8]
        );
    }

    #[test]
    fn a_deadline_is_long_enough_to_answer_and_short_enough_to_be_noticed() {
        assert_eq!(accepted::<Deadline>(&["10s", "30m", "12h"]), [true; 3]);
        assert_eq!(accepted::<Deadline>(&["9s", "13h", "30", "", "1w"]), [false; 5]);
    }

    #[test]
    fn lengths_of_time_have_bounds_and_zones_are_those_of_the_iana_database() {
        assert_eq!(accepted::<StopWithin>(&["0s", "30s", "1h"]), [true; 3]);
        assert_eq!(accepted::<Jitter>(&["61m", "-1s", "5", "0"]), [false; 4]);
        assert_eq!(
            accepted::<TimeZone>(&["UTC", "Europe/Berlin", "America/St_Johns"]),
            [true; 3]
        );
        assert_eq!(accepted::<TimeZone>(&["", "Berlin", "+02:00"]), [false; 3]);
    }

    #[test]
    fn a_collector_id_has_a_vendor_and_a_kind_of_evidence() {
        assert_eq!(
            accepted::<CollectorId>(&["host.baseline", "aws.iam.mfa_2"]),
            [true; 2]
        );
        assert_eq!(
            accepted::<CollectorId>(&["", "host", "host.", ".host", "host..x", "Host.x", "host.x y"]),
            [false; 7]
        );
    }
}
