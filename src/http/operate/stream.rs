//! `/api/v1/events/stream`: the audit trail as it grows, by server-sent events
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).
//!
//! Every event comes once and in order, whoever asks with the id of the last one it saw; what is still being committed
//! comes later and none is passed over. A stream ends when the service stops, when the credential that opened it is no
//! longer good, and after a while in any case, so that whoever listens asks again.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::debug;

use super::{bad, problem_of, view};
use crate::http::auth::{By, Operator};
use crate::http::{Access, App, Problem, Route, schema};
use crate::operator::Role;
use crate::store::{EventPlace, OperatorName, OwnTokenState};

pub fn routes() -> [Route; 1] {
    let (path, summary) = ("/api/v1/events/stream", "Streams events of the audit trail as they happen");
    let told = "Server-sent events, from now on or after `Last-Event-ID`";
    [Route::get(path, Access::Operator(Role::Viewer), summary, listen)
        .gives_media(200, told, "text/event-stream", schema::text())
        .refuses(400, "`Last-Event-ID` is no id of an event")
        .refuses(503, "As many listen as may; try again later")]
}

/// Streams that one process keeps open.
const STREAMS: usize = 64;
const ASK_EVERY: Duration = Duration::from_secs(1);
/// So often something is said even if nothing happens, so that proxies keep the connection.
const BREATHE_EVERY: u32 = 15;
/// So often it is looked whether the credential is still good.
const PROVE_EVERY: u32 = 3;
const LASTS: Duration = Duration::from_mins(30);
/// Events read at once.
const BATCH: u32 = 200;

/// Places for those who listen. Cheap to clone.
#[derive(Clone)]
pub struct Listeners(Arc<Semaphore>);

impl Default for Listeners {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(STREAMS)))
    }
}

struct Listening {
    app: App,
    operator: Operator,
    _place: OwnedSemaphorePermit,
    seen: EventPlace,
    said: VecDeque<String>,
    ends: Instant,
    ticks: tokio::time::Interval,
    rounds: u32,
}

async fn listen(State(app): State<App>, operator: Operator, headers: HeaderMap) -> Result<Response, Problem> {
    let place = Arc::clone(&app.listeners.0).try_acquire_owned();
    let busy = |_| Problem::new(StatusCode::SERVICE_UNAVAILABLE).retry_after(Duration::from_secs(30));
    let place = place.map_err(busy)?;
    let seen = match headers.get("last-event-id").map(|value| value.to_str().unwrap_or("?").trim()) {
        Some(id) => id.parse().map_err(|_| bad("`Last-Event-ID` is no id of an event"))?,
        None => app.store.newest_event().await.map_err(problem_of)?,
    };
    let mut ticks = interval(ASK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // A client that goes on from here has missed nothing, even if it hears of no event.
    let said = VecDeque::from([format!("retry: 2000\nid: {seen}\n: listening\n\n")]);
    let begin = Listening { app, operator, _place: place, seen, said, ends: Instant::now() + LASTS, ticks, rounds: 0 };
    let body = Body::from_stream(stream::unfold(begin, |mut listening| async move {
        let text = listening.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(text)), listening))
    }));
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store, no-transform")];
    Ok((headers, [("x-accel-buffering", "no")], body).into_response())
}

impl Listening {
    /// What is said next; none at the end.
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(text) = self.said.pop_front() {
                return Some(text);
            }
            self.ticks.tick().await;
            self.rounds += 1;
            // A stop must not wait for somebody to hang up.
            if Instant::now() >= self.ends || self.app.readiness.is_draining() {
                return None;
            }
            if self.rounds.is_multiple_of(PROVE_EVERY) && !self.is_still_good().await {
                return None;
            }
            match self.app.store.events_after(self.seen, BATCH).await {
                Ok((events, end)) => {
                    let last = events.len();
                    for (at, event) in events.iter().enumerate() {
                        // The place after all of them is known; a client that breaks off before it hears some again.
                        let id = if at + 1 == last { Some(end) } else { None };
                        self.said.push_back(written(&event.kind, &view::event(event), id));
                    }
                    self.seen = end;
                }
                Err(error) => debug!(error = &error as &dyn std::error::Error, "the trail was not read for a stream"),
            }
            if self.said.is_empty() && self.rounds.is_multiple_of(BREATHE_EVERY) {
                return Some(": still here\n\n".to_owned());
            }
        }
    }

    /// Whether whoever opened the stream could open it now.
    async fn is_still_good(&self) -> bool {
        let now = self.app.clock.now();
        match &self.operator.by {
            By::Nothing => true,
            // Nobody can tell in an outage, and what is streamed comes from the same database.
            By::Token(id) => match self.app.store.own_token(*id).await {
                Ok(token) => token.is_some_and(|token| token.state(now) == OwnTokenState::Active),
                Err(_) => true,
            },
            By::Session(_) => match self.operator.name.parse::<OperatorName>() {
                Ok(name) => match self.app.store.operator(&name).await {
                    Ok(operator) => operator.is_some_and(|operator| operator.disabled_at.is_none()),
                    Err(_) => true,
                },
                Err(_) => false,
            },
        }
    }
}

fn written(kind: &str, event: &serde_json::Value, id: Option<EventPlace>) -> String {
    let mut text = String::new();
    if let Some(id) = id {
        let _ = writeln!(text, "id: {id}");
    }
    let _ = write!(text, "event: {kind}\ndata: {event}\n\n");
    text
}
