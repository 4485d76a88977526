//! Intake: from the raw bytes of a request to a committed delivery.
//!
//! Three calls, and each is possible only after the one before: [`Intake::claim`] reads two headers and finds the origin
//! they belong to, [`Intake::verify`] proves that the body came from there, [`Intake::accept`] reads the records and
//! makes them durable. Nothing of a body is parsed, logged or stored before its signature holds; a signature that does
//! not hold is refused in one way whatever the reason, and "could not be checked" is not the same as "does not hold".
//!
//! Remote issuers are never asked here, and no URL that came with a report is ever fetched.

mod accept;
mod check;
mod feedback;
mod key_fetch;
mod key_list;
mod key_ring;
mod origin;
mod payload;
mod report;
mod signature;

use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use reqwest::header::{HeaderMap, HeaderName};
use tokio::task::JoinSet;
use zeroize::Zeroizing;

pub use accept::{Answer, Replay};
pub use check::Published;
pub use feedback::Feedback as Labelled;
pub use key_fetch::SetUpError;
pub use origin::{DRILL_KEY_ID_HEADER, DRILL_SIGNATURE_HEADER, Feedback, KeyEndpoint, Origin, TokenForm};
pub use payload::BadPayload;
pub use report::{Held, Reporter};
pub use signature::{BadSignature, Base64Form, BodyDigest, InvalidKey, KeyId, PublicKey, Signature, verify};

use crate::clock::{Clock, Timestamp};
use crate::incident::{IssuerName, drill};
use crate::issuer::Issuers;
use crate::recognize::{Identified, Recognizer};
use crate::store::Store;
use crate::telemetry::metric;
use crate::token::{Fingerprint, FingerprintRing, KindId};
use key_fetch::KeyFetcher;
use key_ring::{KeyRing, NoKey};

/// How long a sender is asked to wait when our own part is not available.
const UNAVAILABLE_FOR: Duration = Duration::from_secs(5);

/// What intake needs besides its origins.
pub struct Parts {
    pub recognizer: Arc<Recognizer>,
    pub fingerprints: Arc<FingerprintRing>,
    pub issuers: Issuers,
    pub store: Store,
    pub clock: Clock,
    /// Most records of one delivery.
    pub max_records: usize,
}

/// The door for signed deliveries.
pub struct Intake {
    entries: Vec<Arc<Entry>>,
    recognizer: Arc<Recognizer>,
    fingerprints: Arc<FingerprintRing>,
    issuers: Issuers,
    store: Store,
    clock: Clock,
    max_records: usize,
}

/// An origin and its keys.
struct Entry {
    origin: Origin,
    ring: KeyRing,
}

/// What a request says about itself: whose it is, and what is to be proved.
pub struct Claim {
    entry: Arc<Entry>,
    key_id: KeyId,
    signature: Signature,
}

/// A body that came from its origin. Made by [`Intake::verify`] alone.
pub struct Signed {
    entry: Arc<Entry>,
    key_id: KeyId,
    body: Zeroizing<Vec<u8>>,
    digest: BodyDigest,
    received_at: Timestamp,
}

/// Why a request is no accepted delivery, by what its sender should do.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The headers are no origin's.
    #[error("no origin sends these headers")]
    NoOrigin,
    /// The signature holds, and the body is still no delivery. Sending it again cannot help.
    #[error(transparent)]
    Payload(#[from] BadPayload),
    /// Nobody can tell now, or nothing can be stored now: try again.
    #[error("the delivery cannot be checked or stored now")]
    Unavailable { retry_after: Duration },
    /// The signature does not hold; why is nobody's business but the operator's.
    #[error("the signature does not hold")]
    Unsigned,
}

impl Intake {
    /// # Errors
    /// When an origin's key endpoint cannot be set up.
    pub fn new(origins: Vec<Origin>, parts: Parts) -> Result<Self, SetUpError> {
        let Parts { recognizer, fingerprints, issuers, store, clock, max_records } = parts;
        let client = KeyFetcher::client()?;
        let mut entries = Vec::with_capacity(origins.len());
        for mut origin in origins {
            let endpoint = origin.key_endpoint.take();
            let fetcher =
                endpoint.map(|endpoint| KeyFetcher::new(client.clone(), &origin.name, endpoint)).transpose()?;
            let ring = KeyRing::new(&origin, fetcher, store.clone(), clock.clone());
            entries.push(Arc::new(Entry { origin, ring }));
        }
        Ok(Self { entries, recognizer, fingerprints, issuers, store, clock, max_records })
    }

