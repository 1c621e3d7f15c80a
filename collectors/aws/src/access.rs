//! Which accounts, and as whom: the credentials of the environment, and a role in each other account.

use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_organizations::operation::list_accounts::ListAccountsOutput;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use serde_json::Value;
use std::collections::BTreeMap;
use tokio::sync::OnceCell;

use evidenced_collector_api::{CollectError, FailureClass, Run, Target};

use crate::answers::Answers;
use crate::ask::{self, Answer, Pages, Question, Refusal};
use crate::connection;
use crate::settings::Settings;

/// Asked where nobody says which region: the one that AWS's global services are in.
const REGION: &str = "us-east-1";

/// A source of type `aws`.
pub(crate) struct Access {
    pub(crate) settings: Settings,
    http: OnceCell<SharedHttpClient>,
    base: OnceCell<SdkConfig>,
}

/// One account, and who asks it.
pub(crate) struct Account {
    pub(crate) id: String,
    /// `aws`, `aws-cn` or `aws-us-gov`.
    pub(crate) partition: String,
    pub(crate) config: SdkConfig,
    pub(crate) caller: BTreeMap<String, Value>,
}

/// Who the credentials belong to.
struct Identity {
    account: String,
    arn: String,
    user_id: String,
}

/// What the organisation says about its accounts.
pub(crate) type Listed = Pages<ListAccountsOutput>;

impl Access {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            http: OnceCell::new(),
            base: OnceCell::new(),
        }
    }

    /// For tests: a configuration whose answers do not come from the network.
    #[cfg(test)]
    pub(crate) fn over(settings: Settings, config: SdkConfig) -> Self {
        Self {
            settings,
            http: OnceCell::new_with(config.http_client()),
            base: OnceCell::new_with(Some(config)),
        }
    }

    async fn http(&self) -> SharedHttpClient {
        let inner = self.http.get_or_init(async || connection::shared()).await.clone();
        let (pace, at_once) = (&self.settings.calls_per_second, &self.settings.concurrency);
        connection::paced(inner, pace.0, at_once.0)
    }

    /// The environment's own credentials.
    async fn base(&self) -> &SdkConfig {
        self.base
            .get_or_init(async || {
                let settings = &self.settings;
                let mut loader = aws_config::defaults(BehaviorVersion::latest())
                    .http_client(self.http().await)
                    .retry_config(connection::retries())
                    .timeout_config(connection::timeouts());
                if let Some(region) = &settings.region {
                    loader = loader.region(Region::new(region.clone()));
                }
                if let Some(profile) = &settings.profile {
                    loader = loader.profile_name(profile);
                }
                let config = loader.load().await;
                if config.region().is_some() {
                    return config;
                }
                config.into_builder().region(Region::from_static(REGION)).build()
            })
            .await
    }

    /// How many calls may be under way at once.
    pub(crate) fn at_once(&self) -> usize {
        usize::from(self.settings.concurrency.0)
    }

    /// The accounts in scope, by number.
    pub(crate) async fn accounts(&self, run: &Run<'_>) -> Result<Vec<Target>, CollectError> {
        let mut ids: Vec<String> = if self.settings.organization {
            let listed = self.organization(run).await.result?;
            if let Some(refusal) = listed.cut {
                return Err(refusal.into());
            }
            let accounts = listed.pages.iter().flat_map(ListAccountsOutput::accounts);
            let accounts: Vec<_> = accounts
                .filter_map(|account| Some((account.id()?.to_owned(), is_active(account))))
                .collect();
            let own = self.identity(run, self.base().await).await.1?.account;
            // A member account may be answered with an empty list instead of a refusal.
            if !accounts.iter().any(|(id, _)| *id == own) {
                let what = "organizations:ListAccounts does not name the account that asked: only the management \
                            account, or a delegated one, sees the organisation";
                return Err(CollectError::new(FailureClass::Permission, what));
            }
            accounts
                .into_iter()
                .filter(|(id, active)| *active && self.exclusion(id).is_none())
                .map(|(id, _)| id)
                .collect()
        } else if self.settings.accounts.is_empty() {
            vec![self.identity(run, self.base().await).await.1?.account]
        } else {
            let configured = self.settings.accounts.iter().map(|id| id.0.clone());
            configured.filter(|id| self.exclusion(id).is_none()).collect()
        };
        ids.sort();
        ids.dedup();
        ids.into_iter().map(Target::new).collect()
    }

    /// Why an account is left out, if it is.
    pub(crate) fn exclusion(&self, account: &str) -> Option<&str> {
        let excluded = self.settings.excluded.iter();
        excluded
            .filter(|excluded| excluded.account.0 == account)
            .map(|excluded| excluded.reason.0.as_str())
            .next()
    }

    /// The organisation's accounts, as its management account or a delegated one sees them.
    pub(crate) async fn organization(&self, run: &Run<'_>) -> Answer<Listed> {
        let client = aws_sdk_organizations::Client::new(self.base().await);
        let mut answer = ask::pages(
            run,
            Question {
                service: "organizations",
                operation: "ListAccounts",
                parameters: Vec::new(),
            },
            |seen, marker| {
                let request = client.list_accounts().set_next_token(marker);
                request.customize().interceptor(seen).send()
            },
            |page| Ok(page.next_token().map(str::to_owned)),
        )
        .await;
        if let Ok(listed) = &answer.result {
            let count: usize = listed.pages.iter().map(|page| page.accounts().len()).sum();
            answer.call.items = count as u64;
        }
        answer
    }

    /// The account that the environment's credentials belong to.
    pub(crate) async fn own_account(
        &self,
        run: &Run<'_>,
        answers: &mut Answers,
    ) -> Result<Account, CollectError> {
        let base = self.base().await.clone();
        let (answer, identity) = self.identity(run, &base).await;
        answers.add(answer).1?;
        Ok(account(identity?, base))
    }

    /// An account, as whoever may read it: the environment's credentials where it is theirs, else the role in it.
    pub(crate) async fn account(
        &self,
        target: &Target,
        run: &Run<'_>,
        answers: &mut Answers,
    ) -> Result<Account, CollectError> {
        let own = self.own_account(run, answers).await?;
        if own.id == target.as_str() {
            return Ok(own);
        }
        let Some(role) = &self.settings.role else {
            let what = "no role is configured to read other accounts than the credentials' own: set `role`";
            return Err(CollectError::new(FailureClass::Permission, what));
        };
        let arn = format!("arn:{}:iam::{target}:role/{}", own.partition, role.0);
        let mut provider = AssumeRoleProvider::builder(arn)
            .session_name(self.settings.session_name.0.as_str())
            .configure(&own.config);
        if let Some(external_id) = &self.settings.external_id {
            provider = provider.external_id(external_id.as_str());
        }
        let config = own
            .config
            .to_builder()
            .http_client(self.http().await)
            .credentials_provider(aws_sdk_sts::config::SharedCredentialsProvider::new(
                provider.build().await,
            ))
            .build();
        let (answer, identity) = self.identity(run, &config).await;
        answers.add(answer).1.map_err(|refusal| match refusal.class {
            FailureClass::Auth => CollectError::new(
                FailureClass::Permission,
                "the role can't be assumed: sts:AssumeRole was refused, or there is no such role in the account",
            ),
            _ => CollectError::from(refusal),
        })?;
        let identity = identity?;
        if identity.account != target.as_str() {
            let what = "the role's session belongs to another account than was asked for";
            return Err(CollectError::invalid_response(what));
        }
        Ok(account(identity, config))
    }

    /// Every account in scope for `check`, or why it can't be read, each under its name.
    pub(crate) async fn reachable(&self, run: &Run<'_>) -> Vec<(String, Result<(Account, Answers), String>)> {
        let targets = match self.accounts(run).await {
            Ok(targets) => targets,
            Err(error) => return vec![("accounts".to_owned(), Err(error.message))],
        };
        let mut reachable = Vec::new();
        for target in targets {
            let mut answers = Answers::default();
            let account = self.account(&target, run, &mut answers).await;
            let account = account
                .map(|account| (account, answers))
                .map_err(|error| error.message);
            reachable.push((format!("account {target}"), account));
        }
        reachable
    }

    async fn identity(
        &self,
        run: &Run<'_>,
        config: &SdkConfig,
    ) -> (Answer<()>, Result<Identity, CollectError>) {
        let client = aws_sdk_sts::Client::new(config);
        let Answer {
            mut call,
            bodies,
            result,
        } = ask!(run, "sts" "GetCallerIdentity" {}, client.get_caller_identity()).await;
        call.items = 1;
        let identity = match &result {
            Ok(said) => match (said.account(), said.arn(), said.user_id()) {
                (Some(account), Some(arn), Some(user_id)) => Ok(Identity {
                    account: account.to_owned(),
                    arn: arn.to_owned(),
                    user_id: user_id.to_owned(),
                }),
                _ => Err(CollectError::invalid_response(
                    "sts:GetCallerIdentity names no account",
                )),
            },
            Err(refusal) => Err(CollectError::from(refusal.clone())),
        };
        let answer = Answer {
            call,
            bodies,
            result: result.map(drop),
        };
        (answer, identity)
    }
}

