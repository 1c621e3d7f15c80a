//! Evidence about AWS accounts, read with the calls that `deploy/aws/policy.json` allows and no others.
//!
//! | collector | a target is | kinds |
//! |---|---|---|
//! | `aws.iam.mfa` | an account | `aws.iam.root`, `aws.iam.user`, `aws.iam.password_policy` |
//! | `aws.s3.encryption` | an account | `aws.s3.bucket`, `aws.s3.account_public_access` |
//! | `aws.organization.accounts` | an organisation | `aws.organization.account` |
//!
//! Each is split the same way: one file asks (`iam_mfa.rs`, `s3_encryption.rs`, `organization_accounts.rs`), and pure code
//! makes resources of the answers. [`settings`] and `access` say which accounts and as whom, `ask` makes one call and
//! keeps what the provenance needs, and `connection` holds the manners: pace, timeouts, limits.

#[macro_use]
mod ask;
mod access;
mod answers;
mod calls;
mod connection;
mod credential_report;
mod found;
mod iam_mfa;
mod iam_resources;
mod organization_accounts;
mod policy;
mod s3_encryption;
mod s3_keys;
mod s3_resources;
pub mod settings;
#[cfg(test)]
mod tests;

pub use calls::{CALLS, Needed};
pub use found::found;
pub use settings::Settings;

use evidenced_collector_api::Collector;

use access::Access;

/// The collector `aws.iam.mfa`.
pub fn iam_mfa(settings: Settings) -> Box<dyn Collector> {
    Box::new(iam_mfa::IamMfa::new(Access::new(settings)))
}

/// The collector `aws.s3.encryption`.
pub fn s3_encryption(settings: Settings) -> Box<dyn Collector> {
    Box::new(s3_encryption::S3Encryption::new(Access::new(settings)))
}

/// The collector `aws.organization.accounts`.
pub fn organization_accounts(settings: Settings) -> Box<dyn Collector> {
    Box::new(organization_accounts::OrganizationAccounts::new(Access::new(
        settings,
    )))
}
