//! The built-in issuer and the door that accepts its tokens, on a real database.

use std::time::Duration;

use rand::rngs::SysRng;
use stanch::clock::Clock;
use stanch::id::{IncidentId, TokenId};
use stanch::incident::{EmailAddress, Unknown, Verdict};
use stanch::issuer::builtin::Builtin;
use stanch::issuer::{Issuer, Locality, Question, Revocation};
use stanch::mint::pat::{Minted, Prefix, mint};
use stanch::mint::{self, Authenticated, Authenticator, Refusal, Request};
use stanch::store::{
    Insertion, NewOwnToken, NewOwner, OwnToken, OwnTokenKind, Revoking, SealKey, SealRing, Settings, Store,
};
use stanch::token::{KindId, Secret};
use tempfile::TempDir;

use crate::{OWNER, clock};

/// A database of its own, an issuer on it, and a door.
struct Home {
    clock: Clock,
    store: Store,
    issuer: Builtin,
    door: Authenticator,
    _dir: TempDir,
}

impl Home {
    async fn new() -> Self {
        let (dir, clock) = (tempfile::tempdir().expect("a place for the database"), clock());
        let settings = Settings {
            url: format!("sqlite:{}", dir.path().join("stanch.db").display()),
            max_connections: 2,
            keep_reports_for: Duration::from_hours(24),
        };
        let seal = SealRing { current: SealKey::new("s1".into(), [7; 32]), older: vec![] };
        let store = Store::open(&settings, seal, clock.clone()).await.expect("a fresh database opens");
        let issuer = Builtin::new(store.clone(), clock.clone());
        let door = Authenticator::new(store.clone(), mint::Settings::default(), clock.clone());
        Self { clock, store, issuer, door, _dir: dir }
    }

    async fn issue(&self, name: &str, lives_for: Option<Duration>) -> Minted {
        let minted = mint(&Prefix::default(), &mut SysRng).expect("the system has randomness");
        let email = EmailAddress::parse(OWNER).expect("well formed");
        let owner = NewOwner { name: "Ada".into(), email };
        let owner_id = self.store.ensure_owner(owner).await.expect("stored");
        let now = self.clock.now();
        let id = TokenId::generate(now);
        let token = NewOwnToken {
            hint: minted.hint.clone(),
            scopes: vec!["upload".into()],
            expires_at: lives_for.map(|span| now.plus(span)),
            ..NewOwnToken::new(id, OwnTokenKind::Pat, owner_id, name.into(), minted.sha256)
        };
        let inserted = self.store.insert_own_token(token, u32::MAX, None).await.expect("stored");
        assert_eq!(inserted, Insertion::Stored, "the name is free");
        minted
    }

    async fn verify(&self, secret: &Secret) -> Verdict {
        let kind = KindId::new("stanch-pat");
        self.issuer.verify(&[Question { incident_id: None, kind: &kind, secret, token: None }]).await.remove(0)
    }

    async fn revoke(&self, secret: &Secret, incident_id: Option<IncidentId>) -> Revocation {
        let kind = KindId::new("stanch-pat");
        self.issuer.revoke(Question { incident_id, kind: &kind, secret, token: None }).await
    }

    async fn stored(&self, minted: &Minted) -> OwnToken {
        self.store.own_tokens_by_hash(&[minted.sha256]).await.expect("readable").remove(0).expect("stored")
    }

    async fn knock(&self, scheme: &str, secret: &Secret) -> Result<OwnToken, Refusal> {
        let header = [scheme.as_bytes(), b" ", secret.expose()].concat();
        let shown = self.door.authenticate_header(&header, &Request::default()).await;
        shown.map(|authenticated| Authenticated::token(&authenticated).clone())
    }

    fn incident(&self) -> IncidentId {
        IncidentId::generate(self.clock.now())
    }
}

fn stranger() -> Minted {
    mint(&Prefix::default(), &mut SysRng).expect("the system has randomness")
}

#[tokio::test]
async fn each_question_gets_its_own_verdict() {
    let home = Home::new().await;
    assert_eq!((home.issuer.name().as_str(), home.issuer.locality()), ("builtin", Locality::Local));
    let live = home.issue("live", None).await;
    let short = home.issue("short", Some(Duration::from_secs(10))).await;
    let dead = home.issue("dead", None).await;
    assert_eq!(home.revoke(&dead.secret, None).await, Revocation::Confirmed);
    home.clock.advance(Duration::from_secs(10));
    let (kind, unknown) = (KindId::new("stanch-pat"), stranger());
    let questions = [&live, &unknown, &short, &dead, &live].map(|minted| Question {
        incident_id: None,
        kind: &kind,
        secret: &minted.secret,
        token: None,
    });
    let words: Vec<_> = home.issuer.verify(&questions).await.iter().map(Verdict::word).collect();
    assert_eq!(words, ["live", "not_ours", "dead", "dead", "live"]);
}

#[tokio::test]
async fn a_live_token_is_told_with_all_that_its_owner_must_hear() {
    let home = Home::new().await;
    let minted = home.issue("ci upload", Some(Duration::from_mins(1))).await;
    let Verdict::Live(token) = home.verify(&minted.secret).await else { panic!("it was issued") };
    assert_eq!(token.id, home.stored(&minted).await.id.to_string());
    assert_eq!(token.name.as_deref(), Some("ci upload"));
    assert_eq!(token.scopes, ["upload"]);
    assert_eq!(token.created_at, Some(home.clock.now()));
    assert_eq!(token.expires_at, Some(home.clock.now().plus(Duration::from_mins(1))));
    let owner = token.owner.expect("every token has an owner");
    assert_eq!(owner.name.as_deref(), Some("Ada"));
    assert_eq!(owner.email.expect("every owner has an address").as_str(), OWNER);
}

