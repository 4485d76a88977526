//! Health: whether to restart the process, whether to send it work, and its metrics.
//!
//! Liveness says only that the process answers, and stays so while it drains. Readiness says why it is not ready, in
//! words of ours.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::{Access, App, Route, schema};
use crate::intake::Intake;
use crate::store::Store;

/// Whether this process should be sent work.
pub struct Readiness {
    phase: AtomicU8,
    store: Store,
    intake: Arc<Intake>,
}

/// The life of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Starting,
    Serving,
    Draining,
}

/// Longest wait for the database to show that it is there.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

impl Readiness {
    pub fn of(store: Store, intake: Arc<Intake>) -> Self {
        Self { phase: AtomicU8::new(Phase::Starting as u8), store, intake }
    }

    pub(super) fn started(&self) {
        let (from, to) = (Phase::Starting as u8, Phase::Serving as u8);
        // Not back from draining: a stop during the start wins.
        let _ = self.phase.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst);
    }

    pub(super) fn draining(&self) {
        self.phase.store(Phase::Draining as u8, Ordering::SeqCst);
    }

    /// Whether the process is on its way out, so that what could go on for ever ends.
    pub fn is_draining(&self) -> bool {
        self.phase() == Phase::Draining
    }

    fn phase(&self) -> Phase {
        let phase = self.phase.load(Ordering::SeqCst);
        [Phase::Starting, Phase::Serving].into_iter().find(|known| *known as u8 == phase).unwrap_or(Phase::Draining)
    }

    /// What stands against sending work here; empty if nothing does.
    async fn obstacles(&self) -> Vec<&'static str> {
        let mut obstacles = Vec::new();
        match self.phase() {
            Phase::Starting => obstacles.push("starting"),
            Phase::Serving => {}
            Phase::Draining => obstacles.push("draining"),
        }
        if !matches!(tokio::time::timeout(PING_TIMEOUT, self.store.ping()).await, Ok(Ok(()))) {
            obstacles.push("database");
        }
        // One origin without keys must not take the others' deliveries away.
        if !self.intake.is_usable() {
            obstacles.push("keys");
        }
        obstacles
    }
}

pub fn routes() -> [Route; 3] {
    let status = || schema::object(json!({ "status": schema::text() }));
    let words = || schema::list(schema::text());
    let stands = || {
        schema::object(json!({ "status": schema::text(), "obstacles": words(), "origins_without_keys": words(),
            "brake": schema::text() }))
    };
    [
        Route::get("/livez", Access::Public, "Whether the process answers", alive).gives(200, "It does", status()),
        Route::get("/readyz", Access::Public, "Whether to send it work, and what stands against it", ready)
            .gives(200, "Send it work", stands())
            .gives(503, "Send it none now", stands()),
        Route::get("/startupz", Access::Public, "Whether it has started", started)
            .gives(200, "It has", status())
            .gives(503, "Not yet", status()),
    ]
}

/// `GET /metrics`; on the admin listener alone if there is one.
pub fn metrics_route() -> Route {
    Route::get("/metrics", Access::Public, "Metrics in Prometheus' text format", metrics).gives_media(
        200,
        "The metrics",
        "text/plain",
        schema::text(),
    )
}

async fn alive() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

async fn ready(State(app): State<App>) -> Response {
    let obstacles = app.readiness.obstacles().await;
    let without_keys = app.intake.origins_without_keys();
    let (status, word) =
        if obstacles.is_empty() { (StatusCode::OK, "ok") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready") };
    let body = json!({
        "status": word,
        "obstacles": obstacles,
        "origins_without_keys": without_keys,
        "brake": app.store.brake().mode.word(),
    });
    (status, Json(body)).into_response()
}

async fn started(State(app): State<App>) -> Response {
    match app.readiness.phase() {
        Phase::Starting => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "starting" }))).into_response(),
        Phase::Draining | Phase::Serving => Json(json!({ "status": "ok" })).into_response(),
    }
}

async fn metrics(State(app): State<App>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.metrics.render()).into_response()
}
