//! The brake in the database: counting live tokens, and holding those that are over a budget.
//!
//! A token is counted in the transaction that makes its incident live, before anybody could revoke it, so that a process
//! may die anywhere and many count as one. Whoever counts holds the lock of the brake of all until its commit; it takes
//! that lock last, after those of incidents and jobs.

use std::collections::BTreeMap;
use std::time::Duration;

use metrics::counter;
use serde_json::json;
use tracing::error;

use super::sql::{Bulk, Session, Statement, Value, binds};
use super::{Error, Store, ledger};
use crate::clock::Timestamp;
use crate::crash;
use crate::id::IncidentId;
use crate::incident::brake::{Candidate, Cause, Ledger, Mode, Policy, Ruling, Scope};
use crate::incident::{Actor, Event, EventKind, Incident, IssuerName, State, drill};
use crate::telemetry::metric;

/// A brake that went on.
#[derive(Clone, Debug)]
pub(super) struct Trip {
    pub scope: Scope,
    pub reason: String,
}

/// What became of tokens that were about to be revoked.
#[derive(Debug, Default)]
pub(super) struct Admission {
    pub held: Vec<IncidentId>,
    pub events: Vec<Event>,
    pub trips: Vec<Trip>,
}

const HOUR: Duration = Duration::from_hours(1);
/// Counted spans are kept this long; no window is longer.
pub(super) const LONGEST_WINDOW: Duration = Duration::from_hours(24);
/// Rows of one bulk statement's list.
const IN_ONE: usize = 500;

static LOCK: Statement = Statement::new(
    "-- brake.lock
     SELECT scope
     FROM brakes
     WHERE scope = 'all'
     {lock}",
);

static COUNT: Bulk = Bulk::new(
    5,
    "-- brake.count
     INSERT INTO brake_spent (span_at, issuer, origin, impact, tokens)
     VALUES {rows}
     ON CONFLICT (span_at, issuer, origin, impact) DO UPDATE
     SET tokens = brake_spent.tokens + excluded.tokens",
);

static COUNT_HOUR: Bulk = Bulk::new(
    4,
    "-- brake.count_hour
     INSERT INTO brake_hours (hour_at, issuer, tokens, tripped)
     VALUES {rows}
     ON CONFLICT (hour_at, issuer) DO UPDATE
     SET tokens = brake_hours.tokens + excluded.tokens,
         tripped = CASE WHEN excluded.tripped = 1 THEN 1 ELSE brake_hours.tripped END",
);

static TURN_ON: Bulk = Bulk::new(
    6,
    "-- brake.turn_on
     INSERT INTO brakes (scope, cause, issuer, origin, on_since, on_until)
     VALUES {rows}
     ON CONFLICT (scope) DO UPDATE
     SET on_since = excluded.on_since, on_until = excluded.on_until",
);

static HOLD: Bulk = Bulk::new(
    6,
    "-- brake.hold
     INSERT INTO holds (incident_id, cause, issuer, kind, origin, held_at)
     VALUES {rows}
     ON CONFLICT (incident_id) DO UPDATE
     SET cause = excluded.cause, issuer = excluded.issuer, held_at = excluded.held_at, told_at = NULL, request_id = NULL",
);

static HOLD_STORED: Statement = Statement::new(
    "-- brake.hold_stored
     UPDATE incidents
     SET state = 'held', reason = $2, version = version + 1
     WHERE id {in $1}",
);

static WITHOUT_JOBS: Statement = Statement::new(
    "-- brake.without_jobs
     DELETE FROM jobs
     WHERE incident_id {in $1}",
);

static LET_GO: Statement = Statement::new(
    "-- brake.let_go
     DELETE FROM holds
     WHERE incident_id {in $1}",
);

// A brake lets pass again once nothing is held because of it: a person has decided about all that it stopped.
static TURN_OFF: Statement = Statement::new(
    "-- brake.turn_off
     UPDATE brakes
     SET on_since = NULL, on_until = NULL
     WHERE on_since IS NOT NULL
       AND NOT EXISTS (SELECT 1
                       FROM holds
                       WHERE holds.cause = brakes.cause
                         AND (brakes.issuer IS NULL OR holds.issuer = brakes.issuer)
                         AND (brakes.origin IS NULL OR holds.origin = brakes.origin))
     RETURNING scope, cause, issuer, origin",
);

static HELD_BEFORE: Statement = Statement::new(
    "-- brake.held_before
     SELECT cause
     FROM holds
     WHERE incident_id = $1",
);

static FRESH_BUDGET: Statement = Statement::new(
    "-- brake.fresh_budget
     DELETE FROM brake_spent
     WHERE ($1 = '' OR issuer = $1)
       AND ($2 = '' OR origin = $2)
       AND ($3 = '' OR impact = $3)",
);

static FORGET_SPANS: Statement = Statement::new(
    "-- brake.forget_spans
     DELETE FROM brake_spent
     WHERE span_at < $1",
);

