//! Retry, release, dismiss, ask again, tell again: one incident, or all that a filter names, told before they are done.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::incidents::id_of;
use super::{Why, bad, instant, order, order_with_reason, problem_of};
use crate::http::auth::Operator;
use crate::http::input::Json;
use crate::http::{Access, App, Problem, Route};
use crate::operator::Role;
use crate::store::{Change, ChangeFilter, Changed, MOST, Order, Selection};

pub fn routes() -> [Route; 6] {
    let access = Access::Operator(Role::Responder);
    let text = || json!({ "type": "string" });
    let reason = || json!({ "type": "object", "properties": { "reason": text() } });
    let answered = |route: Route| {
        route
            .takes(reason())
            .gives(200, "It is done", json!({ "type": "object" }))
            .gives(202, "A second person must approve it", json!({ "type": "object" }))
            .answers(404, "There is none")
            .answers(409, "Its state does not allow it")
    };
    let filter = json!({ "type": "object", "properties": { "issuer": text(), "kind": text(), "origin": text(),
        "cause": text(), "step": text(), "before": { "type": "string", "format": "date-time" } } });
    let bulk = json!({ "type": "object", "required": ["change"], "properties": {
        "change": { "enum": ["dismiss", "recheck", "release", "retry"] }, "filter": filter,
        "limit": { "type": "integer", "minimum": 1, "maximum": MOST, "default": 1_000 },
        "reason": text(), "apply": { "type": "boolean", "default": false } } });
    [
        answered(Route::post("/api/v1/incidents/{id}/retry", access, "Lets a stuck incident go on", retry)),
        answered(Route::post("/api/v1/incidents/{id}/release", access, "Lets a held revocation go on", release)),
        answered(Route::post("/api/v1/incidents/{id}/dismiss", access, "Leaves the token as alive as it is", dismiss)),
        answered(Route::post("/api/v1/incidents/{id}/recheck", access, "Has the issuer asked again", recheck)),
        answered(Route::post("/api/v1/incidents/{id}/resend", access, "Has the owner mailed again", resend)),
        Route::post(
            "/api/v1/incidents/change",
            access,
            "Changes many incidents; without `apply` tells how many",
            bulk_of,
        )
        .takes(bulk)
        .gives(200, "How many it is, or would be", json!({ "type": "object" }))
        .gives(202, "A second person must approve it", json!({ "type": "object" })),
    ]
}

async fn retry(
    State(app): State<App>,
    operator: Operator,
    Path(id): Path<String>,
    Json(why): Json<Why>,
) -> Result<Response, Problem> {
    one(&app, Change::Retry, &id, &order(&operator, why.reason)).await
}

async fn release(
    State(app): State<App>,
    operator: Operator,
    Path(id): Path<String>,
    Json(why): Json<Why>,
) -> Result<Response, Problem> {
    one(&app, Change::Release, &id, &order_with_reason(&operator, why.reason)?).await
}

async fn dismiss(
    State(app): State<App>,
    operator: Operator,
    Path(id): Path<String>,
    Json(why): Json<Why>,
) -> Result<Response, Problem> {
    one(&app, Change::Dismiss, &id, &order_with_reason(&operator, why.reason)?).await
}

async fn recheck(
    State(app): State<App>,
    operator: Operator,
    Path(id): Path<String>,
    Json(why): Json<Why>,
) -> Result<Response, Problem> {
    one(&app, Change::Recheck, &id, &order(&operator, why.reason)).await
}

async fn resend(
    State(app): State<App>,
    operator: Operator,
    Path(id): Path<String>,
    Json(why): Json<Why>,
) -> Result<Response, Problem> {
    one(&app, Change::Resend, &id, &order(&operator, why.reason)).await
}

async fn one(app: &App, change: Change, id: &str, order: &Order) -> Result<Response, Problem> {
    let id = id_of(id)?;
    if app.store.incident(id).await.map_err(problem_of)?.is_none() {
        return Err(Problem::new(StatusCode::NOT_FOUND));
    }
    match app.store.change(change, &Selection::Ids(vec![id]), order).await.map_err(problem_of)? {
        Changed::Requested { id, incidents } => Ok(requested(id, incidents)),
        Changed::Done(moved) => {
            if let Some((_, why)) = moved.refused.into_iter().next() {
                return Err(Problem::new(StatusCode::CONFLICT).told(why));
            }
            // It may have gone on meanwhile, and then that is the truth.
            let incident = app.store.incident(id).await.map_err(problem_of)?;
            Ok(axum::Json(json!({ "incident": incident.as_ref().map(super::view::incident) })).into_response())
        }
    }
}

fn requested(id: crate::id::ReleaseId, incidents: u64) -> Response {
    (StatusCode::ACCEPTED, axum::Json(json!({ "release_id": id, "incidents": incidents }))).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bulk {
    change: Word,
    #[serde(default)]
    filter: Which,
    limit: Option<u32>,
    reason: Option<String>,
    #[serde(default)]
    apply: bool,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Dismiss,
    Recheck,
    Release,
    Retry,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    issuer: Option<String>,
    kind: Option<String>,
    origin: Option<String>,
    cause: Option<String>,
    step: Option<String>,
    before: Option<String>,
}

async fn bulk_of(State(app): State<App>, operator: Operator, Json(asked): Json<Bulk>) -> Result<Response, Problem> {
    let change = match asked.change {
        Word::Dismiss => Change::Dismiss,
        Word::Recheck => Change::Recheck,
        Word::Release => Change::Release,
        Word::Retry => Change::Retry,
    };
    let limit = asked.limit.unwrap_or(1_000);
    if !(1..=MOST).contains(&limit) {
        return Err(bad("`limit` is 1 to 10000"));
    }
    let filter = ChangeFilter {
        issuer: asked.filter.issuer,
        kind: asked.filter.kind,
        origin: asked.filter.origin,
        cause: asked.filter.cause.map(|word| word.parse()).transpose().map_err(|_| bad("no such `cause`"))?,
        step: asked.filter.step.map(|word| word.parse()).transpose().map_err(|_| bad("no such `step`"))?,
        before: instant(asked.filter.before)?,
    };
    if !asked.apply {
        let preview = app.store.preview(change, &filter).await.map_err(problem_of)?;
        let most = preview.incidents.min(i64::from(limit));
        let told = json!({ "would_change": most, "matching": preview.incidents, "sample": preview.sample });
        return Ok(axum::Json(told).into_response());
    }
    let order = order_with_reason(&operator, asked.reason)?;
    let selection = Selection::Matching { filter: filter.clone(), limit };
    match app.store.change(change, &selection, &order).await.map_err(problem_of)? {
        Changed::Requested { id, incidents } => Ok(requested(id, incidents)),
        Changed::Done(moved) => {
            let left = app.store.preview(change, &filter).await.map_err(problem_of)?.incidents;
            let refused: Vec<_> = moved.refused.iter().map(|(id, why)| json!({ "id": id, "reason": why })).collect();
            let told = json!({ "changed": moved.moved.len(), "left": left, "refused": refused });
            Ok(axum::Json(told).into_response())
        }
    }
}
