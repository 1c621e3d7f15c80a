//! Who asks GitHub: a token, or an App's installation at each owner.

use chrono::{DateTime, TimeDelta, Utc};
use octocrab::Octocrab;
use octocrab::models::{AppId, InstallationId};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, OnceCell};

use evidenced_collector_api::{CollectError, FailureClass, Run};

use crate::ask::Question;
use crate::calls;
use crate::client::{Client, Refusal};
use crate::settings::{App, Settings};

/// A source of type `github`.
pub(crate) struct Access {
    pub(crate) settings: Settings<SecretString>,
    http: OnceCell<reqwest::Client>,
    /// By owner, in small letters; a token has one for all, under the empty name. Each with the time of finding it out.
    identities: Mutex<BTreeMap<String, Known>>,
}

type Known = (DateTime<Utc>, Arc<Identity>);

/// An App may be installed anew, or its installation narrowed, while this runs on.
const KNOWN_FOR: TimeDelta = TimeDelta::hours(1);

/// Who asks, once GitHub has said who that is.
pub(crate) struct Identity {
    pub(crate) client: Client,
    pub(crate) caller: BTreeMap<String, Value>,
    /// The login of a token's user.
    pub(crate) login: Option<String>,
    /// Whether an App is installed on `all` of the owner's repositories, or on `selected` ones.
    pub(crate) selection: Option<String>,
}

impl Access {
    pub(crate) fn new(settings: Settings<SecretString>) -> Self {
        Self {
            settings,
            http: OnceCell::new(),
            identities: Mutex::default(),
        }
    }

    /// Who asks about an owner. It is found out once an hour; who that is stands in each snapshot's provenance.
    pub(crate) async fn identity(&self, run: &Run<'_>, owner: &str) -> Result<Arc<Identity>, CollectError> {
        let name = match &self.settings.app {
            Some(_) => owner.to_lowercase(),
            None => String::new(),
        };
        let mut identities = self.identities.lock().await;
        let now = run.clock.now();
        if let Some((since, known)) = identities.get(&name)
            && (now - since).abs() < KNOWN_FOR
        {
            return Ok(Arc::clone(known));
        }
        let found = match (&self.settings.token, &self.settings.app) {
            (Some(token), _) => self.by_token(run, token).await?,
            (None, Some(app)) => self.by_app(run, app, owner).await?,
            (None, None) => {
                return Err(CollectError::new(
                    FailureClass::Auth,
                    "there is neither token nor app",
                ));
            }
        };
        let found = Arc::new(found);
        identities.insert(name, (now, Arc::clone(&found)));
        Ok(found)
    }

    async fn by_token(&self, run: &Run<'_>, token: &SecretString) -> Result<Identity, CollectError> {
        let http = self.http().await?;
        let octocrab = build(self.builder()?.personal_token(token.clone()), http)?;
        let mut client = self.client(octocrab, String::new());
        let (received, user) = ask(&client, run, &Question::new(&calls::USER, &[])).await?;
        let login = user["login"].as_str().map(str::to_owned);
        let login = login.ok_or_else(|| CollectError::invalid_response("GET /user names nobody"))?;
        let mut caller = BTreeMap::from([
            ("login".to_owned(), user["login"].clone()),
            ("id".to_owned(), user["id"].clone()),
        ]);
        // Only classic tokens have scopes.
        match received {
            Some(scopes) => caller.insert("scopes".to_owned(), scopes.into()),
            None => caller.insert("token".to_owned(), "fine-grained".into()),
        };
        client.identity.clone_from(&login);
        Ok(Identity {
            client,
            caller,
            login: Some(login),
            selection: None,
        })
    }

