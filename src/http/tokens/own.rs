//! `/api/v1/tokens/self`: what whoever holds a token may do with it, and nothing else.
//!
//! A token that was rotated before and asks to be rotated again is in two hands: the successor went to one of them, and
//! nobody knows to which. So the whole line dies (as OAuth has it for refresh tokens, RFC 9700 section 4.14.2).

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};
use tracing::warn;

use super::change::Rotate;
use super::create::shown;
use super::view;
use super::{problem_of, secret_answer};
use crate::http::auth::Caller;
use crate::http::input::Json;
use crate::http::{Access, App, Problem, Route, schema};
use crate::mint::{By, Refused};
use crate::store::{OwnTokenFilter, OwnTokenKind};

/// Every kind may speak for itself.
const ANY: Access = Access::Token { kinds: &OwnTokenKind::ALL, scope: None };

pub fn routes() -> [Route; 4] {
    let owner = schema::object(json!({ "id": schema::text(), "name": schema::text() }));
    let given = schema::object(json!({ "token": view::schema(), "owner": owner }));
    let made = schema::object(json!({ "token": view::schema(), "secret": schema::text() }));
    [
        Route::get("/api/v1/self", ANY, "What the token that is shown is", show).gives(200, "The token", given.clone()),
        Route::get("/api/v1/tokens/self", ANY, "What the token that is shown is", show).gives(200, "The token", given),
        Route::delete("/api/v1/tokens/self", ANY, "Revokes the token that is shown", revoke).answers(204, "It is dead"),
        Route::post(
            "/api/v1/tokens/self/rotate",
            ANY,
            "Puts a new token in the place of the one that is shown",
            rotate,
        )
        .once()
        .takes(Rotate::schema())
        .gives(201, "The successor and its secret", made)
        .refuses(409, "It was rotated before: the whole line of its successors is revoked"),
    ]
}

async fn show(State(app): State<App>, caller: Caller) -> axum::Json<Value> {
    let token = caller.token();
    let owner = json!({ "id": token.owner_id, "name": token.owner_name });
    axum::Json(json!({ "token": view::about(token, app.clock.now()), "owner": owner }))
}

/// A narrowed macaroon ends itself alone: its parent belongs to somebody with more power.
async fn revoke(State(app): State<App>, caller: Caller) -> Result<StatusCode, Problem> {
    let (id, by) = (caller.token().id, By::Token(Box::new(caller.shown.clone())));
    let reason = "revoked by its bearer";
    match caller.shown.point().filter(|_| caller.shown.is_attenuated()) {
        Some(point) => app.mint.revoke_branch(id, point, reason, &by).await.map_err(problem_of)?,
        None => app.mint.revoke(id, reason, &by).await.map_err(problem_of)?,
    };
    Ok(StatusCode::NO_CONTENT)
}

async fn rotate(State(app): State<App>, caller: Caller, Json(rotate): Json<Rotate>) -> Result<Response, Problem> {
    let token = caller.token();
    if caller.shown.is_attenuated() {
        let detail = "a narrowed copy cannot be rotated: that would free it";
        return Err(Problem::new(StatusCode::FORBIDDEN).detail(detail));
    }
    let by = By::Token(Box::new(caller.shown.clone()));
    match app.mint.rotate(token.id, rotate.overlap(), &by).await {
        Ok(issued) => Ok(secret_answer(StatusCode::CREATED, &shown(&issued, app.clock.now()))),
        Err(Refused::RotatedBefore(successor)) => {
            let family = token.family_id.unwrap_or(token.id);
            warn!(token.id = %token.id, "token {} was to be rotated twice; its line is revoked", token.id);
            let filter = OwnTokenFilter { family_id: Some(family), ..OwnTokenFilter::default() };
            let line = app.store.own_tokens(&filter).await.map_err(|error| problem_of(error.into()))?;
            let system = By::Operator("rotation".into());
            for each in line.iter().filter(|each| each.revoked_at.is_none()) {
                app.mint.revoke(each.id, "a token of its line was rotated twice", &system).await.map_err(problem_of)?;
            }
            Err(problem_of(Refused::RotatedBefore(successor)))
        }
        Err(refused) => Err(problem_of(refused)),
    }
}
