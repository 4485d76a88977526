//! Figures over time: how many, how fast, how it ended. Counted by the hour, so that reading them is bounded work.
//!
//! Spans fall into buckets an eighth of an octave wide, so that a percentile is within five percent of the truth and
//! hours can be added up. Nothing here names a repository, a place or a person: the reporter's agreement forbids it.

use std::collections::BTreeMap;

use super::reporters::{DAY_MILLIS, HOUR_MILLIS};
use super::sql::{Assembled, binds};
use super::{Error, Store};
use crate::clock::Timestamp;

/// What to add up.
#[derive(Clone, Debug)]
pub struct StatisticsRange {
    /// Rounded down to a whole slot.
    pub from: Timestamp,
    /// Not included.
    pub to: Timestamp,
    pub slot: Slot,
    pub issuer: Option<String>,
}

/// The width of a point of a chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    Day,
    Hour,
}

impl Slot {
    pub fn millis(self) -> i64 {
        match self {
            Self::Day => DAY_MILLIS,
            Self::Hour => HOUR_MILLIS,
        }
    }

    /// Slots that one question may span.
    pub fn most(self) -> i64 {
        match self {
            Self::Day => 92,
            Self::Hour => 14 * 24,
        }
    }
}

/// Figures of a range.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    /// In order, without those in which nothing happened.
    pub slots: Vec<(Timestamp, Figures)>,
    pub total: Figures,
    /// By issuer, of incidents that one was asked about.
    pub by_issuer: Vec<(String, Figures)>,
}

/// What happened in some span of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Incidents opened.
    pub opened: i64,
    /// Reports that named a token whose incident was there already.
    pub repeated: i64,
    /// Verdicts by their word.
    pub verdicts: BTreeMap<String, i64>,
    /// Incidents that ended, by their outcome.
    pub outcomes: BTreeMap<String, i64>,
    /// Times that an incident needed a person.
    pub stuck: i64,
    /// Times that the brake held a revocation.
    pub held: i64,
    /// From received to revoked.
    pub to_revoked: Spans,
    /// From received to mailed.
    pub to_notified: Spans,
}

/// Measured spans, by bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spans(BTreeMap<i64, i64>);

/// Buckets that double a span.
const BUCKETS_PER_OCTAVE: f64 = 8.0;

impl Spans {
    pub fn count(&self) -> i64 {
        self.0.values().sum()
    }

    /// The span that this share of all is not above, in milliseconds; none if there is none. `share` is from 0 to 1.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "counts and spans stay far below 2^53, and a percentile is not exact"
    )]
    pub fn percentile(&self, share: f64) -> Option<i64> {
        let rank = ((self.count() as f64 * share).ceil() as i64).max(1);
        let mut seen = 0;
        for (bucket, amount) in &self.0 {
            seen += amount;
            if seen >= rank {
                // The middle of the bucket, which is what lies nearest to all in it.
                return Some(((*bucket as f64 - 0.5) / BUCKETS_PER_OCTAVE).exp2().round().max(0.0) as i64);
            }
        }
        None
    }

    fn add(&mut self, bucket: i64, amount: i64) {
        *self.0.entry(bucket).or_default() += amount;
    }
}

/// The bucket of a span in milliseconds: it lies above `2^((bucket-1)/8)` and not above `2^(bucket/8)`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "spans stay far below 2^53 milliseconds"
)]
pub(super) fn bucket(millis: i64) -> i64 {
    ((millis.max(1) as f64).log2() * BUCKETS_PER_OCTAVE).ceil() as i64
}

impl Store {
    /// Adds up a range. One that spans more than [`Slot::most`] slots is cut at its beginning.
    pub async fn statistics(&self, range: &StatisticsRange) -> Result<Statistics, Error> {
        let width = range.slot.millis();
        let to = range.to.as_millis();
        let earliest = (to - range.slot.most() * width).max(range.from.as_millis());
        let from = earliest.div_euclid(width) * width;
        let mut statement = match range.slot {
            Slot::Day => Assembled::new(
                "-- statistics.days
                 SELECT hour / 86400000 * 86400000 AS slot, measure, issuer, bucket, CAST(sum(amount) AS BIGINT) AS amount
                 FROM statistics_hours
                 WHERE 1 = 1",
            ),
            Slot::Hour => Assembled::new(
                "-- statistics.hours
                 SELECT hour AS slot, measure, issuer, bucket, CAST(sum(amount) AS BIGINT) AS amount
                 FROM statistics_hours
                 WHERE 1 = 1",
            ),
        };
        statement.push("AND hour >= {?} AND hour < {?}", binds![from, to]);
        statement.push_if("AND issuer = {?}", range.issuer.as_deref());
        statement.push("GROUP BY 1, 2, 3, 4", Vec::new());
        let mut slots: BTreeMap<i64, Figures> = BTreeMap::new();
        let mut by_issuer: BTreeMap<String, Figures> = BTreeMap::new();
        let mut total = Figures::default();
        for row in self.read().await?.assembled(statement).await? {
            let (slot, measure, bucket) = (row.int("slot")?, row.text("measure")?, row.int("bucket")?);
            let (issuer, amount) = (row.text("issuer")?, row.int("amount")?);
            slots.entry(slot).or_default().add(&measure, bucket, amount);
            total.add(&measure, bucket, amount);
            if !issuer.is_empty() {
                by_issuer.entry(issuer).or_default().add(&measure, bucket, amount);
            }
        }
        let slots = slots.into_iter().map(|(slot, figures)| (Timestamp::from_millis(slot), figures)).collect();
        Ok(Statistics { slots, total, by_issuer: by_issuer.into_iter().collect() })
    }
}

impl Figures {
    fn add(&mut self, measure: &str, bucket: i64, amount: i64) {
        match measure.split_once(':') {
            Some(("closed", outcome)) => *self.outcomes.entry(outcome.to_owned()).or_default() += amount,
            Some(("verdict", word)) => *self.verdicts.entry(word.to_owned()).or_default() += amount,
            _ => match measure {
                "held" => self.held += amount,
                "notified" => self.to_notified.add(bucket, amount),
                "opened" => self.opened += amount,
                "repeated" => self.repeated += amount,
                "revoked" => self.to_revoked.add(bucket, amount),
                "stuck" => self.stuck += amount,
                // A measure of a newer version.
                _ => {}
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_within_five_percent_of_the_truth() {
        for millis in [2, 10, 99, 250, 1_000, 67_000, 86_400_000] {
            let mut spans = Spans::default();
            spans.add(bucket(millis), 1);
            let told = spans.percentile(0.5).expect("one span");
            assert!((told - millis).abs() * 20 <= millis + 19, "{millis} told as {told}");
        }
    }

    #[test]
    fn percentiles_follow_the_ranks() {
        let mut spans = Spans::default();
        for millis in 1..=1_000 {
            spans.add(bucket(millis), 1);
        }
        assert_eq!(spans.count(), 1_000);
        for (share, truth) in [(0.5, 500.0), (0.95, 950.0), (0.99, 990.0)] {
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let told = spans.percentile(share).expect("spans") as f64;
            assert!((told / truth - 1.0).abs() < 0.06, "{share}: {told}");
        }
        assert_eq!(Spans::default().percentile(0.5), None);
    }
}
