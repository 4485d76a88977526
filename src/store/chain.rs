//! The chain over the audit trail: blocks of events, each proved together with the block before it.
//!
//! Events are not chained as they are written: every transaction that stores one would have to wait for the one before,
//! and intake with it. Instead, a step that runs every second, on whichever machine comes first, seals what was committed
//! since: a block lists the positions of its events in order, and its hash covers the hash before it and every event word
//! for word. Between writing and sealing an event is proved by its own `mac`, so that nobody without the key can slip one
//! in; what can be lost without a trace is what was written in the last second.
//!
//! The order is that of transactions, not of positions: a position is taken before its transaction commits, so an event
//! with a smaller one may appear later. Once every transaction below a number is over
//! (`pg_snapshot_xmin`, PostgreSQL manual section 9.27.14), what they wrote is complete. After a restore into another
//! server these numbers begin anew; then what was restored is sealed first, and `floor` keeps it from being sealed twice.

use std::fmt::Write as _;

use super::audit::{EventPlace, RawEvent};
use super::audit_key::AuditKey;
use super::sql::{Session, Statement, binds};
use super::{Error, Store, follow};
use crate::clock::Timestamp;

/// What one sealing did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sealed {
    pub events: u64,
    /// Whether more waits already.
    pub more: bool,
    /// Events among them that stanch did not write.
    pub forged: u64,
}

/// The end of the chain. Kept elsewhere, it proves later that nothing was cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainHead {
    pub block: i64,
    /// Hexadecimal; empty before the first block.
    pub hash: String,
    /// Events in all blocks.
    pub events: i64,
    pub(super) place: EventPlace,
    floor: i64,
}

/// Most events of a block.
pub(super) const BLOCK: u32 = 2_000;
/// Events of one transaction. Every delivery waits for it where one connection writes, so it is far shorter than a block
/// may be: with whole blocks, bodies of 100 records at 50 a second were answered four times later (p99 179 ms, not 44).
const AT_ONCE: u32 = 250;

static HEAD: Statement = Statement::new(
    "-- chain.head
     SELECT number, hash, events, written_in, position, floor
     FROM audit_head
     WHERE name = 'chain'
     {lock}",
);

static PEEK: Statement = Statement::new(
    "-- chain.peek
     SELECT number, hash, events, written_in, position, floor
     FROM audit_head
     WHERE name = 'chain'",
);

// Asked after the head is locked: a snapshot from before the wait for the lock is older than the head it yields.
static NEXT_TRANSACTION: Statement = Statement::new(
    "-- chain.next_transaction
     SELECT {next_transaction} AS next_transaction",
);

static UNSEALED: Statement = Statement::new(
    "-- chain.unsealed
     SELECT written_in, position, id, at, actor, kind, incident_id, detail, mac
     FROM events
     WHERE {after $1 $2}
       AND {plain written_in} < {settled_below}
       AND {plain position} > $3
     ORDER BY {trail}
     LIMIT $4",
);

// After a restore: the numbers are of another server, and all that wrote them are over.
static RESTORED: Statement = Statement::new(
    "-- chain.restored
     SELECT written_in, position, id, at, actor, kind, incident_id, detail, mac
     FROM events
     WHERE {after $1 $2}
       AND {plain position} > $3
     ORDER BY {trail}
     LIMIT $4",
);

static LAST_POSITION: Statement = Statement::new(
    "-- chain.last_position
     SELECT COALESCE(max(position), 0) AS position
     FROM events",
);

static PROVED: Statement = Statement::new(
    "-- chain.proved
     SELECT mac
     FROM events
     WHERE position = $1",
);

static INSERT: Statement = Statement::new(
    "-- chain.insert
     INSERT INTO audit_blocks (number, positions, first_position, last_position, events, hash, sealed_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7)",
);

static ADVANCE: Statement = Statement::new(
    "-- chain.advance
     UPDATE audit_head
     SET number = $1, hash = $2, events = $3, written_in = $4, position = $5, floor = $6
     WHERE name = 'chain'",
);

impl Store {
    /// Seals what was committed since the last time, and counts the figures that follow the trail. Any machine, any number
    /// of times; at most one block.
    pub async fn seal_audit(&self) -> Result<Sealed, Error> {
        // Asked without a lock first: most of the time there is nothing, and machines need not wait for each other.
        let mut session = self.read().await?;
        let (head, restored) = peek(&mut session).await?;
        if !restored && unsealed(&mut session, &UNSEALED, &head, 1).await?.is_empty() {
            return Ok(Sealed::default());
        }
        drop(session);
        self.write(self.clock.now(), |session, now| Box::pin(seal(session, *now))).await
    }

    /// The end of the chain as it is now.
    pub async fn chain_head(&self) -> Result<ChainHead, Error> {
        Ok(peek(&mut self.read().await?).await?.0)
    }
}

async fn peek(session: &mut Session) -> Result<(ChainHead, bool), Error> {
    head(session, &PEEK).await
}

/// The head, and whether the numbers of transactions have begun anew since it was written.
async fn head(session: &mut Session, statement: &Statement) -> Result<(ChainHead, bool), Error> {
    let row = session.optional(statement, Vec::new()).await?.ok_or(Error::NotFound { what: "chain" })?;
    let place = EventPlace { written_in: row.int("written_in")?, position: row.int("position")? };
    let head = ChainHead {
        block: row.int("number")?,
        hash: row.text("hash")?,
        events: row.int("events")?,
        place,
        floor: row.int("floor")?,
    };
    let row = session.optional(&NEXT_TRANSACTION, Vec::new()).await?.ok_or(Error::NotFound { what: "transaction" })?;
    let restored = place.written_in >= row.int("next_transaction")?;
    Ok((head, restored))
}

