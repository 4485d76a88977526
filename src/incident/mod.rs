//! The domain: one leaked token, what is known about it, and what may happen to it next.
//!
//! Pure: nothing here reads a clock or a database. An [`Incident`] changes only by the moves of [`Incident::judge`] and
//! its neighbours, which refuse what the life of an incident does not allow:
//!
//! ```text
//!            judge(live)        revoked         notified      close
//!   open ───────────────> live ─────────> revoked ──────> notified ──> closed(revoked)
//!    │ │                  │  ^
//!    │ │ judge(dead,      │  │ release            any state with work left ──> stuck ──retry──> back
//!    │ │  not ours)       v  │
//!    │ └──> settled ──> held                      open, live, held, stuck ──dismiss──> settled
//!    └ judge(unknown): stays open, the job is tried again
//! ```

pub mod brake;
pub mod drill;
mod event;
mod occurrence;
mod state;
mod verdict;
mod words;

pub use event::{Actor, Event, EventKind};
pub use occurrence::{Label, Occurrence, Place};
pub use state::{IllegalMove, Incident, Outcome, State, Step};
pub use verdict::{EmailAddress, InvalidEmailAddress, IssuedToken, IssuerName, Owner, Unknown, Verdict};
