//! What the credential report and the listings say together. Pure: no calls, no clock.

use aws_sdk_iam::operation::get_account_password_policy::GetAccountPasswordPolicyOutput;
use aws_sdk_iam::operation::get_account_summary::GetAccountSummaryOutput;
use aws_sdk_iam::operation::get_credential_report::GetCredentialReportOutput;
use aws_sdk_iam::operation::get_login_profile::GetLoginProfileOutput;
use aws_sdk_iam::operation::list_access_keys::ListAccessKeysOutput;
use aws_sdk_iam::operation::list_mfa_devices::ListMfaDevicesOutput;
use aws_sdk_iam::operation::list_organizations_features::ListOrganizationsFeaturesOutput;
use aws_sdk_iam::operation::list_users::ListUsersOutput;
use aws_sdk_iam::operation::list_virtual_mfa_devices::ListVirtualMfaDevicesOutput;
use aws_sdk_iam::types::{StatusType, SummaryKeyType, User};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use evidenced_collector_api::{Completeness, Resource};

use crate::ask::{Pages, Refusal};
use crate::credential_report::{self, Report, Row, text};

/// A call's position and result.
pub(crate) type Said<T> = (usize, Result<T, Refusal>);

/// All that was asked about an account.
pub(crate) struct Asked {
    pub(crate) account: String,
    pub(crate) partition: String,
    pub(crate) report: Said<GetCredentialReportOutput>,
    pub(crate) summary: Said<GetAccountSummaryOutput>,
    pub(crate) policy: Said<GetAccountPasswordPolicyOutput>,
    pub(crate) features: Said<ListOrganizationsFeaturesOutput>,
    pub(crate) virtual_devices: Said<Pages<ListVirtualMfaDevicesOutput>>,
    pub(crate) users: Said<Pages<ListUsersOutput>>,
    pub(crate) each: Vec<AskedUser>,
}

/// All that was asked about a user.
pub(crate) struct AskedUser {
    pub(crate) user: User,
    pub(crate) devices: Said<Pages<ListMfaDevicesOutput>>,
    pub(crate) keys: Said<Pages<ListAccessKeysOutput>>,
    pub(crate) login: Said<GetLoginProfileOutput>,
}

/// A report, and when it was made.
struct Dated {
    report: Report,
    generated: DateTime<Utc>,
}

/// The account's resources, and whether they are all.
pub(crate) fn resources(asked: &Asked) -> (Vec<Resource>, Completeness) {
    let report = dated(&asked.report.1);
    let mut differences = Vec::new();
    let mut resources = vec![root(asked, report.as_ref()), password_policy(asked)];
    for user in asked.each.iter().filter(|user| !user.is_gone()) {
        let row = report
            .as_ref()
            .map(|dated| dated.report.users.get(user.user.arn()));
        resources.push(user.resource(asked.report.0, asked.users.0, &report, &mut differences));
        let made = time(user.user.create_date());
        if let (Ok(None), Ok(dated)) = (row, &report)
            && made.is_none_or(|made| made < dated.generated)
        {
            differences.push("a user who is listed is not in the credential report");
        }
    }
    let completeness = completeness(asked, &report, differences, resources.len() as u64);
    (resources, completeness)
}

fn dated(said: &Result<GetCredentialReportOutput, Refusal>) -> Result<Dated, String> {
    let said = said.as_ref().map_err(|refusal| refusal.reason.clone())?;
    let content = said.content().ok_or("the answer holds no credential report")?;
    let generated = said
        .generated_time()
        .and_then(time)
        .ok_or("the credential report does not say when it was made")?;
    let report = credential_report::read(content.as_ref())?;
    Ok(Dated { report, generated })
}

fn completeness(
    asked: &Asked,
    report: &Result<Dated, String>,
    mut against: Vec<&str>,
    read: u64,
) -> Completeness {
    let whole = match &asked.users.1 {
        Ok(listed) if listed.cut.is_none() => true,
        Ok(_) => {
            against.push("the listing of users was cut off");
            false
        }
        Err(_) => {
            against.push("the users could not be listed");
            false
        }
    };
    let gone = asked.each.iter().filter(|user| user.is_gone()).count();
    let mut expected = None;
    match report {
        Ok(dated) => {
            if dated.report.root.is_none() {
                against.push("the credential report has no row for the root user");
            }
            let listed = |arn: &str| asked.each.iter().any(|user| user.user.arn() == arn);
            if whole && dated.report.users.keys().any(|arn| !listed(arn)) {
                against.push("a user of the credential report is not listed: deleted since, or kept from us");
            }
            let later =
                |user: &&AskedUser| !user.is_gone() && !dated.report.users.contains_key(user.user.arn());
            let (rows, later) = (dated.report.users.len(), asked.each.iter().filter(later).count());
            // Root and password policy are resources too.
            expected = Some((rows + later + 2).saturating_sub(gone) as u64);
        }
        Err(_) => against.push("there is no credential report to compare the listing with"),
    }
    against.sort_unstable();
    against.dedup();
    let complete = against.is_empty();
    Completeness {
        complete,
        basis: if complete {
            "all pages of the users' listing were read, and the credential report names the same users"
                .to_owned()
        } else {
            against.join("; ")
        },
        expected,
        read,
        second_source: report.is_ok().then(|| "iam:GetCredentialReport".to_owned()),
    }
}

