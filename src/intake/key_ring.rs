//! Key rings: the cached keys of one origin.
//!
//! What must stay true, whatever the endpoint does and whoever asks:
//! - A known key keeps verifying while a refresh runs, hangs or fails, until its list is older than the stale limit.
//! - At most one fetch runs at a time. A failed one is remembered for ten seconds, and an id that a *fresh* list does
//!   not name causes at most one fetch a minute: a forger cannot turn us against the endpoint's rate limit. Nor can one
//!   use up that fetch to have a rotated key refused: until the next, an unknown id is a question, not a forgery.
//! - Nothing is remembered about an unknown id itself, so a rotation is noticed with the next fetch at the latest.
//! - "Not in the list" and "no list to look in" are different answers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::{counter, gauge};
use tokio::sync::watch;
use tracing::{info, warn};

use super::key_fetch::{FetchError, Fetched, KeyFetcher};
use super::key_list::{KeyList, Listed};
use super::origin::Origin;
use super::signature::{KeyId, PublicKey};
use crate::clock::{Clock, Timestamp};
use crate::store::{self, Store};
use crate::telemetry::metric;

/// Shortest time between two fetches for ids that a fresh list does not name.
const FORCED_EVERY: Duration = Duration::from_mins(1);
/// A list that was asked for this lately names every key that its origin signs with: keys are published before they are
/// used. An older one may not, and then the sender is asked to come back when a fetch is allowed again.
const NEWEST_FOR: Duration = Duration::from_secs(10);
/// How long a failed fetch is remembered.
const FAILURE_REMEMBERED_FOR: Duration = Duration::from_secs(10);
/// Longest wait that an endpoint can ask of us.
const MAX_RETRY_AFTER: Duration = Duration::from_mins(10);
/// How long a delivery with a known key waits for the refresh of an expired list before the old list has to do.
const PATIENCE: Duration = Duration::from_millis(500);

/// The keys of one origin. Cheap to clone.
#[derive(Clone)]
pub struct KeyRing(Arc<Inner>);

/// Why no key is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoKey {
    /// The key is listed, but has not been current for longer than the grace.
    Retired,
    /// There is no list to look in, or the last attempt to get a newer one failed: nobody can tell now.
    Unavailable { retry_after: Duration },
    /// A fresh list does not name the key.
    Unknown,
}

struct Inner {
    origin: String,
    static_keys: HashMap<KeyId, PublicKey>,
    fetcher: Option<KeyFetcher>,
    ttl: Duration,
    stale_limit: Duration,
    noncurrent_grace: Duration,
    clock: Clock,
    store: Store,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    list: Option<Arc<KeyList>>,
    /// Fetches that failed since the last good one.
    failures: u32,
    /// No fetch before this instant: the last one failed.
    blocked_until: Option<Timestamp>,
    /// When an unknown id last caused a fetch although the list was fresh.
    forced_at: Option<Timestamp>,
    /// Closes when the fetch that runs is over.
    flight: Option<Flight>,
}

type Flight = watch::Receiver<()>;

/// What to do about one key id.
enum Decision {
    Answer(Result<PublicKey, NoKey>),
    /// Fetch, or join the fetch that runs, for at most this long; then decide again.
    Refresh(Flight, Duration),
}

/// Whether a refresh was already waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Round {
    First,
    Last,
}

