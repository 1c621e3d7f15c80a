//! What is asked of GitHub and what provenance keeps of it: single requests, listings, GraphQL connections.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use evidenced_collector_api::{Call, CallTimer, FailureClass, Recording, Run};

use crate::calls::Route;
use crate::client::{Client, Received, Refusal};

/// Pages of one listing; one that is longer does not come to an end.
const PAGES: usize = 2000;

/// A page of GraphQL is not made smaller than this.
const LEAST: u64 = 5;

/// How often a page of one listing is made smaller, or asked for again where it is the smallest.
const SMALLER: u32 = 6;

const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// A request to the REST API: a route, what its braces stand for, and the query.
pub(crate) struct Question<'a> {
    pub(crate) route: &'a Route,
    pub(crate) parts: Vec<(&'static str, String)>,
    pub(crate) query: Vec<(&'static str, String)>,
}

/// What a request gave, and what provenance keeps of it.
pub(crate) struct Answer<T> {
    pub(crate) call: Call,
    pub(crate) bodies: Vec<Vec<u8>>,
    pub(crate) result: Result<T, Refusal>,
}

impl<T> Answer<T> {
    /// Puts the call on record; returns its position and its result.
    pub(crate) fn record(self, recording: &mut Recording) -> (usize, Result<T, Refusal>) {
        (recording.add(self.call, self.bodies), self.result)
    }
}

/// The items of a listing; where it was cut short, also why.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    pub(crate) items: Vec<Value>,
    pub(crate) cut: Option<Refusal>,
}

impl<'a> Question<'a> {
    pub(crate) fn new(route: &'a Route, parts: &[(&'static str, &str)]) -> Self {
        Self {
            route,
            parts: parts
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned()))
                .collect(),
            query: Vec::new(),
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    fn path(&self) -> String {
        let mut path = self.route.path.to_owned();
        for (name, value) in &self.parts {
            let encoded = utf8_percent_encode(value, SEGMENT).to_string();
            path = path.replace(&format!("{{{name}}}"), &encoded);
        }
        for (position, (name, value)) in self.query.iter().enumerate() {
            path.push(if position == 0 { '?' } else { '&' });
            write!(path, "{name}={}", utf8_percent_encode(value, SEGMENT)).ok();
        }
        path
    }

    fn timer<'r>(&self, run: &Run<'r>) -> CallTimer<'r> {
        let timer = run.call("github-rest", format!("GET {}", self.route.path));
        let given = self.parts.iter().chain(&self.query);
        given.fold(timer, |timer, (name, value)| {
            timer.parameter(*name, value.as_str())
        })
    }
}

impl Client {
    /// One request, answered with one object.
    pub(crate) async fn one(&self, run: &Run<'_>, question: &Question<'_>) -> Answer<Value> {
        self.one_with(run, question, |_| {}).await
    }

    /// The same, with a look at the answer's headers.
    pub(crate) async fn one_with(
        &self,
        run: &Run<'_>,
        question: &Question<'_>,
        look: impl FnOnce(&http::HeaderMap),
    ) -> Answer<Value> {
        let timer = question.timer(run);
        let (received, result) = self.page(run, &question.path(), question.route.path).await;
        if let Some(received) = &received {
            look(&received.headers);
        }
        answered(timer, received, result)
    }

