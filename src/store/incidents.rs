//! Incidents as stored: reading, listing, an operator's moves, the sweep.

use serde_json::Value;

use super::{Error, Store};
use crate::clock::Timestamp;
use crate::id::{EventId, IncidentId};
use crate::incident::{Actor, Event, IllegalMove, Incident, Occurrence};
use crate::token::Secret;

/// Which incidents to list, newest first.
#[derive(Clone, Debug, Default)]
pub struct IncidentFilter {
    /// A state's word.
    pub state: Option<String>,
    pub issuer: Option<String>,
    pub kind: Option<String>,
    pub origin: Option<String>,
    /// Continue after this incident.
    pub before: Option<IncidentId>,
    pub limit: u32,
}

/// An audit event as it is shown.
#[derive(Clone, Debug)]
pub struct StoredEvent {
    pub id: EventId,
    pub at: Timestamp,
    pub actor: String,
    pub kind: String,
    pub incident_id: Option<IncidentId>,
    pub detail: Value,
}

/// What a sweep repaired; all zero on a healthy system except `purged`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sweep {
    /// Secrets erased that no step needs.
    pub erased: u64,
    /// Places purged on their date.
    pub purged: u64,
    /// Incidents that waited for a step without a job.
    pub requeued: u64,
}

impl Store {
    pub async fn incident(&self, id: IncidentId) -> Result<Option<Incident>, Error> {
        let _ = id;
        todo!()
    }

    pub async fn incidents(&self, filter: &IncidentFilter) -> Result<Vec<Incident>, Error> {
        let _ = filter;
        todo!()
    }

    pub async fn occurrences(&self, id: IncidentId) -> Result<Vec<Occurrence>, Error> {
        let _ = id;
        todo!()
    }

    /// The incident's audit events, oldest first.
    pub async fn timeline(&self, id: IncidentId) -> Result<Vec<StoredEvent>, Error> {
        let _ = id;
        todo!()
    }

    /// How many incidents are in each state, by the state's word.
    pub async fn incident_counts(&self) -> Result<Vec<(String, i64)>, Error> {
        todo!()
    }

    /// Opens the sealed token of an incident, for its issuer.
    pub async fn secret(&self, id: IncidentId) -> Result<Secret, Error> {
        let _ = id;
        todo!()
    }

    /// An operator's move: applies `change` to the incident as it is now, with its next job and audit event, and takes
    /// the incident's job away from whoever holds it.
    pub async fn intervene(
        &self,
        id: IncidentId,
        actor: Actor,
        change: impl FnOnce(&mut Incident) -> Result<Vec<Event>, IllegalMove> + Send + 'static,
    ) -> Result<Incident, Error> {
        let _ = (id, actor, change);
        todo!()
    }

    /// Repairs and purges; may run anywhere, any number of times.
    pub async fn sweep(&self) -> Result<Sweep, Error> {
        todo!()
    }
}
