//! A load sends what it was told to, keeps its pace, and does not flatter a slow receiver.

use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use stanch::send::{Courier, Feed, Generator, Limits, Load, Record, Report, Signing};
use tokio_util::sync::CancellationToken;

use crate::receiver::{Receiver, signer};

fn load(count: u64) -> Load {
    Load { count, duration: Duration::from_secs(30), rate: None, concurrency: 8, signing: Signing::Ahead }
}

fn made(records: usize) -> Feed {
    Feed::made(Generator::new("acme", "acme_pat", StdRng::seed_from_u64(1)), records)
}

async fn run(load: &Load, feed: Feed, courier: &Courier) -> Report {
    let stop = CancellationToken::new();
    load.run(courier, &signer(), feed, &stop, StdRng::seed_from_u64(2)).await.expect("a report")
}

async fn receiver() -> Receiver {
    Receiver::start(signer().key_list(), Limits::default()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_delivery_is_signed_sent_and_counted() {
    for signing in [Signing::Ahead, Signing::Before] {
        let receiver = receiver().await;
        let report = run(&Load { signing, ..load(50) }, made(3), &receiver.courier()).await;
        assert!(report.is_clean(), "{report:?}");
        assert_eq!((report.sent, report.accepted, report.accepted_records), (50, 50, 150));
        assert_eq!((receiver.accepted(), receiver.records()), (50, 150));
        assert_eq!(report.statuses, [(204, 50)].into());
        assert_eq!(receiver.distinct_bodies(), 50, "no body is sent twice");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn given_records_are_sent_in_parts_and_then_again() {
    let receiver = receiver().await;
    let record = |token: &str| Record { token: token.into(), kind: String::new(), url: String::new(), source: None };
    let records: Vec<_> = ["a", "b", "c"].map(record).into();
    let report = run(&load(4), Feed::given(&records, 2), &receiver.courier()).await;
    assert_eq!((report.accepted, report.accepted_records), (4, 6));
    assert_eq!(receiver.distinct_bodies(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_is_kept_and_ends_with_the_duration() {
    let receiver = receiver().await;
    let paced = Load { rate: Some(50.0), duration: Duration::from_millis(400), ..load(1_000) };
    let report = run(&paced, made(1), &receiver.courier()).await;
    assert_eq!((report.planned, report.sent), (20, 20));
    assert!(report.elapsed_ms >= 380.0, "the last of 20 starts after 380 ms: {report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_a_slow_receiver_counts_as_latency() {
    // One at a time and all meant to start within 2 ms: no receiver is as fast as that, and the last delivery waits for
    // all others.
    let receiver = receiver().await;
    let paced = Load { rate: Some(100_000.0), concurrency: 1, ..load(200) };
    let report = run(&paced, made(1), &receiver.courier()).await;
    let (latency, exchange) = (report.latency_ms.expect("sent"), report.exchange_ms.expect("sent"));
    assert!(latency.max >= report.elapsed_ms - 2.5, "{report:?}");
    assert!(latency.max > 10.0 * exchange.p50, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_too_slow_leaves_deliveries_unsent_and_the_report_unclean() {
    let silent = Receiver::silent().await;
    let courier = Courier::new(silent.url(), Duration::from_millis(800)).expect("a courier");
    let paced = Load { rate: Some(100.0), concurrency: 1, duration: Duration::from_millis(600), ..load(30) };
    let report = run(&paced, made(1), &courier).await;
    assert_eq!((report.planned, report.sent, report.accepted), (30, 1, 0));
    assert_eq!(report.failures, [("no answer in time".to_owned(), 1)].into());
    assert!(!report.is_clean());
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_and_silence_are_not_achievements() {
    let strangers = Receiver::start(stanch::send::KeyList::default(), Limits::default()).await;
    let report = run(&load(5), made(1), &strangers.courier()).await;
    assert_eq!((report.accepted, report.statuses.clone()), (0, [(401, 5)].into()));
    let url = strangers.url();
    drop(strangers);
    let gone = Courier::new(url, Duration::from_secs(1)).expect("a courier");
    let report = run(&load(5), made(1), &gone).await;
    assert_eq!(report.failures.values().sum::<u64>(), 5, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_told_to_stop_stops() {
    let receiver = receiver().await;
    let stop = CancellationToken::new();
    stop.cancel();
    let paced = Load { rate: Some(1.0), ..load(10) };
    let report = paced.run(&receiver.courier(), &signer(), made(1), &stop, StdRng::seed_from_u64(2)).await;
    assert!(report.expect("a report").sent < 2);
}

#[test]
fn only_loopback_is_local() {
    let is_local =
        |url: &str| Courier::new(url.parse().expect("a url"), Duration::from_secs(1)).expect("ok").is_local();
    for url in ["http://127.0.0.1:1/", "http://127.9.9.9/", "http://[::1]:8080/", "http://localhost/"] {
        assert!(is_local(url), "{url}");
    }
    for url in ["http://192.168.0.1/", "https://example.com/", "http://localhost.example/", "http://[::2]/"] {
        assert!(!is_local(url), "{url}");
    }
}
