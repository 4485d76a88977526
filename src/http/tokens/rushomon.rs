//! `/api/settings/api-keys`: the routes of rushomon's API keys, so that its clients work unchanged.
//!
//! Its names (`raw_token`, `expires_in_days`, `org_ids`) and its unix seconds; its defects are not taken over: bounds hold,
//! names are unique, and a key that was revoked for a leak cannot be brought back.
//!
//! A key of several organisations says in `X-Org-Id` for which one it is shown.

use std::time::Duration;

use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::create::end_by_default;
use super::list::id_of;
use super::{problem_of, secret_answer};
use crate::clock::Timestamp;
use crate::http::auth::{Manager, ORGANISATION, Operator};
use crate::http::input::{Json, Path, Query};
use crate::http::{Access, App, Problem, Route, schema};
use crate::mint::{By, Expires, Order, Refused};
use crate::operator::Role;
use crate::store::{Narrowing, OwnToken, OwnTokenFilter, OwnTokenKind};

pub fn routes() -> [Route; 8] {
    const ADMIN: Access = Access::Operator(Role::Admin);
    // Its clients send more than it reads, and so may they here.
    let key = || {
        let seconds = || json!({ "type": ["integer", "null"] });
        schema::object(json!({ "id": schema::text(), "name": schema::text(), "hint": schema::text(),
            "created_at": { "type": "integer" }, "expires_at": seconds(), "last_used_at": seconds(),
            "org_ids": schema::list(schema::text()) }))
    };
    let made = || {
        let mut made = key();
        made["properties"]["raw_token"] = schema::text();
        made
    };
    let page = schema::object(json!({ "keys": schema::list(key()), "page": schema::count(), "limit": schema::count(),
        "has_more": schema::flag() }));
    let wanted = json!({ "type": "object", "required": ["name"], "properties": {
        "name": { "type": "string", "minLength": 1, "maxLength": 100 },
        "expires_in_days": { "type": ["integer", "null"], "minimum": 1, "maximum": 36_500 },
        "org_ids": schema::list(schema::text()),
    } });
    let org_ids = json!({ "type": "array", "minItems": 1, "items": { "type": "string" } });
    let orgs = json!({ "type": "object", "required": ["org_ids"], "properties": { "org_ids": org_ids } });
    [
        Route::post("/api/settings/api-keys", Access::Manage, "Makes an API key, as rushomon does", create)
            .once()
            .takes(wanted)
            .gives(200, "The key with its `raw_token`, once", made())
            .refuses(409, "There is a living key of this name, or too many"),
        Route::get("/api/settings/api-keys", Access::Manage, "Lists one's API keys, as rushomon does", list).gives(
            200,
            "The keys, newest first",
            schema::list(key()),
        ),
        Route::delete("/api/settings/api-keys/{id}", Access::Manage, "Revokes an API key, as rushomon does", revoke)
            .answers(204, "There is no such living key any more"),
        Route::put("/api/settings/api-keys/{id}/orgs", Access::Manage, "Narrows a key's organisations", set_orgs)
            .takes(orgs)
            .gives(200, "The key", key())
            .refuses(409, "The key is dead, or would get more than it has"),
        Route::get("/api/admin/api-keys", ADMIN, "Lists everybody's API keys, as rushomon does", all)
            .query_of("page", "From 1", schema::count())
            .query_of("limit", "1 to 100, 20 by default", schema::count())
            .query("search", "Part of a name or an address")
            .query_of("status", "In this state", schema::word(&["active", "expired", "revoked", "suspended"]))
            .gives(200, "A page of keys", page),
        Route::delete("/api/admin/api-keys/{id}", ADMIN, "Revokes anybody's API key", revoke_any)
            .answers(204, "It is dead, now or before"),
        Route::post(
            "/api/admin/api-keys/{id}/delete",
            ADMIN,
            "Revokes anybody's API key, as rushomon deletes one",
            revoke_any,
        )
        .answers(204, "It is dead, now or before"),
        Route::post("/api/admin/api-keys/{id}/reactivate", ADMIN, "Takes a key back that was set aside", reactivate)
            .answers(204, "It is accepted again")
            .refuses(409, "It is revoked, which is final"),
    ]
}

#[derive(Deserialize)]
struct Wanted {
    name: String,
    expires_in_days: Option<i64>,
    #[serde(default)]
    org_ids: Vec<String>,
}

#[derive(Deserialize)]
struct Orgs {
    org_ids: Vec<String>,
}

#[derive(Deserialize)]
struct Asked {
    page: Option<u32>,
    limit: Option<u32>,
    search: Option<String>,
    status: Option<String>,
}

/// For which organisation a key is shown. That it is one of the key's own, the guard has seen.
struct ForOne;

impl FromRequestParts<App> for ForOne {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let several = match parts.extensions.get::<Manager>() {
            Some(Manager { by: By::Token(token), .. }) => token.token().organisations.len() > 1,
            _ => false,
        };
        if several && !parts.headers.contains_key(ORGANISATION) {
            let detail = "the key is for several organisations: say which one in `X-Org-Id`";
            return Err(Problem::new(StatusCode::UNAUTHORIZED).detail(detail));
        }
        Ok(Self)
    }
}

