//! One request to GitHub, with manners: limits waited out as told, failures of GitHub's tried again, answers that did not
//! change not sent again.

use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use octocrab::Octocrab;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

use evidenced_collector_api::{CollectError, FailureClass, RateLimit, Run};

use crate::limits::Limits;
use crate::redacted::redacted;

/// No answer of GitHub's takes longer: its own servers give up after ten seconds.
const ANSWER: Duration = Duration::from_secs(30);

/// Far above the largest page; what is longer has no end.
const BODY: usize = 64 << 20;

/// How often a request is sent again after a failure of GitHub's, or of the way there.
const RETRIES: u32 = 3;

/// How often one request is sent again after a limit.
const LIMITED: u32 = 10;

/// Left of a run's time to make a snapshot of what was read.
const MARGIN: Duration = Duration::from_secs(5);

/// GitHub as one identity sees it.
pub(crate) struct Client {
    octocrab: Octocrab,
    /// The path of the base URL: empty, or `/api/v3`.
    prefix: String,
    /// Begins the keys of kept answers: what one identity sees is not for another.
    pub(crate) identity: String,
    limits: Mutex<Limits>,
    at_once: Semaphore,
}

/// An answer as it came.
pub(crate) struct Received {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// As it is kept.
    pub(crate) body: Vec<u8>,
    /// As it came, where something had to be cut out.
    pub(crate) original: Option<Vec<u8>>,
    /// What was cut out.
    pub(crate) removed: BTreeSet<String>,
    /// When GitHub sent the body, if it only confirmed it now.
    pub(crate) kept_since: Option<String>,
    /// How long limits were waited out before.
    pub(crate) waited: Duration,
}

impl Received {
    /// The body as GitHub sent it; of an answer that was kept, as it is kept.
    pub(crate) fn as_sent(&self) -> &[u8] {
        self.original.as_ref().unwrap_or(&self.body)
    }
}

/// Why a request gave nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) class: FailureClass,
    pub(crate) status: Option<u16>,
    /// GitHub's own words.
    pub(crate) message: Option<String>,
    /// Ours: no running figures, no secrets.
    pub(crate) reason: String,
}

impl Refusal {
    pub(crate) fn new(class: FailureClass, reason: impl Into<String>) -> Self {
        Self {
            class,
            status: None,
            message: None,
            reason: reason.into(),
        }
    }

    /// Whether a query may have been more than GitHub answers within ten seconds.
    pub(crate) fn is_too_much(&self) -> bool {
        matches!(self.status, Some(502 | 504)) || self.class == FailureClass::Timeout
    }

    /// Whether this says that what was asked for does not exist, in words that a refusal does not use.
    pub(crate) fn says(&self, message: &str) -> bool {
        self.status == Some(404) && self.message.as_deref() == Some(message)
    }

    /// Whether the limit or the time ends the run with this: what is asked after it gives nothing either.
    pub(crate) fn ends(&self, run: &Run<'_>) -> bool {
        let late = run.remaining() <= MARGIN + Duration::from_secs(1);
        match self.class {
            FailureClass::RateLimited => true,
            FailureClass::Timeout | FailureClass::Unavailable => late,
            _ => false,
        }
    }
}

/// Whether the same request may be answered in a moment.
fn may_pass(refusal: &Refusal) -> bool {
    matches!(refusal.class, FailureClass::Unavailable | FailureClass::Timeout)
}

impl From<Refusal> for CollectError {
    fn from(refusal: Refusal) -> Self {
        CollectError::new(refusal.class, refusal.reason)
    }
}

/// An answer that is kept: this on a line, then the body.
#[derive(Serialize, Deserialize)]
struct Kept {
    etag: String,
    since: String,
    link: Option<String>,
    /// What was cut out of it.
    #[serde(default)]
    removed: BTreeSet<String>,
}

impl Client {
    pub(crate) fn new(
        octocrab: Octocrab,
        prefix: String,
        identity: String,
        share: u64,
        at_once: usize,
    ) -> Self {
        Self {
            octocrab,
            prefix,
            identity,
            limits: Mutex::new(Limits::new(share)),
            at_once: Semaphore::new(at_once),
        }
    }