async fn unsealed(
    session: &mut Session,
    statement: &Statement,
    head: &ChainHead,
    limit: u32,
) -> Result<Vec<RawEvent>, Error> {
    let binds = binds![head.place.written_in, head.place.position, head.floor, limit];
    session.all(statement, binds).await?.iter().map(RawEvent::read).collect()
}

async fn seal(session: &mut Session, now: Timestamp) -> Result<Sealed, Error> {
    let key = session.audit_key()?;
    let (mut head, restored) = head(session, &HEAD).await?;
    let proved_before = proved(session, head.place.position).await?;
    let events = unsealed(session, if restored { &RESTORED } else { &UNSEALED }, &head, AT_ONCE).await?;
    let more = events.len() >= usize::try_from(AT_ONCE).unwrap_or(usize::MAX);
    if let Some(last) = events.last() {
        head.block += 1;
        head.hash = block_hash(&key, head.block, &head.hash, &events);
        head.events += i64::try_from(events.len()).unwrap_or(i64::MAX);
        head.place = last.place;
        let positions = || events.iter().map(|event| event.place.position);
        let (first, last) = (positions().min().unwrap_or(0), positions().max().unwrap_or(0));
        let listed = ranges(positions());
        let binds = binds![head.block, listed, first, last, events.len(), head.hash.as_str(), now];
        session.run(&INSERT, binds).await?;
        follow::follow(session, &events).await?;
    }
    if restored && !more {
        let last = session.optional(&LAST_POSITION, Vec::new()).await?.ok_or(Error::NotFound { what: "event" })?;
        head.floor = last.int("position")?;
        head.place = EventPlace { written_in: 0, position: head.floor };
    }
    let ChainHead { block, hash, events: sealed, place, floor } = &head;
    session.run(&ADVANCE, binds![*block, hash.as_str(), *sealed, place.written_in, place.position, *floor]).await?;
    let forged = forged(&key, &events, proved_before);
    Ok(Sealed { events: u64::try_from(events.len()).unwrap_or(u64::MAX), more, forged })
}

/// Whether the event at this position carries a proof. Those of the time before the chain have none, and once one has,
/// all that come later must.
pub(super) async fn proved(session: &mut Session, position: i64) -> Result<bool, Error> {
    let row = session.optional(&PROVED, binds![position]).await?;
    Ok(row.map(|row| row.optional_text("mac")).transpose()?.flatten().is_some())
}

/// How many of the events stanch did not write. Those without any proof are from before the chain, if nothing with one
/// came earlier.
fn forged(key: &AuditKey, events: &[RawEvent], mut proved_before: bool) -> u64 {
    let mut forged = 0;
    for event in events {
        match &event.mac {
            None if !proved_before => {}
            Some(mac) if *mac == event.prove(key) => proved_before = true,
            None | Some(_) => forged += 1,
        }
    }
    forged
}

/// The hash of a block: over its number, the hash before it, and every event word for word, in order.
pub(super) fn block_hash(key: &AuditKey, number: i64, before: &str, events: &[RawEvent]) -> String {
    let number = number.to_be_bytes();
    let mut proofs = String::with_capacity(events.len() * 100);
    for event in events {
        // The words are in the proof that they give now, whatever stands in the row beside them.
        let stored = event.mac.as_deref().unwrap_or("none");
        let _ = writeln!(proofs, "{} {} {stored}", event.place.position, event.prove(key));
    }
    key.prove([b"stanch block 1".as_slice(), &number, before.as_bytes(), proofs.as_bytes()])
}

/// Positions in their order as a JSON list of `[first, last]`.
fn ranges(positions: impl Iterator<Item = i64>) -> String {
    let mut ranges: Vec<[i64; 2]> = Vec::new();
    for position in positions {
        match ranges.last_mut() {
            Some([_, last]) if *last + 1 == position => *last = position,
            _ => ranges.push([position, position]),
        }
    }
    serde_json::to_string(&ranges).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_keep_their_order_in_few_words() {
        assert_eq!(ranges([1, 2, 3, 9, 7, 8].into_iter()), "[[1,3],[9,9],[7,8]]");
        assert_eq!(ranges(std::iter::empty()), "[]");
    }

    #[tokio::test]
    async fn what_is_unsealed_is_found_without_a_walk_over_what_is_sealed() {
        use sqlx::{Connection as _, Row as _};

        let mut database = sqlx::SqliteConnection::connect("sqlite::memory:").await.expect("it opens");
        let schema = "CREATE TABLE events (position INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT, at INTEGER, actor TEXT,
                                           kind TEXT, incident_id TEXT, detail TEXT, mac TEXT, written_in INTEGER);
                      CREATE INDEX events_by_writing ON events (written_in, position)";
        sqlx::raw_sql(schema).execute(&mut database).await.expect("it is made");
        for statement in [&UNSEALED, &RESTORED] {
            let text = format!("EXPLAIN QUERY PLAN {}", statement.sqlite());
            let plan = sqlx::raw_sql(sqlx::AssertSqlSafe(text)).fetch_all(&mut database).await.expect("a plan");
            let plan: Vec<String> = plan.iter().map(|row| row.get("detail")).collect();
            assert_eq!(plan, ["SEARCH events USING INTEGER PRIMARY KEY (rowid>?)"]);
        }
    }
}
