//! Reports that no signature proves: from whoever holds a leaked token, and from a GitLab that knows our secret.
//!
//! They go the same way as a signed delivery, commit before answer included, and nobody gets labels. A GitLab's local
//! issuers are not asked at the door. A holder is anybody, so of what a holder sends only that is stored which may have to
//! be done something about: what lives by the word of a local issuer, and what only an issuer elsewhere can tell. Made-up
//! tokens leave nothing behind, however many are sent; that the answer does not tell them apart is for whoever gives it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::Instrument as _;
use zeroize::Zeroizing;

use super::accept::{From, Sorted};
use super::signature::BodyDigest;
use super::{Intake, Refusal, Replay};
use crate::clock::Timestamp;
use crate::id::DeliveryId;
use crate::incident::Verdict;
use crate::issuer::{Issuer, Locality};

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

/// A holder's report, read and not stored yet.
pub struct Held {
    sorted: Sorted,
    digest: BodyDigest,
    received_at: Timestamp,
    elsewhere: u32,
}

impl Held {
    /// Tokens of issuers elsewhere, of which nobody here knows whether they were ever issued.
    pub fn elsewhere(&self) -> u32 {
        self.elsewhere
    }
}

/// Longest time that local issuers have. What they did not say by then is stored, and asked by the work.
const DECIDE_FOR: Duration = Duration::from_secs(3);

impl Intake {
    /// Reads a holder's report and leaves out what nothing can be done about: no token, none of an issuer of ours, none
    /// that was issued or still lives.
    ///
    /// # Errors
    /// When the body is no array of records.
    pub async fn hold(&self, body: Zeroizing<Vec<u8>>) -> Result<Held, Refusal> {
        let received_at = self.clock.now();
        let digest = BodyDigest::of(&body);
        let mut sorted = self.sort(body).await?;
        self.decide(&mut sorted.tokens, Instant::now() + DECIDE_FOR).await;
        sorted.keep(|token| token.issuer.is_some() && matches!(token.verdict, None | Some(Verdict::Live(_))));
        let mut elsewhere = 0;
        for token in &mut sorted.tokens {
            // The work asks again, in a transaction of its own.
            token.verdict = None;
            let is_local = |issuer: &Arc<dyn Issuer>| issuer.locality() == Locality::Local;
            elsewhere += u32::from(!self.issuers.of_kind(&token.kind).is_some_and(is_local));
        }
        Ok(Held { sorted, digest, received_at, elsewhere })
    }

    /// Stores a holder's report, if anything is left of it.
    ///
    /// # Errors
    /// When it cannot be made durable now.
    pub async fn store_held(&self, held: Held) -> Result<(), Refusal> {
        let Held { sorted, digest, received_at, .. } = held;
        if sorted.tokens.is_empty() {
            return Ok(());
        }
        let from =
            From { origin: Reporter::Holder.origin(), key_id: Reporter::Holder.key_id(), digest: &digest, received_at };
        let (delivery, _) = sorted.into_delivery(DeliveryId::generate(received_at), &from, &[]);
        self.commit(delivery).await.map(drop)
    }

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
