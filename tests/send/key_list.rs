//! The key list server serves what GitHub serves, and fails the way it is told to.

use std::time::Duration;

use reqwest::{Response, StatusCode, header};
use stanch::send::{Fault, KeyList, KeyServer};

use crate::receiver::{key, signer};

async fn server() -> KeyServer {
    KeyServer::start(([127, 0, 0, 1], 0).into(), &signer().key_list()).await.expect("a server")
}

fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    builder.timeout(Duration::from_secs(2)).build().expect("a client")
}

async fn fetch(server: &KeyServer) -> reqwest::Result<Response> {
    client().get(server.url()).send().await
}

#[tokio::test]
async fn the_list_has_githubs_shape_and_an_entity_tag() {
    let server = server().await;
    let response = fetch(&server).await.expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    assert!(response.headers().contains_key(header::ETAG));
    let value: serde_json::Value = response.json().await.expect("JSON");
    let entry = &value["public_keys"][0];
    assert_eq!(entry["key_identifier"], signer().current().id());
    assert_eq!(entry["key"], signer().current().public_pem());
    assert_eq!(entry["is_current"], true);
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn an_unchanged_list_is_not_sent_twice() {
    let server = server().await;
    let etag = fetch(&server).await.expect("an answer").headers()[header::ETAG].clone();
    let again = |tag| client().get(server.url()).header(header::IF_NONE_MATCH, tag).send();
    assert_eq!(again(etag.clone()).await.expect("an answer").status(), StatusCode::NOT_MODIFIED);
    assert_eq!((server.requests(), server.not_modified()), (2, 1));

    let mut rotated = signer();
    rotated.rotate(key(2));
    server.publish(&rotated.key_list());
    let response = again(etag).await.expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.json::<KeyList>().await.expect("a list"), rotated.key_list());
}

#[tokio::test]
async fn every_fault_fails_as_named_and_heals() {
    let server = server().await;
    let fault = |name: &str| server.fail(name.parse::<Fault>().expect("a fault"));

    fault("503");
    assert_eq!(fetch(&server).await.expect("an answer").status(), StatusCode::SERVICE_UNAVAILABLE);
    fault("redirect");
    assert_eq!(fetch(&server).await.expect("an answer").status(), StatusCode::FOUND);
    fault("hang");
    assert!(fetch(&server).await.expect_err("no answer").is_timeout());
    fault("drip");
    let dripping = fetch(&server).await.expect("headers at once");
    assert!(dripping.bytes().await.expect_err("no end").is_timeout());
    fault("not-json");
    assert!(fetch(&server).await.expect("an answer").json::<KeyList>().await.is_err());
    fault("huge");
    assert!(fetch(&server).await.expect("an answer").bytes().await.expect("64 MiB").len() > 60_000_000);
    fault("malformed");
    let value: serde_json::Value = fetch(&server).await.expect("an answer").json().await.expect("JSON");
    let entries = value["public_keys"].as_array().expect("entries");
    assert!(entries.len() > 5);
    let good = serde_json::json!(signer().key_list().public_keys[0]);
    assert_eq!(entries.last(), Some(&good), "the good key is still among them");

    assert!("200".parse::<Fault>().is_err(), "an answer is not a fault");
    server.recover();
    assert_eq!(fetch(&server).await.expect("an answer").json::<KeyList>().await.expect("a list"), signer().key_list());
}

#[tokio::test]
async fn it_is_seen_whether_the_receiver_sent_credentials() {
    let server = server().await;
    fetch(&server).await.expect("an answer");
    assert_eq!(server.last_authorization(), None);
    client().get(server.url()).bearer_auth("x").send().await.expect("an answer");
    assert_eq!(server.last_authorization().expect("credentials"), "Bearer x");
}
