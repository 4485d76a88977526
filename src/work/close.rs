//! Close: ends the incident and sets the date on which the reporter's data is purged.

use serde_json::json;

use super::runner::Worker;
use super::step::{Done, StepError, settlement};
use crate::incident::{EventKind, State};
use crate::store::Claimed;

pub fn close(worker: &Worker, claimed: &Claimed) -> Result<Done, StepError> {
    let (mut incident, now) = (claimed.incident.clone(), worker.clock.now());
    incident.close(now)?;
    let outcome = match &incident.state {
        State::Closed(outcome) => outcome.word(),
        other => other.word(),
    };
    let mut settled =
        settlement(incident, EventKind::Closed, json!({ "outcome": outcome }), &worker.settings.node, now);
    settled.purge_at = Some(now.plus(worker.settings.keep_reports_for));
    Ok(Done::Settle(Box::new(settled)))
}
