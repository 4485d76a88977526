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
use crate::http::{Access, App, Problem, Route};
use crate::incident::{Actor, EventKind};
use crate::operator::Role;
use crate::store::{Figures, RevokedFilter, Slot, Spans, StatisticsRange};

pub fn routes() -> [Route; 3] {
    let look = Access::Operator(Role::Viewer);
    let filtered = |route: Route| {
        route
            .query("issuer", "Of this issuer")
            .query("since", "At or after this instant")
            .query("until", "Before this instant")
    };
    let (path, summary) = ("/api/v1/revoked-tokens/export", "Exports the record of revoked tokens as a file");
    let whole = Route::get(path, Access::Operator(Role::Responder), summary, export);
    let mut whole = filtered(whole).query("format", "`csv` or `jsonl`; `csv` by default");
    whole.answers.push(crate::http::route::Given {
        status: 200,
        description: "The record, newest first; what was purged is empty in it",
        payload: Some(crate::http::route::Payload { media: "text/csv", schema: json!({ "type": "string" }) }),
    });
    let listed = json!({ "type": "object", "properties": {
        "revoked_tokens": { "type": "array", "items": { "type": "object" } }, "next": { "type": ["string", "null"] } } });
    let list = Route::get("/api/v1/revoked-tokens", look, "Lists revoked tokens, newest first", list);
    let figures =
        Route::get("/api/v1/statistics", look, "Tells how much and how fast, by issuer and over time", statistics);
    [
        filtered(list)
            .query("cursor", "What `next` said, to go on")
            .query("limit", "At most so many: 1 to 200, 50 by default")
            .gives(200, "A page of them", listed),
        whole,
        filtered(figures).query("slot", "`day` or `hour`; `day` by default").gives(
            200,
            "Figures in all, by issuer, and of each slot in which anything happened",
            json!({ "type": "object" }),
        ),
    ]
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
    let by_issuer = found.by_issuer.iter().map(|(issuer, it)| json!({ "issuer": issuer, "figures": figures(it) }));
    let slots = found.slots.iter().map(|(at, it)| json!({ "at": at, "figures": figures(it) }));
    Ok(Answer(json!({
        "since": from,
        "until": to,
        "total": figures(&found.total),
        "by_issuer": by_issuer.collect::<Vec<_>>(),
        "slots": slots.collect::<Vec<_>>(),
    })))
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
