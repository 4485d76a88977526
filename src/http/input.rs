//! Input: JSON bodies, forms and queries, read into what a handler asks for, or refused as a problem.
//!
//! What could not be read is never quoted: it may be a token in the wrong place.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::{App, Problem};

/// A JSON object, read strictly: a key that nobody knows is refused.
pub struct Json<T>(pub T);

/// A form (`application/x-www-form-urlencoded`).
pub struct Form<T>(pub T);

/// The query.
pub struct Query<T>(pub T);

/// What stands in the place of a path's parameter. What is no text names nothing.
pub struct Path<T>(pub T);

/// The whole body, of any kind, wiped when it is dropped.
pub struct Whole(pub Zeroizing<Vec<u8>>);

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE).detail("send application/json"));
        }
        let Whole(body) = Whole::from_request(request, app).await?;
        let read = serde_json::from_slice(&body).map(Self);
        read.map_err(|error| {
            let place =
                format!("the body is not the JSON this route takes (line {}, column {})", error.line(), error.column());
            Problem::new(StatusCode::BAD_REQUEST).told(place)
        })
    }
}

impl<T: DeserializeOwned> FromRequest<App> for Form<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        if essence(request.headers()) != "application/x-www-form-urlencoded" {
            let detail = "send application/x-www-form-urlencoded";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE).detail(detail));
        }
        let Whole(body) = Whole::from_request(request, app).await?;
        let text = str::from_utf8(&body).unwrap_or("%");
        let refused = Problem::new(StatusCode::BAD_REQUEST).detail("the form lacks a field, or has one twice");
        let uri = axum::http::Uri::try_from(format!("/?{text}")).map_err(|_| refused.clone())?;
        let query = axum::extract::Query::try_from_uri(&uri).map_err(|_| refused)?;
        Ok(Self(query.0))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = axum::extract::Query::try_from_uri(&parts.uri);
        let detail = "a parameter of the query is not known here, or cannot be read";
        query.map(|query| Self(query.0)).map_err(|_| Problem::new(StatusCode::BAD_REQUEST).detail(detail))
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = axum::extract::Path::from_request_parts(parts, state).await;
        path.map(|path| Self(path.0)).map_err(|_| Problem::new(StatusCode::NOT_FOUND))
    }
}

impl FromRequest<App> for Whole {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let mut encodings = parts.headers.get_all(header::CONTENT_ENCODING).iter();
        if encodings.any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE).detail("send the body uncompressed"));
        }
        match app.budget.read(&parts.headers, body).await {
            Ok(read) => Ok(Self(read.bytes)),
            Err(no_body) => Err(no_body.problem()),
        }
    }
}

/// How many entries a page has: as many as were asked for, 50 by default.
///
/// # Errors
/// When it is none, or more than a page holds.
pub fn limited(limit: Option<u32>) -> Result<u32, Problem> {
    let limit = limit.unwrap_or(50);
    let fits = (1..=200).contains(&limit);
    if fits { Ok(limit) } else { Err(Problem::new(StatusCode::BAD_REQUEST).detail("`limit` is 1 to 200")) }
}

fn is_json(headers: &HeaderMap) -> bool {
    let essence = essence(headers);
    let json = matches!(essence.as_str(), "application/json" | "text/json");
    json || essence.is_empty() || (essence.starts_with("application/") && essence.ends_with("+json"))
}

fn essence(headers: &HeaderMap) -> String {
    let text = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}
