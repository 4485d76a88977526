//! One call to an issuer, with everything that can go wrong named by what it means for the token: nothing.
//!
//! Whatever is no answer ends as [`Unknown`]. Its text is one of ours: an error of the HTTP client may carry an address
//! with a token in it. The answer's time and size are capped, redirects are answers like any other.

use std::error::Error;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, StatusCode, Url, redirect};
use zeroize::Zeroizing;

use super::retry_after;
use super::settings::{Credential, Limits, Reach};
use super::{SettingsError, bad};
use crate::address::{self, NotPublic, PublicOnly};
use crate::clock::Clock;
use crate::incident::Unknown;

/// How long an issuer is left alone that says "too many requests" and not for how long.
const DEFAULT_PAUSE: Duration = Duration::from_secs(10);

const NO_TRUST: &str = "are needed: this machine has none that are trusted, or those that are named cannot be used";

pub(super) struct Client {
    http: reqwest::Client,
    max_answer_bytes: usize,
    clock: Clock,
}

/// An answer that was heard to its end. What it means is for the reader of its operation to say.
pub(super) struct Answer {
    pub status: u16,
    pub media: Media,
    pub body: Zeroizing<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    Html,
    Json,
    Other,
}

impl Client {
    pub fn new(
        base: &Url,
        credential: &Credential,
        limits: Limits,
        reach: &Reach,
        clock: Clock,
    ) -> Result<Self, SettingsError> {
        if !reach.allow_private && !address::literal_is_public(base) {
            return Err(bad("base_url", "is not a public address; `allow_private = true` permits it"));
        }
        // The client panics without a process-wide provider; whoever installs one first wins, and all are ring.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("stanch/", env!("CARGO_PKG_VERSION")))
            .default_headers(credential_headers(credential)?)
            .redirect(redirect::Policy::none())
            .referer(false)
            // A proxy would resolve the name for us, behind the check of addresses.
            .no_proxy()
            .https_only(!reach.allow_http)
            .connect_timeout(limits.connect_timeout)
            .timeout(limits.timeout);
        if !reach.allow_private {
            builder = builder.dns_resolver(PublicOnly);
        }
        if let Some(pem) = &reach.certificates {
            let certificates = Certificate::from_pem_bundle(pem)
                .map_err(|_| bad("certificates", "holds something that is not a certificate in PEM"))?;
            builder = builder.tls_certs_merge(certificates);
        }
        if base.scheme() == "http" {
            // No TLS is spoken, so a machine without trusted certificates need not be refused.
            builder = builder.tls_certs_only([]);
        }
        let http = builder.build().map_err(|_| bad("certificates", NO_TRUST))?;
        Ok(Self { http, max_answer_bytes: limits.max_answer_bytes, clock })
    }

