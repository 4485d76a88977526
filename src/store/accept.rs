//! Accepting a delivery: everything a reporter told us, in one transaction.
//!
//! This is the path that a reporter waits on. Rows of one kind go in together, a token that a local issuer called dead
//! or not ours is closed at once, and nothing is sealed that no step will open.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::brake::Trip;
use super::delivery::{Accepted, NewDelivery, NewReport, NewToken, ReportContent};
use super::seal::SealRing;
use super::sql::{Bulk, Session, Statement, Value, binds};
use super::{Error, audit, brake, incident_row, moves, places, secrets};
use crate::clock::Timestamp;
use crate::crash;
use crate::id::{DeliveryId, IncidentId};
use crate::incident::brake::Policy;
use crate::incident::{Actor, Event, EventKind, IllegalMove, Incident, Label, Outcome, State, Verdict};
use crate::token::Fingerprint;

pub(super) struct AcceptWork {
    pub brake: Arc<Policy>,
    pub delivery: NewDelivery,
    pub seal: Arc<SealRing>,
    pub now: Timestamp,
    /// When the places of an incident that is closed at once must be gone.
    pub purge_at: Timestamp,
}

/// How long a body that comes again is the delivery that it was. Later it is a new one: what was dead, never issued or of
/// no known kind then may be a live token now, and its reporter can say so in no other words.
const SAME_FOR: Duration = Duration::from_hours(24);

/// How long a closed incident's verdict of dead or not ours is believed. An issuer may learn late of its own token.
const ASK_AGAIN_AFTER: Duration = Duration::from_hours(1);

static INSERT: Statement = Statement::new(
    "-- deliveries.insert
     INSERT INTO deliveries (id, origin, key_id, body_sha256, received_at, reports)
     VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (origin, body_sha256) DO NOTHING",
);

// Its hash stays readable, and is no longer in the way of the delivery that comes after it.
static OUTLIVED: Statement = Statement::new(
    "-- deliveries.outlived
     UPDATE deliveries
     SET body_sha256 = body_sha256 || ' ' || id
     WHERE origin = $1
       AND body_sha256 = $2
       AND received_at <= $3",
);

static FIND: Statement = Statement::new(
    "-- deliveries.find
     SELECT id
     FROM deliveries
     WHERE origin = $1
       AND body_sha256 = $2",
);

static LABELS: Statement = Statement::new(
    "-- reports.labels
     SELECT label
     FROM reports
     WHERE delivery_id = $1
     ORDER BY position",
);

static KNOWN: Statement = Statement::new(
    "-- incidents.known
     SELECT {incident}
     FROM incidents
     WHERE fingerprint {in $1}
     -- Two deliveries with the same tokens lock them in the same order and do not deadlock.
     ORDER BY fingerprint
     {lock}",
);

static INSERT_REPORTS: Bulk = Bulk::new(
    6,
    "-- reports.insert
     INSERT INTO reports (delivery_id, position, outcome, reason, incident_id, label)
     VALUES {rows}",
);

/// An incident that this delivery touches, and what it does to it.
struct Touched {
    incident: Incident,
    /// Index of the token in the delivery.
    token: usize,
    effect: Effect,
    /// How many records of this delivery name it.
    reports: i64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// Only named again.
    Named,
    Opened,
    /// Judged at the door, or asked about again.
    Moved {
        reopened: bool,
    },
}