static FORGET_HOURS: Statement = Statement::new(
    "-- brake.forget_hours
     DELETE FROM brake_hours
     WHERE hour_at < $1",
);

impl Store {
    /// The same store, with another policy of the brake than the default one.
    pub fn with_brake(mut self, policy: Policy) -> Self {
        self.brake = policy.into();
        self
    }

    /// How much may be revoked without a person; also whether this is a dry run.
    pub fn brake(&self) -> &Policy {
        &self.brake
    }
}

/// Counts tokens that just became live and holds those that are over a budget: their incidents are moved here, and their
/// holds and the brakes that go on are stored; the incidents themselves and the events are left to the caller.
pub(super) async fn admit(
    session: &mut Session,
    policy: &Policy,
    live: &mut [&mut Incident],
    actor: &Actor,
    now: Timestamp,
) -> Result<Admission, Error> {
    let mut admission = Admission::default();
    if live.is_empty() || policy.mode == Mode::Unlimited {
        return Ok(admission);
    }
    let mut ledger = match policy.mode {
        Mode::DryRun => Ledger::default(),
        Mode::Limited | Mode::Unlimited => {
            session.optional(&LOCK, Vec::new()).await?;
            ledger::read(session, policy, now).await?
        }
    };
    let (mut passed, mut holds) = (BTreeMap::<(String, String, &str), i64>::new(), Vec::new());
    for incident in live {
        let candidate = candidate(incident, policy);
        match rule(&mut ledger, policy, &candidate, now) {
            Ruling::Pass if candidate.origin == drill::ORIGIN => {}
            Ruling::Pass => {
                let Candidate { issuer, origin, impact } = candidate;
                *passed.entry((issuer.to_string(), origin, impact.word())).or_default() += 1;
            }
            Ruling::Hold { cause, reason, trips } => {
                holds.extend(binds![
                    incident.id,
                    cause.word(),
                    candidate.issuer.as_str(),
                    incident.kind.as_str(),
                    incident.origin.as_str(),
                    now,
                ]);
                let detail = json!({ "cause": cause.word(), "reason": reason });
                let event = Event::new(now, actor.clone(), EventKind::Held, Some(incident.id)).with(detail);
                admission.events.push(event);
                admission.held.push(incident.id);
                if let Some(scope) = trips {
                    admission.trips.push(Trip { scope, reason: reason.clone() });
                }
                incident.hold(reason)?;
            }
        }
    }
    session.insert(&HOLD, holds).await?;
    count(session, policy, &passed, &admission.trips, now).await?;
    for Trip { scope, reason } in &admission.trips {
        let detail = json!({ "scope": scope.to_string(), "reason": reason });
        admission.events.push(Event::new(now, actor.clone(), EventKind::BrakeOn, None).with(detail));
    }
    crash::point("brake.after_count");
    Ok(admission)
}

/// Why an incident that its issuer was asked about again is held as before, if it lives; none if it was not held.
pub(super) async fn held_before(session: &mut Session, before: &Incident) -> Result<Option<String>, Error> {
    // Only what was known to live can have been held; the first question costs no look.
    if before.state != State::Open || before.verdict != Some("live") {
        return Ok(None);
    }
    let row = session.optional(&HELD_BEFORE, binds![before.id]).await?;
    let cause = row.map(|row| row.parsed::<Cause>("cause")).transpose()?;
    Ok(cause.map(|cause| format!("asked again, it lives: held as before ({})", cause.word().replace('_', " "))))
}

/// A drill goes the way of every token, so a brake that is on stops it as well; but it spends no budget, and a brake that
/// would go on because of it stays off.
fn rule(ledger: &mut Ledger, policy: &Policy, candidate: &Candidate, now: Timestamp) -> Ruling {
    if candidate.origin != drill::ORIGIN {
        return ledger.rule(policy, candidate, now);
    }
    match ledger.clone().rule(policy, candidate, now) {
        Ruling::Hold { trips: Some(_), .. } => Ruling::Pass,
        other => other,
    }
}

fn candidate(incident: &Incident, policy: &Policy) -> Candidate {
    Candidate {
        issuer: incident.issuer.clone().unwrap_or_else(|| IssuerName::new("none")),
        origin: incident.origin.clone(),
        impact: policy.impact_of(incident),
    }
}

/// The part of a window in which tokens are counted together.
pub(super) fn span(policy: &Policy) -> Duration {
    (policy.window / 300).clamp(Duration::from_secs(1), Duration::from_mins(5))
}

fn start_of(now: Timestamp, span: Duration) -> Timestamp {
    let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX).max(1);
    Timestamp::from_millis(now.as_millis() - now.as_millis().rem_euclid(span))
}

