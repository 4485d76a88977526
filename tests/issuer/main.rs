//! Issuers as they are met outside: a real server that answers, fails, lies, stalls and points elsewhere.

#![cfg(feature = "server")]

mod builtin;
mod differential;
#[path = "../support/issuer.rs"]
#[expect(dead_code, reason = "other test targets use the rest")]
mod fake;
mod faults;
mod guarded;
mod http;
mod kinds;
mod reach;
mod settings;
mod vectors;

use fake::FakeIssuer;
use stanch::clock::{Clock, Timestamp};
use stanch::id::IncidentId;
use stanch::incident::{IssuedToken, Unknown, Verdict};
use stanch::issuer::http::{HttpIssuer, Settings};
use stanch::issuer::{Issuer, Question, Revocation};
use stanch::token::{KindId, Secret};

const OWNER: &str = "ada@example.org";

/// A made-up token, so that no scanner of this repository cries wolf.
fn token(number: u32) -> String {
    format!("made up/{number}?&{}", "x".repeat(20))
}

fn clock() -> Clock {
    Clock::manual(Timestamp::from_millis(1_795_395_604_000))
}

fn issuer(settings: Settings) -> HttpIssuer {
    HttpIssuer::new(settings, clock()).expect("well declared")
}

async fn verify(issuer: &impl Issuer, token: &str) -> Verdict {
    let (kind, secret) = (KindId::new("test-kind"), Secret::new(token.into()));
    let incident_id = Some(IncidentId::generate(clock().now()));
    issuer.verify(&[Question { incident_id, kind: &kind, secret: &secret, token: None }]).await.remove(0)
}

async fn revoke(issuer: &impl Issuer, token: &str, found: Option<&IssuedToken>) -> Revocation {
    let (kind, secret) = (KindId::new("test-kind"), Secret::new(token.into()));
    let incident_id = Some(IncidentId::generate(clock().now()));
    issuer.revoke(Question { incident_id, kind: &kind, secret: &secret, token: found }).await
}

/// Verifies that the token lives, then revokes it as the worker would.
async fn find_and_revoke(issuer: &impl Issuer, token: &str) -> Revocation {
    let Verdict::Live(found) = verify(issuer, token).await else { panic!("the token was issued") };
    revoke(issuer, token, Some(&found)).await
}

fn is_unavailable(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Unknown(Unknown::Unavailable { .. }))
}

async fn issuer_with_a_token() -> (FakeIssuer, String) {
    let fake = FakeIssuer::start().await;
    let token = token(1);
    fake.issue(&token, "id/1", OWNER);
    (fake, token)
}