pub(super) async fn accept(session: &mut Session, work: &mut AcceptWork) -> Result<(Accepted, Vec<Trip>), Error> {
    let delivery = &work.delivery;
    let is_new = insert_delivery(session, delivery).await?
        || (outlived(session, delivery).await? && insert_delivery(session, delivery).await?);
    if !is_new {
        return Ok((replay(session, delivery).await?, Vec::new()));
    }
    let (mut touched, of_token) = touch(session, work).await?;
    for report in &delivery.reports {
        if let ReportContent::Token(token) = report.content
            && let Some(touched) = of_token.get(token).and_then(|at| touched.get_mut(*at))
        {
            touched.reports += 1;
        }
    }
    store_incidents(session, &mut touched, work).await?;
    let incident_of = |report: &NewReport| match report.content {
        ReportContent::Token(token) => of_token.get(token).and_then(|at| touched.get(*at)).map(|it| &it.incident),
        ReportContent::Malformed { .. } | ReportContent::Unrecognized => None,
    };
    let label_of = |report| incident_of(report).and_then(label);
    let labels: Vec<Option<Label>> =
        delivery.reports.iter().map(|report| report.label.or_else(|| label_of(report))).collect();
    places::store(session, delivery, work.now, work.purge_at, incident_of).await?;
    store_reports(session, delivery, &labels, incident_of).await?;
    let mut events: Vec<Event> = touched.iter().flat_map(|touched| events(touched, work)).collect();
    // Last of all, for it takes the one lock that all who count share.
    let live = touched.iter_mut().filter(|it| it.effect != Effect::Named && it.incident.state == State::Live);
    let live = live.map(|it| &mut it.incident).collect();
    let admission = brake::admit_stored(session, &work.brake, live, &Actor::Delivery(delivery.id), work.now).await?;
    events.extend(admission.events);
    audit::insert(session, &events).await?;
    crash::point("accept.before_commit");
    let opened = touched.iter().filter(|it| it.effect == Effect::Opened).map(|it| it.incident.id).collect();
    Ok((Accepted::Stored { labels, opened }, admission.trips))
}

async fn insert_delivery(session: &mut Session, delivery: &NewDelivery) -> Result<bool, Error> {
    let binds = vec![
        delivery.id.into(),
        delivery.origin.as_str().into(),
        delivery.key_id.as_str().into(),
        Value::hex(&delivery.body_sha256),
        delivery.received_at.into(),
        delivery.reports.len().into(),
    ];
    Ok(session.run(&INSERT, binds).await? == 1)
}

/// Whether the delivery with the same body is so old that this one is another.
async fn outlived(session: &mut Session, delivery: &NewDelivery) -> Result<bool, Error> {
    let since = delivery.received_at.minus(SAME_FOR);
    let binds = vec![delivery.origin.as_str().into(), Value::hex(&delivery.body_sha256), since.into()];
    Ok(session.run(&OUTLIVED, binds).await? > 0)
}

async fn replay(session: &mut Session, delivery: &NewDelivery) -> Result<Accepted, Error> {
    let binds = vec![delivery.origin.as_str().into(), Value::hex(&delivery.body_sha256)];
    let row = session.optional(&FIND, binds).await?.ok_or(Error::NotFound { what: "delivery" })?;
    let delivery_id: DeliveryId = row.parsed("id")?;
    let rows = session.all(&LABELS, binds![delivery_id]).await?;
    let labels = rows.iter().map(|row| row.optional_text("label")?.as_deref().map(read_label).transpose());
    Ok(Accepted::Replayed { delivery_id, labels: labels.collect::<Result<_, _>>()? })
}

/// Finds or opens the incident of each token. Returns them, and for each token where its incident is among them.
async fn touch(session: &mut Session, work: &AcceptWork) -> Result<(Vec<Touched>, Vec<usize>), Error> {
    let delivery = &work.delivery;
    let mut touched: Vec<Touched> = Vec::with_capacity(delivery.tokens.len());
    let mut by_fingerprint: HashMap<Fingerprint, usize> = HashMap::new();
    let fingerprints: Vec<&Fingerprint> = delivery.tokens.iter().flat_map(|token| &token.fingerprints).collect();
    let mut known = known(session, &fingerprints).await?;
    for (index, token) in delivery.tokens.iter().enumerate() {
        if token.fingerprints.iter().any(|fingerprint| by_fingerprint.contains_key(fingerprint)) {
            continue;
        }
        let at_hand = token.fingerprints.iter().find_map(|fingerprint| known.remove(fingerprint));
        let entry = match at_hand {
            Some(incident) => named(incident, index, token, work)?,
            None => opened(index, token, work)?,
        };
        for fingerprint in &token.fingerprints {
            by_fingerprint.insert(fingerprint.clone(), touched.len());
        }
        touched.push(entry);
    }
    insert_opened(session, &mut touched, work).await?;
    let of_token = delivery.tokens.iter().map(|token| {
        let mut places = token.fingerprints.iter().filter_map(|fingerprint| by_fingerprint.get(fingerprint));
        places.next().copied().ok_or(Error::NotFound { what: "fingerprint of a token" })
    });
    let of_token = of_token.collect::<Result<_, _>>()?;
    Ok((touched, of_token))
}

