//! Audit events: what was done about an incident, when and by whom.
//!
//! An event is committed in the transaction of the move it records, and carries only fields that are ours to keep:
//! no token, no address, no URL.

use serde_json::Value;

use super::Step;
use crate::clock::Timestamp;
use crate::id::{DeliveryId, EventId, IncidentId, NoticeId};

/// One line of the audit trail.
#[derive(Clone, Debug)]
pub struct Event {
    pub id: EventId,
    pub at: Timestamp,
    pub actor: Actor,
    pub kind: EventKind,
    pub incident_id: Option<IncidentId>,
    /// Small facts: `{"tries": 2, "duration_ms": 31}`. Never text that came with a report.
    pub detail: Value,
}

impl Event {
    pub fn new(at: Timestamp, actor: Actor, kind: EventKind, incident_id: Option<IncidentId>) -> Self {
        Self { id: EventId::generate(at), at, actor, kind, incident_id, detail: Value::Null }
    }

    pub fn with(mut self, detail: Value) -> Self {
        self.detail = detail;
        self
    }
}

/// Who acted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A delivery of a reporter, by its id.
    Delivery(DeliveryId),
    /// Whoever a token's record names: `token:…`, `owner:…`, `operator:…`, `configuration`.
    Named(String),
    /// A person at the command line or the page, by the name they go by.
    Operator(String),
    /// A worker process, by its node name.
    Worker(String),
}

impl Actor {
    /// `delivery:dlv_…`, `operator:root`, `worker:host-1`.
    pub fn text(&self) -> String {
        match self {
            Self::Delivery(id) => format!("delivery:{id}"),
            Self::Named(name) => name.clone(),
            Self::Operator(name) => format!("operator:{name}"),
            Self::Worker(name) => format!("worker:{name}"),
        }
    }
}

/// What happened. The word is what the database, the API and the pages show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A person killed the narrowed copy that leaked; the token it was made of lives on.
    BranchRevoked,
    /// A brake lets pass again: a person decided about all that it stopped.
    BrakeOff,
    /// A budget was spent; live tokens are held from now on.
    BrakeOn,
    /// The last trace of the secret was deleted and the purge date set.
    Closed,
    Dismissed,
    /// A fire drill went through the whole path.
    Drilled,
    /// An operator took a list out of the service.
    Exported,
    Held,
    /// A person has the owner told again.
    MailRequested,
    /// The owner was told, by this notice.
    Notified(NoticeId),
    /// The incident was opened by a report.
    Opened,
    OperatorAdded,
    OperatorDisabled,
    OperatorEnabled,
    /// A link was made with which the operator chooses a new password; the old one and all sessions are gone.
    OperatorReset,
    OperatorRoleChanged,
    /// An owner that was set aside is back, with all tokens.
    OwnerResumed,
    /// An owner was set aside: none of their tokens is accepted.
    OwnerSuspended,
    /// An operator chose a password.
    PasswordChosen,
    /// Another report named a token whose incident exists.
    Reported,
    /// An issuer, or all of them, is not called any more.
    Paused,
    Purged,
    /// A person has the issuer asked again.
    Rechecked,
    /// A second person agreed to a release.
    ReleaseApproved,
    /// A release waits for a second person.
    ReleaseRequested,
    ReleaseWithdrawn,
    Released,
    /// A token whose incident was over was reported again and is asked about again.
    Reopened,
    Resumed,
    Retried,
    SignedIn,
    SignedOut,
    /// The issuer confirmed that the token is dead.
    Revoked,
    Stuck(Step),
    /// The built-in issuer made a token.
    TokenCreated,
    /// A token was renamed, or given less power.
    TokenNarrowed,
    /// A token that was set aside is accepted again.
    TokenResumed,
    /// A token, or a branch of one, was killed by hand.
    TokenRevoked,
    TokenRotated,
    TokenSuspended,
    /// The issuer gave a verdict.
    Verified,
}

impl EventKind {
    pub fn word(&self) -> &'static str {
        match self {
            Self::BranchRevoked => "branch_revoked",
            Self::BrakeOff => "brake_off",
            Self::BrakeOn => "brake_on",
            Self::Closed => "closed",
            Self::Dismissed => "dismissed",
            Self::Drilled => "drilled",
            Self::Exported => "exported",
            Self::Held => "held",
            Self::MailRequested => "mail_requested",
            Self::Notified(_) => "notified",
            Self::Opened => "opened",
            Self::OperatorAdded => "operator_added",
            Self::OperatorDisabled => "operator_disabled",
            Self::OperatorEnabled => "operator_enabled",
            Self::OperatorReset => "operator_reset",
            Self::OperatorRoleChanged => "operator_role_changed",
            Self::OwnerResumed => "owner_resumed",
            Self::OwnerSuspended => "owner_suspended",
            Self::PasswordChosen => "password_chosen",
            Self::Paused => "paused",
            Self::Purged => "purged",
            Self::Rechecked => "rechecked",
            Self::ReleaseApproved => "release_approved",
            Self::ReleaseRequested => "release_requested",
            Self::ReleaseWithdrawn => "release_withdrawn",
            Self::Released => "released",
            Self::Reopened => "reopened",
            Self::Reported => "reported",
            Self::Resumed => "resumed",
            Self::Retried => "retried",
            Self::Revoked => "revoked",
            Self::SignedIn => "signed_in",
            Self::SignedOut => "signed_out",
            Self::Stuck(_) => "stuck",
            Self::TokenCreated => "token_created",
            Self::TokenNarrowed => "token_narrowed",
            Self::TokenResumed => "token_resumed",
            Self::TokenRevoked => "token_revoked",
            Self::TokenRotated => "token_rotated",
            Self::TokenSuspended => "token_suspended",
            Self::Verified => "verified",
        }
    }
}
