//! All that is known about one incident, read for a person: its places, its notice, its job, its events.

use super::sql::{Row, Session, Statement, binds};
use super::{Error, Store, StoredEvent, audit, incident_row, incidents};
use crate::clock::Timestamp;
use crate::id::{IncidentId, NoticeId};
use crate::incident::{Incident, Occurrence, Step};

/// An incident with everything around it. Each part is read on its own: an incident that moves meanwhile may be a move
/// ahead of its timeline, never behind.
#[derive(Clone, Debug)]
pub struct IncidentDetail {
    pub incident: Incident,
    pub occurrences: Vec<Occurrence>,
    pub notice: Option<NoticeStatus>,
    /// The step that waits or runs; none if none is to be done.
    pub job: Option<JobStatus>,
    /// Oldest first. A step's event says in its detail how often it was tried (`tries`) and how long it took
    /// (`duration_ms`), and in its actor on which node.
    pub timeline: Vec<StoredEvent>,
    /// The incident that revoked the same issued token first, if it was another one.
    pub revoked_by: Option<IncidentId>,
}

/// Where the mail to the owner stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeStatus {
    pub id: NoticeId,
    /// `pending`, `sent`, `undeliverable`.
    pub state: String,
    pub created_at: Timestamp,
    pub sent_at: Option<Timestamp>,
    /// Incidents that the same mail tells about, this one included.
    pub incidents: i64,
}

/// Where the next step stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobStatus {
    pub step: Step,
    pub due_at: Timestamp,
    /// Tries that failed and were counted.
    pub tries: i64,
    /// Claims since the last settled or postponed try.
    pub claims: i64,
    /// The node that does it now, and until when it may.
    pub leased: Option<(String, Timestamp)>,
    /// Why the last try was postponed.
    pub last_error: Option<String>,
}

static NOTICE: Statement = Statement::new(
    "-- timeline.notice
     SELECT id, state, created_at, sent_at,
            (SELECT count(*) FROM incidents WHERE incidents.notice_id = notices.id) AS incidents
     FROM notices
     WHERE id = $1",
);

static JOB: Statement = Statement::new(
    "-- timeline.job
     SELECT step, due_at, tries, claims, lease_until, worker, last_error
     FROM jobs
     WHERE incident_id = $1",
);

static REVOKED_BY: Statement = Statement::new(
    "-- timeline.revoked_by
     SELECT incident_id
     FROM revocations
     WHERE issuer = $1
       AND issued_token_id = $2
       AND incident_id <> $3",
);

impl Store {
    /// The whole of an incident; none if there is no such incident.
    pub async fn incident_detail(&self, id: IncidentId) -> Result<Option<IncidentDetail>, Error> {
        let mut session = self.read().await?;
        let timeline = audit::timeline(&mut session, id).await?;
        let mut found = incident_row::by_ids(&mut session, [id]).await?;
        incident_row::refresh_use(&mut session, &mut found).await?;
        let Some(incident) = found.pop() else { return Ok(None) };
        let notice = match incident.notice_id {
            Some(notice_id) => session.optional(&NOTICE, binds![notice_id]).await?.as_ref().map(notice).transpose()?,
            None => None,
        };
        let job = session.optional(&JOB, binds![id]).await?.as_ref().map(job).transpose()?;
        let revoked_by = revoked_by(&mut session, &incident).await?;
        let occurrences = incidents::occurrences(&mut session, [id]).await?;
        Ok(Some(IncidentDetail { incident, occurrences, notice, job, timeline, revoked_by }))
    }
}

async fn revoked_by(session: &mut Session, incident: &Incident) -> Result<Option<IncidentId>, Error> {
    let (Some(issuer), Some(token)) = (&incident.issuer, &incident.token) else { return Ok(None) };
    let row = session.optional(&REVOKED_BY, binds![issuer.as_str(), token.id.as_str(), incident.id]).await?;
    row.map(|row| row.parsed("incident_id")).transpose()
}

fn notice(row: &Row) -> Result<NoticeStatus, Error> {
    Ok(NoticeStatus {
        id: row.parsed("id")?,
        state: row.text("state")?,
        created_at: row.time("created_at")?,
        sent_at: row.optional_time("sent_at")?,
        incidents: row.int("incidents")?,
    })
}

fn job(row: &Row) -> Result<JobStatus, Error> {
    Ok(JobStatus {
        step: row.parsed("step")?,
        due_at: row.time("due_at")?,
        tries: row.int("tries")?,
        claims: row.int("claims")?,
        leased: row.optional_text("worker")?.zip(row.optional_time("lease_until")?),
        last_error: row.optional_text("last_error")?,
    })
}
