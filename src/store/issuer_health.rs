//! How the issuers are, as each process that works finds them. Written now and then; who reads looks at how old it is.

use std::time::Duration;

use super::sql::{Bulk, Row, Statement, binds};
use super::{Error, Store};
use crate::clock::Timestamp;
use crate::incident::IssuerName;

/// One issuer, as one process finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerHealth {
    pub issuer: IssuerName,
    /// The process that says so.
    pub node: String,
    /// `closed`, `half_open`, `open` or `misconfigured`.
    pub breaker: String,
    /// Why it is not called now.
    pub reason: Option<String>,
    pub resting_until: Option<Timestamp>,
    pub updated_at: Timestamp,
}

/// What is older says nothing any more.
const REMEMBERED_FOR: Duration = Duration::from_hours(24);

static PUT: Bulk = Bulk::new(
    6,
    "-- issuer_health.put
     INSERT INTO issuer_health (issuer, node, breaker, reason, resting_until, updated_at)
     VALUES {rows}
     ON CONFLICT (issuer, node) DO UPDATE
     SET breaker = excluded.breaker, reason = excluded.reason, resting_until = excluded.resting_until,
         updated_at = excluded.updated_at",
);

static FORGET: Statement = Statement::new(
    "-- issuer_health.forget
     DELETE FROM issuer_health
     WHERE updated_at < $1",
);

static READ: Statement = Statement::new(
    "-- issuer_health.read
     SELECT issuer, node, breaker, reason, resting_until, updated_at
     FROM issuer_health
     WHERE updated_at >= $1
     ORDER BY issuer, node",
);

impl Store {
    /// Records how this process finds the issuers.
    pub async fn put_issuer_health(&self, found: Vec<IssuerHealth>) -> Result<(), Error> {
        let work = (found, self.clock.now().minus(REMEMBERED_FOR));
        self.write(work, |session, (found, oldest)| {
            Box::pin(async move {
                let values = found.iter().flat_map(|it| {
                    let IssuerHealth { issuer, node, breaker, reason, resting_until, updated_at } = it;
                    binds![
                        issuer.as_str(),
                        node.as_str(),
                        breaker.as_str(),
                        reason.as_deref(),
                        *resting_until,
                        *updated_at
                    ]
                });
                session.insert(&PUT, values.collect()).await?;
                session.run(&FORGET, binds![*oldest]).await.map(drop)
            })
        })
        .await
    }

    /// What the processes said in the last day.
    pub async fn issuer_health(&self) -> Result<Vec<IssuerHealth>, Error> {
        let oldest = self.clock.now().minus(REMEMBERED_FOR);
        self.read().await?.all(&READ, binds![oldest]).await?.iter().map(read).collect()
    }
}

fn read(row: &Row) -> Result<IssuerHealth, Error> {
    Ok(IssuerHealth {
        issuer: IssuerName::new(&row.text("issuer")?),
        node: row.text("node")?,
        breaker: row.text("breaker")?,
        reason: row.optional_text("reason")?,
        resting_until: row.optional_time("resting_until")?,
        updated_at: row.time("updated_at")?,
    })
}
