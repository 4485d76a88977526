//! What a load achieved.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::{Answer, Failure};

/// Figures of one load. Only what was accepted (2xx) counts as achieved.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// From the start to the last answer.
    pub elapsed_ms: f64,
    /// What was meant to be sent, and what was: less, if the time was up first.
    pub planned: u64,
    pub sent: u64,
    pub accepted: u64,
    pub accepted_records: u64,
    pub deliveries_per_s: f64,
    pub records_per_s: f64,
    pub offered_per_s: Option<f64>,
    pub statuses: BTreeMap<u16, u64>,
    pub failures: BTreeMap<String, u64>,
    pub sent_bytes: u64,
    pub answer_bytes: u64,
    /// From the intended start of each delivery to the end of its answer.
    pub latency_ms: Option<Quantiles>,
    /// From the moment each was really sent.
    pub exchange_ms: Option<Quantiles>,
    /// How often a delivery waited for its signature.
    pub starved: u64,
}

impl Report {
    pub(super) fn new(tally: Tally, offered_per_s: Option<f64>, planned: u64, starved: u64) -> Self {
        let seconds = tally.last_answer.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
        let per_second = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
        Self {
            elapsed_ms: millis(tally.last_answer),
            planned,
            sent: tally.latencies.len() as u64,
            accepted: tally.accepted,
            accepted_records: tally.accepted_records,
            deliveries_per_s: per_second(tally.accepted),
            records_per_s: per_second(tally.accepted_records),
            offered_per_s,
            statuses: tally.statuses,
            failures: tally.failures.into_iter().map(|(failure, count)| (failure.to_string(), count)).collect(),
            sent_bytes: tally.sent_bytes,
            answer_bytes: tally.answer_bytes,
            latency_ms: Quantiles::of(tally.latencies),
            exchange_ms: Quantiles::of(tally.exchanges),
            starved,
        }
    }

    /// Whether every delivery that was planned was sent and accepted.
    pub fn is_clean(&self) -> bool {
        self.accepted == self.planned
    }
}

/// Milliseconds below which this share of the values lies, by nearest rank: each is a value that occurred.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Quantiles {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

impl Quantiles {
    fn of(mut values: Vec<Duration>) -> Option<Self> {
        values.sort_unstable();
        // The smallest value that at least `share` per mille of all values do not exceed.
        let at = |share: usize| {
            let rank = (values.len() * share).div_ceil(1_000).max(1);
            values.get(rank - 1).copied().map(millis)
        };
        Some(Self { p50: at(500)?, p90: at(900)?, p99: at(990)?, p999: at(999)?, max: at(1_000)? })
    }
}

/// Microseconds are as fine as a timer over loopback is honest.
fn millis(duration: Duration) -> f64 {
    let micros = u32::try_from(duration.as_micros()).unwrap_or(u32::MAX);
    f64::from(micros) / 1_000.0
}

/// Counts of one sender; the counts of all add up.
#[derive(Default)]
pub(super) struct Tally {
    statuses: BTreeMap<u16, u64>,
    failures: BTreeMap<Failure, u64>,
    accepted: u64,
    accepted_records: u64,
    sent_bytes: u64,
    answer_bytes: u64,
    latencies: Vec<Duration>,
    exchanges: Vec<Duration>,
    last_answer: Duration,
}

impl Tally {
    /// Adds one exchange: `latency` from its intended start, `exchange` from its real one, `ended` from the load's.
    pub(super) fn exchange(
        &mut self,
        outcome: &Result<Answer, Failure>,
        records: u64,
        bytes: u64,
        latency: Duration,
        exchange: Duration,
        ended: Duration,
    ) {
        match outcome {
            Ok(answer) => {
                *self.statuses.entry(answer.status.as_u16()).or_default() += 1;
                self.answer_bytes += answer.body.len() as u64;
                if answer.status.is_success() {
                    self.accepted += 1;
                    self.accepted_records += records;
                }
            }
            Err(failure) => *self.failures.entry(*failure).or_default() += 1,
        }
        self.sent_bytes += bytes;
        self.latencies.push(latency);
        self.exchanges.push(exchange);
        self.last_answer = self.last_answer.max(ended);
    }

    pub(super) fn merge(&mut self, other: Self) {
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        for (failure, count) in other.failures {
            *self.failures.entry(failure).or_default() += count;
        }
        self.accepted += other.accepted;
        self.accepted_records += other.accepted_records;
        self.sent_bytes += other.sent_bytes;
        self.answer_bytes += other.answer_bytes;
        self.latencies.extend(other.latencies);
        self.exchanges.extend(other.exchanges);
        self.last_answer = self.last_answer.max(other.last_answer);
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;
    use axum::http::StatusCode;

    use super::*;

    fn quantiles(values: impl IntoIterator<Item = u64>) -> Quantiles {
        Quantiles::of(values.into_iter().map(Duration::from_millis).collect()).expect("values")
    }

    #[test]
    fn quantiles_are_values_that_occurred() {
        let all = quantiles((1..=1_000).rev());
        let expected = Quantiles { p50: 500.0, p90: 900.0, p99: 990.0, p999: 999.0, max: 1_000.0 };
        assert_eq!(all, expected);
        let one = quantiles([7]);
        assert_eq!(one, Quantiles { p50: 7.0, p90: 7.0, p99: 7.0, p999: 7.0, max: 7.0 });
        let two = quantiles([1, 100]);
        assert_eq!(two, Quantiles { p50: 1.0, p90: 100.0, p99: 100.0, p999: 100.0, max: 100.0 });
        assert_eq!(Quantiles::of(Vec::new()), None);
    }

    #[test]
    fn only_what_was_accepted_counts_as_achieved() {
        let mut tally = Tally::default();
        let answer =
            |status| Ok(Answer { status, body: Bytes::from_static(b"[]"), retry_after: None, took: Duration::ZERO });
        let mut add = |outcome: Result<Answer, Failure>| {
            let mut one = Tally::default();
            one.exchange(&outcome, 10, 100, Duration::from_millis(5), Duration::from_millis(3), Duration::from_secs(2));
            tally.merge(one);
        };
        add(answer(StatusCode::OK));
        add(answer(StatusCode::NO_CONTENT));
        add(answer(StatusCode::UNAUTHORIZED));
        add(Err(Failure::TimedOut));
        let report = Report::new(tally, None, 4, 0);
        assert_eq!((report.sent, report.accepted, report.accepted_records), (4, 2, 20));
        assert!((report.deliveries_per_s - 1.0).abs() < 1e-9 && (report.records_per_s - 10.0).abs() < 1e-9);
        assert_eq!(report.statuses, BTreeMap::from([(200, 1), (204, 1), (401, 1)]));
        assert_eq!(report.failures, BTreeMap::from([("no answer in time".to_owned(), 1)]));
        assert_eq!((report.sent_bytes, report.answer_bytes), (400, 6));
        assert!(!report.is_clean());
    }

    #[test]
    fn a_load_that_sent_nothing_has_no_latencies_and_no_rate() {
        let report = Report::new(Tally::default(), Some(5.0), 1, 0);
        assert_eq!((report.latency_ms, report.sent), (None, 0));
        assert!(report.deliveries_per_s.abs() < f64::EPSILON);
    }
}
