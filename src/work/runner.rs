//! The runner: claims jobs while there is room, does them side by side, keeps their leases alive, and stops cleanly.
//!
//! A wake-up is a hint and polling is the truth: a missed notification costs at most one poll interval.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use metrics::{counter, histogram};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::lease::Leases;
use super::step::{Done, StepError};
use super::{Backoff, Settings, close, follow, gauges, notify, revoke, verify};
use crate::clock::Clock;
use crate::crash;
use crate::incident::brake::Mode;
use crate::incident::{Actor, Event, EventKind, Incident, State, Step, drill};
use crate::issuer::{Issuer, Issuers};
use crate::notice::Mailer;
use crate::store::{Attempt, Claim, Claimed, Error, Notice, NoticeItem, Settled, Settlement, Store};
use crate::telemetry::metric;

/// Jobs taken by one claim: small, so that many workers share a burst and a dead one holds little.
const CLAIM_LIMIT: u32 = 32;
/// Pause before the next look at a queue that has due jobs and none to claim: looking at once, again and again, would
/// load the database for as long as an issuer rests.
const NOT_CLAIMABLE_PAUSE: Duration = Duration::from_millis(100);
/// A job that was claimed this often without any result kills its worker: it is set aside.
const CLAIMS_BEFORE_STUCK: u32 = 5;

/// One process's hands. Shared behind an [`Arc`] by the steps it runs.
pub struct Worker {
    pub(super) store: Store,
    pub(super) issuers: Issuers,
    pub(super) mailer: Mailer,
    pub(super) clock: Clock,
    pub(super) settings: Settings,
    pub(super) backoff: Backoff,
    leases: Leases,
    /// Jobs that may mail at the same time: half of all, so that a slow mail server cannot hold up revocations.
    mailing: Arc<Semaphore>,
}

impl Worker {
    pub fn new(
        store: Store,
        issuers: Issuers,
        mailer: Mailer,
        clock: Clock,
        settings: Settings,
        backoff: Backoff,
    ) -> Arc<Self> {
        let mailing = Arc::new(Semaphore::new(usize::try_from(settings.concurrency / 2).unwrap_or(1).max(1)));
        Arc::new(Self { store, issuers, mailer, clock, settings, backoff, leases: Leases::default(), mailing })
    }