fn root(asked: &Asked, report: Result<&Dated, &String>) -> Resource {
    let row = report.map_err(Clone::clone).and_then(|dated| {
        dated
            .report
            .root
            .as_ref()
            .ok_or_else(|| "the credential report has no row for the root user".to_owned())
    });
    let row = row.as_ref().map_err(Clone::clone);
    let said = |key| {
        let summary = asked
            .summary
            .1
            .as_ref()
            .map_err(|refusal| refusal.reason.clone())?;
        let value = summary.summary_map().and_then(|map| map.get(&key));
        value
            .map(|count| *count > 0)
            .ok_or_else(|| format!("the account summary has no {key}"))
    };
    let from_row = |column| row.clone().and_then(|row| row.flag(column));
    let agreed = |one: Result<bool, String>, other: Result<bool, String>, what| match (one?, other?) {
        (one, other) if one == other => Ok(one),
        _ => Err(format!(
            "the credential report and the account summary disagree about {what}"
        )),
    };
    let mfa = agreed(
        from_row("mfa_active"),
        said(SummaryKeyType::AccountMfaEnabled),
        "root's MFA",
    );
    let key = any_of([from_row("access_key_1_active"), from_row("access_key_2_active")]);
    // The summary counts inactive keys too: without one there is no active one, and an active one shows in it.
    let keys = match (key, said(SummaryKeyType::AccountAccessKeysPresent)) {
        (Ok(true), Ok(false)) => {
            Err("the credential report and the account summary disagree about root's access keys".to_owned())
        }
        (Ok(active), Ok(_)) => Ok(active),
        (Err(reason), _) | (_, Err(reason)) => Err(reason),
    };
    let arn = format!("arn:{}:iam::{}:root", asked.partition, asked.account);
    let virtual_mfa = listed(&asked.virtual_devices.1).and_then(|pages| {
        let devices = pages
            .iter()
            .flat_map(ListVirtualMfaDevicesOutput::virtual_mfa_devices);
        // Assigned, and not said to whom: it may be root's.
        any_of(devices.map(|device| {
            let user = device.user().map(|user| user.arn() == arn);
            user.ok_or_else(|| {
                "a virtual MFA device is assigned, and the answer does not say to whom".to_owned()
            })
        }))
    });
    let credentials = any_of([
        said(SummaryKeyType::AccountPasswordPresent),
        said(SummaryKeyType::AccountAccessKeysPresent),
        said(SummaryKeyType::AccountSigningCertificatesPresent),
        said(SummaryKeyType::AccountMfaEnabled),
    ]);
    let last_used = row.clone().and_then(|row| {
        let columns = [
            "password_last_used",
            "access_key_1_last_used_date",
            "access_key_2_last_used_date",
        ];
        let times = columns.map(|column| row.time(column));
        let times = times.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(times.into_iter().flatten().max().map(text))
    });
    let created = row
        .clone()
        .and_then(|row| Ok(row.time("user_creation_time")?.map(text)));
    let features = match &asked.features.1 {
        Ok(features) => Ok(features
            .enabled_features()
            .iter()
            .any(|feature| feature.as_str() == "RootCredentialsManagement")),
        Err(refusal) => Err(refusal.reason.clone()),
    };
    let mut resource = Resource::new("aws.iam.root", arn, "root", asked.report.0)
        .with_result("access_key_active", keys)
        .with_result("central_root_management", features)
        .with_result("created", created.map(Value::from))
        .with_result("has_credentials", credentials)
        .with_result("last_used", last_used.map(Value::from))
        .with_result("mfa_active", mfa)
        .with_result("virtual_mfa", virtual_mfa);
    resource.call = vec![
        asked.report.0,
        asked.summary.0,
        asked.virtual_devices.0,
        asked.features.0,
    ];
    resource.call.sort_unstable();
    resource.as_of = report.ok().map(|dated| dated.generated);
    resource
}

