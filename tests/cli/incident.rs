//! `stanch incident`, on a database that a service has written.

use sha2::{Digest as _, Sha256};
use stanch::cli::ready;
use stanch::clock::{Clock, Timestamp};
use stanch::config::{Config, Environment, Flags, Sources};
use stanch::id::{DeliveryId, IncidentId};
use stanch::incident::{
    Actor, EmailAddress, Event, EventKind, Incident, IssuedToken, IssuerName, Owner, Place, Step, Verdict,
};
use stanch::store::{Accepted, NewDelivery, NewReport, NewToken, ReportContent, Store};
use stanch::token::{Confidence, KindId, Secret};

use crate::stanch::Folder;

/// A token nobody issued; a marker that must not come out again.
const MARKED: &str = "marked-token-of-this-test";

/// What a stranger may write to mislead whoever reads it: colours, a line of its own, a turned direction.
const HOSTILE: &str = "https://code.example/\u{1b}[31m\nrevoked\u{202e}";

/// An installation with one incident, over which `change` has gone.
async fn with_incident(change: fn(&mut Incident, Timestamp)) -> (Folder, IncidentId) {
    let folder = Folder::set_up();
    let config = Config::load(Sources {
        file: Some(folder.path("stanch.toml")),
        environment: Environment::default(),
        flags: Flags::default(),
    });
    let (config, clock) = (config.expect("right"), Clock::system());
    let store = ready::open_store(&config, &clock).await.expect("a new database");
    let id = report(&store, &config, clock.now()).await;
    let worker = || Actor::Worker("tester".into());
    let now = clock.now();
    let moved = store.intervene(id, worker(), move |incident| {
        change(incident, now);
        Ok(vec![Event::new(now, worker(), EventKind::Verified, Some(id))])
    });
    moved.await.expect("a legal move");
    store.close().await;
    (folder, id)
}

async fn report(store: &Store, config: &Config, now: Timestamp) -> IncidentId {
    let kind = KindId::new("npm-access-token");
    let secret = || Secret::new(MARKED.into());
    let token = NewToken {
        fingerprints: ready::fingerprint_ring(config).expect("keys").all(&kind, &secret()),
        kind,
        confidence: Confidence::Checksum,
        hint: "wxyz".into(),
        secret: secret(),
        issuer: Some(IssuerName::new("registry")),
        verdict: None,
    };
    let place = Place { sent_type: "npm".into(), url: HOSTILE.into(), source: "commit".into() };
    let delivery = NewDelivery {
        id: DeliveryId::generate(now),
        origin: "github".into(),
        key_id: "k1".into(),
        body_sha256: Sha256::digest(b"body").into(),
        received_at: now,
        tokens: vec![token],
        reports: vec![NewReport { content: ReportContent::Token(0), place, label: None }],
    };
    match store.accept(delivery).await.expect("the database is there") {
        Accepted::Stored { opened, .. } => opened[0],
        Accepted::Replayed { .. } => panic!("it is new"),
    }
}

fn live(incident: &mut Incident, now: Timestamp) {
    let owner = Owner {
        id: None,
        name: Some("Ada".into()),
        email: EmailAddress::parse("ada@example.org").ok(),
        others: Vec::new(),
    };
    let token = IssuedToken {
        id: "t1".into(),
        name: Some("ci".into()),
        owner: Some(owner),
        created_at: None,
        last_used_at: None,
        last_used_from: None,
        expires_at: None,
        scopes: vec![],
    };
    incident.judge(&Verdict::Live(token), now).expect("open");
}

fn held(incident: &mut Incident, now: Timestamp) {
    live(incident, now);
    incident.hold("more live tokens than the budget".into()).expect("live");
}

fn stuck(incident: &mut Incident, now: Timestamp) {
    live(incident, now);
    incident.stick(Step::Revoke, "the issuer refuses our credential".into()).expect("open");
}

