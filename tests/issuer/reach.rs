//! A token is sent to the configured host and nowhere else, least of all into our own network.

use stanch::incident::{Unknown, Verdict};
use stanch::issuer::http::{Reach, Settings};

use crate::fake::{FakeIssuer, Mood};
use crate::{clock, is_unavailable, issuer, issuer_with_a_token, token, verify};

#[tokio::test]
async fn a_redirect_is_not_followed_wherever_it_points() {
    let (elsewhere, token) = issuer_with_a_token().await;
    let fake = FakeIssuer::start().await;
    let issuer = issuer(fake.declared("registry"));
    for to in [
        format!("http://{}/api/verify", elsewhere.address()),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "/api/verify".to_owned(),
    ] {
        fake.behave(Mood::Redirects(to.clone()));
        let verdict = verify(&issuer, &token).await;
        assert!(is_unavailable(&verdict), "{to}: {verdict:?}");
    }
    assert!(elsewhere.asked().is_empty());
}

#[tokio::test]
async fn an_address_of_our_own_network_is_refused_in_every_spelling() {
    let fake = FakeIssuer::start().await;
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "0.0.0.0",
        "10.1.2.3",
        "169.254.169.254",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[fd00:ec2::254]",
    ] {
        let base_url = format!("https://{host}/api");
        let settings = Settings { base_url, reach: Reach::default(), ..fake.declared("registry") };
        let refused = stanch::issuer::http::HttpIssuer::new(settings, clock()).err().expect(host);
        assert_eq!(refused.key, "base_url", "{host}: {refused}");
    }
}

#[tokio::test]
async fn a_name_that_resolves_into_our_own_network_is_not_called() {
    let fake = FakeIssuer::start().await;
    let base_url = format!("http://localhost:{}/api", fake.address().port());
    let reach = |allow_private| Reach { allow_http: true, allow_private, certificates: None };
    let settings = |allow_private| Settings {
        base_url: base_url.clone(),
        reach: reach(allow_private),
        ..fake.declared("registry")
    };
    let verdict = verify(&issuer(settings(false)), &token(1)).await;
    let Verdict::Unknown(Unknown::Misconfigured { why }) = verdict else { panic!("{verdict:?}") };
    assert!(why.contains("allow_private"), "{why}");
    assert!(fake.asked().is_empty());
    assert_eq!(verify(&issuer(settings(true)), &token(1)).await, Verdict::NotOurs);
}

#[tokio::test]
async fn what_is_filled_into_an_address_cannot_leave_its_place() {
    let fake = FakeIssuer::start().await;
    let mut settings = fake.declared("registry");
    settings.verify.path = "/tokens/{token}".into();
    let issuer = issuer(settings);
    for climbing in ["..", ".", ""] {
        let verdict = verify(&issuer, climbing).await;
        assert!(is_unavailable(&verdict), "{climbing:?}: {verdict:?}");
    }
    assert!(fake.asked().is_empty());
}
