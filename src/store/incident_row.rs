//! Incidents as rows: reading one, inserting many, storing a move.

use super::Error;
use super::sql::{Bulk, Row, Session, Statement, Value, binds};
use crate::id::IncidentId;
use crate::incident::{EmailAddress, Incident, IssuedToken, IssuerName, Outcome, State, Step};
use crate::token::{Confidence, Fingerprint, KindId};

/// What `{incident}` in a statement stands for.
pub(super) const COLUMNS: &str = "incidents.id, incidents.delivery_id, incidents.origin, incidents.kind, \
    incidents.fingerprint, incidents.confidence, incidents.hint, incidents.issuer, incidents.state, \
    incidents.outcome, incidents.stuck_step, incidents.reason, incidents.verdict, incidents.token, \
    incidents.notice_id, incidents.received_at, incidents.verified_at, incidents.revoked_at, \
    incidents.notified_at, incidents.closed_at, incidents.revoke_tried, incidents.version";

static INSERT: Bulk = Bulk::new(
    24,
    "-- incidents.insert
     INSERT INTO incidents (id, delivery_id, origin, kind, fingerprint, confidence, hint, issuer,
                            state, outcome, stuck_step, reason, verdict, issued_token_id, owner_email, token,
                            notice_id, received_at, verified_at, revoked_at, notified_at, closed_at, revoke_tried,
                            version)
     VALUES {rows}
     -- Another machine may be storing the same token at this moment; whoever comes second uses its incident.
     ON CONFLICT (fingerprint) DO NOTHING
     RETURNING fingerprint",
);

static UPDATE: Statement = Statement::new(
    "-- incidents.update
     UPDATE incidents
     SET delivery_id = $3, issuer = $4, state = $5, outcome = $6, stuck_step = $7, reason = $8, verdict = $9,
         issued_token_id = $10, owner_email = $11, token = $12, notice_id = $13, received_at = $14,
         verified_at = $15, revoked_at = $16, notified_at = $17, closed_at = $18, revoke_tried = $19,
         version = version + 1
     WHERE id = $1
       AND version = $2",
);

static BY_IDS: Statement = Statement::new(
    "-- incidents.by_ids
     SELECT {incident}
     FROM incidents
     WHERE id {in $1}",
);

static LOCK: Statement = Statement::new(
    "-- incidents.lock
     SELECT {incident}
     FROM incidents
     WHERE id = $1
     {lock}",
);

static LAST_USE: Statement = Statement::new(
    "-- incidents.last_use
     SELECT id, last_used_at, last_used_from
     FROM tokens
     WHERE id {in $1}",
);

/// Brings up to date when the built-in issuer's tokens were used last: what an incident remembers is from the moment
/// of the verdict, and a use in the time between the report and the end is the one that matters.
pub(super) async fn refresh_use(session: &mut Session, incidents: &mut [Incident]) -> Result<(), Error> {
    let ids: Vec<String> =
        incidents.iter().filter(|it| it.is_builtin()).filter_map(|it| Some(it.token.as_ref()?.id.clone())).collect();
    if ids.is_empty() {
        return Ok(());
    }
    for row in session.all(&LAST_USE, vec![Value::list(&ids)]).await? {
        let id = row.text("id")?;
        let known = incidents.iter_mut().filter_map(|it| it.token.as_mut()).filter(|token| token.id == id);
        for token in known {
            token.last_used_at = row.optional_time("last_used_at")?;
            token.last_used_from = row.optional_text("last_used_from")?;
        }
    }
    Ok(())
}

/// Inserts incidents and returns the fingerprints of those that were not there yet.
pub(super) async fn insert(session: &mut Session, incidents: &[&Incident]) -> Result<Vec<Fingerprint>, Error> {
    let mut values = Vec::with_capacity(incidents.len() * 24);
    for incident in incidents {
        let state = StateColumns::of(&incident.state);
        let token = TokenColumns::of(incident)?;
        values.extend(binds![
            incident.id,
            incident.delivery_id,
            incident.origin.as_str(),
            incident.kind.as_str(),
            incident.fingerprint.as_str(),
            confidence_word(incident.confidence),
            incident.hint.as_str(),
            incident.issuer.as_ref().map(IssuerName::as_str),
            state.word,
            state.outcome,
            state.stuck_step,
            state.reason,
            incident.verdict,
            token.id,
            token.email,
            token.json,
            incident.notice_id,
            incident.received_at,
            incident.verified_at,
            incident.revoked_at,
            incident.notified_at,
            incident.closed_at,
            i64::from(incident.revoke_tried),
            incident.version,
        ]);
    }
    let rows = session.insert(&INSERT, values).await?;
    rows.iter().map(|row| row.text("fingerprint").map(Fingerprint::from_stored)).collect()
}

/// Stores a moved incident.
///
/// # Errors
/// [`Error::LeaseLost`] when it was moved by somebody else since it was read.
pub(super) async fn update(session: &mut Session, incident: &mut Incident) -> Result<(), Error> {
    let state = StateColumns::of(&incident.state);
    let token = TokenColumns::of(incident)?;
    let values = binds![
        incident.id,
        incident.version,
        incident.delivery_id,
        incident.issuer.as_ref().map(IssuerName::as_str),
        state.word,
        state.outcome,
        state.stuck_step,
        state.reason,
        incident.verdict,
        token.id,
        token.email,
        token.json,
        incident.notice_id,
        incident.received_at,
        incident.verified_at,
        incident.revoked_at,
        incident.notified_at,
        incident.closed_at,
        i64::from(incident.revoke_tried),
    ];
    if session.run(&UPDATE, values).await? == 0 {
        return Err(Error::LeaseLost);
    }
    incident.version += 1;
    Ok(())
}

