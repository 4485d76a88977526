//! What is measured about issuers.

use std::time::Duration;

use metrics::{counter, gauge, histogram};

use super::{BreakerState, Revocation};
use crate::incident::{IssuerName, Unknown, Verdict};
use crate::telemetry::metric::{ISSUER_BREAKER_STATE, ISSUER_REQUEST_DURATION_SECONDS, REVOCATIONS_TOTAL};

pub(super) fn verified(issuer: &IssuerName, verdict: &Verdict, took: Duration) {
    let outcome = match verdict {
        Verdict::Unknown(unknown) => unknown_word(unknown),
        known => known.word(),
    };
    request(issuer, "verify", outcome, took);
}

pub(super) fn revoked(issuer: &IssuerName, revocation: &Revocation, took: Duration) {
    let outcome = match revocation {
        Revocation::AlreadyDead => "already_dead",
        Revocation::Confirmed => "confirmed",
        Revocation::NotOurs => "not_ours",
        Revocation::Unconfirmed(unknown) | Revocation::Unknown(unknown) => unknown_word(unknown),
    };
    counter!(REVOCATIONS_TOTAL, "issuer" => issuer.to_string(), "outcome" => outcome).increment(1);
    request(issuer, "revoke", outcome, took);
}

pub(super) fn breaker(issuer: &IssuerName, state: BreakerState) {
    let value = match state {
        BreakerState::Closed => 0.0,
        BreakerState::HalfOpen => 1.0,
        BreakerState::Open => 2.0,
        BreakerState::Misconfigured => 3.0,
    };
    gauge!(ISSUER_BREAKER_STATE, "issuer" => issuer.to_string()).set(value);
}

fn request(issuer: &IssuerName, operation: &'static str, outcome: &'static str, took: Duration) {
    let labels = [("issuer", issuer.to_string()), ("operation", operation.into()), ("outcome", outcome.into())];
    histogram!(ISSUER_REQUEST_DURATION_SECONDS, &labels).record(took.as_secs_f64());
}

fn unknown_word(unknown: &Unknown) -> &'static str {
    match unknown {
        Unknown::Contradictory { .. } => "contradictory",
        Unknown::Misconfigured { .. } => "misconfigured",
        Unknown::Throttled { .. } => "throttled",
        Unknown::Unavailable { .. } => "unavailable",
        Unknown::Undeclared { .. } => "undeclared",
    }
}
