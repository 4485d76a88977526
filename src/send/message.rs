//! One HTTP request as the sender means it, byte by byte.

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};

/// The names of the two headers an origin signs with. Each origin agrees its own pair with the receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderNames {
    pub key_id: HeaderName,
    pub signature: HeaderName,
}

impl HeaderNames {
    pub const GITHUB: Self = Self {
        key_id: HeaderName::from_static("github-public-key-identifier"),
        signature: HeaderName::from_static("github-public-key-signature"),
    };
    pub const GITLAB: Self = Self {
        key_id: HeaderName::from_static("gitlab-public-key-identifier"),
        signature: HeaderName::from_static("gitlab-public-key-signature"),
    };
}

/// Whether the request says its length beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// `Transfer-Encoding: chunked`: the receiver has to count for itself.
    Chunked,
    /// `Content-Length`.
    Length,
}

/// A request ready to be posted. It carries tokens, so it has no `Debug`.
#[derive(Clone)]
pub struct Message {
    pub method: Method,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub framing: Framing,
}

impl Message {
    /// A `POST` of JSON with nothing else said yet.
    pub fn post(body: Bytes) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Self { method: Method::POST, headers, body, framing: Framing::Length }
    }
}
