//! Jobs and leases: who may work on what, and until when.
//!
//! A lease is proved by its token, which is new at every claim, and not by the job's id: whoever comes back with an old
//! token changes nothing. Leases are measured by the store's clock; machines that share a database keep their clocks
//! within a small part of a lease of each other (NTP does).

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::sql::{Row, Session, Statement, Value, binds};
use super::{Error, Store, incident_row};
use crate::clock::Timestamp;
use crate::id::{IncidentId, JobId, LeaseToken};
use crate::incident::{Incident, IssuerName, Step};

/// What a worker asks for.
pub struct Claim<'a> {
    /// The node's name, for people.
    pub worker: &'a str,
    pub limit: u32,
    pub lease_for: Duration,
    /// Issuers that must not be called now; their verify and revoke jobs are left alone.
    pub without_issuers: &'a [IssuerName],
    /// Steps that are not to be done now.
    pub without_steps: &'a [Step],
}

/// One job under lease.
#[derive(Clone, Debug)]
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

impl Claimed {
    /// Whether an earlier try of this step may have had its effect.
    pub fn tried_before(&self) -> bool {
        self.tries > 0 || self.claims > 1
    }
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

/// Longest text kept of why a try was postponed, in characters.
const WHY_LEN: usize = 500;

// Expired leases and free jobs are two statements: one condition with OR would use neither partial index.
static CLAIM_EXPIRED: Statement = Statement::new(
    "-- jobs.claim_expired
     UPDATE jobs
     SET lease_token = $1, lease_until = $2, worker = $3, claims = claims + 1
     WHERE id {claimable: lease_token IS NOT NULL AND lease_until <= $4}
     RETURNING id, incident_id, step, due_at, tries, claims",
);

static CLAIM_READY: Statement = Statement::new(
    "-- jobs.claim_ready
     UPDATE jobs
     SET lease_token = $1, lease_until = $2, worker = $3, claims = claims + 1
     WHERE id {claimable: lease_token IS NULL AND due_at <= $4}
     RETURNING id, incident_id, step, due_at, tries, claims",
);

static RENEW: Statement = Statement::new(
    "-- jobs.renew
     UPDATE jobs
     SET lease_until = $1
     WHERE (id, lease_token) IN {pairs $2}
     RETURNING id, lease_token",
);

static HAND_BACK: Statement = Statement::new(
    "-- jobs.hand_back
     UPDATE jobs
     -- The claim did not end in a death, so it does not count as one; but a revocation that was cut off may have
     -- reached its issuer, and the next try must know that it is not the first.
     SET lease_token = NULL, lease_until = NULL, worker = NULL,
         claims = claims - CASE WHEN step = 'revoke' THEN 0 ELSE 1 END
     WHERE (id, lease_token) IN {pairs $1}",
);

static POSTPONE: Statement = Statement::new(
    "-- jobs.postpone
     UPDATE jobs
     -- That a worker died over a revocation is not forgotten: it may have reached its issuer.
     SET due_at = $3, tries = tries + $4, claims = CASE WHEN step = 'revoke' AND claims > 1 THEN 1 ELSE 0 END,
         last_error = $5, lease_token = NULL, lease_until = NULL, worker = NULL
     WHERE id = $1
       AND lease_token = $2",
);

static DEPTH: Statement = Statement::new(
    "-- jobs.depth
     SELECT step, count(*) AS pending,
            min(CASE WHEN due_at <= $1 OR lease_token IS NOT NULL THEN due_at END) AS oldest_due_at
     FROM jobs
     GROUP BY step
     ORDER BY step",
);

static NEXT_DUE: Statement = Statement::new(
    "-- jobs.next_due
     SELECT (SELECT min(due_at) FROM jobs WHERE lease_token IS NULL) AS ready_at,
            (SELECT min(lease_until) FROM jobs WHERE lease_token IS NOT NULL) AS expires_at",
);

struct ClaimWork {
    worker: String,
    limit: u32,
    until: Timestamp,
    now: Timestamp,
    without_issuers: Vec<IssuerName>,
    without_steps: Vec<Step>,
}

impl Store {
    /// Takes due jobs, or jobs whose lease ran out, under a fresh fenced lease.
    pub async fn claim(&self, claim: &Claim<'_>) -> Result<Vec<Claimed>, Error> {
        let now = self.clock.now();
        let work = ClaimWork {
            worker: claim.worker.to_owned(),
            limit: claim.limit,
            until: now.plus(claim.lease_for),
            now,
            without_issuers: claim.without_issuers.to_vec(),
            without_steps: claim.without_steps.to_vec(),
        };
        self.write(work, |session, work| Box::pin(take(session, work))).await
    }

