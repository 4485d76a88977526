//! `GET /api/v1/tokens` and `GET /api/v1/tokens/{id}`: the records, never the secrets.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::problem_of;
use super::view;
use crate::http::auth::Manager;
use crate::http::input::{Path, Query, limited};
use crate::http::{Access, App, Problem, Route, schema};
use crate::id::TokenId;
use crate::incident::EmailAddress;
use crate::mint::Refused;
use crate::store::OwnTokenFilter;

pub fn routes() -> [Route; 2] {
    let words = ["active", "expired", "revoked", "suspended"];
    [
        Route::get("/api/v1/tokens", Access::Manage, "Lists tokens, newest first; never their secrets", list)
            .query("owner", "Address of the owner; operators only")
            .query_of("kind", "Of this kind", schema::word(&["key", "macaroon", "magic", "pat"]))
            .query_of("status", "In this state", schema::word(&words))
            .query("search", "Part of the token's or the owner's name, or of the address")
            .query("organisation", "An organisation that the token is for")
            .query_of("unused_for_days", "Not used for so many days", schema::count())
            .query_of("expiring_in_days", "Ends within so many days", schema::count())
            .query("cursor", "What `next` said, to go on")
            .query_of("limit", "At most so many: 1 to 200, 50 by default", schema::limit())
            .gives(200, "A page of tokens", schema::page("tokens", view::schema())),
        Route::get("/api/v1/tokens/{id}", Access::Manage, "Shows a token's record", show)
            .gives(200, "The record", schema::object(json!({ "token": view::schema() })))
            .refuses(404, "There is none, or it is somebody else's"),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    owner: Option<String>,
    kind: Option<String>,
    status: Option<String>,
    search: Option<String>,
    organisation: Option<String>,
    unused_for_days: Option<u32>,
    expiring_in_days: Option<u32>,
    cursor: Option<String>,
    limit: Option<u32>,
}

const DAY: Duration = Duration::from_hours(24);

async fn list(
    State(app): State<App>,
    manager: Manager,
    Query(asked): Query<Asked>,
) -> Result<axum::Json<Value>, Problem> {
    let now = app.clock.now();
    let limit = limited(asked.limit)?;
    let owner = asked.owner.as_deref().map(EmailAddress::parse).transpose();
    let days = |days: u32| DAY * days.min(36_500);
    let filter = OwnTokenFilter {
        owner_id: manager.owner_id,
        owner_email: owner.map_err(|_| bad("`owner` is not an address"))?,
        kind: asked.kind.map(|word| word.parse()).transpose().map_err(|_| bad("no such `kind`"))?,
        status: asked.status.map(|word| word.parse()).transpose().map_err(|_| bad("no such `status`"))?,
        search: asked.search,
        organisation: asked.organisation,
        unused_since: asked.unused_for_days.map(|count| now.minus(days(count))),
        expiring_until: asked.expiring_in_days.map(|count| now.plus(days(count))),
        before: asked.cursor.map(|text| text.parse()).transpose().map_err(|_| bad("`cursor` is not one of ours"))?,
        // One more than asked for shows whether there is a next page.
        limit: limit + 1,
        ..OwnTokenFilter::default()
    };
    let mut tokens = app.store.own_tokens(&filter).await.map_err(|error| problem_of(error.into()))?;
    let more = tokens.len() > usize::try_from(limit).unwrap_or(usize::MAX);
    if more {
        tokens.pop();
    }
    let next = tokens.last().filter(|_| more).map(|last| last.id);
    let tokens: Vec<Value> = tokens.iter().map(|token| view::token(token, now)).collect();
    Ok(axum::Json(json!({ "tokens": tokens, "next": next })))
}

async fn show(State(app): State<App>, manager: Manager, Path(id): Path<String>) -> Result<axum::Json<Value>, Problem> {
    let token = app.mint.get(id_of(&id)?).await.map_err(problem_of)?;
    if manager.owner_id.is_some_and(|owner_id| owner_id != token.owner_id) {
        return Err(problem_of(Refused::NotFound));
    }
    Ok(axum::Json(json!({ "token": view::token(&token, app.clock.now()) })))
}

/// A text that is no id names no token.
pub(super) fn id_of(text: &str) -> Result<TokenId, Problem> {
    text.parse().map_err(|_| problem_of(Refused::NotFound))
}

fn bad(detail: &'static str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST).detail(detail)
}
