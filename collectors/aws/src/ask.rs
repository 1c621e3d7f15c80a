//! One call: sent, answered or refused, and noted for the provenance.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use evidenced_collector_api::{Call, CollectError, FailureClass, Run};

use crate::calls::action;

/// Pages that one listing may have, so that a server that never comes to an end is left.
const PAGES: usize = 10_000;

/// What became of a call whose answer can't be read.
const NOT_DOCUMENTED: &str = "was answered with something that is not what AWS documents";

/// A call that was made.
pub(crate) struct Answer<T> {
    pub(crate) call: Call,
    /// The bodies as received, a page each.
    pub(crate) bodies: Vec<Vec<u8>>,
    pub(crate) result: Result<T, Refusal>,
}

/// The pages of a listing.
pub(crate) struct Pages<T> {
    pub(crate) pages: Vec<T>,
    /// Why there are no more, where that is not the end.
    pub(crate) cut: Option<Refusal>,
}

/// Why a call has no result.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) class: FailureClass,
    /// The error's code, as AWS documents it.
    pub(crate) code: Option<String>,
    /// For a person: the action, and what became of it, without running figures.
    pub(crate) reason: String,
    /// The region that the bucket lies in, where S3 says so.
    pub(crate) bucket_region: Option<String>,
}

impl Refusal {
    /// Whether AWS said that there is no such thing, which is a fact.
    pub(crate) fn says(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// Whether AWS said that what was asked for does not exist.
    pub(crate) fn is_absence(&self) -> bool {
        let code = self.code.as_deref().unwrap_or_default();
        code.starts_with("NoSuch") || code.ends_with("NotFoundError")
    }
}

impl From<Refusal> for CollectError {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.class, refusal.reason)
    }
}

/// Which call it is: service, operation and parameters, as the provenance names them.
pub(crate) struct Question<'a> {
    pub(crate) service: &'static str,
    pub(crate) operation: &'static str,
    pub(crate) parameters: Vec<(&'static str, &'a str)>,
}

/// A question, and the request that asks it: `ask!(run, "iam" "ListMFADevices" { UserName: name }, request)`.
macro_rules! ask {
    ($run:expr, $service:literal $operation:literal { $($name:ident: $value:expr),* }, $request:expr) => {
        $crate::ask::once(
            $run,
            $crate::ask::Question {
                service: $service,
                operation: $operation,
                parameters: vec![$((stringify!($name), $value)),*],
            },
            |seen| $request.customize().interceptor(seen).send(),
        )
    };
}

/// Asks once.
pub(crate) async fn once<T, E, F>(
    run: &Run<'_>,
    question: Question<'_>,
    send: impl FnOnce(Seen) -> F,
) -> Answer<T>
where
    F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let timer = timer(run, &question);
    let seen = Seen::default();
    let answered = send(seen.clone()).await;
    let response = seen.take();
    let result = answered.map_err(|error| refusal(&question, &error, &response));
    let mut call = timer.finish(status(&result, &response), None);
    describe(&mut call, &response, &result);
    call.body_sha256 = response.body.as_ref().map(|body| hex(Sha256::digest(body)));
    Answer {
        call,
        bodies: response.body.into_iter().collect(),
        result,
    }
}

/// Asks for all pages of a listing, as one call. `next` says how to go on, or what is wrong with a page.
pub(crate) async fn pages<T, E, F>(
    run: &Run<'_>,
    question: Question<'_>,
    send: impl Fn(Seen, Option<String>) -> F,
    next: impl Fn(&T) -> Result<Option<String>, &'static str>,
) -> Answer<Pages<T>>
where
    F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let timer = timer(run, &question);
    let (mut pages, mut bodies, mut digest) = (Vec::new(), Vec::new(), Sha256::new());
    let (mut marker, mut seen_before) = (None, std::collections::BTreeSet::new());
    let (cut, response) = loop {
        let seen = Seen::default();
        let answered = send(seen.clone(), marker.take()).await;
        let mut response = seen.take();
        if let Some(body) = response.body.take() {
            digest.update(&body);
            bodies.push(body);
        }
        let page = match answered {
            Err(error) => break (Some(refusal(&question, &error, &response)), response),
            Ok(page) => page,
        };
        let follows = next(&page);
        pages.push(page);
        let wrong = match follows {
            Ok(None) => break (None, response),
            Ok(Some(more)) if pages.len() < PAGES && seen_before.insert(more.clone()) => {
                marker = Some(more);
                continue;
            }
            Ok(Some(_)) => "the listing does not come to an end",
            Err(wrong) => wrong,
        };
        break (Some(invalid(&question, wrong)), response);
    };
    let count = pages.len() as u64;
    let result = match cut {
        Some(refusal) if pages.is_empty() => Err(refusal),
        cut => Ok(Pages { pages, cut }),
    };
    let whole = match &result {
        Ok(Pages {
            cut: Some(refusal), ..
        })
        | Err(refusal) => Err(refusal.clone()),
        Ok(_) => Ok(()),
    };
    let mut call = timer.finish(status(&whole, &response), None);
    describe(&mut call, &response, &whole);
    call.pages = count;
    call.body_sha256 = (!bodies.is_empty()).then(|| hex(digest.finalize()));
    Answer { call, bodies, result }
}

