//! `/api/v1/revoked-tokens` and `/api/v1/statistics`: what was killed, and how fast it went.
//!
//! Figures are by issuer and by time. None is by repository, place or person: the reporter's agreement forbids it.

use axum::Json as Answer;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{bad, instant, page, problem_of};
use crate::http::auth::Operator;
use crate::http::export::{self, Format};
use crate::http::input::Query;
use crate::http::{Access, App, Problem, Route, schema};
use crate::incident::{Actor, EventKind};
use crate::operator::Role;
use crate::store::{Figures, RevokedFilter, Slot, Spans, Statistics, StatisticsRange};

pub fn routes() -> [Route; 3] {
    let look = Access::Operator(Role::Viewer);
    let filtered = |route: Route| {
        route
            .query("issuer", "Of this issuer")
            .query_of("since", "At or after this instant", schema::instant())
            .query_of("until", "Before this instant", schema::instant())
    };
    let (path, summary) = ("/api/v1/revoked-tokens/export", "Exports the record of revoked tokens as a file");
    let whole = Route::get(path, Access::Operator(Role::Responder), summary, export);
    let told = "The record, newest first; what was purged is empty in it";
    let whole = filtered(whole)
        .query_of("format", "`csv` by default", schema::word(&["csv", "jsonl"]))
        .gives_media(200, told, "text/csv", schema::text())
        .gives_media(200, told, "application/jsonl", schema::text());
    let list = Route::get("/api/v1/revoked-tokens", look, "Lists revoked tokens, newest first", list);
    let figures =
        Route::get("/api/v1/statistics", look, "Tells how much and how fast, by issuer and over time", statistics);
    [
        filtered(list)
            .query("cursor", "What `next` said, to go on")
            .query_of("limit", "At most so many: 1 to 200, 50 by default", schema::limit())
            .gives(200, "A page of them", schema::page("revoked_tokens", export::entry_schema())),
        whole,
        filtered(figures).query_of("slot", "`day` by default", schema::word(&["day", "hour"])).gives(
            200,
            "Figures in all, by issuer, and of each slot in which anything happened",
            statistics_schema(),
        ),
    ]
}

fn statistics_schema() -> Value {
    let percentile = || json!({ "type": ["integer", "null"], "minimum": 0 });
    let spans = || {
        schema::object(json!({ "count": schema::count(), "p50_ms": percentile(), "p95_ms": percentile(),
            "p99_ms": percentile() }))
    };
    let by_word = || json!({ "type": "object", "additionalProperties": schema::count() });
    let figures = || {
        schema::object(json!({ "opened": schema::count(), "repeated": schema::count(), "held": schema::count(),
            "stuck": schema::count(), "verdicts": by_word(), "outcomes": by_word(), "received_to_revoked": spans(),
            "received_to_notified": spans() }))
    };
    let by_issuer = schema::object(json!({ "issuer": schema::text(), "figures": figures() }));
    let slot = schema::object(json!({ "at": schema::time(), "figures": figures() }));
    schema::object(json!({ "since": schema::time(), "until": schema::time(), "total": figures(),
        "by_issuer": schema::list(by_issuer), "slots": schema::list(slot) }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    issuer: Option<String>,
    since: Option<String>,
    until: Option<String>,
    cursor: Option<String>,
    limit: Option<u32>,
}

async fn list(State(app): State<App>, Query(asked): Query<Asked>) -> Result<Answer<Value>, Problem> {
    let filter = filter(asked.issuer, asked.since, asked.until)?;
    let found = app.store.revoked_tokens(&filter, &page(asked.cursor, asked.limit)?).await.map_err(problem_of)?;
    let tokens: Vec<Value> = found.items.iter().map(export::entry).collect();
    Ok(Answer(json!({ "revoked_tokens": tokens, "next": found.next })))
}

fn filter(issuer: Option<String>, since: Option<String>, until: Option<String>) -> Result<RevokedFilter, Problem> {
    Ok(RevokedFilter { issuer, revoked_from: instant(since)?, revoked_before: instant(until)? })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Export {
    format: Option<String>,
    issuer: Option<String>,
    since: Option<String>,
    until: Option<String>,
}

/// What is taken out of the service is on the trail before the first byte leaves.
async fn export(State(app): State<App>, operator: Operator, Query(asked): Query<Export>) -> Result<Response, Problem> {
    let format: Format =
        asked.format.as_deref().unwrap_or("csv").parse().map_err(|_| bad("`format` is `csv` or `jsonl`"))?;
    let filter = filter(asked.issuer, asked.since, asked.until)?;
    let detail = json!({ "what": "revoked tokens", "format": format.word() });
    let actor = Actor::Operator(operator.name);
    app.store.note(actor, EventKind::Exported, detail).await.map_err(problem_of)?;
    Ok(export::answer(app.store.clone(), filter, format))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    issuer: Option<String>,
    since: Option<String>,
    until: Option<String>,
    slot: Option<String>,
}

async fn statistics(State(app): State<App>, Query(asked): Query<Range>) -> Result<Answer<Value>, Problem> {
    let slot = match asked.slot.as_deref() {
        None | Some("day") => Slot::Day,
        Some("hour") => Slot::Hour,
        Some(_) => return Err(bad("`slot` is `day` or `hour`")),
    };
    let to = instant(asked.until)?.unwrap_or_else(|| app.clock.now());
    let longest = std::time::Duration::from_millis((slot.most() * slot.millis()).unsigned_abs());
    let from = instant(asked.since)?.unwrap_or_else(|| to.minus(longest));
    let range = StatisticsRange { from, to, slot, issuer: asked.issuer };
    let found = app.store.statistics(&range).await.map_err(problem_of)?;
    Ok(Answer(told(&range, &found)))
}

/// Figures for programs.
pub fn told(range: &StatisticsRange, found: &Statistics) -> Value {
    let by_issuer = found.by_issuer.iter().map(|(issuer, it)| json!({ "issuer": issuer, "figures": figures(it) }));
    let slots = found.slots.iter().map(|(at, it)| json!({ "at": at, "figures": figures(it) }));
    json!({
        "since": range.from,
        "until": range.to,
        "total": figures(&found.total),
        "by_issuer": by_issuer.collect::<Vec<_>>(),
        "slots": slots.collect::<Vec<_>>(),
    })
}

fn figures(it: &Figures) -> Value {
    json!({
        "opened": it.opened,
        "repeated": it.repeated,
        "held": it.held,
        "stuck": it.stuck,
        "verdicts": it.verdicts,
        "outcomes": it.outcomes,
        "received_to_revoked": spans(&it.to_revoked),
        "received_to_notified": spans(&it.to_notified),
    })
}

/// In milliseconds; within five percent of the truth.
fn spans(it: &Spans) -> Value {
    json!({ "count": it.count(), "p50_ms": it.percentile(0.50), "p95_ms": it.percentile(0.95),
            "p99_ms": it.percentile(0.99) })
}