async fn known(session: &mut Session, fingerprints: &[&Fingerprint]) -> Result<HashMap<Fingerprint, Incident>, Error> {
    if fingerprints.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = session.all(&KNOWN, vec![Value::list(fingerprints)]).await?;
    let incidents = rows.iter().map(|row| incident_row::read(row).map(|it| (it.fingerprint.clone(), it)));
    incidents.collect()
}

/// Inserts the incidents that are new. One that another machine inserted meanwhile is used instead of ours.
async fn insert_opened(session: &mut Session, touched: &mut [Touched], work: &AcceptWork) -> Result<(), Error> {
    let mut opened: Vec<&Incident> =
        touched.iter().filter(|it| it.effect == Effect::Opened).map(|it| &it.incident).collect();
    if opened.is_empty() {
        return Ok(());
    }
    // In the order in which they are locked, so that two machines with the same new tokens do not deadlock.
    opened.sort_by(|a, b| a.fingerprint.cmp(&b.fingerprint));
    let inserted = incident_row::insert(session, &opened).await?;
    if inserted.len() == opened.len() {
        return Ok(());
    }
    let inserted: std::collections::HashSet<Fingerprint> = inserted.into_iter().collect();
    let raced = |it: &&Touched| it.effect == Effect::Opened && !inserted.contains(&it.incident.fingerprint);
    let missing: Vec<&Fingerprint> = touched.iter().filter(raced).map(|it| &it.incident.fingerprint).collect();
    let mut theirs = known(session, &missing).await?;
    for it in touched.iter_mut().filter(|it| raced(&&**it)) {
        let incident = theirs.remove(&it.incident.fingerprint).ok_or(Error::NotFound { what: "incident" })?;
        let token = work.delivery.tokens.get(it.token).ok_or(Error::NotFound { what: "token" })?;
        *it = named(incident, it.token, token, work)?;
    }
    Ok(())
}

fn opened(index: usize, token: &NewToken, work: &AcceptWork) -> Result<Touched, Error> {
    let fingerprint = token.fingerprints.first().ok_or(Error::NotFound { what: "fingerprint of a token" })?;
    let mut incident = Incident {
        id: IncidentId::generate(work.now),
        delivery_id: work.delivery.id,
        origin: work.delivery.origin.clone(),
        kind: token.kind.clone(),
        fingerprint: fingerprint.clone(),
        confidence: token.confidence,
        hint: token.hint.clone(),
        issuer: token.issuer.clone(),
        state: State::Open,
        verdict: None,
        token: None,
        notice_id: None,
        received_at: work.delivery.received_at,
        verified_at: None,
        revoked_at: None,
        notified_at: None,
        closed_at: None,
        revoke_tried: false,
        version: 0,
    };
    judge(&mut incident, token, work.now)?;
    Ok(Touched { incident, token: index, effect: Effect::Opened, reports: 0 })
}

/// What a report of a known token does to its incident.
fn named(mut incident: Incident, index: usize, token: &NewToken, work: &AcceptWork) -> Result<Touched, Error> {
    let reopened = asks_again(&incident, token, work.now);
    if reopened {
        incident.reopen()?;
        // From now on it is an incident of this delivery, for the mail that it may share and for how long it took.
        incident.delivery_id = work.delivery.id;
        incident.received_at = work.delivery.received_at;
        incident.issuer.clone_from(&token.issuer);
    }
    let judged = judge(&mut incident, token, work.now)?;
    let effect = if reopened || judged { Effect::Moved { reopened } } else { Effect::Named };
    Ok(Touched { incident, token: index, effect, reports: 0 })
}

/// Whether an incident that is over starts again because of this report.
fn asks_again(incident: &Incident, token: &NewToken, now: Timestamp) -> bool {
    let State::Closed(outcome) = incident.state else { return false };
    match &token.verdict {
        Some(Verdict::Live(_)) => true,
        Some(Verdict::Dead(_) | Verdict::Forged(_) | Verdict::NotOurs) => false,
        None | Some(Verdict::Unknown(_)) => {
            let believed = incident.closed_at.is_some_and(|at| now.since(at) <= ASK_AGAIN_AFTER);
            matches!(outcome, Outcome::AlreadyDead | Outcome::NotOurs) && !believed
        }
    }
}

