//! What waits and how it goes: what needs a person, the queue, the reporters.

use axum::Json as Answer;
use axum::extract::State;
use serde_json::{Value, json};

use super::problem_of;
use crate::http::{Access, App, Problem, Route};
use crate::operator::Role;
use crate::redact::inert;
use crate::store::{DAY_MILLIS, Reporter, WaitingIncidents};

/// Days of a reporter that are shown.
const DAYS: u64 = 35;

pub fn routes() -> [Route; 3] {
    let access = Access::Operator(Role::Viewer);
    let object = || json!({ "type": "object" });
    [
        Route::get("/api/v1/needs-human", access, "Tells what waits for a person; empty is good", needs_human).gives(
            200,
            "What is held, what is stuck, what was not purged in time",
            object(),
        ),
        Route::get("/api/v1/queue", access, "Tells what waits to be done, by step and issuer", queue).gives(
            200,
            "The parts of the queue",
            object(),
        ),
        Route::get("/api/v1/reporters", access, "Tells who reports, with which keys, and how it went", reporters)
            .gives(200, "The reporters and their last days", object()),
    ]
}

async fn needs_human(State(app): State<App>) -> Result<Answer<Value>, Problem> {
    let needs = app.store.needs_human().await.map_err(problem_of)?;
    let groups = |groups: &[WaitingIncidents]| groups.iter().map(group).collect::<Vec<_>>();
    Ok(Answer(json!({
        "held": groups(&needs.held),
        "stuck": groups(&needs.stuck),
        "overdue_purges": needs.overdue_purges,
    })))
}

fn group(waiting: &WaitingIncidents) -> Value {
    json!({
        "issuer": waiting.issuer.as_ref().map(ToString::to_string),
        "step": waiting.step.map(crate::incident::Step::word),
        "reason": inert(&waiting.reason, 300),
        "incidents": waiting.incidents,
        "oldest_received_at": waiting.oldest_received_at,
        "example": waiting.example,
    })
}

async fn queue(State(app): State<App>) -> Result<Answer<Value>, Problem> {
    let parts = app.store.queue().await.map_err(problem_of)?;
    let parts = parts.iter().map(|part| {
        json!({ "step": part.step.word(), "issuer": part.issuer.as_ref().map(ToString::to_string), "jobs": part.jobs,
                "due": part.due, "leased": part.leased, "failing": part.failing, "oldest_due_at": part.oldest_due_at })
    });
    Ok(Answer(json!({ "parts": parts.collect::<Vec<_>>() })))
}

async fn reporters(State(app): State<App>) -> Result<Answer<Value>, Problem> {
    let now = app.clock.now();
    let from = now.minus(std::time::Duration::from_millis(DAYS * DAY_MILLIS.unsigned_abs()));
    let reporters = app.store.reporters(from).await.map_err(problem_of)?;
    let shown = |reporter: &Reporter| {
        let keys = reporter.keys.as_ref().map(|keys| {
            let all = keys
                .keys
                .iter()
                .map(|key| json!({ "id": inert(&key.id, 100), "noncurrent_since": key.noncurrent_since }));
            json!({ "fetched_at": keys.fetched_at, "keys": all.collect::<Vec<_>>() })
        });
        let days = reporter.days.iter().map(|day| {
            json!({ "day": crate::clock::Timestamp::from_millis(day.day), "deliveries": day.deliveries,
                    "reports": day.reports, "tokens": day.tokens, "unrecognized": day.unrecognized,
                    "malformed": day.malformed, "ours": day.ours, "revoked": day.revoked, "answers": day.answers,
                    "slow": day.slow, "rejected": day.rejected })
        });
        json!({ "origin": reporter.origin, "keys": keys, "last_delivery_at": reporter.last_delivery_at,
                "never_valid": reporter.is_never_valid(now),
                "slow_days_this_month": reporter.slow_days_this_month(now), "days": days.collect::<Vec<_>>() })
    };
    Ok(Answer(json!({ "reporters": reporters.iter().map(shown).collect::<Vec<_>>() })))
}
