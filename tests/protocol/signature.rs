//! Signatures: checklist lines 36 to 52, over HTTP. Their rules one by one stand beside the code.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use reqwest::StatusCode;
use reqwest::header::HeaderValue;
use serde::Deserialize;
use stanch::intake::Base64Form;
use stanch::send::{
    Corruption, Courier, Expected, Generator, KeyList, KeyServer, Limits, ListedKey, Material, Message, Signer,
};

use crate::door::{Door, KEY_ID, ROUTE, SIGNATURE, key, report, token};

#[derive(Deserialize)]
struct Published {
    key: Vec<Key>,
    vector: Vec<Vector>,
}

#[derive(Deserialize)]
struct Key {
    name: String,
    id: String,
    pem: String,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    key: String,
    body: String,
    signature: String,
    holds: bool,
}

fn published() -> Published {
    toml::from_str(include_str!("../../fixtures/github/vectors.toml")).expect("the fixture is TOML")
}

/// A door whose origin publishes the published keys.
async fn door_of(published: &Published) -> Door {
    let listed = |key: &Key| ListedKey { key_identifier: key.id.clone(), key: key.pem.clone(), is_current: true };
    let list = KeyList { public_keys: published.key.iter().map(listed).collect() };
    let keys = KeyServer::start(([127, 0, 0, 1], 0).into(), &list).await.expect("a free port");
    Door::open_at(keys, Signer::new(key(1)), |_| {}).await
}

fn message(key_id: &str, signature: &str, body: &str) -> Message {
    let mut message = Message::post(body.to_owned().into());
    message.headers.insert(KEY_ID, HeaderValue::try_from(key_id).expect("a value"));
    message.headers.insert(SIGNATURE, HeaderValue::try_from(signature).expect("a value"));
    message
}

