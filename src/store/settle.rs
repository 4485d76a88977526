//! Settling: the result of a step, in one transaction with its next job and its audit events.

use std::sync::Arc;

use super::brake::Trip;
use super::sql::{Session, Statement, binds};
use super::{Claimed, Error, Store, audit, brake, incident_row, moves};
use crate::clock::Timestamp;
use crate::id::{IncidentId, JobId, LeaseToken};
use crate::incident::brake::Policy;
use crate::incident::{Actor, Event, EventKind, Incident, IssuedToken, IssuerName, State, Verdict};

/// The result of a step: one legal move, its next job, its audit events.
#[derive(Debug)]
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
    /// The brake held the token that was found live.
    Held,
    /// Another incident of the same issued token was revoked first: this one was settled as already dead instead.
    Shared,
}

struct SettleWork {
    brake: Arc<Policy>,
    job_id: JobId,
    lease: LeaseToken,
    before: Incident,
    settlement: Settlement,
    now: Timestamp,
    purge_at: Timestamp,
}

// The row is kept for the next step under a new id: an incident has one job at most.
static NEXT_JOB: Statement = Statement::new(
    "-- jobs.next
     UPDATE jobs
     SET id = $3, issuer = $4, step = $5, due_at = $6, tries = 0, claims = 0,
         lease_token = NULL, lease_until = NULL, worker = NULL, last_error = NULL
     WHERE id = $1
       AND lease_token = $2",
);

static LAST_JOB: Statement = Statement::new(
    "-- jobs.last
     DELETE FROM jobs
     WHERE id = $1
       AND lease_token = $2",
);

static REVOKED: Statement = Statement::new(
    "-- revocations.insert
     INSERT INTO revocations (issuer, issued_token_id, incident_id, revoked_at)
     VALUES ($1, $2, $3, $4)
     ON CONFLICT (issuer, issued_token_id) DO NOTHING",
);

static REVOKED_BY: Statement = Statement::new(
    "-- revocations.owner
     SELECT incident_id
     FROM revocations
     WHERE issuer = $1
       AND issued_token_id = $2",
);

impl Store {
    /// Commits the result of a step.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] when the lease is no longer ours or the incident moved; nothing is changed then.
    pub async fn settle(&self, claimed: &Claimed, settlement: Settlement) -> Result<Settled, Error> {
        let now = self.clock.now();
        let work = SettleWork {
            brake: Arc::clone(&self.brake),
            job_id: claimed.job_id,
            lease: claimed.lease,
            before: claimed.incident.clone(),
            purge_at: settlement.purge_at.unwrap_or_else(|| now.plus(self.keep_reports_for)),
            settlement,
            now,
        };
        let (settled, trips) = self.write(work, |session, work| Box::pin(settle(session, work))).await?;
        brake::tell(&trips);
        Ok(settled)
    }
}

async fn settle(session: &mut Session, work: &mut SettleWork) -> Result<(Settled, Vec<Trip>), Error> {
    let mut incident = work.settlement.incident.clone();
    // The fence is the version that was claimed, whatever the caller made of its copy.
    incident.version = work.before.version;
    let mut events = work.settlement.events.clone();
    let mut settled = Settled::Done;
    let became_revoked = incident.state == State::Revoked && work.before.state != State::Revoked;
    if became_revoked && let Some(other) = revoked_by_another(session, &incident, work.now).await? {
        let revoked_with = incident;
        incident = work.before.clone();
        incident.token = revoked_with.token;
        incident.found_dead()?;
        share(&mut events, &incident, other, work.now);
        settled = Settled::Shared;
    }
    let actor = events.first().map_or_else(|| Actor::Worker(String::new()), |event| event.actor.clone());
    let held_before = brake::held_before(session, &work.before).await?;
    if let (State::Live, Some(reason)) = (&incident.state, held_before.clone()) {
        incident.hold(reason)?;
        settled = Settled::Held;
    }
    incident_row::update(session, &mut incident).await?;
    follow_up(session, work.job_id, work.lease, &incident, work.settlement.next_due_at, work.now).await?;
    moves::finish(session, &incident, work.purge_at).await?;
    // The brake's lock after the incident's and its job's, as in a delivery: taken in two orders they would deadlock.
    let mut trips = Vec::new();
    if incident.state == State::Live && work.before.state == State::Open {
        let live = vec![&mut incident];
        let admission = brake::admit_stored(session, &work.brake, live, &actor, work.now).await?;
        if !admission.held.is_empty() {
            settled = Settled::Held;
        }
        events.extend(admission.events);
        trips = admission.trips;
    }
    if held_before.is_some() && matches!(incident.state, State::Revoked | State::Settled(_)) {
        events.extend(brake::let_go(session, &[incident.id], &actor, work.now).await?);
    }
    audit::insert(session, &events).await?;
    Ok((settled, trips))
}

/// Puts the next job in the place of the one under lease, or ends it.
async fn follow_up(
    session: &mut Session,
    job_id: JobId,
    lease: LeaseToken,
    incident: &Incident,
    due_at: Timestamp,
    now: Timestamp,
) -> Result<(), Error> {
    let changed = if let Some(step) = incident.next_step() {
        session.mark_work_due();
        let issuer = incident.issuer.as_ref().map(IssuerName::as_str);
        session.run(&NEXT_JOB, binds![job_id, lease, JobId::generate(now), issuer, step.word(), due_at]).await?
    } else {
        session.run(&LAST_JOB, binds![job_id, lease]).await?
    };
    if changed == 0 { Err(Error::LeaseLost) } else { Ok(()) }
}

/// Records that this incident revoked the issued token, or names the incident that did so before.
async fn revoked_by_another(
    session: &mut Session,
    incident: &Incident,
    now: Timestamp,
) -> Result<Option<IncidentId>, Error> {
    let (Some(issuer), Some(IssuedToken { id: token_id, .. })) = (&incident.issuer, &incident.token) else {
        return Ok(None);
    };
    if session.run(&REVOKED, binds![issuer.as_str(), token_id.as_str(), incident.id, now]).await? == 1 {
        return Ok(None);
    }
    let row = session.optional(&REVOKED_BY, binds![issuer.as_str(), token_id.as_str()]).await?;
    let owner = row.map(|row| row.parsed("incident_id")).transpose()?;
    Ok(owner.filter(|owner| *owner != incident.id))
}

/// Tells in the audit trail what really happened, in place of the revocation that was another incident's.
fn share(events: &mut Vec<Event>, incident: &Incident, other: IncidentId, now: Timestamp) {
    let revoked = events.iter().find(|event| event.kind == EventKind::Revoked);
    let actor = revoked.or(events.first()).map_or_else(|| Actor::Worker(String::new()), |event| event.actor.clone());
    events.retain(|event| event.kind != EventKind::Revoked);
    let detail = serde_json::json!({ "verdict": Verdict::Dead(None).word(), "revoked_by": other });
    events.push(Event::new(now, actor, EventKind::Verified, Some(incident.id)).with(detail));
}
