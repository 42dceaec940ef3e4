//! Health and metrics over HTTP, on loopback unless the operator says otherwise.

use crate::metrics::Metrics;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use towline::Counters;

/// OpenMetrics' media type.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the pages tell of.
#[derive(Clone)]
pub(crate) struct Health {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) store: Arc<AtomicBool>,
    pub(crate) serving: Arc<AtomicBool>,
    /// Whether a damaged mailbox was set aside and nobody has moved it away.
    pub(crate) damaged: bool,
    pub(crate) counters: Arc<dyn Fn() -> Counters + Send + Sync>,
}

impl Health {
    /// The parts that are not ready.
    fn unready(&self) -> Vec<&'static str> {
        let parts = [("store", &self.store), ("listener", &self.serving)];
        parts.into_iter().filter(|(_, ready)| !ready.load(Ordering::SeqCst)).map(|(name, _)| name).collect()
    }
}

/// The routes.
pub(crate) fn routes(health: Health) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(health)
}

async fn ready(State(health): State<Health>) -> Response {
    let unready = health.unready();
    if unready.is_empty() && health.damaged {
        "ready, degraded: store-damaged\n".into_response()
    } else if unready.is_empty() {
        "ready\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", unready.join(", "))).into_response()
    }
}

async fn metrics(State(health): State<Health>) -> Response {
    let page = health.metrics.page(&(health.counters)());
    ([(header::CONTENT_TYPE, METRICS_TYPE)], page).into_response()
}
