//! Promise 5, "revoke first, then talk": the service measures itself how long a reported token lived on, its owner hears
//! of it afterwards, and a mail server that is slow, or an issuer that lies, changes nothing about that order.

use serde_json::Value;

use crate::issuer::Mood;
use crate::process::{Installation, Kind, Process, acme_token, eventually, record};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_revoked_before_its_owner_hears_and_the_span_is_measured_on_sqlite() {
    revoked_before_its_owner_hears(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_revoked_before_its_owner_hears_and_the_span_is_measured_on_postgres() {
    revoked_before_its_owner_hears(Kind::Postgres).await;
}

async fn revoked_before_its_owner_hears(kind: Kind) {
    let world = Installation::new(kind).await;
    let (here, elsewhere) = (world.mint("ci-upload", "ada@example.org"), acme_token(31));
    world.issuer.issue(&elsewhere, "t1", "grace@example.org");
    let serving = world.serve();
    let records = [record(&here, "https://example.org/1"), record(&elsewhere, "https://example.org/2")];
    assert_eq!(world.deliver(serving.addr(), &records).await.expect("an answer").status, 200);
    world.settle(&serving, 2).await;

    let metrics = metrics(&serving).await;
    for (issuer, token) in [("builtin", "ci-upload"), ("acme", "t1")] {
        let incident = world.incident_of(token);
        let told = |name: &str| millis(&incident[name]);
        assert!(told("received_at") <= told("verified_at") && told("verified_at") <= told("revoked_at"));
        assert!(told("revoked_at") <= told("notified_at"), "the mail follows the revocation");
        let steps: Vec<&str> =
            incident["timeline"].as_array().expect("a list").iter().filter_map(|it| it["kind"].as_str()).collect();
        let at = |kind: &str| steps.iter().position(|step| step.starts_with(kind)).expect(kind);
        assert!(at("verified") < at("revoked") && at("revoked") < at("notified"), "{steps:?}");

        let labels = format!("{{issuer=\"{issuer}\"}}");
        let value = |name: &str| read(&metrics, &format!("stanch_time_to_revoke_seconds_{name}{labels}"));
        assert!((value("count") - 1.0).abs() < f64::EPSILON, "one revocation");
        let (measured, shown) = (value("sum"), told("revoked_at") - told("received_at"));
        assert!((measured - shown / 1_000.0).abs() < 0.002, "{measured} s measured, {shown} ms in the timeline");
    }
    assert!(metrics.contains("stanch_time_to_revoke_seconds_bucket{issuer=\"builtin\",le=\"2\"}"), "the goal's bucket");
    assert!((read(&metrics, "stanch_time_to_notify_seconds_count") - 2.0).abs() < f64::EPSILON);
    serving.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_mail_says_revoked_before_the_issuer_has_confirmed_it() {
    let world = Installation::new(Kind::Sqlite).await;
    let token = acme_token(32);
    world.issuer.issue(&token, "t1", "grace@example.org");
    world.issuer.behave(Mood::LiesAboutRevoking);
    let serving = world.serve();
    assert_eq!(world.deliver(serving.addr(), &[record(&token, "")]).await.expect("an answer").status, 200);
    eventually("the issuer lied twice", async || world.issuer.revocations_of("t1") >= 2).await;
    assert!(world.smtp.mails().is_empty() && world.issuer.is_live(&token), "it lives, so nobody says otherwise");

    world.issuer.behave(Mood::Answers);
    world.settle(&serving, 1).await;
    let incident = world.incident_of("t1");
    assert!(!world.issuer.is_live(&token) && world.smtp.mails().len() == 1);
    assert!(millis(&incident["revoked_at"]) <= millis(&incident["notified_at"]));
    serving.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_that_hangs_does_not_hold_up_revocations() {
    let world = Installation::new(Kind::Sqlite).await;
    world.may_leave_work("the mail server hangs to the end");
    world.smtp.misbehave("message silent");
    let serving = world.start_with(&["serve"], &[("STANCH_CONCURRENCY", "4")]);
    // More mails hang than the worker has hands, and each for as long as this test may take.
    for wave in 0..3_u32 {
        let tokens: Vec<String> = (0..6).map(|number| acme_token(330 + wave * 10 + number)).collect();
        for (number, token) in tokens.iter().enumerate() {
            let (id, owner) = (format!("t{wave}-{number}"), format!("owner{wave}{number}@example.org"));
            world.issuer.issue(token, &id, &owner);
        }
        let records: Vec<Value> = tokens.iter().map(|token| record(token, "")).collect();
        assert_eq!(world.deliver(serving.addr(), &records).await.expect("an answer").status, 200);
        let all_dead = async || tokens.iter().all(|token| !world.issuer.is_live(token));
        let soon = crate::process::within(std::time::Duration::from_secs(15), all_dead).await;
        assert!(soon, "wave {wave}: less than the half minute that one mail hangs");
        eventually("mails hang", async || world.smtp.connections() > 0).await;
    }
    assert!(world.smtp.mails().is_empty());
    serving.kill().await;
}

async fn metrics(serving: &Process) -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    client.get(serving.url("/metrics")).send().await.expect("an answer").text().await.expect("text")
}

/// The value of the metric with this name and these labels.
fn read(metrics: &str, name: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is not in\n{metrics}")).parse().expect("a number")
}

/// Milliseconds since 1970 of a time as it is shown.
fn millis(shown: &Value) -> f64 {
    let text = shown.as_str().unwrap_or_else(|| panic!("a time, not {shown}"));
    let at = stanch::clock::Timestamp::parse(text).expect("a time");
    std::time::Duration::from_millis(u64::try_from(at.as_millis()).expect("after 1970")).as_secs_f64() * 1_000.0
}
