//! `Idempotency-Key`: a change that is asked for twice happens once
//! (<https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>).
//!
//! A client that got no answer does not know whether its request was carried out. With a key of its choosing it may
//! simply send it again: what was done is answered as it was the first time, with `Idempotency-Replayed: true`. A key
//! belongs to whoever showed the credential. What was refused did nothing and is not kept, so that it may be mended and
//! sent again under the same key.

use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequest, Request, State};
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tracing::warn;

use super::auth::{By, Caller, Manager, Operator};
use super::input::Whole;
use super::{App, Problem};
use crate::mint;
use crate::store::{Begun, Error, Once, Running};
use crate::token::Secret;

pub const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// How long an answer is kept.
const KEPT_FOR: Duration = Duration::from_hours(24);
/// How long one is kept that shows a secret: long enough for a client that tries again, and no longer.
const SECRET_KEPT_FOR: Duration = Duration::from_mins(10);
/// Longest key.
const MAX_KEY: usize = 255;
/// Largest answer that is kept. What a change answers is a record or a count.
const MAX_ANSWER: usize = 256 * 1_024;

/// Marks an answer that shows a secret.
#[derive(Clone, Copy)]
struct ShowsSecret;

/// An answer that holds a secret: nobody between stores it, and for whoever asks again it is kept for a short time.
pub fn secret_answer(status: StatusCode, body: &serde_json::Value) -> Response {
    let mut response = (status, axum::Json(body)).into_response();
    response.extensions_mut().insert(ShowsSecret);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

/// Hands a request on, or answers it as before.
pub async fn pass(State(app): State<App>, request: Request, next: Next) -> Response {
    match once(&app, request, next).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn once(app: &App, request: Request, next: Next) -> Result<Response, Problem> {
    let Some(key) = key_of(request.headers())? else { return Ok(next.run(request).await) };
    // Nobody's key could be anybody's.
    let Some(asker) = asker(request.extensions()) else { return Ok(next.run(request).await) };
    let (parts, body) = request.into_parts();
    let shell = Request::from_parts(parts.clone(), body);
    let Whole(body) = Whole::from_request(shell, app).await?;
    let query = parts.uri.query().unwrap_or_default();
    let once = Once {
        key: keyed(&key, &[b"key", asker.as_bytes()]),
        request: keyed(
            &key,
            &[b"request", parts.method.as_str().as_bytes(), parts.uri.path().as_bytes(), query.as_bytes(), &body],
        ),
    };
    let running = match app.store.begin_once(once).await.map_err(|error| unavailable(&error))? {
        Begun::Started(running) => running,
        Begun::Answered { status, body } => return Ok(replayed(status, &body)),
        Begun::Forgotten => {
            let detail = "it was carried out before, and its answer is gone";
            return Err(Problem::new(StatusCode::CONFLICT).detail(detail));
        }
        Begun::Other => {
            let detail = "this `Idempotency-Key` was used for another request";
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY).detail(detail));
        }
        Begun::Running => {
            let detail = "a request with this `Idempotency-Key` is being carried out";
            return Err(Problem::new(StatusCode::CONFLICT).detail(detail).retry_after(Duration::from_secs(1)));
        }
    };
    let request = Request::from_parts(parts, Body::from(Bytes::from_owner(body)));
    let response = next.run(request).await;
    keep(app, running, response).await
}

/// Stores what was answered, before it goes out: an answer that the client has is one that can be given again.
async fn keep(app: &App, running: Running, response: Response) -> Result<Response, Problem> {
    if !response.status().is_success() {
        if let Err(error) = app.store.give_up_once(running).await {
            warn!(error = &error as &dyn std::error::Error, "the claim of a refused request ends by itself");
        }
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, MAX_ANSWER).await.map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR))?;
    let keep_for = if parts.extensions.get::<ShowsSecret>().is_some() { SECRET_KEPT_FOR } else { KEPT_FOR };
    let kept = app.store.answer_once(running, parts.status.as_u16(), Secret::new(body.to_vec()), keep_for).await;
    if let Err(error) = kept {
        // It is done: that it cannot be answered twice is no reason not to answer it once.
        warn!(error = &error as &dyn std::error::Error, "an answer was not kept for whoever asks again");
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

fn replayed(status: u16, body: &[u8]) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let mut response = (status, Body::from(body.to_vec())).into_response();
    let headers = response.headers_mut();
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if !body.is_empty() {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    response
}

/// The key as the client chose it: a string of RFC 9651 in its quotes, or the same without them.
fn key_of(headers: &HeaderMap) -> Result<Option<Vec<u8>>, Problem> {
    let mut all = headers.get_all(KEY).iter();
    let Some(value) = all.next() else { return Ok(None) };
    let text = value.as_bytes().trim_ascii();
    let text = text.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(text);
    let fine = (1..=MAX_KEY).contains(&text.len()) && text.iter().all(u8::is_ascii_graphic) && !text.contains(&b'"');
    if !fine || all.next().is_some() {
        let detail = "`Idempotency-Key` is one word of 1 to 255 visible ASCII characters";
        return Err(Problem::new(StatusCode::BAD_REQUEST).detail(detail));
    }
    Ok(Some(text.to_vec()))
}

/// Whose key it is.
fn asker(extensions: &Extensions) -> Option<String> {
    let operator = |operator: &Operator| match &operator.by {
        By::Nothing => "nobody".to_owned(),
        By::Session(session) => format!("operator:{}", session.operator_id),
        By::Token(id) => format!("token:{id}"),
    };
    if let Some(found) = extensions.get::<Operator>() {
        return Some(operator(found));
    }
    if let Some(caller) = extensions.get::<Caller>() {
        return Some(format!("token:{}", caller.token().id));
    }
    match &extensions.get::<Manager>()?.by {
        mint::By::Token(token) => Some(format!("token:{}", token.token().id)),
        mint::By::Operator(_) | mint::By::Owner(_) => None,
    }
}

/// A hash under the client's key, which is stored nowhere: what is stored tells nothing about what was asked.
fn keyed(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length (RFC 2104)");
    mac.update(b"stanch idempotency 1");
    for part in parts {
        mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn unavailable(error: &Error) -> Problem {
    warn!(error = error as &dyn std::error::Error, "could not look up a request that may have been sent before");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE).retry_after(Duration::from_secs(5))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&'static str]) -> Result<Option<Vec<u8>>, ()> {
        let pair = |value: &&'static str| (KEY, HeaderValue::from_static(value));
        key_of(&values.iter().map(pair).collect()).map_err(drop)
    }

    #[test]
    fn a_key_is_a_word_with_or_without_quotes() {
        assert_eq!(read(&[]), Ok(None));
        for value in ["8e03978e-40d5", "\"8e03978e-40d5\"", "  8e03978e-40d5 "] {
            assert_eq!(read(&[value]), Ok(Some(b"8e03978e-40d5".to_vec())), "{value}");
        }
        for values in [&[""][..], &["\"\""], &["a b"], &["a\"b"], &["a", "a"]] {
            assert_eq!(read(values), Err(()), "{values:?}");
        }
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(keyed(b"k", &[b"a", b"bc"]), keyed(b"k", &[b"ab", b"c"]));
        assert_ne!(keyed(b"k", &[b"a"]), keyed(b"l", &[b"a"]));
    }
}