#[tokio::test]
async fn an_incident_is_listed_and_found_by_its_state() {
    let (folder, id) = with_incident(stuck).await;
    let said = folder.run(&["incident", "list"]).expect_code(0);
    let lines: Vec<_> = said.out.lines().collect();
    assert_eq!(lines.len(), 2, "{}", said.out);
    assert!(lines[1].starts_with(&id.to_string()) && lines[1].contains("stuck"), "{}", said.out);
    assert!(lines[1].ends_with("revoke: the issuer refuses our credential"), "{}", said.out);
    assert!(!said.out.contains('\u{1b}'), "no colour where no terminal is");
    assert_eq!(folder.run(&["incident", "list", "--state", "stuck", "--json"]).json()[0]["id"], id.to_string());
    for other in [["--state", "closed"], ["--kind", "pypi-api-token"], ["--issuer", "x"], ["--origin", "x"]] {
        let none = folder.run(&[&["incident", "list"][..], &other].concat()).expect_code(0);
        assert_eq!((none.out.as_str(), none.err.as_str()), ("", "no incident\n"));
    }
}

#[tokio::test]
async fn an_incident_is_shown_inert_and_without_token_or_address() {
    let (folder, id) = with_incident(live).await;
    let id = id.to_string();
    let pages = [folder.run(&["incident", "show", &id]), folder.run(&["incident", "show", &id, "--json"])];
    for page in pages.map(|page| page.expect_code(0).out) {
        assert!(page.contains("https://code.example/"), "{page}");
        for forbidden in ["\u{1b}", "\u{202e}", "\nrevoked", MARKED, "ada@example.org"] {
            assert!(!page.contains(forbidden), "{forbidden:?} in\n{page}");
        }
        assert!(page.contains("…@example.org") && page.contains("Ada"), "{page}");
    }
    let page = folder.run(&["incident", "show", &id]).out;
    for words in [
        "state      live",
        "token      `ci`, id t1, ends in wxyz",
        "verified   after",
        "SEEN AT",
        "reported once",
        "worker:tester",
    ] {
        assert!(page.contains(words), "no `{words}` in\n{page}");
    }
}

#[tokio::test]
async fn a_stuck_incident_is_retried_and_the_audit_trail_names_who_did_it() {
    let (folder, id) = with_incident(stuck).await;
    let id = id.to_string();
    let said = folder.run(&["incident", "retry", &id]).expect_code(0);
    assert_eq!(said.err, format!("retried incident {id}; it is live now\n"));
    let timeline = folder.run(&["incident", "show", &id, "--json"]).json()["timeline"].clone();
    let last = timeline.as_array().and_then(|moments| moments.last()).expect("a moment").clone();
    assert_eq!((&last["kind"], &last["actor"]), (&"retried".into(), &"operator:tester".into()));
    let again = folder.run(&["incident", "retry", &id]).expect_code(1);
    assert_eq!(again.err, format!("error: incident {id}: an incident that is live cannot be retried\n"));
}

#[tokio::test]
async fn a_held_incident_is_released() {
    let (folder, id) = with_incident(held).await;
    let said = folder.run(&["incident", "release", &id.to_string()]).expect_code(0);
    assert_eq!(said.err, format!("released incident {id}; it is live now\n"));
}

#[tokio::test]
async fn a_dismissal_keeps_its_reason_and_one_mistake_stops_no_other() {
    let (folder, id) = with_incident(held).await;
    let unknown = IncidentId::generate(Timestamp::EPOCH).to_string();
    let id = id.to_string();
    let said = folder.run(&["incident", "dismiss", &unknown, &id, "--reason", "a test token"]).expect_code(1);
    assert!(said.err.contains(&format!("error: incident {unknown}: no such incident")), "{}", said.err);
    assert!(said.err.contains(&format!("dismissed incident {id}; it is settled now")), "{}", said.err);
    assert!(folder.run(&["incident", "show", &id]).out.contains("a test token"));
}

#[tokio::test]
async fn an_id_of_nothing_is_told_apart_from_one_that_is_no_id() {
    let (folder, _) = with_incident(live).await;
    let unknown = IncidentId::generate(Timestamp::EPOCH).to_string();
    let said = folder.run(&["incident", "show", &unknown]).expect_code(1);
    assert!(said.err.contains(&format!("error: there is no incident {unknown}\nhint: ")), "{}", said.err);
    folder.run(&["incident", "show", "tok_1"]).expect_code(2);
}
