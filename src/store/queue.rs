//! The queue as an operator sees it: what waits, where, and for how long.

use super::sql::{Row, Statement, binds};
use super::{Error, Store};
use crate::clock::Timestamp;
use crate::incident::{IssuerName, Step};

/// The jobs of one step at one issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuePart {
    pub step: Step,
    /// Whom the step calls; none for incidents without an issuer.
    pub issuer: Option<IssuerName>,
    /// All jobs, running ones included.
    pub jobs: i64,
    /// Of them, those that could be taken now.
    pub due: i64,
    /// Of them, those that somebody works on.
    pub leased: i64,
    /// Of them, those whose last try failed.
    pub failing: i64,
    /// Due time of the oldest that is due or worked on.
    pub oldest_due_at: Option<Timestamp>,
}

static PARTS: Statement = Statement::new(
    "-- queue.parts
     SELECT step, issuer, count(*) AS jobs,
            sum(CASE WHEN due_at <= $1 AND lease_token IS NULL THEN 1 ELSE 0 END) AS due,
            sum(CASE WHEN lease_token IS NOT NULL THEN 1 ELSE 0 END) AS leased,
            sum(CASE WHEN tries > 0 THEN 1 ELSE 0 END) AS failing,
            min(CASE WHEN due_at <= $1 OR lease_token IS NOT NULL THEN due_at END) AS oldest_due_at
     FROM jobs
     GROUP BY step, issuer",
);

impl Store {
    /// The queue by step, in the order of an incident's life, and issuer.
    pub async fn queue(&self) -> Result<Vec<QueuePart>, Error> {
        let rows = self.read().await?.all(&PARTS, binds![self.clock.now()]).await?;
        let mut parts: Vec<QueuePart> = rows.iter().map(part).collect::<Result<_, _>>()?;
        parts.sort_by(|a, b| (a.step, &a.issuer).cmp(&(b.step, &b.issuer)));
        Ok(parts)
    }
}

fn part(row: &Row) -> Result<QueuePart, Error> {
    Ok(QueuePart {
        step: row.parsed("step")?,
        issuer: row.optional_text("issuer")?.as_deref().map(IssuerName::new),
        jobs: row.int("jobs")?,
        due: row.int("due")?,
        leased: row.int("leased")?,
        failing: row.int("failing")?,
        oldest_due_at: row.optional_time("oldest_due_at")?,
    })
}
