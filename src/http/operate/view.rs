//! Incidents and events as programs of operators get them.

use serde_json::{Value, json};

use crate::http::schema;
use crate::incident::{Incident, Occurrence, State};
use crate::redact::{inert, inert_json};
use crate::store::{IncidentDetail, StoredEvent};

/// Longest text of a stranger that is shown whole.
const TEXT: usize = 300;

pub fn incident(incident: &Incident) -> Value {
    let note = match &incident.state {
        State::Closed(outcome) | State::Settled(outcome) => Some(outcome.word().to_owned()),
        State::Held { reason } => Some(inert(reason, TEXT)),
        State::Stuck { step, reason } => Some(format!("{step}: {}", inert(reason, TEXT))),
        State::Live | State::Notified | State::Open | State::Revoked => None,
    };
    let token = incident.token.as_ref().map(|token| {
        let owner = token.owner.as_ref().map(|owner| {
            json!({
                "id": owner.id.as_deref().map(|id| inert(id, TEXT)),
                "name": owner.name.as_deref().map(|name| inert(name, TEXT)),
                "address": owner.shown_address(),
            })
        });
        json!({
            "id": inert(&token.id, TEXT),
            "name": token.name.as_deref().map(|name| inert(name, TEXT)),
            "hint": incident.hint,
            "owner": owner,
            "scopes": token.scopes.iter().map(|scope| inert(scope, TEXT)).collect::<Vec<_>>(),
            "created_at": token.created_at,
            "last_used_at": token.last_used_at,
            "last_used_from": token.last_used_from.as_deref().map(|network| inert(network, TEXT)),
            "used_after_report": incident.used_after_report(),
            "expires_at": token.expires_at,
        })
    });
    json!({
        "id": incident.id,
        "state": incident.state.word(),
        "note": note,
        "kind": incident.kind.to_string(),
        "issuer": incident.issuer.as_ref().map(ToString::to_string),
        "origin": incident.origin,
        "delivery_id": incident.delivery_id,
        "fingerprint": incident.fingerprint.to_string(),
        "verdict": incident.verdict,
        "token": token,
        "received_at": incident.received_at,
        "verified_at": incident.verified_at,
        "revoked_at": incident.revoked_at,
        "notified_at": incident.notified_at,
        "closed_at": incident.closed_at,
    })
}

/// The schema of [`incident`].
pub fn incident_schema() -> Value {
    let (text, time) = (|| schema::maybe(schema::text()), || schema::maybe(schema::time()));
    let owner = schema::object(json!({ "id": text(), "name": text(), "address": text() }));
    let token = schema::object(json!({
        "id": schema::text(), "name": text(), "hint": schema::text(), "owner": schema::maybe(owner),
        "scopes": schema::list(schema::text()), "created_at": time(), "last_used_at": time(), "last_used_from": text(),
        "used_after_report": schema::flag(), "expires_at": time(),
    }));
    let verdict = schema::word(&["dead", "forged", "live", "not_ours", "unknown"]);
    schema::object(json!({
        "id": schema::text(), "state": schema::word(&State::WORDS), "note": text(), "kind": schema::text(),
        "issuer": text(), "origin": schema::text(), "delivery_id": schema::text(), "fingerprint": schema::text(),
        "verdict": schema::maybe(verdict), "token": schema::maybe(token), "received_at": schema::time(),
        "verified_at": time(), "revoked_at": time(), "notified_at": time(), "closed_at": time(),
    }))
}

/// The schema of an incident that was changed, and may have gone meanwhile.
pub fn changed_schema() -> Value {
    schema::object(json!({ "incident": schema::maybe(incident_schema()) }))
}

pub fn detail(detail: &IncidentDetail) -> Value {
    let notice = detail.notice.as_ref().map(|notice| {
        json!({ "id": notice.id, "state": notice.state, "created_at": notice.created_at, "sent_at": notice.sent_at,
                "incidents": notice.incidents })
    });
    let job = detail.job.as_ref().map(|job| {
        json!({ "step": job.step.word(), "due_at": job.due_at, "tries": job.tries,
                "node": job.leased.as_ref().map(|(node, _)| inert(node, 64)),
                "last_error": job.last_error.as_deref().map(|error| inert(error, TEXT)) })
    });
    json!({
        "incident": incident(&detail.incident),
        "occurrences": detail.occurrences.iter().map(occurrence).collect::<Vec<_>>(),
        "notice": notice,
        "job": job,
        "timeline": detail.timeline.iter().map(event).collect::<Vec<_>>(),
        "revoked_by": detail.revoked_by,
    })
}

/// The schema of [`detail`].
pub fn detail_schema() -> Value {
    let (text, time) = (|| schema::maybe(schema::text()), || schema::maybe(schema::time()));
    let notice = schema::object(json!({ "id": schema::text(), "state": schema::text(), "created_at": schema::time(),
        "sent_at": time(), "incidents": schema::count() }));
    let job = schema::object(json!({ "step": schema::text(), "due_at": schema::time(), "tries": schema::count(),
        "node": text(), "last_error": text() }));
    let place = schema::object(json!({ "sent_type": schema::text(), "source": schema::text(), "url": schema::text() }));
    let occurrence = schema::object(json!({ "origin": schema::text(), "place": schema::maybe(place),
        "reports": schema::count(), "first_reported_at": schema::time(), "last_reported_at": schema::time() }));
    schema::object(json!({ "incident": incident_schema(), "occurrences": schema::list(occurrence),
        "notice": schema::maybe(notice), "job": schema::maybe(job), "timeline": schema::list(event_schema()),
        "revoked_by": text() }))
}

pub fn event(event: &StoredEvent) -> Value {
    json!({
        "position": event.position,
        "id": event.id,
        "at": event.at,
        "actor": inert(&event.actor, TEXT),
        "kind": event.kind,
        "incident_id": event.incident_id,
        "detail": inert_json(&event.detail),
    })
}

/// The schema of [`event`]. What stands in `detail` depends on the kind.
pub fn event_schema() -> Value {
    schema::object(json!({ "position": schema::count(), "id": schema::text(), "at": schema::time(),
        "actor": schema::text(), "kind": schema::text(), "incident_id": schema::maybe(schema::text()),
        "detail": { "type": ["object", "null"] } }))
}

/// A place is empty once the reporter's data was purged.
fn occurrence(seen: &Occurrence) -> Value {
    let place = seen.place.as_ref().map(|place| {
        json!({ "sent_type": inert(&place.sent_type, TEXT), "source": inert(&place.source, TEXT),
                "url": inert(&place.url, TEXT) })
    });
    json!({
        "origin": seen.origin,
        "place": place,
        "reports": seen.reports,
        "first_reported_at": seen.first_reported_at,
        "last_reported_at": seen.last_reported_at,
    })
}
