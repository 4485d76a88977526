//! What strangers wrote is inert wherever an operator's command says it: in the terminal, as JSON, in what is exported.
//!
//! Whoever leaks or reports a token, and whatever an issuer tells, has a say in these texts. None may move a cursor, turn
//! a writing direction, begin a line of its own, be a formula, or flood a screen.

use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use sqlx::Connection as _;
use stanch::cli::ready;
use stanch::clock::{Clock, Timestamp};
use stanch::config::{Config, Environment, Flags, Sources};
use stanch::id::DeliveryId;
use stanch::incident::{Actor, EmailAddress, Event, EventKind, IssuedToken, IssuerName, Owner, Place, Step, Verdict};
use stanch::store::{
    Accepted, Attempt, Claim, IssuerHealth, NewDelivery, NewReport, NewToken, Order, Paused, ReportContent, Store,
};
use stanch::token::{Confidence, KindId, Secret};

use crate::stanch::Folder;

/// Schemes, markup, a turned direction, invisible letters, commands to a terminal, lines of their own, a formula.
const HOSTILE: &str = "=HYPERLINK(\"javascript:alert(1)\") </pre><script>alert(1)</script> gpj.\u{202e}exe \u{2066}x\u{200b} \
    \u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{7f}\r\nrevoked yesterday\u{2028}{{7*7}}";

/// A name longer than any screen.
fn flood() -> String {
    format!("{HOSTILE}{}", "very long ".repeat(1_024))
}

/// An installation in which strangers had their say everywhere: three incidents, held, stuck and revoked.
async fn visited() -> Folder {
    let folder = Folder::set_up();
    let sources = Sources {
        file: Some(folder.path("stanch.toml")),
        environment: Environment::default(),
        flags: Flags::default(),
    };
    let (config, clock) = (Config::load(sources).expect("right"), Clock::system());
    let store = ready::open_store(&config, &clock).await.expect("a new database");
    let now = clock.now();
    for seed in ["held", "stuck", "revoked"] {
        report(&store, &config, seed, now).await;
    }
    let claim = Claim {
        worker: HOSTILE,
        limit: 10,
        lease_for: Duration::from_secs(30),
        without_issuers: &[],
        without_steps: &[],
    };
    for (index, job) in store.claim(&claim).await.expect("claimed").into_iter().enumerate() {
        store.postpone(&job, now, &flood(), Attempt::Counted).await.expect("postponed");
        let id = job.incident.id;
        let actor = || Actor::Worker(HOSTILE.into());
        let moved = store.intervene(id, actor(), move |incident| {
            incident.judge(&Verdict::Live(issued(index)), now)?;
            match index {
                0 => incident.hold(flood())?,
                1 => incident.stick(Step::Revoke, flood())?,
                _ => incident.revoked(now)?,
            }
            let detail = json!({ "reason": flood(), HOSTILE: [HOSTILE] });
            Ok(vec![Event::new(now, actor(), EventKind::Verified, Some(id)).with(detail)])
        });
        moved.await.expect("legal moves");
    }
    let order = Order { actor: Actor::Operator(HOSTILE.into()), reason: Some(flood()) };
    store.pause(&Paused::Issuer(IssuerName::new("builtin")), &order).await.expect("paused");
    let health = IssuerHealth {
        issuer: IssuerName::new("builtin"),
        node: HOSTILE.into(),
        breaker: "open".into(),
        reason: Some(flood()),
        resting_until: None,
        updated_at: now,
    };
    store.put_issuer_health(vec![health]).await.expect("stored");
    store.close().await;
    // As the step that revokes writes it.
    let record = "INSERT INTO revocations (issuer, issued_token_id, incident_id, revoked_at)
                  SELECT issuer, issued_token_id, id, revoked_at FROM incidents WHERE state = 'revoked'";
    let file = format!("sqlite:{}", folder.path("stanch-data/stanch.db").display());
    let mut database = sqlx::SqliteConnection::connect(&file).await.expect("the file opens");
    let written = sqlx::raw_sql(record).execute(&mut database).await.expect("written");
    assert_eq!(written.rows_affected(), 1);
    database.close().await.expect("closed");
    folder
}

fn issued(index: usize) -> IssuedToken {
    let email = EmailAddress::parse("ada@example.org").ok();
    IssuedToken {
        id: format!("{index}{HOSTILE}"),
        name: Some(flood()),
        owner: Some(Owner { id: Some(HOSTILE.into()), name: Some(flood()), email, others: Vec::new() }),
        created_at: None,
        last_used_at: None,
        last_used_from: Some(HOSTILE.into()),
        expires_at: None,
        scopes: vec![HOSTILE.into(), flood()],
    }
}

