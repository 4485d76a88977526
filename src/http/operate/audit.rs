//! `/api/v1/audit`: the trail, and the proof that nothing was changed in it.

use axum::Json as Answer;
use std::fmt::Write as _;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{bad, instant, page, problem_of, view};
use crate::http::auth::Operator;
use crate::http::input::Query;
use crate::http::{Access, App, Problem, Route, schema};
use crate::incident::{Actor, EventKind};
use crate::operator::Role;
use crate::store::{AuditFilter, ChainReport, Error, PageRequest};

pub fn routes() -> [Route; 3] {
    let fault = json!({ "type": "object", "required": ["fault"], "properties": { "fault": schema::text() } });
    let report = schema::object(json!({ "blocks": schema::count(), "events": schema::count(),
        "unsealed": schema::count(), "sealed_at": schema::maybe(schema::time()),
        "head": { "type": ["array", "null"], "items": { "type": ["integer", "string"] }, "minItems": 2, "maxItems": 2 },
        "faults": schema::list(fault) }));
    let filtered = |route: Route| {
        route
            .query("kind", "Words of kinds, with commas between")
            .query("actor", "Exactly this actor: operator:ada; `people` for all operators")
            .query("incident", "About this incident")
            .query_of("since", "At or after this instant", schema::instant())
            .query_of("until", "Before this instant", schema::instant())
    };
    let (path, summary) = ("/api/v1/audit", "Lists events of the audit trail, newest first");
    let list = filtered(Route::get(path, Access::Operator(Role::Viewer), summary, events));
    let (path, summary) = ("/api/v1/audit/export", "Exports the audit trail as a file, one JSON object a line");
    let whole = filtered(Route::get(path, Access::Operator(Role::Responder), summary, export));
    [
        list.query("cursor", "What `next` said, to go on")
            .query_of("limit", "At most so many: 1 to 200, 50 by default", schema::limit())
            .gives(200, "A page of events", schema::page("events", view::event_schema())),
        whole.gives_media(200, "The events, newest first", "application/jsonl", schema::text()),
        Route::get("/api/v1/audit/verify", Access::Operator(Role::Admin), "Verifies the whole audit trail", verify)
            .gives(
                200,
                "Whether it is intact, its head, its faults",
                schema::object(json!({ "intact": schema::flag(), "report": report })),
            ),
    ]
}

/// Events read at once for an export.
const BATCH: u32 = 500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    kind: Option<String>,
    actor: Option<String>,
    incident: Option<String>,
    since: Option<String>,
    until: Option<String>,
    cursor: Option<String>,
    limit: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    kind: Option<String>,
    actor: Option<String>,
    incident: Option<String>,
    since: Option<String>,
    until: Option<String>,
}

impl Whole {
    fn filter(self) -> Result<AuditFilter, Problem> {
        let kinds = self.kind.unwrap_or_default();
        let incident = self.incident.map(|id| id.parse()).transpose();
        let operators_only =
            self.actor.as_ref().is_some_and(|actor| actor == "people" || actor.starts_with("operator:"));
        Ok(AuditFilter {
            kinds: kinds.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect(),
            // Which is known by an index of its own.
            operators_only,
            actor: self.actor.filter(|actor| actor != "people"),
            incident_id: incident.map_err(|_| bad("`incident` is no id of one"))?,
            from: instant(self.since)?,
            before: instant(self.until)?,
        })
    }
}

async fn events(State(app): State<App>, Query(asked): Query<Asked>) -> Result<Answer<Value>, Problem> {
    let Asked { kind, actor, incident, since, until, cursor, limit } = asked;
    let filter = Whole { kind, actor, incident, since, until }.filter()?;
    let found = app.store.audit_events(&filter, &page(cursor, limit)?).await.map_err(problem_of)?;
    let events: Vec<Value> = found.items.iter().map(view::event).collect();
    Ok(Answer(json!({ "events": events, "next": found.next })))
}

/// What is taken out of the service is on the trail before the first byte leaves.
async fn export(State(app): State<App>, operator: Operator, Query(asked): Query<Whole>) -> Result<Response, Problem> {
    let filter = asked.filter()?;
    let detail = json!({ "what": "audit trail", "format": "jsonl" });
    app.store.note(Actor::Operator(operator.name), EventKind::Exported, detail).await.map_err(problem_of)?;
    let begin = Some((app.store, filter, PageRequest::first(BATCH)));
    let lines = stream::try_unfold(begin, |state| async move {
        let Some((store, filter, request)) = state else { return Ok::<_, Error>(None) };
        let found = store.audit_events(&filter, &request).await?;
        let mut text = String::new();
        for event in &found.items {
            let _ = writeln!(text, "{}", view::event(event));
        }
        let next = found.next.map(|cursor| (store, filter, PageRequest { after: Some(cursor), limit: BATCH }));
        Ok(Some((Bytes::from(text), next)))
    });
    let headers = [
        (header::CONTENT_TYPE, "application/jsonl"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"audit.jsonl\""),
    ];
    Ok((headers, Body::from_stream(lines)).into_response())
}

async fn verify(State(app): State<App>) -> Result<Answer<Value>, Problem> {
    let report: ChainReport = app.store.verify_audit(None).await.map_err(problem_of)?;
    Ok(Answer(json!({ "intact": report.is_intact(), "report": report })))
}