    /// Renews leases until `now + lease_for`; returns the jobs whose lease is lost.
    pub async fn renew(&self, leases: &[(JobId, LeaseToken)], lease_for: Duration) -> Result<Vec<JobId>, Error> {
        let work = (leases.to_vec(), self.clock.now().plus(lease_for));
        self.write(work, |session, (leases, until)| {
            Box::pin(async move {
                let binds = vec![Value::from(*until), Value::pairs(leases.iter().copied())];
                let rows = session.all(&RENEW, binds).await?;
                let kept = rows.iter().map(|row| Ok((row.parsed("id")?, row.parsed("lease_token")?)));
                let kept: HashSet<(JobId, LeaseToken)> = kept.collect::<Result<_, Error>>()?;
                Ok(leases.iter().filter(|lease| !kept.contains(lease)).map(|(id, _)| *id).collect())
            })
        })
        .await
    }

    /// Gives leases back untouched, as a stopping worker does; the jobs are due at once.
    pub async fn hand_back(&self, leases: &[(JobId, LeaseToken)]) -> Result<(), Error> {
        self.write(leases.to_vec(), |session, leases| {
            Box::pin(async move {
                session.mark_work_due();
                session.run(&HAND_BACK, vec![Value::pairs(leases.iter().copied())]).await.map(drop)
            })
        })
        .await
    }

    /// Puts a job back for later and keeps why.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] when the lease is no longer ours; nothing is changed then.
    pub async fn postpone(
        &self,
        claimed: &Claimed,
        due_at: Timestamp,
        why: &str,
        attempt: Attempt,
    ) -> Result<(), Error> {
        let counted = match attempt {
            Attempt::Counted => 1_i64,
            Attempt::Uncounted => 0,
        };
        let why: String = why.chars().take(WHY_LEN).collect();
        let work = (claimed.job_id, claimed.lease, due_at, counted, why);
        self.write(work, |session, (job_id, lease, due_at, counted, why)| {
            Box::pin(async move {
                // Workers plan their next look by the earliest due time, so they hear of it although it is not due yet.
                session.mark_work_due();
                let binds = binds![*job_id, *lease, *due_at, *counted, why.as_str()];
                if session.run(&POSTPONE, binds).await? == 0 { Err(Error::LeaseLost) } else { Ok(()) }
            })
        })
        .await
    }

    pub async fn queue_depth(&self) -> Result<Vec<QueueDepth>, Error> {
        let rows = self.read().await?.all(&DEPTH, binds![self.clock.now()]).await?;
        let depth = |row: &Row| {
            Ok(QueueDepth {
                step: row.parsed("step")?,
                pending: row.int("pending")?,
                oldest_due_at: row.optional_time("oldest_due_at")?,
            })
        };
        rows.iter().map(depth).collect()
    }

    /// When the next job is due, or the next lease runs out; none if the queue is empty.
    pub async fn next_due_at(&self) -> Result<Option<Timestamp>, Error> {
        let row = self.read().await?.optional(&NEXT_DUE, Vec::new()).await?;
        let Some(row) = row else { return Ok(None) };
        Ok([row.optional_time("ready_at")?, row.optional_time("expires_at")?].into_iter().flatten().min())
    }
}

async fn take(session: &mut Session, work: &mut ClaimWork) -> Result<Vec<Claimed>, Error> {
    // Expired leases first: a queue that is always full must not keep a dead worker's jobs waiting.
    let lease = LeaseToken::generate(work.now);
    let mut rows = take_from(session, &CLAIM_EXPIRED, lease, work, work.limit).await?;
    let left = work.limit.saturating_sub(u32::try_from(rows.len()).unwrap_or(u32::MAX));
    if left > 0 {
        rows.extend(take_from(session, &CLAIM_READY, lease, work, left).await?);
    }
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<IncidentId> = rows.iter().map(|row| row.parsed("incident_id")).collect::<Result<_, _>>()?;
    let incidents = incident_row::by_ids(session, ids.iter().copied()).await?;
    let mut incidents: HashMap<IncidentId, Incident> =
        incidents.into_iter().map(|incident| (incident.id, incident)).collect();
    let mut claimed = Vec::with_capacity(rows.len());
    for (row, incident_id) in rows.iter().zip(ids) {
        let incident = incidents.remove(&incident_id).ok_or(Error::NotFound { what: "incident" })?;
        claimed.push(Claimed {
            job_id: row.parsed("id")?,
            lease,
            step: row.parsed("step")?,
            tries: count(row.int("tries")?),
            claims: count(row.int("claims")?),
            due_at: row.time("due_at")?,
            incident,
        });
    }
    claimed.sort_by_key(|claimed| (claimed.due_at, claimed.job_id));
    Ok(claimed)
}

async fn take_from(
    session: &mut Session,
    statement: &Statement,
    lease: LeaseToken,
    work: &ClaimWork,
    limit: u32,
) -> Result<Vec<Row>, Error> {
    let (issuers, steps) = (Value::list(&work.without_issuers), Value::list(&work.without_steps));
    let binds = binds![lease, work.until, work.worker.as_str(), work.now];
    session.all(statement, binds.into_iter().chain([issuers, Value::from(limit), steps]).collect()).await
}

fn count(stored: i64) -> u32 {
    u32::try_from(stored).unwrap_or(if stored < 0 { 0 } else { u32::MAX })
}
