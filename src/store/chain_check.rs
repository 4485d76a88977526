//! Verifying the chain: every event is there, word for word, in its place, and none that does not belong.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde::Serialize;

use super::audit::{EventPlace, RawEvent};
use super::audit_key::AuditKey;
use super::chain::{BLOCK, ChainHead, block_hash, proved};
use super::sql::{Row, Session, Statement, binds};
use super::{Error, Store};
use crate::clock::Timestamp;

/// What a verification found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ChainReport {
    pub blocks: i64,
    /// Events in the blocks that were verified.
    pub events: i64,
    /// Events that no block holds yet.
    pub unsealed: i64,
    /// When the last block was sealed.
    pub sealed_at: Option<Timestamp>,
    /// Number and hash of the last block, to be kept elsewhere: it proves later that nothing was cut off.
    pub head: Option<(i64, String)>,
    /// Empty is good. At most `MAX_FAULTS`.
    pub faults: Vec<ChainFault>,
}

/// One thing that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum ChainFault {
    /// The block's hash is not that of its events in their order after the block before.
    BlockChanged {
        block: i64,
    },
    BlockMissing {
        block: i64,
    },
    /// The event is not what was written, or stanch did not write it.
    EventChanged {
        position: i64,
    },
    /// No block holds it, although the chain is past its place.
    EventInserted {
        position: i64,
    },
    EventMissing {
        position: i64,
    },
    /// The same event stands twice.
    EventRepeated {
        position: i64,
    },
    /// The end of the chain is not its last block, or not the one it is expected to lead through.
    HeadChanged,
}

pub const MAX_FAULTS: usize = 1_000;
const BLOCKS_AT_ONCE: u32 = 50;
const POSITIONS_AT_ONCE: u32 = 20_000;

static BLOCKS: Statement = Statement::new(
    "-- chain.blocks
     SELECT number, positions, first_position, last_position, hash, sealed_at
     FROM audit_blocks
     WHERE number > $1
     ORDER BY number
     LIMIT $2",
);

static EVENTS: Statement = Statement::new(
    "-- chain.events
     SELECT written_in, position, id, at, actor, kind, incident_id, detail, mac
     FROM events
     WHERE position >= $1
       AND position <= $2
     ORDER BY position
     LIMIT $3",
);

static POSITIONS: Statement = Statement::new(
    "-- chain.positions
     SELECT position, written_in
     FROM events
     WHERE position > $1
     ORDER BY position
     LIMIT $2",
);

struct Block {
    number: i64,
    positions: Vec<[i64; 2]>,
    first: i64,
    last: i64,
    hash: String,
    sealed_at: Timestamp,
}

/// A verification under way.
struct Check {
    key: AuditKey,
    report: ChainReport,
    found: HashSet<ChainFault>,
    /// Hash of the block before, as stored; none if that block is not known.
    before: Option<String>,
    /// Hashes of the ids that were met.
    ids: HashSet<u64>,
    proved_before: bool,
    covered: Vec<[i64; 2]>,
}

impl Store {
    /// Verifies the whole trail. `expected` is a head that was kept elsewhere, through which the chain must lead.
    pub async fn verify_audit(&self, expected: Option<(i64, &str)>) -> Result<ChainReport, Error> {
        let mut session = self.read().await?;
        let mut check = Check::new(session.audit_key()?, Some(String::new()));
        let head = self.chain_head().await?;
        let mut number = 0;
        loop {
            let blocks = blocks(&mut session, number, BLOCKS_AT_ONCE).await?;
            let Some(last) = blocks.last() else { break };
            number = last.number;
            for block in blocks.into_iter().filter(|block| block.number <= head.block) {
                if expected.is_some_and(|(at, hash)| at == block.number && hash != block.hash) {
                    check.fault(ChainFault::HeadChanged);
                }
                check.block(&mut session, &block).await?;
            }
        }
        check.end(&mut session, &head).await?;
        if expected.is_some_and(|(at, _)| at > check.report.blocks) {
            check.fault(ChainFault::HeadChanged);
        }
        Ok(check.report)
    }

    /// Verifies some blocks after `after`, as a service does now and then; returns what it found and the last block's
    /// number, or none at the end of the chain.
    pub async fn verify_audit_blocks(&self, after: i64, limit: u32) -> Result<(ChainReport, Option<i64>), Error> {
        let mut session = self.read().await?;
        let mut check = Check::new(session.audit_key()?, (after == 0).then(String::new));
        if let Some(before) = blocks(&mut session, after - 1, 1).await?.pop().filter(|it| it.number == after) {
            check.proved_before = proved(&mut session, before.positions.last().map_or(0, |[_, last]| *last)).await?;
            check.before = Some(before.hash);
        }
        check.report.blocks = after;
        let found = blocks(&mut session, after, limit).await?;
        let last = found.last().map(|block| block.number);
        for block in found {
            check.block(&mut session, &block).await?;
        }
        Ok((check.report, last))
    }
}

impl Block {
    /// Whether it lists no more than a block holds, all of it between its first and last position.
    fn is_possible(&self) -> bool {
        let inside = |[first, last]: &[i64; 2]| self.first <= *first && first <= last && *last <= self.last;
        let events = self.positions.iter().map(|[first, last]| last.saturating_sub(*first).saturating_add(1));
        self.positions.iter().all(inside) && events.fold(0, i64::saturating_add) <= i64::from(BLOCK)
    }
}

impl ChainReport {
    pub fn is_intact(&self) -> bool {
        self.faults.is_empty()
    }
}

