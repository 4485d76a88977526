//! What the brake holds: how much, why and for how long; releases that take two people; holds that nobody looks at.

use std::time::Duration;

use serde_json::json;

use super::change::{Change, Changed, Moved, Order};
use super::sql::{Row, Session, Statement, Value, binds};
use super::{Error, Store, audit, brake};
use crate::clock::Timestamp;
use crate::id::{IncidentId, ReleaseId};
use crate::incident::brake::{AfterHold, Cause, Mode};
use crate::incident::{Actor, Event, EventKind};

/// All that is held.
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// By issuer and cause.
    pub groups: Vec<HeldGroup>,
    /// Releases that wait for a second person, oldest first.
    pub requests: Vec<ReleaseRequest>,
}

/// Tokens of one issuer that are held for one reason.
#[derive(Clone, Debug)]
pub struct HeldGroup {
    pub issuer: String,
    pub cause: Cause,
    pub incidents: i64,
    /// Of them, held for longer than the policy allows.
    pub overdue: i64,
    pub oldest_at: Timestamp,
    /// Some of them, the oldest first.
    pub sample: Vec<IncidentId>,
}

/// A release that one person asked for.
#[derive(Clone, Debug)]
pub struct ReleaseRequest {
    pub id: ReleaseId,
    pub incidents: i64,
    pub reason: String,
    pub requested_by: String,
    pub requested_at: Timestamp,
}

/// Why a request was not decided.
#[derive(Debug, thiserror::Error)]
pub enum DecisionError {
    #[error("a release that was not decided within {} hours is over: ask for it again", REQUEST_FOR.as_secs() / 3_600)]
    Expired,
    #[error("there is no release that waits under this id")]
    NotPending,
    #[error("a release takes two people, and this one was asked for by the same")]
    SamePerson,
    #[error(transparent)]
    Store(#[from] Error),
}

/// Holds that lasted too long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overdue {
    /// Held for too long and still held, as far as it is time to say so again.
    pub told: i64,
    /// Revoked although nobody released them, for the policy says so.
    pub released: u64,
}

/// How long a request waits for a second person.
const REQUEST_FOR: Duration = Duration::from_hours(24);
/// How often it is said that a token is held for too long.
const TELL_EVERY: Duration = Duration::from_hours(1);
const SAMPLE: u32 = 5;
const BATCH: u32 = 500;

static GROUPS: Statement = Statement::new(
    "-- holds.groups
     SELECT issuer, cause, count(*) AS incidents, min(held_at) AS oldest_at,
            count(CASE WHEN held_at <= $1 AND cause <> 'dry_run' THEN 1 END) AS overdue
     FROM holds
     GROUP BY issuer, cause
     ORDER BY issuer, cause",
);

static SAMPLES: Statement = Statement::new(
    "-- holds.sample
     SELECT incident_id
     FROM holds
     WHERE issuer = $1
       AND cause = $2
     ORDER BY incident_id
     LIMIT $3",
);

static PENDING: Statement = Statement::new(
    "-- releases.pending
     SELECT id, incidents, reason, requested_by, requested_at
     FROM release_requests
     WHERE state = 'pending'
       AND requested_at > $1
     ORDER BY id",
);

static INSERT_REQUEST: Statement = Statement::new(
    "-- releases.insert
     INSERT INTO release_requests (id, state, incidents, reason, requested_by, requested_at)
     VALUES ($1, 'pending', 0, $2, $3, $4)",
);

static CLAIM_HOLDS: Statement = Statement::new(
    "-- releases.claim
     UPDATE holds
     SET request_id = $2
     WHERE incident_id {in $1}
       AND request_id IS NULL",
);

static COUNTED: Statement = Statement::new(
    "-- releases.counted
     UPDATE release_requests
     SET incidents = $2
     WHERE id = $1",
);

static READ_REQUEST: Statement = Statement::new(
    "-- releases.read
     SELECT state, requested_by, requested_at, incidents
     FROM release_requests
     WHERE id = $1
     {lock}",
);

static DECIDE: Statement = Statement::new(
    "-- releases.decide
     UPDATE release_requests
     SET state = $2, decided_by = $3, decided_at = $4
     WHERE id = $1",
);

static FREE_HOLDS: Statement = Statement::new(
    "-- releases.free
     UPDATE holds
     SET request_id = NULL
     WHERE request_id = $1",
);

static OF_REQUEST: Statement = Statement::new(
    "-- releases.holds
     SELECT incident_id
     FROM holds
     WHERE request_id = $1
     ORDER BY incident_id
     LIMIT $2",
);

static EXPIRED: Statement = Statement::new(
    "-- releases.expired
     SELECT id
     FROM release_requests
     WHERE state = 'pending'
       AND requested_at <= $1
     {lock}",
);

