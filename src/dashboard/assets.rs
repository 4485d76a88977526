//! The files that pages load: one style sheet, one script, one icon. Their names carry their hash, so that a browser
//! keeps them for ever and a new version is loaded at once.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};

/// Where the files are, for templates.
pub struct Assets {
    pub css: String,
    pub js: String,
    pub icon: String,
}

const FILES: [(&str, &str, &str); 3] = [
    ("css", "text/css; charset=utf-8", include_str!("assets/stanch.css")),
    ("js", "text/javascript; charset=utf-8", include_str!("assets/stanch.js")),
    ("svg", "image/svg+xml", include_str!("assets/icon.svg")),
];

pub static ASSETS: LazyLock<Assets> = LazyLock::new(|| {
    let path = |index: usize| format!("/dashboard/assets/{}", name(index));
    Assets { css: path(0), js: path(1), icon: path(2) }
});

fn name(index: usize) -> String {
    let (extension, _, text) = FILES[index];
    let digest = Sha256::digest(text);
    let hash = u64::from_be_bytes(std::array::from_fn(|place| digest[place]));
    format!("stanch-{hash:016x}.{extension}")
}

/// `GET /dashboard/assets/{name}`.
pub async fn show(Path(wanted): Path<String>) -> Response {
    let found = FILES.iter().enumerate().find(|(index, _)| name(*index) == wanted);
    let Some((_, (_, media, text))) = found else { return StatusCode::NOT_FOUND.into_response() };
    let headers = [(header::CONTENT_TYPE, *media), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    (headers, *text).into_response()
}
