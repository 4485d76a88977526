//! What every stored move has in common: the next job, the erased secret, the purge date.

use super::sql::{Bulk, Session, Statement, Value, binds};
use super::{Error, incident_row, secrets};
use crate::clock::Timestamp;
use crate::id::{IncidentId, JobId};
use crate::incident::{Incident, IssuerName, State};

static PLACE: Bulk = Bulk::new(
    7,
    "-- jobs.place
     INSERT INTO jobs (id, incident_id, issuer, step, due_at, tries, claims)
     VALUES {rows}
     -- A job that somebody holds is taken away: its new id and its missing lease make the holder's result void.
     ON CONFLICT (incident_id) DO UPDATE
     SET id = excluded.id, issuer = excluded.issuer, step = excluded.step, due_at = excluded.due_at,
         -- Whether the same step may have had its effect already is not forgotten.
         claims = CASE WHEN jobs.step = excluded.step AND jobs.tries + jobs.claims > 0 THEN 1 ELSE 0 END,
         tries = 0, lease_token = NULL, lease_until = NULL, worker = NULL, last_error = NULL",
);

static REMOVE: Statement = Statement::new(
    "-- jobs.remove
     DELETE FROM jobs
     WHERE incident_id = $1",
);

static SET_PURGE_DATE: Statement = Statement::new(
    "-- occurrences.set_purge_date
     UPDATE occurrences
     SET purge_at = $2
     WHERE incident_id = $1
       AND purge_at IS NULL",
);

/// Stores a move that was not made under a lease: the incident, its next job instead of the one it had, and the rest.
pub(super) async fn store(
    session: &mut Session,
    incident: &mut Incident,
    now: Timestamp,
    purge_at: Timestamp,
) -> Result<(), Error> {
    incident_row::update(session, incident).await?;
    if incident.next_step().is_some() {
        place_jobs(session, [&*incident], now).await?;
    } else {
        session.run(&REMOVE, binds![incident.id]).await?;
    }
    finish(session, incident, purge_at).await
}

/// Gives each incident the job its state waits for, due now, in place of one that it may have.
pub(super) async fn place_jobs<'a>(
    session: &mut Session,
    incidents: impl IntoIterator<Item = &'a Incident>,
    now: Timestamp,
) -> Result<(), Error> {
    let mut values = Vec::new();
    for incident in incidents {
        let Some(step) = incident.next_step() else { continue };
        let issuer = incident.issuer.as_ref().map(IssuerName::as_str);
        values.extend(binds![JobId::generate(now), incident.id, issuer, step.word(), now, 0_i64, 0_i64]);
    }
    if !values.is_empty() {
        session.mark_work_due();
        session.insert(&PLACE, values).await?;
    }
    Ok(())
}

/// Erases the secret as soon as no step needs it, and sets the purge date when the incident ends.
pub(super) async fn finish(session: &mut Session, incident: &Incident, purge_at: Timestamp) -> Result<(), Error> {
    if !incident.needs_secret() {
        secrets::erase(session, incident.id).await?;
    }
    if matches!(incident.state, State::Closed(_)) {
        set_purge_date(session, incident.id, purge_at).await?;
    }
    Ok(())
}

async fn set_purge_date(session: &mut Session, id: IncidentId, purge_at: Timestamp) -> Result<(), Error> {
    session.run(&SET_PURGE_DATE, vec![Value::from(id), Value::from(purge_at)]).await.map(drop)
}
