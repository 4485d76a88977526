//! The result of doing a step, and the two ways it can fail.

use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::incident::{Actor, Event, EventKind, IllegalMove, Incident, Unknown};
use crate::issuer::Locality;
use crate::store::{Attempt, Claimed, Settlement};

/// What a worker commits, or does not, after a step.
pub enum Done {
    /// Everything is committed already; nothing is left to do.
    Committed,
    /// Commit this.
    Settle(Box<Settlement>),
}

/// Why a step could not be done: retry it or show it to a person, nothing else.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// A person must look; the incident is stuck until then.
    #[error("{why}")]
    Fail { why: String },
    /// The lease was lost: somebody else does the step, our result is dropped.
    #[error("the lease was lost")]
    LeaseLost,
    /// The step panicked: nothing is known of what it did.
    #[error("the step panicked")]
    Panicked,
    /// Try again; `after` overrides the back-off.
    #[error("{why}")]
    Retry { why: String, after: Option<Duration>, attempt: Attempt },
}

/// How long a job waits whose issuer refuses *us*. Short: the guard keeps this process from asking again soon, and a
/// process that is started with a mended credential must not wait for what an earlier one wrote down.
const MISCONFIGURED_PAUSE: Duration = Duration::from_secs(2);
/// An issuer whose word cannot be trusted is shown to a person after this many tries.
const CONTRADICTIONS_BEFORE_STUCK: u32 = 10;

/// How soon a local issuer is asked again: its database is ours, so its absence says nothing about the issuer.
const LOCAL_PAUSE: Duration = Duration::from_secs(1);

impl StepError {
    /// What an unanswered question means for the job.
    pub fn from_unknown(unknown: Unknown, tries: u32, locality: Locality) -> Self {
        match unknown {
            Unknown::Unavailable { why } if locality == Locality::Local => {
                Self::Retry { why, after: Some(LOCAL_PAUSE), attempt: Attempt::Uncounted }
            }
            Unknown::Contradictory { why } if tries + 1 >= CONTRADICTIONS_BEFORE_STUCK => Self::Fail { why },
            Unknown::Contradictory { why } | Unknown::Unavailable { why } | Unknown::Undeclared { why } => {
                Self::Retry { why, after: None, attempt: Attempt::Counted }
            }
            Unknown::Misconfigured { why } => {
                Self::Retry { why, after: Some(MISCONFIGURED_PAUSE), attempt: Attempt::Uncounted }
            }
            Unknown::Throttled { why, retry_after } => {
                Self::Retry { why, after: Some(retry_after), attempt: Attempt::Uncounted }
            }
        }
    }
}

impl StepError {
    /// The same, as a try that counts: it may have had its effect.
    pub fn counted(mut self) -> Self {
        if let Self::Retry { attempt, .. } = &mut self {
            *attempt = Attempt::Counted;
        }
        self
    }
}

impl From<crate::store::Error> for StepError {
    fn from(error: crate::store::Error) -> Self {
        use crate::store::Error;
        match error {
            Error::LeaseLost => Self::LeaseLost,
            Error::Unavailable(_) => Self::Retry { why: error.to_string(), after: None, attempt: Attempt::Uncounted },
            Error::Corrupt { .. } | Error::NotChanged(_) | Error::NotFound { .. } | Error::Refused(_) => {
                Self::Fail { why: error.to_string() }
            }
        }
    }
}

/// A move that is illegal here means that the incident is not what the job takes it for.
impl From<IllegalMove> for StepError {
    fn from(refused: IllegalMove) -> Self {
        Self::Fail { why: refused.to_string() }
    }
}

/// The settlement of a moved incident with one audit event.
pub fn settlement(incident: Incident, kind: EventKind, detail: Value, worker: &str, now: Timestamp) -> Settlement {
    let event = Event::new(now, Actor::Worker(worker.to_owned()), kind, Some(incident.id)).with(detail);
    Settlement { incident, next_due_at: now, events: vec![event], purge_at: None }
}

/// The facts about a try that every step's audit event carries.
pub fn facts(claimed: &Claimed, took: Duration) -> Value {
    json!({ "tries": claimed.tries + 1, "claims": claimed.claims, "duration_ms": took.as_millis() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn being_asked_to_wait_is_not_a_failure_of_ours() {
        let unknown = Unknown::Throttled { why: "429".into(), retry_after: Duration::from_secs(30) };
        let StepError::Retry { after, attempt, .. } = StepError::from_unknown(unknown, 3, Locality::Remote) else {
            panic!("retried")
        };
        assert_eq!((after, attempt), (Some(Duration::from_secs(30)), Attempt::Uncounted));
    }

    #[test]
    fn an_issuer_that_is_away_is_asked_without_end() {
        let unknown = || Unknown::Unavailable { why: "timed out".into() };
        assert!(matches!(StepError::from_unknown(unknown(), 100_000, Locality::Remote), StepError::Retry { .. }));
    }

    #[test]
    fn our_own_database_being_busy_does_not_make_a_local_issuer_late() {
        let unknown = Unknown::Unavailable { why: "the database is not available".into() };
        let StepError::Retry { after, attempt, .. } = StepError::from_unknown(unknown, 40, Locality::Local) else {
            panic!("retried")
        };
        assert_eq!((after, attempt), (Some(LOCAL_PAUSE), Attempt::Uncounted));
    }

    #[test]
    fn an_issuer_that_lies_is_shown_to_a_person_in_the_end() {
        let unknown = || Unknown::Contradictory { why: "revoked, yet it lives".into() };
        assert!(matches!(StepError::from_unknown(unknown(), 0, Locality::Remote), StepError::Retry { .. }));
        assert!(matches!(StepError::from_unknown(unknown(), 9, Locality::Remote), StepError::Fail { .. }));
    }
}
