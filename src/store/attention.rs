//! What needs a person: the one list that must be read. Empty is good.

use super::sql::{Row, Statement, binds};
use super::{Error, Store};
use crate::clock::Timestamp;
use crate::id::IncidentId;
use crate::incident::{IssuerName, Step};

/// Incidents that wait for a person for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingIncidents {
    pub issuer: Option<IssuerName>,
    /// Where a stuck one goes on after a retry; none for those that the brake holds.
    pub step: Option<Step>,
    pub reason: String,
    pub incidents: i64,
    /// When the oldest of them was received.
    pub oldest_received_at: Timestamp,
    /// One of them, to look at.
    pub example: IncidentId,
}

/// Everything that waits for a person.
#[derive(Clone, Debug, Default)]
pub struct NeedsHuman {
    /// Stopped by the brake: live tokens that are not revoked.
    pub held: Vec<WaitingIncidents>,
    /// A step that cannot go on. Those at [`Step::Notify`] are owners who cannot be told.
    pub stuck: Vec<WaitingIncidents>,
    /// Places whose purge date has passed for longer than a sweep takes.
    pub overdue_purges: i64,
}

impl NeedsHuman {
    pub fn is_empty(&self) -> bool {
        self.held.is_empty() && self.stuck.is_empty() && self.overdue_purges == 0
    }
}

/// Incidents that are looked at; the oldest ones. More than this is one incident of another kind.
const MAX_LOOKED_AT: u32 = 20_000;
/// Groups that are shown of each sort; those with the most incidents.
const MAX_GROUPS: u32 = 50;
/// How long a purge may be late before a person should know.
const PURGE_LATE_MILLIS: i64 = 3_600_000;
const MAX_OVERDUE: u32 = 10_000;

static WAITING: Statement = Statement::new(
    "-- attention.waiting
     SELECT issuer, stuck_step, reason, count(*) AS incidents, min(received_at) AS oldest_received_at,
            min(id) AS example
     FROM (SELECT id, issuer, stuck_step, COALESCE(reason, '') AS reason, received_at
           FROM incidents
           WHERE state = $1
           ORDER BY received_at
           LIMIT $2) AS waiting
     GROUP BY issuer, stuck_step, reason
     ORDER BY count(*) DESC, min(id)
     LIMIT $3",
);

static OVERDUE: Statement = Statement::new(
    "-- attention.overdue
     SELECT count(*) AS places
     FROM (SELECT 1 AS one
           FROM occurrences
           WHERE purge_at < $1
             AND purge_at IS NOT NULL
             AND sent_type IS NOT NULL
           LIMIT $2) AS overdue",
);

impl Store {
    /// What waits for a person now.
    pub async fn needs_human(&self) -> Result<NeedsHuman, Error> {
        let mut session = self.read().await?;
        let mut waiting = Vec::new();
        for state in ["held", "stuck"] {
            let rows = session.all(&WAITING, binds![state, MAX_LOOKED_AT, MAX_GROUPS]).await?;
            waiting.push(rows.iter().map(group).collect::<Result<Vec<_>, _>>()?);
        }
        let late = Timestamp::from_millis(self.clock.now().as_millis() - PURGE_LATE_MILLIS);
        let overdue = session.optional(&OVERDUE, binds![late, MAX_OVERDUE]).await?;
        let overdue_purges = overdue.map(|row| row.int("places")).transpose()?.unwrap_or(0);
        let stuck = waiting.pop().unwrap_or_default();
        let held = waiting.pop().unwrap_or_default();
        Ok(NeedsHuman { held, stuck, overdue_purges })
    }
}

fn group(row: &Row) -> Result<WaitingIncidents, Error> {
    Ok(WaitingIncidents {
        issuer: row.optional_text("issuer")?.as_deref().map(IssuerName::new),
        step: row.optional_parsed("stuck_step")?,
        reason: row.text("reason")?,
        incidents: row.int("incidents")?,
        oldest_received_at: row.time("oldest_received_at")?,
        example: row.parsed("example")?,
    })
}