    /// All pages of a listing, as one call. The items are the answer itself, or its field `within`. Each page is shown
    /// to `enough`, which may say that no more are needed.
    pub(crate) async fn all(
        &self,
        run: &Run<'_>,
        question: Question<'_>,
        within: Option<&str>,
        mut enough: impl FnMut(&Value) -> bool,
    ) -> Answer<Listed> {
        let question = question.with("per_page", "100");
        let timer = question.timer(run);
        let mut listed = Listed::default();
        let (mut bodies, mut digest, mut waited) = (Vec::new(), Sha256::new(), Duration::ZERO);
        let (mut path, mut seen) = (question.path(), BTreeSet::new());
        let mut last = None;
        let (mut all_kept, mut removed) = (true, BTreeSet::new());
        loop {
            let (received, result) = self.page(run, &path, question.route.path).await;
            let page = match result {
                Ok(page) => page,
                Err(refusal) => {
                    listed.cut = Some(refusal);
                    last = received.or(last);
                    break;
                }
            };
            let Some(received) = received else { break };
            waited += received.waited;
            all_kept &= received.kept_since.is_some();
            digest.update(received.as_sent());
            removed.extend(received.removed.iter().cloned());
            let items = within
                .map_or(Some(&page), |field| page.get(field))
                .and_then(Value::as_array);
            let Some(items) = items else {
                listed.cut = Some(not_documented(question.route.path));
                break;
            };
            let stop = enough(&page);
            listed.items.extend(items.iter().cloned());
            let next = next_page(&received.headers);
            bodies.push(received.body.clone());
            last = Some(received);
            let Some(next) = next.filter(|_| !stop) else { break };
            if bodies.len() >= PAGES || !seen.insert(next.clone()) {
                let what = format!("{} does not come to an end", question.route.path);
                listed.cut = Some(Refusal::new(FailureClass::InvalidResponse, what));
                break;
            }
            path = self.relative(&next);
        }
        let whole = listed.cut.clone().map_or(Ok(()), Err);
        let mut call = timer.finish(status(last.as_ref(), &whole), None);
        if let Some(last) = &mut last {
            last.waited = waited;
            last.kept_since = last.kept_since.take().filter(|_| all_kept);
            last.removed = removed;
        }
        describe(&mut call, last.as_ref(), listed.cut.as_ref());
        call.pages = bodies.len() as u64;
        call.items = listed.items.len() as u64;
        call.body_sha256 = (!bodies.is_empty()).then(|| hex(digest.finalize()));
        let result = match listed.cut {
            Some(refusal) if bodies.is_empty() => Err(refusal),
            cut => Ok(Listed { cut, ..listed }),
        };
        Answer { call, bodies, result }
    }

    async fn page(
        &self,
        run: &Run<'_>,
        path: &str,
        what: &str,
    ) -> (Option<Received>, Result<Value, Refusal>) {
        match self.get(run, path, what).await {
            Err(refusal) => (None, Err(refusal)),
            Ok(received) => {
                let result = read(&received, what);
                (Some(received), result)
            }
        }
    }

    /// All pages of a GraphQL connection, as one call, until `take` says that it has enough. The query has the variables
    /// `first` and `after`; `connection` is where the connection is in `data`.
    pub(crate) async fn connection(
        &self,
        run: &Run<'_>,
        query: &Query<'_>,
        mut take: impl FnMut(&Value, &[Value]) -> bool,
    ) -> Answer<Option<Refusal>> {
        let timer = run
            .call("github-graphql", query.name)
            .parameter("query", query.text);
        let given = query.variables.iter();
        let timer = given.fold(timer, |timer, (name, value)| {
            timer.parameter(name.as_str(), value.clone())
        });
        let (mut bodies, mut digest, mut waited) = (Vec::new(), Sha256::new(), Duration::ZERO);
        let (mut after, mut first, mut items) = (Value::Null, query.first, 0);
        let (mut seen, mut last, mut smaller) = (BTreeSet::new(), None, 0);
        let cut = loop {
            let mut variables = query.variables.clone();
            variables.insert("after".to_owned(), after.clone());
            variables.insert("first".to_owned(), first.into());
            let (received, result) = self.query(run, query, &variables).await;
            if let Some(received) = received {
                waited += received.waited;
                last = Some(received);
            }
            let page = match result {
                Ok(page) => page,
                Err(refusal) if refusal.is_too_much() && smaller < SMALLER => {
                    smaller += 1;
                    first = (first / 2).max(LEAST);
                    continue;
                }
                Err(refusal) => break Some(refusal),
            };
            if let Some(received) = &last {
                digest.update(&received.body);
                bodies.push(received.body.clone());
            }
            let errors = page["errors"].as_array().cloned().unwrap_or_default();
            let Some(connection) = page["data"]
                .pointer(query.connection)
                .filter(|found| found.is_object())
            else {
                break Some(absent(query, &errors));
            };
            let Some(nodes) = connection["nodes"].as_array() else {
                break Some(not_documented(query.name));
            };
            items += nodes.len();
            let enough = take(connection, &errors);
            let info = &connection["pageInfo"];
            if enough || info["hasNextPage"] == false {
                break None;
            }
            let cursor = info["endCursor"].as_str().unwrap_or_default().to_owned();
            if cursor.is_empty() || bodies.len() >= PAGES || !seen.insert(cursor.clone()) {
                let what = format!("{} does not come to an end", query.name);
                break Some(Refusal::new(FailureClass::InvalidResponse, what));
            }
            after = cursor.into();
        };
        let whole = cut.clone().map_or(Ok(()), Err);
        let mut call = timer.finish(status(last.as_ref(), &whole), None);
        if let Some(last) = &mut last {
            last.waited = waited;
        }
        describe(&mut call, last.as_ref(), cut.as_ref());
        call.pages = bodies.len() as u64;
        call.items = items as u64;
        call.body_sha256 = (!bodies.is_empty()).then(|| hex(digest.finalize()));
        let result = match cut {
            Some(refusal) if bodies.is_empty() => Err(refusal),
            cut => Ok(cut),
        };
        Answer { call, bodies, result }
    }

