//! How AWS is called: never faster than is configured, never waiting for ever, never reading without end.

use aws_smithy_http_client::{Builder, Connector, proxy::ProxyConfig, tls};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use http_body_util::Limited;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// The longest answer, in bytes: a listing's page and a credential report stay far below.
const LONGEST_ANSWER: usize = 64 << 20;

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
        interval: Duration::from_secs(1) / u32::from(calls_per_second.max(1)),
        next: Mutex::new(None),
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

#[derive(Debug)]
struct Manners {
    interval: Duration,
    next: Mutex<Option<Instant>>,
    slots: Semaphore,
}

impl Manners {
    /// Waits for this call's turn.
    async fn turn(&self) {
        let at = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let at = next.map_or(now, |next| next.max(now));
            *next = Some(at + self.interval);
            at
        };
        tokio::time::sleep_until(at).await;
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
            manners.turn().await;
            let response = inner.call(request).await?;
            Ok(response.map(|body| SdkBody::from_body_1_x(Limited::new(body, LONGEST_ANSWER))))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn calls_are_no_more_in_a_second_than_is_configured() {
        let manners = Manners {
            interval: Duration::from_secs(1) / 10,
            next: Mutex::new(None),
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
}
