//! Problems: how a refusal is told (RFC 9457).
//!
//! The text is fixed by the kind of refusal, so that two refusals of one kind cannot be told apart. Nothing a caller
//! sent comes back.

use std::borrow::Cow;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// A refusal as it goes over the wire.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    detail: Option<Cow<'static, str>>,
    retry_after: Option<Duration>,
}

impl Problem {
    pub fn new(status: StatusCode) -> Self {
        Self { status, detail: None, retry_after: None }
    }

    /// One sentence that helps the caller. Fixed text: never anything that was sent.
    pub fn detail(mut self, detail: &'static str) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// As [`detail`](Self::detail), for a sentence that was put together: of words of ours, and of what the caller may
    /// know of its own request.
    pub fn told(mut self, detail: String) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub fn retry_after(mut self, span: Duration) -> Self {
        self.retry_after = Some(span);
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
        });
        if let Some(detail) = self.detail {
            body["detail"] = detail.into_owned().into();
        }
        let mut response = (self.status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(span) = self.retry_after {
            // Rounded up: earlier would be too early.
            let seconds = span.as_secs() + u64::from(span.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response
    }
}