    /// Works until `stop` is cancelled, then finishes what it holds for at most `drain_for` and hands the rest back.
    pub async fn run(self: Arc<Self>, stop: CancellationToken, drain_for: Duration) {
        let beats = CancellationToken::new();
        let heartbeat = tokio::spawn(Arc::clone(&self).beat(beats.clone()));
        let sweeper = tokio::spawn(Arc::clone(&self).sweep_on_time(stop.clone()));
        let gauges =
            tokio::spawn(gauges::keep(self.store.clone(), self.issuers.clone(), self.clock.clone(), stop.clone()));
        let follower = tokio::spawn(follow::follow(self.store.clone(), stop.clone()));
        let token_mail = tokio::spawn(Arc::clone(&self).mail_about_tokens(stop.clone()));
        let mut steps = JoinSet::new();
        while !stop.is_cancelled() {
            let wait = self.fill(&mut steps).await;
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.store.woken(), if wait.is_some() => {}
                () = sleep(wait.unwrap_or_default()), if wait.is_some() => {}
                Some(_) = steps.join_next(), if !steps.is_empty() => {}
            }
            while steps.try_join_next().is_some() {}
        }
        self.drain(&mut steps, drain_for).await;
        beats.cancel();
        let _ = tokio::join!(heartbeat, sweeper, gauges, follower, token_mail);
    }

    /// Does all jobs that are due now, one claim after the other, and returns how many there were. For tests that
    /// move the clock, and for commands that want the work done before they print.
    pub async fn run_due(self: &Arc<Self>) -> Result<usize, Error> {
        let mut done = 0;
        loop {
            let asked_at = Instant::now();
            let claimed = self.claim(CLAIM_LIMIT, &[]).await?;
            if claimed.is_empty() {
                return Ok(done);
            }
            done += claimed.len();
            let mut steps = JoinSet::new();
            for job in claimed {
                steps.spawn(Arc::clone(self).do_job(job, asked_at, None));
            }
            steps.join_all().await;
        }
    }

    /// Starts steps until there is no room or no work. Returns how long to wait for more work; none if there is no
    /// room, so that only a finished step can go on.
    async fn fill(self: &Arc<Self>, steps: &mut JoinSet<()>) -> Option<Duration> {
        loop {
            let running = u32::try_from(steps.len()).unwrap_or(u32::MAX);
            let room = self.settings.concurrency.saturating_sub(running).min(CLAIM_LIMIT);
            if room == 0 {
                return None;
            }
            // Never more than may mail, for all that is claimed may be mail.
            let (limit, without): (u32, &[Step]) = match u32::try_from(self.mailing.available_permits()) {
                Ok(0) => (room, &[Step::Notify]),
                mail_room => (room.min(mail_room.unwrap_or(room)), &[]),
            };
            let asked_at = Instant::now();
            match self.claim(limit, without).await {
                Ok(claimed) if claimed.is_empty() => return Some(self.until_next_due().await),
                Ok(claimed) => {
                    for job in claimed {
                        let mails = (job.step == Step::Notify).then(|| Arc::clone(&self.mailing));
                        let permit = mails.and_then(|mailing| mailing.try_acquire_owned().ok());
                        steps.spawn(Arc::clone(self).do_job(job, asked_at, permit));
                    }
                }
                Err(error) => {
                    warn!(error = &error as &dyn std::error::Error, "cannot claim work now: {error}");
                    return Some(self.settings.poll_every);
                }
            }
        }
    }

    async fn claim(&self, limit: u32, without_steps: &[Step]) -> Result<Vec<Claimed>, Error> {
        let resting = self.issuers.resting(self.clock.now());
        // What a dry run never does stays where it is, and goes on when the dry run is over.
        let without_steps = match self.store.brake().mode {
            Mode::DryRun => &[Step::Revoke, Step::Notify],
            Mode::Limited | Mode::Unlimited => without_steps,
        };
        let claim = Claim {
            worker: &self.settings.node,
            limit,
            lease_for: self.settings.lease_for,
            without_issuers: &resting,
            without_steps,
        };
        let claimed = self.store.claim(&claim).await?;
        if !claimed.is_empty() {
            crash::point("work.after_claim");
        }
        Ok(claimed)
    }

    async fn until_next_due(&self) -> Duration {
        match self.store.next_due_at().await {
            Ok(Some(due_at)) => match due_at.since(self.clock.now()) {
                // Due, and yet it was not claimed: its issuer rests, or another worker is just taking it.
                Duration::ZERO => NOT_CLAIMABLE_PAUSE.min(self.settings.poll_every),
                wait => wait.clamp(Duration::from_millis(5), self.settings.poll_every),
            },
            Ok(None) | Err(_) => self.settings.poll_every,
        }
    }

    async fn do_job(self: Arc<Self>, claimed: Claimed, asked_at: Instant, _mails: Option<OwnedSemaphorePermit>) {
        let (job_id, step, started) = (claimed.job_id, claimed.step, self.clock.now());
        let lost = self.leases.hold(job_id, claimed.lease, asked_at);
        let outcome = tokio::select! {
            () = lost.cancelled() => Err(StepError::LeaseLost),
            outcome = caught(self.attempt(&claimed)) => outcome,
        };
        let word = match self.conclude(&claimed, outcome).await {
            Ok(word) => word,
            Err(Error::LeaseLost) => {
                counter!(metric::LEASE_LOST_TOTAL, "step" => step.word()).increment(1);
                info!(job.id = %job_id, "the lease of job {job_id} was lost; another worker has it");
                "lease_lost"
            }
            Err(error) => {
                // The job stays under lease until it runs out, then somebody does it again.
                warn!(
                    job.id = %job_id, error = &error as &dyn std::error::Error,
                    "the result of job {job_id} could not be stored: {error}"
                );
                "not_stored"
            }
        };
        self.leases.drop_hold(job_id, claimed.lease);
        gauges::tried(step, word, started, self.clock.now());
    }

    async fn attempt(&self, claimed: &Claimed) -> Result<Done, StepError> {
        if claimed.claims > CLAIMS_BEFORE_STUCK {
            let why = format!("{} workers died over this step", claimed.claims - 1);
            return Err(StepError::Fail { why });
        }
        match claimed.step {
            Step::Verify => verify::verify(self, claimed).await,
            Step::Revoke => revoke::revoke(self, claimed).await,
            Step::Notify => notify::notify(self, claimed).await,
            Step::Close => close::close(self, claimed),
        }
    }

    /// Commits what a step ended with; returns the outcome's word for metrics.
    async fn conclude(&self, claimed: &Claimed, outcome: Result<Done, StepError>) -> Result<&'static str, Error> {
        match outcome {
            Ok(Done::Committed) => Ok("done"),
            Ok(Done::Settle(settlement)) => {
                let incident = settlement.incident.clone();
                crash::point(match claimed.step {
                    Step::Verify => "verify.before_settle",
                    Step::Revoke => "revoke.before_settle",
                    Step::Notify => "notify.settles_itself",
                    Step::Close => "close.before_settle",
                });
                let settled = self.store.settle(claimed, *settlement).await?;
                crash::point(match claimed.step {
                    Step::Verify => "verify.after_settle",
                    Step::Revoke => "revoke.after_settle",
                    Step::Notify => "notify.settles_itself",
                    Step::Close => "close.after_settle",
                });
                if settled == Settled::Done {
                    count_settled(&incident, claimed.step);
                }
                Ok("done")
            }
            Err(StepError::LeaseLost) => Err(Error::LeaseLost),
            Err(StepError::Panicked) => {
                error!(
                    job.id = %claimed.job_id, incident.id = %claimed.incident.id,
                    "step {} of incident {} panicked, which is a mistake in stanch",
                    claimed.step, claimed.incident.id
                );
                // As if its worker had died: the lease runs out, and who dies over it too often is set aside.
                Ok("panicked")
            }
            Err(StepError::Retry { why, after, attempt }) => {
                let pause = after.unwrap_or_else(|| self.backoff.pause(claimed.tries, self.settings.backoff_cap));
                debug!(
                    job.id = %claimed.job_id, incident.id = %claimed.incident.id,
                    "step {} of incident {} is tried again: {why}", claimed.step, claimed.incident.id
                );
                if attempt == Attempt::Counted {
                    warn!(
                        incident.id = %claimed.incident.id, tries = claimed.tries + 1,
                        "step {} of incident {} failed for the {}. time: {why}",
                        claimed.step, claimed.incident.id, claimed.tries + 1
                    );
                }
                self.store.postpone(claimed, self.clock.now().plus(pause), &why, attempt).await?;
                Ok("retried")
            }
            Err(StepError::Fail { why }) => {
                self.set_aside(claimed, why).await?;
                Ok("stuck")
            }
        }
    }

    async fn set_aside(&self, claimed: &Claimed, why: String) -> Result<(), Error> {
        let (mut incident, now) = (claimed.incident.clone(), self.clock.now());
        error!(
            incident.id = %incident.id,
            "incident {} is stuck at step {} and needs a person: {why}", incident.id, claimed.step
        );
        incident.revoke_tried |= claimed.step == Step::Revoke && claimed.tried_before();
        incident.stick(claimed.step, why)?;
        let actor = Actor::Worker(self.settings.node.clone());
        let event = Event::new(now, actor, EventKind::Stuck(claimed.step), Some(incident.id));
        let settlement = Settlement { incident, next_due_at: now, events: vec![event], purge_at: None };
        self.store.settle(claimed, settlement).await.map(|_| ())
    }

    async fn beat(self: Arc<Self>, stop: CancellationToken) {
        let every = self.settings.lease_for / 3;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(every) => {}
            }
            let (held, asked_at) = (self.leases.all(), Instant::now());
            if held.is_empty() {
                continue;
            }
            match timeout(2 * every, self.store.renew(&held, self.settings.lease_for)).await {
                Ok(Ok(lost)) => self.leases.renewed(&held, &lost, asked_at),
                Ok(Err(error)) => warn!(
                    error = &error as &dyn std::error::Error,
                    "leases of {} jobs could not be renewed: {error}",
                    held.len()
                ),
                Err(_) => warn!("leases of {} jobs were not renewed in time", held.len()),
            }
            let expired = self.leases.expire(self.settings.lease_for, Instant::now());
            if expired > 0 {
                warn!("{expired} leases ran out before they could be renewed, and their steps were stopped");
            }
        }
    }

    async fn drain(&self, steps: &mut JoinSet<()>, drain_for: Duration) {
        let deadline = Instant::now() + drain_for;
        while !steps.is_empty() {
            if timeout_at(deadline, steps.join_next()).await.is_err() {
                break;
            }
        }
        steps.abort_all();
        while steps.join_next().await.is_some() {}
        let held = self.leases.all();
        if held.is_empty() {
            return;
        }
        match self.store.hand_back(&held).await {
            Ok(()) => info!("handed {} unfinished jobs back", held.len()),
            Err(error) => warn!(
                error = &error as &dyn std::error::Error,
                "{} unfinished jobs wait for their leases to run out: {error}",
                held.len()
            ),
        }
    }

    /// Who can judge and kill the incident's token.
    pub(super) fn issuer_of(&self, incident: &Incident) -> Result<Arc<dyn Issuer>, StepError> {
        // The kind decides, not the name stored at the report: a person may have configured the issuer since.
        let found = self.issuers.of_kind(&incident.kind).or_else(|| self.issuers.named(incident.issuer.as_ref()?));
        found.cloned().ok_or_else(|| StepError::Fail {
            why: format!("no issuer is configured for tokens of kind {}", incident.kind),
        })
    }

    pub(super) fn count_notified(&self, notice: &Notice) {
        let now = self.clock.now();
        let first = |item: &&NoticeItem| item.incident.notified_at.is_none() && item.incident.origin != drill::ORIGIN;
        for item in notice.items.iter().filter(first) {
            histogram!(metric::TIME_TO_NOTIFY_SECONDS).record(now.since(item.incident.received_at).as_secs_f64());
        }
    }
}

/// A step that panics must not take its lease with it: in the book of leases it would be renewed for ever.
async fn caught(step: impl Future<Output = Result<Done, StepError>>) -> Result<Done, StepError> {
    let mut step = pin!(step);
    poll_fn(|context| {
        catch_unwind(AssertUnwindSafe(|| step.as_mut().poll(context))).unwrap_or(Poll::Ready(Err(StepError::Panicked)))
    })
    .await
}

/// The span that the whole service exists to keep short.
fn count_settled(incident: &Incident, step: Step) {
    if matches!(step, Step::Revoke | Step::Verify)
        && incident.state == State::Revoked
        && incident.origin != drill::ORIGIN
    {
        let span = incident.revoked_at.map_or(0.0, |at| at.since(incident.received_at).as_secs_f64());
        let issuer = incident.issuer.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
        histogram!(metric::TIME_TO_REVOKE_SECONDS, "issuer" => issuer).record(span);
    }
}