#[tokio::test]
async fn asking_about_a_token_is_no_use_of_it() {
    let home = Home::new().await;
    let minted = home.issue("ci", None).await;
    home.verify(&minted.secret).await;
    assert_eq!(home.stored(&minted).await.last_used_at, None);
}

#[tokio::test]
async fn a_repeated_revocation_counts_for_its_own_incident_only() {
    let home = Home::new().await;
    let minted = home.issue("ci", None).await;
    let (ours, other) = (home.incident(), home.incident());
    assert_eq!(home.revoke(&minted.secret, Some(ours)).await, Revocation::Confirmed);
    // The worker died before it could record that, and another one does the step again.
    assert_eq!(home.revoke(&minted.secret, Some(ours)).await, Revocation::Confirmed);
    assert_eq!(home.revoke(&minted.secret, Some(other)).await, Revocation::AlreadyDead);
    assert_eq!(home.revoke(&minted.secret, None).await, Revocation::AlreadyDead);
    let stored = home.stored(&minted).await;
    assert_eq!((stored.incident_id, stored.revoked_reason.as_deref()), (Some(ours), Some("leaked")));
}

#[tokio::test]
async fn what_was_dead_before_or_never_issued_is_not_said_to_be_revoked() {
    let home = Home::new().await;
    let by_hand = home.issue("by hand", None).await;
    let id = home.stored(&by_hand).await.id;
    let revoking = Revoking { by: "operator:root".into(), reason: "not needed any more".into(), incident_id: None };
    assert!(home.store.revoke_own_token(id, revoking).await.expect("stored"));
    assert_eq!(home.revoke(&by_hand.secret, Some(home.incident())).await, Revocation::AlreadyDead);
    let expired = home.issue("expired", Some(Duration::from_secs(1))).await;
    home.clock.advance(Duration::from_secs(1));
    assert_eq!(home.revoke(&expired.secret, Some(home.incident())).await, Revocation::AlreadyDead);
    assert_eq!(home.revoke(&stranger().secret, Some(home.incident())).await, Revocation::NotOurs);
}

#[tokio::test]
async fn a_database_that_is_away_is_unknown_and_never_dead() {
    let home = Home::new().await;
    let minted = home.issue("ci", None).await;
    assert!(home.issuer.check().await.is_ok());
    home.store.close().await;
    let verdict = home.verify(&minted.secret).await;
    assert!(matches!(verdict, Verdict::Unknown(Unknown::Unavailable { .. })), "{verdict:?}");
    let revocation = home.revoke(&minted.secret, None).await;
    assert!(matches!(revocation, Revocation::Unknown(Unknown::Unavailable { .. })), "{revocation:?}");
    assert!(home.issuer.check().await.is_err());
    assert!(matches!(home.knock("Bearer", &minted.secret).await, Err(Refusal::Unavailable(_))));
}

#[tokio::test]
async fn a_token_opens_the_door_until_it_is_revoked() {
    let home = Home::new().await;
    let minted = home.issue("ci", None).await;
    for scheme in ["Bearer", "token", "bearer"] {
        assert_eq!(home.knock(scheme, &minted.secret).await.expect("it lives").name, "ci");
    }
    assert_eq!(home.revoke(&minted.secret, None).await, Revocation::Confirmed);
    assert!(matches!(home.knock("Bearer", &minted.secret).await, Err(Refusal::Invalid(_))));
}

#[tokio::test]
async fn expired_revoked_unknown_and_mistyped_tokens_are_refused_alike() {
    let home = Home::new().await;
    let expired = home.issue("expired", Some(Duration::from_secs(1))).await;
    let revoked = home.issue("revoked", None).await;
    home.revoke(&revoked.secret, None).await;
    home.clock.advance(Duration::from_secs(1));
    let mut mistyped = home.issue("live", None).await.secret.expose().to_vec();
    mistyped.reverse();
    let shown = [expired.secret, revoked.secret, stranger().secret, Secret::new(mistyped)];
    for secret in &shown {
        let refusal = home.knock("Bearer", secret).await.expect_err("none of them is accepted");
        assert_eq!(refusal.to_string(), "the token is not accepted");
    }
    assert!(matches!(home.door.authenticate_header(b"Basic abc", &Request::default()).await, Err(Refusal::Absent)));
}

#[tokio::test]
async fn the_first_use_is_written_at_once_and_later_ones_together() {
    let home = Home::new().await;
    let minted = home.issue("ci", None).await;
    let first = home.clock.now();
    home.knock("Bearer", &minted.secret).await.expect("it lives");
    // Beside the answer, and yet before anybody asks for it.
    tokio::time::timeout(Duration::from_secs(10), async {
        while home.stored(&minted).await.first_used_at.is_none() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the first use is not held back");
    home.clock.advance(Duration::from_secs(30));
    for _ in 0..3 {
        home.knock("Bearer", &minted.secret).await.expect("it lives");
    }
    let stored = home.stored(&minted).await;
    assert_eq!((stored.first_used_at, stored.last_used_at, stored.uses), (Some(first), Some(first), 1));
    home.door.close().await;
    let stored = home.stored(&minted).await;
    assert_eq!((stored.first_used_at, stored.last_used_at, stored.uses), (Some(first), Some(home.clock.now()), 4));
}
