//! What a visitor sees first: what runs here, whether it asks for credentials, and whether a key is one.
//!
//! `GET /auth/key` is for a proxy in front of another service (`auth_request` of nginx, `ForwardAuth` of Traefik): with
//! it a service needs nothing of its own to take API keys.

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::auth::{Authentication, Caller};
use super::{Access, App, Route, schema};

pub fn routes() -> [Route; 4] {
    let text = schema::text;
    let about = schema::object(json!({ "name": text(), "version": text(), "docs": text(), "openapi": text(),
        "authentication": schema::word(&["enabled", "disabled"]) }));
    [
        Route::get("/", Access::Public, "What runs here", index).gives(200, "Names and places", about),
        Route::get("/health", Access::Public, "Whether the process answers", health).gives(
            200,
            "It does",
            schema::object(json!({ "status": text(), "service": text() })),
        ),
        Route::get(
            "/auth/key",
            Access::ApiKey,
            "Whether an API key is accepted, for a proxy in front of a service",
            key,
        )
        .answers(204, "It is; `X-Stanch-Token`, `X-Stanch-Owner` and `X-Stanch-Scopes` say whose"),
        Route::get("/auth/optional-key", Access::OptionalKey, "Whose an API key is, if it is anybody's", key)
            .answers(204, "Always; the headers are there if the key is accepted"),
    ]
}

async fn index(State(app): State<App>) -> axum::Json<Value> {
    let authentication = match app.settings().authentication {
        Authentication::Disabled => "disabled",
        Authentication::Required => "enabled",
    };
    axum::Json(json!({
        "name": "stanch",
        "version": env!("CARGO_PKG_VERSION"),
        "docs": "/docs",
        "openapi": "/openapi.json",
        "authentication": authentication,
    }))
}

async fn health() -> axum::Json<Value> {
    axum::Json(json!({ "status": "healthy", "service": "stanch" }))
}

async fn key(caller: Option<Caller>) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let Some(caller) = caller else { return response };
    let token = caller.token();
    let headers = [
        ("x-stanch-token", token.id.to_string()),
        ("x-stanch-owner", token.owner_id.to_string()),
        ("x-stanch-scopes", token.scopes.join(" ")),
    ];
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}