/// Applies what a local issuer said at the door, to the end if nothing is left to do. Returns whether it changed
/// anything.
fn judge(incident: &mut Incident, token: &NewToken, now: Timestamp) -> Result<bool, IllegalMove> {
    let Some(verdict) = token.verdict.as_ref().filter(|_| incident.state == State::Open) else { return Ok(false) };
    incident.judge(verdict, now)?;
    if matches!(incident.state, State::Settled(_)) {
        incident.close(now)?;
    }
    Ok(!matches!(verdict, Verdict::Unknown(_)))
}

/// Stores the moves of incidents that were there, and the secrets and jobs of all.
async fn store_incidents(session: &mut Session, touched: &mut [Touched], work: &AcceptWork) -> Result<(), Error> {
    for it in touched.iter_mut().filter(|it| matches!(it.effect, Effect::Moved { .. })) {
        moves::store(session, &mut it.incident, work.now, work.purge_at).await?;
    }
    // An incident that was open kept its secret; one that starts again lost it when it was closed.
    let starts = |it: &&Touched| matches!(it.effect, Effect::Opened | Effect::Moved { reopened: true });
    let needing = touched.iter().filter(starts).filter(|it| it.incident.needs_secret());
    let of_token = |it: &Touched| work.delivery.tokens.get(it.token).map(|token| (it.incident.id, &token.secret));
    secrets::put(session, &work.seal, needing.filter_map(of_token)).await?;
    let opened = touched.iter().filter(|it| it.effect == Effect::Opened).map(|it| &it.incident);
    moves::place_jobs(session, opened, work.now).await
}

async fn store_reports<'a>(
    session: &mut Session,
    delivery: &NewDelivery,
    labels: &[Option<Label>],
    incident_of: impl Fn(&NewReport) -> Option<&'a Incident>,
) -> Result<(), Error> {
    let mut values = Vec::with_capacity(delivery.reports.len() * 6);
    for (position, (report, label)) in delivery.reports.iter().zip(labels).enumerate() {
        let (outcome, reason) = match report.content {
            ReportContent::Malformed { reason } => ("malformed", Some(reason)),
            ReportContent::Token(_) => ("token", None),
            ReportContent::Unrecognized => ("unrecognized", None),
        };
        let incident_id = incident_of(report).map(|incident| incident.id);
        values.extend(binds![delivery.id, position, outcome, reason, incident_id, label.map(Label::word)]);
    }
    session.insert(&INSERT_REPORTS, values).await.map(drop)
}

fn events(touched: &Touched, work: &AcceptWork) -> Vec<Event> {
    let Touched { incident, effect, reports, .. } = touched;
    let actor = Actor::Delivery(work.delivery.id);
    let event = |kind| Event::new(work.now, actor.clone(), kind, Some(incident.id));
    let judged = incident.verified_at == Some(work.now) && *effect != Effect::Named;
    let closed = matches!(incident.state, State::Closed(_));
    let verified = judged.then(|| {
        let detail = serde_json::json!({ "verdict": incident.verdict, "at_the_door": true, "closed": closed });
        event(EventKind::Verified).with(detail)
    });
    let first = match effect {
        Effect::Named | Effect::Moved { reopened: false } => {
            event(EventKind::Reported).with(serde_json::json!({ "reports": reports }))
        }
        Effect::Opened => event(EventKind::Opened),
        Effect::Moved { reopened: true } => event(EventKind::Reopened),
    };
    std::iter::once(first).chain(verified).collect()
}

/// What an incident's last verdict means for the reporter.
fn label(incident: &Incident) -> Option<Label> {
    match incident.verdict? {
        "live" | "dead" => Some(Label::TruePositive),
        "forged" | "not_ours" => Some(Label::FalsePositive),
        _ => None,
    }
}

fn read_label(word: &str) -> Result<Label, Error> {
    [Label::FalsePositive, Label::TruePositive]
        .into_iter()
        .find(|label| label.word() == word)
        .ok_or_else(|| Error::corrupt("label", "not a word this version knows"))
}
