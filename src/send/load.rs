//! A load: many deliveries at a given pace, with latencies that do not flatter the receiver.
//!
//! With a rate the loop is open: the start of every delivery is fixed beforehand, and its latency counts from there,
//! whether or not the sender came to it in time. A receiver that stalls for a second so shows up in every delivery of
//! that second, not in one alone (Tene, "How NOT to measure latency"). Without a rate the next delivery starts when one
//! ends, and the figure to read is the throughput.
//!
//! A signature costs the sender about as much as the receiver's check. Signing runs ahead on a thread of its own, or
//! all of it before the clock starts, and the report says how often the load still had to wait for it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use rand::rngs::StdRng;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::report::Tally;
use super::{Courier, Generator, Message, Record, Report, SendError, Signer, body_of};

/// How much to send, how fast, and when to stop.
#[derive(Clone, Debug)]
pub struct Load {
    /// Deliveries at most.
    pub count: u64,
    /// Nothing new starts after this long.
    pub duration: Duration,
    /// Deliveries started per second; none sends as fast as answers come.
    pub rate: Option<f64>,
    /// Deliveries under way at the same time.
    pub concurrency: usize,
    pub signing: Signing,
}

/// When deliveries are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signing {
    /// While the load runs, a few deliveries ahead of it.
    Ahead,
    /// All of them before the first is sent; they wait in memory.
    Before,
}

impl Load {
    /// No report holds more latencies than this, and no mistake in an option sends more.
    pub const MAX_COUNT: u64 = 10_000_000;
    pub const MAX_CONCURRENCY: usize = 1_024;
    pub const MAX_RATE: f64 = 100_000.0;

    /// How many deliveries will be sent if the receiver keeps up.
    pub fn planned(&self) -> u64 {
        let count = self.count.min(Self::MAX_COUNT);
        self.rate.map_or(count, |rate| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, and is capped")]
            let in_time = (rate * self.duration.as_secs_f64()).ceil() as u64;
            count.min(in_time.max(1))
        })
    }

    /// Sends what `feed` gives until the count, the duration or `stop` ends it.
    ///
    /// # Errors
    /// Only when there was nothing to start with; what the receiver does is in the report.
    pub async fn run(
        &self,
        courier: &Courier,
        signer: &Signer,
        feed: Feed,
        stop: &CancellationToken,
        rng: StdRng,
    ) -> Result<Report, SendError> {
        let planned = self.planned();
        let concurrency = self.concurrency.clamp(1, Self::MAX_CONCURRENCY);
        let ahead = match self.signing {
            Signing::Ahead => u64::try_from(concurrency).unwrap_or(u64::MAX).saturating_mul(4).min(planned),
            Signing::Before => planned,
        };
        let (messages, ready) = sign_ahead(signer.clone(), feed, planned, ahead, rng);
        // Fails only if nothing could be made at all, and then there is nothing to send either.
        let _ = ready.await;

        let run = Arc::new(Run {
            courier: courier.clone(),
            queue: Mutex::new(Queue { messages, taken: 0, starved: 0 }),
            start: Instant::now(),
            deadline: self.duration,
            pace: self.rate.map(|rate| 1.0 / rate.clamp(f64::MIN_POSITIVE, Self::MAX_RATE)),
            stop: stop.clone(),
        });
        let mut senders = JoinSet::new();
        for _ in 0..concurrency {
            senders.spawn(Arc::clone(&run).send());
        }
        let mut tally = Tally::default();
        while let Some(sender) = senders.join_next().await {
            // A sender has nothing that could panic; if it did, its deliveries are missing and the count says so.
            tally.merge(sender.unwrap_or_default());
        }
        let starved = run.queue.lock().await.starved;
        Ok(Report::new(tally, self.rate, planned, starved))
    }
}

/// Where deliveries come from.
pub enum Feed {
    /// These bodies one after the other, and again from the first: a repeated body is a redelivery.
    Given { bodies: Vec<Parcel>, next: usize },
    /// Tokens that nobody issued, other ones in every delivery.
    Made { generator: Box<Generator<StdRng>>, records: usize },
}

/// The body of one delivery, and how many records are in it.
#[derive(Clone)]
pub struct Parcel {
    pub body: Bytes,
    pub records: u64,
}

