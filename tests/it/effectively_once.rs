//! Promise 2, "at least once, effectively once": however often a token is reported, in however many spellings, by
//! however many reporters, it is one incident, one revocation and one mail.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderName;
use serde_json::{Value, json};
use stanch::send::{HeaderNames, Signer};

use crate::process::{Installation, Kind, Process, acme_token, eventually, record};

/// A second reporter, with the same key and headers of its own.
const PARTNER: &str = r#"[origin.partner]
key_id_header = "partner-key-identifier"
signature_header = "partner-key-signature"
key_url = "{key_url}"
feedback = "hash"

[issuer.acme]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn many_spellings_from_two_reporters_are_one_incident_on_sqlite() {
    many_spellings_are_one_incident(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_spellings_from_two_reporters_are_one_incident_on_postgres() {
    many_spellings_are_one_incident(Kind::Postgres).await;
}

async fn many_spellings_are_one_incident(kind: Kind) {
    let world = Installation::new(kind).await;
    world.configure("[issuer.acme]\n", &PARTNER.replace("{key_url}", &world.keys.url()));
    let (here, elsewhere) = (world.mint("ci-upload", "ada@example.org"), acme_token(41));
    world.issuer.issue(&elsewhere, "t1", "grace@example.org");
    let spellings = [&here, &elsewhere].map(|token| {
        vec![
            token.clone(),
            format!(" {token}\r\n"),
            format!("\"{token}\""),
            format!("'{token}',"),
            format!("Bearer {token}"),
            format!("Authorization: token {token}"),
            format!("Basic {}", STANDARD.encode(format!("__token__:{token}"))),
            format!("export TOKEN={token};"),
        ]
    });
    let spellings = spellings.concat();
    let serving = world.serve();

    // All in one body, and each in one of its own, from both reporters.
    let mut bodies: Vec<Vec<Value>> = spellings.iter().map(|spelling| vec![record(spelling, "https://a/1")]).collect();
    bodies.push(spellings.iter().map(|spelling| record(spelling, "https://a/2")).collect());
    for body in &bodies {
        let body = serde_json::to_vec(body).expect("plain data");
        for answer in [world.post(serving.addr(), body.clone()).await, partner(&world, &serving, body).await] {
            assert_eq!(answer.expect("an answer").status, 200);
        }
    }
    world.settle(&serving, 2).await;

    assert_eq!(world.db.number("SELECT count(*) FROM deliveries").await, 2 * i64::try_from(bodies.len()).expect("few"));
    assert_eq!(world.db.number("SELECT count(*) FROM events WHERE kind = 'revoked'").await, 2, "one each");
    assert_eq!(world.issuer.revocations_of("t1"), 1);
    assert_one_mail_each(&world);
    // A place is a place of one reporter; the spelling is none.
    for token in ["ci-upload", "t1"] {
        let places = world.incident_of(token)["occurrences"].as_array().expect("a list").len();
        assert_eq!(places, 4, "two addresses, told by two reporters");
    }
    serving.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_body_two_hundred_times_at_once_is_one_delivery_on_sqlite() {
    the_same_body_at_once(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_body_two_hundred_times_at_once_is_one_delivery_on_postgres() {
    the_same_body_at_once(Kind::Postgres).await;
}

async fn the_same_body_at_once(kind: Kind) {
    let world = Installation::new(kind).await;
    let (here, elsewhere) = (world.mint("ci-upload", "ada@example.org"), acme_token(42));
    world.issuer.issue(&elsewhere, "t1", "grace@example.org");
    let serving = world.serve();
    let body = serde_json::to_vec(&[record(&here, "https://a/1"), record(&elsewhere, "")]).expect("plain data");
    let answers = world.post_all(serving.addr(), std::iter::repeat_n(body, 200)).await;
    for answer in &answers {
        assert_eq!(answer.status, 200);
        let labels: Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert_eq!(labels[0]["label"], "true_positive", "a repeated delivery is answered as the first one was");
    }
    world.settle(&serving, 2).await;
    assert_eq!(world.db.number("SELECT count(*) FROM deliveries").await, 1);
    assert_eq!(world.db.number("SELECT count(*) FROM events WHERE kind = 'revoked'").await, 2, "one each");
    assert_eq!(world.issuer.revocations_of("t1"), 1);
    assert_one_mail_each(&world);
    serving.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_that_is_reported_later_is_a_true_positive_and_nothing_else() {
    let world = Installation::new(Kind::Sqlite).await;
    let (here, elsewhere) = (world.mint("ci-upload", "ada@example.org"), acme_token(43));
    world.issuer.issue(&elsewhere, "t1", "grace@example.org");
    let serving = world.serve();
    let first = [record(&here, "https://a/1"), record(&elsewhere, "https://a/1")];
    world.deliver(serving.addr(), &first).await.expect("an answer");
    world.settle(&serving, 2).await;
    let before = ["ci-upload", "t1"].map(|token| world.incident_of(token));

    let later = [record(&here, "https://b/2"), record(&elsewhere, "https://b/2")];
    let answer = world.deliver(serving.addr(), &later).await.expect("an answer");
    let labels: Value = serde_json::from_slice(&answer.body).expect("JSON");
    let labels: Vec<&str> = labels.as_array().expect("a list").iter().filter_map(|it| it["label"].as_str()).collect();
    assert_eq!(labels, ["true_positive", "true_positive"]);
    eventually("nothing is left to do", async || world.left().await == (0, 0)).await;
    serving.stop().await;

    for (before, token) in before.iter().zip(["ci-upload", "t1"]) {
        let after = world.incident_of(token);
        for name in ["id", "state", "note", "received_at", "verified_at", "revoked_at", "notified_at", "closed_at"] {
            assert_eq!(after[name], before[name], "{name} of {token}");
        }
        assert_eq!(after["occurrences"].as_array().map(Vec::len), Some(2), "a new place");
    }
    assert_eq!(world.issuer.revocations_of("t1"), 1);
    assert_one_mail_each(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn feedback_has_one_object_for_each_record_that_can_be_judged() {
    use sha2::Digest as _;

    let world = Installation::new(Kind::Sqlite).await;
    let here = world.mint("ci-upload", "ada@example.org");
    let serving = world.serve();
    let sent = [here.clone(), format!(" {here}"), here.clone(), format!("Bearer {here}")];
    let mut records: Vec<Value> = sent.iter().map(|token| record(token, "")).collect();
    records.insert(1, json!({ "type": "acme_token", "url": "no token" }));
    records.insert(3, record("no token at all", ""));
    records.push(record(&acme_token(44), ""));
    let answer = world.deliver(serving.addr(), &records).await.expect("an answer");
    let labels: Vec<Value> = serde_json::from_slice(&answer.body).expect("a list");
    let expected = sent.map(|token| {
        let hash = sha2::Sha256::digest(token).iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        json!({ "token_hash": hash, "token_type": "acme_token", "label": "true_positive" })
    });
    assert_eq!(labels, expected, "as sent, in order, and nothing about what a local issuer cannot judge");
    world.settle(&serving, 2).await;
    serving.stop().await;
}

async fn partner(
    world: &Installation,
    serving: &Process,
    body: Vec<u8>,
) -> Result<stanch::send::Answer, stanch::send::Failure> {
    use rand::SeedableRng as _;

    let headers = HeaderNames {
        key_id: HeaderName::from_static("partner-key-identifier"),
        signature: HeaderName::from_static("partner-key-signature"),
    };
    let key = stanch::send::KeyPair::generate(&mut rand::rngs::StdRng::seed_from_u64(1)).expect("a key");
    assert_eq!(key.id(), world.signer.current().id(), "the key that is listed");
    let message = Signer::new(key).with_headers(headers).message(body.into());
    let url = serving.url("/webhooks/github").parse().expect("a URL");
    stanch::send::Courier::new(url, crate::process::PATIENCE).expect("a client").post(message).await
}

fn assert_one_mail_each(world: &Installation) {
    let mails = world.mails();
    assert_eq!(mails.keys().collect::<Vec<_>>(), ["ada@example.org", "grace@example.org"]);
    for (owner, by_id) in &mails {
        assert_eq!(by_id.values().sum::<usize>(), 1, "{owner}: {by_id:?}");
    }
}
