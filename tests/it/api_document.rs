//! The API is as its document says: a fuzzer that reads the document (schemathesis, <https://schemathesis.io>) sends the
//! real program what it allows and what it forbids, and holds every answer against it.
//!
//! There is something of everything when it begins: incidents that are closed, held and stuck, a release that waits for
//! its second person, a drill, tokens. The same requests in every run, by a fixed seed.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::operate::{Operator, leak};
use crate::process::{Installation, Kind, PATIENCE, eventually};

const CONFIG: &str = "[brake]\nper_issuer = 2\nall = 100\nhigh_impact = 100\npeak_factor = 0\nsecond_person = true\n\
    [proxy.upstream.sample]\nroot = \"https://upstream.invalid\"\n";

/// Not fuzzed: an answer that does not end. `operate.rs` listens to it.
const STREAM: &str = "/api/v1/events/stream";
/// Checks that hold every answer against the document, and what it forbids against the answers.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,\
    negative_data_rejection";
/// Calls of one route at most, beside those that its schema names.
const EXAMPLES: &str = "4";
/// Longest time for all of it.
const AT_MOST: Duration = Duration::from_mins(3);

#[tokio::test(flavor = "multi_thread")]
async fn the_api_is_as_its_document_says() {
    // On PostgreSQL alone, which refuses more of what a fuzzer makes up.
    let world = Installation::with(Kind::Postgres, CONFIG).await;
    world.may_leave_work("it is about answers, and what a fuzzer decides is left as it is");
    world.configure("lame_duck = \"0s\"", "lame_duck = \"0s\"\nupload_sink = true");
    let serving = world.serve();
    let ada = Operator::of(&world, "fuzzer", "admin");
    leak(&world, &serving, &["first", "second", "a", "b", "c", "d"]).await;
    world.settle_but(&serving, "held", 4).await;
    let ids = async |path: &str, list: &str| {
        let listed = ada.get(&serving, path).await;
        let ids = listed[list].as_array().expect("a list").iter().map(|it| it["id"].clone());
        Value::from(ids.collect::<Vec<_>>())
    };
    let incidents = ids("/api/v1/incidents", "incidents").await;
    let held = ids("/api/v1/incidents?state=held", "incidents").await;
    let release = format!("/api/v1/incidents/{}/release", held[0].as_str().expect("an id"));
    let (status, told) = ada.post(&serving, &release, json!({ "reason": "to have one that waits" })).await;
    assert_eq!(status, 202, "{told}");
    let (status, drill) = ada.post(&serving, "/api/v1/drill", json!({})).await;
    assert_eq!(status, 202, "{drill}");
    let path = format!("/api/v1/drill/{}", drill["id"].as_str().expect("an id"));
    eventually("the drill is over", async || ada.get(&serving, &path).await["verdict"] != "running").await;
    // Not the one that the fuzzer shows.
    let mut tokens = ids("/api/v1/tokens?search=ada", "tokens").await;
    tokens.as_array_mut().expect("a list").truncate(3);
    let spent: Vec<String> = (0..24).map(|seed| world.mint(&format!("spent-{seed}"), "spent@example.org")).collect();
    let known = json!({ "/api/v1/incidents": incidents, "/api/v1/releases": [told["release_id"]],
        "/api/v1/drill": [drill["id"]], "/api/v1/tokens": tokens });

    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = root.join("target/venv/bin/schemathesis");
    assert!(program.exists(), "schemathesis is not installed; run `tests/run it`");
    let mut command = tokio::process::Command::new(program);
    command.args(["run", &serving.url("/openapi.json"), "--exclude-path", STREAM, "--checks", CHECKS]);
    command.args(["--phases", "examples,coverage,fuzzing", "--max-examples", EXAMPLES, "--seed", "7", "--no-shrink"]);
    command.args(["--continue-on-failure", "--request-timeout", "10", "--warnings", "off", "--workers", "1"]);
    // In a folder of its own: it writes what it remembers where it is started.
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", world.folder.path()).current_dir(world.folder.path());
    command.env("PYTHONPATH", root.join("tests/it")).env("SCHEMATHESIS_HOOKS", "schemathesis_hooks");
    command.env("TOKEN", ada.token()).env("KNOWN_IDS", known.to_string()).env("SPENT_TOKENS", json!(spent).to_string());
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(AT_MOST, command.output()).await.expect("in time").expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    // A run that tested nothing would be a success as well.
    assert!(said.contains("No issues found") || said.contains("passed"), "{said}");
    let answer = ada.ask(&serving, Method::GET, "/api/v1/self", None, "").await;
    assert_eq!(answer.status(), 200, "the fuzzer's token is good to the end");
    assert!(!serving.log().iter().any(|line| line.contains("panicked")), "nothing panicked");
    tokio::time::timeout(PATIENCE, serving.stop()).await.expect("it still ends well");
}
