//! What a new configuration can begin with: the credentials that are already there.

use std::ffi::OsString;
use std::path::Path;

/// Variables that mean credentials, beside a profile's name.
const CREDENTIALS: [&str; 4] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
];

/// The text of a source for the account whose credentials the environment or the home folder hold; `None` if they hold
/// none. Nothing is read but names.
pub fn found(variable: &dyn Fn(&str) -> Option<OsString>, home: Option<&Path>) -> Option<String> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let profile = set("AWS_PROFILE").and_then(|profile| profile.into_string().ok());
    let (how, settings) = if let Some(profile) = profile {
        let profile = toml::Value::from(profile);
        ("$AWS_PROFILE".to_owned(), format!("{{ profile = {profile} }}"))
    } else if let Some(name) = CREDENTIALS.into_iter().find(|name| set(name).is_some()) {
        (format!("${name}"), "{}".to_owned())
    } else {
        let files = ["credentials", "config"].map(|name| Path::new(".aws").join(name));
        let file = files
            .iter()
            .find(|file| home.is_some_and(|home| home.join(file).is_file()))?;
        (format!("~/{}", file.display()), "{}".to_owned())
    };
    Some(format!(
        r#"
# AWS: found by {how}. deploy/aws has the permissions that this takes, as a policy, for Terraform and for CloudFormation;
# `evidenced check` tries each. collectors/aws/README.md lists the settings: roles, many accounts, an organisation.
[[source]]
name = "aws"
type = "aws"
settings = {settings}

[source.collectors."aws.iam.mfa"]
schedule = "15 */4 * * *"

[source.collectors."aws.s3.encryption"]
schedule = "30 */4 * * *"

# Takes the management account of an organisation, or a delegated one.
# [source.collectors."aws.organization.accounts"]
# schedule = "45 3 * * *"
"#
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found_with(variables: &[(&str, &str)], home: Option<&Path>) -> Option<String> {
        let value = |name: &str| {
            let set = variables.iter().find(|(set, _)| *set == name);
            set.map(|(_, value)| OsString::from(value))
        };
        found(&value, home)
    }

    #[test]
    fn credentials_are_found_where_they_are_and_never_repeated() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(found_with(&[], None), None);
        assert_eq!(found_with(&[("AWS_PROFILE", "")], Some(home.path())), None);

        let profile = found_with(&[("AWS_PROFILE", "a\"b"), ("AWS_ACCESS_KEY_ID", "AKIA")], None).unwrap();
        let read: toml::Table = toml::from_str(&profile).unwrap();
        assert_eq!(read["source"][0]["settings"]["profile"].as_str(), Some("a\"b"));

        let key = found_with(&[("AWS_ACCESS_KEY_ID", "AKIASECRET")], None).unwrap();
        assert!(
            key.contains("$AWS_ACCESS_KEY_ID") && !key.contains("AKIASECRET"),
            "{key}"
        );

        std::fs::create_dir(home.path().join(".aws")).unwrap();
        std::fs::write(home.path().join(".aws/config"), "[default]\n").unwrap();
        assert!(
            found_with(&[], Some(home.path()))
                .unwrap()
                .contains("~/.aws/config")
        );
    }
}
