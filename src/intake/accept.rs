//! Accepting: from a delivery whose signature holds to the answer its reporter gets.
//!
//! The order is the promise: records are judged one by one, tokens recognized and told apart, local issuers asked within
//! the budget, everything committed, and only then is there an [`Answer`]. Whatever was not decided in time is decided
//! by the work that the commit left behind.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use metrics::counter;
use tokio::time::Instant;
use tracing::{error, info};
use zeroize::Zeroizing;

use super::feedback::{Feedback, feedback, label_of};
use super::origin;
use super::payload::{self, Malformed, Record};
use super::signature::BodyDigest;
use super::{Intake, Refusal, Signed, UNAVAILABLE_FOR};
use crate::clock::Timestamp;
use crate::crash;
use crate::id::DeliveryId;
use crate::incident::{IssuerName, Label, Verdict};
use crate::issuer::{Issuer, Locality, Question};
use crate::recognize::{Identified, Recognized, Recognizer, Scratch};
use crate::store::{Accepted, NewDelivery, NewReport, NewToken, ReportContent};
use crate::telemetry::metric;
use crate::token::{Fingerprint, FingerprintRing, Secret};

/// What a reporter is answered once its delivery is durable.
pub enum Answer {
    /// Stored. Nothing else is said.
    Acknowledged { replay: Replay },
    /// Stored, and this is what is known by now.
    Feedback { labels: Vec<Feedback>, replay: Replay },
}

/// Whether the delivery was here before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    First,
    Repeated,
}

impl Answer {
    pub fn replay(&self) -> Replay {
        match self {
            Self::Acknowledged { replay } | Self::Feedback { replay, .. } => *replay,
        }
    }
}

/// The records of a delivery and the distinct tokens they name.
pub(super) struct Sorted {
    records: Vec<Record>,
    contents: Vec<ReportContent>,
    pub tokens: Vec<NewToken>,
}

/// Whom a delivery is from.
pub(super) struct From<'f> {
    pub origin: &'f str,
    pub key_id: &'f str,
    pub digest: &'f BodyDigest,
    pub received_at: Timestamp,
}

impl Sorted {
    /// Leaves out the tokens that are not to be kept, and every record that names none that is.
    pub fn keep(&mut self, keeps: impl Fn(&NewToken) -> bool) {
        let mut count = 0;
        let mut now_at = Vec::with_capacity(self.tokens.len());
        self.tokens.retain(|token| {
            let kept = keeps(token);
            now_at.push(kept.then_some(count));
            count += usize::from(kept);
            kept
        });
        let all = self.records.drain(..).zip(self.contents.drain(..));
        let left = all.filter_map(|(record, content)| match content {
            ReportContent::Token(index) => Some((record, ReportContent::Token(now_at.get(index).copied()??))),
            ReportContent::Malformed { .. } | ReportContent::Unrecognized => None,
        });
        let (records, contents) = left.collect::<Vec<_>>().into_iter().unzip();
        (self.records, self.contents) = (records, contents);
    }

    /// The delivery as it is stored, and its records as they were sent.
    pub fn into_delivery(
        self,
        id: DeliveryId,
        from: &From<'_>,
        labels: &[Option<Label>],
    ) -> (NewDelivery, Vec<Record>) {
        count_reports(from.origin, &self);
        let reports = self.records.iter().zip(self.contents).map(|(record, content)| {
            let label = match content {
                ReportContent::Token(index) => labels.get(index).copied().flatten(),
                ReportContent::Malformed { .. } | ReportContent::Unrecognized => None,
            };
            NewReport { content, place: record.place(), label }
        });
        let delivery = NewDelivery {
            id,
            origin: from.origin.to_owned(),
            key_id: from.key_id.to_owned(),
            body_sha256: *from.digest.as_bytes(),
            received_at: from.received_at,
            reports: reports.collect(),
            tokens: self.tokens,
        };
        (delivery, self.records)
    }
}

