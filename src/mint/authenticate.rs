//! Knowing a token again: from an `Authorization` header to its record, or a refusal that tells nothing.
//!
//! Expired, revoked and never issued look the same to whoever asks, and cost the same: one look-up by SHA-256
//! (RFC 6750 section 3.1 has one word, `invalid_token`, for all of them). A text whose checksum does not fit costs none;
//! that it does not fit anybody can compute.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::task::TaskTracker;
use tracing::warn;

use super::pat::{self, Prefix};
use crate::clock::{Clock, Timestamp};
use crate::id::TokenId;
use crate::store::{self, OwnToken, OwnTokenState, Store, Use};
use crate::token::{self, Secret};

/// How exact the time of a token's last use is. A write for every request would cost more than the request.
const TOUCH_EVERY: Duration = Duration::from_mins(1);

/// Tells who shows a token. Cheap to clone.
#[derive(Clone)]
pub struct Authenticator {
    store: Store,
    prefix: Prefix,
    clock: Clock,
    touching: Arc<Mutex<HashSet<TokenId>>>,
    tasks: TaskTracker,
}

/// Nobody was authenticated.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No credential, or one of a scheme that is not for tokens.
    #[error("no token was shown")]
    Absent,
    /// A token that is not accepted; why is nobody's business.
    #[error("the token is not accepted")]
    Invalid,
    /// We could not look it up. Not the caller's fault, and no statement about the token.
    #[error("tokens cannot be looked up now")]
    Unavailable(#[source] store::Error),
}

impl Authenticator {
    pub fn new(store: Store, prefix: Prefix, clock: Clock) -> Self {
        Self { store, prefix, clock, touching: Arc::default(), tasks: TaskTracker::new() }
    }

    /// Reads the value of an `Authorization` header, `Bearer …` or `token …`, and looks its token up.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] for every token that is not accepted, whatever is wrong with it.
    pub async fn authenticate(&self, authorization: &[u8]) -> Result<OwnToken, Refusal> {
        self.look_up(&credential(authorization).ok_or(Refusal::Absent)?).await
    }

    /// Looks up a token that was shown.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] for every token that is not accepted, whatever is wrong with it.
    pub async fn look_up(&self, shown: &Secret) -> Result<OwnToken, Refusal> {
        if !token::pat::check(self.prefix.as_str(), shown.expose()) {
            return Err(Refusal::Invalid);
        }
        let found = self.store.own_tokens_by_hash(&[pat::sha256(shown)]).await.map_err(Refusal::Unavailable)?;
        let now = self.clock.now();
        match found.into_iter().next().flatten() {
            Some(token) if token.state(now) == OwnTokenState::Active => {
                self.touch(&token, now);
                Ok(token)
            }
            _ => Err(Refusal::Invalid),
        }
    }

    /// Waits until every use that was seen is written; for the end of the process.
    pub async fn close(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Records the use beside the answer: neither a slow nor a failing write is the caller's concern.
    fn touch(&self, token: &OwnToken, now: Timestamp) {
        let id = token.id;
        if token.last_used_at.is_some_and(|last| now.since(last) < TOUCH_EVERY) || !lock(&self.touching).insert(id) {
            return;
        }
        let (store, touching) = (self.store.clone(), Arc::clone(&self.touching));
        self.tasks.spawn(async move {
            let used = Use { token_id: id, at: now, first_at: now, from: None, count: 1 };
            if let Err(error) = store.record_uses(vec![used]).await {
                warn!(token.id = %id, error = &error as &dyn std::error::Error, "the use of token {id} was not recorded");
            }
            lock(&touching).remove(&id);
        });
    }
}

fn lock(touching: &Mutex<HashSet<TokenId>>) -> std::sync::MutexGuard<'_, HashSet<TokenId>> {
    touching.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The token of `Bearer …` (RFC 6750) or `token …` (what GitHub's and many registries' clients send).
fn credential(authorization: &[u8]) -> Option<Secret> {
    let space = authorization.iter().position(|byte| *byte == b' ')?;
    let (scheme, rest) = authorization.split_at(space);
    // Schemes are case-insensitive (RFC 9110 section 11.1).
    let ours = scheme.eq_ignore_ascii_case(b"bearer") || scheme.eq_ignore_ascii_case(b"token");
    ours.then(|| Secret::new(rest.trim_ascii().to_vec())).filter(|secret| !secret.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_schemes_are_read_in_any_case() {
        for value in ["Bearer abc", "bearer abc", "BEARER   abc ", "token abc", "Token abc"] {
            let shown = credential(value.as_bytes()).expect(value);
            assert_eq!(shown.expose(), b"abc", "{value}");
        }
    }

    #[test]
    fn what_is_no_token_is_absent() {
        for value in ["", "Bearer", "Bearer ", "token  ", "Basic abc", "Bearerabc", "abc"] {
            assert!(credential(value.as_bytes()).is_none(), "{value}");
        }
    }
}
