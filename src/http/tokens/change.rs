//! What may happen to a token over HTTP: another name, less power, a pause, a successor, its end.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::create::shown;
use super::list::id_of;
use super::view;
use super::{problem_of, secret_answer};
use crate::clock::Timestamp;
use crate::http::auth::Manager;
use crate::http::input::{Json, Path};
use crate::http::{Access, App, Problem, Route, schema};
use crate::store::Narrowing;

pub fn routes() -> [Route; 3] {
    let words = || schema::list(schema::text());
    let change = schema::body(
        &[],
        json!({
            "name": { "type": ["string", "null"], "minLength": 1, "maxLength": 100 },
            "scopes": schema::maybe(words()),
            "projects": schema::maybe(words()),
            "organisations": schema::maybe(words()),
            "caveats": words(),
            "expires_at": schema::maybe(schema::instant()),
            "suspended": schema::maybe(schema::flag()),
        }),
    );
    let made = schema::object(json!({ "token": view::schema(), "secret": schema::text() }));
    [
        Route::patch(
            "/api/v1/tokens/{id}",
            Access::Manage,
            "Renames a token, takes power from it, sets it aside",
            narrow,
        )
        .takes(change)
        .gives(200, "The record as it is then", schema::object(json!({ "token": view::schema() })))
        .refuses(409, "The token is dead, its name is taken, or it would get more than it has"),
        Route::delete("/api/v1/tokens/{id}", Access::Manage, "Revokes a token for ever", revoke)
            .answers(204, "It is dead, now or before"),
        Route::post("/api/v1/tokens/{id}/rotate", Access::Manage, "Puts a new token in the place of one", rotated)
            .once()
            .takes(Rotate::schema())
            .gives(201, "The successor and its secret", made)
            .refuses(409, "It is dead, or was rotated before"),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    name: Option<String>,
    scopes: Option<Vec<String>>,
    projects: Option<Vec<String>>,
    organisations: Option<Vec<String>>,
    #[serde(default)]
    caveats: Vec<String>,
    expires_at: Option<String>,
    suspended: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rotate {
    overlap_seconds: Option<u32>,
}

impl Rotate {
    /// How it is sent.
    pub fn schema() -> Value {
        let overlap = json!({ "type": ["integer", "null"], "minimum": 0, "default": 86_400 });
        schema::body(&[], json!({ "overlap_seconds": overlap }))
    }

    /// How long the old token lives on: a day if nobody says so, a month at most.
    pub fn overlap(&self) -> Duration {
        Duration::from_secs(self.overlap_seconds.unwrap_or(86_400).min(30 * 86_400).into())
    }
}

async fn narrow(
    State(app): State<App>,
    manager: Manager,
    Path(id): Path<String>,
    Json(change): Json<Change>,
) -> Result<axum::Json<Value>, Problem> {
    let id = id_of(&id)?;
    let expires_at = change.expires_at.map(|text| {
        let detail = "a time is written as RFC 3339 has it";
        Timestamp::parse(&text).ok_or(Problem::new(StatusCode::BAD_REQUEST).detail(detail))
    });
    let narrowing = Narrowing {
        name: change.name.map(|name| name.trim().to_owned()),
        scopes: change.scopes,
        projects: change.projects,
        organisations: change.organisations,
        caveats: change.caveats,
        expires_at: expires_at.transpose()?,
    };
    if let Some(suspended) = change.suspended {
        app.mint.suspend(id, suspended, &manager.by).await.map_err(problem_of)?;
    }
    let token = app.mint.narrow(id, narrowing, &manager.by).await.map_err(problem_of)?;
    Ok(axum::Json(json!({ "token": view::token(&token, app.clock.now()) })))
}

async fn revoke(State(app): State<App>, manager: Manager, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    app.mint.revoke(id_of(&id)?, "revoked over the API", &manager.by).await.map_err(problem_of)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn rotated(
    State(app): State<App>,
    manager: Manager,
    Path(id): Path<String>,
    Json(rotate): Json<Rotate>,
) -> Result<Response, Problem> {
    app.limits.creation(&manager)?;
    let issued = app.mint.rotate(id_of(&id)?, rotate.overlap(), &manager.by).await.map_err(problem_of)?;
    Ok(secret_answer(StatusCode::CREATED, &shown(&issued, app.clock.now())))
}