/// True if any is; false only if all are known to be false.
fn any_of(flags: impl IntoIterator<Item = Result<bool, String>>) -> Result<bool, String> {
    let mut unknown = None;
    for flag in flags {
        match flag {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(reason) => unknown = unknown.or(Some(reason)),
        }
    }
    unknown.map_or(Ok(false), Err)
}

/// The password policy, or AWS's own where the account has none: 8 characters, and nothing else is asked for.
fn password_policy(asked: &Asked) -> Resource {
    let (call, said) = &asked.policy;
    let resource = Resource::new(
        "aws.iam.password_policy",
        "password policy",
        "password policy",
        *call,
    );
    let said = match said {
        Ok(said) => said
            .password_policy()
            .ok_or("iam:GetAccountPasswordPolicy was answered without a policy"),
        Err(refusal) if refusal.says("NoSuchEntity") => {
            return resource
                .with("set", false)
                .with("minimum_length", 8)
                .with("reuse_prevention", 0)
                .with("max_age_days", 0)
                .with("require_symbols", false)
                .with("require_numbers", false)
                .with("require_uppercase", false)
                .with("require_lowercase", false)
                .with("users_may_change", false);
        }
        Err(refusal) => Err(refusal.reason.as_str()),
    };
    let policy = match said {
        Ok(policy) => policy,
        Err(reason) => {
            let attributes = [
                "set",
                "minimum_length",
                "reuse_prevention",
                "max_age_days",
                "require_symbols",
                "require_numbers",
                "require_uppercase",
                "require_lowercase",
                "users_may_change",
            ];
            return attributes.into_iter().fold(resource, |resource, attribute| {
                resource.with_result(attribute, Err::<Value, _>(reason.to_owned()))
            });
        }
    };
    let known = |value: Option<i32>| value.ok_or_else(|| "the answer does not say".to_owned());
    resource
        .with("set", true)
        .with_result("minimum_length", known(policy.minimum_password_length()))
        .with(
            "reuse_prevention",
            policy.password_reuse_prevention().unwrap_or(0),
        )
        .with("max_age_days", policy.max_password_age().unwrap_or(0))
        .with("require_symbols", policy.require_symbols())
        .with("require_numbers", policy.require_numbers())
        .with("require_uppercase", policy.require_uppercase_characters())
        .with("require_lowercase", policy.require_lowercase_characters())
        .with("users_may_change", policy.allow_users_to_change_password())
}

impl AskedUser {
    /// Whether the user was deleted between being listed and being read.
    fn is_gone(&self) -> bool {
        let no_such = |refusal: Option<&Refusal>| refusal.is_some_and(|refusal| refusal.says("NoSuchEntity"));
        // A user without a password has no login profile: that alone says nothing.
        no_such(self.devices.1.as_ref().err()) || no_such(self.keys.1.as_ref().err())
    }

    fn resource(
        &self,
        report_call: usize,
        list_call: usize,
        report: &Result<Dated, String>,
        differences: &mut Vec<&'static str>,
    ) -> Resource {
        let arn = self.user.arn();
        let row = report.as_ref().map_err(Clone::clone).and_then(|dated| {
            let row = dated.report.users.get(arn);
            row.ok_or_else(|| "the user is not in the credential report".to_owned())
        });
        let generated = report.as_ref().ok().map(|dated| dated.generated);
        let since_report = |at: Option<DateTime<Utc>>| at.zip(generated).is_none_or(|(at, made)| at >= made);

        let login = match &self.login.1 {
            Ok(said) => Ok(said
                .login_profile()
                .and_then(|profile| time(profile.create_date()))),
            Err(refusal) => Err(refusal),
        };
        let has_password = match &login {
            Ok(_) => Ok(true),
            Err(refusal) if refusal.says("NoSuchEntity") => Ok(false),
            Err(refusal) => Err(refusal.reason.clone()),
        };
        let reported = row.clone().and_then(|row| row.flag("password_enabled"));
        if let (Ok(has), Ok(reported)) = (&has_password, &reported)
            && has != reported
            && !since_report(login.ok().flatten())
        {
            differences.push("the credential report and the login profiles disagree about a password");
        }
        let password = has_password.or(reported);

        let devices = listed(&self.devices.1).map(|pages| {
            let devices = pages.iter().flat_map(ListMfaDevicesOutput::mfa_devices);
            let mut devices: Vec<Value> = devices
                .map(|device| {
                    json!({
                        "serial": device.serial_number(),
                        "kind": kind(device.serial_number()),
                        "enabled": time(device.enable_date()).map(text),
                    })
                })
                .collect();
            devices.sort_by_key(ToString::to_string);
            devices
        });
        // A listing is newer than any report, so it outranks it.
        let mfa = match &devices {
            Ok(devices) => Ok(!devices.is_empty()),
            Err(reason) => row
                .clone()
                .and_then(|row| row.flag("mfa_active"))
                .map_err(|_| reason.clone()),
        };
        let made = time(self.user.create_date());
        let is_new = row.is_err() && made.zip(generated).is_some_and(|(made, report)| made >= report);
        let (credentials, changed) = if is_new {
            let login = self.login.1.as_ref().ok().and_then(|said| said.login_profile());
            let changed = login.and_then(|profile| time(profile.create_date())).map(text);
            (self.new_credentials(&password), password.clone().map(|_| changed))
        } else {
            let changed = row
                .clone()
                .and_then(|row| Ok(row.time("password_last_changed")?.map(text)));
            (row.clone().and_then(credentials), changed)
        };
        let mut resource = Resource::new("aws.iam.user", arn, self.user.user_name(), list_call)
            .with_result("access_keys", self.access_keys())
            .with("created", made.map(text))
            .with_result("credentials", credentials)
            .with_result("mfa_active", mfa)
            .with_result("mfa_devices", devices)
            .with_result("password_enabled", password)
            .with_result("password_last_changed", changed);
        resource.call = vec![report_call, list_call, self.devices.0, self.keys.0, self.login.0];
        resource.call.sort_unstable();
        resource.as_of = row.is_ok().then_some(generated).flatten();
        resource
    }