/// Bodies above this size are parsed on a thread of their own, so that a large delivery delays no small one.
const LARGE_BODY: usize = 64 * 1_024;

impl Intake {
    /// Stores a delivery and says what its reporter is to be told.
    ///
    /// # Errors
    /// When the body is no delivery, or cannot be made durable now.
    pub async fn accept(&self, signed: Signed) -> Result<Answer, Refusal> {
        let Signed { entry, key_id, body, digest, received_at } = signed;
        let delivery_id = DeliveryId::generate(received_at);
        let mut sorted = self.sort(body).await?;
        let labels = self.decide(&mut sorted.tokens, Instant::now() + entry.origin.decide_budget).await;
        let from = From { origin: &entry.origin.name, key_id: key_id.as_str(), digest: &digest, received_at };
        let (delivery, records) = sorted.into_delivery(delivery_id, &from, &labels);
        let (replay, labels) = self.commit(delivery).await?;
        Ok(match entry.origin.feedback {
            origin::Feedback::Off => Answer::Acknowledged { replay },
            origin::Feedback::On(form) => Answer::Feedback { labels: feedback(records, &labels, form), replay },
        })
    }

    pub(super) async fn sort(&self, body: Zeroizing<Vec<u8>>) -> Result<Sorted, Refusal> {
        let (recognizer, ring, max) = (Arc::clone(&self.recognizer), Arc::clone(&self.fingerprints), self.max_records);
        if body.len() <= LARGE_BODY {
            return sort(&body, &recognizer, &ring, max);
        }
        match tokio::task::spawn_blocking(move || sort(&body, &recognizer, &ring, max)).await {
            Ok(sorted) => sorted,
            Err(_) => Err(Refusal::Unavailable { retry_after: UNAVAILABLE_FOR }),
        }
    }

    /// Asks the local issuers about their tokens, notes their verdicts, and gives the label of each token.
    pub(super) async fn decide(&self, tokens: &mut [NewToken], deadline: Instant) -> Vec<Option<Label>> {
        self.assign(tokens);
        let mut by_issuer: HashMap<IssuerName, (Arc<dyn Issuer>, Vec<usize>)> = HashMap::new();
        for (index, token) in tokens.iter().enumerate() {
            let Some(issuer) = self.issuers.of_kind(&token.kind) else { continue };
            if issuer.locality() == Locality::Local {
                let group = by_issuer.entry(issuer.name().clone()).or_insert_with(|| (Arc::clone(issuer), Vec::new()));
                group.1.push(index);
            }
        }
        for (issuer, indexes) in by_issuer.into_values() {
            let questions: Vec<_> = indexes
                .iter()
                .filter_map(|index| tokens.get(*index))
                .map(|token| Question { incident_id: None, kind: &token.kind, secret: &token.secret, token: None })
                .collect();
            // Late is the same as not asked: the verification is still to be done.
            let verdicts = tokio::time::timeout_at(deadline, issuer.verify(&questions)).await.unwrap_or_default();
            for (index, verdict) in indexes.into_iter().zip(verdicts) {
                if let (Some(token), false) = (tokens.get_mut(index), matches!(verdict, Verdict::Unknown(_))) {
                    token.verdict = Some(verdict);
                }
            }
        }
        tokens.iter().map(|token| token.verdict.as_ref().and_then(label_of)).collect()
    }

    /// Notes who answers for each token.
    pub(super) fn assign(&self, tokens: &mut [NewToken]) {
        for token in tokens {
            token.issuer = self.issuers.of_kind(&token.kind).map(|issuer| issuer.name().clone());
        }
    }

