//! The edge: what every request and every answer goes through, whatever the route.
//!
//! A request gets an id, an answer its security headers, a panic an answer without a word about it. The log names the
//! route, never the path: a path is text of a stranger.

use std::any::Any;
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use metrics::counter;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::{Instrument, debug, info_span};

use super::auth::Seen;
use super::{App, Problem};
use crate::id::RequestId;
use crate::telemetry::metric;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Puts the edge around the routes.
pub fn wrap(routes: Router<App>, app: &App) -> Router {
    routes
        .fallback(|| async { Problem::new(StatusCode::NOT_FOUND) })
        .method_not_allowed_fallback(|| async { Problem::new(StatusCode::METHOD_NOT_ALLOWED) })
        .layer(CatchPanicLayer::custom(|_: Box<dyn Any + Send>| {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR).into_response()
        }))
        .layer(from_fn_with_state(app.clone(), pass))
        .with_state(app.clone())
}

async fn pass(State(app): State<App>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(&request, &app);
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let method = match request.method().as_str() {
        known @ ("DELETE" | "GET" | "HEAD" | "OPTIONS" | "PATCH" | "POST" | "PUT") => known.to_owned(),
        // Any word may stand for a method (RFC 9110 section 9.1), and then it is text of a stranger.
        _ => "other".to_owned(),
    };
    let span = info_span!("request", request.id = id.to_str().unwrap_or_default());
    async {
        let mut response = next.run(request).await;
        let status = response.status().as_u16();
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let Seen { status: auth, token_id } = response.extensions_mut().remove().unwrap_or_default();
        let (auth, token) = (auth.word(), token_id.map(|id| id.to_string()));
        debug!(
            status,
            duration_ms,
            auth,
            token.id = token,
            "answered {method} {route} with {status} in {duration_ms} ms, credential: {auth}"
        );
        counter!(metric::HTTP_RESPONSES_TOTAL, "route" => route, "status" => status.to_string()).increment(1);
        protect(&mut response, id);
        response
    }
    .instrument(span)
    .await
}

/// The caller's id if it is a UUID, with or without hyphens, else one of ours. Nothing freer is taken: the id goes into
/// the log, and a careless caller could send anything, a token included.
fn request_id(request: &Request, app: &App) -> HeaderValue {
    let sent = request.headers().get(&REQUEST_ID).filter(|value| {
        let text = value.to_str().unwrap_or_default();
        matches!(text.len(), 32 | 36) && uuid::Uuid::try_parse(text).is_ok()
    });
    sent.cloned().unwrap_or_else(|| {
        let id = RequestId::generate(app.clock.now()).to_string();
        HeaderValue::try_from(id).unwrap_or(HeaderValue::from_static("none"))
    })
}

fn protect(response: &mut Response, id: HeaderValue) {
    const POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    let defaults = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let headers = response.headers_mut();
    for (name, value) in defaults {
        // A route that knows better, as a page does, has said so already.
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    headers.insert(REQUEST_ID, id);
}
