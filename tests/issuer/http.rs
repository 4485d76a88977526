//! What a healthy issuer is asked, and what its answers mean.

use stanch::incident::{Unknown, Verdict};
use stanch::issuer::http::Inactive;
use stanch::issuer::{Issuer, Locality, Revocation};

use crate::fake::{Asked, FakeIssuer, Mood};
use crate::{OWNER, find_and_revoke, issuer, issuer_with_a_token, revoke, token, verify};

#[tokio::test]
async fn a_live_token_is_told_with_its_owner() {
    let (fake, token) = issuer_with_a_token().await;
    let issuer = issuer(fake.declared("registry"));
    assert_eq!((issuer.name().as_str(), issuer.locality()), ("registry", Locality::Remote));
    let Verdict::Live(found) = verify(&issuer, &token).await else { panic!("it was issued") };
    assert_eq!((found.id.as_str(), found.name.as_deref()), ("id/1", Some("ci upload")));
    assert_eq!(found.scopes, ["upload"]);
    assert_eq!(found.created_at.map(|at| at.to_string()).as_deref(), Some("2026-01-02T03:04:05.000Z"));
    assert_eq!(found.expires_at.map(stanch::clock::Timestamp::as_millis), Some(1_900_000_000_000));
    assert_eq!(found.last_used_at, None);
    let owner = found.owner.expect("the answer names one");
    assert_eq!((owner.id.as_deref(), owner.name.as_deref()), (Some("17"), Some("Ada")));
    assert_eq!(owner.email.expect("a usable address").as_str(), OWNER);
    assert_eq!(fake.asked(), [Asked::Verify(token)], "the token arrives as it was, whatever is in it");
}

#[tokio::test]
async fn dead_and_never_issued_are_told_apart() {
    let (fake, dead) = issuer_with_a_token().await;
    fake.kill(&dead);
    let issuer = issuer(fake.declared("registry"));
    assert!(matches!(verify(&issuer, &dead).await, Verdict::Dead(Some(found)) if found.id == "id/1"));
    assert_eq!(verify(&issuer, &token(2)).await, Verdict::NotOurs);
}

#[tokio::test]
async fn many_questions_are_answered_in_order() {
    let (fake, live) = issuer_with_a_token().await;
    let issuer = issuer(fake.declared("registry"));
    let kind = stanch::token::KindId::new("test-kind");
    let secrets = [token(7), live, token(8)].map(|token| stanch::token::Secret::new(token.into()));
    let questions = secrets.each_ref().map(|secret| stanch::issuer::Question {
        incident_id: None,
        kind: &kind,
        secret,
        token: None,
    });
    let words: Vec<_> = issuer.verify(&questions).await.iter().map(Verdict::word).collect();
    assert_eq!(words, ["not_ours", "live", "not_ours"]);
}

#[tokio::test]
async fn a_revocation_is_asked_for_by_id_and_read_back() {
    let (fake, token) = issuer_with_a_token().await;
    let issuer = issuer(fake.declared("registry"));
    assert_eq!(find_and_revoke(&issuer, &token).await, Revocation::Confirmed);
    assert!(!fake.is_live(&token));
    let asked = [Asked::Verify(token.clone()), Asked::Revoke("id/1".into()), Asked::Verify(token)];
    assert_eq!(fake.asked(), asked);
}

#[tokio::test]
async fn a_revocation_that_needs_an_id_asks_for_it_first() {
    let (fake, live) = issuer_with_a_token().await;
    let issuer = issuer(fake.declared("registry"));
    assert_eq!(revoke(&issuer, &live, None).await, Revocation::Confirmed);
    assert_eq!(revoke(&issuer, &live, None).await, Revocation::AlreadyDead);
    assert_eq!(revoke(&issuer, &token(2), None).await, Revocation::NotOurs);
    assert_eq!(fake.revocations_of("id/1"), 1);
}

