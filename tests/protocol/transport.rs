//! Transport and headers: checklist lines 1 to 15, and the caps.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, COOKIE, HeaderMap, HeaderValue, LOCATION, ORIGIN,
};
use reqwest::{Method, StatusCode};
use stanch::http::Settings;
use stanch::send::{Framing, HeaderNames, KeyServer, Message, Signer};
use stanch::token::Secret;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::door::{Door, KEY_ID, ROUTE, SIGNATURE, key, labels, other_origin, report, token, until};
use crate::issuer::Mood;

const GOSST: HeaderNames = HeaderNames {
    key_id: reqwest::header::HeaderName::from_static("gosst-public-key-identifier"),
    signature: reqwest::header::HeaderName::from_static("gosst-public-key-signature"),
};

/// The head of a request with a message's two headers, up to the blank line, which is still to come.
fn head_of(message: &Message, more: &str) -> String {
    let text = |name: &str| message.headers[name].to_str().expect("text").to_owned();
    let (id, signature) = (text(KEY_ID), text(SIGNATURE));
    format!("POST {ROUTE} HTTP/1.1\r\nHost: x\r\n{KEY_ID}: {id}\r\n{SIGNATURE}: {signature}\r\n{more}\r\n")
}

/// Writes a request as it stands and reads the answer to its end.
async fn raw(door: &Door, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(door.address).await.expect("listening");
    stream.write_all(request).await.expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("answered");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn only_post_is_taken() {
    let door = Door::open().await;
    for method in [Method::GET, Method::HEAD, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS] {
        let mut message = door.signer.message(report(&token(1)).into());
        message.method = method.clone();
        let response = door.send(message).await;
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{method}");
    }
    door.assert_nothing_stored().await;
    assert_eq!(door.keys.requests(), 0);
}

#[tokio::test]
async fn a_missing_or_blank_header_is_refused_like_a_bad_signature() {
    let door = Door::open().await;
    for name in [KEY_ID, SIGNATURE] {
        for value in [None, Some(""), Some("  ")] {
            let mut message = door.signer.message(report(&token(1)).into());
            message.headers.remove(name);
            if let Some(value) = value {
                message.headers.insert(name, HeaderValue::from_static(value));
            }
            assert_eq!(door.send(message).await.status(), StatusCode::UNAUTHORIZED, "{name} {value:?}");
        }
    }
    door.assert_nothing_stored().await;
    assert_eq!(door.keys.requests(), 0, "nobody was asked for keys");
}

#[tokio::test]
async fn a_repeated_header_is_refused() {
    let door = Door::open().await;
    for name in [KEY_ID, SIGNATURE] {
        let mut message = door.signer.message(report(&token(1)).into());
        let value = message.headers[name].clone();
        message.headers.append(name, value);
        assert_eq!(door.send(message).await.status(), StatusCode::UNAUTHORIZED, "{name}");
    }
}

#[tokio::test]
async fn an_empty_body_is_refused_with_any_signature() {
    let door = Door::open().await;
    assert_eq!(door.deliver("").await.status(), StatusCode::BAD_REQUEST, "rightly signed");
    let mut message = door.signer.message(report(&token(1)).into());
    message.body = "".into();
    assert_eq!(door.send(message).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn without_any_origins_headers_there_is_nothing_here() {
    let door = Door::open().await;
    let body = report(&token(1));
    let before = door.metric("stanch_signature_failures_total", &[("reason", "no_origin")]);
    assert_eq!(door.send(Message::post(body.clone().into())).await.status(), StatusCode::NOT_FOUND);
    // The headers of Copilot's extensions are not those of secret scanning.
    let mut message = door.signer.message(body.into());
    for name in [KEY_ID, SIGNATURE] {
        let value = message.headers.remove(name).expect("signed");
        message.headers.insert(reqwest::header::HeaderName::try_from(format!("x-{name}")).expect("a name"), value);
    }
    assert_eq!(door.send(message).await.status(), StatusCode::NOT_FOUND);
    assert!(door.metric("stanch_signature_failures_total", &[("reason", "no_origin")]) >= before + 2.0);
    door.assert_nothing_stored().await;
}

#[tokio::test]
async fn header_names_are_matched_in_any_case() {
    let door = Door::open().await;
    let body = report(&token(1));
    let message = door.signer.message(body.clone().into());
    let value = |name: &str| message.headers[name].to_str().expect("text").to_owned();
    for prefix in ["GitHub-Public-Key", "Github-Public-Key", "GITHUB-PUBLIC-KEY", "github-public-key"] {
        let request = format!(
            "POST {ROUTE} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
             {prefix}-Identifier: {}\r\n{prefix}-Signature: {}\r\nContent-Length: {}\r\n\r\n{body}",
            value(KEY_ID),
            value(SIGNATURE),
            body.len(),
        );
        let answer = raw(&door, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{prefix}: {answer}");
    }
}

#[tokio::test]
async fn each_origin_has_its_own_headers_keys_and_credential() {
    let other_signer = Signer::new(key(2)).with_headers(GOSST);
    let other_keys = KeyServer::start(([127, 0, 0, 1], 0).into(), &other_signer.key_list()).await.expect("a port");
    let door = Door::open_with(|plan| {
        let endpoint = plan.origins[0].key_endpoint.as_mut().expect("has one");
        endpoint.token = Some(Secret::new(b"lifts-the-limit".to_vec()));
        plan.origins.push(other_origin("depsdev", &other_keys.url()));
    })
    .await;
    let body = report(&token(1));

    assert_eq!(door.deliver(body.clone()).await.status(), StatusCode::OK);
    assert_eq!(door.send(other_signer.message(body.clone().into())).await.status(), StatusCode::OK);
    let sent = door.keys.last_authorization().expect("a credential");
    assert_eq!(sent, "Bearer lifts-the-limit");
    assert_eq!(other_keys.last_authorization(), None, "the other origin's endpoint has no business with it");

    // A key of one origin proves nothing under the headers of the other.
    let crossed = Signer::new(key(2)).message(body.clone().into());
    assert_eq!(door.send(crossed).await.status(), StatusCode::UNAUTHORIZED);
    let crossed = Signer::new(key(1)).with_headers(GOSST).message(body.into());
    assert_eq!(door.send(crossed).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn headers_of_two_origins_are_refused() {
    let other_signer = Signer::new(key(2)).with_headers(GOSST);
    let other_keys = KeyServer::start(([127, 0, 0, 1], 0).into(), &other_signer.key_list()).await.expect("a port");
    let door = Door::open_with(|plan| plan.origins.push(other_origin("depsdev", &other_keys.url()))).await;
    let body = report(&token(1));
    let mut message = door.signer.message(body.clone().into());
    message.headers.extend(other_signer.message(body.into()).headers);
    assert_eq!(door.send(message).await.status(), StatusCode::UNAUTHORIZED);
    door.assert_nothing_stored().await;
}

#[tokio::test]
async fn an_endpoint_without_a_credential_is_asked_without_one() {
    let door = Door::open().await;
    assert_eq!(door.deliver(report(&token(1))).await.status(), StatusCode::OK);
    assert_eq!(door.keys.requests(), 1);
    assert_eq!(door.keys.last_authorization(), None);
}

#[tokio::test]
async fn json_is_taken_by_any_of_its_names_and_nothing_else() {
    let door = Door::open().await;
    let body = report(&token(1));
    let send = async |content_type: Option<&'static str>| {
        let mut message = door.signer.message(body.clone().into());
        message.headers.remove(CONTENT_TYPE);
        if let Some(content_type) = content_type {
            message.headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        door.send(message).await.status()
    };
    let json = ["application/json", "application/json; charset=utf-8", "Application/JSON;x=y", "application/x+json"];
    for content_type in json.map(Some).into_iter().chain([None]) {
        assert_eq!(send(content_type).await, StatusCode::OK, "{content_type:?}");
    }
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "json"] {
        assert_eq!(send(Some(content_type)).await, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{content_type:?}");
    }
}

#[tokio::test]
async fn a_compressed_body_is_refused_and_not_inflated() {
    let door = Door::open().await;
    for encoding in ["gzip", "br", "deflate", "gzip, identity"] {
        let mut message = door.signer.message(report(&token(1)).into());
        message.headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        assert_eq!(door.send(message).await.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "{encoding}");
    }
    let mut message = door.signer.message(report(&token(1)).into());
    message.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("identity"));
    message.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    assert_eq!(door.send(message).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn cookies_origins_and_credentials_play_no_part() {
    let door = Door::open().await;
    let mut message = door.signer.message(report(&token(1)).into());
    message.headers.insert(COOKIE, HeaderValue::from_static("session=1"));
    message.headers.insert(ORIGIN, HeaderValue::from_static("https://elsewhere.example"));
    message.headers.insert("sec-fetch-site", HeaderValue::from_static("cross-site"));
    message.headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer anything"));
    assert_eq!(door.send(message).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_other_route_is_served_alike() {
    let door = Door::open().await;
    let known = token(1);
    door.issuer.knows_live(&known);
    let first = labels(door.send(door.signer.message(report(&known).into())).await).await;
    let message = door.signer.message(report(&known).into());
    let second = labels(door.send_to("/_/secrets/disclose-token", message).await).await;
    assert_eq!(first, second);
    assert_eq!(door.incidents().await.len(), 1);
}

#[tokio::test]
async fn no_route_redirects() {
    let door = Door::open().await;
    for path in ["/webhooks/github/", "/_/secrets/disclose-token/", "/webhooks//github", "/WEBHOOKS/GITHUB"] {
        let response = door.send_to(path, door.signer.message(report(&token(1)).into())).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        assert!(response.headers().get(LOCATION).is_none());
    }
}

#[tokio::test]
async fn a_body_above_the_cap_is_refused_whether_announced_or_not() {
    let door = Door::open_with(|plan| plan.settings.max_body_bytes = 10_000).await;
    let body = format!("[{}{{\"token\":\"{}\"}}]", " ".repeat(10_000), token(1));
    let message = door.signer.message(body.clone().into());
    assert_eq!(message.framing, Framing::Length);
    assert_eq!(door.send(message).await.status(), StatusCode::PAYLOAD_TOO_LARGE);

    let message = door.signer.message(body.clone().into());
    let head = head_of(&message, "Transfer-Encoding: chunked\r\nConnection: close");
    let request = format!("{head}\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let answer = raw(&door, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    door.assert_nothing_stored().await;
    assert_eq!(door.keys.requests(), 0, "a body that is too large is not even checked");
}

#[tokio::test]
async fn whoever_sends_somewhat_too_much_can_read_the_refusal() {
    let cap = 4 * 1_024 * 1_024;
    let door = Door::open_with(|plan| plan.settings.max_body_bytes = cap).await;
    // More than the buffers of both ends hold: without its reading the answer would be lost in a reset.
    let body = " ".repeat(2 * cap);
    let message = door.signer.message(body.clone().into());
    let head = head_of(&message, &format!("Content-Length: {}\r\nConnection: close", body.len()));
    let answer = raw(&door, format!("{head}\r\n{body}").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");

    // Far too much is refused unread, and so is what waits for a word before it is sent.
    for (length, more) in [(2 * cap + 1, ""), (cap + 1, "Expect: 100-continue\r\n")] {
        let head = head_of(&message, &format!("{more}Content-Length: {length}\r\nConnection: close"));
        let answer = raw(&door, format!("{head}\r\n").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    }
    door.assert_nothing_stored().await;
}

#[tokio::test]
async fn a_body_of_exactly_the_cap_is_taken() {
    let door = Door::open_with(|plan| plan.settings.max_body_bytes = 10_000).await;
    let record = report(&token(1));
    let body = format!("{}{record}", " ".repeat(10_000 - record.len()));
    assert_eq!(door.deliver(body).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let door = Door::open_with(|plan| {
        plan.settings = Settings { body_timeout: Duration::from_millis(100), ..Settings::default() };
    })
    .await;
    let message = door.signer.message(report(&token(1)).into());
    let head = head_of(&message, "Content-Length: 100\r\nConnection: close");
    let answer = raw(&door, format!("{head}\r\n[").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test]
async fn unverified_deliveries_are_bounded_and_their_places_come_back() {
    let door = Door::open_with(|plan| plan.settings.max_unverified = 1).await;
    let message = door.signer.message(report(&token(1)).into());
    let head = head_of(&message, "Content-Length: 100\r\nExpect: 100-continue");
    let mut slow = TcpStream::connect(door.address).await.expect("listening");
    slow.write_all(format!("{head}\r\n").as_bytes()).await.expect("sent");
    // The server asks for the body once it has begun to wait for it, and then holds the only place.
    let mut asked = [0; 25];
    slow.read_exact(&mut asked).await.expect("asked to continue");
    assert!(asked.starts_with(b"HTTP/1.1 100"));
    let refused = door.deliver(report(&token(1))).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key("retry-after"));
    drop(slow);
    // The place comes back when the server notices; no other event tells us when that is.
    until(async || door.deliver(report(&token(1))).await.status() == StatusCode::OK).await;
}

#[tokio::test]
async fn a_delivery_whose_signature_holds_is_never_turned_away() {
    let door = Door::open_with(|plan| {
        plan.settings.max_unverified = 1;
        plan.origins[0].decide_budget = Duration::from_millis(300);
    })
    .await;
    let door = Arc::new(door);
    assert_eq!(door.deliver(report(&token(1))).await.status(), StatusCode::OK);
    // The first is past its signature and waits for an issuer that hangs; the second finds the only place free.
    door.issuer.behave(Mood::Hangs);
    let asked = door.issuer.asked();
    let first = tokio::spawn({
        let door = Arc::clone(&door);
        async move { door.deliver(report(&token(2))).await.status() }
    });
    until(async || door.issuer.asked() > asked).await;
    assert_eq!(door.deliver(report(&token(3))).await.status(), StatusCode::OK);
    assert_eq!(first.await.expect("answered"), StatusCode::OK);
}

#[tokio::test]
async fn every_answer_carries_its_id_and_protects_itself() {
    let door = Door::open().await;
    for path in ["/livez", ROUTE, "/nowhere"] {
        let response = door.get(path).await;
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
        assert!(header("x-request-id").starts_with("req_"), "{path}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("cache-control"), "no-store", "{path}");
        assert!(header("content-security-policy").starts_with("default-src 'none'"), "{path}");
    }
}

#[tokio::test]
async fn a_request_id_comes_back_only_if_it_is_one() {
    let door = Door::open().await;
    let id_of = async |sent: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("x-request-id", HeaderValue::try_from(sent).expect("a value"));
        let response = door.request(Method::GET, "/livez", headers).await;
        response.headers()["x-request-id"].to_str().expect("text").to_owned()
    };
    for id in ["0190163d-8694-739b-aea5-966c26f8ad91", "0190163d8694739baea5966c26f8ad91"] {
        assert_eq!(id_of(id).await, id);
    }
    for id in ["", "1", &token(1), "0190163d-8694-739b-aea5-966c26f8ad9", "{0190163d-8694-739b-aea5-966c26f8ad91}"] {
        assert!(id_of(id).await.starts_with("req_"), "{id:?}");
    }
}
