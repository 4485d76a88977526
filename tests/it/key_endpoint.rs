//! Promise 1 at the door: while the endpoint of the signing keys is down, slow or busy with a rotation, no genuine
//! delivery is refused for good: it is taken, or its reporter is asked to try again.

use std::sync::Arc;
use std::time::Instant;

use axum::http::{HeaderValue, StatusCode};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use reqwest::Url;
use serde_json::{Value, json};
use stanch::send::{Courier, Fault, KeyPair, KeyServer, Message, Signer};
use tokio::task::JoinSet;

use crate::process::{Installation, Kind, PATIENCE, Process, acme_token, eventually, record};

#[tokio::test(flavor = "multi_thread")]
async fn without_keys_it_starts_says_so_and_heals_by_itself() {
    let world = Installation::new(Kind::Sqlite).await;
    world.keys.fail(Fault::Status(StatusCode::BAD_GATEWAY));
    starts_without_keys(&world, async || world.keys.recover()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_nobody_at_the_key_endpoint_it_starts_says_so_and_heals_by_itself() {
    let mut world = Installation::new(Kind::Sqlite).await;
    let elsewhere = KeyServer::start(([127, 0, 0, 1], 0).into(), &world.signer.key_list()).await.expect("a free port");
    // Its server stops when it is dropped; the address stays reserved.
    let address = std::mem::replace(&mut world.keys, elsewhere).addr();
    let reserved = crate::issuer::reserve(address);
    starts_without_keys(&world, async || {
        let listener = reserved.listen(64).expect("the address is ours");
        serve_list(listener, serde_json::to_value(world.signer.key_list()).expect("plain data"));
    })
    .await;
}

async fn starts_without_keys(world: &Installation, heal: impl AsyncFnOnce()) {
    let process = world.serve();
    let (status, page) = process.get("/readyz").await;
    let page: Value = serde_json::from_str(&page).expect("JSON");
    assert_eq!((status, &page["obstacles"]), (503, &json!(["keys"])));
    assert_eq!(page["origins_without_keys"], json!(["github"]));
    assert_eq!(process.get("/livez").await.0, 200, "a restart would not help");
    let records = [record(&world.mint("ci", "ada@example.org"), "")];
    assert_eq!(world.deliver(process.addr(), &records).await.expect("an answer").status, 503);
    assert_eq!(world.db.number("SELECT count(*) FROM deliveries").await, 0);
    assert!(process.said("WARN", "could not refresh the keys of origin github"));

    heal().await;
    eventually("it is ready without a delivery that asks", async || process.get("/readyz").await.0 == 200).await;
    assert_eq!(world.deliver(process.addr(), &records).await.expect("an answer").status, 200);
    world.settle(&process, 1).await;
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_during_an_outage_keeps_the_keys_on_sqlite() {
    keys_survive_a_restart_during_an_outage(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_during_an_outage_keeps_the_keys_on_postgres() {
    keys_survive_a_restart_during_an_outage(Kind::Postgres).await;
}

/// The list is a week old but for an hour, and the endpoint takes requests and never answers.
async fn keys_survive_a_restart_during_an_outage(kind: Kind) {
    let world = Installation::new(kind).await;
    world.configure("feedback = \"hash\"", "feedback = \"hash\"\nkey_timeout = \"2s\"");
    let process = world.serve();
    eventually("the keys are stored", async || world.db.number("SELECT count(*) FROM key_lists").await == 1).await;
    world.keys.fail(Fault::Hang);
    let records = |seed| [record(&acme_token(seed), "")];
    assert_eq!(world.deliver(process.addr(), &records(1)).await.expect("an answer").status, 200, "a known key");
    process.stop().await;

    let age = 7 * 24 * 3_600_000_i64 - 3_600_000;
    world.db.run(&format!("UPDATE key_lists SET fetched_at = fetched_at - {age}")).await;
    let next = world.serve();
    eventually("it is ready with what was stored", async || next.get("/readyz").await.0 == 200).await;
    let answer = world.deliver(next.addr(), &records(2)).await.expect("an answer");
    assert_eq!(answer.status, 200, "an old list is better than none");
    let mut stranger = world.signer.clone();
    stranger.rotate(key(7));
    let unknown = post(&courier(&next), stranger.message(body(3).into())).await;
    assert_eq!(unknown, 503, "nobody can tell whether this key is genuine");
    world.settle(&next, 2).await;
    next.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_under_load_loses_no_genuine_delivery() {
    const EACH: u32 = 60;
    let world = Installation::new(Kind::Sqlite).await;
    let process = world.serve();
    let (old, mut new) = (world.signer.clone(), world.signer.clone());
    new.rotate(key(2));
    let mut senders = send_all(&process, &old, 0..EACH);
    eventually("the load has begun", async || world.db.number("SELECT count(*) FROM deliveries").await > 0).await;
    world.keys.publish(&new.key_list());
    let rotated = send_all(&process, &new, EACH..2 * EACH);
    let late = send_all(&process, &old, 2 * EACH..3 * EACH);
    for mut more in [rotated, late] {
        while let Some(sent) = more.join_next().await {
            sent.expect("accepted");
        }
    }
    while let Some(sent) = senders.join_next().await {
        sent.expect("accepted");
    }
    assert_eq!(world.db.number("SELECT count(*) FROM deliveries").await, i64::from(3 * EACH));
    assert!(world.keys.requests() <= 3, "{} fetches for one rotation", world.keys.requests());
    world.settle(&process, i64::from(3 * EACH)).await;
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_made_up_keys_neither_hurts_the_endpoint_nor_the_genuine() {
    const FORGED: u32 = 400;
    let world = Installation::new(Kind::Sqlite).await;
    let process = world.serve();
    eventually("it has keys", async || process.get("/readyz").await.0 == 200).await;
    let began = Instant::now();
    let (mut forgers, courier) = (JoinSet::new(), courier(&process));
    for number in 0..FORGED {
        let mut forged = world.signer.message(body(number).into());
        let name = world.signer.headers().key_id.clone();
        forged.headers.insert(name, HeaderValue::from_str(&format!("{number:064x}")).expect("hex"));
        let courier = courier.clone();
        forgers.spawn(async move { post(&courier, forged).await });
    }
    let mut senders = send_all(&process, &world.signer, 1_000..1_030);
    while let Some(sent) = senders.join_next().await {
        assert_eq!(sent.expect("accepted"), 1, "the genuine are taken at the first try");
    }
    let answers = forgers.join_all().await;
    assert!(answers.iter().all(|status| [401, 503].contains(status)), "{answers:?}");
    let fetches = 2 + began.elapsed().as_secs() / 60;
    assert!(world.keys.requests() <= fetches, "{} requests, not {fetches}", world.keys.requests());
    assert_eq!(world.db.number("SELECT count(*) FROM deliveries").await, 30, "nothing forged is stored");
    world.settle(&process, 30).await;
    process.stop().await;
}

/// Sends one delivery for each number, side by side and each until it is taken; gives the tries it took.
fn send_all(process: &Process, signer: &Signer, numbers: std::ops::Range<u32>) -> JoinSet<u32> {
    let (mut senders, signer, courier) = (JoinSet::new(), Arc::new(signer.clone()), courier(process));
    for number in numbers {
        let (signer, courier) = (Arc::clone(&signer), courier.clone());
        senders.spawn(async move {
            let end = Instant::now() + PATIENCE;
            for tries in 1.. {
                match post(&courier, signer.message(body(number).into())).await {
                    200 => return tries,
                    503 => assert!(Instant::now() < end, "delivery {number} is never taken"),
                    other => panic!("a genuine delivery was answered with {other}"),
                }
            }
            unreachable!("the loop has no end")
        });
    }
    senders
}

fn courier(process: &Process) -> Courier {
    let url = Url::parse(&process.url("/webhooks/github")).expect("a URL");
    Courier::new(url, PATIENCE).expect("a client")
}

async fn post(courier: &Courier, message: Message) -> u16 {
    courier.post(message).await.unwrap_or_else(|failure| panic!("an answer, not `{failure}`")).status.as_u16()
}

fn body(number: u32) -> Vec<u8> {
    serde_json::to_vec(&[record(&acme_token(number), "")]).expect("plain data")
}

fn key(seed: u64) -> KeyPair {
    KeyPair::generate(&mut StdRng::seed_from_u64(seed)).expect("a key")
}

/// The endpoint on a listener that is there already.
fn serve_list(listener: tokio::net::TcpListener, list: Value) {
    let routes = axum::Router::new().fallback(move || async move { axum::Json(list) });
    tokio::spawn(async move { axum::serve(listener, routes).await });
}