    pub(super) async fn commit(&self, delivery: NewDelivery) -> Result<(Replay, Vec<Option<Label>>), Refusal> {
        let (id, origin, reports) = (delivery.id, delivery.origin.clone(), delivery.reports.len());
        crash::point("accept.before_store");
        let committed = self.store.accept(delivery).await;
        crash::point("accept.after_commit");
        match committed {
            Ok(Accepted::Stored { labels, opened }) => {
                let opened = opened.len();
                info!(
                    delivery.id = %id, origin, reports, opened,
                    "accepted delivery {id} of origin {origin}: {reports} reports, {opened} new incidents"
                );
                Ok((Replay::First, labels))
            }
            Ok(Accepted::Replayed { delivery_id, labels }) => {
                info!(delivery.id = %delivery_id, origin, "delivery {delivery_id} of origin {origin} came again");
                Ok((Replay::Repeated, labels))
            }
            Err(failure) => {
                let failure: &(dyn std::error::Error + 'static) = &failure;
                error!(delivery.id = %id, origin, failure, "could not store delivery {id} of origin {origin}");
                Err(Refusal::Unavailable { retry_after: UNAVAILABLE_FOR })
            }
        }
    }
}

fn count_reports(origin: &str, sorted: &Sorted) {
    for content in &sorted.contents {
        let (kind, outcome) = match content {
            ReportContent::Malformed { reason } => ("none", *reason),
            ReportContent::Token(index) => {
                (sorted.tokens.get(*index).map_or("none", |token| token.kind.as_str()), "recognized")
            }
            ReportContent::Unrecognized => ("none", "unrecognized"),
        };
        counter!(metric::REPORTS_TOTAL,
            "origin" => origin.to_owned(), "kind" => kind.to_owned(), "outcome" => outcome)
        .increment(1);
    }
}

fn sort(body: &[u8], recognizer: &Recognizer, ring: &FingerprintRing, max_records: usize) -> Result<Sorted, Refusal> {
    let mut records = payload::parse(body, max_records)?;
    let (mut tokens, mut scratch) = (Tokens::default(), Scratch::new());
    let contents =
        records.iter_mut().map(|record| match record.token.as_ref().map(|text| identify(recognizer, text)) {
            Err(reason) => ReportContent::Malformed { reason: reason.word() },
            Ok(Identified::Recognized(found)) => {
                // An address may carry the token as well, or another one.
                record.withhold(|text| withheld(recognizer, &found.secret, text, &mut scratch));
                ReportContent::Token(tokens.index_of(found, ring))
            }
            Ok(Identified::TooLong) => ReportContent::Malformed { reason: Malformed::TooLong.word() },
            Ok(Identified::Unrecognized) => ReportContent::Unrecognized,
        });
    let contents = contents.collect();
    Ok(Sorted { records, contents, tokens: tokens.distinct })
}

/// The distinct tokens of a delivery, told apart by their current fingerprints.
#[derive(Default)]
struct Tokens {
    distinct: Vec<NewToken>,
    known: HashMap<Fingerprint, usize>,
}

impl Tokens {
    fn index_of(&mut self, found: Recognized, ring: &FingerprintRing) -> usize {
        let index = *self.known.entry(ring.current(&found.kind, &found.canonical)).or_insert(self.distinct.len());
        if index == self.distinct.len() {
            self.distinct.push(NewToken {
                fingerprints: ring.all(&found.kind, &found.canonical),
                kind: found.kind,
                confidence: found.confidence,
                hint: found.hint,
                secret: found.secret,
                issuer: None,
                verdict: None,
            });
        }
        index
    }
}

/// A record that makes the recognizer panic must not take its neighbours with it.
pub(super) fn identify(recognizer: &Recognizer, text: &str) -> Identified {
    catch_unwind(AssertUnwindSafe(|| recognizer.identify(text))).unwrap_or(Identified::Unrecognized)
}

/// The text without tokens. One that makes the recognizer panic is left out: nobody can say that it holds none.
fn withheld(recognizer: &Recognizer, secret: &Secret, text: &str, scratch: &mut Scratch) -> String {
    let shown = catch_unwind(AssertUnwindSafe(|| recognizer.withhold(text, scratch).into_owned()));
    if let Ok(shown) = shown {
        return secret.withheld_from(&shown).into_owned();
    }
    *scratch = Scratch::new();
    String::new()
}