    /// Asks for a path of the REST API, with its query.
    pub(crate) async fn get(&self, run: &Run<'_>, path: &str, what: &str) -> Result<Received, Refusal> {
        let uri = format!("{}{path}", self.prefix);
        let key = format!("{} {uri}", self.identity);
        let kept = run.earlier.kept(&key).and_then(|kept| split(&kept));
        let request = || {
            let mut request = Request::builder()
                .method(Method::GET)
                .uri(&uri)
                .header(header::ACCEPT, "application/vnd.github+json")
                .header("x-github-api-version", "2022-11-28");
            if let Some((kept, _)) = &kept {
                request = request.header(header::IF_NONE_MATCH, &kept.etag);
            }
            request.body(String::new())
        };
        let mut received = self.exchange(run, "core", what, may_pass, request).await?;
        if received.status == StatusCode::NOT_MODIFIED {
            let Some((kept, body)) = kept else {
                return Err(Refusal::new(
                    FailureClass::InvalidResponse,
                    format!("{what} was answered with 304, and nothing had been asked to be compared"),
                ));
            };
            received.body = body;
            received.kept_since = Some(kept.since);
            received.removed = kept.removed;
            if let Some(link) = kept.link.and_then(|link| HeaderValue::from_str(&link).ok()) {
                received.headers.insert(header::LINK, link);
            }
        } else if received.status == StatusCode::OK {
            if let Some((body, removed)) = redacted(path, &received.body) {
                received.original = Some(std::mem::replace(&mut received.body, body));
                received.removed = removed;
            }
            keep(run, &key, &received);
        }
        Ok(received)
    }

    /// Sends a GraphQL query. What was too much for GitHub is not tried again here: a smaller page may help.
    pub(crate) async fn post_graphql(
        &self,
        run: &Run<'_>,
        body: &str,
        what: &str,
    ) -> Result<Received, Refusal> {
        // Enterprise Server has it beside the REST API's root, not below.
        let uri = if self.prefix.is_empty() {
            "/graphql".to_owned()
        } else {
            format!("{}/../graphql", self.prefix)
        };
        let request = || {
            Request::builder()
                .method(Method::POST)
                .uri(&uri)
                .header(header::CONTENT_TYPE, "application/json")
                .body(body.to_owned())
        };
        self.exchange(
            run,
            "graphql",
            what,
            |refusal| may_pass(refusal) && !refusal.is_too_much(),
            request,
        )
        .await
    }

    /// A page's address without the server's name: a token goes to nobody else.
    pub(crate) fn relative(&self, address: &str) -> String {
        let uri: Option<http::Uri> = address.parse().ok();
        let path = uri
            .as_ref()
            .and_then(http::Uri::path_and_query)
            .map_or("/", |path| path.as_str());
        path.strip_prefix(&self.prefix).unwrap_or(path).to_owned()
    }

    /// Notes that GraphQL's limit is used up, as an answer of status 200 said.
    pub(crate) fn graphql_used_up(&self) {
        self.limits().used_up("graphql");
    }

    async fn exchange(
        &self,
        run: &Run<'_>,
        resource: &str,
        what: &str,
        again: fn(&Refusal) -> bool,
        request: impl Fn() -> Result<Request<String>, http::Error>,
    ) -> Result<Received, Refusal> {
        let (mut failed, mut limited) = (0, 0);
        let mut waited = Duration::ZERO;
        loop {
            waited += self.wait_for_limits(run, resource, what).await?;
            let request = request().map_err(|_| {
                Refusal::new(
                    FailureClass::Internal,
                    format!("{what} has an address that is none"),
                )
            })?;
            let refusal = match self.send(run, request, what).await {
                Ok(received) => {
                    let now = run.clock.now();
                    let refused = self
                        .limits()
                        .note(received.status, &received.headers, &received.body, now);
                    if refused {
                        limited += 1;
                        if limited > LIMITED {
                            return Err(over_the_limit(what));
                        }
                        waited += pause(run, limited, what).await?;
                        continue;
                    }
                    if !received.status.is_server_error() {
                        return Ok(Received { waited, ..received });
                    }
                    let status = received.status.as_u16();
                    Refusal {
                        status: Some(status),
                        ..Refusal::new(
                            FailureClass::Unavailable,
                            format!("{what} was answered with an error ({status})"),
                        )
                    }
                }
                Err(refusal) => refusal,
            };
            if !again(&refusal) || failed >= RETRIES {
                return Err(refusal);
            }
            failed += 1;
            if pause(run, failed, what).await.is_err() {
                return Err(refusal);
            }
        }
    }

