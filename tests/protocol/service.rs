//! The service around the protocol: health, the drain, the metrics, and the token's own question.

use std::time::Duration;

use rand::rngs::SysRng;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use stanch::http::{self, Listeners, Settings, serve};
use stanch::id::TokenId;
use stanch::incident::EmailAddress;
use stanch::mint::pat::{Prefix, mint};
use stanch::send::Fault;
use stanch::store::{Insertion, NewOwnToken, NewOwner, OwnTokenKind, Revoking};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::door::{Door, KEY_ID, report, token, until};
use crate::issuer::Mood;

async fn json_of(response: reqwest::Response) -> Value {
    response.json().await.expect("JSON")
}

#[tokio::test]
async fn a_problem_says_its_kind_and_nothing_of_what_was_sent() {
    let door = Door::open().await;
    let marked = token(1);
    for path in ["/nowhere", "/webhooks/github", "/api/v1/self", &format!("/{marked}")] {
        let response = door.get(path).await;
        assert_eq!(response.headers()["content-type"], "application/problem+json", "{path}");
        let status = response.status().as_u16();
        let text = response.text().await.expect("a body");
        assert!(!text.contains(&marked));
        let problem: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!((problem["type"].as_str(), problem["status"].as_u64()), (Some("about:blank"), Some(status.into())));
    }
}

