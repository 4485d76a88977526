//! An incident as one row of a list.

use crate::dashboard::text::{Badge, When, line};
use crate::dashboard::visit::Visit;
use crate::incident::{Incident, State};

pub struct Row {
    pub id: String,
    /// The id's end, which tells two incidents of one moment apart.
    pub short: String,
    pub state: Badge,
    pub note: String,
    pub kind: String,
    pub token: String,
    pub issuer: String,
    pub origin: String,
    pub owner: String,
    pub received: When,
}

impl Row {
    pub fn of(visit: &Visit, incident: &Incident) -> Self {
        let id = incident.id.to_string();
        let token = incident.token.as_ref();
        let name = token.map(|token| line(token.name.as_deref().unwrap_or(&token.id)));
        Self {
            short: id.get(id.len().saturating_sub(8)..).unwrap_or_default().to_owned(),
            id,
            state: state(&incident.state),
            note: note(&incident.state),
            kind: line(incident.kind.as_str()),
            token: name.unwrap_or_else(|| "not known yet".into()),
            issuer: incident.issuer.as_ref().map_or_else(|| "none".into(), |name| line(name.as_str())),
            origin: line(&incident.origin),
            owner: owner(incident),
            received: When::new(incident.received_at, visit.now),
        }
    }
}

/// The state; of what is over, how it ended.
pub fn state(state: &State) -> Badge {
    match state {
        State::Closed(outcome) | State::Settled(outcome) => {
            let tone = if outcome.word() == "revoked" { "good" } else { "done" };
            Badge::new(outcome.word(), tone)
        }
        other => Badge::of_state(other.word()),
    }
}

pub fn note(state: &State) -> String {
    match state {
        State::Held { reason } => line(reason),
        State::Stuck { step, reason } => format!("{step}: {}", line(reason)),
        _ => String::new(),
    }
}

/// Who holds the token.
pub fn owner(incident: &Incident) -> String {
    let owner = incident.token.as_ref().and_then(|token| token.owner.as_ref());
    let Some(owner) = owner else { return String::new() };
    let parts = [owner.name.clone(), owner.shown_address()];
    line(&parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
}