#[tokio::test]
async fn a_token_that_died_by_another_hand_is_told_so() {
    let (fake, token) = issuer_with_a_token().await;
    let issuer = issuer(fake.declared("registry"));
    let Verdict::Live(found) = verify(&issuer, &token).await else { panic!("it was issued") };
    fake.kill(&token);
    assert_eq!(revoke(&issuer, &token, Some(&found)).await, Revocation::AlreadyDead);
}

#[tokio::test]
async fn introspection_and_revocation_work_as_the_rfcs_say() {
    let (fake, live) = issuer_with_a_token().await;
    let issuer = issuer(fake.oauth("oauth"));
    let Verdict::Live(found) = verify(&issuer, &live).await else { panic!("it was issued") };
    assert_eq!(found.id, "id/1");
    assert_eq!(found.owner.and_then(|owner| owner.email).expect("an address").as_str(), OWNER);
    assert_eq!(verify(&issuer, &token(2)).await, Verdict::Dead(None), "inactive does not say never issued");
    assert_eq!(find_and_revoke(&issuer, &live).await, Revocation::Confirmed);
    // RFC 7009 section 2.2: 200 again. A repeat after a crash counts like the first time.
    assert_eq!(revoke(&issuer, &live, None).await, Revocation::Confirmed);
    assert_eq!(fake.revocations_of("id/1"), 2);
}

#[tokio::test]
async fn inactive_means_never_issued_where_the_operator_says_so() {
    let fake = FakeIssuer::start().await;
    let mut settings = fake.oauth("oauth");
    settings.verify_answers.inactive = Inactive::NotOurs;
    assert_eq!(verify(&issuer(settings), &token(2)).await, Verdict::NotOurs);
}

#[tokio::test]
async fn a_revocation_that_did_not_happen_does_not_count() {
    let (fake, token) = issuer_with_a_token().await;
    fake.behave(Mood::LiesAboutRevoking);
    for settings in [fake.declared("declared"), fake.oauth("oauth")] {
        let revocation = find_and_revoke(&issuer(settings), &token).await;
        assert!(matches!(revocation, Revocation::Unknown(Unknown::Contradictory { .. })), "{revocation:?}");
    }
}

#[tokio::test]
async fn a_read_back_about_another_token_does_not_count() {
    let (fake, token) = issuer_with_a_token().await;
    fake.behave(Mood::NamesAnotherToken);
    let revocation = find_and_revoke(&issuer(fake.declared("registry")), &token).await;
    assert!(matches!(revocation, Revocation::Unknown(Unknown::Unavailable { .. })), "{revocation:?}");
}

#[tokio::test]
async fn a_revocation_whose_answer_was_lost_is_unknown_and_can_be_repeated() {
    let (fake, token) = issuer_with_a_token().await;
    let issuer = issuer(fake.declared("registry"));
    let Verdict::Live(found) = verify(&issuer, &token).await else { panic!("it was issued") };
    fake.behave(Mood::FailsAfterRevoking);
    let lost = revoke(&issuer, &token, Some(&found)).await;
    assert!(matches!(lost, Revocation::Unknown(Unknown::Unavailable { .. })), "{lost:?}");
    fake.behave(Mood::Answers);
    assert_eq!(revoke(&issuer, &token, Some(&found)).await, Revocation::AlreadyDead);
}

#[tokio::test]
async fn a_check_shows_whether_the_issuer_can_be_worked_with() {
    let fake = FakeIssuer::start().await;
    let issuer = issuer(fake.declared("registry"));
    assert!(issuer.check().await.is_ok());
    assert_eq!(fake.asked().len(), 1, "one harmless question");
    fake.forget_us();
    assert_eq!(issuer.check().await, Err("the issuer refuses our credential (401)".into()));
    fake.behave(Mood::ShowsAPage(axum::http::StatusCode::NOT_FOUND));
    assert!(issuer.check().await.is_err(), "a wrong address is not a healthy issuer");
}
