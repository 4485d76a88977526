//! What waits, as gauges: read from the database now and then, so that every process shows the same truth.
//!
//! Every gauge is set at every look, also to nothing: one that kept its last value would tell of a trouble that is over.

use std::time::Duration;

use metrics::{counter, gauge, histogram};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::clock::{Clock, Timestamp};
use crate::incident::brake::{Mode, Scope};
use crate::incident::{IssuerName, State, Step};
use crate::issuer::Issuers;
use crate::store::{Budget, DAY_MILLIS, Error, Paused, Store};
use crate::telemetry::metric;

const EVERY: Duration = Duration::from_secs(5);
/// What a gauge of everybody is called where the others carry the name of an issuer.
const ALL: &str = "all";

/// Counts a try of a step, from its start to now. `done` moves the time of the step's last success.
#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 stay far below 2^53")]
pub fn tried(step: Step, outcome: &'static str, started: Timestamp, now: Timestamp) {
    counter!(metric::JOB_ATTEMPTS_TOTAL, "step" => step.word(), "outcome" => outcome).increment(1);
    histogram!(metric::JOB_DURATION_SECONDS, "step" => step.word(), "outcome" => outcome)
        .record(now.since(started).as_secs_f64());
    if outcome == "done" {
        gauge!(metric::STEP_LAST_SUCCESS_TIMESTAMP_SECONDS, "step" => step.word()).set(now.as_millis() as f64 / 1e3);
    }
}

/// Refreshes the gauges until `stop` is cancelled.
pub async fn keep(store: Store, issuers: Issuers, clock: Clock, stop: CancellationToken) {
    let names: Vec<IssuerName> = issuers.iter().map(|issuer| issuer.name().clone()).collect();
    // A counter that nothing happened to is shown as well: an alert on it must find it.
    for step in Step::ALL {
        counter!(metric::LEASE_LOST_TOTAL, "step" => step.word()).increment(0);
    }
    loop {
        if let Err(error) = refresh(&store, &names, &clock).await {
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
async fn refresh(store: &Store, issuers: &[IssuerName], clock: &Clock) -> Result<(), Error> {
    let now = clock.now();
    let depths = store.queue_depth().await?;
    for step in Step::ALL {
        let depth = depths.iter().find(|depth| depth.step == *step);
        gauge!(metric::JOBS_PENDING, "step" => step.word()).set(depth.map_or(0, |depth| depth.pending) as f64);
        let oldest = depth.and_then(|depth| depth.oldest_due_at);
        let age = oldest.map_or(0.0, |due_at| now.since(due_at).as_secs_f64());
        gauge!(metric::JOB_OLDEST_PENDING_AGE_SECONDS, "step" => step.word()).set(age);
    }
    let counts = store.incident_counts().await?;
    for state in State::WORDS {
        gauge!(metric::INCIDENTS, "state" => state).set(of(&counts, state) as f64);
    }
    let waiting = store.waiting().await?;
    for name in named(issuers, &[&waiting.held, &waiting.live]) {
        gauge!(metric::HELD_TOKENS, "issuer" => name.clone()).set(of(&waiting.held, &name) as f64);
        gauge!(metric::LIVE_UNREVOKED_TOKENS, "issuer" => name.clone()).set(of(&waiting.live, &name) as f64);
    }
    for step in Step::ALL {
        let stuck = waiting.stuck.iter().find(|(at, _)| at == step).map_or(0, |(_, count)| *count);
        gauge!(metric::STUCK_INCIDENTS, "step" => step.word()).set(stuck as f64);
    }
    gauge!(metric::HOLDS_OVERDUE).set(waiting.overdue_holds as f64);
    gauge!(metric::PURGE_OVERDUE_ROWS).set(waiting.overdue_purges as f64);
    gauge!(metric::DRY_RUN).set(f64::from(u8::from(store.brake().mode == Mode::DryRun)));
    let drilled = store.last_passed_drill().await?.map_or(0.0, |at| at.as_millis() as f64 / 1e3);
    gauge!(metric::DRILL_LAST_PASSED_TIMESTAMP_SECONDS).set(drilled);
    let month_ago = Timestamp::from_millis(now.as_millis() - 31 * DAY_MILLIS);
    for reporter in store.reporters(month_ago).await? {
        let days = reporter.slow_days_this_month(now);
        gauge!(metric::SLOW_ANSWER_DAYS_MONTH, "origin" => reporter.origin.clone()).set(days as f64);
        let never = f64::from(u8::from(reporter.is_never_valid(now)));
        gauge!(metric::REPORTER_NEVER_VALID, "origin" => reporter.origin).set(never);
    }
    brake(store, issuers).await
}

#[expect(clippy::cast_precision_loss, reason = "budgets stay far below 2^53")]
async fn brake(store: &Store, issuers: &[IssuerName]) -> Result<(), Error> {
    let budgets = store.budgets(issuers).await?;
    let pauses = store.pauses().await?;
    let everybody = std::iter::once(None).chain(issuers.iter().map(Some));
    for issuer in everybody {
        let label = issuer.map_or_else(|| ALL.to_owned(), ToString::to_string);
        let own = budgets.iter().find(|it| match &it.scope {
            Scope::All => issuer.is_none(),
            Scope::Issuer(name) => issuer == Some(name),
            Scope::HighImpact(_) | Scope::Origin { .. } => false,
        });
        let remaining = if store.brake().mode == Mode::DryRun { 0 } else { own.map_or(0, Budget::remaining) };
        gauge!(metric::BRAKE_BUDGET_REMAINING, "issuer" => label.clone()).set(remaining as f64);
        // Any brake of the issuer: that of its tokens of high impact, or of one origin's share, needs a person as well.
        let on = budgets.iter().any(|it| it.on.is_some() && it.scope.issuer() == issuer);
        gauge!(metric::BRAKE_ON, "issuer" => label.clone()).set(f64::from(u8::from(on)));
        let what = issuer.map_or(Paused::Everything, |name| Paused::Issuer(name.clone()));
        let stopped = pauses.iter().any(|pause| pause.what == what);
        gauge!(metric::ISSUER_PAUSED, "issuer" => label).set(f64::from(u8::from(stopped)));
    }
    Ok(())
}

fn of(counts: &[(String, i64)], name: &str) -> i64 {
    counts.iter().find(|(counted, _)| counted == name).map_or(0, |(_, count)| *count)
}

/// The configured issuers, and those of earlier days that something still waits for.
fn named(issuers: &[IssuerName], counts: &[&[(String, i64)]]) -> Vec<String> {
    let mut names: Vec<String> = issuers.iter().map(ToString::to_string).collect();
    names.extend(counts.iter().copied().flatten().map(|(name, _)| name.clone()));
    names.sort_unstable();
    names.dedup();
    names
}