#[tokio::test]
async fn a_panic_is_answered_without_a_word_about_it_and_the_next_delivery_is_taken() {
    let door = Door::open().await;
    door.issuer.behave(Mood::Panics);
    let marked = token(1);
    let response = door.deliver(report(&marked)).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    let problem = json_of(response).await;
    assert_eq!(problem, serde_json::json!({ "type": "about:blank", "title": "Internal Server Error", "status": 500 }));
    door.assert_nothing_stored().await;
    door.issuer.behave(Mood::Answers);
    assert_eq!(door.deliver(report(&marked)).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn readiness_names_what_is_missing() {
    let door = Door::open().await;
    let response = door.get("/readyz").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let ready = json_of(response).await;
    assert_eq!(ready["obstacles"], serde_json::json!(["starting", "keys"]));
    assert_eq!(ready["origins_without_keys"], serde_json::json!(["github"]));
    assert_eq!(door.get("/startupz").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(door.get("/livez").await.status(), StatusCode::OK);
    assert_eq!(door.deliver(report(&token(1))).await.status(), StatusCode::OK);
    door.store.close().await;
    let ready = json_of(door.get("/readyz").await).await;
    assert_eq!(ready["obstacles"], serde_json::json!(["starting", "database"]));
    assert_eq!(door.get("/livez").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn metrics_are_served_and_have_no_label_that_a_sender_chose() {
    let door = Door::open().await;
    let marked = token(1);
    let body =
        serde_json::json!([{ "token": marked, "type": "chosen-type", "url": "chosen-url", "source": "chosen-source" }]);
    assert_eq!(door.deliver(body.to_string()).await.status(), StatusCode::OK);
    door.get("/chosen-path").await;
    let text = door.get("/metrics").await.text().await.expect("text");
    for name in [
        "stanch_deliveries_total{origin=\"github\",outcome=\"accepted\"}",
        "stanch_delivery_duration_seconds_bucket{origin=\"github\",le=\"0.1\"}",
        "stanch_reports_total{origin=\"github\",kind=\"stanch-pat\",outcome=\"recognized\"}",
        "stanch_public_key_last_refresh_timestamp_seconds{origin=\"github\"}",
        "stanch_http_responses_total{route=\"none\",status=\"404\"}",
        "stanch_build_info{version=",
    ] {
        assert!(text.contains(name), "{name} is not in\n{text}");
    }
    assert!(!text.contains("chosen") && !text.contains(&marked));
}

#[tokio::test]
async fn with_an_admin_address_the_public_one_shows_no_metrics() {
    let door = Door::open_with(|plan| plan.settings.admin_listen = Some(([127, 0, 0, 1], 1).into())).await;
    assert_eq!(door.get("/metrics").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(door.get("/livez").await.status(), StatusCode::OK);
}

/// Serves the door's app as `stanch serve` does, and gives the two addresses.
async fn served(door: &Door, stop: &CancellationToken) -> (String, String, tokio::task::JoinHandle<()>) {
    let public = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let admin = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = |listener: &TcpListener| format!("http://{}", listener.local_addr().expect("bound"));
    let (public_url, admin_url) = (url(&public), url(&admin));
    let server = tokio::spawn(serve(
        Listeners { public, admin: Some(admin), proxy: None },
        door.app.clone(),
        http::table(&door.app),
        stop.clone(),
    ));
    (public_url, admin_url, server)
}

#[tokio::test]
async fn a_stop_turns_readiness_first_and_finishes_what_has_begun() {
    let door = Door::open_with(|plan| {
        plan.settings = Settings { lame_duck_for: Duration::from_millis(300), ..Settings::default() };
        plan.origins[0].key_endpoint.as_mut().expect("has one").timeout = Duration::from_secs(2);
    })
    .await;
    let stop = CancellationToken::new();
    let (public, admin, server) = served(&door, &stop).await;
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let get = async |url: String| client.get(url).send().await.map(|response| response.status());
    until(async || get(format!("{public}/readyz")).await.expect("served") == StatusCode::OK).await;

    // A delivery whose key has to be fetched from an endpoint that hangs is in flight when the stop comes.
    door.keys.fail(Fault::Hang);
    let before = door.keys.requests();
    let mut message = door.signer.message(report(&token(1)).into());
    message.headers.insert(KEY_ID, HeaderValue::from_static("not-listed-yet"));
    let in_flight = {
        let request = client.post(format!("{public}/webhooks/github")).headers(message.headers).body(message.body);
        tokio::spawn(async move { request.send().await.expect("answered").status() })
    };
    until(async || door.keys.requests() > before).await;
    stop.cancel();
    until(async || get(format!("{public}/readyz")).await.expect("a lame duck still answers") != StatusCode::OK).await;
    assert_eq!(get(format!("{public}/livez")).await.expect("alive"), StatusCode::OK);
    assert_eq!(in_flight.await.expect("not cut off"), StatusCode::SERVICE_UNAVAILABLE, "answered, not dropped");
    server.await.expect("ended by itself");
    assert!(get(format!("{public}/livez")).await.is_err(), "nobody listens any more");
    assert!(get(format!("{admin}/livez")).await.is_err());
}

#[tokio::test]
async fn the_admin_address_has_health_and_metrics_and_no_webhook() {
    let door = Door::open().await;
    let stop = CancellationToken::new();
    let (_, admin, server) = served(&door, &stop).await;
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    for (path, status) in [("/livez", 200), ("/metrics", 200), ("/webhooks/github", 404), ("/api/v1/self", 404)] {
        let response = client.get(format!("{admin}{path}")).send().await.expect("served");
        assert_eq!(response.status().as_u16(), status, "{path}");
    }
    server.abort();
}

#[tokio::test]
async fn a_token_may_ask_what_it_is_until_it_is_dead() {
    let door = Door::open().await;
    let owner = NewOwner { name: "Ada".into(), email: EmailAddress::parse("ada@example.org").expect("an address") };
    let owner_id = door.store.ensure_owner(owner).await.expect("stored");
    let minted = mint(&Prefix::default(), &mut SysRng).expect("randomness");
    let id = TokenId::generate(door.clock.now());
    let new = NewOwnToken {
        hint: minted.hint,
        scopes: vec!["upload".into()],
        ..NewOwnToken::new(id, OwnTokenKind::Pat, owner_id, "ci".into(), minted.sha256)
    };
    assert_eq!(door.store.insert_own_token(new, 9, None).await.expect("stored"), Insertion::Stored);
    let ask = async |authorization: Option<&[u8]>| {
        let mut headers = HeaderMap::new();
        if let Some(value) = authorization {
            headers.insert(AUTHORIZATION, HeaderValue::from_bytes(value).expect("a value"));
        }
        door.request(Method::GET, "/api/v1/self", headers).await
    };
    let bearer = [b"Bearer ", minted.secret.expose()].concat();
    let response = ask(Some(&bearer)).await;
    assert_eq!(response.status(), StatusCode::OK);
    let text = response.text().await.expect("text");
    let about: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((about["token"]["name"].as_str(), about["owner"]["name"].as_str()), (Some("ci"), Some("Ada")));
    assert!(!text.contains('@'), "no address: a finder may ask as well");

    let revoking = Revoking { by: "operator:root".into(), reason: "leaked".into(), incident_id: None };
    assert!(door.store.revoke_own_token(id, revoking).await.expect("revoked"));
    let never_issued = [b"Bearer ", token(1).as_bytes()].concat();
    let mut answers = Vec::new();
    for value in [Some(bearer.as_slice()), Some(&never_issued), Some(b"Bearer nonsense")] {
        let response = ask(value).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(response.headers()["www-authenticate"], "Bearer error=\"invalid_token\"");
        answers.push(response.bytes().await.expect("a body"));
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "dead and never issued look the same");
    let response = ask(None).await;
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
}

#[tokio::test]
async fn answers_and_refused_signatures_are_counted_for_the_reporter() {
    let door = Door::open().await;
    for seed in 1..=2 {
        assert!(door.deliver(report(&token(seed))).await.status().is_success());
    }
    let mut forged = door.signer.message(report(&token(1)).into());
    forged.body = report(&token(3)).into();
    assert_eq!(door.send(forged).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(door.get("/webhooks/github").await.status(), StatusCode::METHOD_NOT_ALLOWED, "no delivery of anybody");
    door.app.close().await;
    let reporters = door.store.reporters(door.clock.now()).await.expect("readable");
    let github = reporters.iter().find(|reporter| reporter.origin == "github").expect("it delivered");
    assert_eq!(github.days.iter().map(|day| (day.answers, day.slow, day.rejected)).collect::<Vec<_>>(), [(2, 0, 1)]);
}
