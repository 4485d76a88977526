//! The magic proxy before a real upstream: every hole of the system it comes from, tried and closed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response as Answer};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use stanch::config::{Config, Sources};
use stanch::http;
use stanch::id::TokenId;
use stanch::incident::EmailAddress;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::door::{Door, Plan, until};
use crate::routes::bearer;

/// What the upstream was asked, as it arrived.
#[derive(Clone, Debug)]
struct Heard {
    method: String,
    target: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

#[derive(Clone, Default)]
struct Upstream {
    heard: Arc<Mutex<Vec<Heard>>>,
    /// Lets the answer to `/slow` go.
    gate: Arc<tokio::sync::Notify>,
}

/// The upstream's own credential: longer than RSA-2048 could seal.
fn credential() -> String {
    format!("real-{}", "credential/".repeat(40))
}

impl Upstream {
    async fn start() -> (Self, String) {
        let upstream = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let root = format!("http://{}/v3", listener.local_addr().expect("bound"));
        let routes = Router::new().fallback(answer).with_state(upstream.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await.expect("served") });
        (upstream, root)
    }

    fn take(&self) -> Vec<Heard> {
        std::mem::take(&mut *self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn answer(State(upstream): State<Upstream>, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 24).await.unwrap_or_default().to_vec();
    let target = parts.uri.path_and_query().expect("a path").to_string();
    let heard = Heard { method: parts.method.to_string(), target: target.clone(), headers: parts.headers, body };
    upstream.heard.lock().unwrap_or_else(PoisonError::into_inner).push(heard);
    if target == "/v3/slow" {
        upstream.gate.notified().await;
    }
    match target.as_str() {
        "/v3/echo" => format!("you sent Bearer {}", credential()).into_response(),
        "/v3/echo-header" => ([("x-debug", credential())], "x").into_response(),
        "/v3/gzip" => ([("content-encoding", "gzip")], "not really").into_response(),
        "/v3/away" => (StatusCode::FOUND, [("location", "https://evil.example/v3/user")]).into_response(),
        "/v3/moved" => (StatusCode::FOUND, [("location", "/v3/user?a=b")]).into_response(),
        "/v3/paged" => {
            let next = "</v3/paged?page=2>; rel=\"next\", <https://evil.example/>; rel=\"last\"";
            (
                [
                    ("link", next),
                    ("set-cookie", "a=b"),
                    ("alt-svc", "h3=\":443\""),
                    ("connection", "keep-alive, x-hop"),
                    ("x-hop", "1"),
                ],
                "[]",
            )
                .into_response()
        }
        "/v3/zones/z1/records" => (StatusCode::CREATED, axum::Json(json!({ "id": "r/7" }))).into_response(),
        "/v3/zones/z2/records" => (StatusCode::CREATED, axum::Json(json!({ "id": "r7" }))).into_response(),
        "/v3/long" => Body::from("x".repeat(200_000)).into_response(),
        _ => "fine".into_response(),
    }
}

async fn open(root: &str, more: &str) -> Door {
    open_with(root, more, |_| {}).await
}

async fn open_with(root: &str, more: &str, change: impl FnOnce(&mut Plan)) -> Door {
    let (upstreams, owners) = upstreams(root, more);
    Door::open_with(move |plan| {
        plan.upstreams = (upstreams, owners);
        change(plan);
    })
    .await
}

/// One upstream as a configuration names it, and whom tokens belong to that anybody may make.
pub fn upstreams(root: &str, more: &str) -> (Vec<stanch::proxy::Upstream>, BTreeMap<String, EmailAddress>) {
    let text = format!(
        "[proxy.upstream.api]\nroot = \"{root}\"\nallow_http = true\nallow_private = true\nmax_request = \"1KiB\"\n\
         max_answer = \"100KiB\"\nstrip_query = [\"key\"]\n{more}\n\
         [proxy.upstream.api.scope.dns]\nallow = [\"POST /zones/*/records\"]\n\
         grant = [{{ on = \"POST /zones/*/records\", allow = \"DELETE /zones/{{1}}/records/{{id}}\" }}]\n"
    );
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("stanch.toml");
    std::fs::write(&path, text).expect("written");
    let config = Config::load(Sources { file: Some(path), ..Sources::default() }).expect("a configuration");
    (config.proxy.upstreams().expect("ready"), config.proxy.minting_owners())
}

/// A magic token that opens these requests.
async fn magic(door: &Door, policy: Value) -> String {
    let shown = bearer(door, "tokens:write").await;
    let headers = HeaderMap::from_iter([(HeaderName::from_static("authorization"), value(&shown))]);
    let mut wanted = policy;
    wanted["token"] = credential().into();
    let response = door.json(Method::POST, "/__magictoken", headers, Some(wanted)).await;
    assert_eq!(response.status(), StatusCode::OK);
    response.text().await.expect("text")
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("a value")
}

async fn ask(door: &Door, token: &str, method: Method, path: &str) -> Response {
    let headers = HeaderMap::from_iter([(HeaderName::from_static("authorization"), value(&format!("Bearer {token}")))]);
    door.request(method, &format!("/proxy/api{path}"), headers).await
}

/// Sends a request line as it is, which no client library would; gives all that came back before the end.
async fn raw(door: &Door, token: &str, target: &str) -> String {
    let mut stream = TcpStream::connect(door.address).await.expect("connected");
    let request =
        format!("GET {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_policy_opens_what_it_says_and_no_path_means_two_things() {
    let (upstream, root) = Upstream::start().await;
    let door = open(&root, "").await;
    let token = magic(&door, json!({ "allowed": ["GET /user", "GET /repos/o/*/issues", "GET /files/**"] })).await;
    for (path, sent) in [
        ("/user", "/v3/user"),
        ("/repos/o/r/issues?b=2&a=&key=1&b=3", "/v3/repos/o/r/issues?b=2&a=&b=3"),
        ("/files/a%20b/%7ec", "/v3/files/a%20b/~c"),
    ] {
        assert_eq!(ask(&door, &token, Method::GET, path).await.status(), StatusCode::OK, "{path}");
        assert_eq!(upstream.take()[0].target, sent, "{path}");
    }
    for path in ["/users/alice/keys", "/USER", "/user/", "/", "/repos/o/r/issues/1/lock", "/repos/o/r/x/issues"] {
        assert_eq!(ask(&door, &token, Method::GET, path).await.status(), StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(ask(&door, &token, Method::POST, "/user").await.status(), StatusCode::FORBIDDEN);
    for target in [
        "/proxy/api/repos/o/../../orgs/x/issues",
        "/proxy/api/repos/o/%2e%2e/issues",
        "/proxy/api/files/..%2f..%2fadmin",
        "/proxy/api/files/%252e%252e/admin",
        "/proxy/api/files/..;/admin",
        "/proxy/api/files//admin",
        "/proxy/api/files/a%00",
        "/proxy/api/files/a%5c..%5cadmin",
        "/proxy/api/../../metrics",
        "http://evil.example/proxy/api/../user",
    ] {
        let answer = raw(&door, &token, target).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{target}: {answer}");
    }
    assert!(upstream.take().is_empty(), "nothing of it was sent on");
    // Another upstream's name, or none, looks like a request that is not allowed.
    let headers = HeaderMap::from_iter([(HeaderName::from_static("authorization"), value(&token))]);
    assert_eq!(door.request(Method::GET, "/proxy/other/user", headers).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(door.get("/proxy/api/user").await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_token_stays_here_and_the_credential_stays_there() {
    let (upstream, root) = Upstream::start().await;
    let door = open(&root, "").await;
    let token = magic(&door, json!({ "allowed": ["* /**"] })).await;
    let mut headers = HeaderMap::new();
    for (name, text) in [
        ("authorization", token.as_str()),
        ("cookie", "session=1"),
        ("x-forwarded-for", "1.2.3.4"),
        ("forwarded", "for=1.2.3.4"),
        ("x-http-method-override", "DELETE"),
        ("x-original-url", "/admin"),
        ("x-mine", "kept"),
        ("x-copy", token.as_str()),
    ] {
        headers.insert(HeaderName::from_static(name), value(text));
    }
    let response = door.json(Method::POST, "/proxy/api/any", headers, Some(json!({ "a": 1 }))).await;
    assert_eq!((response.status(), response.headers().contains_key("x-magic-api-proxy")), (StatusCode::OK, true));
    let heard = upstream.take().remove(0);
    assert_eq!((heard.method.as_str(), heard.body.as_slice()), ("POST", br#"{"a":1}"#.as_slice()));
    assert_eq!(heard.headers["authorization"], format!("Bearer {}", credential()).as_str());
    assert_eq!((&heard.headers["x-mine"], &heard.headers["accept-encoding"]), (&value("kept"), &value("identity")));
    for name in ["cookie", "x-forwarded-for", "forwarded", "x-http-method-override", "x-original-url", "x-copy"] {
        assert!(!heard.headers.contains_key(name), "{name}");
    }
    assert!(!format!("{:?}", heard.headers).contains(&token));

    let in_query = ask(&door, &token, Method::GET, &format!("/any?t={token}")).await;
    assert_eq!(in_query.status(), StatusCode::BAD_REQUEST);
    for path in ["/echo-header", "/gzip"] {
        let response = ask(&door, &token, Method::GET, path).await;
        assert_eq!(response.status(), StatusCode::BAD_GATEWAY, "{path}");
        assert!(!response.text().await.expect("text").contains(&credential()), "{path}");
    }
    // What has begun to stream is cut off: not a byte of the credential, and no end as a whole answer has.
    for path in ["/echo", "/long"] {
        let answer = raw(&door, &token, &format!("/proxy/api{path}")).await;
        assert!(!answer.contains("credential/") && answer.len() < 110_000, "{path}: {} bytes", answer.len());
        assert!(!answer.ends_with("0\r\n\r\n"), "{path}");
    }
}

#[tokio::test]
async fn an_answer_leads_through_the_proxy_or_nowhere() {
    let (_upstream, root) = Upstream::start().await;
    let door = open(&root, "").await;
    let token = magic(&door, json!({ "allowed": ["GET /**"] })).await;
    let away = ask(&door, &token, Method::GET, "/away").await;
    assert_eq!((away.status(), away.headers().get("location")), (StatusCode::FOUND, None));
    let moved = ask(&door, &token, Method::GET, "/moved").await;
    assert_eq!((moved.status(), &moved.headers()["location"]), (StatusCode::FOUND, &value("/proxy/api/user?a=b")));
    let paged = ask(&door, &token, Method::GET, "/paged").await;
    assert_eq!(paged.headers()["link"], "</proxy/api/paged?page=2>; rel=\"next\"");
    for name in ["set-cookie", "alt-svc", "x-hop"] {
        assert!(!paged.headers().contains_key(name), "{name}");
    }
    assert_eq!(paged.headers()["content-security-policy"], "default-src 'none'; sandbox");
}

#[tokio::test]
async fn whoever_made_a_record_may_delete_that_one_and_once() {
    let (upstream, root) = Upstream::start().await;
    let door = open(&root, "").await;
    let (token, other) =
        (magic(&door, json!({ "scope": "dns" })).await, magic(&door, json!({ "scopes": ["dns"] })).await);
    let delete = async |token: &str, path: &str| ask(&door, token, Method::DELETE, path).await.status();
    assert_eq!(delete(&token, "/zones/z2/records/r7").await, StatusCode::FORBIDDEN, "nothing is granted yet");
    assert_eq!(ask(&door, &token, Method::POST, "/zones/z2/records").await.status(), StatusCode::CREATED);
    assert_eq!(ask(&door, &token, Method::POST, "/zones/z1/records").await.status(), StatusCode::CREATED);
    for path in ["/zones/z2/records/r8", "/zones/z1/records/r7", "/zones/z1/records/r", "/zones/z1/records/r/7"] {
        assert_eq!(delete(&token, path).await, StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(delete(&other, "/zones/z2/records/r7").await, StatusCode::FORBIDDEN, "another token's grant");
    upstream.take();
    assert_eq!(delete(&token, "/zones/z2/records/r7").await, StatusCode::OK);
    assert_eq!(upstream.take()[0].target, "/v3/zones/z2/records/r7");
    assert_eq!(delete(&token, "/zones/z2/records/r7").await, StatusCode::FORBIDDEN, "done once is done");
}

#[tokio::test]
async fn a_magic_token_is_listed_ends_in_thirty_days_and_dies_when_it_is_revoked() {
    let (upstream, root) = Upstream::start().await;
    let door = open(&root, "").await;
    let admin = bearer(&door, "operator:admin").await;
    let headers = || HeaderMap::from_iter([(HeaderName::from_static("authorization"), value(&admin))]);
    let wanted = json!({
        "name": "dns", "kind": "magic", "owner": { "email": "ops@example.org" }, "upstream": "api",
        "policy": { "allow": ["GET /user"] }, "credential": credential(),
    });
    let made = door.json(Method::POST, "/api/v1/tokens", headers(), Some(wanted)).await;
    let made: Value = made.json().await.expect("JSON");
    let token = made["secret"].as_str().expect("a secret").to_owned();
    let list = door.request(Method::GET, "/api/v1/tokens?kind=magic", headers()).await;
    let list: Value = list.json().await.expect("JSON");
    let record = &list["tokens"][0];
    assert_eq!((record["upstream"].as_str(), &record["policy"]), (Some("api"), &json!({ "allow": ["GET /user"] })));
    assert!(!list.to_string().contains(&credential()[..20]));
    let id: TokenId = record["id"].as_str().expect("an id").parse().expect("an id");
    let expires_at = door.store.own_token(id).await.expect("read").expect("there").expires_at.expect("it ends");
    assert_eq!(expires_at.since(door.clock.now()), Duration::from_hours(30 * 24));
    // It opens the proxy and nothing of ours.
    let own = HeaderMap::from_iter([(HeaderName::from_static("authorization"), value(&format!("Bearer {token}")))]);
    assert_eq!(door.request(Method::GET, "/api/v1/tokens", own).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(ask(&door, &token, Method::GET, "/user").await.status(), StatusCode::OK);
    upstream.take();
    assert_eq!(
        door.request(Method::DELETE, &format!("/api/v1/tokens/{id}"), headers()).await.status(),
        StatusCode::NO_CONTENT
    );
    assert_eq!(ask(&door, &token, Method::GET, "/user").await.status(), StatusCode::UNAUTHORIZED);
    assert!(upstream.take().is_empty());
}

#[tokio::test]
async fn the_proxys_own_address_has_no_api_and_finishes_what_is_under_way() {
    let (upstream, root) = Upstream::start().await;
    let door = open_with(&root, "", |plan| {
        plan.settings.proxy_listen = Some(([127, 0, 0, 1], 0).into());
        plan.settings.proxy_mount = Some("api".into());
        plan.settings.lame_duck_for = Duration::ZERO;
    })
    .await;
    let listener = async || TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let (public, proxy) = (listener().await, listener().await);
    let base = format!("http://{}", proxy.local_addr().expect("bound"));
    let api = format!("http://{}", public.local_addr().expect("bound"));
    let stop = CancellationToken::new();
    let listeners = http::Listeners { public, admin: None, proxy: Some(proxy) };
    let server = tokio::spawn(http::serve(listeners, door.app.clone(), http::table(&door.app), stop.clone()));
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build();
    let client = client.expect("a client");

    // The token is made there, as clients of magic-api-proxy make theirs.
    let shown = bearer(&door, "tokens:write").await;
    let wanted = json!({ "token": credential(), "allowed": ["GET /**"] });
    let made = client.post(format!("{base}/__magictoken")).header("authorization", shown).json(&wanted);
    let token = made.send().await.expect("an answer").text().await.expect("text");
    let get = async |url: String| client.get(url).header("authorization", &token).send().await;
    assert_eq!(get(format!("{base}/user")).await.expect("an answer").status(), StatusCode::OK);
    assert_eq!(upstream.take()[0].target, "/v3/user");
    let moved = get(format!("{base}/moved")).await.expect("an answer");
    assert_eq!(moved.headers()["location"], "/user?a=b", "it leads to the upstream as it stands here");
    let named = get(format!("{base}/proxy/api/moved")).await.expect("an answer");
    assert_eq!(named.headers()["location"], "/proxy/api/user?a=b");
    assert_eq!(
        get(format!("{base}/livez")).await.expect("an answer").text().await.expect("text"),
        "fine",
        "a path of theirs"
    );
    for path in ["/proxy/api/user", "/__magictoken"] {
        assert_eq!(get(format!("{api}{path}")).await.expect("an answer").status(), StatusCode::NOT_FOUND, "{path}");
    }
    upstream.take();
    let slow = {
        let request = client.get(format!("{base}/slow")).header("authorization", &token);
        tokio::spawn(async move { request.send().await.expect("answered").text().await })
    };
    until(async || !upstream.take().is_empty()).await;
    stop.cancel();
    until(async || get(format!("{api}/livez")).await.is_err()).await;
    upstream.gate.notify_one();
    assert_eq!(slow.await.expect("not cut off").expect("whole"), "fine");
    server.await.expect("ended by itself");
    assert!(get(format!("{base}/user")).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn what_is_wrong_with_a_wish_for_a_magic_token_is_said() {
    let (_upstream, root) = Upstream::start().await;
    let door = open(&root, "minting = \"open\"\nowner = \"ops@example.org\"").await;
    let mint = async |body: Value| {
        door.json(Method::POST, "/__magictoken", HeaderMap::new(), Some(body)).await.status().as_u16()
    };
    for (body, status) in [
        (json!({ "token": "t-1234567", "allowed": ["GET /user"] }), 200),
        (json!({ "token": "t-1234567", "scope": "dns" }), 200),
        (json!({}), 400),
        (json!([]), 400),
        (json!({ "allowed": ["GET /user"] }), 400),
        (json!({ "token": "t" }), 400),
        (json!({ "token": "t", "allowed": ["GET /user"], "scope": "dns" }), 400),
        (json!({ "token": "t", "scope": 1 }), 400),
        (json!({ "token": "t", "scope": "unknown" }), 400),
        (json!({ "token": "t", "allowed": "GET /user" }), 400),
        (json!({ "token": "t", "allowed": [1] }), 400),
        (json!({ "token": "t", "allowed": ["/user"] }), 400),
        (json!({ "token": "t", "allowed": ["GET /a/../b"] }), 400),
        (json!({ "token": "t\n", "allowed": ["GET /a"] }), 400),
        (json!({ "token": "t", "allowed": [], "upstream": "api" }), 400),
        (json!({ "token": "t", "allowed": ["GET /a"], "upstream": "none" }), 400),
    ] {
        assert_eq!(mint(body.clone()).await, status, "{body}");
    }
    let banner = door.get("/__magictoken").await.text().await.expect("text");
    assert!(banner.contains(&root), "{banner}");
}

#[tokio::test]
async fn too_much_is_too_much_and_an_address_inside_is_not_reached() {
    let (upstream, root) = Upstream::start().await;
    let door = open(&root, "").await;
    let token = magic(&door, json!({ "allowed": ["* /**"] })).await;
    let headers = || HeaderMap::from_iter([(HeaderName::from_static("authorization"), value(&token))]);
    let large = door.json(Method::POST, "/proxy/api/any", headers(), Some(json!("x".repeat(2_000)))).await;
    assert_eq!(large.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert!(upstream.take().is_empty());
    let text = "[proxy.upstream.api]\nroot = \"https://127.0.0.1/\"\n";
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("stanch.toml");
    std::fs::write(&path, text).expect("written");
    assert!(Config::load(Sources { file: Some(path), ..Sources::default() }).is_err(), "refused before it is served");
}
