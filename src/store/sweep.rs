//! The sweep: repairs what a crash or a bug may have left, and erases on time. Idempotent; any machine, any number of
//! times.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::Ordering;

use super::sql::{Session, Statement, Value, binds};
use super::{Error, Store, audit, follow, incident_row, moves, once};
use crate::clock::Timestamp;
use crate::id::{IncidentId, OccurrenceId};
use crate::incident::{Actor, Event, EventKind, Incident};

/// What a sweep repaired; all zero on a healthy system except `purged`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sweep {
    /// Secrets erased that no step needs.
    pub erased: u64,
    /// Places purged on their date.
    pub purged: u64,
    /// Incidents that waited for a step without a job.
    pub requeued: u64,
}

/// Rows of one transaction, and transactions of one sweep: what is left waits for the next.
const BATCH: u32 = 200;
const BATCHES: u32 = 50;

// Asked of each secret, of which there are few, and not of each closed incident, of which there are more every day.
static ERASE: Statement = Statement::new(
    "-- sweep.erase
     DELETE FROM secrets
     WHERE incident_id IN (
         SELECT incident_id
         FROM secrets
         WHERE EXISTS (SELECT 1
                       FROM incidents
                       WHERE incidents.id = secrets.incident_id
                         AND (incidents.state IN ('closed', 'notified', 'revoked', 'settled')
                              OR (incidents.state = 'stuck' AND incidents.stuck_step NOT IN ('revoke', 'verify'))))
         LIMIT $1)",
);

static PURGEABLE: Statement = Statement::new(
    "-- sweep.purgeable
     SELECT id, incident_id
     FROM occurrences
     WHERE purge_at <= $1
       AND purge_at IS NOT NULL
       AND sent_type IS NOT NULL
     ORDER BY purge_at
     LIMIT $2",
);

// The hash goes too: whoever guesses the place could find it again by its hash.
static PURGE: Statement = Statement::new(
    "-- sweep.purge
     UPDATE occurrences
     SET sent_type = NULL, url = NULL, source = NULL, place_hash = id
     WHERE id {in $1}
       AND sent_type IS NOT NULL
     RETURNING incident_id",
);

static LOCK: Statement = Statement::new(
    "-- sweep.lock
     SELECT {incident}
     FROM incidents
     WHERE id {in $1}
     ORDER BY fingerprint
     {lock}",
);

static WITH_PLACES: Statement = Statement::new(
    "-- sweep.with_places
     SELECT DISTINCT incident_id
     FROM occurrences
     WHERE incident_id {in $1}
       AND sent_type IS NOT NULL",
);

static FORGET_OWNER: Statement = Statement::new(
    "-- sweep.forget_owner
     UPDATE incidents
     SET owner_email = NULL, token = $2
     WHERE id = $1",
);

static FORGET_ADDRESSES: Statement = Statement::new(
    "-- sweep.forget_addresses
     UPDATE notices
     SET address = NULL
     WHERE address IS NOT NULL
       AND id IN (SELECT notice_id FROM incidents WHERE id {in $1} AND notice_id IS NOT NULL)
       AND NOT EXISTS (SELECT 1 FROM incidents WHERE notice_id = notices.id AND owner_email IS NOT NULL)",
);

// One job may stand for several incidents that share a notice.
static WITHOUT_JOB: Statement = Statement::new(
    "-- sweep.without_job
     SELECT {incident}
     FROM incidents
     WHERE state IN ('live', 'notified', 'open', 'revoked', 'settled')
       AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.incident_id = incidents.id)
       AND NOT EXISTS (SELECT 1
                       FROM incidents other
                       JOIN jobs ON jobs.incident_id = other.id
                       WHERE other.notice_id = incidents.notice_id
                         AND other.state = 'revoked'
                         AND incidents.state = 'revoked')
     ORDER BY fingerprint
     LIMIT $1
     {lock}",
);