// Approved, and the process that released them died in between.
static UNFINISHED: Statement = Statement::new(
    "-- releases.unfinished
     SELECT DISTINCT release_requests.id, release_requests.decided_by
     FROM holds
     JOIN release_requests ON release_requests.id = holds.request_id
     WHERE holds.request_id IS NOT NULL
       AND release_requests.state = 'approved'",
);

static TELL: Statement = Statement::new(
    "-- holds.tell
     UPDATE holds
     SET told_at = $2
     WHERE held_at <= $1
       AND cause <> 'dry_run'
       AND (told_at IS NULL OR told_at <= $3)",
);

static OVERDUE: Statement = Statement::new(
    "-- holds.overdue
     SELECT incident_id
     FROM holds
     WHERE held_at <= $1
       AND cause <> 'dry_run'
     ORDER BY held_at
     LIMIT $2",
);

static ORPHANS: Statement = Statement::new(
    "-- holds.orphans
     SELECT incident_id
     FROM holds
     WHERE NOT EXISTS (SELECT 1
                       FROM incidents
                       WHERE incidents.id = holds.incident_id
                         -- While its issuer is asked again, what was held is neither free nor forgotten.
                         AND (incidents.state IN ('held', 'open')
                              OR (incidents.state = 'stuck' AND incidents.stuck_step = 'verify')))
     LIMIT $1",
);

impl Store {
    /// What is held now, and what waits for a second person.
    pub async fn held(&self) -> Result<Held, Error> {
        let now = self.clock.now();
        let mut session = self.read().await?;
        let mut groups = Vec::new();
        for row in session.all(&GROUPS, binds![now.minus(self.brake.hold_at_most)]).await? {
            let (issuer, cause) = (row.text("issuer")?, row.parsed::<Cause>("cause")?);
            let sample = session.all(&SAMPLES, binds![issuer.as_str(), cause.word(), SAMPLE]).await?;
            groups.push(HeldGroup {
                issuer,
                cause,
                incidents: row.int("incidents")?,
                overdue: row.int("overdue")?,
                oldest_at: row.time("oldest_at")?,
                sample: ids(&sample)?,
            });
        }
        let requests = session.all(&PENDING, binds![now.minus(REQUEST_FOR)]).await?;
        let request = |row: &Row| {
            Ok(ReleaseRequest {
                id: row.parsed("id")?,
                incidents: row.int("incidents")?,
                reason: row.text("reason")?,
                requested_by: row.text("requested_by")?,
                requested_at: row.time("requested_at")?,
            })
        };
        Ok(Held { groups, requests: requests.iter().map(request).collect::<Result<_, Error>>()? })
    }

    pub(super) async fn request_release(&self, ids: Vec<IncidentId>, order: &Order) -> Result<Changed, Error> {
        let now = self.clock.now();
        let work = (ReleaseId::generate(now), ids, order.clone(), now);
        self.write(work, |session, (id, ids, order, now)| Box::pin(request(session, *id, ids, order, *now))).await
    }

    /// The second person approves: everything is released that the first asked for and that is still held.
    ///
    /// # Errors
    /// [`DecisionError::SamePerson`] when it is the person who asked.
    pub async fn approve_release(&self, id: ReleaseId, order: &Order) -> Result<Moved, DecisionError> {
        self.decide(id, Decision::Approve, order).await?;
        Ok(self.release_approved(id, order).await?)
    }

    /// Anybody, the person who asked too, takes a request back; everything stays held.
    ///
    /// # Errors
    /// [`DecisionError::NotPending`] when it was decided already.
    pub async fn withdraw_release(&self, id: ReleaseId, order: &Order) -> Result<(), DecisionError> {
        self.decide(id, Decision::Withdraw, order).await
    }

    async fn decide(&self, id: ReleaseId, decision: Decision, order: &Order) -> Result<(), DecisionError> {
        let work = (id, decision, order.clone(), self.clock.now());
        let decided = self
            .write(work, |session, (id, decision, order, now)| Box::pin(decide(session, *id, *decision, order, *now)));
        decided.await?
    }

    async fn release_approved(&self, id: ReleaseId, order: &Order) -> Result<Moved, Error> {
        let mut done = Moved::default();
        loop {
            let rows = self.read().await?.all(&OF_REQUEST, binds![id, BATCH]).await?;
            let held = ids(&rows)?;
            let Moved { moved, refused } = self.change_ids(Change::Release, &held, order, Some(id)).await?;
            let progress = !moved.is_empty();
            done.moved.extend(moved);
            done.refused.extend(refused);
            if !progress {
                return Ok(done);
            }
        }
    }