    /// One GraphQL request. That a limit is used up comes with status 200, and is waited out like any other.
    async fn query(
        &self,
        run: &Run<'_>,
        query: &Query<'_>,
        variables: &Map<String, Value>,
    ) -> (Option<Received>, Result<Value, Refusal>) {
        let body =
            json!({ "query": query.text, "operationName": query.name, "variables": variables }).to_string();
        let mut waited = Duration::ZERO;
        for _ in 0..3 {
            let mut received = match self.post_graphql(run, &body, query.name).await {
                Ok(received) => received,
                Err(refusal) => return (None, Err(refusal)),
            };
            waited += received.waited;
            received.waited = waited;
            let result = read(&received, query.name);
            let limited = result.as_ref().is_ok_and(|page| {
                page["errors"]
                    .as_array()
                    .is_some_and(|errors| errors.iter().any(|error| error["type"] == "RATE_LIMITED"))
            });
            if !limited {
                return (Some(received), result);
            }
            self.graphql_used_up();
        }
        let reason = format!("{} was refused for GraphQL's rate limit", query.name);
        (None, Err(Refusal::new(FailureClass::RateLimited, reason)))
    }

    /// One GraphQL request that is no listing.
    pub(crate) async fn graphql(&self, run: &Run<'_>, query: &Query<'_>) -> Answer<Value> {
        let timer = run
            .call("github-graphql", query.name)
            .parameter("query", query.text);
        let given = query.variables.iter();
        let timer = given.fold(timer, |timer, (name, value)| {
            timer.parameter(name.as_str(), value.clone())
        });
        let (received, result) = self.query(run, query, &query.variables).await;
        answered(timer, received, result)
    }
}

/// What one request gave.
fn answered(
    timer: CallTimer<'_>,
    received: Option<Received>,
    result: Result<Value, Refusal>,
) -> Answer<Value> {
    let mut call = timer.finish(status(received.as_ref(), &result), None);
    describe(&mut call, received.as_ref(), result.as_ref().err());
    let digest = |received: &Received| hex(Sha256::digest(received.as_sent()));
    call.body_sha256 = received.as_ref().map(digest);
    call.items = u64::from(result.is_ok());
    Answer {
        call,
        bodies: received.map(|received| received.body).into_iter().collect(),
        result,
    }
}

/// A GraphQL query.
pub(crate) struct Query<'a> {
    /// The operation's name.
    pub(crate) name: &'static str,
    pub(crate) text: &'a str,
    pub(crate) variables: Map<String, Value>,
    /// Where the connection is in `data`, as a JSON pointer.
    pub(crate) connection: &'static str,
    /// How many items a page has, at most.
    pub(crate) first: u64,
}

