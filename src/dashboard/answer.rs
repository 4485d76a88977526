//! Answers: a page with its policy, or a failure as a page.
//!
//! The policy allows our own files and nothing else: no inline script or style, no frame around us, no form elsewhere
//! (Content Security Policy Level 3). What a browser had to block comes to `/dashboard/csp-report`.

use askama::Template;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tracing::{error, warn};

use super::assets::{ASSETS, Assets};
use crate::store;

pub const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'; \
    require-trusted-types-for 'script'; trusted-types stanch; report-uri /dashboard/csp-report";

/// A page.
pub fn page(template: &impl Template) -> Response {
    page_with(StatusCode::OK, template)
}

pub fn page_with(status: StatusCode, template: &impl Template) -> Response {
    let html = match template.render() {
        Ok(html) => html,
        Err(failure) => {
            error!(error = &failure as &dyn std::error::Error, "a page could not be laid out");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let mut response = (status, html).into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), payment=()"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// After a change: see other (RFC 9110 section 15.4.4), so that a reload does not repeat it.
pub fn go(path: &str) -> Response {
    let location = HeaderValue::try_from(path).unwrap_or(HeaderValue::from_static("/dashboard"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{0}")]
    Bad(&'static str),
    #[error("the password was not right")]
    NotConfirmed,
    #[error("there is no such thing")]
    NotFound,
    #[error("{0}")]
    Refused(String),
    #[error("the store failed")]
    Store(#[from] store::Error),
    #[error("it cannot be done now")]
    Unavailable,
}

#[derive(Template)]
#[template(path = "failure.html", config = "src/dashboard/askama.toml")]
struct FailurePage {
    assets: &'static Assets,
    title: &'static str,
    text: String,
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, title, text) = match self {
            Self::Bad(text) => (StatusCode::BAD_REQUEST, "That cannot be read", text.to_owned()),
            Self::NotConfirmed => (
                StatusCode::FORBIDDEN,
                "Not without your password",
                "This step asks for your password, and what was typed is not it. Nothing was changed.".to_owned(),
            ),
            Self::NotFound | Self::Store(store::Error::NotFound { .. }) => {
                (StatusCode::NOT_FOUND, "Nothing here", "There is no such page, or it is gone.".to_owned())
            }
            Self::Refused(text) => (StatusCode::CONFLICT, "Not possible now", text),
            Self::Store(store::Error::Refused(refused)) => (
                StatusCode::CONFLICT,
                "It has moved on",
                format!("Somebody or something was faster: {refused}. Nothing was changed."),
            ),
            Self::Store(failure) => {
                warn!(error = &failure as &dyn std::error::Error, "a page could not be made");
                (
                    StatusCode::SERVICE_UNAVAILABLE,
                    "The database does not answer",
                    "Reports are not lost by this: reporters are told to come back. Try again in a moment.".to_owned(),
                )
            }
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "Not now", "Try again in a moment.".to_owned()),
        };
        page_with(status, &FailurePage { assets: &ASSETS, title, text })
    }
}
