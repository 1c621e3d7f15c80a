//! `aws.organization.accounts`: the accounts that there are, against those that are collected from.

use async_trait::async_trait;
use aws_sdk_organizations::operation::list_accounts::ListAccountsOutput;
use aws_sdk_organizations::types::Account;
use chrono::DateTime;
use serde_json::Value;

use evidenced_collector_api::{
    CollectError, Collector, Completeness, Covers, Provenance, Resource, Run, Snapshot, Target,
};

use crate::access::{Access, is_active, state, tried};
use crate::answers::Answers;
use crate::credential_report::text;

/// The collector.
pub(crate) struct OrganizationAccounts {
    access: Access,
}

impl OrganizationAccounts {
    pub(crate) fn new(access: Access) -> Self {
        Self { access }
    }

    /// Whether the source collects from an account.
    fn collects(&self, account: &Account, own: &str) -> bool {
        let settings = &self.access.settings;
        let id = account.id().unwrap_or_default();
        if self.access.exclusion(id).is_some() {
            return false;
        }
        if settings.organization {
            return is_active(account);
        }
        if settings.accounts.is_empty() {
            return id == own;
        }
        settings.accounts.iter().any(|configured| configured.0 == id)
    }
}

#[async_trait]
impl Collector for OrganizationAccounts {
    fn id(&self) -> &'static str {
        "aws.organization.accounts"
    }

    fn version(&self) -> &'static str {
        "1"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["aws.organization.account"]
    }

    async fn targets(&self, _run: &Run<'_>) -> Result<Vec<Target>, CollectError> {
        Ok(vec![Target::new("organization")?])
    }

    async fn collect(&self, _target: &Target, run: &Run<'_>) -> Result<Snapshot, CollectError> {
        let mut answers = Answers::default();
        let own = self.access.own_account(run, &mut answers).await?;
        let (call, listed) = answers.add(self.access.organization(run).await);
        let listed = listed?;
        let mut resources = Vec::new();
        let mut nameless = false;
        for account in listed.pages.iter().flat_map(ListAccountsOutput::accounts) {
            let Some(id) = account.id() else {
                nameless = true;
                continue;
            };
            let reason = self.access.exclusion(id);
            let joined = account
                .joined_timestamp()
                .and_then(|time| DateTime::from_timestamp(time.secs(), time.subsec_nanos()));
            let known = |value: Option<&str>| {
                value
                    .map(str::to_owned)
                    .ok_or_else(|| "the answer does not say".to_owned())
            };
            resources.push(
                Resource::new("aws.organization.account", id, account.name().unwrap_or(id), call)
                    .with("configured", self.collects(account, &own.id))
                    .with_result("email", known(account.email()))
                    .with("excluded", reason.is_some())
                    .with("exclusion_reason", reason.map_or(Value::Null, Value::from))
                    .with("joined", joined.map_or(Value::Null, |joined| text(joined).into()))
                    .with_result("state", known(state(account))),
            );
        }
        // A member account may be answered with an empty list instead of a refusal.
        let alone = !resources.iter().any(|account: &Resource| account.id == own.id);
        let complete = listed.cut.is_none() && !nameless && !alone;
        let completeness = Completeness {
            complete,
            basis: match &listed.cut {
                Some(refusal) => format!("the listing was cut off: {}", refusal.reason),
                None if alone => {
                    "the listing does not have the account that asked: it is not the organisation's"
                        .to_owned()
                }
                None if nameless => "the listing has an account without a number".to_owned(),
                None => "all pages of the organisation's own listing were read".to_owned(),
            },
            expected: None,
            read: resources.len() as u64,
            second_source: None,
        };
        let (calls, raw) = answers.finish();
        Ok(Snapshot {
            covers: Covers::At { at: run.started },
            resources,
            raw,
            provenance: Provenance {
                caller: own.caller,
                calls,
                limits: Vec::new(),
                completeness,
            },
        })
    }

    async fn check(&self, run: &Run<'_>) -> Vec<(String, Result<String, String>)> {
        let listed = self.access.organization(run).await.result;
        vec![tried("organizations:ListAccounts", &listed)]
    }
}
