//! Jobs and leases: who may work on what, and until when.

use std::time::Duration;

use super::{Error, Store};
use crate::clock::Timestamp;
use crate::id::{JobId, LeaseToken};
use crate::incident::{Event, Incident, IssuerName, Step};

/// What a worker asks for.
pub struct Claim<'a> {
    /// The node's name, for people.
    pub worker: &'a str,
    pub limit: u32,
    pub lease_for: Duration,
    /// Issuers that must not be called now; their verify and revoke jobs are left alone.
    pub without_issuers: &'a [IssuerName],
}

/// One job under lease.
#[derive(Debug)]
pub struct Claimed {
    pub job_id: JobId,
    pub lease: LeaseToken,
    pub step: Step,
    /// Tries that failed and were counted.
    pub tries: u32,
    /// Claims since the last settled or postponed try, this one included; more than one means that a worker died.
    pub claims: u32,
    pub due_at: Timestamp,
    pub incident: Incident,
}

/// The result of a step: one legal move, its next job, its audit events.
pub struct Settlement {
    /// The incident after the move.
    pub incident: Incident,
    /// When the next step (the incident's `next_step`) is due; ignored if there is none.
    pub next_due_at: Timestamp,
    pub events: Vec<Event>,
    /// When what came with the reports must be gone; set by the closing step.
    pub purge_at: Option<Timestamp>,
}

/// What settling did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    Done,
    /// Another incident of the same issued token was revoked first: this one was settled as already dead instead.
    Shared,
}

/// How a postponed try counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// A failure: the next delay grows.
    Counted,
    /// Somebody asked us to wait: not our failure.
    Uncounted,
}

/// How much work waits, per step.
#[derive(Clone, Debug)]
pub struct QueueDepth {
    pub step: Step,
    pub pending: i64,
    /// Due time of the oldest job that is due or under lease.
    pub oldest_due_at: Option<Timestamp>,
}

impl Store {
    /// Takes due jobs, or jobs whose lease ran out, under a fresh fenced lease.
    pub async fn claim(&self, claim: &Claim<'_>) -> Result<Vec<Claimed>, Error> {
        let _ = claim;
        todo!()
    }

    /// Renews leases until `now + lease_for`; returns the jobs whose lease is lost.
    pub async fn renew(&self, leases: &[(JobId, LeaseToken)], lease_for: Duration) -> Result<Vec<JobId>, Error> {
        let _ = (leases, lease_for);
        todo!()
    }

    /// Gives leases back untouched, as a stopping worker does; the jobs are due at once.
    pub async fn hand_back(&self, leases: &[(JobId, LeaseToken)]) -> Result<(), Error> {
        let _ = leases;
        todo!()
    }

    /// Commits the result of a step.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] when the lease is no longer ours or the incident moved; nothing is changed then.
    pub async fn settle(&self, claimed: &Claimed, settlement: Settlement) -> Result<Settled, Error> {
        let _ = (claimed, settlement);
        todo!()
    }

    /// Puts a job back for later and keeps why.
    pub async fn postpone(
        &self,
        claimed: &Claimed,
        due_at: Timestamp,
        why: &str,
        attempt: Attempt,
    ) -> Result<(), Error> {
        let _ = (claimed, due_at, why, attempt);
        todo!()
    }

    pub async fn queue_depth(&self) -> Result<Vec<QueueDepth>, Error> {
        todo!()
    }

    /// When the next job is due; none if the queue is empty.
    pub async fn next_due_at(&self) -> Result<Option<Timestamp>, Error> {
        todo!()
    }
}
