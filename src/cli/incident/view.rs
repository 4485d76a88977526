//! An incident as it is shown: without its owner's address, and with what strangers wrote made inert.

use serde::Serialize;

use super::super::when;
use crate::clock::Timestamp;
use crate::incident::{Incident, Occurrence, State};
use crate::redact::{inert, inert_json};
use crate::store::StoredEvent;

/// Longest text of a stranger that is shown whole.
const TEXT: usize = 300;

/// The incident itself.
#[derive(Serialize)]
pub struct View {
    pub id: String,
    pub state: &'static str,
    /// How it ended, or why it stands still.
    pub note: Option<String>,
    pub kind: String,
    pub confidence: &'static str,
    pub issuer: Option<String>,
    pub origin: String,
    pub delivery_id: String,
    pub fingerprint: String,
    pub verdict: Option<&'static str>,
    pub token: Option<Token>,
    pub received_at: Timestamp,
    pub verified_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    pub notified_at: Option<Timestamp>,
    pub closed_at: Option<Timestamp>,
    pub notice_id: Option<String>,
}

/// The token as its issuer tells of it.
#[derive(Serialize)]
pub struct Token {
    pub id: String,
    pub name: Option<String>,
    /// Last characters of the checksum.
    pub hint: String,
    /// Who holds it; of an address, the domain only.
    pub owner: Option<String>,
    pub scopes: Vec<String>,
    pub created_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
    /// The network of the last use, where the issuer notes it.
    pub last_used_from: Option<String>,
    /// Whether it was used after the report; none where nobody can tell.
    pub used_after_report: Option<bool>,
    pub expires_at: Option<Timestamp>,
}

/// One place where it was seen.
#[derive(Serialize)]
pub struct Seen {
    pub origin: String,
    /// None once the reporter's data was purged.
    pub place: Option<PlaceView>,
    pub reports: i64,
    pub first_reported_at: Timestamp,
    pub last_reported_at: Timestamp,
}

#[derive(Serialize)]
pub struct PlaceView {
    pub sent_type: String,
    pub source: String,
    pub url: String,
}

/// One line of the timeline.
#[derive(Serialize)]
pub struct Moment {
    pub at: Timestamp,
    /// Since the incident's token was last received.
    pub after_ms: u128,
    pub kind: String,
    pub actor: String,
    pub detail: serde_json::Value,
}

impl View {
    pub fn of(incident: &Incident) -> Self {
        Self {
            id: incident.id.to_string(),
            state: incident.state.word(),
            note: note(&incident.state),
            kind: incident.kind.to_string(),
            confidence: confidence(incident),
            issuer: incident.issuer.as_ref().map(ToString::to_string),
            origin: incident.origin.clone(),
            delivery_id: incident.delivery_id.to_string(),
            fingerprint: incident.fingerprint.to_string(),
            verdict: incident.verdict,
            token: Token::of(incident),
            received_at: incident.received_at,
            verified_at: incident.verified_at,
            revoked_at: incident.revoked_at,
            notified_at: incident.notified_at,
            closed_at: incident.closed_at,
            notice_id: incident.notice_id.map(|id| id.to_string()),
        }
    }

    /// How long each step took since the report came in, in order.
    pub fn latencies(&self) -> Vec<(&'static str, String)> {
        let steps = [("verified", self.verified_at), ("revoked", self.revoked_at), ("notified", self.notified_at)];
        let told =
            |(name, at): (&'static str, Option<Timestamp>)| Some((name, when::measured(at?.since(self.received_at))));
        steps.into_iter().filter_map(told).collect()
    }
}

impl Token {
    fn of(incident: &Incident) -> Option<Self> {
        let token = incident.token.as_ref()?;
        let owner = token.owner.as_ref().map(|owner| {
            let id = owner.id.as_ref().map(|id| format!("id {id}"));
            let parts = [owner.name.clone(), id, owner.shown_address()];
            inert(&parts.into_iter().flatten().collect::<Vec<_>>().join(", "), TEXT)
        });
        Some(Self {
            id: inert(&token.id, TEXT),
            name: token.name.as_deref().map(|name| inert(name, TEXT)),
            hint: incident.hint.clone(),
            owner: owner.filter(|owner| !owner.is_empty()),
            scopes: token.scopes.iter().map(|scope| inert(scope, TEXT)).collect(),
            created_at: token.created_at,
            last_used_at: token.last_used_at,
            last_used_from: token.last_used_from.as_deref().map(|network| inert(network, TEXT)),
            used_after_report: incident.used_after_report(),
            expires_at: token.expires_at,
        })
    }
}

impl Seen {
    pub fn of(occurrence: &Occurrence) -> Self {
        let place = occurrence.place.as_ref().map(|place| PlaceView {
            sent_type: inert(&place.sent_type, TEXT),
            source: inert(&place.source, TEXT),
            url: inert(&place.url, TEXT),
        });
        Self {
            origin: occurrence.origin.clone(),
            place,
            reports: occurrence.reports,
            first_reported_at: occurrence.first_reported_at,
            last_reported_at: occurrence.last_reported_at,
        }
    }
}

impl Moment {
    pub fn of(event: &StoredEvent, received_at: Timestamp) -> Self {
        Self {
            at: event.at,
            after_ms: event.at.since(received_at).as_millis(),
            kind: event.kind.clone(),
            actor: inert(&event.actor, TEXT),
            detail: inert_json(&event.detail),
        }
    }
}

fn note(state: &State) -> Option<String> {
    match state {
        State::Closed(outcome) | State::Settled(outcome) => Some(outcome.word().replace('_', " ")),
        State::Held { reason } => Some(inert(reason, TEXT)),
        State::Stuck { step, reason } => Some(format!("{step}: {}", inert(reason, TEXT))),
        State::Live | State::Notified | State::Open | State::Revoked => None,
    }
}

fn confidence(incident: &Incident) -> &'static str {
    match incident.confidence {
        crate::token::Confidence::Shape => "shape",
        crate::token::Confidence::Checksum => "checksum",
        crate::token::Confidence::Verified => "verified",
    }
}
