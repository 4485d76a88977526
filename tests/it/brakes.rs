//! Promise 6, "brakes": more live tokens than the budget are held, never revoked and never dropped, until a person lets
//! go; whatever dies in between.

use std::fmt::Write as _;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use stanch::id::TokenId;
use stanch::mint::pat::{self, Prefix};

use crate::process::{Installation, Kind, acme_token, eventually, record};

on_both_databases! {
    exactly_the_budget_of_ten_thousand_live_tokens_is_revoked: exactly_the_budget();
    a_flood_of_dead_tokens_is_no_shield_and_the_budget_holds_for_an_issuer_elsewhere: dead_and_live();
    a_dry_run_revokes_nothing_and_says_so: dry_run();
    a_paused_issuer_is_not_called_until_it_is_resumed: paused();
}

const LIVE: usize = 10_000;
const BUDGET: i64 = 50;

async fn exactly_the_budget(kind: Kind) {
    let brake = format!("[brake]\nper_issuer = {BUDGET}\nall = 1000\nreset = \"person\"\n");
    let world = Installation::with(kind, &brake).await;
    let tokens = live_tokens(&world).await;
    let bodies: Vec<Vec<u8>> = tokens
        .chunks(100)
        .map(|tokens| {
            let records: Vec<Value> = tokens.iter().map(|token| record(token, "https://code.example/leak")).collect();
            serde_json::to_vec(&records).expect("plain data")
        })
        .collect();

    // The process is killed while half of them are on their way; the reporter sends again what was not answered.
    let (first, second) = bodies.split_at(bodies.len() / 2);
    let doomed = world.serve();
    let addr = doomed.addr();
    let posted = async {
        let mut unanswered = Vec::new();
        for body in first {
            if !world.post(addr, body.clone()).await.is_ok_and(|answer| answer.status.is_success()) {
                unanswered.push(body.clone());
            }
        }
        unanswered
    };
    let killed = async {
        let some = "SELECT count(*) FROM deliveries";
        eventually("some are committed", async || world.db.number(some).await >= 7).await;
        doomed.kill().await
    };
    let (unanswered, log) = tokio::join!(posted, killed);
    assert!(!unanswered.is_empty(), "it died in the middle");
    assert!(log.iter().any(|line| line.contains("\"ERROR\"") && line.contains("the brake is on")), "the alarm");

    let serving = world.serve();
    for body in unanswered.iter().chain(second) {
        let answer = world.post(serving.addr(), body.clone()).await.expect("an answer");
        assert!(answer.status.is_success(), "{}", answer.status);
    }
    let idle = async |revoked: i64| {
        let revoked_now = world.db.number("SELECT count(*) FROM tokens WHERE revoked_at IS NOT NULL").await;
        revoked_now == revoked && world.db.number("SELECT count(*) FROM jobs").await == 0
    };
    eventually("the budget is revoked and nothing is left to do", async || idle(BUDGET).await).await;
    let held = i64::try_from(LIVE).expect("small") - BUDGET;
    let states = |state: &str| format!("SELECT count(*) FROM incidents WHERE state = '{state}'");
    let counted = world.db.numbers(&[&states("held"), &states("closed"), "SELECT count(*) FROM secrets"]).await;
    assert_eq!(counted, [held, BUDGET, held], "held, revoked, and what is held is kept to be revoked");
    let gauge = format!("stanch_held_tokens{{issuer=\"builtin\"}} {held}");
    eventually("the metrics tell", async || serving.get("/metrics").await.1.contains(&gauge)).await;
    let metrics = serving.get("/metrics").await.1;
    for line in ["stanch_brake_on{issuer=\"builtin\"} 1", "stanch_brake_budget_remaining{issuer=\"builtin\"} 0"] {
        assert!(metrics.contains(line), "no `{line}` in\n{metrics}");
    }
    let told = world.stanch(&["incident", "held", "--json"]);
    let told: Value = serde_json::from_slice(&told.stdout).expect("JSON");
    assert_eq!(told["groups"][0]["incidents"], json!(held));
    assert_eq!(told["groups"][0]["cause"], "issuer");

    // A person releases; the command dies after its first batch of a hundred, and the same command does the rest.
    let release =
        ["incident", "release", "--all", "--issuer", "builtin", "--limit", "200", "--yes", "--reason", "real"];
    let died = world.command().args(release).env("STANCH_CRASH_AT", "change.after_batch").output().expect("it starts");
    assert!(!died.status.success());
    eventually("what was released is revoked", async || idle(BUDGET + 100).await).await;
    let released = world.stanch(&release);
    assert!(
        String::from_utf8_lossy(&released.stderr).contains("released 200 incidents; 9650 are left"),
        "{released:?}"
    );
    eventually("what was released is revoked", async || idle(BUDGET + 300).await).await;
    assert_eq!(world.db.number(&states("held")).await, held - 300);
    serving.stop().await;
}

