//! What people stop by hand: an issuer, or everything. Honoured by every worker at its next claim, on every machine.
//!
//! A pause keeps jobs where they are: nothing is lost, nothing counts as failed, deliveries are still accepted. A call
//! that is under way when the pause comes is ended.

use serde_json::json;

use super::change::Order;
use super::sql::{Row, Session, Statement, binds};
use super::{Error, Store, audit};
use crate::clock::Timestamp;
use crate::incident::{Event, EventKind, IssuerName};

/// What is paused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Paused {
    /// No issuer is called and no mail is sent.
    Everything,
    /// This issuer is not called.
    Issuer(IssuerName),
}

/// A pause, as it is shown.
#[derive(Clone, Debug)]
pub struct Pause {
    pub what: Paused,
    /// Who paused it: `operator:ada`.
    pub actor: String,
    pub reason: String,
    pub paused_at: Timestamp,
}

const EVERYTHING: &str = "*";

static LIST: Statement = Statement::new(
    "-- pauses.list
     SELECT issuer, actor, reason, paused_at
     FROM pauses
     ORDER BY issuer",
);

static INSERT: Statement = Statement::new(
    "-- pauses.insert
     INSERT INTO pauses (issuer, actor, reason, paused_at)
     VALUES ($1, $2, $3, $4)
     ON CONFLICT (issuer) DO NOTHING",
);

static DELETE: Statement = Statement::new(
    "-- pauses.delete
     DELETE FROM pauses
     WHERE issuer = $1",
);

impl Paused {
    fn word(&self) -> &str {
        match self {
            Self::Everything => EVERYTHING,
            Self::Issuer(name) => name.as_str(),
        }
    }
}

impl Store {
    /// What is paused now.
    pub async fn pauses(&self) -> Result<Vec<Pause>, Error> {
        let pause = |row: &Row| {
            let issuer = row.text("issuer")?;
            Ok(Pause {
                what: if issuer == EVERYTHING { Paused::Everything } else { Paused::Issuer(IssuerName::new(&issuer)) },
                actor: row.text("actor")?,
                reason: row.text("reason")?,
                paused_at: row.time("paused_at")?,
            })
        };
        self.read().await?.all(&LIST, Vec::new()).await?.iter().map(pause).collect()
    }

    /// Pauses; false if it was paused already, and then nothing is changed.
    pub async fn pause(&self, what: &Paused, order: &Order) -> Result<bool, Error> {
        let work = (what.clone(), order.clone(), self.clock.now());
        self.write(work, |session, (what, order, now)| Box::pin(pause(session, what, order, *now))).await
    }

    /// Resumes; false if it was not paused.
    pub async fn resume(&self, what: &Paused, order: &Order) -> Result<bool, Error> {
        let work = (what.clone(), order.clone(), self.clock.now());
        self.write(work, |session, (what, order, now)| Box::pin(resume(session, what, order, *now))).await
    }
}

async fn pause(session: &mut Session, what: &Paused, order: &Order, now: Timestamp) -> Result<bool, Error> {
    let reason = order.reason.as_deref().unwrap_or_default();
    let changed = session.run(&INSERT, binds![what.word(), order.actor.text(), reason, now]).await? == 1;
    if changed {
        record(session, EventKind::Paused, what, order, now).await?;
    }
    Ok(changed)
}

async fn resume(session: &mut Session, what: &Paused, order: &Order, now: Timestamp) -> Result<bool, Error> {
    let changed = session.run(&DELETE, binds![what.word()]).await? == 1;
    if changed {
        session.mark_work_due();
        record(session, EventKind::Resumed, what, order, now).await?;
    }
    Ok(changed)
}

async fn record(
    session: &mut Session,
    kind: EventKind,
    what: &Paused,
    order: &Order,
    now: Timestamp,
) -> Result<(), Error> {
    let detail = json!({ "issuer": what.word(), "reason": order.reason });
    audit::insert(session, &[Event::new(now, order.actor.clone(), kind, None).with(detail)]).await
}