pub(super) async fn by_ids(
    session: &mut Session,
    ids: impl IntoIterator<Item = IncidentId>,
) -> Result<Vec<Incident>, Error> {
    session.all(&BY_IDS, vec![Value::list(ids)]).await?.iter().map(read).collect()
}

/// Reads an incident and keeps others from moving it until the transaction ends.
pub(super) async fn lock(session: &mut Session, id: IncidentId) -> Result<Option<Incident>, Error> {
    session.optional(&LOCK, binds![id]).await?.as_ref().map(read).transpose()
}

pub(super) fn read(row: &Row) -> Result<Incident, Error> {
    let token = row.optional_text("token")?;
    let token = token.as_deref().map(serde_json::from_str::<IssuedToken>).transpose();
    Ok(Incident {
        id: row.parsed("id")?,
        delivery_id: row.parsed("delivery_id")?,
        origin: row.text("origin")?,
        kind: KindId::new(&row.text("kind")?),
        fingerprint: Fingerprint::from_stored(row.text("fingerprint")?),
        confidence: read_confidence(&row.text("confidence")?)?,
        hint: row.text("hint")?,
        issuer: row.optional_text("issuer")?.as_deref().map(IssuerName::new),
        state: read_state(row)?,
        verdict: row.optional_text("verdict")?.as_deref().map(read_verdict).transpose()?,
        token: token.map_err(|error| Error::corrupt("token", error))?,
        notice_id: row.optional_parsed("notice_id")?,
        received_at: row.time("received_at")?,
        verified_at: row.optional_time("verified_at")?,
        revoked_at: row.optional_time("revoked_at")?,
        notified_at: row.optional_time("notified_at")?,
        closed_at: row.optional_time("closed_at")?,
        revoke_tried: row.int("revoke_tried")? != 0,
        version: row.int("version")?,
    })
}

/// A state as its four columns.
struct StateColumns<'a> {
    word: &'static str,
    outcome: Option<&'static str>,
    stuck_step: Option<&'static str>,
    reason: Option<&'a str>,
}

impl<'a> StateColumns<'a> {
    fn of(state: &'a State) -> Self {
        let (outcome, stuck_step, reason) = match state {
            State::Closed(outcome) | State::Settled(outcome) => (Some(outcome.word()), None, None),
            State::Held { reason } => (None, None, Some(reason.as_str())),
            State::Live | State::Notified | State::Open | State::Revoked => (None, None, None),
            State::Stuck { step, reason } => (None, Some(step.word()), Some(reason.as_str())),
        };
        Self { word: state.word(), outcome, stuck_step, reason }
    }
}

fn read_state(row: &Row) -> Result<State, Error> {
    let outcome = || row.parsed::<Outcome>("outcome");
    let reason = || row.text("reason");
    Ok(match row.text("state")?.as_str() {
        "closed" => State::Closed(outcome()?),
        "held" => State::Held { reason: reason()? },
        "live" => State::Live,
        "notified" => State::Notified,
        "open" => State::Open,
        "revoked" => State::Revoked,
        "settled" => State::Settled(outcome()?),
        "stuck" => State::Stuck { step: row.parsed::<Step>("stuck_step")?, reason: reason()? },
        word => return Err(unknown_word("state", word)),
    })
}

/// What the issuer told about its token, as three columns.
#[derive(Default)]
struct TokenColumns<'a> {
    id: Option<&'a str>,
    email: Option<&'a str>,
    json: Option<String>,
}

impl<'a> TokenColumns<'a> {
    fn of(incident: &'a Incident) -> Result<Self, Error> {
        let Some(token) = &incident.token else { return Ok(Self::default()) };
        let email = token.owner.as_ref().and_then(|owner| owner.email.as_ref());
        let json = serde_json::to_string(token).map_err(|error| Error::corrupt("token", error))?;
        Ok(Self { id: Some(&token.id), email: email.map(EmailAddress::as_str), json: Some(json) })
    }
}

fn confidence_word(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Checksum => "checksum",
        Confidence::Shape => "shape",
        Confidence::Verified => "verified",
    }
}

fn read_confidence(word: &str) -> Result<Confidence, Error> {
    Ok(match word {
        "checksum" => Confidence::Checksum,
        "shape" => Confidence::Shape,
        "verified" => Confidence::Verified,
        word => return Err(unknown_word("confidence", word)),
    })
}

fn read_verdict(word: &str) -> Result<&'static str, Error> {
    const WORDS: [&str; 5] = ["dead", "forged", "live", "not_ours", "unknown"];
    WORDS.into_iter().find(|known| *known == word).ok_or_else(|| unknown_word("verdict", word))
}

fn unknown_word(column: &'static str, word: &str) -> Error {
    Error::corrupt(column, format!("`{}` is not a word this version knows", word.escape_debug()))
}
