//! How AWS is called: never faster than is configured, slower where it throttles, never waiting for ever, never reading
//! without end.

use aws_smithy_http_client::{Builder, Connector, proxy::ProxyConfig, tls};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use http_body_util::{BodyExt as _, Limited};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// The longest answer, in bytes: a listing's page and a credential report stay far below.
const LONGEST_ANSWER: usize = 64 << 20;

/// The longest answer that is no success, in bytes.
const LONGEST_REFUSAL: usize = 1 << 20;

/// What a throttled call's error is called by, here or there: `Throttling`, `ThrottlingException`, `SlowDown` and so on.
/// Some come with status 400, as does what has nothing to do with it.
const THROTTLED: [&str; 4] = [
    "Throttl",
    "SlowDown",
    "RequestLimitExceeded",
    "TooManyRequestsException",
];

/// Calls in a second that no throttling brings an account below: calls that wait longer for their turn would count as
/// not answered.
const SLOWEST: f64 = 2.0;

/// What is left of the pace when a call was throttled.
const LEFT: f64 = 0.7;

/// Seconds from standstill back to the configured pace.
const RECOVERY: f64 = 60.0;

/// Tries of one call, the first included; between them the SDK waits, longer each time and by chance.
const TRIES: u32 = 5;

/// A connection that all accounts share: pools, TLS, proxies from the environment.
pub(crate) fn shared() -> SharedHttpClient {
    Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector = Connector::builder().proxy_config(ProxyConfig::from_env());
        connector.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            connector.set_sleep_impl(components.sleep_impl());
        }
        connector
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
            .build()
    })
}

/// The same, at the pace that one account allows.
pub(crate) fn paced(inner: SharedHttpClient, calls_per_second: u16, at_once: u16) -> SharedHttpClient {
    let manners = Manners {
        pace: Mutex::new(Pace::new(f64::from(calls_per_second.max(1)))),
        slots: Semaphore::new(usize::from(at_once.max(1))),
    };
    SharedHttpClient::new(Paced {
        inner,
        manners: Arc::new(manners),
    })
}

/// Throttling and failures of the server are tried again.
pub(crate) fn retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(TRIES)
}

/// No call takes longer, whatever the server does.
pub(crate) fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .read_timeout(Duration::from_secs(30))
        .operation_attempt_timeout(Duration::from_mins(1))
        .operation_timeout(Duration::from_mins(3))
        .build()
}

/// Calls in a second: the configured number, until the account throttles; then fewer, each time that it does, and by and
/// by more again. How many calls an account stands AWS does not say, and it differs by service and by who else calls.
#[derive(Debug)]
struct Pace {
    most: f64,
    now: f64,
    /// Until when the pace has been raised.
    raised: Instant,
    /// When it was last lowered.
    lowered: Option<Instant>,
    /// When the next call may begin.
    next: Instant,
}

impl Pace {
    fn new(most: f64) -> Self {
        let now = Instant::now();
        Self {
            most,
            now: most,
            raised: now,
            lowered: None,
            next: now,
        }
    }

    /// When a call may begin that wants to at `now`.
    fn turn(&mut self, now: Instant) -> Instant {
        let gained = now.duration_since(self.raised).as_secs_f64() * self.most / RECOVERY;
        self.now = (self.now + gained).min(self.most);
        self.raised = now;
        let at = self.next.max(now);
        self.next = at + Duration::from_secs_f64(1.0 / self.now);
        at
    }

    /// Notes that a call which began at `begun` was throttled. Those that were under way together tell the same once.
    fn throttled(&mut self, begun: Instant, now: Instant) {
        if self.lowered.is_none_or(|lowered| begun > lowered) {
            self.now = (self.now * LEFT).max(SLOWEST.min(self.most));
            (self.lowered, self.raised) = (Some(now), now);
        }
    }
}

/// What all calls to an account share.
#[derive(Debug)]
struct Manners {
    pace: Mutex<Pace>,
    slots: Semaphore,
}

impl Manners {
    fn pace(&self) -> std::sync::MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a call's turn; gives when that was.
    async fn turn(&self) -> Instant {
        let at = self.pace().turn(Instant::now());
        tokio::time::sleep_until(at).await;
        at
    }

    /// Slows down where an answer asks for that. What is no success is read to its end, since its body says so.
    async fn heed(&self, mut response: HttpResponse, begun: Instant) -> Result<HttpResponse, ConnectorError> {
        if response.status().is_success() {
            return Ok(response.map(|body| SdkBody::from_body_1_x(Limited::new(body, LONGEST_ANSWER))));
        }
        let body = Limited::new(response.take_body(), LONGEST_REFUSAL).collect();
        let body = body.await.map_err(ConnectorError::io)?.to_bytes();
        let header = response.headers().get("x-amzn-errortype").unwrap_or_default();
        let text = String::from_utf8_lossy(&body);
        let named = THROTTLED
            .iter()
            .any(|name| header.contains(name) || text.contains(name));
        if named || matches!(response.status().as_u16(), 429 | 503) {
            self.pace().throttled(begun, Instant::now());
        }
        *response.body_mut() = SdkBody::from(body);
        Ok(response)
    }
}

#[derive(Debug)]
struct Paced {
    inner: SharedHttpClient,
    manners: Arc<Manners>,
}

impl HttpClient for Paced {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(PacedConnector {
            inner: self.inner.http_connector(settings, components),
            manners: Arc::clone(&self.manners),
        })
    }
}

#[derive(Debug)]
struct PacedConnector {
    inner: SharedHttpConnector,
    manners: Arc<Manners>,
}

impl HttpConnector for PacedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (inner, manners) = (self.inner.clone(), Arc::clone(&self.manners));
        HttpConnectorFuture::new(async move {
            let _slot = manners.slots.acquire().await;
            let begun = manners.turn().await;
            let response = inner.call(request).await?;
            manners.heed(response, begun).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn calls_are_no_more_in_a_second_than_is_configured() {
        let manners = Manners {
            pace: Mutex::new(Pace::new(10.0)),
            slots: Semaphore::new(100),
        };
        let begun = Instant::now();
        let turns = (0..31).map(|_| manners.turn());
        futures_util::future::join_all(turns).await;
        let took = begun.elapsed();
        assert!(
            took >= Duration::from_secs(3),
            "31 calls at 10 in a second took {took:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn throttling_slows_once_for_calls_under_way_together_and_time_restores_the_pace() {
        let mut pace = Pace::new(100.0);
        let begun = pace.turn(Instant::now());
        tokio::time::advance(Duration::from_millis(20)).await;
        pace.throttled(begun, Instant::now());
        pace.throttled(begun, Instant::now());
        assert!((pace.now - 70.0).abs() < 1e-9, "{}", pace.now);
        for _ in 0..20 {
            tokio::time::advance(Duration::from_millis(1)).await;
            pace.throttled(Instant::now(), Instant::now());
        }
        assert!((pace.now - SLOWEST).abs() < 1e-9, "{}", pace.now);
        tokio::time::advance(Duration::from_secs_f64(RECOVERY / 2.0)).await;
        pace.turn(Instant::now());
        assert!((pace.now - 52.0).abs() < 1e-9, "{}", pace.now);
        tokio::time::advance(Duration::from_secs_f64(RECOVERY)).await;
        pace.turn(Instant::now());
        assert!((pace.now - 100.0).abs() < 1e-9, "{}", pace.now);
    }
}
