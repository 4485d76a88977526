//! Retry, release, dismiss, ask again, tell again: one incident, or all that a filter names, told before they are done.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::incidents::id_of;
use super::{Why, bad, instant, order, order_with_reason, problem_of, view};
use crate::clock::Clock;
use crate::http::auth::Operator;
use crate::http::input::{Json, Path};
use crate::http::{Access, App, Problem, Route, schema};
use crate::id::IncidentId;
use crate::incident::brake::Cause;
use crate::incident::{Event, EventKind, IllegalMove, Incident, State as IncidentState, Step};
use crate::operator::Role;
use crate::store::{Change, ChangeFilter, Changed, Error, MOST, Order, Selection, Store};

/// What a filter may ask for: why something is held, where something is stuck.
const CAUSES: [Cause; 5] = [Cause::All, Cause::DryRun, Cause::HighImpact, Cause::Issuer, Cause::Origin];
const STEPS: [Step; 4] = [Step::Verify, Step::Revoke, Step::Notify, Step::Close];

pub fn routes() -> [Route; 7] {
    let access = Access::Operator(Role::Responder);
    let requested = || schema::object(json!({ "release_id": schema::text(), "incidents": schema::count() }));
    let answered = |route: Route| {
        let reason = match route.path.rsplit('/').next() {
            Some("dismiss" | "release") => schema::good_reason(),
            _ => schema::reason(),
        };
        route
            .takes(reason)
            .gives(200, "It is done", view::changed_schema())
            .gives(202, "A second person must approve it", requested())
            .refuses(409, "Its state does not allow it")
    };
    let text = || schema::maybe(schema::text());
    let filter = schema::body(
        &[],
        json!({ "issuer": text(), "kind": text(), "origin": text(), "before": schema::maybe(schema::instant()),
                "cause": schema::maybe(schema::word(&CAUSES.map(Cause::word))), "step": schema::maybe(schema::word(&STEPS.map(Step::word))) }),
    );
    let limit = json!({ "type": ["integer", "null"], "minimum": 1, "maximum": MOST, "default": 1_000 });
    let bulk = schema::body(
        &["change"],
        json!({ "change": schema::word(&["dismiss", "recheck", "release", "retry"]), "filter": filter, "limit": limit,
                "reason": text(), "apply": { "type": "boolean", "default": false } }),
    );
    let refused = schema::object(json!({ "id": schema::text(), "reason": schema::text() }));
    let told = json!({ "oneOf": [
        schema::object(json!({ "would_change": schema::count(), "matching": schema::count(),
                               "sample": schema::list(schema::text()) })),
        schema::object(json!({ "changed": schema::count(), "left": schema::count(), "refused": schema::list(refused) })),
    ] });
    [
        answered(Route::post("/api/v1/incidents/{id}/retry", access, "Lets a stuck incident go on", retry)),
        answered(Route::post("/api/v1/incidents/{id}/release", access, "Lets a held revocation go on", release)),
        answered(Route::post("/api/v1/incidents/{id}/dismiss", access, "Leaves the token as alive as it is", dismiss)),
        answered(Route::post("/api/v1/incidents/{id}/recheck", access, "Has the issuer asked again", recheck)),
        answered(Route::post("/api/v1/incidents/{id}/resend", access, "Has the owner mailed again", resend)),
        Route::post("/api/v1/incidents/{id}/again", access, "Tries the next step now instead of at its time", again)
            .takes(schema::reason())
            .gives(200, "It is due now", view::changed_schema())
            .refuses(409, "Nothing waits for its time"),
        Route::post(
            "/api/v1/incidents/change",
            access,
            "Changes many incidents; without `apply` tells how many",
            bulk_of,
        )
        .takes(bulk)
        .gives(200, "How many it is, or would be", told)
        .gives(202, "A second person must approve it", requested())
        .refuses(409, "A state does not allow it"),
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

async fn again(
    State(app): State<App>,
    operator: Operator,
    Path(id): Path<String>,
    Json(why): Json<Why>,
) -> Result<axum::Json<Value>, Problem> {
    let incident =
        try_now(&app.store, &app.clock, id_of(&id)?, order(&operator, why.reason)).await.map_err(problem_of)?;
    Ok(axum::Json(json!({ "incident": view::incident(&incident) })))
}

/// Has the next step of an incident tried now instead of at its time.
///
/// # Errors
/// When nothing waits for its time.
pub async fn try_now(store: &Store, clock: &Clock, id: IncidentId, order: Order) -> Result<Incident, Error> {
    let mut event = Event::new(clock.now(), order.actor.clone(), EventKind::Retried, Some(id));
    if let Some(reason) = &order.reason {
        event = event.with(json!({ "reason": reason }));
    }
    let change = move |incident: &mut Incident| match incident.state {
        IncidentState::Live | IncidentState::Open | IncidentState::Revoked => Ok(vec![event]),
        _ => Err(IllegalMove { from: incident.state.word(), to: "tried now" }),
    };
    store.intervene(id, order.actor, change).await
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