    /// Looks after what is held: ends what two people began, frees what nobody decided, deals with what is held for too
    /// long as the policy says. Any machine, any number of times.
    pub async fn mind_holds(&self, actor: &Actor) -> Result<Overdue, Error> {
        let now = self.clock.now();
        self.write((now, actor.clone()), |session, (now, actor)| Box::pin(tidy(session, actor, *now))).await?;
        for row in self.read().await?.all(&UNFINISHED, Vec::new()).await? {
            let order = Order { actor: actor.clone(), reason: row.optional_text("decided_by")? };
            self.release_approved(row.parsed("id")?, &order).await?;
        }
        let since = now.minus(self.brake.hold_at_most);
        let mut released = 0;
        if self.brake.after_hold == AfterHold::Revoke && self.brake.mode != Mode::DryRun {
            let reason = Some("held for longer than the policy allows".to_owned());
            let order = Order { actor: actor.clone(), reason };
            loop {
                let rows = self.read().await?.all(&OVERDUE, binds![since, BATCH]).await?;
                let moved = self.change_ids(Change::Release, &ids(&rows)?, &order, None).await?.moved.len();
                released += u64::try_from(moved).unwrap_or(u64::MAX);
                if moved == 0 {
                    break;
                }
            }
        }
        let told = self.write((since, now), |session, (since, now)| {
            Box::pin(session.run(&TELL, binds![*since, *now, now.minus(TELL_EVERY)]))
        });
        Ok(Overdue { told: i64::try_from(told.await?).unwrap_or(i64::MAX), released })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    Approve,
    Withdraw,
}

fn ids(rows: &[Row]) -> Result<Vec<IncidentId>, Error> {
    rows.iter().map(|row| row.parsed("incident_id")).collect()
}

async fn request(
    session: &mut Session,
    id: ReleaseId,
    ids: &[IncidentId],
    order: &Order,
    now: Timestamp,
) -> Result<Changed, Error> {
    let reason = order.reason.as_deref().unwrap_or_default();
    session.run(&INSERT_REQUEST, binds![id, reason, order.actor.text(), now]).await?;
    let incidents = session.run(&CLAIM_HOLDS, vec![Value::list(ids), Value::from(id)]).await?;
    let counted = i64::try_from(incidents).unwrap_or(i64::MAX);
    session.run(&COUNTED, binds![id, counted]).await?;
    let detail = json!({ "request": id, "incidents": incidents, "reason": reason });
    let event = Event::new(now, order.actor.clone(), EventKind::ReleaseRequested, None).with(detail);
    audit::insert(session, &[event]).await?;
    Ok(Changed::Requested { id, incidents })
}

async fn decide(
    session: &mut Session,
    id: ReleaseId,
    decision: Decision,
    order: &Order,
    now: Timestamp,
) -> Result<Result<(), DecisionError>, Error> {
    let Some(row) = session.optional(&READ_REQUEST, binds![id]).await? else {
        return Ok(Err(DecisionError::NotPending));
    };
    if row.text("state")? != "pending" {
        return Ok(Err(DecisionError::NotPending));
    }
    if now.since(row.time("requested_at")?) >= REQUEST_FOR {
        return Ok(Err(DecisionError::Expired));
    }
    let (state, kind) = match decision {
        Decision::Approve if row.text("requested_by")? == order.actor.text() => {
            return Ok(Err(DecisionError::SamePerson));
        }
        Decision::Approve => ("approved", EventKind::ReleaseApproved),
        Decision::Withdraw => ("withdrawn", EventKind::ReleaseWithdrawn),
    };
    session.run(&DECIDE, binds![id, state, order.actor.text(), now]).await?;
    if decision == Decision::Withdraw {
        session.run(&FREE_HOLDS, binds![id]).await?;
    }
    let detail = json!({ "request": id, "incidents": row.int("incidents")?, "reason": order.reason });
    audit::insert(session, &[Event::new(now, order.actor.clone(), kind, None).with(detail)]).await?;
    Ok(Ok(()))
}

async fn tidy(session: &mut Session, actor: &Actor, now: Timestamp) -> Result<(), Error> {
    let mut events = Vec::new();
    for row in session.all(&EXPIRED, binds![now.minus(REQUEST_FOR)]).await? {
        let id: ReleaseId = row.parsed("id")?;
        session.run(&DECIDE, binds![id, "expired", actor.text(), now]).await?;
        session.run(&FREE_HOLDS, binds![id]).await?;
        let detail = json!({ "request": id, "expired": true });
        events.push(Event::new(now, actor.clone(), EventKind::ReleaseWithdrawn, None).with(detail));
    }
    let orphans = ids(&session.all(&ORPHANS, binds![BATCH]).await?)?;
    events.extend(brake::let_go(session, &orphans, actor, now).await?);
    brake::forget(session, now).await?;
    audit::insert(session, &events).await
}