#[tokio::test]
async fn the_published_vectors_are_accepted_and_their_spoiled_forms_are_not() {
    let published = published();
    let door = door_of(&published).await;
    for vector in &published.vector {
        let key = published.key.iter().find(|key| key.name == vector.key).expect("the fixture has the key");
        let status = door.send(message(&key.id, &vector.signature, &vector.body)).await.status();
        let expected = if vector.holds { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
        assert_eq!(status, expected, "{}", vector.name);
    }
}

#[tokio::test]
async fn the_raw_bytes_are_signed_and_nothing_is_added_or_taken() {
    let published = published();
    let door = door_of(&published).await;
    let v1 = &published.vector[0];
    let key = published.key.iter().find(|key| key.name == v1.key).expect("the fixture has the key");
    for body in [
        format!("{}\n", v1.body),
        format!("{}\r\n", v1.body),
        format!("\u{feff}{}", v1.body),
        v1.body.replace(',', ", "),
    ] {
        let status = door.send(message(&key.id, &v1.signature, &body)).await.status();
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{body:?}");
    }
}

#[tokio::test]
async fn every_bad_signature_gets_the_same_answer_to_the_byte() {
    let door = Door::open().await;
    let body = report(&token(1));
    let good = door.signer.message(body.clone().into());
    let text = |name: &str| good.headers[name].to_str().expect("text").to_owned();
    let (id, signature) = (text(KEY_ID), text(SIGNATURE));
    let der = STANDARD.decode(&signature).expect("base64");
    let flipped = {
        let mut der = der.clone();
        *der.last_mut().expect("not empty") ^= 1;
        STANDARD.encode(der)
    };
    let stranger = Signer::new(key(9)).message(body.clone().into());
    let strangers = stranger.headers[SIGNATURE].to_str().expect("text").to_owned();
    let forged = [
        (id.as_str(), "bad signature"),
        (&id, "YmFkIHNpZ25hdHVyZQ=="),
        (&id, "MAYCAQACAQA="),
        (&id, &flipped),
        (&id, &strangers),
        (&id, &format!("{signature}=")),
        (&id, &STANDARD.encode([der.as_slice(), &[0]].concat())),
        ("unknown", &signature),
        ("not an id!", &signature),
        (&"a".repeat(201), &signature),
        (&id, &"A".repeat(2_000)),
    ];
    let mut answers = Vec::new();
    for (id, signature) in forged {
        let response = door.send(message(id, signature, &body)).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{id} {signature}");
        let mut headers = response.headers().clone();
        headers.remove("x-request-id");
        headers.remove("date");
        answers.push((headers, response.bytes().await.expect("a body")));
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    door.assert_nothing_stored().await;
    assert_eq!(door.send(good).await.status(), StatusCode::OK, "and the genuine one is not refused");
}

#[tokio::test]
async fn a_header_that_is_no_text_is_refused() {
    let door = Door::open().await;
    for name in [KEY_ID, SIGNATURE] {
        let mut message = door.signer.message(report(&token(1)).into());
        message.headers.insert(name, HeaderValue::from_bytes(b"\xff\xfe").expect("opaque bytes"));
        assert_eq!(door.send(message).await.status(), StatusCode::UNAUTHORIZED, "{name}");
    }
}

#[tokio::test]
async fn the_signature_is_checked_before_anything_else_about_the_body() {
    let door = Door::open_with(|plan| plan.max_records = 1).await;
    for body in ["", "[", "{}", "[]", "[{},{},{}]", "\u{0}"] {
        let mut message = door.signer.message("another body".into());
        message.body = body.into();
        assert_eq!(door.send(message).await.status(), StatusCode::UNAUTHORIZED, "{body:?}");
    }
    assert_eq!(door.issuer.asked(), 0);
    door.assert_nothing_stored().await;
}

#[tokio::test]
async fn a_lenient_origin_takes_wrapped_and_unpadded_base64() {
    let door = Door::open_with(|plan| plan.origins[0].base64 = Base64Form::Lenient).await;
    let body = report(&token(1));
    let good = door.signer.message(body.clone().into());
    let id = good.headers[KEY_ID].to_str().expect("text");
    let signature = good.headers[SIGNATURE].to_str().expect("text");
    for text in [signature.trim_end_matches('=').to_owned(), format!("{} {}", &signature[..60], &signature[60..])] {
        assert_eq!(door.send(message(id, &text, &body)).await.status(), StatusCode::OK, "{text}");
    }
}

#[tokio::test]
async fn a_delivery_signed_anew_is_the_same_delivery() {
    let door = Door::open().await;
    let known = token(1);
    door.issuer.knows_live(&known);
    let body = report(&known);
    let mut rng = StdRng::seed_from_u64(3);
    let mut answers = Vec::new();
    let mut signatures = Vec::new();
    for _ in 0..3 {
        let message = door.signer.message_anew(body.clone().into(), &mut rng);
        signatures.push(message.headers[SIGNATURE].clone());
        let response = door.send(message).await;
        answers.push((response.status(), response.bytes().await.expect("labels")));
    }
    assert_ne!(signatures[0], signatures[1]);
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    let incidents = door.incidents().await;
    assert_eq!(incidents.len(), 1);
    let occurrences = door.store.occurrences(incidents[0].id).await.expect("readable");
    assert_eq!(occurrences.iter().map(|occurrence| occurrence.reports).sum::<i64>(), 1, "a replay is no new report");
}

#[tokio::test]
async fn every_form_a_sender_can_get_wrong_is_answered_as_it_should_be() {
    let limits = Limits { body_bytes: 200_000, records: 20 };
    let mut rng = StdRng::seed_from_u64(4);
    let records = Generator::new("stanch", "stanch_pat", StdRng::seed_from_u64(5)).records(2);
    let mut material = Material::new(Signer::new(key(1)), records, limits, &mut rng).expect("material");
    let keys = KeyServer::start(([127, 0, 0, 1], 0).into(), &material.key_list()).await.expect("a free port");
    let door = Door::open_at(keys, Signer::new(key(1)), |plan| {
        plan.settings.max_body_bytes = limits.body_bytes;
        plan.max_records = limits.records;
    })
    .await;
    let courier = Courier::new(door.url(ROUTE), Duration::from_secs(20)).expect("a courier");
    for form in Corruption::all() {
        let mut answers = Vec::new();
        for message in form.forge(&mut material).expect("forged") {
            answers.push(courier.post(message).await);
        }
        let got: Vec<_> = answers.iter().map(|answer| answer.as_ref().map(|answer| answer.status.as_u16())).collect();
        let expected = form.expected();
        assert!(expected.allows(&answers), "{}: wanted {}, got {got:?}", form.name(), expected.text());
        assert!(!matches!(expected, Expected::BadSignature) || got.iter().all(|status| *status == Ok(401)));
    }
}
