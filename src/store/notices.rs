//! Notices: which revoked tokens one mail tells about.

use super::{Claimed, Error, Store};
use crate::clock::Timestamp;
use crate::id::NoticeId;
use crate::incident::{Actor, EmailAddress, Incident, Occurrence};

/// One mail that must be sent.
#[derive(Clone, Debug)]
pub struct Notice {
    /// Also the left part of the Message-ID, so that a repeated mail folds into the first.
    pub id: NoticeId,
    pub to: EmailAddress,
    pub created_at: Timestamp,
    /// Never empty.
    pub items: Vec<NoticeItem>,
}

/// One token a notice tells about.
#[derive(Clone, Debug)]
pub struct NoticeItem {
    pub incident: Incident,
    pub occurrences: Vec<Occurrence>,
}

/// What the notify step has to do.
#[derive(Debug)]
pub enum Composed {
    /// The issuer named nobody to mail.
    NoAddress,
    /// Send this. The other notify jobs of its incidents are gone; this one stands for all.
    Ready(Notice),
    /// Other tokens of the delivery are still being worked on and may belong into the same mail: ask again.
    Wait,
}

impl Store {
    /// Gathers every revoked, untold incident of the same delivery and owner into one notice. A notice that was
    /// composed before (the worker died after mailing) is given again as it was, with the same id.
    ///
    /// Until `wait_until` it waits for open and live incidents of the delivery.
    pub async fn compose(&self, claimed: &Claimed, wait_until: Timestamp) -> Result<Composed, Error> {
        let _ = (claimed, wait_until);
        todo!()
    }

    /// Marks the notice as sent and moves all its incidents on, each with its audit event and closing job.
    pub async fn settle_notice(&self, claimed: &Claimed, notice_id: NoticeId, actor: Actor) -> Result<(), Error> {
        let _ = (claimed, notice_id, actor);
        todo!()
    }

    /// The mail cannot be delivered: all incidents of the notice are stuck at the notify step with this reason.
    pub async fn abandon_notice(
        &self,
        claimed: &Claimed,
        notice_id: NoticeId,
        reason: &str,
        actor: Actor,
    ) -> Result<(), Error> {
        let _ = (claimed, notice_id, reason, actor);
        todo!()
    }
}
