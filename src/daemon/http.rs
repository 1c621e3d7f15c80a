//! The listener: `/healthz`, `/readyz` and `/metrics`. It tells nothing that is not a number or a state.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::sync::Arc;
use tokio::net::TcpListener;

use super::watch::Watch;

/// Answers until the process ends.
pub async fn serve(listener: TcpListener, watch: Arc<Watch>) -> std::io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(watch);
    axum::serve(listener, router).await
}

async fn healthz(State(watch): State<Arc<Watch>>) -> Response {
    told(watch.health())
}

async fn readyz(State(watch): State<Arc<Watch>>) -> Response {
    told(watch.readiness())
}

fn told(state: Result<(), String>) -> Response {
    match state {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()).into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

async fn metrics(State(watch): State<Arc<Watch>>) -> Response {
    let form = [(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)];
    match tokio::task::spawn_blocking(move || watch.metrics()).await {
        Ok(Ok(text)) => (form, text).into_response(),
        Ok(Err(error)) => {
            tracing::warn!("metrics can't be told: {error}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
