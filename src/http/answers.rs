//! The answers that reporters got, counted beside them: how many, how many too late, how many signatures did not hold.
//!
//! Gathered in memory and written together, a few seconds late and at the end of the process. Neither a slow nor a failing
//! write is a reporter's concern; what a crash loses is a count that is too low.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::clock::Timestamp;
use crate::store::{AnswerTally, DAY_MILLIS, Store};

/// How long a count waits for others.
const WRITE_EVERY: Duration = Duration::from_secs(5);
/// What GitHub's agreement allows for an answer.
const ALLOWED: Duration = Duration::from_secs(15);

/// How a delivery was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// After this time, whatever the answer was.
    After(Duration),
    /// Its signature did not hold.
    Rejected,
}

/// Gathers the counts. Cheap to clone.
#[derive(Clone)]
pub struct Answers {
    store: Store,
    pending: Arc<Mutex<Pending>>,
    closing: CancellationToken,
    tasks: TaskTracker,
}

#[derive(Default)]
struct Pending {
    /// By origin and the first millisecond of the day. Origins are those of the configuration.
    tallies: BTreeMap<(String, i64), AnswerTally>,
    /// Whether a task waits to write them.
    writing: bool,
}

impl Answers {
    pub fn new(store: Store) -> Self {
        Self { store, pending: Arc::default(), closing: CancellationToken::new(), tasks: TaskTracker::new() }
    }

    pub fn note(&self, origin: &str, at: Timestamp, given: Given) {
        let mut pending = self.lock();
        pending.note(origin, at, given);
        if !std::mem::replace(&mut pending.writing, true) {
            let writer = self.clone();
            self.tasks.spawn(async move { writer.write().await });
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
        loop {
            tokio::select! {
                () = self.closing.cancelled() => {}
                () = tokio::time::sleep(WRITE_EVERY) => {}
            }
            let batch: Vec<AnswerTally> = std::mem::take(&mut self.lock().tallies).into_values().collect();
            let added = self.store.add_answers(batch.clone()).await;
            let failed = added.is_err();
            if let Err(error) = added {
                let failure: &(dyn std::error::Error + 'static) = &error;
                warn!(failure, "the counts of answers were not written, they are tried again");
                let mut pending = self.lock();
                for tally in batch {
                    pending.add(tally);
                }
            }
            let mut pending = self.lock();
            // At the end of the process once more for what came meanwhile, and not for ever for what cannot be written.
            if pending.tallies.is_empty() || (failed && self.closing.is_cancelled()) {
                pending.writing = false;
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        // A panic while it was locked leaves whole counts.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    fn note(&mut self, origin: &str, at: Timestamp, given: Given) {
        let day = at.as_millis().div_euclid(DAY_MILLIS) * DAY_MILLIS;
        let tally = AnswerTally { origin: origin.to_owned(), day, ..AnswerTally::default() };
        self.add(match given {
            Given::After(span) => AnswerTally { answers: 1, slow: u32::from(span > ALLOWED), ..tally },
            Given::Rejected => AnswerTally { rejected: 1, ..tally },
        });
    }

    fn add(&mut self, more: AnswerTally) {
        let tally = self.tallies.entry((more.origin.clone(), more.day)).or_insert_with(|| AnswerTally {
            origin: more.origin,
            day: more.day,
            ..AnswerTally::default()
        });
        tally.answers = tally.answers.saturating_add(more.answers);
        tally.slow = tally.slow.saturating_add(more.slow);
        tally.rejected = tally.rejected.saturating_add(more.rejected);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_origin_and_day_and_only_late_ones_are_slow() {
        let mut pending = Pending::default();
        let (noon, tomorrow) = (Timestamp::from_millis(DAY_MILLIS * 3 / 2), Timestamp::from_millis(2 * DAY_MILLIS));
        pending.note("github", noon, Given::After(ALLOWED));
        pending.note("github", noon, Given::After(ALLOWED + Duration::from_millis(1)));
        pending.note("github", noon, Given::Rejected);
        pending.note("github", tomorrow, Given::After(Duration::ZERO));
        let tally =
            |day, answers, slow, rejected| AnswerTally { origin: "github".into(), day, answers, slow, rejected };
        let counted: Vec<_> = pending.tallies.into_values().collect();
        assert_eq!(counted, [tally(DAY_MILLIS, 2, 1, 1), tally(2 * DAY_MILLIS, 1, 0, 0)]);
    }
}
