//! A real issuer behind its guard: trouble ends the calls, recovery is found, and the metrics tell.

use std::sync::Arc;

use axum::http::StatusCode;
use stanch::incident::{Unknown, Verdict};
use stanch::issuer::{BreakerState, Guard, GuardSettings, Issuer, Issuers};
use stanch::token::KindId;

use crate::fake::{FakeIssuer, Mood};
use crate::{clock, issuer, token, verify};

#[tokio::test]
async fn an_issuer_in_trouble_rests_alone() {
    let (down, healthy, clock) = (FakeIssuer::start().await, FakeIssuer::start().await, clock());
    let guarded = |fake: &FakeIssuer, name: &str| {
        Arc::new(Guard::new(Arc::new(issuer(fake.declared(name))), GuardSettings::default(), clock.clone()))
    };
    let (bad, good) = (guarded(&down, "down"), guarded(&healthy, "healthy"));
    let mut issuers = Issuers::default();
    issuers.add(bad.clone(), [KindId::new("a")]);
    issuers.add(good.clone(), [KindId::new("b")]);
    assert!(issuers.resting(clock.now()).is_empty());

    down.behave(Mood::Fails(StatusCode::INTERNAL_SERVER_ERROR));
    for _ in 0..5 {
        assert!(matches!(verify(&*bad, &token(1)).await, Verdict::Unknown(Unknown::Unavailable { .. })));
    }
    assert_eq!(issuers.resting(clock.now()), [bad.name().clone()]);
    assert!(matches!(verify(&*bad, &token(1)).await, Verdict::Unknown(Unknown::Throttled { .. })));
    assert_eq!(verify(&*good, &token(1)).await, Verdict::NotOurs);
    assert!(bad.check().await.is_err(), "a person's question goes out all the same");

    down.behave(Mood::Answers);
    clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(verify(&*bad, &token(1)).await, Verdict::NotOurs);
    assert_eq!(bad.status().breaker, BreakerState::Closed);
    assert!(issuers.resting(clock.now()).is_empty());
}