async fn report(store: &Store, config: &Config, seed: &str, now: Timestamp) {
    let kind = KindId::new("npm-access-token");
    let secret = || Secret::new(format!("leaked-{seed}").into_bytes());
    let token = NewToken {
        fingerprints: ready::fingerprint_ring(config).expect("keys").all(&kind, &secret()),
        kind,
        confidence: Confidence::Checksum,
        hint: "wxyz".into(),
        secret: secret(),
        issuer: Some(IssuerName::new("builtin")),
        verdict: None,
    };
    let place = Place { sent_type: HOSTILE.into(), url: flood(), source: HOSTILE.into() };
    let delivery = NewDelivery {
        id: DeliveryId::generate(now),
        origin: "github".into(),
        key_id: "k1".into(),
        body_sha256: Sha256::digest(seed).into(),
        received_at: now,
        tokens: vec![token],
        reports: vec![NewReport { content: ReportContent::Token(0), place, label: None }],
    };
    let accepted = store.accept(delivery).await.expect("the database is there");
    assert!(matches!(accepted, Accepted::Stored { .. }));
}

/// What a terminal or a reader could be misled by.
fn is_hidden(letter: char) -> bool {
    letter != '\n'
        && (letter.is_control()
            || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'))
}

#[track_caller]
fn assert_inert(command: &[&str], text: &str, longest: usize) {
    let hidden = text.chars().find(|letter| is_hidden(*letter));
    assert_eq!(hidden, None, "{command:?} says {}", text.escape_debug());
    assert!(
        !text.lines().any(|line| line.starts_with("revoked yesterday")),
        "{command:?}: a line of its own in\n{text}"
    );
    let found = text.lines().map(str::len).max().unwrap_or(0);
    assert!(found <= longest, "{command:?}: a line of {found} characters");
}

#[tokio::test]
async fn nothing_that_strangers_wrote_steers_a_terminal_or_breaks_a_record() {
    let folder = visited().await;
    let listed = folder.run(&["incident", "list", "--json"]).expect_code(0).json();
    let of = |state: &str| {
        let all = listed.as_array().expect("a list").iter();
        let mut found = all.filter(|it| it["state"] == state);
        let found = found.find_map(|it| it["id"].as_str());
        found.unwrap_or_else(|| panic!("none is {state}: {listed:#}")).to_owned()
    };
    let (held, stuck, revoked) = (of("held"), of("stuck"), of("revoked"));
    let commands: &[&[&str]] = &[
        &["incident", "list"],
        &["incident", "held"],
        &["incident", "show", &held],
        &["incident", "show", &stuck],
        &["incident", "mail", &revoked],
        &["queue"],
        &["issuer", "list"],
        &["issuer", "show", "builtin"],
        &["audit", "list"],
        &["audit", "verify"],
        &["operator", "list"],
        &["reporter", "list"],
        &["statistics"],
    ];
    let mut told = String::new();
    for command in commands {
        let said = folder.run(command).expect_code(0);
        assert_inert(command, &said.out, 4_000);
        assert_inert(command, &said.err, 4_000);
        told.push_str(&said.out);
        let command = [command, &["--json"][..]].concat();
        let said = folder.run(&command).expect_code(0);
        let parsed = said.json();
        assert!(parsed.is_object() || parsed.is_array(), "{command:?}");
        // Every text of a stranger in it, as a program gets it, and not only as it is spelled.
        for text in texts(&parsed) {
            assert!(!text.chars().any(is_hidden), "{command:?} gives {}", text.escape_debug());
            assert!(command[1] == "mail" || !text.contains('\n'), "{command:?} gives {}", text.escape_debug());
        }
    }
    // It is there to be read, and written out: a test that shows nothing would prove nothing.
    assert!(told.contains("\\u{202e}exe") && told.contains("\\u{1b}[2J") && told.contains("\\u{9b}31m"), "{told}");

    let trail = folder.run(&["audit", "export"]).expect_code(0).out;
    assert_inert(&["audit", "export"], &trail, 8_000);
    let rows: Vec<Value> =
        trail.lines().map(|line| serde_json::from_str(line).expect("each line is a record")).collect();
    assert!(rows.len() >= 7, "{trail}");
    let record = folder.run(&["export", "revoked", "--format", "jsonl"]).expect_code(0).out;
    assert_inert(&["export", "revoked"], &record, 16_000);
    let spelled: Vec<Value> = record.lines().map(|line| serde_json::from_str(line).expect("a record")).collect();
    assert_eq!(spelled.len(), 1, "{record}");
    let csv = folder.run(&["export", "revoked", "--format", "csv"]).expect_code(0).out;
    assert_eq!(csv.matches("\r\n").count(), 2, "two records, and no line of a stranger's: {csv}");
    assert_inert(&["export", "revoked", "--format", "csv"], &csv.replace("\r\n", "\n"), 16_000);
    assert!(csv.contains("\"'=HYPERLINK("), "no cell is a formula: {csv}");
}

/// Every text in a JSON value.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(fields) => {
            fields.iter().flat_map(|(name, value)| [vec![name.as_str()], texts(value)].concat()).collect()
        }
        Value::Bool(_) | Value::Null | Value::Number(_) => Vec::new(),
    }
}