    /// Finds the origin whose two headers the request carries. Only headers are read.
    ///
    /// # Errors
    /// [`Refusal::NoOrigin`] when there is none of them, [`Refusal::Unsigned`] when they are incomplete, malformed, or of
    /// more than one origin.
    pub fn claim(&self, headers: &HeaderMap) -> Result<Claim, Refusal> {
        let present =
            |name: &HeaderName| headers.get_all(name).iter().any(|value| !value.as_bytes().trim_ascii().is_empty());
        let mut candidates = self
            .entries
            .iter()
            .filter(|entry| present(&entry.origin.key_id_header) || present(&entry.origin.signature_header));
        let Some(entry) = candidates.next() else {
            count_failure("none", "no_origin");
            return Err(Refusal::NoOrigin);
        };
        let name = &entry.origin.name;
        if candidates.next().is_some() {
            return Err(unsigned("none", "ambiguous_origin"));
        }
        let key_id = single(headers, &entry.origin.key_id_header).ok_or_else(|| unsigned(name, "no_key_id"))?;
        let text = single(headers, &entry.origin.signature_header).ok_or_else(|| unsigned(name, "no_signature"))?;
        let key_id = KeyId::parse(key_id).map_err(|bad| unsigned(name, bad.word()))?;
        let signature = Signature::parse(text, entry.origin.base64).map_err(|bad| unsigned(name, bad.word()))?;
        Ok(Claim { entry: Arc::clone(entry), key_id, signature })
    }

    /// Proves that the body came from the claimed origin, byte for byte.
    ///
    /// # Errors
    /// [`Refusal::Unsigned`] when it did not, [`Refusal::Unavailable`] when the keys cannot be had.
    pub async fn verify(&self, claim: Claim, body: Zeroizing<Vec<u8>>) -> Result<Signed, Refusal> {
        let Claim { entry, key_id, signature } = claim;
        let received_at = self.clock.now();
        let key = match entry.ring.key(&key_id).await {
            Ok(key) => key,
            Err(NoKey::Retired) => return Err(unsigned(&entry.origin.name, "retired_key")),
            Err(NoKey::Unknown) => return Err(unsigned(&entry.origin.name, "unknown_key")),
            // 503, not 401: without the list nobody knows. The sender may try again; a 4xx would end it.
            Err(NoKey::Unavailable { retry_after }) => return Err(Refusal::Unavailable { retry_after }),
        };
        let digest = BodyDigest::of(&body);
        verify(&key, &digest, &signature).map_err(|bad| unsigned(&entry.origin.name, bad.word()))?;
        Ok(Signed { entry, key_id, body, digest, received_at })
    }

    /// Takes over the key lists that an earlier process stored. Call it before the first delivery can come.
    pub async fn restore_keys(&self) {
        for entry in &self.entries {
            entry.ring.restore().await;
        }
    }

    /// Keeps the key lists fresh for as long as it is polled, each origin on its own.
    pub async fn keep_keys_fresh(&self) {
        let mut rings = JoinSet::new();
        for entry in &self.entries {
            let ring = entry.ring.clone();
            rings.spawn(async move {
                let mut ticks = tokio::time::interval(Duration::from_secs(10));
                loop {
                    ticks.tick().await;
                    ring.refresh_if_due().await;
                }
            });
        }
        while rings.join_next().await.is_some() {}
    }

    /// The kind of a token in a text, and all names it may have in the database; none if there is no token in it.
    pub fn name(&self, text: &str) -> Option<(KindId, Vec<Fingerprint>)> {
        match accept::identify(&self.recognizer, text) {
            Identified::Recognized(found) => {
                let names = self.fingerprints.all(&found.kind, &found.canonical);
                Some((found.kind, names))
            }
            Identified::TooLong | Identified::Unrecognized => None,
        }
    }

    /// The issuers that are asked about tokens.
    pub fn issuer_names(&self) -> Vec<IssuerName> {
        self.issuers.iter().map(|issuer| issuer.name().clone()).collect()
    }

    /// The kinds of token that somebody answers for.
    pub fn claimed_kinds(&self) -> Vec<&str> {
        self.issuers.kinds()
    }

    /// The origins whose deliveries could not be verified now.
    pub fn origins_without_keys(&self) -> Vec<&str> {
        let without = self.reporters().filter(|entry| !entry.ring.is_usable());
        without.map(|entry| entry.origin.name.as_str()).collect()
    }

    /// Whether any origin's deliveries could be verified now, or there is none to wait for.
    pub fn is_usable(&self) -> bool {
        self.reporters().next().is_none() || self.reporters().any(|entry| entry.ring.is_usable())
    }

    /// The origins elsewhere: that drills can be verified says nothing about them.
    fn reporters(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.entries.iter().filter(|entry| entry.origin.name != drill::ORIGIN)
    }
}

impl Claim {
    pub fn origin(&self) -> &str {
        &self.entry.origin.name
    }
}

/// The one value of a header. A blank one counts as missing, and a repeated one as well: which was meant?
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?.trim();
    if values.next().is_some() || value.is_empty() { None } else { Some(value) }
}

fn unsigned(origin: &str, reason: &'static str) -> Refusal {
    count_failure(origin, reason);
    Refusal::Unsigned
}

fn count_failure(origin: &str, reason: &'static str) {
    counter!(metric::SIGNATURE_FAILURES_TOTAL, "origin" => origin.to_owned(), "reason" => reason).increment(1);
}
