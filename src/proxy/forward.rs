//! One request through the proxy.
//!
//! The order is the safety: one reading of the path, then the policy, then the credential, then the upstream; nothing of
//! the credential on the way back. What was granted is stored before the answer that says so goes out.

use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hyper::body::{Body as _, Bytes};
use hyper::{Response, StatusCode};
use reqwest::Method;
use reqwest::header::{self, HeaderMap, HeaderValue};
use serde_json::Value;
use tracing::warn;

use super::echo::Forbidden;
use super::grant::Granted;
use super::headers::{Bases, from_upstream, to_upstream};
use super::path::{Ambiguous, Canonical};
use super::stream::Sifted;
use super::upstream::{Policy, Upstream};
use crate::address::NotPublic;
use crate::clock::Clock;
use crate::id::TokenId;
use crate::store::{self, Grant, Store};
use crate::token::Secret;

/// What a magic token stands for.
pub struct Pass {
    pub token_id: TokenId,
    pub policy: Policy,
    /// The upstream's own credential.
    pub credential: Secret,
}

/// A request as it came to the proxy.
pub struct Asked {
    pub method: Method,
    /// Where the upstream is mounted, without a slash at the end: what leads to the upstream is rewritten to lead here.
    pub here: String,
    /// Undecoded, below the place where the upstream is mounted.
    pub path: String,
    pub query: Option<String>,
    pub headers: HeaderMap,
    /// None if the request has no body.
    pub body: Option<reqwest::Body>,
    /// Becomes true when the body turns out to be larger than it may be.
    pub too_large: Arc<AtomicBool>,
}

/// A body of an answer.
pub type Given = Sifted<reqwest::Body>;

