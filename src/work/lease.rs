//! The leases this process holds: renewed together, and given up together.
//!
//! A step whose lease is lost is cancelled. Its result could not be committed anyway; cancelling keeps a paused or
//! partitioned worker from calling an issuer on behalf of somebody else's lease.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::id::{JobId, LeaseToken};
use crate::store::Claimed;

/// The jobs under way here. Cheap to clone.
#[derive(Clone, Default)]
pub struct Leases(Arc<Mutex<HashMap<JobId, Held>>>);

struct Held {
    lease: LeaseToken,
    lost: CancellationToken,
}

impl Leases {
    /// Takes a claimed job into the book; the token is cancelled when its lease is lost.
    pub fn hold(&self, claimed: &Claimed) -> CancellationToken {
        let lost = CancellationToken::new();
        let held = Held { lease: claimed.lease, lost: lost.clone() };
        self.book().insert(claimed.job_id, held);
        lost
    }

    /// The job is settled, postponed or given up.
    pub fn drop_hold(&self, job_id: JobId) {
        self.book().remove(&job_id);
    }

    pub fn all(&self) -> Vec<(JobId, LeaseToken)> {
        self.book().iter().map(|(job_id, held)| (*job_id, held.lease)).collect()
    }

    /// Cancels the steps whose lease the store no longer knows.
    pub fn lose(&self, jobs: &[JobId]) {
        for job_id in jobs {
            if let Some(held) = self.book().remove(job_id) {
                held.lost.cancel();
            }
        }
    }

    fn book(&self) -> std::sync::MutexGuard<'_, HashMap<JobId, Held>> {
        // A panic while the book was open leaves whole entries: every change is one call.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
