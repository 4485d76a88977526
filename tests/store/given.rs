//! Deliveries, verdicts and steps, made from a seed.

use std::time::Duration;

use sha2::{Digest, Sha256};
use stanch::clock::Timestamp;
use stanch::id::{DeliveryId, IncidentId};
use stanch::incident::{
    Actor, EmailAddress, Event, EventKind, Incident, IssuedToken, IssuerName, Owner, Place, Verdict,
};
use stanch::store::{Accepted, Claim, Claimed, NewDelivery, NewReport, NewToken, ReportContent, Settlement, Store};
use stanch::token::{Confidence, FingerprintKey, FingerprintRing, KindId, Secret};

pub const LEASE: Duration = Duration::from_secs(10);

/// The bytes of the token that a seed stands for.
pub fn token_bytes(seed: &str) -> Vec<u8> {
    format!("marked-token-{seed}").into_bytes()
}

pub fn fingerprint_ring() -> FingerprintRing {
    FingerprintRing::new(FingerprintKey::new("f1".into(), [1; 32]), Vec::new())
}

pub fn token(seed: &str) -> NewToken {
    let kind = KindId::new("stanch-pat");
    NewToken {
        fingerprints: fingerprint_ring().all(&kind, &Secret::new(token_bytes(seed))),
        kind,
        confidence: Confidence::Checksum,
        hint: "wxyz".into(),
        secret: Secret::new(token_bytes(seed)),
        issuer: Some(IssuerName::new("builtin")),
        verdict: None,
    }
}

pub fn place(url: &str) -> Place {
    Place { sent_type: "stanch_pat".into(), url: url.into(), source: "commit".into() }
}

/// A delivery in which each seed is reported once, all at places of their own.
pub fn delivery(seeds: &[&str], now: Timestamp) -> NewDelivery {
    let reports = seeds.iter().enumerate().map(|(index, seed)| NewReport {
        content: ReportContent::Token(index),
        place: place(&format!("https://code.example/{seed}")),
        label: None,
    });
    let reports = reports.collect();
    let id = DeliveryId::generate(now);
    NewDelivery {
        id,
        origin: "github".into(),
        key_id: "k1".into(),
        body_sha256: Sha256::digest(id.to_string()).into(),
        received_at: now,
        tokens: seeds.iter().map(|seed| token(seed)).collect(),
        reports,
    }
}

pub fn issued(id: &str, email: Option<&str>) -> IssuedToken {
    let owner = email.map(|email| Owner {
        id: None,
        name: None,
        email: Some(EmailAddress::parse(email).expect("an address")),
        others: Vec::new(),
    });
    IssuedToken {
        id: id.into(),
        name: Some("ci".into()),
        owner,
        created_at: None,
        last_used_at: None,
        last_used_from: None,
        expires_at: None,
        scopes: Vec::new(),
    }
}

/// Accepts a delivery and returns the incidents it opened.
pub async fn opened(store: &Store, delivery: NewDelivery) -> Vec<IncidentId> {
    match store.accept(delivery).await.expect("accepted") {
        Accepted::Stored { opened, .. } => opened,
        Accepted::Replayed { .. } => panic!("the delivery came before"),
    }
}

pub async fn claim(store: &Store, limit: u32) -> Vec<Claimed> {
    let claim = Claim { worker: "host-1", limit, lease_for: LEASE, without_issuers: &[], without_steps: &[] };
    store.claim(&claim).await.expect("claimed")
}

pub async fn claim_one(store: &Store) -> Claimed {
    claim(store, 1).await.pop().expect("a job is due")
}

/// The settlement of one move.
pub fn moved(claimed: &Claimed, now: Timestamp, kind: EventKind, change: impl FnOnce(&mut Incident)) -> Settlement {
    let mut incident = claimed.incident.clone();
    change(&mut incident);
    let events = vec![Event::new(now, Actor::Worker("host-1".into()), kind, Some(incident.id))];
    Settlement { incident, next_due_at: now, events, purge_at: None }
}

/// The verify step with a live answer.
pub fn found_live(claimed: &Claimed, now: Timestamp, issued: IssuedToken) -> Settlement {
    moved(claimed, now, EventKind::Verified, |incident| {
        incident.judge(&Verdict::Live(issued), now).expect("open");
    })
}

pub fn revoked(claimed: &Claimed, now: Timestamp) -> Settlement {
    moved(claimed, now, EventKind::Revoked, |incident| incident.revoked(now).expect("live"))
}

pub fn closed(claimed: &Claimed, now: Timestamp) -> Settlement {
    moved(claimed, now, EventKind::Closed, |incident| incident.close(now).expect("nothing is left"))
}