impl Check {
    fn new(key: AuditKey, before: Option<String>) -> Self {
        Self {
            key,
            report: ChainReport::default(),
            found: HashSet::new(),
            before,
            ids: HashSet::new(),
            proved_before: false,
            covered: Vec::new(),
        }
    }

    fn fault(&mut self, fault: ChainFault) {
        if self.report.faults.len() < MAX_FAULTS && self.found.insert(fault.clone()) {
            self.report.faults.push(fault);
        }
    }

    async fn block(&mut self, session: &mut Session, block: &Block) -> Result<(), Error> {
        for missing in self.report.blocks + 1..block.number {
            self.fault(ChainFault::BlockMissing { block: missing });
            self.before = None;
            if self.report.faults.len() >= MAX_FAULTS {
                break;
            }
        }
        let faults = self.report.faults.len();
        if !block.is_possible() {
            self.fault(ChainFault::BlockChanged { block: block.number });
            (self.before, self.report.blocks) = (Some(block.hash.clone()), block.number);
            return Ok(());
        }
        let mut stored = stored(session, block).await?;
        let mut events = Vec::with_capacity(stored.len());
        for position in block.positions.iter().flat_map(|[first, last]| *first..=*last) {
            match stored.remove(&position) {
                Some(event) => events.push(event),
                None => self.fault(ChainFault::EventMissing { position }),
            }
        }
        for event in &events {
            self.event(event);
        }
        let hash = block_hash(&self.key, block.number, self.before.as_deref().unwrap_or_default(), &events);
        // What is wrong with an event was told already, and after a missing block nobody knows.
        if hash != block.hash && self.before.is_some() && self.report.faults.len() == faults {
            self.fault(ChainFault::BlockChanged { block: block.number });
        }
        self.before = Some(block.hash.clone());
        self.covered.extend(&block.positions);
        self.report.blocks = block.number;
        self.report.events += i64::try_from(events.len()).unwrap_or(i64::MAX);
        self.report.sealed_at = Some(block.sealed_at);
        self.report.head = Some((block.number, block.hash.clone()));
        Ok(())
    }

    fn event(&mut self, event: &RawEvent) {
        let position = event.place.position;
        match &event.mac {
            // From before there was a chain.
            None if !self.proved_before => {}
            Some(mac) if *mac == event.prove(&self.key) => self.proved_before = true,
            None | Some(_) => self.fault(ChainFault::EventChanged { position }),
        }
        let mut hasher = DefaultHasher::new();
        event.id.hash(&mut hasher);
        if !self.ids.insert(hasher.finish()) {
            self.fault(ChainFault::EventRepeated { position });
        }
    }

    /// What lies outside of the blocks: nothing before the head's place, and only genuine events after it.
    async fn end(&mut self, session: &mut Session, head: &ChainHead) -> Result<(), Error> {
        let last = self.report.head.as_ref().map_or((0, ""), |(number, hash)| (*number, hash.as_str()));
        if last != (head.block, head.hash.as_str()) {
            self.fault(ChainFault::HeadChanged);
        }
        self.covered.sort_unstable();
        let mut after = 0;
        loop {
            let rows = session.all(&POSITIONS, binds![after, POSITIONS_AT_ONCE]).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = last.int("position")?;
            for row in &rows {
                let place = EventPlace { position: row.int("position")?, written_in: row.int("written_in")? };
                if is_covered(&self.covered, place.position) {
                    continue;
                }
                if place <= head.place {
                    self.fault(ChainFault::EventInserted { position: place.position });
                } else {
                    self.report.unsealed += 1;
                    if self.report.unsealed <= i64::from(BLOCK) {
                        let of_place = session.all(&EVENTS, binds![place.position, place.position, 1_i64]).await?;
                        for event in of_place.iter().map(RawEvent::read) {
                            self.event(&event?);
                        }
                    }
                }
            }
        }
    }
}

fn is_covered(covered: &[[i64; 2]], position: i64) -> bool {
    let after = covered.partition_point(|[first, _]| *first <= position);
    after.checked_sub(1).and_then(|at| covered.get(at)).is_some_and(|[_, last]| position <= *last)
}

async fn blocks(session: &mut Session, after: i64, limit: u32) -> Result<Vec<Block>, Error> {
    session.all(&BLOCKS, binds![after, limit]).await?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Block, Error> {
    let positions =
        serde_json::from_str(&row.text("positions")?).map_err(|error| Error::corrupt("positions", error))?;
    Ok(Block {
        number: row.int("number")?,
        positions,
        first: row.int("first_position")?,
        last: row.int("last_position")?,
        hash: row.text("hash")?,
        sealed_at: row.time("sealed_at")?,
    })
}

/// The events between a block's first and last position, by position.
async fn stored(session: &mut Session, block: &Block) -> Result<HashMap<i64, RawEvent>, Error> {
    let mut stored = HashMap::new();
    let mut from = block.first;
    loop {
        let rows = session.all(&EVENTS, binds![from, block.last, BLOCK]).await?;
        for row in &rows {
            let event = RawEvent::read(row)?;
            from = event.place.position + 1;
            stored.insert(event.place.position, event);
        }
        if rows.len() < usize::try_from(BLOCK).unwrap_or(usize::MAX) {
            return Ok(stored);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_found_in_its_range() {
        let covered = [[1, 3], [5, 5], [7, 9]];
        let inside: Vec<i64> = (0..11).filter(|position| is_covered(&covered, *position)).collect();
        assert_eq!(inside, [1, 2, 3, 5, 7, 8, 9]);
    }
}
