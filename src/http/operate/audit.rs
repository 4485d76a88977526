//! `/api/v1/audit`: the trail, and the proof that nothing was changed in it.

use axum::Json as Answer;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{bad, page, problem_of, view};
use crate::http::input::Query;
use crate::http::{Access, App, Problem, Route};
use crate::operator::Role;
use crate::store::{AuditFilter, ChainReport};

pub fn routes() -> [Route; 2] {
    let list = json!({ "type": "object", "properties": {
        "events": { "type": "array", "items": { "type": "object" } }, "next": { "type": ["string", "null"] } } });
    [
        Route::get(
            "/api/v1/audit",
            Access::Operator(Role::Viewer),
            "Lists events of the audit trail, newest first",
            events,
        )
        .query("kind", "Words of kinds, with commas between")
        .query("actor", "Exactly this actor: operator:ada")
        .query("incident", "About this incident")
        .query("cursor", "What `next` said, to go on")
        .query("limit", "At most so many: 1 to 200, 50 by default")
        .gives(200, "A page of events", list),
        Route::get("/api/v1/audit/verify", Access::Operator(Role::Admin), "Verifies the whole audit trail", verify)
            .gives(200, "Whether it is intact, its head, its faults", json!({ "type": "object" })),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    kind: Option<String>,
    actor: Option<String>,
    incident: Option<String>,
    cursor: Option<String>,
    limit: Option<u32>,
}

async fn events(State(app): State<App>, Query(asked): Query<Asked>) -> Result<Answer<Value>, Problem> {
    let kinds = asked.kind.unwrap_or_default();
    let incident = asked.incident.map(|id| id.parse()).transpose();
    let filter = AuditFilter {
        kinds: kinds.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect(),
        actor: asked.actor,
        incident_id: incident.map_err(|_| bad("`incident` is no id of one"))?,
        ..AuditFilter::default()
    };
    let found = app.store.audit_events(&filter, &page(asked.cursor, asked.limit)?).await.map_err(problem_of)?;
    let events: Vec<Value> = found.items.iter().map(view::event).collect();
    Ok(Answer(json!({ "events": events, "next": found.next })))
}

async fn verify(State(app): State<App>) -> Result<Answer<Value>, Problem> {
    let report: ChainReport = app.store.verify_audit(None).await.map_err(problem_of)?;
    Ok(Answer(json!({ "intact": report.is_intact(), "report": report })))
}
