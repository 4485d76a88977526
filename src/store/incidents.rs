//! Incidents as stored: reading, listing, an operator's moves.

use serde_json::Value as Json;

use super::sql::{Row, Session, Statement, Value, binds};
use super::{Error, Store, audit, brake, incident_row, moves};
use crate::clock::Timestamp;
use crate::id::{EventId, IncidentId};
use crate::incident::{Actor, Event, IllegalMove, Incident, Occurrence, Place, State, Step};

/// An audit event as it is shown.
#[derive(Clone, Debug)]
pub struct StoredEvent {
    /// Its place in the trail: later events have greater ones, and some may be missing.
    pub position: i64,
    pub id: EventId,
    pub at: Timestamp,
    pub actor: String,
    pub kind: String,
    pub incident_id: Option<IncidentId>,
    pub detail: Json,
}

static BY_ID: Statement = Statement::new(
    "-- incidents.by_id
     SELECT {incident}
     FROM incidents
     WHERE id = $1",
);

// By name, so that each is a walk over its part of the index; of those that are over there are too many to count.
static COUNTS: Statement = Statement::new(
    "-- incidents.counts
     SELECT state, count(*) AS incidents
     FROM incidents
     WHERE state IN ('held', 'live', 'notified', 'open', 'revoked', 'settled', 'stuck')
     GROUP BY state
     ORDER BY state",
);

static OPENED: Statement = Statement::new(
    "-- incidents.opened
     SELECT amount
     FROM incident_totals
     WHERE name = 'opened'",
);

static OCCURRENCES: Statement = Statement::new(
    "-- occurrences.of
     SELECT id, incident_id, origin, sent_type, url, source, reports, first_reported_at, last_reported_at
     FROM occurrences
     WHERE incident_id {in $1}
     ORDER BY id",
);

impl Store {
    pub async fn incident(&self, id: IncidentId) -> Result<Option<Incident>, Error> {
        let row = self.read().await?.optional(&BY_ID, binds![id]).await?;
        row.as_ref().map(incident_row::read).transpose()
    }

    pub async fn occurrences(&self, id: IncidentId) -> Result<Vec<Occurrence>, Error> {
        occurrences(&mut self.read().await?, [id]).await
    }

    /// The incident's audit events, oldest first.
    pub async fn timeline(&self, id: IncidentId) -> Result<Vec<StoredEvent>, Error> {
        audit::timeline(&mut self.read().await?, id).await
    }

    /// How many incidents are in each state, by the state's word. Those that are closed are what is left of all that were
    /// opened, as far as the audit trail was followed: a second late.
    pub async fn incident_counts(&self) -> Result<Vec<(String, i64)>, Error> {
        let mut session = self.read().await?;
        let rows = session.all(&COUNTS, Vec::new()).await?;
        let mut counts: Vec<(String, i64)> =
            rows.iter().map(|row| Ok((row.text("state")?, row.int("incidents")?))).collect::<Result<_, Error>>()?;
        let opened = session.optional(&OPENED, Vec::new()).await?.map_or(Ok(0), |row| row.int("amount"))?;
        let closed = opened - counts.iter().map(|(_, count)| count).sum::<i64>();
        if closed > 0 {
            counts.push(("closed".to_owned(), closed));
            counts.sort();
        }
        Ok(counts)
    }

    /// An operator's move: applies `change` to the incident as it is now, with its next job and audit events, and takes
    /// the incident's job away from whoever holds it. The events are the actor's, whoever `change` says.
    ///
    /// # Errors
    /// [`Error::Refused`] when `change` is not a legal move of the incident as it is.
    pub async fn intervene(
        &self,
        id: IncidentId,
        actor: Actor,
        change: impl FnOnce(&mut Incident) -> Result<Vec<Event>, IllegalMove> + Send + 'static,
    ) -> Result<Incident, Error> {
        let now = self.clock.now();
        let work =
            Intervention { id, actor, change: Some(Box::new(change)), now, purge_at: now.plus(self.keep_reports_for) };
        self.write(work, |session, work| Box::pin(intervene(session, work))).await
    }
}

type Change = Box<dyn FnOnce(&mut Incident) -> Result<Vec<Event>, IllegalMove> + Send>;

struct Intervention {
    id: IncidentId,
    actor: Actor,
    change: Option<Change>,
    now: Timestamp,
    purge_at: Timestamp,
}

async fn intervene(session: &mut Session, work: &mut Intervention) -> Result<Incident, Error> {
    let incident = incident_row::lock(session, work.id).await?;
    let mut incident = incident.ok_or(Error::NotFound { what: "incident" })?;
    // A person's move is applied once; after a conflict the person looks again.
    let change = work.change.take().ok_or_else(|| Error::unavailable("the move met another transaction"))?;
    let mut events = change(&mut incident)?;
    for event in &mut events {
        event.actor = work.actor.clone();
    }
    moves::store(session, &mut incident, work.now, work.purge_at).await?;
    // One that is open may have been held before its issuer was asked again.
    if !matches!(incident.state, State::Held { .. } | State::Open | State::Stuck { step: Step::Verify, .. }) {
        events.extend(brake::let_go(session, &[incident.id], &work.actor, work.now).await?);
    }
    audit::insert(session, &events).await?;
    Ok(incident)
}

pub(super) async fn occurrences(
    session: &mut Session,
    ids: impl IntoIterator<Item = IncidentId>,
) -> Result<Vec<Occurrence>, Error> {
    session.all(&OCCURRENCES, vec![Value::list(ids)]).await?.iter().map(read_occurrence).collect()
}

fn read_occurrence(row: &Row) -> Result<Occurrence, Error> {
    let place = match (row.optional_text("sent_type")?, row.optional_text("url")?, row.optional_text("source")?) {
        (Some(sent_type), Some(url), Some(source)) => Some(Place { sent_type, url, source }),
        _ => None,
    };
    Ok(Occurrence {
        id: row.parsed("id")?,
        incident_id: row.parsed("incident_id")?,
        origin: row.text("origin")?,
        place,
        reports: row.int("reports")?,
        first_reported_at: row.time("first_reported_at")?,
        last_reported_at: row.time("last_reported_at")?,
    })
}
