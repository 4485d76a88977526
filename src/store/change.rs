//! An operator's moves on many incidents: release, dismiss, retry, ask again, tell again.
//!
//! Chosen one by one or by a filter with a cap; without either, nothing is chosen. Each is done in batches, each batch in
//! one transaction with its audit events, so that a process that dies in between leaves whole incidents, and the same
//! order given again does the rest.

use std::collections::HashSet;

use serde_json::json;

use super::sql::{Row, Session, Statement, Value};
use super::{Error, Store, audit, brake, incident_row, moves};
use crate::clock::Timestamp;
use crate::crash;
use crate::id::{IncidentId, NoticeId, ReleaseId};
use crate::incident::brake::{Cause, ReleaseBy};
use crate::incident::{Actor, Event, EventKind, IllegalMove, Incident, Step};

/// What a person decides about incidents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// Nothing more is to be done; the token is not revoked.
    Dismiss,
    /// Have the issuer asked again; what is held stays held if it lives.
    Recheck,
    /// Let the revocations go on that the brake stopped.
    Release,
    /// Have the owner of a revoked token told again. One by one only: by a filter nobody is mailed.
    Resend,
    /// Go on where it stopped.
    Retry,
}

/// Who decided, and why.
#[derive(Clone, Debug)]
pub struct Order {
    pub actor: Actor,
    /// Kept in the audit trail, so without secrets in it.
    pub reason: Option<String>,
}

/// Which incidents a change is about, among those that it can be made on. Empty: all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeFilter {
    pub issuer: Option<String>,
    pub kind: Option<String>,
    /// Who reported it first.
    pub origin: Option<String>,
    /// Why it is held.
    pub cause: Option<Cause>,
    /// Where it is stuck.
    pub step: Option<Step>,
    /// Received before this moment.
    pub before: Option<Timestamp>,
}

/// What a change is made on.
#[derive(Clone, Debug)]
pub enum Selection {
    Ids(Vec<IncidentId>),
    /// The oldest first, at most this many.
    Matching {
        filter: ChangeFilter,
        limit: u32,
    },
}

/// What a change by filter would be made on.
#[derive(Clone, Debug)]
pub struct Preview {
    pub incidents: i64,
    /// Some of them, the oldest first.
    pub sample: Vec<IncidentId>,
}

/// What became of an order.
#[derive(Clone, Debug)]
pub enum Changed {
    Done(Moved),
    /// A second person must approve it.
    Requested {
        id: ReleaseId,
        incidents: u64,
    },
}

#[derive(Clone, Debug, Default)]
pub struct Moved {
    pub moved: Vec<IncidentId>,
    /// Those on which the change could not be made, and why in our words.
    pub refused: Vec<(IncidentId, String)>,
}

/// Most incidents of one order by filter.
pub const MOST: u32 = 10_000;
const BATCH: usize = 100;
const SAMPLE: u32 = 5;

macro_rules! selected {
    ($name:ident, $first:literal, $columns:literal, $end:literal) => {
        static $name: Statement = Statement::new(concat!(
            $first,
            "
             SELECT ",
            $columns,
            "
             FROM incidents
             LEFT JOIN holds ON holds.incident_id = incidents.id
             WHERE incidents.state {in $1}
               AND ($2 = '' OR incidents.issuer = $2)
               AND ($3 = '' OR incidents.kind = $3)
               AND ($4 = '' OR incidents.origin = $4)
               AND ($5 = '' OR holds.cause = $5)
               AND ($6 = '' OR incidents.stuck_step = $6)
               AND ($7 = 0 OR incidents.received_at < $7)
               -- What waits for a second person's word is not asked for again.
               AND holds.request_id IS NULL
             ",
            $end
        ));
    };
}
selected!(MATCHING, "-- change.matching", "incidents.id", "ORDER BY incidents.id LIMIT $8");
selected!(COUNT, "-- change.count", "count(*) AS incidents", "");

static LOCK: Statement = Statement::new(
    "-- change.lock
     SELECT {incident}
     FROM incidents
     WHERE id {in $1}
     ORDER BY fingerprint
     {lock}",
);

// The address of a mail goes with the incidents it told about; they will be told by another one.
static FORGET_ADDRESSES: Statement = Statement::new(
    "-- change.forget_addresses
     UPDATE notices
     SET address = NULL
     WHERE id {in $1}
       AND address IS NOT NULL
       AND NOT EXISTS (SELECT 1 FROM incidents WHERE incidents.notice_id = notices.id)",
);

impl Change {
    fn states(self) -> &'static [&'static str] {
        match self {
            // By filter, only what already waits for a person: an open incident may be seconds from its revocation.
            Self::Dismiss | Self::Recheck => &["held", "stuck"],
            Self::Release => &["held"],
            Self::Resend => &[],
            Self::Retry => &["stuck"],
        }
    }

    /// Makes the move, or says why not.
    fn apply(self, incident: &mut Incident) -> Result<(EventKind, serde_json::Value), String> {
        let illegal = |refused: IllegalMove| refused.to_string();
        match self {
            Self::Dismiss => incident.dismiss().map(|()| (EventKind::Dismissed, json!({}))).map_err(illegal),
            Self::Recheck => incident.recheck().map(|()| (EventKind::Rechecked, json!({}))).map_err(illegal),
            Self::Release => incident.release().map(|()| (EventKind::Released, json!({}))).map_err(illegal),
            Self::Resend if !has_address(incident) => {
                Err("its owner's address is not known: the issuer named none, or it was erased on its date".into())
            }
            Self::Resend => incident.tell_again().map(|()| (EventKind::MailRequested, json!({}))).map_err(illegal),
            Self::Retry => {
                incident.retry().map(|step| (EventKind::Retried, json!({ "step": step.word() }))).map_err(illegal)
            }
        }
    }
}