/// Why a request did not come back with the upstream's answer.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error(transparent)]
    Ambiguous(#[from] Ambiguous),
    #[error("the token does not allow this request")]
    Denied,
    #[error("the answer is encoded, so that it cannot be searched for the credential")]
    Encoded,
    #[error("the answer holds the credential")]
    Echo,
    #[error("the upstream's credential cannot stand in a header")]
    Misfit,
    #[error("the upstream's host has no public address")]
    NotPublic,
    #[error("what the answer grants could not be stored")]
    NotStored(#[source] store::Error),
    #[error("the upstream did not answer in time")]
    Slow,
    #[error("the body is larger than it may be")]
    TooLarge,
    #[error("what was granted cannot be looked up now")]
    Unavailable(#[source] store::Error),
    #[error("the upstream cannot be reached")]
    Unreachable,
}

/// Answers that may grant something are read whole, up to this many bytes.
const MAX_GRANTING: usize = 1_024 * 1_024;

/// What every answer says about us; the system this comes from calls it so.
const MARK: &str = "x-magic-api-proxy";

/// Sends a request on, if the policy or a grant opens it.
///
/// # Errors
/// Says what the client is to be told; nothing of what was sent stands in it.
pub async fn forward(
    upstream: &Upstream,
    pass: &Pass,
    asked: Asked,
    store: &Store,
    clock: &Clock,
) -> Result<Answer, Refused> {
    let path = Canonical::parse(&asked.path)?;
    let method = asked.method.clone();
    let grant = if upstream.allows(&pass.policy, method.as_str(), &path) {
        None
    } else {
        Some(granted(pass, upstream, method.as_str(), &path, store, clock).await?)
    };
    let url = upstream.address(&path, asked.query.as_deref()).ok_or(Ambiguous::Encoding)?;
    let (value, text) = upstream.credential.value(pass.credential.expose()).ok_or(Refused::Misfit)?;
    let forbidden = Forbidden::new(pass.credential.expose(), &text).map(Arc::new);

    let mut request = reqwest::Request::new(method.clone(), url.clone());
    let mut headers = to_upstream(&asked.headers, &upstream.strip_headers);
    if asked.body.is_none() {
        headers.remove(header::CONTENT_LENGTH);
    }
    headers.insert(upstream.credential.header.clone(), value);
    *request.headers_mut() = headers;
    *request.body_mut() = asked.body;
    let answer = tokio::time::timeout(upstream.limits.answer_timeout, upstream.client.execute(request)).await;
    let answer = match answer {
        Err(_) => return Err(Refused::Slow),
        Ok(Err(_)) if asked.too_large.load(Ordering::SeqCst) => return Err(Refused::TooLarge),
        Ok(Err(error)) => return Err(no_answer(&error)),
        Ok(Ok(answer)) => answer,
    };
    let (parts, body) = Response::<reqwest::Body>::from(answer).into_parts();
    if let Some(grant) = grant.filter(|_| parts.status.is_success() && method != Method::HEAD) {
        // Done once is done; that the note of it is lost only leaves the grant to its time.
        if let Err(error) = store.use_grant(&grant).await {
            let failure: &(dyn std::error::Error + 'static) = &error;
            warn!(failure, token.id = %pass.token_id, "a used grant of token {} was not taken back", pass.token_id);
        }
    }
    let encodings = parts.headers.get_all(header::CONTENT_ENCODING);
    let plain = |value: &HeaderValue| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity");
    if forbidden.is_some() && !encodings.iter().all(plain) {
        return Err(Refused::Encoded);
    }
    let holds = |bytes: &[u8]| forbidden.as_ref().is_some_and(|forbidden| forbidden.is_in(bytes));
    if parts.headers.values().any(|value| holds(value.as_bytes())) {
        return Err(Refused::Echo);
    }
    let mut headers = from_upstream(&parts.headers);
    Bases { root: &upstream.root, asked: &url, here: &asked.here }.rewrite(&mut headers);
    headers.insert(MARK, HeaderValue::from_static(concat!("stanch/", env!("CARGO_PKG_VERSION"))));

    let status = parts.status;
    let rules: Vec<_> = upstream.grant_rules(&pass.policy).collect();
    let granting: Vec<_> =
        rules.into_iter().filter(|rule| rule.concerns(method.as_str(), &path, status.as_u16())).collect();
    if granting.is_empty() {
        let sifted = Sifted::new(body, forbidden, upstream.limits.max_answer_bytes, upstream.name.clone());
        return Ok(Answer { status, headers, body: AnswerBody::Streamed(sifted) });
    }
    let bytes = read(body).await?;
    if holds(&bytes) {
        return Err(Refused::Echo);
    }
    if let Ok(json) = serde_json::from_slice::<Value>(&bytes) {
        for rule in granting {
            let Some(Granted { method, path }) = rule.grants(method.as_str(), &path, &json) else { continue };
            let grant = Grant {
                token_id: pass.token_id,
                upstream: upstream.name.clone(),
                method,
                path: path.encoded(),
                expires_at: clock.now().plus(rule.lasts),
            };
            store.grant(grant).await.map_err(Refused::NotStored)?;
        }
    }
    Ok(Answer { status, headers, body: AnswerBody::Whole(bytes) })
}

/// The upstream's answer as the client gets it.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: AnswerBody,
}

pub enum AnswerBody {
    Streamed(Given),
    Whole(Bytes),
}

async fn granted(
    pass: &Pass,
    upstream: &Upstream,
    method: &str,
    path: &Canonical,
    store: &Store,
    clock: &Clock,
) -> Result<Grant, Refused> {
    let wanted = Grant {
        token_id: pass.token_id,
        upstream: upstream.name.clone(),
        method: method.to_owned(),
        path: path.encoded(),
        expires_at: clock.now(),
    };
    let holds = store.holds_grant(&wanted).await.map_err(Refused::Unavailable)?;
    if holds { Ok(wanted) } else { Err(Refused::Denied) }
}

async fn read(mut body: reqwest::Body) -> Result<Bytes, Refused> {
    let mut bytes = Vec::new();
    loop {
        let frame = std::future::poll_fn(|context| std::pin::Pin::new(&mut body).poll_frame(context)).await;
        let Some(frame) = frame else { return Ok(bytes.into()) };
        let Ok(data) = frame.map_err(|_| Refused::Unreachable)?.into_data() else { continue };
        if bytes.len() + data.len() > MAX_GRANTING {
            return Err(Refused::TooLarge);
        }
        bytes.extend_from_slice(&data);
    }
}

/// Why there is no answer. Never the error's own text: it names the address.
fn no_answer(error: &reqwest::Error) -> Refused {
    let mut cause = error.source();
    while let Some(error) = cause {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if error.is::<NotPublic>() || inner.is_some_and(<dyn std::error::Error + Send + Sync>::is::<NotPublic>) {
            return Refused::NotPublic;
        }
        cause = error.source();
    }
    if error.is_timeout() { Refused::Slow } else { Refused::Unreachable }
}