impl Parcel {
    pub fn of(records: &[Record]) -> Self {
        Self { body: body_of(records), records: records.len() as u64 }
    }
}

impl Feed {
    /// Deliveries of `each` of these records.
    pub fn given(records: &[Record], each: usize) -> Self {
        Self::Given { bodies: records.chunks(each.max(1)).map(Parcel::of).collect(), next: 0 }
    }

    pub fn made(generator: Generator<StdRng>, records: usize) -> Self {
        Self::Made { generator: Box::new(generator), records }
    }

    /// How many deliveries there are before they repeat; none if they never do.
    pub fn len(&self) -> Option<usize> {
        match self {
            Self::Given { bodies, .. } => Some(bodies.len()),
            Self::Made { .. } => None,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// The next delivery; none only if there is not a single one.
    pub fn parcel(&mut self) -> Option<Parcel> {
        match self {
            Self::Given { bodies, next } => {
                let parcel = bodies.get(*next % bodies.len().max(1)).cloned();
                *next += 1;
                parcel
            }
            Self::Made { generator, records } => Some(Parcel::of(&generator.records(*records))),
        }
    }
}

struct Signed {
    message: Message,
    records: u64,
}

/// Signs `count` deliveries on a thread of its own. The second value resolves when the first `ahead` wait to be taken.
fn sign_ahead(
    signer: Signer,
    mut feed: Feed,
    count: u64,
    ahead: u64,
    mut rng: StdRng,
) -> (mpsc::Receiver<Signed>, oneshot::Receiver<()>) {
    let room = usize::try_from(ahead).unwrap_or(usize::MAX).clamp(1, tokio::sync::Semaphore::MAX_PERMITS);
    let (send, receive) = mpsc::channel(room);
    let (ready, when_ready) = oneshot::channel();
    tokio::task::spawn_blocking(move || {
        let mut ready = Some(ready);
        for made in 1..=count {
            let Some(Parcel { body, records }) = feed.parcel() else { return };
            let message = signer.message_anew(body, &mut rng);
            if send.blocking_send(Signed { message, records }).is_err() {
                return;
            }
            if made == ahead
                && let Some(ready) = ready.take()
            {
                let _ = ready.send(());
            }
        }
    });
    (receive, when_ready)
}

struct Queue {
    messages: mpsc::Receiver<Signed>,
    taken: u64,
    starved: u64,
}

struct Run {
    courier: Courier,
    queue: Mutex<Queue>,
    start: Instant,
    deadline: Duration,
    /// Seconds from one start to the next.
    pace: Option<f64>,
    stop: CancellationToken,
}

impl Run {
    async fn send(self: Arc<Self>) -> Tally {
        let mut tally = Tally::default();
        while let Some((signed, number)) = self.take().await {
            let intended = self.intended(number);
            let wait = tokio::time::sleep_until(intended);
            // What is due after the end, or still waiting when told to stop, is not sent.
            if intended.duration_since(self.start) >= self.deadline
                || self.start.elapsed() >= self.deadline
                || self.stop.run_until_cancelled(wait).await.is_none()
            {
                break;
            }
            let sent = Instant::now();
            let bytes = signed.message.body.len() as u64;
            let outcome = self.courier.post(signed.message).await;
            let done = Instant::now();
            tally.exchange(&outcome, signed.records, bytes, done - intended, done - sent, done - self.start);
        }
        tally
    }

    async fn take(&self) -> Option<(Signed, u64)> {
        let mut queue = self.queue.lock().await;
        let signed = match queue.messages.try_recv() {
            Ok(signed) => signed,
            Err(mpsc::error::TryRecvError::Empty) => {
                queue.starved += 1;
                queue.messages.recv().await?
            }
            Err(mpsc::error::TryRecvError::Disconnected) => return None,
        };
        queue.taken += 1;
        Some((signed, queue.taken - 1))
    }

    /// When delivery `number` should start: as the rate has it, or now.
    fn intended(&self, number: u64) -> Instant {
        #[expect(clippy::cast_precision_loss, reason = "exact far beyond the largest count")]
        let after = |pace: f64| Duration::from_secs_f64((pace * number as f64).min(1e9));
        self.pace.map_or_else(Instant::now, |pace| self.start + after(pace))
    }
}
