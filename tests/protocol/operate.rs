//! The operators' routes, with tokens of each role.

use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::door::{Door, report, token};
use crate::routes::bearer;

async fn call(door: &Door, method: Method, path: &str, shown: &str, body: Option<Value>) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_str(shown).expect("a value"));
    door.json(method, path, headers, body).await
}

async fn got(door: &Door, path: &str, shown: &str) -> Value {
    let response = call(door, Method::GET, path, shown, None).await;
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    response.json().await.expect("JSON")
}

#[tokio::test]
async fn a_viewer_reads_everything_page_by_page() {
    let door = Door::open().await;
    let viewer = bearer(&door, "operator:viewer").await;
    for seed in 1..=2 {
        assert!(door.deliver(report(&token(seed))).await.status().is_success());
    }
    let first = got(&door, "/api/v1/incidents?limit=1", &viewer).await;
    let next = format!("/api/v1/incidents?limit=1&cursor={}", first["next"].as_str().expect("a second page"));
    let second = got(&door, &next, &viewer).await;
    assert!(second["next"].is_null() && first["incidents"][0]["id"] != second["incidents"][0]["id"]);
    let id = first["incidents"][0]["id"].as_str().expect("an id");
    let detail = got(&door, &format!("/api/v1/incidents/{id}"), &viewer).await;
    assert_eq!(detail["timeline"][0]["kind"], "opened");
    assert!(!detail.to_string().contains(&token(1)) && !detail.to_string().contains(&token(2)));
    for path in ["needs-human", "queue", "reporters", "issuers", "audit"] {
        assert!(got(&door, &format!("/api/v1/{path}"), &viewer).await.is_object());
    }
    for bad in ["state=nonsense", "cursor=x", "since=yesterday", "unknown=1"] {
        let status = call(&door, Method::GET, &format!("/api/v1/incidents?{bad}"), &viewer, None).await.status();
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}");
    }
    let asked = json!({ "token": token(1) });
    let answer = call(&door, Method::POST, "/api/v1/incidents/lookup", &viewer, Some(asked)).await;
    let text = answer.text().await.expect("text");
    assert!(text.contains("inc_") && !text.contains(&token(1)), "{text}");
    let never =
        call(&door, Method::POST, "/api/v1/incidents/lookup", &viewer, Some(json!({ "token": token(9) }))).await;
    assert_eq!(never.json::<Value>().await.expect("JSON")["incidents"], json!([]));
}

#[tokio::test]
async fn a_responder_acts_with_a_reason_and_the_trail_tells_it() {
    let door = Door::open().await;
    let responder = bearer(&door, "operator:responder").await;
    let admin = bearer(&door, "operator:admin").await;
    let issuer =
        got(&door, "/api/v1/issuers", &responder).await["issuers"][0]["name"].as_str().expect("one").to_owned();
    let pause = format!("/api/v1/issuers/{issuer}/pause");
    let silent = call(&door, Method::POST, &pause, &responder, Some(json!({}))).await;
    assert_eq!(silent.status(), StatusCode::BAD_REQUEST);
    let why = || Some(json!({ "reason": "a look" }));
    assert_eq!(call(&door, Method::POST, &pause, &responder, why()).await.status(), StatusCode::OK);
    assert_eq!(got(&door, "/api/v1/issuers", &responder).await["issuers"][0]["paused"]["reason"], "a look");
    assert_eq!(call(&door, Method::POST, "/api/v1/pause", &responder, why()).await.status(), StatusCode::FORBIDDEN);
    let events = got(&door, "/api/v1/audit?kind=paused", &admin).await;
    assert_eq!(events["events"].as_array().map(Vec::len), Some(1), "{events}");
    assert_eq!(got(&door, "/api/v1/audit/verify", &admin).await["intact"], true);

    assert!(door.deliver(report(&token(1))).await.status().is_success());
    let id = door.incidents().await[0].id;
    let retry = format!("/api/v1/incidents/{id}/retry");
    let refused = call(&door, Method::POST, &retry, &responder, Some(json!({}))).await;
    assert_eq!(refused.status(), StatusCode::CONFLICT, "it is not stuck");
    let unknown = stanch::id::IncidentId::generate(door.clock.now());
    let path = format!("/api/v1/incidents/{unknown}/dismiss");
    assert_eq!(call(&door, Method::POST, &path, &responder, why()).await.status(), StatusCode::NOT_FOUND);
    let bulk = json!({ "change": "retry" });
    let preview = call(&door, Method::POST, "/api/v1/incidents/change", &responder, Some(bulk)).await;
    assert_eq!(preview.json::<Value>().await.expect("JSON")["would_change"], 0);
}