impl KeyRing {
    /// The ring of an origin whose endpoint, if it has one, is asked through `fetcher`.
    pub fn new(origin: &Origin, fetcher: Option<KeyFetcher>, store: Store, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            origin: origin.name.clone(),
            static_keys: origin.static_keys.iter().cloned().collect(),
            fetcher,
            ttl: origin.key_ttl,
            stale_limit: origin.stale_limit,
            noncurrent_grace: origin.noncurrent_grace,
            clock,
            store,
            state: Mutex::default(),
        }))
    }

    /// The key with this id.
    ///
    /// # Errors
    /// When there is none, or when that cannot be told now.
    pub async fn key(&self, id: &KeyId) -> Result<PublicKey, NoKey> {
        if let Some(key) = self.0.static_keys.get(id) {
            return Ok(key.clone());
        }
        if self.0.fetcher.is_none() {
            return Err(NoKey::Unknown);
        }
        let (flight, wait) = match self.decide(id, Round::First) {
            Decision::Answer(answer) => return answer,
            Decision::Refresh(flight, wait) => (flight, wait),
        };
        // Not finished in time is no reason to give up: what we have decides.
        let _ = tokio::time::timeout(wait, landed(flight)).await;
        match self.decide(id, Round::Last) {
            Decision::Answer(answer) => answer,
            Decision::Refresh(_, wait) => Err(NoKey::Unavailable { retry_after: wait }),
        }
    }

    /// Takes the list that an earlier process stored, so that a restart during an outage of the endpoint loses nothing.
    pub async fn restore(&self) {
        let inner = &self.0;
        let Some(source) = inner.fetcher.as_ref().map(KeyFetcher::source) else { return };
        let stored = match inner.store.key_list(&inner.origin).await {
            Ok(Some(stored)) => stored,
            Ok(None) => return,
            Err(error) => {
                warn!(origin = inner.origin, %error, "could not read the stored keys of origin {}", inner.origin);
                return;
            }
        };
        let Some(list) = KeyList::from_stored(&stored, &source) else {
            warn!(
                origin = inner.origin,
                "ignored the stored keys of origin {}: they are of another form or endpoint", inner.origin
            );
            return;
        };
        inner.lock().list.get_or_insert_with(|| Arc::new(list));
    }

    /// Refreshes a list that will soon expire and waits for it, so that deliveries find a fresh one. After failures the
    /// attempts become rarer, down to one in five minutes.
    pub async fn refresh_if_due(&self) {
        let flight = {
            let mut state = self.0.lock();
            let now = self.0.clock.now();
            let due = state.list.as_ref().is_none_or(|list| now.since(list.fetched_at) >= self.0.ttl * 3 / 4);
            let rest = FAILURE_REMEMBERED_FOR * (2_u32.saturating_pow(state.failures.saturating_sub(1).min(5)) - 1);
            if self.0.fetcher.is_none() || !due || state.is_blocked(rest, now) {
                return;
            }
            self.refresh(&mut state)
        };
        landed(flight).await;
    }

    /// Whether any delivery could be verified now.
    pub fn is_usable(&self) -> bool {
        let now = self.0.clock.now();
        let listed = self.0.lock().list.as_ref().is_some_and(|list| now.since(list.fetched_at) < self.0.stale_limit);
        listed || !self.0.static_keys.is_empty()
    }

    fn decide(&self, id: &KeyId, round: Round) -> Decision {
        let inner = &self.0;
        let now = inner.clock.now();
        let mut state = inner.lock();
        let age = state.list.as_ref().map(|list| now.since(list.fetched_at));
        let fresh = age.is_some_and(|age| age < inner.ttl);
        let newest = age.is_some_and(|age| age < inner.ttl.min(NEWEST_FOR));
        let trusted = age.is_some_and(|age| age < inner.stale_limit);
        let listed = state.list.as_ref().filter(|_| trusted).map(|list| list.look_up(id, now, inner.noncurrent_grace));
        let fetching = state.running_flight().is_some();
        let unblocked = !state.is_blocked(Duration::ZERO, now);
        let may_fetch = round == Round::First && (fetching || unblocked);
        let known = match listed {
            Some(Listed::Retired) => Some(Err(NoKey::Retired)),
            Some(Listed::Yes(key)) => Some(Ok(key)),
            Some(Listed::No) | None => None,
        };
        match known {
            Some(answer) if fresh => {
                inner.count(if answer.is_ok() { "hit" } else { "retired" });
                Decision::Answer(answer)
            }
            Some(_) if may_fetch => Decision::Refresh(self.refresh(&mut state), PATIENCE),
            Some(answer) => {
                inner.count(if answer.is_ok() { "stale" } else { "retired" });
                Decision::Answer(answer)
            }
            None if may_fetch && (fetching || !fresh || !state.forced_within(FORCED_EVERY, now)) => {
                if fresh && !fetching {
                    state.forced_at = Some(now);
                }
                inner.count("miss");
                // As long as the fetch may take, and a moment to put its result in place.
                let wait = inner.fetcher.as_ref().map_or(PATIENCE, |fetcher| fetcher.timeout() + PATIENCE);
                Decision::Refresh(self.refresh(&mut state), wait)
            }
            None if newest && state.failures == 0 && !fetching => Decision::Answer(Err(NoKey::Unknown)),
            None => Decision::Answer(Err(NoKey::Unavailable { retry_after: state.next_fetch_in(fresh, now) })),
        }
    }

    /// Starts a fetch, or joins the one that runs. It goes on when the caller goes away.
    fn refresh(&self, state: &mut State) -> Flight {
        if let Some(flight) = state.running_flight() {
            return flight;
        }
        let (running, flight) = watch::channel(());
        state.flight = Some(flight.clone());
        let inner = Arc::clone(&self.0);
        tokio::spawn(async move {
            let fetched = inner.fetch().await;
            drop(running);
            if let Some(list) = fetched {
                inner.save(&list).await;
            }
        });
        flight
    }
}

impl State {
    /// A flight whose sender is gone is over, even if it ended in a panic.
    fn running_flight(&self) -> Option<Flight> {
        self.flight.as_ref().filter(|flight| flight.has_changed().is_ok()).cloned()
    }

    /// Whether the last failure, and as much more, is too fresh. Longer than an endpoint may ask for, nothing is blocked:
    /// then the clock was set back.
    fn is_blocked(&self, more: Duration, now: Timestamp) -> bool {
        self.blocked_until.is_some_and(|until| now < until.plus(more) && until.since(now) <= MAX_RETRY_AFTER)
    }

    fn forced_within(&self, span: Duration, now: Timestamp) -> bool {
        self.forced_at.is_some_and(|at| at <= now && now.since(at) < span)
    }