    async fn by_app(
        &self,
        run: &Run<'_>,
        app: &App<SecretString>,
        owner: &str,
    ) -> Result<Identity, CollectError> {
        let http = self.http().await?;
        let key = app.key.expose_secret().as_bytes();
        let builder = self.builder()?.app_from_rsa_pem(AppId(app.id), key).map_err(|_| {
            CollectError::new(
                FailureClass::Auth,
                "app.key is not an RSA key as GitHub gives it: PEM, which begins with -----BEGIN RSA PRIVATE KEY-----",
            )
        })?;
        let octocrab = build(builder, http)?;
        let as_app = self.client(octocrab.clone(), format!("app {}", app.id));
        let (_, itself) = ask(&as_app, run, &Question::new(&calls::APP, &[])).await?;
        let installations = as_app
            .all(run, Question::new(&calls::INSTALLATIONS, &[]), None, |_| false)
            .await;
        let listed = installations.result?;
        let found = listed.items.into_iter().find(|installation| {
            let login = installation["account"]["login"].as_str().unwrap_or_default();
            // One that is given is still the owner's, or another's repositories would be taken for the owner's.
            login.eq_ignore_ascii_case(owner) && app.installation.is_none_or(|id| installation["id"] == id)
        });
        let installation = match (found, listed.cut) {
            (Some(found), _) => found,
            (None, Some(refusal)) => return Err(refusal.into()),
            (None, None) => {
                let what = match app.installation {
                    Some(id) => format!(
                        "installation {id} of the App is not at the owner: leave app.installation out, or give the owner's"
                    ),
                    None => "the App is not installed at the owner: install it there, or take the owner out of owners"
                        .to_owned(),
                };
                return Err(CollectError::new(FailureClass::Permission, what));
            }
        };
        let id = installation["id"].as_u64().unwrap_or_default();
        let octocrab = octocrab.installation(InstallationId(id)).map_err(|error| {
            CollectError::new(FailureClass::Internal, "no client for the installation").caused_by(error)
        })?;
        let caller = BTreeMap::from([
            ("app".to_owned(), itself["slug"].clone()),
            ("app_id".to_owned(), json!(app.id)),
            ("installation".to_owned(), json!(id)),
            (
                "repository_selection".to_owned(),
                installation["repository_selection"].clone(),
            ),
            ("permissions".to_owned(), installation["permissions"].clone()),
        ]);
        Ok(Identity {
            client: self.client(octocrab, format!("installation {id}")),
            caller,
            login: None,
            selection: installation["repository_selection"].as_str().map(str::to_owned),
        })
    }

    fn client(&self, octocrab: Octocrab, identity: String) -> Client {
        let settings = &self.settings;
        let base: Option<http::Uri> = settings.base_url.0.parse().ok();
        let prefix = base.map(|base| base.path().trim_end_matches('/').to_owned());
        let (share, at_once) = (settings.rate_share.0, settings.concurrency.0);
        Client::new(octocrab, prefix.unwrap_or_default(), identity, share, at_once)
    }

    fn builder(&self) -> Result<Builder, CollectError> {
        Octocrab::builder()
            .base_uri(self.settings.base_url.0.as_str())
            .map_err(|error| {
                CollectError::new(FailureClass::Internal, "base_url is no address").caused_by(error)
            })
    }

    async fn http(&self) -> Result<reqwest::Client, CollectError> {
        let http = self
            .http
            .get_or_try_init(async || http_client())
            .await
            .map_err(|error| {
                CollectError::new(FailureClass::Internal, "no connections can be made").caused_by(error)
            })?;
        Ok(http.clone())
    }
}

fn build(builder: Builder, http: reqwest::Client) -> Result<Octocrab, CollectError> {
    builder
        .build_with_reqwest(http)
        .map_err(|error| CollectError::new(FailureClass::Internal, "no client can be made").caused_by(error))
}

type Builder = octocrab::OctocrabBuilder<
    octocrab::NoSvc,
    octocrab::DefaultOctocrabBuilderConfig,
    octocrab::NoAuth,
    octocrab::NotLayerReady,
>;

/// A request whose answer is not kept as evidence: who asks. Gives the scopes of a classic token too.
async fn ask(
    client: &Client,
    run: &Run<'_>,
    question: &Question<'_>,
) -> Result<(Option<String>, Value), Refusal> {
    let mut scopes = None;
    let answer = client.one_with(run, question, |headers| {
        scopes = headers
            .get("x-oauth-scopes")
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
    });
    let value = answer.await.result?;
    Ok((scopes, value))
}

fn http_client() -> reqwest::Result<reqwest::Client> {
    // There may be one already: all of this program's connections use the same.
    rustls::crypto::ring::default_provider().install_default().ok();
    reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(10))
        // A repository that moved is not the one that was asked for.
        .redirect(reqwest::redirect::Policy::none())
        .build()
}
