//! `stanch scan` with issuers and a receiver: it asks, tells and revokes only when told to, and says what nobody answered.

use std::fs;
use std::process::Output;

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::issuer::{Asked, Mood};
use crate::process::{Installation, Kind, acme_token, eventually};

/// Runs a scan away from the runtime, on which the issuer answers.
fn run(world: &Installation, args: &[&str]) -> Output {
    tokio::task::block_in_place(|| world.stanch(&[&["scan"], args].concat()))
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(output)))
}

/// Path, what the issuer says, and how sure that makes the finding.
fn verdicts(report: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or("null").to_owned();
    let findings = report["findings"].as_array().expect("a list").iter();
    let place = |one: &Value| text(&one["path"]).rsplit('/').next().unwrap_or_default().to_owned();
    findings.map(|one| (place(one), text(&one["verified"]), text(&one["confidence"]))).collect()
}

fn leak(world: &Installation, name: &str, content: &str) {
    fs::create_dir_all(world.path("leak")).expect("the folder is ours");
    fs::write(world.path("leak").join(name), content).expect("the folder is ours");
}

fn of(place: &str, verdict: &str, confidence: &str) -> (String, String, String) {
    (place.into(), verdict.into(), confidence.into())
}

const FORMATS: &[&str] =
    &["csv", "github-actions", "gitleaks-json", "html", "human", "json", "jsonl", "junit", "sarif", "trufflehog-json"];

