//! What waits, as gauges: read from the database now and then, so that every process shows the same truth.

use std::time::Duration;

use metrics::gauge;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::clock::Clock;
use crate::store::{Error, Store};
use crate::telemetry::metric;

const EVERY: Duration = Duration::from_secs(5);

/// Refreshes the gauges until `stop` is cancelled.
pub async fn keep(store: Store, clock: Clock, stop: CancellationToken) {
    loop {
        if let Err(error) = refresh(&store, &clock).await {
            // The same outage is told by everything that matters more.
            debug!("the gauges were not refreshed: {error}");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(EVERY) => {}
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; counts stay far below 2^53")]
async fn refresh(store: &Store, clock: &Clock) -> Result<(), Error> {
    let now = clock.now();
    for depth in store.queue_depth().await? {
        gauge!(metric::JOBS_PENDING, "step" => depth.step.word()).set(depth.pending as f64);
        let age = depth.oldest_due_at.map_or(0.0, |due_at| now.since(due_at).as_secs_f64());
        gauge!(metric::JOB_OLDEST_PENDING_AGE_SECONDS, "step" => depth.step.word()).set(age);
    }
    for (state, count) in store.incident_counts().await? {
        gauge!(metric::INCIDENTS, "state" => state).set(count as f64);
    }
    Ok(())
}
