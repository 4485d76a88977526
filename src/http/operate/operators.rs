//! `/api/v1/operators`: who may sign in to the dashboard, as what.
//!
//! Nobody chooses somebody else's password: who is added or reset gets a link, which is shown once.

use axum::Json as Answer;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::problem_of;
use crate::http::auth::{LINK_LASTS, Link, Operator, base};
use crate::http::input::{Json, Path};
use crate::http::{Access, App, Problem, Route, once, schema};
use crate::incident::Actor;
use crate::operator::Role;
use crate::store::{self, OperatorChange, OperatorName};

const ACCESS: Access = Access::Operator(Role::Admin);

pub fn routes() -> [Route; 6] {
    let name = schema::text;
    let role = || schema::word(&Role::ALL.map(Role::word));
    let operator = schema::object(json!({ "id": name(), "name": name(), "role": role(),
        "state": schema::word(&["active", "disabled", "invited"]), "created_at": schema::time(),
        "signed_in_at": schema::maybe(schema::time()), "disabled_at": schema::maybe(schema::time()) }));
    let link = || schema::object(json!({ "name": name(), "link": name(), "link_ends_at": schema::time() }));
    let done = || schema::object(json!({ "name": name() }));
    let nothing = || schema::body(&[], json!({}));
    let last = "It is the last admin who can sign in";
    [
        Route::get("/api/v1/operators", ACCESS, "Lists who may sign in to the dashboard", list).gives(
            200,
            "The operators",
            schema::object(json!({ "operators": schema::list(operator) })),
        ),
        Route::post("/api/v1/operators", ACCESS, "Adds an operator; shows a link to choose a password, once", add)
            .takes(schema::body(&["name", "role"], json!({ "name": name(), "role": role() })))
            .gives(201, "The link", link())
            .refuses(409, "Somebody has this name already"),
        Route::post("/api/v1/operators/{name}/reset", ACCESS, "Takes password and sessions away; shows a link", reset)
            .takes(nothing())
            .gives(200, "The link to choose a new password", link())
            .refuses(409, last),
        Route::post("/api/v1/operators/{name}/role", ACCESS, "Changes what an operator may do", set_role)
            .takes(schema::body(&["role"], json!({ "role": role() })))
            .gives(200, "It is changed", done())
            .refuses(409, last),
        Route::post("/api/v1/operators/{name}/disable", ACCESS, "Keeps an operator out at once", disable)
            .takes(nothing())
            .gives(200, "Every session is over", done())
            .refuses(409, last),
        Route::post("/api/v1/operators/{name}/enable", ACCESS, "Lets a disabled operator in again", enable)
            .takes(nothing())
            .gives(200, "It may sign in", done()),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    name: String,
    role: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Become {
    role: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

async fn list(State(app): State<App>) -> Result<Answer<Value>, Problem> {
    let operators = app.store.operators().await.map_err(problem_of)?;
    Ok(Answer(json!({ "operators": operators.iter().map(view).collect::<Vec<_>>() })))
}

/// An operator for programs.
pub fn view(operator: &store::Operator) -> Value {
    let state = match (operator.disabled_at, operator.has_password) {
        (Some(_), _) => "disabled",
        (None, true) => "active",
        (None, false) => "invited",
    };
    json!({
        "id": operator.id,
        "name": operator.name.as_str(),
        "role": operator.role.word(),
        "state": state,
        "created_at": operator.created_at,
        "signed_in_at": operator.signed_in_at,
        "disabled_at": operator.disabled_at,
    })
}

async fn add(
    State(app): State<App>,
    operator: Operator,
    headers: HeaderMap,
    Json(new): Json<New>,
) -> Result<Response, Problem> {
    let detail = "a name is up to 64 letters, digits and . _ - @ +, a letter or digit first";
    let name: OperatorName = new.name.parse().map_err(|_| super::bad(detail))?;
    let (role, fresh) = (role(&new.role)?, fresh()?);
    let end = app.clock.now().plus(LINK_LASTS);
    let added = app.store.add_operator(&name, role, (fresh.sha256, end), actor(operator)).await;
    changed(added.map_err(problem_of)?)?;
    Ok(shown(&app, StatusCode::CREATED, &name, &fresh, end, &headers))
}

async fn reset(
    State(app): State<App>,
    operator: Operator,
    Path(name): Path<String>,
    headers: HeaderMap,
    Json(Nothing {}): Json<Nothing>,
) -> Result<Response, Problem> {
    let (name, fresh) = (named(&name)?, fresh()?);
    let end = app.clock.now().plus(LINK_LASTS);
    let reset = app.store.reset_operator(&name, (fresh.sha256, end), actor(operator)).await;
    changed(reset.map_err(problem_of)?)?;
    Ok(shown(&app, StatusCode::OK, &name, &fresh, end, &headers))
}

async fn set_role(
    State(app): State<App>,
    operator: Operator,
    Path(name): Path<String>,
    Json(wanted): Json<Become>,
) -> Result<Answer<Value>, Problem> {
    let (name, role) = (named(&name)?, role(&wanted.role)?);
    changed(app.store.set_operator_role(&name, role, actor(operator)).await.map_err(problem_of)?)?;
    Ok(Answer(json!({ "name": name.as_str() })))
}

async fn disable(
    State(app): State<App>,
    operator: Operator,
    Path(name): Path<String>,
    Json(Nothing {}): Json<Nothing>,
) -> Result<Answer<Value>, Problem> {
    let name = named(&name)?;
    changed(app.store.disable_operator(&name, actor(operator)).await.map_err(problem_of)?)?;
    Ok(Answer(json!({ "name": name.as_str() })))
}

async fn enable(
    State(app): State<App>,
    operator: Operator,
    Path(name): Path<String>,
    Json(Nothing {}): Json<Nothing>,
) -> Result<Answer<Value>, Problem> {
    let name = named(&name)?;
    changed(app.store.enable_operator(&name, actor(operator)).await.map_err(problem_of)?)?;
    Ok(Answer(json!({ "name": name.as_str() })))
}

fn shown(
    app: &App,
    status: StatusCode,
    name: &OperatorName,
    link: &Link,
    end: crate::clock::Timestamp,
    headers: &HeaderMap,
) -> Response {
    let url = link.url(&base(app.configured().url.as_deref(), headers));
    once::secret_answer(status, &json!({ "name": name.as_str(), "link": url, "link_ends_at": end }))
}

/// A text that is no name names nobody.
fn named(name: &str) -> Result<OperatorName, Problem> {
    name.parse().map_err(|_| Problem::new(StatusCode::NOT_FOUND))
}

fn role(word: &str) -> Result<Role, Problem> {
    word.parse().map_err(|_| super::bad("`role` is `viewer`, `responder` or `admin`"))
}

fn fresh() -> Result<Link, Problem> {
    Link::new().map_err(|_| Problem::new(StatusCode::SERVICE_UNAVAILABLE).retry_after(super::SOON))
}

fn actor(operator: Operator) -> Actor {
    Actor::Operator(operator.name)
}

fn changed(changed: OperatorChange) -> Result<(), Problem> {
    let conflict = |detail| Err(Problem::new(StatusCode::CONFLICT).detail(detail));
    match changed {
        OperatorChange::Done => Ok(()),
        OperatorChange::LastAdmin => conflict("this is the last admin who can sign in: make another one first"),
        OperatorChange::NameTaken => conflict("there is an operator of this name already"),
        OperatorChange::Unknown => Err(Problem::new(StatusCode::NOT_FOUND)),
    }
}