async fn dead_and_live(kind: Kind) {
    let world = Installation::with(kind, "[brake]\nper_issuer = 5\n").await;
    let serving = world.serve();
    let seeds = |first: u32, count: u32| (first..first + count).map(acme_token).collect::<Vec<_>>();
    let (dead, live) = (seeds(60_000, 60), seeds(61_000, 20));
    for (number, token) in dead.iter().chain(&live).enumerate() {
        world.issuer.issue(token, &format!("t{number}"), "grace@example.org");
    }
    for token in &dead {
        world.issuer.kill(token);
    }
    let records = |tokens: &[String]| tokens.iter().map(|token| record(token, "")).collect::<Vec<_>>();
    world.deliver(serving.addr(), &records(&dead)).await.expect("an answer");
    world.settle(&serving, 60).await;
    world.deliver(serving.addr(), &records(&live)).await.expect("an answer");
    let held = "SELECT count(*) FROM incidents WHERE state = 'held'";
    let idle = async || world.db.number(held).await == 15 && world.db.number("SELECT count(*) FROM jobs").await == 0;
    eventually("five are revoked and fifteen are held", idle).await;
    assert_eq!(live.iter().filter(|token| !world.issuer.is_live(token)).count(), 5, "exactly the budget");
    let id = world.incidents_in("held")[0]["id"].as_str().expect("text").to_owned();
    let dismissed = world.stanch(&["incident", "dismiss", &id, "--reason", "a test token"]);
    assert!(dismissed.status.success(), "{dismissed:?}");
    let released = world.stanch(&["incident", "release", "--all", "--yes", "--reason", "all are real"]);
    assert!(released.status.success(), "{released:?}");
    world.settle(&serving, 80).await;
    assert_eq!(live.iter().filter(|token| !world.issuer.is_live(token)).count(), 19, "all but the dismissed one");
    serving.stop().await;
}

async fn dry_run(kind: Kind) {
    let world = Installation::new(kind).await;
    let (here, elsewhere, dead) = (world.mint("ci", "ada@example.org"), acme_token(62_000), acme_token(62_001));
    world.issuer.issue(&elsewhere, "t1", "grace@example.org");
    world.issuer.issue(&dead, "t2", "grace@example.org");
    world.issuer.kill(&dead);
    let serving = world.start_with(&["serve"], &[("STANCH_DRY_RUN", "true")]);
    assert!(serving.said("WARN", "NONE IS REVOKED"));
    let records = [&here, &elsewhere, &dead].map(|token| record(token, ""));
    world.deliver(serving.addr(), &records).await.expect("an answer");
    let idle = async || {
        let done = "SELECT count(*) FROM incidents WHERE state IN ('closed', 'held')";
        world.db.number(done).await == 3 && world.db.number("SELECT count(*) FROM jobs").await == 0
    };
    eventually("all are looked at", idle).await;
    assert!(world.issuer.is_live(&elsewhere) && world.smtp.mails().is_empty());
    let held = world.incidents_in("held");
    assert_eq!(held.len(), 2);
    assert!(held[0]["note"].as_str().expect("text").starts_with("dry run"), "{held:?}");
    assert!(serving.get("/readyz").await.1.contains("\"brake\":\"dry_run\""));
    assert!(serving.get("/metrics").await.1.contains("stanch_dry_run 1"));
    // Even what a person releases waits, and goes on once the dry run is over.
    assert!(world.stanch(&["incident", "release", "--all", "--yes", "--reason", "go"]).status.success());
    serving.stop().await;
    assert!(world.issuer.is_live(&elsewhere), "the dry run did not");
    let serving = world.serve();
    world.settle(&serving, 3).await;
    assert!(!world.issuer.is_live(&elsewhere));
    assert_eq!(world.mails().len(), 2, "and now both owners know");
    serving.stop().await;
}

async fn paused(kind: Kind) {
    let world = Installation::new(kind).await;
    let (here, elsewhere) = (world.mint("ci", "ada@example.org"), acme_token(63_000));
    world.issuer.issue(&elsewhere, "t1", "grace@example.org");
    let paused = world.stanch(&["issuer", "pause", "acme", "--reason", "they asked for it"]);
    assert!(paused.status.success(), "{paused:?}");
    let serving = world.serve();
    world.deliver(serving.addr(), &[record(&here, ""), record(&elsewhere, "")]).await.expect("an answer");
    let closed = "SELECT count(*) FROM incidents WHERE state = 'closed'";
    eventually("the other issuer's token is dead", async || world.db.number(closed).await == 1).await;
    assert!(world.issuer.asked().is_empty(), "the paused one was not called");
    let listed = world.stanch(&["issuer", "list", "--json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    let of =
        |name: &str| listed["issuers"].as_array().expect("a list").iter().find(|it| it["name"] == name).expect("there");
    assert_eq!(of("acme")["paused"]["reason"], "they asked for it");
    assert!(of("builtin")["paused"].is_null());
    assert!(world.stanch(&["issuer", "resume", "acme", "--reason", "they are back"]).status.success());
    world.settle(&serving, 2).await;
    assert!(!world.issuer.is_live(&elsewhere));
    serving.stop().await;
}

/// Tokens of the built-in issuer, written into its table as `stanch token create` would, ten thousand times faster.
async fn live_tokens(world: &Installation) -> Vec<String> {
    world.mint("first", "ada@example.org");
    let (mut rng, mut texts) = (StdRng::seed_from_u64(6), Vec::with_capacity(LIVE));
    for _ in 0..LIVE / 500 {
        let mut rows = String::new();
        for _ in 0..500 {
            let minted = pat::mint(&Prefix::default(), &mut rng).expect("a seeded generator does not fail");
            let id = TokenId::generate(world.db.clock.now());
            let sha256 = minted.sha256.iter().fold(String::new(), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            });
            let owner = "(SELECT min(id) FROM owners)";
            let comma = if rows.is_empty() { "" } else { ", " };
            let _ = write!(rows, "{comma}('{id}', {owner}, '{id}', '{sha256}', 'hint', '[]', 1)");
            texts.push(String::from_utf8(minted.secret.expose().to_vec()).expect("letters"));
        }
        let columns = "id, owner_id, name, sha256, hint, scopes, created_at";
        world.db.run(&format!("INSERT INTO tokens ({columns}) VALUES {rows}")).await;
    }
    texts
}
