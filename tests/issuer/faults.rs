//! An issuer in trouble. Whatever it does, a token is never taken for dead, and nothing secret is told.

use std::time::Duration;

use axum::http::StatusCode;
use stanch::incident::{Unknown, Verdict};
use stanch::issuer::http::{Credential, Limits, Settings};
use stanch::issuer::{Issuer, Revocation};
use stanch::token::Secret;

use crate::fake::{CREDENTIAL, FakeIssuer, Mood};
use crate::{issuer, issuer_with_a_token, revoke, token, verify};

/// Patience for an issuer that will not answer anyway.
fn impatient(settings: Settings) -> Settings {
    let limits = Limits { timeout: Duration::from_millis(30), ..settings.limits };
    Settings { limits, ..settings }
}

#[tokio::test]
async fn whatever_goes_wrong_is_unknown_and_never_dead() {
    let (fake, token) = issuer_with_a_token().await;
    let moods = [
        Mood::Drips,
        Mood::Fails(StatusCode::INTERNAL_SERVER_ERROR),
        Mood::Fails(StatusCode::BAD_GATEWAY),
        Mood::Fails(StatusCode::SERVICE_UNAVAILABLE),
        Mood::Fails(StatusCode::BAD_REQUEST),
        Mood::Fails(StatusCode::REQUEST_TIMEOUT),
        Mood::Fails(StatusCode::NO_CONTENT),
        Mood::Fails(StatusCode::IM_A_TEAPOT),
        Mood::Floods,
        Mood::Redirects("/elsewhere".into()),
        Mood::ShowsAPage(StatusCode::OK),
        Mood::ShowsAPage(StatusCode::NOT_FOUND),
        Mood::ShowsAPage(StatusCode::GONE),
        Mood::StaysSilent,
    ];
    for declare in [FakeIssuer::declared, FakeIssuer::oauth] {
        fake.behave(Mood::Answers);
        let patient = issuer(declare(&fake, "registry"));
        let Verdict::Live(found) = verify(&patient, &token).await else { panic!("it was issued") };
        let issuer = issuer(impatient(declare(&fake, "registry")));
        for mood in moods.clone() {
            fake.behave(mood.clone());
            let verdict = verify(&issuer, &token).await;
            // A status of its own for one question says nothing about the issuer.
            let refused = matches!(mood, Mood::Fails(StatusCode::BAD_REQUEST | StatusCode::IM_A_TEAPOT));
            let fits = |unknown: &Unknown| match unknown {
                Unknown::Undeclared { .. } => refused,
                Unknown::Unavailable { .. } => !refused,
                _ => false,
            };
            assert!(matches!(&verdict, Verdict::Unknown(unknown) if fits(unknown)), "{mood:?}: {verdict:?}");
            let revocation = revoke(&issuer, &token, Some(&found)).await;
            // To a revocation 204 means done, but what is read back means nothing.
            let (Revocation::Unconfirmed(unknown) | Revocation::Unknown(unknown)) = revocation else {
                panic!("{mood:?}: {revocation:?}")
            };
            assert!(fits(&unknown), "{mood:?}: {unknown:?}");
        }
    }
    assert!(fake.is_live(&token));
}

#[tokio::test]
async fn an_issuer_that_quotes_the_token_is_not_quoted() {
    let (fake, token) = issuer_with_a_token().await;
    let issuer = issuer(fake.declared("registry"));
    fake.behave(Mood::EchoesInItsErrors);
    for _ in 0..8 {
        let Verdict::Unknown(unknown) = verify(&issuer, &token).await else { panic!("no answer") };
        assert!(!unknown.why().contains(&token), "{}", unknown.why());
    }
    fake.behave(Mood::NamesTheTokenByItsText);
    let Verdict::Live(found) = verify(&issuer, &token).await else { panic!("it lives") };
    assert_eq!(found.name.as_deref(), Some(stanch::token::WITHHELD));
}

#[tokio::test]
async fn a_full_answer_is_not_waited_for_longer_than_it_may_be() {
    let fake = FakeIssuer::start().await;
    fake.behave(Mood::Floods);
    let mut settings = fake.declared("registry");
    settings.limits.max_answer_bytes = 10_000;
    let Verdict::Unknown(unknown) = verify(&issuer(settings), &token(1)).await else { panic!("no answer") };
    assert_eq!(unknown.why(), "the answer is longer than any answer should be");
}

