//! Refusals: why a request is not let through, and how it is told.
//!
//! A Bearer token is refused in the words of RFC 6750 section 3, an API key in those of the services that use
//! `X-API-Key`: 401 and `WWW-Authenticate: ApiKey` if it is missing, 403 if it is wrong. Why a credential is not
//! accepted is never told: expired, revoked and never issued look alike.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::Scheme;
use crate::http::Problem;
use crate::http::route::Access;

/// Why a request does not reach its handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The browser says that another site made it send this.
    CrossSite,
    /// The credential is good, and not for this.
    Forbidden {
        scope: &'static str,
    },
    Invalid(Scheme),
    Missing,
    /// The credential is good, and its own restrictions keep it from this.
    Restricted,
    /// Nobody has shown that this was meant: the token of our own form is missing.
    NotMeant,
    Throttled {
        retry_after: Duration,
    },
    /// We could not look it up. Not the caller's fault, and no statement about the credential.
    Unavailable,
    /// Two different credentials.
    Unclear,
    /// A good token of a kind that is not for this.
    WrongKind,
}

impl Refused {
    /// The answer, as the route's access has it told.
    pub fn response(self, access: Access) -> Response {
        let problem = |status, detail| Problem::new(status).detail(detail);
        match self {
            Self::CrossSite => {
                problem(StatusCode::FORBIDDEN, "a request that another site caused is not taken").into_response()
            }
            Self::Forbidden { scope } => {
                let refused = problem(StatusCode::FORBIDDEN, "the credential does not allow this").into_response();
                challenged(refused, &format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\""))
            }
            Self::Restricted | Self::WrongKind => {
                let refused = problem(StatusCode::FORBIDDEN, "the credential does not allow this").into_response();
                challenged(refused, "Bearer error=\"insufficient_scope\"")
            }
            // These bodies are part of the contract of `X-API-Key`, to the letter.
            Self::Invalid(Scheme::ApiKey) => {
                (StatusCode::FORBIDDEN, Json(json!({ "detail": "Invalid API key" }))).into_response()
            }
            Self::Missing if access == Access::ApiKey => {
                let body = json!({ "detail": "Missing API key. Provide X-API-Key header." });
                challenged((StatusCode::UNAUTHORIZED, Json(body)).into_response(), "ApiKey")
            }
            // RFC 6749 section 5.2: a client is challenged with the way in which it can do better.
            Self::Invalid(Scheme::Basic | Scheme::Form) if access == Access::Client => challenged(
                (StatusCode::UNAUTHORIZED, Json(json!({ "error": "invalid_client" }))).into_response(),
                "Basic realm=\"stanch\"",
            ),
            Self::Invalid(Scheme::Basic | Scheme::Bearer | Scheme::Form | Scheme::Token) => {
                let refused = problem(StatusCode::UNAUTHORIZED, "the token is not accepted").into_response();
                challenged(refused, "Bearer error=\"invalid_token\"")
            }
            Self::Missing => challenged(Problem::new(StatusCode::UNAUTHORIZED).into_response(), "Bearer"),
            Self::NotMeant => {
                problem(StatusCode::FORBIDDEN, "the form is out of date; load the page again").into_response()
            }
            Self::Throttled { retry_after } => {
                Problem::new(StatusCode::TOO_MANY_REQUESTS).retry_after(retry_after).into_response()
            }
            Self::Unavailable => {
                Problem::new(StatusCode::SERVICE_UNAVAILABLE).retry_after(Duration::from_secs(5)).into_response()
            }
            Self::Unclear => {
                let refused = problem(StatusCode::BAD_REQUEST, "the request shows two different credentials");
                challenged(refused.into_response(), "Bearer error=\"invalid_request\"")
            }
        }
    }
}

/// Says what it takes to do better (RFC 6750 section 3).
fn challenged(mut response: Response, challenge: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(challenge) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    }
    response
}