async fn count(
    session: &mut Session,
    policy: &Policy,
    passed: &BTreeMap<(String, String, &str), i64>,
    trips: &[Trip],
    now: Timestamp,
) -> Result<(), Error> {
    let (span_at, hour_at) = (start_of(now, span(policy)), start_of(now, HOUR));
    let (mut spent, mut of_issuer) = (Vec::new(), BTreeMap::<String, (i64, i64)>::new());
    for ((issuer, origin, impact), tokens) in passed {
        spent.extend(binds![span_at, issuer.as_str(), origin.as_str(), *impact, *tokens]);
        of_issuer.entry(issuer.clone()).or_default().0 += tokens;
    }
    let mut on = Vec::new();
    for Trip { scope, .. } in trips {
        of_issuer.entry(scope.issuer().map_or_else(|| "all".into(), ToString::to_string)).or_default().1 = 1;
        let origin = match scope {
            Scope::Origin { origin, .. } => Some(origin.as_str()),
            Scope::All | Scope::HighImpact(_) | Scope::Issuer(_) => None,
        };
        let issuer = scope.issuer().map(IssuerName::as_str);
        on.extend(binds![scope.to_string(), scope.cause().word(), issuer, origin, now, policy.on_until(now)]);
    }
    let hours =
        of_issuer.iter().flat_map(|(issuer, (tokens, tripped))| binds![hour_at, issuer.as_str(), *tokens, *tripped]);
    session.insert(&COUNT, spent).await?;
    session.insert(&COUNT_HOUR, hours.collect()).await?;
    session.insert(&TURN_ON, on).await.map(drop)
}

/// As [`admit`], for incidents whose rows and jobs are stored already: those that are held are stored again.
pub(super) async fn admit_stored(
    session: &mut Session,
    policy: &Policy,
    mut live: Vec<&mut Incident>,
    actor: &Actor,
    now: Timestamp,
) -> Result<Admission, Error> {
    let admission = admit(session, policy, &mut live, actor, now).await?;
    if !admission.held.is_empty() {
        hold_stored(session, live.iter().map(|incident| &**incident)).await?;
    }
    Ok(admission)
}

/// Stores incidents as held whose rows and jobs were written before they were ruled on.
async fn hold_stored<'a>(session: &mut Session, incidents: impl Iterator<Item = &'a Incident>) -> Result<(), Error> {
    let mut by_reason: BTreeMap<&str, Vec<IncidentId>> = BTreeMap::new();
    for incident in incidents {
        if let State::Held { reason } = &incident.state {
            by_reason.entry(reason).or_default().push(incident.id);
        }
    }
    for (reason, ids) in by_reason {
        for ids in ids.chunks(IN_ONE) {
            session.run(&HOLD_STORED, vec![Value::list(ids), Value::from(reason)]).await?;
            session.run(&WITHOUT_JOBS, vec![Value::list(ids)]).await?;
        }
    }
    Ok(())
}

/// Forgets that incidents were held, for they are not any more, and lets brakes pass again that hold nothing now.
pub(super) async fn let_go(
    session: &mut Session,
    ids: &[IncidentId],
    actor: &Actor,
    now: Timestamp,
) -> Result<Vec<Event>, Error> {
    if ids.is_empty() || session.run(&LET_GO, vec![Value::list(ids)]).await? == 0 {
        return Ok(Vec::new());
    }
    session.optional(&LOCK, Vec::new()).await?;
    let mut events = Vec::new();
    for row in session.all(&TURN_OFF, Vec::new()).await? {
        let (issuer, origin) = (row.optional_text("issuer")?, row.optional_text("origin")?);
        let impact = if row.parsed::<Cause>("cause")? == Cause::HighImpact { "high" } else { "" };
        session.run(&FRESH_BUDGET, binds![issuer.unwrap_or_default(), origin.unwrap_or_default(), impact]).await?;
        let detail = json!({ "scope": row.text("scope")? });
        events.push(Event::new(now, actor.clone(), EventKind::BrakeOff, None).with(detail));
    }
    Ok(events)
}

/// Deletes counts that no window and no week reaches any more.
pub(super) async fn forget(session: &mut Session, now: Timestamp) -> Result<(), Error> {
    session.run(&FORGET_SPANS, binds![now.minus(2 * LONGEST_WINDOW)]).await?;
    session.run(&FORGET_HOURS, binds![now.minus(ledger::WEEK_BEGINS).minus(HOUR)]).await.map(drop)
}

/// Raises the alarm, once the brake is on for good.
pub(super) fn tell(trips: &[Trip]) {
    for Trip { scope, reason } in trips {
        let issuer = scope.issuer().map_or_else(|| "all".to_owned(), ToString::to_string);
        counter!(metric::BRAKE_TRIPS_TOTAL, "issuer" => issuer, "cause" => scope.cause().word()).increment(1);
        error!(
            scope = %scope,
            "the brake is on, {reason}; live tokens are held now: see `stanch incident held`, then release or dismiss them"
        );
    }
}
