//! The uses of tokens, counted beside the answers.
//!
//! A write for every request would cost more than the request. Uses are gathered in memory and written together, at
//! most [`WRITE_EVERY`] late and at the end of the process; the first use of a token is written at once, because it is
//! the one that matters when the token turns out to have leaked, and so is everything when a token is revoked. Neither a slow nor a failing write is a caller's
//! concern. What a crash loses is a time that is a minute too early and a count that is too low.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::clock::Timestamp;
use crate::id::TokenId;
use crate::store::{Store, Use};
use crate::token::network::Network;

/// How long a use waits for others.
pub const WRITE_EVERY: Duration = Duration::from_mins(1);
/// Pause after a write that failed.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// Tokens whose uses are held in memory; more are written at once.
const MAX_PENDING: usize = 10_000;

/// Gathers uses. Cheap to clone.
#[derive(Clone)]
pub struct Uses {
    store: Store,
    pending: Arc<Mutex<Pending>>,
    write_now: Arc<Notify>,
    closing: CancellationToken,
    tasks: TaskTracker,
}

#[derive(Default)]
struct Pending {
    uses: HashMap<TokenId, Use>,
    /// Whether a task waits to write them.
    writing: bool,
}

impl Uses {
    pub fn new(store: Store) -> Self {
        Self {
            store,
            pending: Arc::default(),
            write_now: Arc::default(),
            closing: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// Notes a use. `first` if none was ever recorded.
    pub fn note(&self, token_id: TokenId, at: Timestamp, from: Option<IpAddr>, first: bool) {
        let used =
            Use { token_id, at, first_at: at, from: from.map(|from| Network::around(from).to_string()), count: 1 };
        let mut pending = self.lock();
        let new = !pending.uses.contains_key(&token_id);
        pending.add(used);
        let full = pending.uses.len() >= MAX_PENDING;
        let spawn = !std::mem::replace(&mut pending.writing, true);
        drop(pending);
        if spawn {
            let writer = self.clone();
            self.tasks.spawn(async move { writer.write().await });
        }
        if (first && new) || full {
            self.write_now.notify_one();
        }
    }

    /// Writes what is left and waits for it; for the end of the process.
    pub async fn close(&self) {
        self.closing.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Writes until nothing is left, then ends: an idle process has no task.
    async fn write(&self) {
        let mut wait = WRITE_EVERY;
        loop {
            tokio::select! {
                () = self.closing.cancelled() => {}
                () = self.write_now.notified() => {}
                // Whoever is told of a token's end is told of its last use.
                () = self.store.token_changed() => {}
                () = tokio::time::sleep(wait) => {}
            }
            let batch: Vec<Use> = std::mem::take(&mut self.lock().uses).into_values().collect();
            let recorded = self.store.record_uses(batch.clone()).await;
            let failed = recorded.is_err();
            match recorded {
                Ok(()) => wait = WRITE_EVERY,
                Err(error) => {
                    let failure: &(dyn std::error::Error + 'static) = &error;
                    warn!(failure, "the uses of {} tokens were not recorded, they are tried again", batch.len());
                    let mut pending = self.lock();
                    for used in batch {
                        pending.add(used);
                    }
                    wait = RETRY_AFTER;
                }
            }
            let mut pending = self.lock();
            // At the end of the process once more for what came meanwhile, and not for ever for what cannot be written.
            if pending.uses.is_empty() || (failed && self.closing.is_cancelled()) {
                pending.writing = false;
                return;
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Pending> {
        // A panic while it was locked leaves whole entries.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    fn add(&mut self, used: Use) {
        match self.uses.entry(used.token_id) {
            Entry::Vacant(place) => {
                place.insert(used);
            }
            Entry::Occupied(mut place) => {
                let known = place.get_mut();
                known.count += used.count;
                known.first_at = known.first_at.min(used.first_at);
                if used.at >= known.at {
                    known.at = used.at;
                    known.from = used.from;
                }
            }
        }
    }
}
