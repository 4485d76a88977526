//! The guard around a remote issuer: not too many calls, not too fast, not to one that is down.
//!
//! A call that the guard does not let out is [`Unknown::Throttled`] with the wait: nothing failed, the question was not
//! asked. While the issuer refuses our credential it is [`Unknown::Misconfigured`], as for the call that found out. One issuer's trouble stays its own: its jobs wait in the queue ([`Issuer::resting_until`]), and what waits
//! here for a free place waits for a bounded time.

mod breaker;
mod limiter;

use std::future::Future;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;
use tracing::{error, info, warn};

pub use breaker::{BreakerSettings, BreakerState};

use self::breaker::{Breaker, Change, Pass, Resting, Sign};
use self::limiter::Limiter;
use super::{Answer, Issuer, Locality, Question, Revocation, metrics};
use crate::clock::{Clock, Timestamp};
use crate::incident::{IssuerName, Unknown, Verdict};

/// What one issuer can bear.
#[derive(Clone, Copy, Debug)]
pub struct GuardSettings {
    /// Calls at the same time.
    pub concurrency: NonZeroU32,
    pub per_second: NonZeroU32,
    /// Calls that may come at once after a quiet time.
    pub burst: NonZeroU32,
    /// Longest wait for one of the `concurrency` places.
    pub queue_for: Duration,
    /// Longest time for one operation, all its requests together.
    pub timeout: Duration,
    pub breaker: BreakerSettings,
}

impl Default for GuardSettings {
    fn default() -> Self {
        const fn positive(number: u32) -> NonZeroU32 {
            NonZeroU32::new(number).expect("the numbers below are positive")
        }
        Self {
            concurrency: positive(16),
            per_second: positive(100),
            burst: positive(100),
            queue_for: Duration::from_secs(5),
            timeout: Duration::from_secs(30),
            breaker: BreakerSettings::default(),
        }
    }
}

/// What doctor and the operator see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    pub breaker: BreakerState,
    /// Why the issuer is not called now, and until when.
    pub resting: Option<(String, Timestamp)>,
}

/// An issuer behind its guard.
pub struct Guard {
    inner: Arc<dyn Issuer>,
    settings: GuardSettings,
    places: Semaphore,
    gate: Mutex<Gate>,
    clock: Clock,
}

struct Gate {
    breaker: Breaker,
    limiter: Limiter,
    /// When the limiter has a call free again.
    full_until: Option<(Timestamp, Timestamp)>,
}

impl Guard {
    pub fn new(inner: Arc<dyn Issuer>, settings: GuardSettings, clock: Clock) -> Self {
        metrics::breaker(inner.name(), BreakerState::Closed);
        let gate = Gate {
            breaker: Breaker::new(settings.breaker),
            limiter: Limiter::new(settings.per_second, settings.burst, clock.clone()),
            full_until: None,
        };
        Self {
            places: Semaphore::new(usize::try_from(settings.concurrency.get()).unwrap_or(Semaphore::MAX_PERMITS)),
            gate: Mutex::new(gate),
            inner,
            settings,
            clock,
        }
    }

    pub fn status(&self) -> Status {
        let now = self.clock.now();
        let gate = self.gate();
        let resting = gate.breaker.resting(now).map(|resting| (resting.why, resting.until));
        Status { breaker: gate.breaker.state(), resting }
    }

    async fn verify_one(&self, question: &Question<'_>) -> Verdict {
        let leave = match self.admit().await {
            Ok(leave) => leave,
            Err(unknown) => return Verdict::Unknown(unknown),
        };
        let started_at = self.clock.now();
        let asked = self.inner.verify(std::slice::from_ref(question));
        let verdict = match timeout(self.settings.timeout, asked).await {
            Ok(verdicts) => verdicts.into_iter().next().unwrap_or_else(|| Verdict::Unknown(silent())),
            Err(_) => Verdict::Unknown(silent()),
        };
        metrics::verified(self.name(), &verdict, self.clock.now().since(started_at));
        leave.settle(match &verdict {
            Verdict::Dead(_) | Verdict::Forged(_) | Verdict::Live(_) | Verdict::NotOurs => Sign::Answered,
            Verdict::Unknown(unknown) => Sign::of(unknown),
        });
        verdict
    }

    async fn revoke_one(&self, question: Question<'_>) -> Revocation {
        let leave = match self.admit().await {
            Ok(leave) => leave,
            Err(unknown) => return Revocation::Unknown(unknown),
        };
        let started_at = self.clock.now();
        let revocation = timeout(self.settings.timeout, self.inner.revoke(question))
            .await
            .unwrap_or_else(|_| Revocation::Unknown(silent()));
        metrics::revoked(self.name(), &revocation, self.clock.now().since(started_at));
        leave.settle(match &revocation {
            Revocation::AlreadyDead | Revocation::Confirmed | Revocation::NotOurs => Sign::Answered,
            Revocation::Unconfirmed(unknown) | Revocation::Unknown(unknown) => Sign::of(unknown),
        });
        revocation
    }