#[tokio::test]
async fn a_wish_for_a_pause_is_heard_in_both_forms() {
    let fake = FakeIssuer::start().await;
    let issuer = issuer(fake.declared("registry"));
    // The clock of these tests stands at 2026-11-23T01:00:04Z.
    for (wish, seconds) in [("17", 17), ("Mon, 23 Nov 2026 01:00:34 GMT", 30), ("whenever", 10)] {
        fake.behave(Mood::AsksToWait(wish.into()));
        let verdict = verify(&issuer, &token(1)).await;
        let Verdict::Unknown(Unknown::Throttled { retry_after, .. }) = verdict else { panic!("{wish}: {verdict:?}") };
        assert_eq!(retry_after, Duration::from_secs(seconds), "{wish}");
    }
}

#[tokio::test]
async fn a_refusal_of_our_credential_is_for_a_person() {
    let (fake, token) = issuer_with_a_token().await;
    fake.forget_us();
    for settings in [fake.declared("declared"), fake.oauth("oauth")] {
        let issuer = issuer(settings);
        let verdict = verify(&issuer, &token).await;
        assert!(matches!(verdict, Verdict::Unknown(Unknown::Misconfigured { .. })), "{verdict:?}");
        let revocation = revoke(&issuer, &token, None).await;
        assert!(matches!(revocation, Revocation::Unknown(Unknown::Misconfigured { .. })), "{revocation:?}");
    }
}

#[tokio::test]
async fn every_form_of_our_credential_arrives() {
    let fake = FakeIssuer::start().await;
    let secret = || Secret::new(CREDENTIAL.into());
    let header =
        Credential::Header { name: "authorization".into(), value: Secret::new(format!("Bearer {CREDENTIAL}").into()) };
    for (credential, fits) in [
        (Credential::Bearer(secret()), true),
        (header, true),
        (Credential::Basic { username: "us".into(), password: secret() }, false),
        (Credential::None, false),
    ] {
        let issuer = issuer(Settings { credential, ..fake.declared("registry") });
        assert_eq!(verify(&issuer, &token(1)).await == Verdict::NotOurs, fits);
    }
}

#[tokio::test]
async fn an_issuer_that_is_not_there_is_unknown() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let nobody = listener.local_addr().expect("bound");
    drop(listener);
    let hangs_up = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let resets = hangs_up.local_addr().expect("bound");
    let hanging_up = tokio::spawn(async move {
        while let Ok((connection, _)) = hangs_up.accept().await {
            drop(connection);
        }
    });
    let fake = FakeIssuer::start().await;
    for (base_url, word) in [
        (format!("http://{nobody}"), "reached"),
        (format!("http://{resets}"), "broke off"),
        // It does not speak TLS.
        (format!("https://{}", fake.address()), "TLS"),
        ("http://issuer.invalid".to_owned(), "resolved"),
    ] {
        let issuer = issuer(Settings { base_url: base_url.clone(), ..fake.declared("registry") });
        let verdict = verify(&issuer, &token(1)).await;
        let Verdict::Unknown(Unknown::Unavailable { why }) = verdict else { panic!("{base_url}: {verdict:?}") };
        assert!(why.contains(word), "{base_url}: {why}");
    }
    hanging_up.abort();
}

#[tokio::test]
async fn no_error_tells_the_token_or_our_credential() {
    let (fake, token) = issuer_with_a_token().await;
    let mut settings = impatient(fake.declared("registry"));
    // The worst case: the token stands in the address, and the address stands in the client's own errors.
    settings.verify.path = "/verify/{token}?again={token}".into();
    let issuer = issuer(settings);
    for mood in [
        Mood::Answers,
        Mood::StaysSilent,
        Mood::Floods,
        Mood::Redirects(format!("http://127.0.0.1:1/{token}")),
        Mood::ShowsAPage(StatusCode::OK),
        Mood::Fails(StatusCode::BAD_GATEWAY),
    ] {
        fake.behave(mood.clone());
        let told = [format!("{:?}", verify(&issuer, &token).await), format!("{:?}", issuer.check().await)];
        for text in told {
            for secret in [&token[..], "made%20up", "made+up", "xxxxx", CREDENTIAL, "127.0.0.1"] {
                assert!(!text.contains(secret), "{mood:?}: {text}");
            }
        }
    }
}
