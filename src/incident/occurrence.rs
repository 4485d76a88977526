//! Occurrences: where a token was seen, in the reporter's words.
//!
//! Everything in a [`Place`] was chosen by a stranger. It is kept as it was sent, shown as inert text, never fetched,
//! and purged on the date the reporter's agreement sets.

use crate::clock::Timestamp;
use crate::id::{IncidentId, OccurrenceId};

/// A place as a reporter described it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// The reporter's name for the kind of token; a hint at best.
    pub sent_type: String,
    /// Where it was found. May be empty, and may be anything.
    pub url: String,
    /// What kind of place that is: `commit`, `issue_comment`. May be empty.
    pub source: String,
}

/// One place where a token was seen, however often it was reported.
#[derive(Clone, Debug)]
pub struct Occurrence {
    pub id: OccurrenceId,
    pub incident_id: IncidentId,
    pub origin: String,
    /// None once the reporter's data was purged.
    pub place: Option<Place>,
    pub reports: i64,
    pub first_reported_at: Timestamp,
    pub last_reported_at: Timestamp,
}

/// What the reporter is told about one record (GitHub partner programme, feedback).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Label {
    /// Not a token that this service's issuers ever issued.
    FalsePositive,
    /// A token of ours, dead or alive.
    TruePositive,
}

impl Label {
    pub fn word(self) -> &'static str {
        match self {
            Self::FalsePositive => "false_positive",
            Self::TruePositive => "true_positive",
        }
    }
}
