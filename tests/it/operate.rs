//! The operator's API of the real program: what responders do succeeds, happens once, and is told as it happens.

use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::header::AUTHORIZATION;
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};

use crate::process::{Installation, Kind, PATIENCE, Process, eventually, record};

on_both_databases! {
    a_release_takes_two_people_over_http_as_well: two_people();
    a_leaked_copy_dies_alone_over_http: branch();
    a_responder_decides_about_what_is_held_and_stuck: decide();
    an_admin_lets_operators_in_over_http: operators();
    the_record_is_exported_and_the_trail_streamed: record_and_stream();
}

const BRAKE: &str = "[brake]\nper_issuer = 1\nall = 100\nhigh_impact = 100\npeak_factor = 0\n";

pub struct Operator {
    client: Client,
    token: String,
}

impl Operator {
    pub fn of(world: &Installation, name: &str, role: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let scope = format!("operator:{role}");
        let token = world.create(&["--owner", "ops@example.org", "--name", name, "--scope", &scope, "--no-mail"]);
        Self { client: Client::builder().no_proxy().build().expect("a client"), token }
    }

    /// Another person: who a token's owner is, is who acts.
    fn another(world: &Installation, name: &str, role: &str) -> Self {
        let (owner, scope) = (format!("{name}@example.org"), format!("operator:{role}"));
        let token =
            world.create(&["--owner", &owner, "--owner-name", name, "--name", name, "--scope", &scope, "--no-mail"]);
        Self { client: Client::builder().no_proxy().build().expect("a client"), token }
    }

    pub fn token(&self) -> &str {
        &self.token
    }

