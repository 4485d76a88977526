//! The audit trail: events as they were stored. The database refuses to change or delete one.
//!
//! Each event carries a proof that stanch wrote it (`mac`); [`chain`](super::chain) proves their order and that none is
//! missing. An event is committed with what it records, or neither is.

use serde_json::Value as Json;

use super::audit_key::AuditKey;
use super::page::{Page, PageRequest};
use super::sql::{Assembled, Bulk, Row, Session, Statement, binds};
use super::{Cursor, Error, Store, StoredEvent};
use crate::clock::Timestamp;
use crate::id::IncidentId;
use crate::incident::Event;

/// Which events to list. What is not set does not restrict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Words of kinds; any of them.
    pub kinds: Vec<String>,
    /// Exactly this actor: `operator:ada`.
    pub actor: Option<String>,
    /// Only what people did.
    pub operators_only: bool,
    pub incident_id: Option<IncidentId>,
    /// At or after.
    pub from: Option<Timestamp>,
    /// Before.
    pub before: Option<Timestamp>,
}

/// A place in the trail from which everything that comes is read once, in the order in which transactions ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventPlace {
    pub(super) written_in: i64,
    pub(super) position: i64,
}

/// An event as it lies in the database, word for word: what is proved.
pub(super) struct RawEvent {
    pub place: EventPlace,
    pub id: String,
    pub at: i64,
    pub actor: String,
    pub kind: String,
    pub incident_id: Option<String>,
    pub detail: Option<String>,
    pub mac: Option<String>,
}

/// How far an event's instant may lie from those of its neighbours: clocks of machines, and the time of a transaction.
const SKEW_MILLIS: i64 = 600_000;

static INSERT: Bulk = Bulk::new(
    7,
    "-- audit.insert
     INSERT INTO events (id, at, actor, kind, incident_id, detail, mac)
     VALUES {rows}",
);

static TIMELINE: Statement = Statement::new(
    "-- audit.timeline
     SELECT position, id, at, actor, kind, incident_id, detail
     FROM events
     WHERE incident_id = $1
     ORDER BY position",
);

static AFTER: Statement = Statement::new(
    "-- audit.after
     SELECT written_in, position, id, at, actor, kind, incident_id, detail
     FROM events
     WHERE {after $1 $2}
       AND {plain written_in} < {settled_below}
     ORDER BY {trail}
     LIMIT $3",
);

static NEWEST: Statement = Statement::new(
    "-- audit.newest
     SELECT written_in, position
     FROM events
     WHERE written_in < {settled_below}
     ORDER BY written_in DESC, position DESC
     LIMIT 1",
);

static AT_POSITION: Statement = Statement::new(
    "-- audit.at_position
     SELECT position, at
     FROM events
     WHERE position >= $1
     ORDER BY position
     LIMIT 1",
);

static LAST_POSITION: Statement = Statement::new(
    "-- audit.last_position
     SELECT max(position) AS position
     FROM events",
);

impl RawEvent {
    pub(super) fn read(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            place: EventPlace { written_in: row.int("written_in")?, position: row.int("position")? },
            id: row.text("id")?,
            at: row.int("at")?,
            actor: row.text("actor")?,
            kind: row.text("kind")?,
            incident_id: row.optional_text("incident_id")?,
            detail: row.optional_text("detail")?,
            mac: row.optional_text("mac")?,
        })
    }

    /// The proof that stanch wrote these words.
    pub(super) fn prove(&self, key: &AuditKey) -> String {
        let at = self.at.to_be_bytes();
        let optional = |text: &Option<String>| text.as_ref().map_or(0_u8, |_| 1);
        let present = [optional(&self.incident_id), optional(&self.detail)];
        key.prove([
            b"stanch event 1".as_slice(),
            self.id.as_bytes(),
            &at,
            self.actor.as_bytes(),
            self.kind.as_bytes(),
            &present,
            self.incident_id.as_deref().unwrap_or_default().as_bytes(),
            self.detail.as_deref().unwrap_or_default().as_bytes(),
        ])
    }
}

pub(super) async fn insert(session: &mut Session, events: &[Event]) -> Result<(), Error> {
    if events.is_empty() {
        return Ok(());
    }
    let key = session.audit_key()?;
    let mut values = Vec::with_capacity(events.len() * 7);
    for event in events {
        let mut raw = RawEvent {
            place: EventPlace::default(),
            id: event.id.to_string(),
            at: event.at.as_millis(),
            // As it will be stored: PostgreSQL's text cannot hold U+0000.
            actor: event.actor.text().replace('\0', "\u{FFFD}"),
            kind: event.kind.word().to_owned(),
            incident_id: event.incident_id.map(|id| id.to_string()),
            detail: (!event.detail.is_null()).then(|| event.detail.to_string()),
            mac: None,
        };
        raw.mac = Some(raw.prove(&key));
        let RawEvent { id, at, actor, kind, incident_id, detail, mac, .. } = raw;
        values.extend(binds![id, at, actor, kind, incident_id, detail, mac]);
    }
    session.insert(&INSERT, values).await.map(drop)
}