fn has_address(incident: &Incident) -> bool {
    let owner = incident.token.as_ref().and_then(|token| token.owner.as_ref());
    owner.is_some_and(|owner| owner.email.is_some())
}

impl ChangeFilter {
    fn binds(&self, change: Change) -> Vec<Value> {
        let Self { issuer, kind, origin, cause, step, before } = self;
        let word = |word: Option<&str>| Value::from(word.unwrap_or_default());
        vec![
            Value::list(change.states()),
            word(issuer.as_deref()),
            word(kind.as_deref()),
            word(origin.as_deref()),
            word(cause.map(Cause::word)),
            word(step.map(Step::word)),
            Value::from(before.map_or(0, Timestamp::as_millis)),
        ]
    }
}

impl Store {
    /// What the change would be made on now, without making it.
    pub async fn preview(&self, change: Change, filter: &ChangeFilter) -> Result<Preview, Error> {
        let mut session = self.read().await?;
        let counted = session.optional(&COUNT, filter.binds(change)).await?;
        let incidents = counted.map_or(Ok(0), |row| row.int("incidents"))?;
        Ok(Preview { incidents, sample: matching(&mut session, change, filter, SAMPLE).await? })
    }

    /// Makes a change, or asks a second person for a release where the policy wants two.
    pub async fn change(&self, change: Change, selection: &Selection, order: &Order) -> Result<Changed, Error> {
        let ids = match selection {
            Selection::Ids(ids) => ids.clone(),
            Selection::Matching { filter, limit } => {
                matching(&mut self.read().await?, change, filter, (*limit).min(MOST)).await?
            }
        };
        if change == Change::Release && self.brake.release_by == ReleaseBy::TwoPersons {
            return self.request_release(ids, order).await;
        }
        self.change_ids(change, &ids, order, None).await.map(Changed::Done)
    }

    /// Makes a change on these, batch by batch; `request` is the release that a second person approved.
    pub(super) async fn change_ids(
        &self,
        change: Change,
        ids: &[IncidentId],
        order: &Order,
        request: Option<ReleaseId>,
    ) -> Result<Moved, Error> {
        let mut done = Moved::default();
        for ids in ids.chunks(BATCH) {
            let now = self.clock.now();
            let purge_at = now.plus(self.keep_reports_for);
            let work = Batch { change, ids: ids.to_vec(), order: order.clone(), request, now, purge_at };
            let Moved { moved, refused } = self.write(work, |session, work| Box::pin(run(session, work))).await?;
            crash::point("change.after_batch");
            done.moved.extend(moved);
            done.refused.extend(refused);
        }
        Ok(done)
    }
}

async fn matching(
    session: &mut Session,
    change: Change,
    filter: &ChangeFilter,
    limit: u32,
) -> Result<Vec<IncidentId>, Error> {
    let mut binds = filter.binds(change);
    binds.push(Value::from(limit));
    session.all(&MATCHING, binds).await?.iter().map(|row: &Row| row.parsed("id")).collect()
}

struct Batch {
    change: Change,
    ids: Vec<IncidentId>,
    order: Order,
    request: Option<ReleaseId>,
    now: Timestamp,
    purge_at: Timestamp,
}

async fn run(session: &mut Session, batch: &mut Batch) -> Result<Moved, Error> {
    let Batch { change, ids, order, request, now, purge_at } = batch;
    let rows = session.all(&LOCK, vec![Value::list(&*ids)]).await?;
    let incidents: Vec<Incident> = rows.iter().map(incident_row::read).collect::<Result<_, _>>()?;
    let found: HashSet<IncidentId> = incidents.iter().map(|incident| incident.id).collect();
    let unknown = ids.iter().filter(|id| !found.contains(id));
    let mut done = Moved { moved: Vec::new(), refused: unknown.map(|id| (*id, "no such incident".into())).collect() };
    let (mut moved, mut events) = (Vec::new(), Vec::new());
    let notices: Vec<NoticeId> = incidents.iter().filter_map(|incident| incident.notice_id).collect();
    for mut incident in incidents {
        match change.apply(&mut incident) {
            Ok((kind, detail)) => {
                events.push(event(&incident, kind, detail, order, *request, *now));
                moved.push(incident);
            }
            Err(why) => done.refused.push((incident.id, why)),
        }
    }
    for incident in &mut moved {
        incident_row::update(session, incident).await?;
        moves::finish(session, incident, *purge_at).await?;
        done.moved.push(incident.id);
    }
    moves::place_jobs(session, &moved, *now).await?;
    if *change == Change::Resend {
        session.run(&FORGET_ADDRESSES, vec![Value::list(notices)]).await?;
    }
    if *change != Change::Recheck {
        events.extend(brake::let_go(session, &done.moved, &order.actor, *now).await?);
    }
    audit::insert(session, &events).await?;
    Ok(done)
}

fn event(
    incident: &Incident,
    kind: EventKind,
    mut detail: serde_json::Value,
    order: &Order,
    request: Option<ReleaseId>,
    now: Timestamp,
) -> Event {
    if let Some(reason) = &order.reason {
        detail["reason"] = json!(reason);
    }
    if let Some(request) = request {
        detail["request"] = json!(request);
    }
    let event = Event::new(now, order.actor.clone(), kind, Some(incident.id));
    // An empty object says nothing.
    if detail.as_object().is_some_and(serde_json::Map::is_empty) { event } else { event.with(detail) }
}
