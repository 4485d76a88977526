//! `POST /oauth/introspect` (RFC 7662) and `POST /oauth/revoke` (RFC 7009): our tokens for resource servers that speak
//! OAuth.
//!
//! A client is one of our tokens with the scope `introspect`, shown as Bearer or as the password of Basic. Whatever is not
//! accepted, for whatever reason, is `{"active": false}` and nothing else; asking is no use of a token.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tracing::warn;

use super::auth::Caller;
use super::input::Form;
use super::tokens::problem_of;
use super::{Access, App, Problem, Route};
use crate::clock::Timestamp;
use crate::mint::{Authenticated, By, Refusal, Request};
use crate::store::OwnTokenKind;
use crate::token::Secret;

pub fn routes() -> [Route; 2] {
    const FORM: &str = "application/x-www-form-urlencoded";
    let asked = || {
        json!({ "type": "object", "required": ["token"], "properties": {
        "token": { "type": "string" }, "token_type_hint": { "type": "string" },
    } })
    };
    let told = json!({ "type": "object", "required": ["active"], "properties": { "active": { "type": "boolean" } } });
    [
        Route::post("/oauth/introspect", Access::Client, "Says whether a token is accepted (RFC 7662)", introspect)
            .takes_media(FORM, asked())
            .gives(200, "What the token is, or that it is not active", told),
        Route::post("/oauth/revoke", Access::Holder, "Revokes a token by showing it (RFC 7009)", revoke)
            .takes_media(FORM, asked())
            .answers(200, "It is not accepted any more, or never was"),
    ]
}

#[derive(Deserialize)]
struct Shown {
    token: String,
    // Tokens tell by themselves what they are.
    #[serde(rename = "token_type_hint")]
    _hint: Option<String>,
}

async fn introspect(
    State(app): State<App>,
    _client: Option<Caller>,
    Form(shown): Form<Shown>,
) -> Result<Response, Problem> {
    let secret = Secret::new(shown.token.into_bytes());
    // Restrictions that speak of a project or a route cannot be judged here; the resource server must know them.
    match app.authenticator.inspect(&secret, &Request::default()).await {
        Ok(token) => Ok(axum::Json(about(&token)).into_response()),
        Err(Refusal::Absent | Refusal::Invalid(_)) => Ok(axum::Json(json!({ "active": false })).into_response()),
        Err(Refusal::Unavailable(failure)) => Err(unavailable(&failure)),
    }
}

fn about(token: &Authenticated) -> Value {
    let seconds = |at: Timestamp| at.as_millis().div_euclid(1_000);
    let record = token.token();
    let mut about = json!({
        "active": true,
        "scope": record.scopes.join(" "),
        "client_id": record.owner_id,
        "username": record.owner_name,
        "sub": record.owner_id,
        "token_type": match record.kind {
            OwnTokenKind::Key => "ApiKey",
            OwnTokenKind::Macaroon | OwnTokenKind::Magic | OwnTokenKind::Pat => "Bearer",
        },
        "iat": seconds(record.created_at),
        "jti": record.id,
        "iss": "stanch",
        "kind": record.kind.word(),
        "projects": record.projects,
        "organisations": record.organisations,
    });
    for (name, at) in [("exp", record.expires_at), ("nbf", record.not_before)] {
        if let Some(at) = at {
            about[name] = seconds(at).into();
        }
    }
    about
}

/// Whoever holds a token may end it: holding it is the proof. So an unknown token and a dead one look alike.
async fn revoke(State(app): State<App>, Form(shown): Form<Shown>) -> Result<Response, Problem> {
    let secret = Secret::new(shown.token.into_bytes());
    match app.authenticator.inspect(&secret, &Request::default()).await {
        Ok(token) => {
            let (id, by) = (token.token().id, By::Token(Box::new(token.clone())));
            let point = token.point().filter(|_| token.is_attenuated());
            let reason = "revoked by its bearer (RFC 7009)";
            match point {
                Some(point) => app.mint.revoke_branch(id, point, reason, &by).await.map_err(problem_of)?,
                None => app.mint.revoke(id, reason, &by).await.map_err(problem_of)?,
            };
            Ok(StatusCode::OK.into_response())
        }
        // A restriction that does not hold here does not make the token less its bearer's.
        Err(Refusal::Invalid(reason)) if reason.is_about_the_request() => Err(Problem::new(StatusCode::BAD_REQUEST)
            .detail("a restricted token is revoked with its parent, or reported at /credentials/revoke")),
        Err(Refusal::Absent | Refusal::Invalid(_)) => Ok(StatusCode::OK.into_response()),
        Err(Refusal::Unavailable(failure)) => Err(unavailable(&failure)),
    }
}

fn unavailable(failure: &crate::store::Error) -> Problem {
    let failure: &(dyn std::error::Error + 'static) = failure;
    warn!(failure, "could not look up a token that was shown");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE).retry_after(std::time::Duration::from_secs(5))
}