pub(super) async fn timeline(session: &mut Session, id: IncidentId) -> Result<Vec<StoredEvent>, Error> {
    session.all(&TIMELINE, binds![id]).await?.iter().map(read).collect()
}

impl Store {
    /// Stores an event that is about no incident's move: something an operator did, or looked at.
    pub async fn record(&self, event: Event) -> Result<(), Error> {
        self.write(event, |session, event| Box::pin(insert(session, std::slice::from_ref(event)))).await
    }

    /// One page of the trail, newest first.
    pub async fn audit_events(&self, filter: &AuditFilter, page: &PageRequest) -> Result<Page<StoredEvent>, Error> {
        let mut session = self.read().await?;
        let rows = page.rows();
        let mut items = Vec::new();
        // One pass for each kind, so that each is read from the index in order.
        let mut kinds: Vec<Option<&str>> = filter.kinds.iter().map(|kind| Some(kind.as_str())).collect();
        kinds.sort_unstable();
        kinds.dedup();
        if kinds.is_empty() {
            kinds.push(None);
        }
        let after = match filter.from {
            Some(from) => position_at(&mut session, from.as_millis() - SKEW_MILLIS).await?,
            None => None,
        };
        let before = match filter.before {
            Some(before) => position_at(&mut session, before.as_millis() + SKEW_MILLIS).await?,
            None => None,
        };
        for kind in kinds {
            let mut statement = Assembled::new(
                "-- audit.list
                 SELECT position, id, at, actor, kind, incident_id, detail
                 FROM events
                 WHERE 1 = 1",
            );
            statement.push_if("AND incident_id = {?}", filter.incident_id);
            let led = filter.incident_id.is_some();
            statement.push_if(if led { "AND {plain kind} = {?}" } else { "AND kind = {?}" }, kind);
            if filter.operators_only {
                statement.push("AND substr(actor, 1, 9) = 'operator:'", Vec::new());
            }
            statement.push_if("AND actor = {?}", filter.actor.as_deref());
            statement.push_if("AND position >= {?}", after);
            statement.push_if("AND position <= {?}", before);
            statement.push_if("AND at >= {?}", filter.from);
            statement.push_if("AND at < {?}", filter.before);
            statement.push_if("AND position < {?}", page.after.as_ref().map(|cursor| cursor.at.as_millis()));
            statement.push("ORDER BY position DESC\nLIMIT {?}", binds![rows + 1]);
            for row in session.assembled(statement).await? {
                items.push(read(&row)?);
            }
        }
        items.sort_by_key(|event| std::cmp::Reverse(event.position));
        // The order is of one number; it stands where other lists have their instant.
        Ok(Page::of(items, rows, |event| Cursor { at: Timestamp::from_millis(event.position), id: String::new() }))
    }

    /// Events after a place, oldest first, and the place after them. What is still being committed comes later, and none
    /// is ever passed over.
    pub async fn events_after(&self, place: EventPlace, limit: u32) -> Result<(Vec<StoredEvent>, EventPlace), Error> {
        let rows = self.read().await?.all(&AFTER, binds![place.written_in, place.position, limit]).await?;
        let end = match rows.last() {
            Some(row) => EventPlace { written_in: row.int("written_in")?, position: row.int("position")? },
            None => place,
        };
        Ok((rows.iter().map(read).collect::<Result<_, _>>()?, end))
    }

    /// The place after everything that is there now.
    pub async fn newest_event(&self) -> Result<EventPlace, Error> {
        let row = self.read().await?.optional(&NEWEST, Vec::new()).await?;
        let Some(row) = row else { return Ok(EventPlace::default()) };
        Ok(EventPlace { written_in: row.int("written_in")?, position: row.int("position")? })
    }
}

/// The position near which events of an instant lie, found by halving: positions and instants grow together.
async fn position_at(session: &mut Session, at: i64) -> Result<Option<i64>, Error> {
    let last = session.optional(&LAST_POSITION, Vec::new()).await?;
    let last = last.map(|row| row.optional_time("position")).transpose()?.flatten();
    let (mut low, mut high) = (0, last.map_or(0, Timestamp::as_millis) + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        match session.optional(&AT_POSITION, binds![middle]).await? {
            Some(row) if row.int("at")? < at => low = row.int("position")? + 1,
            _ => high = middle,
        }
    }
    Ok(Some(low))
}

impl std::fmt::Display for EventPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.written_in, self.position)
    }
}

impl std::str::FromStr for EventPlace {
    type Err = super::InvalidCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (written_in, position) = text.split_once('.').ok_or(super::InvalidCursor)?;
        let number = |text: &str| text.parse().map_err(|_| super::InvalidCursor);
        Ok(Self { written_in: number(written_in)?, position: number(position)? })
    }
}

pub(super) fn read(row: &Row) -> Result<StoredEvent, Error> {
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