async fn create(
    State(app): State<App>,
    manager: Manager,
    _: ForOne,
    Json(wanted): Json<Wanted>,
) -> Result<Response, Problem> {
    app.limits.creation(&manager)?;
    let owner_id = manager.owner_id.ok_or(bad("a key is made for oneself: show a token of its owner"))?;
    let expires = match wanted.expires_in_days {
        None => end_by_default(&app, Some(&manager), OwnTokenKind::Pat),
        Some(days @ 1..=36_500) => {
            let days = u32::try_from(days).unwrap_or(1);
            Expires::At(app.clock.now().plus(Duration::from_hours(24) * days))
        }
        Some(_) => return Err(bad("`expires_in_days` is 1 or more")),
    };
    // Nothing said: all that the key which makes it has.
    let organisations = match &manager.by {
        By::Token(token) if wanted.org_ids.is_empty() => token.token().organisations.clone(),
        _ => wanted.org_ids,
    };
    let order =
        Order { organisations, expires, ..Order::new(OwnTokenKind::Pat, owner_id, wanted.name.trim().to_owned()) };
    let issued = app.mint.create(order, &manager.by).await.map_err(problem_of)?;
    let mut body = view(&issued.token);
    body["raw_token"] = issued.text().as_str().into();
    Ok(secret_answer(StatusCode::OK, &body))
}

async fn list(State(app): State<App>, manager: Manager, _: ForOne) -> Result<axum::Json<Value>, Problem> {
    let filter = OwnTokenFilter { owner_id: manager.owner_id, limit: 1_000, ..OwnTokenFilter::default() };
    let keys = app.store.own_tokens(&filter).await.map_err(|error| problem_of(error.into()))?;
    // One that its owner deleted is gone from the owner's list; operators still see it.
    let keys: Vec<Value> = keys.iter().filter(|key| key.revoked_at.is_none()).map(view).collect();
    Ok(axum::Json(keys.into()))
}

async fn revoke(
    State(app): State<App>,
    manager: Manager,
    _: ForOne,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let revoked = match id.parse() {
        Ok(id) => app.mint.revoke(id, "deleted by its owner", &manager.by).await,
        Err(_) => Err(Refused::NotFound),
    };
    match revoked {
        Ok(_) | Err(Refused::NotFound) => Ok(StatusCode::NO_CONTENT),
        Err(refused) => Err(problem_of(refused)),
    }
}

async fn set_orgs(
    State(app): State<App>,
    manager: Manager,
    _: ForOne,
    Path(id): Path<String>,
    Json(orgs): Json<Orgs>,
) -> Result<axum::Json<Value>, Problem> {
    if orgs.org_ids.is_empty() {
        return Err(bad("`org_ids` is empty: a key is for one organisation at least"));
    }
    let narrowing = Narrowing { organisations: Some(orgs.org_ids), ..Narrowing::default() };
    let token = app.mint.narrow(id_of(&id)?, narrowing, &manager.by).await.map_err(problem_of)?;
    Ok(axum::Json(view(&token)))
}

async fn all(State(app): State<App>, Query(asked): Query<Asked>) -> Result<axum::Json<Value>, Problem> {
    let (number, limit) = (asked.page.unwrap_or(1).clamp(1, 1_000), asked.limit.unwrap_or(20).clamp(1, 100));
    let status = asked.status.map(|word| word.parse()).transpose().map_err(|_| bad("no such `status`"))?;
    // Pages by number read what comes before them; the API's own list goes on from a cursor.
    let filter =
        OwnTokenFilter { search: asked.search, status, limit: number * limit + 1, ..OwnTokenFilter::default() };
    let keys = app.store.own_tokens(&filter).await.map_err(|error| problem_of(error.into()))?;
    let size = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
    let shown: Vec<Value> =
        keys.iter().skip(size((number - 1) * limit)).take(size(limit)).map(view_for_admin).collect();
    let more = keys.len() > size(number * limit);
    Ok(axum::Json(json!({ "keys": shown, "page": number, "limit": limit, "has_more": more })))
}

async fn revoke_any(State(app): State<App>, operator: Operator, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    let by = By::Operator(operator.name);
    app.mint.revoke(id_of(&id)?, "revoked by an operator", &by).await.map_err(problem_of)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn reactivate(State(app): State<App>, operator: Operator, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    app.mint.suspend(id_of(&id)?, false, &By::Operator(operator.name)).await.map_err(problem_of)?;
    Ok(StatusCode::NO_CONTENT)
}

fn view(token: &OwnToken) -> Value {
    let seconds = |at: Option<Timestamp>| at.map(|at| at.as_millis() / 1_000);
    json!({
        "id": token.id,
        "name": token.name,
        "hint": format!("{}...{}", token.prefix, token.hint),
        "created_at": token.created_at.as_millis() / 1_000,
        "last_used_at": seconds(token.last_used_at),
        "expires_at": seconds(token.expires_at),
        "org_ids": token.organisations,
    })
}

fn view_for_admin(token: &OwnToken) -> Value {
    let mut view = view(token);
    let status = match (token.revoked_at, token.suspended_at) {
        (Some(_), _) => "revoked",
        (None, Some(_)) => "suspended",
        (None, None) => "active",
    };
    view["status"] = status.into();
    view["user_id"] = json!(token.owner_id);
    view["user_email"] = token.owner_email.as_str().into();
    view["updated_at"] = json!(token.updated_at.map(|at| at.as_millis() / 1_000));
    view["updated_by"] = json!(token.updated_by);
    view
}

fn bad(detail: &'static str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST).detail(detail)
}