fn absent(query: &Query<'_>, errors: &[Value]) -> Refusal {
    let kind = errors.iter().find_map(|error| error["type"].as_str());
    let message = errors.iter().find_map(|error| error["message"].as_str());
    let class = match kind {
        Some("NOT_FOUND" | "FORBIDDEN" | "INSUFFICIENT_SCOPES") => FailureClass::Permission,
        _ => FailureClass::InvalidResponse,
    };
    Refusal {
        message: message.map(str::to_owned),
        ..Refusal::new(
            class,
            format!("{} was refused ({})", query.name, kind.unwrap_or("no data")),
        )
    }
}

fn read(received: &Received, what: &str) -> Result<Value, Refusal> {
    let parsed: Option<Value> = serde_json::from_slice(&received.body).ok();
    let status = received.status.as_u16();
    if matches!(status, 200 | 304) {
        return parsed.ok_or_else(|| not_documented(what));
    }
    let message = parsed
        .as_ref()
        .and_then(|body| body["message"].as_str())
        .map(str::to_owned);
    let (class, how) = match status {
        401 => (
            FailureClass::Auth,
            "was refused, since the credentials are not accepted",
        ),
        403 => (FailureClass::Permission, "was refused"),
        404 => (FailureClass::Permission, "was answered with not found"),
        301 | 302 | 307 | 308 => (
            FailureClass::InvalidResponse,
            "has moved: the repository was renamed or transferred",
        ),
        429 => (FailureClass::RateLimited, "was refused for a rate limit"),
        _ => (FailureClass::InvalidResponse, "was answered with an error"),
    };
    Err(Refusal {
        class,
        status: Some(status),
        message,
        reason: format!("{what} {how} ({status})"),
    })
}

fn not_documented(what: &str) -> Refusal {
    let reason = format!("{what} was answered with something that GitHub does not document");
    Refusal::new(FailureClass::InvalidResponse, reason)
}

fn status<T>(received: Option<&Received>, result: &Result<T, Refusal>) -> String {
    match (received, result) {
        (_, Err(refusal)) => refusal
            .status
            .map_or_else(|| "no answer".to_owned(), |status| status.to_string()),
        (Some(received), _) => received.status.as_u16().to_string(),
        (None, _) => "no answer".to_owned(),
    }
}

fn describe(call: &mut Call, received: Option<&Received>, refusal: Option<&Refusal>) {
    if let Some(received) = received {
        let text = |name: &str| Some(received.headers.get(name)?.to_str().ok()?.to_owned());
        call.request_id = text("x-github-request-id");
        call.server_date = text("date");
        if !received.waited.is_zero() {
            // Rounded up: a wait of less than a second was one.
            let waited = received.waited;
            let seconds = waited.as_secs() + u64::from(waited.subsec_nanos() > 0);
            call.parameters
                .insert("waited_for_rate_limit_seconds".to_owned(), seconds.into());
        }
        for field in &received.removed {
            call.parameters
                .insert(format!("{field} (removed from the answer)"), true.into());
        }
        if let Some(since) = &received.kept_since {
            call.parameters
                .insert("unchanged_since".to_owned(), since.as_str().into());
        }
    }
    call.error = refusal.map(|refusal| match &refusal.message {
        Some(message) => format!("{}: {message}", refusal.reason),
        None => refusal.reason.clone(),
    });
}

/// The address of the next page, by RFC 8288.
fn next_page(headers: &http::HeaderMap) -> Option<String> {
    let link = headers.get(http::header::LINK)?.to_str().ok()?;
    link.split(',').find_map(|part| {
        let (address, parameters) = part.trim().split_once('>')?;
        let next = parameters
            .split(';')
            .any(|parameter| parameter.trim() == "rel=\"next\"");
        next.then(|| address.trim_start_matches('<').to_owned())
    })
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").ok();
        text
    })
}
