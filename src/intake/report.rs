//! Reports that no signature proves: from whoever holds a leaked token, and from a GitLab that knows our secret.
//!
//! They go the same way as a signed delivery, commit before answer included, and differ in two things: local issuers are
//! not asked at the door, so that neither the answer nor its time tells whether a token lives, and nobody gets labels.

use tracing::Instrument as _;
use zeroize::Zeroizing;

use super::accept::From;
use super::signature::BodyDigest;
use super::{Intake, Refusal, Replay};
use crate::id::DeliveryId;

/// Who reports without a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reporter<'r> {
    /// A GitLab that showed a token of ours, by that token's id.
    GitLab { token_id: &'r str },
    /// Anybody: who has a token may say that it leaked.
    Holder,
}

impl<'r> Reporter<'r> {
    /// The origin's name, in the database and in metrics.
    pub fn origin(self) -> &'static str {
        match self {
            Self::GitLab { .. } => "gitlab",
            Self::Holder => "holder",
        }
    }

    /// What stands in the place of the key that signed.
    fn key_id(self) -> &'r str {
        match self {
            Self::GitLab { token_id } => token_id,
            Self::Holder => "none",
        }
    }
}

impl Intake {
    /// Stores a report: a JSON array of records, as a delivery has them. The same report again is the same report.
    ///
    /// # Errors
    /// When the body is no such array, or cannot be made durable now.
    pub async fn report(&self, reporter: Reporter<'_>, body: Zeroizing<Vec<u8>>) -> Result<Replay, Refusal> {
        let received_at = self.clock.now();
        let (id, digest) = (DeliveryId::generate(received_at), BodyDigest::of(&body));
        let span = tracing::info_span!("report", origin = reporter.origin());
        async {
            let mut sorted = self.sort(body).await?;
            self.assign(&mut sorted.tokens);
            let from = From { origin: reporter.origin(), key_id: reporter.key_id(), digest: &digest, received_at };
            let (delivery, _) = sorted.into_delivery(id, &from, &[]);
            self.commit(delivery).await.map(|(replay, _)| replay)
        }
        .instrument(span)
        .await
    }
}
