//! `Idempotency-Key`: a change that is sent twice happens once.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::door::Door;
use crate::routes::bearer;

async fn send(door: &Door, path: &str, shown: &str, key: &'static str, body: &Value) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_str(shown).expect("a value"));
    headers.insert("idempotency-key", HeaderValue::from_static(key));
    door.json(Method::POST, path, headers, Some(body.clone())).await
}

async fn told(response: Response) -> (u16, bool, Value) {
    let (status, replayed) = (response.status().as_u16(), response.headers().contains_key("idempotency-replayed"));
    (status, replayed, response.json().await.expect("JSON"))
}

#[tokio::test]
async fn a_token_that_is_asked_for_twice_is_made_once() {
    let door = Door::open().await;
    let (admin, other) = (bearer(&door, "operator:admin").await, bearer(&door, "tokens:write").await);
    let wanted = json!({ "name": "ci", "owner": { "email": "bob@example.org" } });
    let make =
        async |shown: &str, key, wanted: &Value| told(send(&door, "/api/v1/tokens", shown, key, wanted).await).await;
    let (status, replayed, first) = make(&admin, "k1", &wanted).await;
    assert_eq!((status, replayed), (201, false), "{first}");
    let again = send(&door, "/api/v1/tokens", &admin, "\"k1\"", &wanted).await;
    let headers = again.headers().clone();
    assert_eq!(
        (&headers["cache-control"], &headers["content-type"]),
        (&"no-store".parse().expect("a value"), &"application/json".parse().expect("a value"))
    );
    assert_eq!(told(again).await, (201, true, first.clone()), "the same token, and its secret again");
    let (status, _, _) =
        make(&admin, "k1", &json!({ "name": "another", "owner": { "email": "bob@example.org" } })).await;
    assert_eq!(status, 422);
    let (status, replayed, theirs) = make(&other, "k1", &json!({ "name": "ci" })).await;
    assert_eq!((status, replayed), (201, false), "a key belongs to its credential: {theirs}");
    assert_ne!(theirs["token"]["id"], first["token"]["id"]);

    // What was refused is not kept.
    let (status, _, _) = make(&admin, "k2", &wanted).await;
    assert_eq!(status, 409, "the name is taken");
    let (status, _, _) =
        make(&admin, "k2", &json!({ "name": "mended", "owner": { "email": "bob@example.org" } })).await;
    assert_eq!(status, 201);

    door.clock.advance(Duration::from_mins(10));
    let (status, replayed, late) = make(&admin, "k1", &wanted).await;
    assert_eq!((status, replayed), (409, false), "the secret is gone, the token is there: {late}");
    for key in ["", "two words", "a\"b"] {
        assert_eq!(make(&admin, key, &wanted).await.0, 400, "{key}");
    }
}

#[tokio::test]
async fn a_rotation_that_is_sent_again_does_not_kill_the_line() {
    let door = Door::open().await;
    let first = bearer(&door, "anything").await;
    let body = json!({ "overlap_seconds": 3600 });
    let rotate = async || told(send(&door, "/api/v1/tokens/self/rotate", &first, "k1", &body).await).await;
    let (status, _, one) = rotate().await;
    assert_eq!(status, 201, "{one}");
    assert_eq!(rotate().await, (201, true, one), "without the key, two hands would hold it");
}
