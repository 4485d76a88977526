//! What browsers had to block. On a healthy installation nothing is ever reported; a report is counted, and told in the
//! log by the directive's name alone.

use axum::body::Bytes;
use axum::http::StatusCode;
use metrics::counter;
use tracing::warn;

use crate::telemetry::metric;

const DIRECTIVES: &[&str] = &[
    "base-uri",
    "connect-src",
    "default-src",
    "font-src",
    "form-action",
    "frame-ancestors",
    "frame-src",
    "img-src",
    "media-src",
    "object-src",
    "require-trusted-types-for",
    "script-src",
    "script-src-attr",
    "script-src-elem",
    "style-src",
    "style-src-attr",
    "style-src-elem",
    "trusted-types",
    "worker-src",
];

/// Shows the count before anything is reported: a counter that is not there cannot be seen to stay at zero.
pub fn begin() {
    counter!(metric::CSP_REPORTS_TOTAL, "directive" => "other").increment(0);
}

/// `POST /dashboard/csp-report`.
pub async fn take(body: Bytes) -> StatusCode {
    let report: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let told = report["csp-report"]["effective-directive"].as_str().unwrap_or_default();
    let directive = DIRECTIVES.iter().find(|known| **known == told).copied().unwrap_or("other");
    counter!(metric::CSP_REPORTS_TOTAL, "directive" => directive).increment(1);
    warn!(directive, "a browser blocked something on a page, which `{directive}` forbids");
    StatusCode::NO_CONTENT
}
