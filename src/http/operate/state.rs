//! What waits and how it goes: what needs a person, the queue, the reporters.

use axum::Json as Answer;
use axum::extract::State;
use serde_json::{Value, json};

use super::problem_of;
use crate::http::{Access, App, Problem, Route, schema};
use crate::operator::Role;
use crate::redact::inert;
use crate::store::{DAY_MILLIS, Reporter, WaitingIncidents};

/// Days of a reporter that are shown.
const DAYS: u64 = 35;

pub fn routes() -> [Route; 4] {
    let access = Access::Operator(Role::Viewer);
    let maybe_text = || schema::maybe(schema::text());
    let group = || {
        schema::list(schema::object(json!({ "issuer": maybe_text(), "step": maybe_text(), "reason": schema::text(),
            "incidents": schema::count(), "oldest_received_at": schema::time(), "example": schema::text() })))
    };
    let needs = json!({ "held": group(), "stuck": group(), "overdue_purges": schema::count() });
    let part = schema::object(json!({ "step": schema::text(), "issuer": maybe_text(), "jobs": schema::count(),
        "due": schema::count(), "leased": schema::count(), "failing": schema::count(),
        "oldest_due_at": schema::maybe(schema::time()) }));
    let key = schema::object(json!({ "id": schema::text(), "noncurrent_since": schema::maybe(schema::time()) }));
    let keys = schema::object(json!({ "fetched_at": schema::time(), "keys": schema::list(key) }));
    let count = schema::count;
    let day = schema::object(json!({ "day": schema::time(), "deliveries": count(), "reports": count(),
        "tokens": count(), "unrecognized": count(), "malformed": count(), "ours": count(), "revoked": count(),
        "answers": count(), "slow": count(), "rejected": count() }));
    let reporter = schema::object(json!({ "origin": schema::text(), "keys": schema::maybe(keys),
        "last_delivery_at": schema::maybe(schema::time()), "never_valid": schema::flag(),
        "slow_days_this_month": count(), "days": schema::list(day) }));
    [
        Route::get("/api/v1/needs-human", access, "Tells what waits for a person; empty is good", needs_human).gives(
            200,
            "What is held, what is stuck, what was not purged in time",
            schema::object(needs),
        ),
        Route::get("/api/v1/queue", access, "Tells what waits to be done, by step and issuer", queue).gives(
            200,
            "The parts of the queue",
            schema::object(json!({ "parts": schema::list(part) })),
        ),
        Route::get("/api/v1/settings", access, "Shows the effective configuration, without credentials", settings)
            .gives(200, "As TOML", schema::object(json!({ "version": schema::text(), "effective": schema::text() }))),
        Route::get("/api/v1/reporters", access, "Tells who reports, with which keys, and how it went", reporters)
            .gives(
                200,
                "The reporters and their last days",
                schema::object(json!({ "reporters": schema::list(reporter) })),
            ),
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

async fn settings(State(app): State<App>) -> Answer<Value> {
    Answer(json!({ "version": env!("CARGO_PKG_VERSION"), "effective": app.configured().effective }))
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
