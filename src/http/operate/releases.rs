//! `/api/v1/releases`: releases that take two people, and the second one's word.

use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{Why, order, problem_of};
use crate::http::auth::Operator;
use crate::http::input::{Json, Path};
use crate::http::{Access, App, Problem, Route, schema};
use crate::id::ReleaseId;
use crate::operator::Role;
use crate::redact::inert;
use crate::store::{DecisionError, ReleaseRequest};

pub fn routes() -> [Route; 3] {
    let act = Access::Operator(Role::Responder);
    let decided = |route: Route, told, given| {
        let refusal = "It is over, or the same person asked for it";
        route.takes(schema::reason()).gives(200, told, given).refuses(409, refusal)
    };
    let waiting = schema::object(json!({ "id": schema::text(), "incidents": schema::count(), "reason": schema::text(),
        "requested_by": schema::text(), "requested_at": schema::time() }));
    let refused = schema::object(json!({ "id": schema::text(), "reason": schema::text() }));
    let approve =
        Route::post("/api/v1/releases/{id}/approve", act, "Approves what another operator asked for", approve);
    let withdraw = Route::post("/api/v1/releases/{id}/withdraw", act, "Takes a release back; all stays held", withdraw);
    [
        Route::get(
            "/api/v1/releases",
            Access::Operator(Role::Viewer),
            "Lists releases that wait for an approval",
            list,
        )
        .gives(
            200,
            "What was asked for, by whom and why",
            schema::object(json!({ "releases": schema::list(waiting) })),
        ),
        decided(
            approve,
            "What went on",
            schema::object(json!({ "released": schema::count(), "refused": schema::list(refused) })),
        ),
        decided(withdraw, "It is withdrawn", schema::object(json!({ "withdrawn": schema::text() }))),
    ]
}

async fn list(State(app): State<App>) -> Result<Answer<Value>, Problem> {
    let held = app.store.held().await.map_err(problem_of)?;
    let shown = |request: &ReleaseRequest| {
        json!({ "id": request.id, "incidents": request.incidents, "reason": inert(&request.reason, 500),
                "requested_by": inert(&request.requested_by, 80), "requested_at": request.requested_at })
    };
    Ok(Answer(json!({ "releases": held.requests.iter().map(shown).collect::<Vec<_>>() })))
}

async fn approve(
    State(app): State<App>,
    operator: Operator,
    Path(id): Path<String>,
    Json(why): Json<Why>,
) -> Result<Answer<Value>, Problem> {
    let moved = app.store.approve_release(read(&id)?, &order(&operator, why.reason)).await.map_err(refused)?;
    let refused: Vec<_> = moved.refused.iter().map(|(id, why)| json!({ "id": id, "reason": why })).collect();
    Ok(Answer(json!({ "released": moved.moved.len(), "refused": refused })))
}

async fn withdraw(
    State(app): State<App>,
    operator: Operator,
    Path(id): Path<String>,
    Json(why): Json<Why>,
) -> Result<Answer<Value>, Problem> {
    let id = read(&id)?;
    app.store.withdraw_release(id, &order(&operator, why.reason)).await.map_err(refused)?;
    Ok(Answer(json!({ "withdrawn": id })))
}

fn read(id: &str) -> Result<ReleaseId, Problem> {
    id.parse().map_err(|_| Problem::new(StatusCode::NOT_FOUND))
}

fn refused(error: DecisionError) -> Problem {
    match error {
        DecisionError::Store(error) => problem_of(error),
        DecisionError::NotPending => Problem::new(StatusCode::NOT_FOUND),
        other => Problem::new(StatusCode::CONFLICT).told(other.to_string()),
    }
}
