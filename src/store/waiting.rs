//! Counts of what waits, for gauges: read again and again, so each is read from an index.

use super::sql::{Row, Statement, binds};
use super::{Error, Store};
use crate::incident::Step;

/// What waits for a person or for time.
#[derive(Clone, Debug, Default)]
pub struct Waiting {
    /// Held tokens, by issuer.
    pub held: Vec<(String, i64)>,
    /// Of them, held for longer than the policy allows.
    pub overdue_holds: i64,
    /// Tokens that their issuer called live and that are not revoked, by issuer.
    pub live: Vec<(String, i64)>,
    /// Places that are not purged although their date has passed.
    pub overdue_purges: i64,
    /// Incidents that are stuck, by step.
    pub stuck: Vec<(Step, i64)>,
}

static HELD: Statement = Statement::new(
    "-- waiting.held
     SELECT issuer, count(*) AS waiting
     FROM holds
     GROUP BY issuer",
);

static OVERDUE_HOLDS: Statement = Statement::new(
    "-- waiting.overdue_holds
     SELECT count(*) AS waiting
     FROM holds
     WHERE held_at <= $1
       AND cause <> 'dry_run'",
);

// A token is known to live from its verdict on: waiting for its revocation, held before it, or stuck at it.
static LIVE: Statement = Statement::new(
    "-- waiting.live
     SELECT COALESCE(issuer, 'none') AS issuer, count(*) AS waiting
     FROM incidents
     WHERE state IN ('held', 'live', 'stuck')
       AND (state <> 'stuck' OR stuck_step = 'revoke')
     GROUP BY COALESCE(issuer, 'none')",
);

static OVERDUE_PURGES: Statement = Statement::new(
    "-- waiting.overdue_purges
     SELECT count(*) AS waiting
     FROM occurrences
     WHERE purge_at <= $1
       AND purge_at IS NOT NULL
       AND sent_type IS NOT NULL",
);

static STUCK: Statement = Statement::new(
    "-- waiting.stuck
     SELECT stuck_step, count(*) AS waiting
     FROM incidents
     WHERE state = 'stuck'
     GROUP BY stuck_step",
);

impl Store {
    /// What waits now.
    pub async fn waiting(&self) -> Result<Waiting, Error> {
        let now = self.clock.now();
        let mut session = self.read().await?;
        let by_issuer = |row: &Row| Ok((row.text("issuer")?, row.int("waiting")?));
        let held = session.all(&HELD, Vec::new()).await?;
        let live = session.all(&LIVE, Vec::new()).await?;
        let stuck = session.all(&STUCK, Vec::new()).await?;
        let one = |rows: Vec<Row>| rows.first().map_or(Ok(0), |row| row.int("waiting"));
        Ok(Waiting {
            held: held.iter().map(by_issuer).collect::<Result<_, Error>>()?,
            overdue_holds: one(session.all(&OVERDUE_HOLDS, binds![now.minus(self.brake.hold_at_most)]).await?)?,
            live: live.iter().map(by_issuer).collect::<Result<_, Error>>()?,
            overdue_purges: one(session.all(&OVERDUE_PURGES, binds![now]).await?)?,
            stuck: stuck
                .iter()
                .map(|row| Ok((row.parsed("stuck_step")?, row.int("waiting")?)))
                .collect::<Result<_, Error>>()?,
        })
    }
}