#[tokio::test(flavor = "multi_thread")]
async fn every_token_is_shown_once_to_its_own_issuer_and_told_as_live_dead_or_not_ours() {
    let world = Installation::new(Kind::Sqlite).await;
    let (live, dead, strange) = (acme_token(51), acme_token(52), acme_token(53));
    world.issuer.issue(&live, "t1", "ada@example.org");
    world.issuer.issue(&dead, "t2", "ada@example.org");
    world.issuer.kill(&dead);
    let own = world.mint("ci", "ada@example.org");
    let nobodys = format!("ghp_{}", "Zq3".repeat(12));
    for (name, content) in
        [("a", &live), ("b", &dead), ("c", &strange), ("d", &own), ("e", &nobodys), ("f", &format!("x {live} {live}"))]
    {
        leak(&world, name, content);
    }
    let unasked = run(&world, &["leak", "--json"]);
    assert_eq!(unasked.status.code(), Some(1), "{}", said(&unasked));
    assert!(report(&unasked)["findings"].as_array().expect("a list").iter().all(|one| one["verified"].is_null()));
    assert!(world.issuer.asked().is_empty(), "nobody is asked unless that is wanted");

    let asked = run(&world, &["leak", "--json", "--verify"]);
    assert_eq!(asked.status.code(), Some(1), "{}", said(&asked));
    let told = verdicts(&report(&asked));
    let live_ones = ["a", "f", "f"].map(|place| of(place, "live", "verified"));
    let mut expected = vec![of("b", "dead", "shape"), of("c", "not_ours", "shape"), of("d", "live", "verified")];
    expected.extend(live_ones);
    expected.sort();
    assert_eq!(told, expected, "{}", said(&asked));
    let questions = world.issuer.asked();
    assert_eq!(questions.len(), 3, "{questions:?}");
    assert!(questions.iter().all(|one| matches!(one, Asked::Verify(_))));
    assert!(
        said(&asked).contains("Asked about 4 of 4 tokens: 1 dead, 2 live, 1 not of this issuer"),
        "{}",
        said(&asked)
    );

    for format in FORMATS {
        let written = said(&run(&world, &["leak", "-v", "--verify", "-f", format]));
        for token in [&live, &dead, &strange, &own] {
            assert!(!written.contains(&token[12..28]), "{format} tells a token");
        }
        let words = if *format == "trufflehog-json" { "\"verified\":\"live\"" } else { "live" };
        assert!(written.contains(words) && written.contains("dead"), "{format}: {written}");
        assert!(!written.contains("ada@example.org"), "{format} names the owner");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_live_tokens_are_told_if_that_is_asked_for_and_the_rest_is_counted() {
    let world = Installation::new(Kind::Sqlite).await;
    let (live, dead) = (acme_token(54), acme_token(55));
    world.issuer.issue(&live, "t1", "ada@example.org");
    world.issuer.issue(&dead, "t2", "ada@example.org");
    world.issuer.kill(&dead);
    leak(&world, "a", &live);
    leak(&world, "b", &dead);
    for choice in
        [&["--only-verified"][..], &["--results", "live"], &["--min-confidence", "verified"], &["--results=verified"]]
    {
        let chosen = run(&world, &[&["leak", "--json", "--verify"], choice].concat());
        assert_eq!(chosen.status.code(), Some(1));
        assert_eq!(verdicts(&report(&chosen)), [of("a", "live", "verified")], "{choice:?}");
        assert_eq!(report(&chosen)["suppressed"]["verdict"], 1);
    }
    world.issuer.kill(&live);
    assert_eq!(run(&world, &["leak", "--verify", "--only-verified"]).status.code(), Some(0), "nothing lives any more");
    let refused = run(&world, &["leak", "--only-verified"]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_does_not_answer_makes_a_token_unknown_and_the_exit_code_four() {
    let mut world = Installation::new(Kind::Sqlite).await;
    let token = acme_token(56);
    world.issuer.issue(&token, "t1", "ada@example.org");
    leak(&world, "a", &token);
    for mood in [Mood::Fails(StatusCode::SERVICE_UNAVAILABLE), Mood::EchoesInItsErrors, Mood::StaysSilent] {
        world.issuer.behave(mood);
        let asked = run(&world, &["leak", "--json", "--verify", "--verify-timeout", "1"]);
        assert_eq!(asked.status.code(), Some(4), "{}", said(&asked));
        assert_eq!(verdicts(&report(&asked)), [of("a", "unknown", "shape")]);
        assert!(!report(&asked)["findings"][0]["unknown_because"].as_str().expect("a reason").is_empty());
        assert!(!said(&asked).contains(&token[8..24]), "an echo is not repeated");
    }
    world.issuer.behave(Mood::Answers);
    world.issuer.go_away();
    let gone = run(&world, &["leak", "--verify", "--only-verified"]);
    assert_eq!(gone.status.code(), Some(4), "not live is not what it says: {}", said(&gone));
    world.issuer.come_back();
    assert_eq!(run(&world, &["leak", "--verify"]).status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lives_is_revoked_only_with_a_yes_and_read_back() {
    let world = Installation::new(Kind::Sqlite).await;
    let token = acme_token(57);
    world.issuer.issue(&token, "t1", "ada@example.org");
    let own = world.mint("ci", "ada@example.org");
    leak(&world, "a", &token);
    leak(&world, "b", &own);
    let refused = run(&world, &["leak", "--revoke"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(world.issuer.asked().is_empty() && world.issuer.is_live(&token));

    world.issuer.behave_when_revoking(Some(Mood::LiesAboutRevoking));
    let lied = run(&world, &["leak/a", "--revoke", "--yes", "--json"]);
    assert_eq!(lied.status.code(), Some(4), "{}", said(&lied));
    assert_eq!(report(&lied)["findings"][0]["revoked"], "unknown");
    world.issuer.behave_when_revoking(None);

    let done = run(&world, &["leak", "--revoke", "--yes", "--json"]);
    assert_eq!(done.status.code(), Some(1), "{}", said(&done));
    let states: Vec<_> =
        report(&done)["findings"].as_array().expect("a list").iter().map(|one| one["revoked"].clone()).collect();
    assert_eq!(states, [json!("confirmed"), json!("confirmed")]);
    assert!(
        said(&done).contains(": revoked at acme") && said(&done).contains(": revoked at builtin"),
        "{}",
        said(&done)
    );
    assert!(!world.issuer.is_live(&token));
    let after = run(&world, &["leak", "--verify", "--json"]);
    assert_eq!(verdicts(&report(&after)), [of("a", "dead", "shape"), of("b", "dead", "checksum")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_found_is_reported_and_the_receiver_kills_it_and_mails_its_owner() {
    let world = Installation::new(Kind::Sqlite).await;
    let token = world.mint("ci-upload", "ada@example.org");
    // The key that scans sign with, made and handed over as an operator would.
    let made = world.stanch(&["send", "key", "generate", "--out", "scan.pem"]);
    assert!(made.status.success(), "{}", said(&made));
    let list: Value = serde_json::from_slice(&world.stanch(&["send", "key", "list", "scan.pem"]).stdout).expect("JSON");
    let key = &list["public_keys"][0];
    fs::write(world.path("scan.pub.pem"), key["key"].as_str().expect("text")).expect("a file");
    let origin = format!(
        "[origin.scan]\nkey_id_header = \"Scan-Key\"\nsignature_header = \"Scan-Signature\"\nfeedback = \"hash\"\n\
         key_files = {{ \"{}\" = \"scan.pub.pem\" }}\n\n[origin.github]",
        key["key_identifier"].as_str().expect("text")
    );
    world.configure("[origin.github]", &origin);
    let serving = world.serve();

    // A repository whose history alone has the token, with a home on a forge.
    let repo = world.path("repo");
    fs::create_dir_all(&repo).expect("a folder");
    let git = |args: &[&str]| {
        let ran = std::process::Command::new("git")
            .args(args)
            .current_dir(&repo)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .envs([("GIT_AUTHOR_NAME", "A"), ("GIT_AUTHOR_EMAIL", "a@example.org")])
            .envs([("GIT_COMMITTER_NAME", "A"), ("GIT_COMMITTER_EMAIL", "a@example.org")])
            .output()
            .expect("git is there");
        assert!(ran.status.success(), "{args:?}: {}", said(&ran));
    };
    git(&["init", "-q", "-b", "main"]);
    git(&["remote", "add", "origin", "https://x:pass@gitlab.example.org/o/r.git"]);
    fs::write(repo.join("my env"), format!("a\nTOKEN={token}\n")).expect("a file");
    git(&["add", "-A"]);
    git(&["commit", "-q", "-m", "one"]);
    fs::remove_file(repo.join("my env")).expect("ours");
    git(&["commit", "-q", "-a", "-m", "two"]);

    let url = serving.url("/webhooks/github");
    let to =
        ["repo", "--json", "--submit", &url, "--submit-key", "scan.pem", "--submit-headers", "Scan-Key,Scan-Signature"];
    let told = run(&world, &to);
    assert_eq!(told.status.code(), Some(1), "{}", said(&told));
    assert!(said(&told).contains("1 record in 1 delivery, 1 true positive"), "{}", said(&told));
    assert!(!said(&told).contains(&token[14..30]), "a report tells no token");
    world.settle(&serving, 1).await;
    let incident = world.incident_of("ci-upload");
    let place =
        incident["occurrences"][0]["place"]["url"].as_str().unwrap_or_else(|| panic!("{incident:#}")).to_owned();
    assert!(place.starts_with("https://gitlab.example.org/o/r/-/blob/") && place.ends_with("/my%20env#L2"), "{place}");
    eventually("its owner is mailed", async || world.mails().contains_key("ada@example.org")).await;
    let verified = run(&world, &["repo", "--json", "--verify"]);
    assert_eq!(report(&verified)["findings"][0]["verified"], "dead");

    // The same findings are the same delivery.
    assert_eq!(run(&world, &to).status.code(), Some(1));
    assert_eq!(world.db.number("SELECT count(*) FROM deliveries").await, 1);
    assert_eq!(world.mails()["ada@example.org"].len(), 1);
    serving.stop().await;

    let gone = run(&world, &[&to[..], &["--submit-timeout", "1"]].concat());
    assert_eq!(gone.status.code(), Some(4), "{}", said(&gone));
    assert!(said(&gone).contains("1 of 1 records were not taken") && said(&gone).contains("hint:"), "{}", said(&gone));
    assert_eq!(report(&gone)["findings"].as_array().map(Vec::len), Some(1), "what was found is told all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_or_told_is_refused_before_anything_is_read() {
    let world = Installation::new(Kind::Sqlite).await;
    assert!(world.stanch(&["send", "key", "generate", "--out", "scan.pem"]).status.success());
    for args in [
        &["--submit", "http://192.0.2.1/", "--submit-key", "scan.pem"][..],
        &["--submit", "https://192.0.2.1/"],
        &["--submit", "ftp://192.0.2.1/", "--submit-key", "scan.pem"],
        &["--submit", "http://127.0.0.1:1/", "--submit-key", "scan.pem", "--revoke", "--yes"],
        &["--min-confidence", "verified"],
        &["--verify", "--issuers", "no-such-file.toml"],
    ] {
        let refused = run(&world, &[&["gone"], args].concat());
        assert_eq!(refused.status.code(), Some(2), "{args:?}: {}", said(&refused));
        assert!(!said(&refused).contains("`gone`"), "{args:?}: {}", said(&refused));
    }
    // Without a configuration nobody is known, and no database is made.
    let empty = tempfile::tempdir().expect("a folder");
    let ran = std::process::Command::new(env!("CARGO_BIN_EXE_stanch"))
        .args(["scan", "--verify"])
        .current_dir(empty.path())
        .env_clear()
        .output()
        .expect("the program starts");
    assert_eq!(ran.status.code(), Some(2), "{}", said(&ran));
    assert_eq!(fs::read_dir(empty.path()).expect("a folder").count(), 0);
}