    async fn send(&self, run: &Run<'_>, request: Request<String>, what: &str) -> Result<Received, Refusal> {
        let permit = self.at_once.acquire().await;
        let time = ANSWER.min(run.remaining().saturating_sub(MARGIN));
        if permit.is_err() || time.is_zero() {
            return Err(Refusal::new(FailureClass::Timeout, out_of_time(what)));
        }
        let exchanged = async {
            let response = self
                .octocrab
                .execute(request)
                .await
                .map_err(|error| not_sent(&error, what))?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, BODY).collect().await.map_err(|_| {
                Refusal::new(
                    FailureClass::Unavailable,
                    format!("{what} was not answered to the end"),
                )
            })?;
            Ok(Received {
                status: parts.status,
                headers: parts.headers,
                body: body.to_bytes().to_vec(),
                original: None,
                removed: BTreeSet::new(),
                kept_since: None,
                waited: Duration::ZERO,
            })
        };
        tokio::time::timeout(time, exchanged).await.unwrap_or_else(|_| {
            Err(Refusal::new(
                FailureClass::Timeout,
                format!("{what} was not answered in time"),
            ))
        })
    }

    /// Waits until the limits let a request pass, and gives up where that is after the run's end.
    async fn wait_for_limits(&self, run: &Run<'_>, resource: &str, what: &str) -> Result<Duration, Refusal> {
        let mut waited = Duration::ZERO;
        loop {
            let now = run.clock.now();
            let until = self.limits().claim(resource, now);
            let Some(until) = until else { return Ok(waited) };
            let wait = (until - now).to_std().unwrap_or_default();
            if wait > run.remaining().saturating_sub(MARGIN) {
                return Err(over_the_limit(what));
            }
            tokio::time::sleep(wait).await;
            waited += wait;
        }
    }

    /// What GitHub said of its limits at last.
    pub(crate) fn limits_told(&self) -> Vec<RateLimit> {
        self.limits().told()
    }

    fn limits(&self) -> MutexGuard<'_, Limits> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps an answer that has an `ETag`, for the next run to ask whether it changed.
fn keep(run: &Run<'_>, key: &str, received: &Received) {
    let text = |name| Some(received.headers.get(name)?.to_str().ok()?.to_owned());
    let Some(etag) = text(header::ETAG) else { return };
    let since = text(header::DATE).unwrap_or_else(|| run.clock.now().to_rfc3339());
    let link = text(header::LINK);
    let Ok(mut kept) = serde_json::to_vec(&Kept {
        etag,
        since,
        link,
        removed: received.removed.clone(),
    }) else {
        return;
    };
    kept.push(b'\n');
    kept.extend_from_slice(&received.body);
    run.earlier.keep(key, &kept);
}

/// One, two, four … seconds, at most a minute.
async fn pause(run: &Run<'_>, times: u32, what: &str) -> Result<Duration, Refusal> {
    let wait = Duration::from_secs(1 << (times - 1).min(5)).min(Duration::from_mins(1));
    if wait > run.remaining().saturating_sub(MARGIN) {
        return Err(Refusal::new(FailureClass::Timeout, out_of_time(what)));
    }
    tokio::time::sleep(wait).await;
    Ok(wait)
}

fn over_the_limit(what: &str) -> Refusal {
    Refusal::new(
        FailureClass::RateLimited,
        format!(
            "{what} was not asked to the end: the rate limit is used up for longer than this run may take"
        ),
    )
}

fn out_of_time(what: &str) -> String {
    format!("{what} was not asked: this run has no time left")
}

/// The innermost cause tells whether there is anybody there; GitHub's refusal to give an App its token comes here too.
fn not_sent(error: &octocrab::Error, what: &str) -> Refusal {
    if let octocrab::Error::GitHub { source, .. } = error {
        let status = source.status_code.as_u16();
        let class = match status {
            401 | 404 => FailureClass::Auth,
            403 => FailureClass::Permission,
            429 => FailureClass::RateLimited,
            _ => FailureClass::Unavailable,
        };
        return Refusal {
            status: Some(status),
            message: Some(source.message.clone()),
            ..Refusal::new(
                class,
                format!("{what} was not asked: GitHub gave the App no token ({status})"),
            )
        };
    }
    if matches!(error, octocrab::Error::JWT { .. }) {
        return Refusal::new(
            FailureClass::Auth,
            format!("{what} was not asked: the App's key signs nothing"),
        );
    }
    Refusal::new(
        FailureClass::Unavailable,
        format!("{what} could not be sent, or its answer not be read"),
    )
}

fn split(kept: &[u8]) -> Option<(Kept, Vec<u8>)> {
    let end = kept.iter().position(|byte| *byte == b'\n')?;
    let (head, body) = kept.split_at(end);
    Some((serde_json::from_slice(head).ok()?, body[1..].to_vec()))
}