    pub async fn ask(&self, serving: &Process, method: Method, path: &str, body: Option<Value>, key: &str) -> Response {
        let mut request = self.client.request(method, serving.url(path));
        request = request.header(AUTHORIZATION, format!("Bearer {}", self.token));
        if !key.is_empty() {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        request.send().await.expect("an answer")
    }

    pub async fn post(&self, serving: &Process, path: &str, body: Value) -> (u16, Value) {
        let answer = self.ask(serving, Method::POST, path, Some(body), "").await;
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }

    pub async fn get(&self, serving: &Process, path: &str) -> Value {
        let answer = self.ask(serving, Method::GET, path, None, "").await;
        assert_eq!(answer.status(), 200, "{path}");
        answer.json().await.expect("JSON")
    }
}

pub async fn leak(world: &Installation, serving: &Process, names: &[&str]) {
    for name in names {
        let token = world.mint(name, "ada@example.org");
        let answer = world.deliver(serving.addr(), &[record(&token, "https://example.org/1")]).await;
        assert!(answer.expect("an answer").status.is_success());
    }
}

async fn decide(kind: Kind) {
    let world = Installation::with(kind, BRAKE).await;
    let serving = world.serve();
    let ada = Operator::of(&world, "ops", "responder");
    leak(&world, &serving, &["passes", "a", "b", "c", "d", "e", "f"]).await;
    world.settle_but(&serving, "held", 6).await;
    let held = ada.get(&serving, "/api/v1/incidents?state=held").await;
    let ids: Vec<String> =
        held["incidents"].as_array().expect("a list").iter().map(|it| it["id"].as_str().expect("id").into()).collect();
    let why = || json!({ "reason": "looked at it" });
    let at = |id: &str, act: &str| format!("/api/v1/incidents/{id}/{act}");

    // One by one.
    let (status, told) = ada.post(&serving, &at(&ids[0], "release"), why()).await;
    assert_eq!((status, &told["incident"]["id"]), (200, &json!(ids[0])), "{told}");
    let (status, _) = ada.post(&serving, &at(&ids[1], "dismiss"), why()).await;
    assert_eq!(status, 200);
    let (status, _) = ada.post(&serving, &at(&ids[2], "recheck"), json!({})).await;
    assert_eq!(status, 200);
    let path = format!("/api/v1/incidents/{}", ids[2]);
    eventually("asked again, it is held as before", async || {
        let note = ada.get(&serving, &path).await["incident"]["note"].clone();
        note.as_str().is_some_and(|note| note.contains("held as before"))
    })
    .await;
    let (status, told) = ada.post(&serving, &at(&ids[2], "revoke-branch"), why()).await;
    assert_eq!((status, told["detail"].as_str().map(|it| it.contains("narrowed copy"))), (409, Some(true)), "{told}");

    // Many: told before they are done, and done once however often they are asked for.
    let bulk = |apply: bool| {
        let mut bulk = json!({ "change": "release", "filter": { "issuer": "builtin" }, "limit": 2, "apply": apply });
        if apply {
            bulk["reason"] = json!("a real leak");
        }
        bulk
    };
    let (_, told) = ada.post(&serving, "/api/v1/incidents/change", bulk(false)).await;
    assert_eq!((&told["would_change"], &told["matching"]), (&json!(2), &json!(4)), "{told}");
    let mut answers = Vec::new();
    for _ in 0..2 {
        let answer =
            ada.ask(&serving, Method::POST, "/api/v1/incidents/change", Some(bulk(true)), "once-and-no-more").await;
        let replayed = answer.headers().contains_key("idempotency-replayed");
        answers.push((replayed, answer.json::<Value>().await.expect("JSON")));
    }
    assert_eq!(answers[0].1, json!({ "changed": 2, "left": 2, "refused": [] }));
    assert_eq!(answers[1], (true, answers[0].1.clone()));
    world.settle_but(&serving, "held", 2).await;

    // Stuck at its mail, and let go on; then mailed again.
    world.smtp.misbehave("rcpt 550 5.1.1 no such mailbox");
    let (_, told) = ada.post(&serving, "/api/v1/incidents/change", bulk(true)).await;
    assert_eq!(told["changed"], 2, "{told}");
    world.settle_but(&serving, "stuck", 2).await;
    world.smtp.behave();
    let stuck = ada.get(&serving, "/api/v1/incidents?state=stuck").await["incidents"][0]["id"].clone();
    let stuck = stuck.as_str().expect("id");
    let (status, _) = ada.post(&serving, &at(stuck, "retry"), json!({})).await;
    assert_eq!(status, 200);
    let (_, told) = ada
        .post(&serving, "/api/v1/incidents/change", json!({ "change": "retry", "apply": true, "reason": "mended" }))
        .await;
    assert_eq!(told["changed"], 1, "{told}");
    world.settle(&serving, 7).await;
    let before = world.smtp.mails().len();
    let (status, told) = ada.post(&serving, &at(stuck, "resend"), json!({})).await;
    assert_eq!(status, 200, "{told}");
    world.settle(&serving, 7).await;
    assert_eq!(world.smtp.mails().len(), before + 1);

    // A drill over HTTP goes on by itself and is asked about.
    let (status, told) = ada.post(&serving, "/api/v1/drill", json!({})).await;
    assert_eq!((status, told["verdict"].as_str()), (202, Some("running")), "{told}");
    let path = format!("/api/v1/drill/{}", told["id"].as_str().expect("id"));
    eventually("the drill is over", async || ada.get(&serving, &path).await["verdict"] != "running").await;
    let drill = ada.get(&serving, &path).await;
    assert!(["passed", "slow"].contains(&drill["verdict"].as_str().expect("a word")), "{drill:#}");
    assert_eq!(ada.get(&serving, "/api/v1/drill").await["drills"][0]["id"], drill["id"]);
    serving.stop().await;
}

async fn two_people(kind: Kind) {
    let world = Installation::with(kind, &BRAKE.replace("per_issuer", "second_person = true\nper_issuer")).await;
    let serving = world.serve();
    let (ada, eve) = (Operator::another(&world, "bea", "responder"), Operator::another(&world, "eve", "responder"));
    leak(&world, &serving, &["passes", "a", "b", "c"]).await;
    world.settle_but(&serving, "held", 3).await;
    let revoked = async || world.db.number("SELECT count(*) FROM tokens WHERE revoked_at IS NOT NULL").await;
    assert_eq!(revoked().await, 1);

    // Asked for, withdrawn: nothing went on.
    let bulk = json!({ "change": "release", "filter": {}, "limit": 2, "apply": true, "reason": "a backup leaked" });
    let (status, told) = ada.post(&serving, "/api/v1/incidents/change", bulk.clone()).await;
    assert_eq!((status, &told["incidents"]), (202, &json!(2)), "{told}");
    let release =
        |told: &Value, act: &str| format!("/api/v1/releases/{}/{act}", told["release_id"].as_str().expect("id"));
    let waiting = ada.get(&serving, "/api/v1/releases").await["releases"].clone();
    assert_eq!((&waiting[0]["id"], &waiting[0]["reason"]), (&told["release_id"], &json!("a backup leaked")));
    assert_eq!(waiting[0]["requested_by"], "operator:bea");
    let (status, _) = ada.post(&serving, &release(&told, "withdraw"), json!({ "reason": "too early" })).await;
    assert_eq!(status, 200);
    assert_eq!(ada.get(&serving, "/api/v1/releases").await["releases"], json!([]));
    let (status, _) = eve.post(&serving, &release(&told, "approve"), json!({})).await;
    assert_eq!((status, revoked().await), (404, 1), "what was withdrawn waits for nobody");

    // Asked for again; nobody approves their own; the other one does, and it happens.
    let (status, told) = ada.post(&serving, "/api/v1/incidents/change", bulk).await;
    assert_eq!(status, 202, "{told}");
    let (status, refused) = ada.post(&serving, &release(&told, "approve"), json!({})).await;
    assert_eq!((status, revoked().await), (409, 1), "{refused}");
    let (status, done) = eve.post(&serving, &release(&told, "approve"), json!({ "reason": "seen" })).await;
    assert_eq!((status, &done), (200, &json!({ "released": 2, "refused": [] })));
    world.settle_but(&serving, "held", 1).await;
    assert_eq!(revoked().await, 3, "both are dead at the issuer");
    let mails = world.mails()["ada@example.org"].values().sum::<usize>();
    assert!(mails >= 2, "their owner was told: {mails}");
    let trail = eve.get(&serving, "/api/v1/audit?actor=people&limit=200").await;
    let by = |kind: &str| {
        let events = trail["events"].as_array().expect("a list").iter();
        events.filter(|event| event["kind"] == kind).map(|event| event["actor"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(by("release_approved"), [json!("operator:eve")], "{trail:#}");
    assert_eq!(by("release_withdrawn"), [json!("operator:bea")], "{trail:#}");
    serving.stop().await;
}

async fn branch(kind: Kind) {
    let world = Installation::new(kind).await;
    let serving = world.serve();
    let ada = Operator::of(&world, "ops", "responder");
    let macaroon =
        world.create(&["--owner", "ada@example.org", "--name", "uploads", "--no-mail", "--kind", "macaroon"]);
    let shown = |arguments: &[&str], token: &str| {
        world.command().args(arguments).env("STANCH_TOKEN", token).output().expect("it runs")
    };
    let copy = shown(&["token", "restrict", "--audience", "upload"], &macaroon);
    let copy = String::from_utf8(copy.stdout).expect("text").trim().to_owned();
    let lives = |token: &str| shown(&["token", "check", "--audience", "upload"], token).status.success();
    assert!(lives(&copy) && lives(&macaroon));

    // Paused, so that there is time to decide.
    let (status, _) = ada.post(&serving, "/api/v1/issuers/builtin/pause", json!({ "reason": "a look" })).await;
    assert_eq!(status, 200);
    let answer = world.deliver(serving.addr(), &[record(&copy, "https://example.org/1")]).await;
    assert!(answer.expect("an answer").status.is_success());
    let id = ada.get(&serving, "/api/v1/incidents").await["incidents"][0]["id"].as_str().expect("id").to_owned();
    let at = |act: &str| format!("/api/v1/incidents/{id}/{act}");
    let (status, told) = ada.post(&serving, &at("revoke-branch"), json!({ "reason": "only the copy" })).await;
    assert_eq!((status, &told["incident"]["id"]), (200, &json!(id)), "{told}");
    assert!(!lives(&copy) && lives(&macaroon), "dead at once, and alone");
    let (status, _) = ada.post(&serving, "/api/v1/issuers/builtin/resume", json!({ "reason": "looked" })).await;
    assert_eq!(status, 200);
    // What waits for its time is tried now, and what is over is not.
    let (status, _) = ada.post(&serving, &at("again"), json!({})).await;
    assert!([200, 409].contains(&status), "{status}");
    world.settle(&serving, 1).await;
    let (status, told) = ada.post(&serving, &at("again"), json!({})).await;
    assert_eq!(status, 409, "{told}");
    assert!(!lives(&copy) && lives(&macaroon));
    let mail = ada.get(&serving, &at("mail")).await;
    assert_eq!(mail["incidents"], 1);
    assert!(mail["text"].as_str().is_some_and(|text| text.contains("uploads")), "{mail}");
    assert_eq!(world.smtp.mails().len(), 1, "its owner is told once");
    serving.stop().await;
}

async fn operators(kind: Kind) {
    let world = Installation::new(kind).await;
    let serving = world.serve();
    let (root, eve) = (Operator::of(&world, "root", "admin"), Operator::another(&world, "eve", "responder"));
    let (status, _) = eve.post(&serving, "/api/v1/operators", json!({ "name": "eve", "role": "admin" })).await;
    assert_eq!(status, 403, "nobody makes themselves an admin");
    let (status, added) = root.post(&serving, "/api/v1/operators", json!({ "name": "bob", "role": "responder" })).await;
    assert_eq!(status, 201, "{added}");
    let link = added["link"].as_str().expect("a link").to_owned();
    let form = [("name", "bob"), ("password", "correct horse battery"), ("again", "correct horse battery")];
    let chosen = root.client.post(&link).header("sec-fetch-site", "same-origin").form(&form).send().await;
    assert!(chosen.expect("an answer").status().is_success(), "the link lets bob choose a password");
    let (status, _) = root.post(&serving, "/api/v1/operators", json!({ "name": "bob", "role": "viewer" })).await;
    assert_eq!(status, 409, "the name is taken");
    let of = async |name: &str| {
        let listed = root.get(&serving, "/api/v1/operators").await;
        let mut all = listed["operators"].as_array().expect("a list").clone().into_iter();
        all.find(|it| it["name"] == name).unwrap_or_default()
    };
    assert_eq!(
        (of("bob").await["state"].clone(), of("bob").await["role"].clone()),
        (json!("active"), json!("responder"))
    );
    let (status, _) = root.post(&serving, "/api/v1/operators/bob/role", json!({ "role": "viewer" })).await;
    assert_eq!((status, of("bob").await["role"].clone()), (200, json!("viewer")));
    let (status, _) = root.post(&serving, "/api/v1/operators/bob/disable", json!({})).await;
    assert_eq!((status, of("bob").await["state"].clone()), (200, json!("disabled")));
    let (status, _) = root.post(&serving, "/api/v1/operators/bob/enable", json!({})).await;
    assert_eq!((status, of("bob").await["state"].clone()), (200, json!("active")));
    let (status, reset) = root.post(&serving, "/api/v1/operators/bob/reset", json!({})).await;
    assert_eq!((status, of("bob").await["state"].clone()), (200, json!("invited")), "{reset}");
    let (status, _) = root.post(&serving, "/api/v1/operators/nobody/disable", json!({})).await;
    assert_eq!(status, 404);
    let settings = root.get(&serving, "/api/v1/settings").await;
    let shown = settings["effective"].as_str().expect("text");
    assert!(shown.contains("issuer-credential") && !shown.contains(crate::issuer::CREDENTIAL), "{shown}");
    let trail = root.ask(&serving, Method::GET, "/api/v1/audit/export?actor=people", None, "").await;
    let trail = trail.text().await.expect("text");
    assert!(!trail.contains(&link), "no link is on the trail");
    let kinds: Vec<Value> =
        trail.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["kind"].clone()).collect();
    assert_eq!(kinds[0], "exported", "that it was taken out is on it: {trail}");
    assert!(kinds.contains(&json!("operator_added")) && kinds.contains(&json!("operator_disabled")), "{trail}");
    serving.stop().await;
}

async fn record_and_stream(kind: Kind) {
    let world = Installation::new(kind).await;
    let serving = world.serve();
    let (ada, eve) = (Operator::of(&world, "ops", "responder"), Operator::of(&world, "watch", "viewer"));
    let listening = eve.client.get(serving.url("/api/v1/events/stream"));
    let listening = listening.header(AUTHORIZATION, format!("Bearer {}", eve.token)).header("Last-Event-ID", "0.0");
    let answer = listening.send().await.expect("an answer");
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut stream = answer.bytes_stream();

    let name = "=HYPERLINK(\"https://evil.example\")";
    leak(&world, &serving, &[name, "plain"]).await;
    world.settle(&serving, 2).await;
    let mut heard = String::new();
    let hear = async {
        while heard.matches("event: closed").count() < 2 {
            heard.push_str(&String::from_utf8_lossy(&stream.next().await.expect("it goes on").expect("bytes")));
        }
    };
    tokio::time::timeout(PATIENCE, hear).await.expect("everything that happened is told");
    for kind in ["opened", "verified", "revoked", "notified"] {
        assert_eq!(heard.matches(&format!("event: {kind}\n")).count(), 2, "{kind} in {heard}");
    }
    let last = heard.lines().filter_map(|line| line.strip_prefix("id: ")).next_back().expect("ids").to_owned();
    assert_ne!(last, "0.0");

    // Whose credential dies hears no more.
    let revoked = world.stanch(&["token", "revoke", "--name", "watch", "--owner", "ops@example.org"]);
    if !revoked.status.success() {
        world.db.run("UPDATE tokens SET revoked_at = 1 WHERE name = 'watch'").await;
    }
    let ends = async { while stream.next().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(20), ends).await.expect("the stream ends");

    let csv = ada.ask(&serving, Method::GET, "/api/v1/revoked-tokens/export?format=csv", None, "").await;
    assert!(csv.headers()["content-disposition"].to_str().expect("text").contains("revoked-tokens.csv"));
    let csv = csv.text().await.expect("text");
    assert_eq!(csv.lines().count(), 3, "{csv}");
    assert!(csv.contains("\"'=HYPERLINK(\"\"https://evil.example\"\")\""), "{csv}");
    let shown = world.stanch(&["export", "revoked", "--format", "jsonl"]);
    let lines: Vec<Value> = String::from_utf8(shown.stdout)
        .expect("text")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let listed = ada.get(&serving, "/api/v1/revoked-tokens?limit=1").await;
    assert_eq!((lines.len(), &listed["revoked_tokens"][0]), (2, &lines[0]));
    let exports = "SELECT count(*) FROM events WHERE kind = 'exported'";
    assert_eq!(world.db.number(exports).await, 2, "what was taken out is on the trail");

    eventually("the figures are counted", async || {
        let told = ada.get(&serving, "/api/v1/statistics").await;
        told["total"]["received_to_notified"]["count"] == 2 && told["by_issuer"][0]["issuer"] == "builtin"
    })
    .await;
    let told = ada.get(&serving, "/api/v1/statistics?slot=hour").await;
    assert!(told["total"]["received_to_revoked"]["p99_ms"].is_i64(), "{told:#}");
    for command in [&["queue", "--json"][..], &["reporter", "list", "--json"], &["issuer", "show", "builtin", "--json"]]
    {
        let shown = world.stanch(command);
        assert!(
            serde_json::from_slice::<Value>(&shown.stdout).is_ok(),
            "{command:?}: {}",
            String::from_utf8_lossy(&shown.stderr)
        );
    }
    serving.stop().await;
}
