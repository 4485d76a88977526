//! What was read about tokens a moment ago, so that a busy token costs no query a request.
//!
//! Known by the hash of the text that was shown; the text itself is kept nowhere. An entry is believed for a moment
//! only, and not at all once this process changed any token: whoever revokes here is obeyed at once, a revocation made
//! elsewhere within that moment.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::counter;
use tokio::time::Instant;

use crate::store::{OwnToken, OwnTokenKind};
use crate::telemetry::metric;
use crate::token::caveat::{BadCaveat, Caveat};

/// Entries of one generation; there are two of them.
const MAX_ENTRIES: usize = 8_192;

/// A token whose secret was proved, as it was in the database.
pub struct Known {
    pub token: OwnToken,
    /// What the token carries and what the issuer adds to it.
    pub caveats: Vec<Result<Caveat, BadCaveat>>,
    /// Of a macaroon: the point at its end.
    pub point: Option<[u8; 32]>,
    /// How many of the caveats it carries its issuer put there; what follows them is its bearers'.
    pub embedded: usize,
    /// How many caveats it carries.
    pub carried: usize,
    /// Whether a point of its chain is denied.
    pub denied: bool,
}

impl Known {
    /// Whether a bearer narrowed it after it was issued.
    pub fn is_attenuated(&self) -> bool {
        self.carried > self.embedded
    }

    /// Counts who narrows macaroons, and how. Only what was accepted counts, so that nobody makes the figures up.
    pub fn count(&self) {
        if self.token.kind != OwnTokenKind::Macaroon {
            return;
        }
        let attenuated = if self.is_attenuated() { "true" } else { "false" };
        counter!(metric::MACAROONS_ACCEPTED_TOTAL, "attenuated" => attenuated).increment(1);
        for caveat in self.added() {
            counter!(metric::ADDED_CAVEATS_TOTAL, "caveat" => caveat).increment(1);
        }
    }

    /// What bearers added, in words.
    fn added(&self) -> impl Iterator<Item = &'static str> {
        let added = self.caveats.iter().take(self.carried).skip(self.embedded);
        added.map(|caveat| caveat.as_ref().map_or("unknown", Caveat::word))
    }
}

/// A bounded memory of tokens: when one half is full, the half that was not looked at for longest goes.
pub struct Cache {
    believed_for: Duration,
    halves: Mutex<Halves>,
}

#[derive(Default)]
struct Halves {
    young: HashMap<[u8; 32], Entry>,
    old: HashMap<[u8; 32], Entry>,
}

#[derive(Clone)]
struct Entry {
    known: Arc<Known>,
    /// How often tokens had been changed here before it was read.
    changes: u64,
    read_at: Instant,
}

impl Cache {
    pub fn new(believed_for: Duration) -> Self {
        Self { believed_for, halves: Mutex::default() }
    }

    /// What is known, if it may still be believed after `changes` changes.
    pub fn find(&self, text_sha256: &[u8; 32], changes: u64) -> Option<Arc<Known>> {
        let mut halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = halves.old.remove(text_sha256) {
            halves.put(*text_sha256, old);
        }
        let entry = halves.young.get(text_sha256)?.clone();
        let fresh = entry.changes == changes && entry.read_at.elapsed() < self.believed_for;
        if !fresh {
            halves.young.remove(text_sha256);
        }
        fresh.then_some(entry.known)
    }

    /// Keeps what was read after `changes` changes.
    pub fn keep(&self, text_sha256: [u8; 32], known: Arc<Known>, changes: u64) {
        if self.believed_for.is_zero() {
            return;
        }
        let entry = Entry { known, changes, read_at: Instant::now() };
        self.halves.lock().unwrap_or_else(PoisonError::into_inner).put(text_sha256, entry);
    }
}

impl Halves {
    fn put(&mut self, text_sha256: [u8; 32], entry: Entry) {
        if self.young.len() >= MAX_ENTRIES {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(text_sha256, entry);
    }
}