fn account(identity: Identity, config: SdkConfig) -> Account {
    let partition = identity.arn.split(':').nth(1).unwrap_or("aws").to_owned();
    let caller = [
        ("account", identity.account.clone()),
        ("arn", identity.arn),
        ("user_id", identity.user_id),
    ];
    Account {
        id: identity.account,
        partition,
        config,
        caller: caller
            .into_iter()
            .map(|(name, value)| (name.to_owned(), Value::from(value)))
            .collect(),
    }
}

/// Whether an account is in use: a closed one answers nothing. `State` takes the place of the retired `Status`.
pub(crate) fn is_active(account: &aws_sdk_organizations::types::Account) -> bool {
    state(account).is_none_or(|state| state == "ACTIVE")
}

/// An account's state.
pub(crate) fn state(account: &aws_sdk_organizations::types::Account) -> Option<&str> {
    let state = account
        .state()
        .map(aws_sdk_organizations::types::AccountState::as_str);
    let status = account
        .status()
        .map(aws_sdk_organizations::types::AccountStatus::as_str);
    state.or(status)
}

/// A line of `check`: what was tried, and what is missing.
pub(crate) fn tried<T>(operation: &str, result: &Result<T, Refusal>) -> (String, Result<String, String>) {
    let said = match result {
        Ok(_) => Ok("allowed".to_owned()),
        Err(refusal) if refusal.class == FailureClass::Permission => Err(format!(
            "{}; allow it, see deploy/aws/policy.json",
            refusal.reason
        )),
        // There is none: whoever may not ask is not told even that.
        Err(refusal) if refusal.is_absence() => Ok("allowed".to_owned()),
        Err(refusal) => Err(refusal.reason.clone()),
    };
    (operation.to_owned(), said)
}
