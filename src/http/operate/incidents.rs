//! `/api/v1/incidents`: the list, one of them with all around it, and the question what became of a token.

use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{bad, instant, page, problem_of, view};
use crate::http::input::{Json, Path, Query};
use crate::http::{Access, App, Problem, Route, schema};
use crate::id::IncidentId;
use crate::incident;
use crate::operator::Role;
use crate::store::IncidentFilter;

pub fn routes() -> [Route; 3] {
    let access = Access::Operator(Role::Viewer);
    [
        Route::get("/api/v1/incidents", access, "Lists incidents, newest first", list_them)
            .query("state", "Words of states, with commas between")
            .query("issuer", "Of this issuer")
            .query("kind", "Tokens of this kind")
            .query("origin", "Reported first by this origin")
            .query("owner", "The beginning of the owner's name or address")
            .query("text", "An id, a fingerprint, or the beginning of a name")
            .query_of("since", "Received at or after this instant", schema::instant())
            .query_of("until", "Received before this instant", schema::instant())
            .query("cursor", "What `next` said, to go on")
            .query_of("limit", "At most so many: 1 to 200, 50 by default", schema::limit())
            .gives(200, "A page of incidents", schema::page("incidents", view::incident_schema())),
        Route::get("/api/v1/incidents/{id}", access, "Shows an incident with all that is known about it", show).gives(
            200,
            "The incident, its places, its mail, its next step, its events",
            view::detail_schema(),
        ),
        Route::post("/api/v1/incidents/lookup", access, "Tells what became of a token; it is not kept", lookup)
            .takes(schema::body(&["token"], json!({ "token": schema::text() })))
            .gives(
                200,
                "Its kind if it is a token, and its incidents",
                schema::object(json!({
                    "kind": schema::maybe(schema::text()),
                    "incidents": schema::list(view::incident_schema()),
                })),
            ),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    state: Option<String>,
    issuer: Option<String>,
    kind: Option<String>,
    origin: Option<String>,
    owner: Option<String>,
    text: Option<String>,
    since: Option<String>,
    until: Option<String>,
    cursor: Option<String>,
    limit: Option<u32>,
}

async fn list_them(State(app): State<App>, Query(asked): Query<Asked>) -> Result<Answer<Value>, Problem> {
    let states = asked.state.unwrap_or_default();
    let states: Vec<String> = states.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect();
    if states.iter().any(|word| !incident::State::WORDS.contains(&word.as_str())) {
        return Err(bad("no such `state`"));
    }
    let filter = IncidentFilter {
        states,
        issuer: asked.issuer,
        kind: asked.kind,
        origin: asked.origin,
        owner: asked.owner,
        text: asked.text,
        received_from: instant(asked.since)?,
        received_before: instant(asked.until)?,
    };
    let found = app.store.incidents(&filter, &page(asked.cursor, asked.limit)?).await.map_err(problem_of)?;
    let incidents: Vec<Value> = found.items.iter().map(view::incident).collect();
    Ok(Answer(json!({ "incidents": incidents, "next": found.next })))
}

async fn show(State(app): State<App>, Path(id): Path<String>) -> Result<Answer<Value>, Problem> {
    let detail = app.store.incident_detail(id_of(&id)?).await.map_err(problem_of)?;
    let detail = detail.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND))?;
    Ok(Answer(view::detail(&detail)))
}

/// A text that is no id names no incident.
pub(super) fn id_of(text: &str) -> Result<IncidentId, Problem> {
    text.parse().map_err(|_| Problem::new(StatusCode::NOT_FOUND))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pasted {
    token: String,
}

async fn lookup(State(app): State<App>, Json(Pasted { token }): Json<Pasted>) -> Result<Answer<Value>, Problem> {
    let token = Zeroizing::new(token);
    let Some((kind, fingerprints)) = app.intake.name(&token) else {
        return Ok(Answer(json!({ "kind": null, "incidents": [] })));
    };
    let incidents = app.store.incidents_by_fingerprint(&fingerprints).await.map_err(problem_of)?;
    let incidents: Vec<Value> = incidents.iter().map(view::incident).collect();
    Ok(Answer(json!({ "kind": kind.to_string(), "incidents": incidents })))
}
