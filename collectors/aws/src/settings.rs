//! The settings of a source of type `aws`.

use evidenced_collector_api::{SettingsError, checked_setting};
use serde::Deserialize;

/// What a source of type `aws` says. All keys may be left out: then it is the account that the environment's own
/// credentials belong to.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// A profile of the shared configuration files; else the default chain of credentials.
    pub profile: Option<String>,
    /// The region that is asked for what has none, and that tells the partition (China, `GovCloud`).
    pub region: Option<String>,
    /// The name of the role to assume in every other account.
    pub role: Option<RoleName>,
    /// The external id that the role's trust policy asks for.
    pub external_id: Option<String>,
    /// What the sessions are called in the account's trail.
    pub session_name: SessionName,
    /// The accounts to collect from.
    pub accounts: Vec<AccountId>,
    /// Whether the accounts are those of the organisation instead.
    pub organization: bool,
    /// Accounts of the organisation that are not collected from, and why.
    pub excluded: Vec<Excluded>,
    /// The tag that holds a bucket's data class.
    pub data_class_tag: DataClassTag,
    /// How many calls are made in a second, to each account.
    pub calls_per_second: CallsPerSecond,
    /// How many calls are under way at once, to each account.
    pub concurrency: Concurrency,
}

impl Settings {
    /// Refuses settings that contradict each other, or of which one would be passed over.
    pub fn checked(self) -> Result<Self, SettingsError> {
        let others = self.organization || !self.accounts.is_empty();
        let wrong = if self.organization && !self.accounts.is_empty() {
            "organization and accounts are both set\nleave one out: organization collects from all accounts but `excluded`"
        } else if self.role.is_some() && !others {
            "role is set, and no account to assume it in\nset accounts or organization"
        } else if self.external_id.is_some() && self.role.is_none() {
            "external_id is set, and no role\nset role, or leave external_id out"
        } else {
            return Ok(self);
        };
        Err(SettingsError {
            message: wrong.to_owned(),
            span: None,
        })
    }
}

/// An account that is left out.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Excluded {
    /// Which.
    pub account: AccountId,
    /// Why.
    pub reason: Reason,
}

checked_setting!(
    /// An account's number.
    AccountId(String),
    |id| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit()),
    "an account is 12 digits in quotes: \"123456789012\""
);

checked_setting!(
    /// The name of a role, with its path.
    RoleName(String),
    |name| (1..=576).contains(&name.len()) && !name.contains(':') && name.chars().all(|c| c.is_ascii_graphic()),
    "role is the name of a role without account, with its path if it has one: \"audit/evidenced\""
);

checked_setting!(
    /// The name of a session.
    SessionName(String = "evidenced".to_owned()),
    |name| (2..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_=,.@-".contains(&byte)),
    "session_name has 2 to 64 of letters, digits and _=,.@-"
);

checked_setting!(
    /// Why an account is left out.
    Reason(String),
    |reason| !reason.trim().is_empty(),
    "an exclusion needs a reason that an auditor can read"
);

checked_setting!(
    /// The name of a tag.
    DataClassTag(String = "data-class".to_owned()),
    |name| (1..=128).contains(&name.chars().count()),
    "data_class_tag is the name of a tag, of at most 128 characters"
);

checked_setting!(
    /// Calls in a second.
    CallsPerSecond(u16 = 200),
    |number| (1..=1000).contains(number),
    "calls_per_second is a number from 1 to 1000"
);

checked_setting!(
    /// Calls at once.
    Concurrency(u16 = 16),
    |number| (1..=100).contains(number),
    "concurrency is a number from 1 to 100"
);

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Settings, String> {
        toml::from_str(text).map_err(|error: toml::de::Error| error.message().to_owned())
    }

    #[test]
    fn nothing_needs_to_be_set() {
        let settings = read("").unwrap();
        assert_eq!(settings.session_name.0, "evidenced");
        assert_eq!(settings.calls_per_second.0, 200);
        assert!(settings.accounts.is_empty());
    }

    #[test]
    fn settings_that_contradict_each_other_are_refused() {
        for (text, expected) in [
            (
                "organization = true\naccounts = [\"123456789012\"]\nrole = \"r\"",
                "both set",
            ),
            ("role = \"r\"", "no account to assume it in"),
            ("accounts = [\"123456789012\"]\nexternal_id = \"x\"", "no role"),
        ] {
            let error = read(text).unwrap().checked().unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let good = "organization = true\nrole = \"r\"\nexternal_id = \"x\"";
        assert!(read(good).unwrap().checked().is_ok());
    }

    #[test]
    fn a_wrong_value_is_refused_in_words_that_say_what_is_right() {
        for (text, expected) in [
            ("accounts = [\"12345\"]", "an account is 12 digits"),
            ("accounts = [123456789012]", "an account is 12 digits"),
            ("role = \"arn:aws:iam::1:role/x\"", "without account"),
            ("session_name = \"a b\"", "session_name has"),
            ("calls_per_second = 0", "from 1 to 1000"),
            ("concurrency = \"4\"", "from 1 to 100"),
            (
                "excluded = [{ account = \"123456789012\", reason = \" \" }]",
                "needs a reason",
            ),
            ("acounts = []", "unknown field `acounts`"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
