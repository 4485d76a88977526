//! Incidents as stored: reading, listing, an operator's moves.

use serde_json::Value as Json;

use super::sql::{Row, Session, Statement, Value, binds};
use super::{Error, Store, audit, incident_row, moves};
use crate::clock::Timestamp;
use crate::id::{EventId, IncidentId};
use crate::incident::{Actor, Event, IllegalMove, Incident, Occurrence, Place};

/// Which incidents to list, newest first.
#[derive(Clone, Debug, Default)]
pub struct IncidentFilter {
    /// A state's word.
    pub state: Option<String>,
    pub issuer: Option<String>,
    pub kind: Option<String>,
    pub origin: Option<String>,
    /// Continue after this incident.
    pub before: Option<IncidentId>,
    pub limit: u32,
}

/// An audit event as it is shown.
#[derive(Clone, Debug)]
pub struct StoredEvent {
    pub id: EventId,
    pub at: Timestamp,
    pub actor: String,
    pub kind: String,
    pub incident_id: Option<IncidentId>,
    pub detail: Json,
}

/// Sorts behind every id in any collation, so that one statement lists the first page and the ones after it.
const AFTER_ALL: &str = "inc_zzzzzzzzzzzzzzzzzzzzzzzzzz";

static BY_ID: Statement = Statement::new(
    "-- incidents.by_id
     SELECT {incident}
     FROM incidents
     WHERE id = $1",
);

// One statement for each leading filter, so that each page is read from an index in the order it is shown.
macro_rules! list {
    ($name:ident, $first:literal) => {
        static $name: Statement = Statement::new(concat!(
            "-- incidents.list
             SELECT {incident}
             FROM incidents
             WHERE id < $1
               AND ",
            $first,
            "
               AND ($3 = '' OR state = $3)
               AND ($4 = '' OR issuer = $4)
               AND ($5 = '' OR kind = $5)
               AND ($6 = '' OR origin = $6)
             ORDER BY id DESC
             LIMIT $2"
        ));
    };
}
list!(LIST_ALL, "1 = 1");
list!(LIST_BY_STATE, "state = $3");
list!(LIST_BY_ISSUER, "issuer = $4");
list!(LIST_BY_KIND, "kind = $5");
list!(LIST_BY_ORIGIN, "origin = $6");

static COUNTS: Statement = Statement::new(
    "-- incidents.counts
     SELECT state, count(*) AS incidents
     FROM incidents
     GROUP BY state
     ORDER BY state",
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

    pub async fn incidents(&self, filter: &IncidentFilter) -> Result<Vec<Incident>, Error> {
        let IncidentFilter { state, issuer, kind, origin, before, limit } = filter;
        let statement = match (state, issuer, kind, origin) {
            (Some(_), ..) => &LIST_BY_STATE,
            (None, Some(_), ..) => &LIST_BY_ISSUER,
            (None, None, Some(_), _) => &LIST_BY_KIND,
            (None, None, None, Some(_)) => &LIST_BY_ORIGIN,
            (None, None, None, None) => &LIST_ALL,
        };
        let before = before.map_or_else(|| AFTER_ALL.to_owned(), |id| id.to_string());
        let mut binds = binds![before, *limit];
        binds.extend([state, issuer, kind, origin].map(|word| Value::from(word.as_deref().unwrap_or_default())));
        self.read().await?.all(statement, binds).await?.iter().map(incident_row::read).collect()
    }

    pub async fn occurrences(&self, id: IncidentId) -> Result<Vec<Occurrence>, Error> {
        occurrences(&mut self.read().await?, [id]).await
    }

    /// The incident's audit events, oldest first.
    pub async fn timeline(&self, id: IncidentId) -> Result<Vec<StoredEvent>, Error> {
        audit::timeline(&mut self.read().await?, id).await
    }

    /// How many incidents are in each state, by the state's word.
    pub async fn incident_counts(&self) -> Result<Vec<(String, i64)>, Error> {
        let rows = self.read().await?.all(&COUNTS, Vec::new()).await?;
        rows.iter().map(|row| Ok((row.text("state")?, row.int("incidents")?))).collect()
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
