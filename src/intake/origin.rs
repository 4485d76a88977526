//! Origins: who may report leaked tokens, and how each of them signs.
//!
//! An origin is data. GitHub is built in; deps.dev and any other speaker of the protocol differ only in the names of
//! their headers, in where their keys are published, and in what they want to hear back. Nothing a request carries
//! chooses where keys come from.

use std::time::Duration;

use reqwest::Url;
use reqwest::header::HeaderName;

use super::signature::{Base64Form, KeyId, PublicKey};
use crate::incident::drill;
use crate::token::Secret;

/// One reporter and the terms of its agreement.
///
/// Keys of another curve than P-256 are not used, whoever lists them: no reporter known signs with one.
pub struct Origin {
    /// Lower case, stable: it is stored with every delivery and labels the metrics.
    pub name: String,
    /// The header that names the key.
    pub key_id_header: HeaderName,
    /// The header that carries the signature over the raw body.
    pub signature_header: HeaderName,
    /// Where the reporter publishes its keys.
    pub key_endpoint: Option<KeyEndpoint>,
    /// Keys that were handed over by other means; they do not expire.
    pub static_keys: Vec<(KeyId, PublicKey)>,
    pub base64: Base64Form,
    pub feedback: Feedback,
    /// How long a key is still accepted after the list called it no longer current, for what was signed before.
    pub noncurrent_grace: Duration,
    /// How long a key list is believed without asking again.
    pub key_ttl: Duration,
    /// How old a key list may become while the endpoint cannot be reached.
    pub stale_limit: Duration,
    /// Longest time that local issuers get before the answer goes out without their verdict.
    pub decide_budget: Duration,
}

/// Where a key list is fetched.
pub struct KeyEndpoint {
    pub url: Url,
    /// Sent as a bearer token: it only raises the limit on requests, and needs no right at all.
    pub token: Option<Secret>,
    /// Longest time a fetch may take, from the connection to the last byte.
    pub timeout: Duration,
}

/// What the reporter is told about its reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feedback {
    /// 204: the delivery is stored, nothing is disclosed.
    Off,
    /// 200 with a label for every record that could be decided in time.
    On(TokenForm),
}

/// How a label names the token it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenForm {
    /// SHA-256 of the token as it was sent, in lower-case hexadecimal.
    Hash,
    /// The token itself goes back over the wire. Only for a reporter that takes nothing else.
    Raw,
}

impl Origin {
    /// An origin with the usual terms and no source of keys yet.
    pub fn new(name: &str, key_id_header: HeaderName, signature_header: HeaderName) -> Self {
        Self {
            name: name.to_owned(),
            key_id_header,
            signature_header,
            key_endpoint: None,
            static_keys: Vec::new(),
            base64: Base64Form::Strict,
            feedback: Feedback::Off,
            noncurrent_grace: Duration::from_hours(24),
            key_ttl: Duration::from_hours(1),
            stale_limit: Duration::from_hours(7 * 24),
            decide_budget: Duration::from_secs(2),
        }
    }

    /// The installation itself, which reports a token of its own in a drill.
    pub fn drill(key_id: KeyId, key: PublicKey) -> Self {
        Self {
            static_keys: vec![(key_id, key)],
            ..Self::new(drill::ORIGIN, DRILL_KEY_ID_HEADER, DRILL_SIGNATURE_HEADER)
        }
    }

    /// GitHub's secret scanning partner program.
    pub fn github() -> Self {
        let url = "https://api.github.com/meta/public_keys/secret_scanning";
        Self {
            key_endpoint: Some(KeyEndpoint::new(Url::parse(url).expect("a literal URL that is well formed"))),
            ..Self::new(
                "github",
                HeaderName::from_static("github-public-key-identifier"),
                HeaderName::from_static("github-public-key-signature"),
            )
        }
    }
}

/// The header that names the key of a drill.
pub const DRILL_KEY_ID_HEADER: HeaderName = HeaderName::from_static("stanch-drill-key-identifier");
/// The header that carries the signature of a drill.
pub const DRILL_SIGNATURE_HEADER: HeaderName = HeaderName::from_static("stanch-drill-key-signature");

impl KeyEndpoint {
    pub fn new(url: Url) -> Self {
        Self { url, token: None, timeout: Duration::from_secs(5) }
    }
}