    async fn admit(&self) -> Result<Leave<'_>, Unknown> {
        // Asked before and after the wait for a place: whoever queued while the breaker opened must not go out.
        let now = self.clock.now();
        if let Some(resting) = self.gate().breaker.resting(now) {
            return Err(resting.unknown(now));
        }
        let Ok(Ok(place)) = timeout(self.settings.queue_for, self.places.acquire()).await else {
            let why = "all calls that this issuer may get at once are taken".into();
            return Err(Unknown::Throttled { why, retry_after: BUSY_WAIT });
        };
        let now = self.clock.now();
        let mut gate = self.gate();
        let pass = gate.breaker.admit(now).map_err(|resting| resting.unknown(now))?;
        if let Err(wait) = gate.limiter.take() {
            gate.breaker.give_up(pass, now);
            gate.full_until.get_or_insert((now, now.plus(wait)));
            let why = "our own limit of calls to this issuer is reached".into();
            return Err(Unknown::Throttled { why, retry_after: wait });
        }
        gate.full_until = None;
        let state = gate.breaker.state();
        drop(gate);
        metrics::breaker(self.name(), state);
        Ok(Leave { guard: self, pass: Some(pass), _place: place })
    }

    fn settle(&self, pass: Pass, sign: Sign) {
        let now = self.clock.now();
        let (change, state) = {
            let mut gate = self.gate();
            (gate.breaker.settle(pass, sign, now), gate.breaker.state())
        };
        metrics::breaker(self.name(), state);
        let issuer = self.name();
        match change {
            None => {}
            Some(Change::Closed) => info!(%issuer, "issuer {issuer} answers again"),
            Some(Change::Misconfigured { why, pause }) => error!(
                %issuer,
                pause_ms = millis(pause),
                "issuer {issuer} must be put right by a person, its tokens are not revoked meanwhile: {why}"
            ),
            Some(Change::Opened { why, pause }) => {
                warn!(%issuer, pause_ms = millis(pause), "issuer {issuer} is left alone for a while: {why}");
            }
        }
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        // Nothing under the lock can panic half-way through a change.
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Issuer for Guard {
    fn name(&self) -> &IssuerName {
        self.inner.name()
    }

    fn locality(&self) -> Locality {
        self.inner.locality()
    }

    /// Every question is a call of its own: the limits are what the issuer sees.
    fn verify<'a>(&'a self, questions: &'a [Question<'a>]) -> Answer<'a, Vec<Verdict>> {
        Box::pin(all(questions.iter().map(|question| self.verify_one(question))))
    }

    fn revoke<'a>(&'a self, question: Question<'a>) -> Answer<'a, Revocation> {
        Box::pin(self.revoke_one(question))
    }

    /// A person asks: neither limit nor breaker is in the way, and nothing is learnt for them.
    fn check(&self) -> Answer<'_, Result<String, String>> {
        Box::pin(async {
            let checked = timeout(self.settings.timeout, self.inner.check()).await;
            checked.unwrap_or_else(|_| Err(silent().why().to_owned()))
        })
    }

    fn status(&self) -> Option<Status> {
        Some(Self::status(self))
    }

    fn resting_until(&self, now: Timestamp) -> Option<Timestamp> {
        let gate = self.gate();
        let full_until = gate.full_until.filter(|(since, until)| *since <= now && now < *until).map(|(_, until)| until);
        gate.breaker.resting(now).map(|resting| resting.until).max(full_until)
    }
}

/// A call on its way. Dropped without an answer it gives its place in the breaker back.
struct Leave<'a> {
    guard: &'a Guard,
    pass: Option<Pass>,
    _place: SemaphorePermit<'a>,
}

impl Leave<'_> {
    fn settle(mut self, sign: Sign) {
        if let Some(pass) = self.pass.take() {
            self.guard.settle(pass, sign);
        }
    }
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        if let Some(pass) = self.pass.take() {
            self.guard.gate().breaker.give_up(pass, self.guard.clock.now());
        }
    }
}

impl Sign {
    fn of(unknown: &Unknown) -> Self {
        match unknown {
            // It lied about one token or will not hear of it, but it is there: the others are not to suffer for it.
            // Whoever published tokens that an issuer chokes on could else hold up the revocation of all others.
            Unknown::Contradictory { .. } | Unknown::Undeclared { .. } => Self::Answered,
            Unknown::Misconfigured { why } => Self::Refused(why.clone()),
            Unknown::Throttled { retry_after, .. } => Self::Throttled(*retry_after),
            Unknown::Unavailable { why } => Self::Failed(why.clone()),
        }
    }
}

impl Resting {
    fn unknown(self, now: Timestamp) -> Unknown {
        if self.misconfigured {
            return Unknown::Misconfigured { why: self.why };
        }
        Unknown::Throttled { why: format!("the issuer is resting: {}", self.why), retry_after: self.until.since(now) }
    }
}

/// How long to stay away when every place is taken.
const BUSY_WAIT: Duration = Duration::from_secs(1);

fn silent() -> Unknown {
    Unknown::Unavailable { why: "the issuer did not answer in time".into() }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Runs futures side by side on one task; the results are in order.
async fn all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.map(Box::pin).collect();
    let mut results: Vec<_> = running.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        let mut waiting = false;
        for (future, result) in running.iter_mut().zip(&mut results) {
            if result.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Pending => waiting = true,
                    std::task::Poll::Ready(value) => *result = Some(value),
                }
            }
        }
        if waiting { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    results.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests;
