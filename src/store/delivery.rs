//! Deliveries: what a reporter told us in one signed message, and what it was answered.

use std::sync::Arc;

use super::accept::{AcceptWork, accept};
use super::{Error, Store, brake};
use crate::clock::Timestamp;
use crate::id::{DeliveryId, IncidentId};
use crate::incident::{IssuerName, Label, Place, Verdict};
use crate::token::{Confidence, Fingerprint, KindId, Secret};

/// One signed message whose signature held.
pub struct NewDelivery {
    pub id: DeliveryId,
    pub origin: String,
    pub key_id: String,
    /// SHA-256 of the raw body; with the origin, what makes a repeated delivery the same delivery.
    pub body_sha256: [u8; 32],
    pub received_at: Timestamp,
    /// The distinct tokens of the delivery.
    pub tokens: Vec<NewToken>,
    /// One per record, in the order they were sent.
    pub reports: Vec<NewReport>,
}

/// A distinct token of a delivery.
pub struct NewToken {
    /// Every fingerprint it may be known by, the current one first. Never empty.
    pub fingerprints: Vec<Fingerprint>,
    pub kind: KindId,
    pub confidence: Confidence,
    pub hint: String,
    pub secret: Secret,
    pub issuer: Option<IssuerName>,
    /// What a local issuer said at the door; the verification is then done.
    pub verdict: Option<Verdict>,
}

/// One record of a delivery.
pub struct NewReport {
    pub content: ReportContent,
    pub place: Place,
    /// What the reporter is told about it, as far as that is known before the commit.
    pub label: Option<Label>,
}

pub enum ReportContent {
    /// Not a record of the protocol; the reason is one of ours, for people and metrics.
    Malformed { reason: &'static str },
    /// Names the token at this index of [`NewDelivery::tokens`].
    Token(usize),
    /// A record whose token is of no kind we know.
    Unrecognized,
}

/// What became of a delivery.
#[derive(Debug)]
pub enum Accepted {
    /// The same body came from the same origin before: these are the labels it was answered with, by position.
    Replayed { delivery_id: DeliveryId, labels: Vec<Option<Label>> },
    /// Committed. Labels by position, completed with what earlier incidents already know.
    Stored { labels: Vec<Option<Label>>, opened: Vec<IncidentId> },
}

impl Store {
    /// Commits a delivery with its incidents, occurrences, sealed secrets, first jobs and audit events.
    pub async fn accept(&self, delivery: NewDelivery) -> Result<Accepted, Error> {
        let now = self.clock.now();
        let purge_at = now.plus(self.keep_reports_for);
        let (brake, seal) = (Arc::clone(&self.brake), Arc::clone(&self.seal));
        let work = AcceptWork { brake, delivery, seal, now, purge_at };
        let (accepted, trips) = self.write(work, |session, work| Box::pin(accept(session, work))).await?;
        brake::tell(&trips);
        Ok(accepted)
    }
}
