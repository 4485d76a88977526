//! The leases this process holds: renewed together, and given up together.
//!
//! A step whose lease is lost is cancelled. Its result could not be committed anyway; cancelling keeps a paused or
//! partitioned worker from calling an issuer, or mailing an owner, on behalf of somebody else's lease. A lease that could
//! not be renewed in its time counts as lost: nobody else needs to say so.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::id::{JobId, LeaseToken};

/// The jobs under way here. Cheap to clone.
#[derive(Clone, Default)]
pub struct Leases(Arc<Mutex<HashMap<JobId, Held>>>);

struct Held {
    lease: LeaseToken,
    lost: CancellationToken,
    /// When the claim or the renewal was asked for that holds now.
    since: Instant,
}

impl Leases {
    /// Takes a job into the book that was asked for at `since`; the token is cancelled when its lease is lost.
    pub fn hold(&self, job_id: JobId, lease: LeaseToken, since: Instant) -> CancellationToken {
        let lost = CancellationToken::new();
        let held = Held { lease, lost: lost.clone(), since };
        // Its earlier lease ran out before we noticed, and the step that we do under it is not over.
        if let Some(earlier) = self.book().insert(job_id, held) {
            earlier.lost.cancel();
        }
        lost
    }

    /// The job is settled, postponed or given up under this lease; one that it got since stays.
    pub fn drop_hold(&self, job_id: JobId, lease: LeaseToken) {
        let mut book = self.book();
        if book.get(&job_id).is_some_and(|held| held.lease == lease) {
            book.remove(&job_id);
        }
    }

    pub fn all(&self) -> Vec<(JobId, LeaseToken)> {
        self.book().iter().map(|(job_id, held)| (*job_id, held.lease)).collect()
    }

    /// These were renewed, asked for at `since`, except the `lost`, whose lease the store no longer knows: their steps
    /// are cancelled.
    pub fn renewed(&self, leases: &[(JobId, LeaseToken)], lost: &[JobId], since: Instant) {
        let mut book = self.book();
        for (job_id, lease) in leases {
            let Some(held) = book.get_mut(job_id).filter(|held| held.lease == *lease) else { continue };
            if lost.contains(job_id) {
                held.lost.cancel();
                book.remove(job_id);
            } else {
                held.since = since;
            }
        }
    }

    /// Cancels the steps whose lease ran out by `now`; returns how many.
    pub fn expire(&self, lease_for: Duration, now: Instant) -> usize {
        let mut book = self.book();
        let before = book.len();
        book.retain(|_, held| {
            let holds = now < held.since + lease_for;
            if !holds {
                held.lost.cancel();
            }
            holds
        });
        before - book.len()
    }

    fn book(&self) -> std::sync::MutexGuard<'_, HashMap<JobId, Held>> {
        // A panic while the book was open leaves whole entries: every change is one call.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    const LEASE: Duration = Duration::from_secs(10);

    fn job() -> (JobId, LeaseToken) {
        (JobId::generate(Timestamp::EPOCH), LeaseToken::generate(Timestamp::EPOCH))
    }

    #[test]
    fn a_job_that_is_claimed_anew_is_held_under_its_newer_lease() {
        let (leases, (job_id, old)) = (Leases::default(), job());
        let new = LeaseToken::generate(Timestamp::EPOCH);
        let of_old = leases.hold(job_id, old, Instant::now());
        let of_new = leases.hold(job_id, new, Instant::now());
        assert!(of_old.is_cancelled(), "two steps of one job at a time would be one too many");
        leases.drop_hold(job_id, old);
        assert_eq!(leases.all(), [(job_id, new)], "the end of the earlier step is not the end of this one");
        leases.renewed(&[(job_id, old)], &[job_id], Instant::now());
        assert!(!of_new.is_cancelled(), "only the earlier lease is lost");
        leases.drop_hold(job_id, new);
        assert!(leases.all().is_empty());
    }

    #[test]
    fn a_lease_that_is_not_renewed_in_time_is_given_up() {
        let leases = Leases::default();
        let ((kept, kept_lease), (late, late_lease), start) = (job(), job(), Instant::now());
        let of_kept = leases.hold(kept, kept_lease, start);
        let of_late = leases.hold(late, late_lease, start);
        leases.renewed(&[(kept, kept_lease)], &[], start + LEASE / 2);
        assert_eq!(leases.expire(LEASE, start + LEASE / 2), 0);
        assert_eq!(leases.expire(LEASE, start + LEASE), 1);
        assert!(of_late.is_cancelled() && !of_kept.is_cancelled());
        assert_eq!(leases.all(), [(kept, kept_lease)]);
    }
}