    /// Of a user who is younger than the report: nothing can have been used for long.
    fn new_credentials(&self, password: &Result<bool, String>) -> Result<Vec<Value>, String> {
        let mut credentials = Vec::new();
        if password.clone()? {
            let login = self.login.1.as_ref().ok().and_then(|said| said.login_profile());
            credentials.push(json!({
                "kind": "password",
                "id": "password",
                "active": true,
                "since": login.and_then(|profile| time(profile.create_date())).map(text),
                "last_used": null,
            }));
        }
        for (key, name) in self
            .access_keys()?
            .into_iter()
            .zip(["access_key_1", "access_key_2"])
        {
            credentials.push(json!({
                "kind": "access_key",
                "id": name,
                "active": key["active"],
                "since": key["created"],
                "last_used": null,
            }));
        }
        Ok(credentials)
    }

    fn access_keys(&self) -> Result<Vec<Value>, String> {
        let pages = listed(&self.keys.1)?;
        let keys = pages.iter().flat_map(ListAccessKeysOutput::access_key_metadata);
        let mut keys: Vec<Value> = keys
            .map(|key| {
                json!({
                    "id": key.access_key_id(),
                    "active": key.status() == Some(&StatusType::Active),
                    "created": key.create_date().and_then(time).map(text),
                })
            })
            .collect();
        keys.sort_by_key(ToString::to_string);
        Ok(keys)
    }
}

/// Password and both keys as the report has them: what is there, since when, and when it was used last.
fn credentials(row: &Row) -> Result<Vec<Value>, String> {
    let mut credentials = Vec::new();
    if row.flag("password_enabled")? {
        credentials.push(json!({
            "kind": "password",
            "id": "password",
            "active": true,
            "since": row.time("password_last_changed")?.map(text),
            "last_used": row.time("password_last_used")?.map(text),
        }));
    }
    for key in ["access_key_1", "access_key_2"] {
        let since = row.time(&format!("{key}_last_rotated"))?;
        let active = row.flag(&format!("{key}_active"))?;
        if active || since.is_some() {
            credentials.push(json!({
                "kind": "access_key",
                "id": key,
                "active": active,
                "since": since.map(text),
                "last_used": row.time(&format!("{key}_last_used_date"))?.map(text),
            }));
        }
    }
    Ok(credentials)
}

/// What a serial number says about a device.
fn kind(serial: &str) -> &'static str {
    match serial.split(':').nth(5) {
        Some(name) if name.starts_with("mfa/") => "virtual",
        Some(name) if name.starts_with("u2f/") => "fido",
        _ => "hardware",
    }
}

/// All pages of a listing; one that was cut off is not known.
fn listed<T>(said: &Result<Pages<T>, Refusal>) -> Result<&[T], String> {
    match said {
        Ok(Pages {
            cut: Some(refusal), ..
        })
        | Err(refusal) => Err(refusal.reason.clone()),
        Ok(Pages { pages, cut: None }) => Ok(pages),
    }
}

fn time(time: &aws_smithy_types::DateTime) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(time.secs(), time.subsec_nanos())
}
