//! The audit trail: events as they were stored, in that order. The database refuses to change or delete one.

use serde_json::Value as Json;

use super::sql::{Bulk, Row, Session, Statement, binds};
use super::{Error, StoredEvent};
use crate::id::IncidentId;
use crate::incident::Event;

static INSERT: Bulk = Bulk::new(
    6,
    "-- audit.insert
     INSERT INTO events (id, at, actor, kind, incident_id, detail)
     VALUES {rows}",
);

static TIMELINE: Statement = Statement::new(
    "-- audit.timeline
     SELECT position, id, at, actor, kind, incident_id, detail
     FROM events
     WHERE incident_id = $1
     ORDER BY position",
);

pub(super) async fn insert(session: &mut Session, events: &[Event]) -> Result<(), Error> {
    let mut values = Vec::with_capacity(events.len() * 6);
    for event in events {
        let detail = (!event.detail.is_null()).then(|| event.detail.to_string());
        values.extend(binds![event.id, event.at, event.actor.text(), event.kind.word(), event.incident_id, detail]);
    }
    session.insert(&INSERT, values).await.map(drop)
}

pub(super) async fn timeline(session: &mut Session, id: IncidentId) -> Result<Vec<StoredEvent>, Error> {
    session.all(&TIMELINE, binds![id]).await?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<StoredEvent, Error> {
    let detail = row.optional_text("detail")?;
    let detail = detail.as_deref().map(serde_json::from_str::<Json>).transpose();
    Ok(StoredEvent {
        position: row.int("position")?,
        id: row.parsed("id")?,
        at: row.time("at")?,
        actor: row.text("actor")?,
        kind: row.text("kind")?,
        incident_id: row.optional_parsed("incident_id")?,
        detail: detail.map_err(|error| Error::corrupt("detail", error))?.unwrap_or(Json::Null),
    })
}
