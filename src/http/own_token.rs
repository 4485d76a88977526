//! `GET /api/v1/self`: what the token that was shown is, to whoever holds it.
//!
//! The smallest route that a token opens, so that its owner can see whether it lives. It names the token and its scopes,
//! never an address: whoever found the token can ask as well.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tracing::warn;

use super::{App, Problem};
use crate::mint::Refusal;

/// Answers for the token in `Authorization`.
pub async fn show(State(app): State<App>, headers: HeaderMap) -> Response {
    let shown = headers.get(header::AUTHORIZATION).map_or(&[][..], HeaderValue::as_bytes);
    match app.authenticator.authenticate(shown).await {
        Ok(token) => Json(json!({
            "token": {
                "id": token.id,
                "name": token.name,
                "scopes": token.scopes,
                "created_at": token.created_at,
                "expires_at": token.expires_at,
            },
            "owner": { "id": token.owner_id, "name": token.owner_name },
        }))
        .into_response(),
        Err(Refusal::Absent) => challenged(Problem::new(StatusCode::UNAUTHORIZED), "Bearer"),
        Err(Refusal::Invalid) => {
            let problem = Problem::new(StatusCode::UNAUTHORIZED).detail("the token is not accepted");
            challenged(problem, "Bearer error=\"invalid_token\"")
        }
        Err(Refusal::Unavailable(failure)) => {
            let failure: &(dyn std::error::Error + 'static) = &failure;
            warn!(failure, "could not look up a token that was shown");
            Problem::new(StatusCode::SERVICE_UNAVAILABLE).retry_after(std::time::Duration::from_secs(5)).into_response()
        }
    }
}

/// A 401 with what it takes to do better (RFC 6750 section 3).
fn challenged(problem: Problem, challenge: &'static str) -> Response {
    let mut response = problem.into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    response
}