fn timer<'r>(run: &Run<'r>, question: &Question<'_>) -> evidenced_collector_api::CallTimer<'r> {
    let timer = run.call(question.service, question.operation);
    question
        .parameters
        .iter()
        .fold(timer, |timer, (name, value)| timer.parameter(*name, *value))
}

fn describe<T>(call: &mut Call, response: &Response, result: &Result<T, Refusal>) {
    call.request_id.clone_from(&response.request_id);
    call.server_date.clone_from(&response.date);
    call.error = result.as_ref().err().map(|refusal| refusal.reason.clone());
}

fn status<T>(result: &Result<T, Refusal>, response: &Response) -> String {
    let code = result.as_ref().err().and_then(|refusal| refusal.code.as_deref());
    match (response.status, code) {
        (Some(status), Some(code)) => format!("{status} {code}"),
        (Some(status), None) => status.to_string(),
        (None, _) => "no answer".to_owned(),
    }
}

fn invalid(question: &Question<'_>, what: &str) -> Refusal {
    Refusal {
        class: FailureClass::InvalidResponse,
        code: None,
        reason: format!("{}: {what}", action(question.service, question.operation)),
        bucket_region: None,
    }
}

fn refusal<E: ProvideErrorMetadata + std::error::Error + 'static>(
    question: &Question<'_>,
    error: &SdkError<E, HttpResponse>,
    response: &Response,
) -> Refusal {
    use FailureClass as Class;
    let action = action(question.service, question.operation);
    let (class, code, what) = match error {
        SdkError::ServiceError(context) => {
            let code = context.err().code().map(str::to_owned);
            let status = context.raw().status().as_u16();
            let class = class_of(code.as_deref().unwrap_or_default(), status);
            let named = code.clone().unwrap_or_else(|| format!("status {status}"));
            let what = match class {
                Class::Permission => format!("was refused ({named})"),
                Class::Auth => format!("was refused, since the credentials are not accepted ({named})"),
                Class::RateLimited => format!("was throttled ({named})"),
                _ if status < 400 => NOT_DOCUMENTED.to_owned(),
                _ => format!("was answered with an error ({named})"),
            };
            (class, code, what)
        }
        SdkError::TimeoutError(_) => (Class::Timeout, None, "did not answer in time".to_owned()),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => {
            (Class::Timeout, None, "did not answer in time".to_owned())
        }
        SdkError::DispatchFailure(failure) if failure.is_io() => {
            (Class::Unavailable, None, "could not be reached".to_owned())
        }
        SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_) => {
            let what = format!(
                "could not be sent, since there are no credentials ({})",
                root_cause(error)
            );
            (Class::Auth, None, what)
        }
        _ => (Class::InvalidResponse, None, NOT_DOCUMENTED.to_owned()),
    };
    Refusal {
        class,
        code,
        reason: format!("{action} {what}"),
        bucket_region: response.bucket_region.clone(),
    }
}

/// The innermost cause of an error, in a line.
fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let innermost = std::iter::successors(Some(error), |error| error.source()).last();
    let text = innermost.map(ToString::to_string).unwrap_or_default();
    text.lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(200)
        .collect()
}

/// The class of an error's code; the status counts where the code tells nothing.
fn class_of(code: &str, status: u16) -> FailureClass {
    match code {
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" | "AllAccessDisabled" => {
            FailureClass::Permission
        }
        "InvalidClientTokenId"
        | "InvalidAccessKeyId"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidToken"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClientException"
        | "RequestTimeTooSkewed" => FailureClass::Auth,
        "SlowDown" | "LimitExceeded" | "RequestLimitExceeded" | "TooManyRequestsException" => {
            FailureClass::RateLimited
        }
        code if code.starts_with("Throttl") => FailureClass::RateLimited,
        _ => match status {
            401 => FailureClass::Auth,
            403 => FailureClass::Permission,
            429 => FailureClass::RateLimited,
            500.. => FailureClass::Unavailable,
            _ => FailureClass::InvalidResponse,
        },
    }
}

/// What was received at the last attempt.
#[derive(Default)]
struct Response {
    status: Option<u16>,
    request_id: Option<String>,
    date: Option<String>,
    bucket_region: Option<String>,
    body: Option<Vec<u8>>,
}

/// Looks at the answer on its way to the parser.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Response>>);

impl Seen {
    fn take(&self) -> Response {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seen")
    }
}

impl Intercept for Seen {
    fn name(&self) -> &'static str {
        "Seen"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _settings: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        let header = |name: &str| response.headers().get(name).map(str::to_owned);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Response {
            status: Some(response.status().as_u16()),
            request_id: header("x-amzn-requestid").or_else(|| header("x-amz-request-id")),
            date: header("date"),
            bucket_region: header("x-amz-bucket-region"),
            body: response.body().bytes().map(<[u8]>::to_vec),
        };
        Ok(())
    }
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").ok();
        text
    })
}
