//! Live: tells pages that are looked at that something happened, by server-sent events
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>). The page then asks for itself again.
//!
//! However many look, the database is asked once a second by each process. A stream ends after a while and is opened
//! again by the browser, which brings its cookie along: whoever is signed out hears no more.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::debug;

use super::answer::Failure;
use super::visit::Visit;
use crate::http::App;

/// What streams share.
pub struct Pulse {
    seen: Mutex<Option<(Instant, i64)>>,
    places: Arc<Semaphore>,
}

const ASK_EVERY: Duration = Duration::from_secs(1);
const LASTS: Duration = Duration::from_mins(5);
/// So often something is said even if nothing happened, so that proxies keep the connection.
const BREATHE_EVERY: u32 = 15;
const STREAMS: usize = 128;

impl Default for Pulse {
    fn default() -> Self {
        Self { seen: Mutex::default(), places: Arc::new(Semaphore::new(STREAMS)) }
    }
}

impl Pulse {
    async fn newest(&self, app: &App) -> Option<i64> {
        let mut seen = self.seen.lock().await;
        if let Some((at, position)) = *seen
            && at.elapsed() < ASK_EVERY / 2
        {
            return Some(position);
        }
        match app.store.newest_position().await {
            Ok(position) => {
                *seen = Some((Instant::now(), position));
                Some(position)
            }
            Err(error) => {
                debug!(error = &error as &dyn std::error::Error, "could not ask whether anything happened");
                None
            }
        }
    }
}

struct Stream {
    visit: Visit,
    _place: OwnedSemaphorePermit,
    known: Option<i64>,
    ends: Instant,
    ticks: tokio::time::Interval,
    silent: u32,
}

/// `GET /dashboard/events`.
pub async fn listen(visit: Visit) -> Result<Response, Failure> {
    let place = Arc::clone(&visit.desk.pulse().places).try_acquire_owned().map_err(|_| Failure::Unavailable)?;
    let known = visit.desk.pulse().newest(&visit.app).await;
    let mut ticks = interval(ASK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let begin = Stream { visit, _place: place, known, ends: Instant::now() + LASTS, ticks, silent: 0 };
    let body = Body::from_stream(stream::unfold(begin, |mut stream| async move {
        let text = stream.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from_static(text.as_bytes())), stream))
    }));
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store, no-transform")];
    Ok((headers, [("x-accel-buffering", "no")], body).into_response())
}

impl Stream {
    /// What is said next; none at the end.
    async fn next(&mut self) -> Option<&'static str> {
        loop {
            self.ticks.tick().await;
            // A stop must not wait for somebody to look away.
            if Instant::now() >= self.ends || self.visit.app.readiness.is_draining() {
                return None;
            }
            let newest = self.visit.desk.pulse().newest(&self.visit.app).await;
            if newest.is_some() && newest != self.known {
                (self.known, self.silent) = (newest, 0);
                return Some("event: change\ndata: \n\n");
            }
            self.silent += 1;
            if self.silent == 1 || self.silent.is_multiple_of(BREATHE_EVERY) {
                return Some(": still here\n\n");
            }
        }
    }
}