    pub async fn ask(&self, request: reqwest::Request) -> Result<Answer, Unknown> {
        let mut response = self.http.execute(request).await.map_err(|error| no_answer(&error))?;
        let status = response.status();
        if let Some(unknown) = self.not_now(status, response.headers()) {
            return Err(unknown);
        }
        let media = media_of(response.headers());
        let mut body = Zeroizing::new(Vec::new());
        while let Some(chunk) = response.chunk().await.map_err(|error| no_answer(&error))? {
            if body.len() + chunk.len() > self.max_answer_bytes {
                return Err(unavailable("the answer is longer than any answer should be"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status: status.as_u16(), media, body })
    }

    /// The statuses that no declaration can turn into an answer.
    fn not_now(&self, status: StatusCode, headers: &HeaderMap) -> Option<Unknown> {
        let pause = headers.get(RETRY_AFTER).and_then(|value| retry_after::parse(value.as_bytes(), self.clock.now()));
        match (status.as_u16(), pause) {
            (429, pause) => Some(Unknown::Throttled {
                why: "the issuer asks us to slow down (429)".into(),
                retry_after: pause.unwrap_or(DEFAULT_PAUSE),
            }),
            (503, Some(pause)) => Some(Unknown::Throttled {
                why: "the issuer asks us to come back later (503)".into(),
                retry_after: pause,
            }),
            (code @ 500..=599, _) => Some(unavailable(&format!("the issuer failed ({code})"))),
            (code @ 300..=399, _) => {
                Some(unavailable(&format!("the issuer redirects ({code}), which is not followed")))
            }
            _ => None,
        }
    }
}

impl Answer {
    pub fn json(&self) -> Result<serde_json::Value, Unknown> {
        if self.media != Media::Json {
            return Err(unavailable("the answer is not JSON"));
        }
        // The parser's own message may quote the answer, and the answer may quote the token.
        serde_json::from_slice(&self.body).map_err(|_| unavailable("the answer is not well-formed JSON"))
    }

    /// A status that is listed nowhere.
    pub fn unexpected(&self) -> Unknown {
        let why = format!("the status {} is not one that was declared", self.status);
        match self.status {
            // Not 408 and 425: too slow or too early is a matter of the moment, not of the question.
            400..=407 | 409..=424 | 426..=499 => Unknown::Undeclared { why },
            _ => Unknown::Unavailable { why },
        }
    }

    pub fn refuses_us(&self) -> Unknown {
        Unknown::Misconfigured { why: format!("the issuer refuses our credential ({})", self.status) }
    }
}

pub(super) fn unavailable(why: &str) -> Unknown {
    Unknown::Unavailable { why: why.to_owned() }
}

fn credential_headers(credential: &Credential) -> Result<HeaderMap, SettingsError> {
    let (name, value) = match credential {
        Credential::Basic { username, password } => {
            let mut pair = Zeroizing::new(Vec::from(username.as_bytes()));
            pair.push(b':');
            pair.extend_from_slice(password.expose());
            (reqwest::header::AUTHORIZATION, authorization("Basic ", base64_of(&pair).as_bytes()))
        }
        Credential::Bearer(secret) => (reqwest::header::AUTHORIZATION, authorization("Bearer ", secret.expose())),
        Credential::Header { name, value } => {
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| bad("credential", "names a header that cannot exist"))?;
            (name, Zeroizing::new(value.expose().to_vec()))
        }
        Credential::None => return Ok(HeaderMap::new()),
    };
    let mut value =
        HeaderValue::from_bytes(&value).map_err(|_| bad("credential", "holds a byte that cannot stand in a header"))?;
    value.set_sensitive(true);
    Ok(HeaderMap::from_iter([(name, value)]))
}

fn authorization(scheme: &str, credential: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([scheme.as_bytes(), credential].concat())
}

fn base64_of(bytes: &[u8]) -> Zeroizing<String> {
    use base64::Engine as _;
    Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(bytes))
}

fn media_of(headers: &HeaderMap) -> Media {
    let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/json" => Media::Json,
        "text/html" | "application/xhtml+xml" => Media::Html,
        other if other.ends_with("+json") => Media::Json,
        _ => Media::Other,
    }
}

/// Why there is no answer. Never the error's own text: it may name the address, and the address may hold the token.
fn no_answer(error: &reqwest::Error) -> Unknown {
    if caused_by::<NotPublic>(error) {
        let why = "the host has no public address; `allow_private = true` permits a private one";
        return Unknown::Misconfigured { why: why.into() };
    }
    unavailable(if error.is_timeout() {
        "the issuer did not answer in time"
    } else if error.is_dns() {
        "the issuer's host name cannot be resolved"
    } else if caused_by::<rustls::Error>(error) {
        "TLS with the issuer failed; its certificate may not be trusted or not be valid"
    } else if error.is_connect() {
        "the issuer cannot be reached"
    } else if error.is_builder() {
        "the request cannot be sent as it is declared"
    } else {
        "the connection to the issuer broke off"
    })
}

fn caused_by<E: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    // An I/O error shows what it wraps by `get_ref` only: its `source` is already the next one.
    let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    match wrapped {
        _ if error.is::<E>() => true,
        Some(inner) => caused_by::<E>(inner),
        None => error.source().is_some_and(caused_by::<E>),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_are_read_without_their_parameters() {
        for (text, media) in [
            ("application/json", Media::Json),
            ("Application/JSON; charset=utf-8", Media::Json),
            ("application/problem+json", Media::Json),
            ("text/html; charset=utf-8", Media::Html),
            ("text/plain", Media::Other),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(text))]);
            assert_eq!(media_of(&headers), media, "{text}");
        }
        assert_eq!(media_of(&HeaderMap::new()), Media::Other);
    }
}