impl Store {
    /// Repairs and purges; may run anywhere, any number of times.
    pub async fn sweep(&self) -> Result<Sweep, Error> {
        let now = self.clock.now();
        let mut sweep = Sweep::default();
        for _ in 0..BATCHES {
            let erased = self.write((), |session, ()| Box::pin(session.run(&ERASE, binds![BATCH]))).await?;
            let purged = self.write(now, |session, now| Box::pin(purge(session, *now))).await?;
            let requeued = self.write(now, |session, now| Box::pin(requeue(session, *now))).await?;
            let outdated = self.write(now, |session, now| Box::pin(once::sweep(session, *now, BATCH))).await?;
            sweep.erased += erased;
            sweep.purged += purged;
            sweep.requeued += requeued;
            if erased + purged + requeued + outdated == 0 {
                break;
            }
        }
        // What a reader kept in the log file the last time is tried again.
        if sweep.erased + sweep.purged > 0 || self.remembers_erased.load(Ordering::Relaxed) {
            self.remembers_erased.store(true, Ordering::Relaxed);
            let forgotten = self.pool.forget_erased().await?;
            self.remembers_erased.store(!forgotten, Ordering::Relaxed);
        }
        Ok(sweep)
    }
}

async fn purge(session: &mut Session, now: Timestamp) -> Result<u64, Error> {
    let rows = session.all(&PURGEABLE, binds![now, BATCH]).await?;
    if rows.is_empty() {
        return Ok(0);
    }
    let places: Vec<OccurrenceId> = rows.iter().map(|row| row.parsed("id")).collect::<Result<_, _>>()?;
    let ids: Vec<IncidentId> = rows.iter().map(|row| row.parsed("incident_id")).collect::<Result<_, _>>()?;
    let incidents = session.all(&LOCK, vec![Value::list(&ids)]).await?;
    let incidents: Vec<Incident> = incidents.iter().map(incident_row::read).collect::<Result<_, _>>()?;
    let mut purged: BTreeMap<IncidentId, u64> = BTreeMap::new();
    for row in session.all(&PURGE, vec![Value::list(&places)]).await? {
        *purged.entry(row.parsed("incident_id")?).or_default() += 1;
    }
    forget_owners(session, &incidents).await?;
    let event = |(id, places): (&IncidentId, &u64)| {
        let detail = serde_json::json!({ "places": places });
        Event::new(now, Actor::Worker("sweep".into()), EventKind::Purged, Some(*id)).with(detail)
    };
    audit::insert(session, &purged.iter().map(event).collect::<Vec<_>>()).await?;
    Ok(purged.values().sum())
}

/// Erases who the owner is from incidents that are over and have no place left.
async fn forget_owners(session: &mut Session, incidents: &[Incident]) -> Result<(), Error> {
    let ids = || Value::list(incidents.iter().map(|incident| incident.id));
    let rows = session.all(&WITH_PLACES, vec![ids()]).await?;
    let left: HashSet<IncidentId> = rows.iter().map(|row| row.parsed("incident_id")).collect::<Result<_, _>>()?;
    for incident in incidents.iter().filter(|it| it.closed_at.is_some() && !left.contains(&it.id)) {
        let Some(mut token) = incident.token.clone() else { continue };
        token.owner = None;
        token.last_used_from = None;
        let json = serde_json::to_string(&token).map_err(|error| Error::corrupt("token", error))?;
        session.run(&FORGET_OWNER, binds![incident.id, json]).await?;
        follow::forget_owners(session, Value::list([incident.id])).await?;
    }
    session.run(&FORGET_ADDRESSES, vec![ids()]).await.map(drop)
}

async fn requeue(session: &mut Session, now: Timestamp) -> Result<u64, Error> {
    let rows = session.all(&WITHOUT_JOB, binds![BATCH]).await?;
    let incidents: Vec<Incident> = rows.iter().map(incident_row::read).collect::<Result<_, _>>()?;
    moves::place_jobs(session, &incidents, now).await?;
    Ok(u64::try_from(incidents.len()).unwrap_or(u64::MAX))
}