    fn next_fetch_in(&self, fresh: bool, now: Timestamp) -> Duration {
        let unblocked = self.blocked_until.map_or(Duration::ZERO, |until| until.since(now));
        let forced = self.forced_at.filter(|_| fresh).map_or(Duration::ZERO, |at| at.plus(FORCED_EVERY).since(now));
        unblocked.max(forced).max(Duration::from_secs(1))
    }
}

impl Inner {
    /// Fetches and puts the result in place; gives back what is to be stored.
    async fn fetch(&self) -> Option<store::KeyList> {
        let fetcher = self.fetcher.as_ref()?;
        let before = self.lock().list.clone();
        // The instant of asking, not of the answer: the list is at least that new.
        let asked_at = self.clock.now();
        let etag = before.as_ref().and_then(|list| list.etag.as_deref());
        match (fetcher.fetch(etag, asked_at).await, before) {
            (Ok(Fetched::List(list, rejected)), before) => {
                let list = match before {
                    Some(before) => list.after(&before),
                    None => list,
                };
                self.report_rejected(rejected);
                return Some(self.keep(list, fetcher, "changed"));
            }
            (Ok(Fetched::NotModified), Some(before)) => {
                return Some(self.keep(before.confirmed(asked_at), fetcher, "not_modified"));
            }
            // Only asked with an ETag, which only a list has.
            (Ok(Fetched::NotModified), None) => self.fail(&FetchError::Status(304)),
            (Err(error), _) => self.fail(&error),
        }
        None
    }

    fn keep(&self, list: KeyList, fetcher: &KeyFetcher, outcome: &'static str) -> store::KeyList {
        let stored = list.to_stored(&fetcher.source());
        let count = list.len();
        {
            let mut state = self.lock();
            state.list = Some(Arc::new(list));
            state.failures = 0;
            state.blocked_until = None;
        }
        self.count_fetch(outcome);
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit the 53 bits of a metric")]
        gauge!(metric::PUBLIC_KEY_LAST_REFRESH_TIMESTAMP_SECONDS, "origin" => self.origin.clone())
            .set((stored.fetched_at.as_millis() / 1_000) as f64);
        info!(origin = self.origin, count, outcome, "refreshed the keys of origin {}: {count} usable", self.origin);
        stored
    }

    /// The ring serves a list even if it cannot be stored.
    async fn save(&self, list: &store::KeyList) {
        if let Err(error) = self.store.save_key_list(&self.origin, list).await {
            warn!(origin = self.origin, %error, "could not store the keys of origin {}", self.origin);
        }
    }

    fn fail(&self, error: &FetchError) {
        let now = self.clock.now();
        let rest = match error {
            FetchError::Throttled(Some(asked)) => (*asked).clamp(FAILURE_REMEMBERED_FOR, MAX_RETRY_AFTER),
            _ => FAILURE_REMEMBERED_FOR,
        };
        let age = {
            let mut state = self.lock();
            state.failures = state.failures.saturating_add(1);
            state.blocked_until = Some(now.plus(rest));
            state.list.as_ref().map(|list| now.since(list.fetched_at).as_secs())
        };
        self.count_fetch(error.word());
        let (origin, reason) = (&self.origin, error.word());
        let age =
            age.map_or_else(|| "there is no older list".to_owned(), |age| format!("the list we have is {age} s old"));
        warn!(origin, reason, "could not refresh the keys of origin {origin}: {error}; {age}");
    }

    #[expect(clippy::cast_precision_loss, reason = "a list has at most a few hundred entries")]
    fn report_rejected(&self, rejected: usize) {
        gauge!(metric::KEY_LIST_REJECTED_ENTRIES, "origin" => self.origin.clone()).set(rejected as f64);
        if rejected > 0 {
            warn!(origin = self.origin, rejected, "{rejected} keys of origin {} cannot be used", self.origin);
        }
    }

    fn count(&self, outcome: &'static str) {
        counter!(metric::KEY_LOOKUPS_TOTAL, "origin" => self.origin.clone(), "outcome" => outcome).increment(1);
    }

    fn count_fetch(&self, outcome: &'static str) {
        counter!(metric::KEY_LIST_FETCHES_TOTAL, "origin" => self.origin.clone(), "outcome" => outcome).increment(1);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change of the state is a few assignments: one that was interrupted by a panic left it readable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn landed(mut flight: Flight) {
    while flight.changed().await.is_ok() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_does_not_keep_us_from_fetching() {
        let at = |minutes| Timestamp::EPOCH.plus(Duration::from_mins(minutes));
        let failed = State { blocked_until: Some(at(61)), forced_at: Some(at(60)), ..State::default() };
        assert!(failed.is_blocked(Duration::ZERO, at(60)) && failed.forced_within(FORCED_EVERY, at(60)));
        assert!(
            !failed.is_blocked(Duration::ZERO, at(0)) && !failed.forced_within(FORCED_EVERY, at(0)),
            "an hour back"
        );
        assert!(!failed.is_blocked(Duration::ZERO, at(61)) && !failed.forced_within(FORCED_EVERY, at(61)));
    }
}
