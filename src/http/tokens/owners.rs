//! `/api/v1/owners`: what is done to all tokens of one owner at once.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::problem_of;
use crate::http::auth::Operator;
use crate::http::input::Json;
use crate::http::{Access, App, Problem, Route, schema};
use crate::id::OwnerId;
use crate::incident::EmailAddress;
use crate::mint::{By, Left};
use crate::operator::Role;
use crate::store::Changing;

pub fn routes() -> [Route; 3] {
    const ADMIN: Access = Access::Operator(Role::Admin);
    let owner = || schema::body(&["owner"], json!({ "owner": schema::text() }));
    let leaving =
        schema::body(&["owner", "organisation"], json!({ "owner": schema::text(), "organisation": schema::text() }));
    let left = schema::object(json!({ "narrowed": schema::count(), "revoked": schema::count() }));
    let nobody = "Nobody with this address has tokens here";
    [
        Route::post("/api/v1/owners/suspend", ADMIN, "Sets an owner aside with every token", suspend)
            .takes(owner())
            .answers(204, "None of their tokens is accepted")
            .refuses(404, nobody),
        Route::post("/api/v1/owners/resume", ADMIN, "Takes an owner back that was set aside", resume)
            .takes(owner())
            .answers(204, "Their tokens are accepted again")
            .refuses(404, nobody),
        Route::post("/api/v1/owners/leave", ADMIN, "Takes an organisation from all tokens of an owner", leave)
            .takes(leaving)
            .gives(200, "How many are good for others, and how many are revoked", left)
            .refuses(404, nobody),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whom {
    owner: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Leaving {
    owner: String,
    organisation: String,
}

async fn suspend(State(app): State<App>, operator: Operator, Json(whom): Json<Whom>) -> Result<StatusCode, Problem> {
    set_aside(&app, &operator, &whom.owner, true).await
}

async fn resume(State(app): State<App>, operator: Operator, Json(whom): Json<Whom>) -> Result<StatusCode, Problem> {
    set_aside(&app, &operator, &whom.owner, false).await
}

async fn set_aside(app: &App, operator: &Operator, owner: &str, suspended: bool) -> Result<StatusCode, Problem> {
    let owner_id = find(app, owner).await?;
    let changing = Changing { by: By::Operator(operator.name.clone()).text() };
    app.store.suspend_owner(owner_id, suspended, changing).await.map_err(|error| problem_of(error.into()))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn leave(
    State(app): State<App>,
    operator: Operator,
    Json(leaving): Json<Leaving>,
) -> Result<axum::Json<Value>, Problem> {
    let owner_id = find(&app, &leaving.owner).await?;
    let by = By::Operator(operator.name);
    let Left { narrowed, revoked } = app.mint.leave(owner_id, &leaving.organisation, &by).await.map_err(problem_of)?;
    Ok(axum::Json(json!({ "narrowed": narrowed, "revoked": revoked })))
}

async fn find(app: &App, address: &str) -> Result<OwnerId, Problem> {
    let bad = || Problem::new(StatusCode::BAD_REQUEST).detail("`owner` is not an address");
    let email = EmailAddress::parse(address).map_err(|_| bad())?;
    let found = app.store.owner_by_email(&email).await.map_err(|error| problem_of(error.into()))?;
    found.ok_or(Problem::new(StatusCode::NOT_FOUND).detail("nobody with this address has tokens here"))
}
