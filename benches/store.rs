//! How many deliveries and records a second the store accepts, for 1 and 100 records a body.
//!
//! `cargo bench --bench store -- sqlite:PATH` or `-- postgres://…` (an empty database, which is left full).
//! Latencies are of `Store::accept` alone: signature and parsing are before it, the answer is after it.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the figures are for a person to read")]

use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use stanch::clock::Clock;
use stanch::id::DeliveryId;
use stanch::incident::{IssuerName, Place, Verdict};
use stanch::store::{NewDelivery, NewReport, NewToken, ReportContent, SealKey, SealRing, Settings, Store};
use stanch::token::{Confidence, FingerprintKey, FingerprintRing, KindId, Secret};
use tokio::task::JoinSet;

const RUN_FOR: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() {
    let Some(url) = std::env::args().skip(1).find(|argument| !argument.starts_with("--")) else {
        return eprintln!("usage: cargo bench --bench store -- DATABASE-URL");
    };
    let settings = Settings { url, max_connections: 16, keep_reports_for: Duration::from_hours(24) };
    let seal = SealRing { current: SealKey::new("s1".into(), [7; 32]), older: Vec::new() };
    let store = Store::open(&settings, seal, Clock::system()).await.expect("the database opens");
    for verdict in [None, Some(Verdict::NotOurs)] {
        for (records, callers) in [(1, 1), (1, 64), (100, 1), (100, 16)] {
            measure(&store, records, callers, verdict.as_ref()).await;
        }
    }
    store.close().await;
}

async fn measure(store: &Store, records: u32, callers: usize, verdict: Option<&Verdict>) {
    let started = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..callers {
        let (store, verdict) = (store.clone(), verdict.cloned());
        running.spawn(async move {
            let mut latencies = Vec::new();
            while started.elapsed() < RUN_FOR {
                let delivery = delivery(records, verdict.as_ref());
                let begun = Instant::now();
                store.accept(delivery).await.expect("accepted");
                latencies.push(begun.elapsed());
            }
            latencies
        });
    }
    let mut latencies: Vec<Duration> = running.join_all().await.into_iter().flatten().collect();
    let seconds = started.elapsed().as_secs_f64();
    let deliveries = f64::from(u32::try_from(latencies.len()).expect("a few seconds' worth"));
    latencies.sort();
    let at = |percent: usize| latencies[(latencies.len() - 1) * percent / 100];
    println!(
        "{} {records:>3} records a body, {callers:>2} callers: {:>6.0} deliveries/s {:>7.0} records/s  p50 {:>9.1?}  p99 {:>9.1?}",
        if verdict.is_some() { "closed at the door" } else { "opened with a job " },
        deliveries / seconds,
        deliveries * f64::from(records) / seconds,
        at(50),
        at(99),
    );
}

fn delivery(records: u32, verdict: Option<&Verdict>) -> NewDelivery {
    let now = Clock::system().now();
    let id = DeliveryId::generate(now);
    let ring = FingerprintRing::new(FingerprintKey::new("f1".into(), [1; 32]), Vec::new());
    let kind = KindId::new("stanch-pat");
    let tokens = (0..records).map(|index| {
        let secret = Secret::new(format!("benchmark-{id}-{index}").into_bytes());
        NewToken {
            fingerprints: ring.all(&kind, &secret),
            kind: kind.clone(),
            confidence: Confidence::Checksum,
            hint: "wxyz".into(),
            secret,
            issuer: Some(IssuerName::new("builtin")),
            verdict: verdict.cloned(),
        }
    });
    let reports = (0..records).map(|index| NewReport {
        content: ReportContent::Token(usize::try_from(index).expect("small")),
        place: Place {
            sent_type: "stanch_pat".into(),
            url: format!("https://code.example/owner/repository/blob/{id}/file-{index}.txt"),
            source: "commit".into(),
        },
        label: None,
    });
    NewDelivery {
        id,
        origin: "github".into(),
        key_id: "k1".into(),
        body_sha256: Sha256::digest(id.to_string()).into(),
        received_at: now,
        tokens: tokens.collect(),
        reports: reports.collect(),
    }
}
