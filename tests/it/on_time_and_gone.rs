//! The promise "on time and gone": a reporter hears in time whatever happens behind the door, and what came with its
//! reports is gone on the date that its agreement sets.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sqlx::Connection as _;
use stanch::clock::Timestamp;
use stanch::id::DeliveryId;
use stanch::incident::{IssuerName, Place, State};
use stanch::issuer::Issuers;
use stanch::issuer::http::HttpIssuer;
use stanch::notice::{self, Mailer, Transport};
use stanch::store::{Accepted, NewDelivery, NewReport, NewToken, ReportContent, Store, Sweep};
use stanch::token::{Confidence, FingerprintKey, FingerprintRing, KindId, Secret};
use stanch::work::{Backoff, Settings, Worker};

use crate::db::{KEEP_REPORTS_FOR, TestDb};
use crate::issuer::{FakeIssuer, Mood};
use crate::process::{Installation, Kind, acme_token, record};

const OWNER: &str = "grace@owner.example";
const URL: &str = "https://code.example/reported-place";
const SOURCE: &str = "reported-source";
const TYPE: &str = "reported-type";

/// A store and a worker in this process, on a clock that is moved by hand.
struct Desk {
    db: TestDb,
    store: Store,
    worker: Arc<Worker>,
    issuer: FakeIssuer,
    _mails: tempfile::TempDir,
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_with_a_report_is_gone_on_its_date_on_sqlite() {
    gone_on_its_date(TestDb::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_with_a_report_is_gone_on_its_date_on_postgres() {
    gone_on_its_date(TestDb::postgres().await).await;
}

async fn gone_on_its_date(db: TestDb) {
    let desk = Desk::open(db).await;
    let (live, dead) = (acme_token(11), acme_token(12));
    desk.issuer.issue(&live, "t1", OWNER);
    desk.issuer.issue(&dead, "t2", OWNER);
    desk.issuer.kill(&dead);
    let tokens = [live, dead, acme_token(13)];
    let opened = desk.report(&tokens).await;
    desk.worker.run_due().await.expect("worked");
    for id in &opened {
        let incident = desk.store.incident(*id).await.expect("read").expect("there");
        assert!(matches!(incident.state, State::Closed(_)), "{:?}", incident.state);
    }

    desk.db.clock.advance(KEEP_REPORTS_FOR.saturating_sub(Duration::from_millis(1)));
    assert_eq!(desk.store.sweep().await.expect("swept"), Sweep::default(), "not before its date");
    for id in &opened {
        let places = desk.store.occurrences(*id).await.expect("read");
        let place = places[0].place.clone().expect("still shown");
        assert_eq!((place.url.as_str(), place.source.as_str(), place.sent_type.as_str()), (URL, SOURCE, TYPE));
    }
    let shown = desk.store.incident(opened[0]).await.expect("read").expect("there").token.expect("told");
    assert_eq!(shown.owner.and_then(|owner| owner.email).expect("still shown").as_str(), OWNER);

    desk.db.clock.advance(Duration::from_millis(1));
    assert_eq!(desk.store.sweep().await.expect("swept"), Sweep { purged: 3, ..Sweep::default() });
    for id in &opened {
        assert_eq!(desk.store.occurrences(*id).await.expect("read")[0].place, None);
        let incident = desk.store.incident(*id).await.expect("read").expect("that it happened stays");
        assert!(incident.token.is_none_or(|token| token.owner.is_none()));
        let timeline = desk.store.timeline(*id).await.expect("read");
        assert_eq!(timeline.last().expect("an event").kind, "purged");
    }
    assert_eq!(desk.db.number("SELECT count(*) FROM notices").await, 1, "that a mail was sent stays");
    // A purged place that is reported again is a new report, with a date of its own.
    let again = desk.report(&tokens[..1]).await;
    assert!(again.is_empty(), "the incident is known");
    assert_eq!(desk.store.occurrences(opened[0]).await.expect("read").len(), 2);
    desk.db.clock.advance(KEEP_REPORTS_FOR);
    assert_eq!(desk.store.sweep().await.expect("swept").purged, 1);

    desk.store.close().await;
    for bytes in desk.db.bytes().await {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        for gone in [OWNER, "owner.example", URL, "reported-place", SOURCE, TYPE] {
            assert!(!text.contains(gone), "{gone} is still in the database: audit trail, notices and all");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_of_an_incident_that_is_not_over_is_kept_until_it_is() {
    let desk = Desk::open(TestDb::sqlite()).await;
    let live = acme_token(14);
    desk.issuer.issue(&live, "t1", OWNER);
    desk.issuer.behave(Mood::Fails(reqwest::StatusCode::INTERNAL_SERVER_ERROR));
    let opened = desk.report(&[live]).await;
    for _ in 0..3 {
        desk.worker.run_due().await.expect("worked");
        desk.db.clock.advance(KEEP_REPORTS_FOR);
        assert_eq!(desk.store.sweep().await.expect("swept").purged, 0);
    }
    assert!(desk.store.occurrences(opened[0]).await.expect("read")[0].place.is_some(), "who revokes it needs it");
}

/// A store that hangs must not let the reporter hang with it.
async fn a_hanging_store_is_told_in_time(kind: Kind) {
    let world = Installation::new(kind).await;
    world.configure("lame_duck = \"0s\"", "lame_duck = \"0s\"\nbody_timeout = \"1s\"\nanswer_timeout = \"2s\"");
    let serving = world.serve();
    // The first delivery has fetched the keys.
    assert_eq!(world.deliver(serving.addr(), &[record(&acme_token(20), "")]).await.expect("an answer").status, 200);
    let bodies: Vec<Vec<u8>> =
        (0..20).map(|number| json!([record(&acme_token(21), &number.to_string())]).to_string().into()).collect();

    let lock = Lock::take(&world).await;
    for answer in world.post_all(serving.addr(), bodies.clone()).await {
        assert_eq!(answer.status, 503, "nothing was stored, so nothing is acknowledged");
        assert!(answer.took < Duration::from_secs(5), "{:?}", answer.took);
    }
    lock.release().await;

    // The reporter sends again what was not acknowledged.
    for body in bodies {
        let tried = async |body: Vec<u8>| world.post(serving.addr(), body).await.expect("an answer").status == 200;
        crate::process::eventually("it is taken", async || tried(body.clone()).await).await;
    }
    world.settle(&serving, 2).await;
    assert_eq!(world.db.number("SELECT count(*) FROM deliveries").await, 21, "each body once");
    serving.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_store_is_told_in_time_on_sqlite() {
    a_hanging_store_is_told_in_time(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_store_is_told_in_time_on_postgres() {
    a_hanging_store_is_told_in_time(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reporter_of_a_crowd_is_answered_in_time_while_the_issuer_hangs() {
    let world = Installation::new(Kind::Sqlite).await;
    world.may_leave_work("the issuer hangs to the end");
    world.issuer.behave(Mood::StaysSilent);
    let serving = world.serve();
    let bodies = (0..200).map(|seed| json!([record(&acme_token(1_000 + seed), "")]).to_string().into_bytes());
    for answer in world.post_all(serving.addr(), bodies).await {
        assert_eq!(answer.status, 200, "an issuer that hangs is no reason to refuse a report");
        // GitHub's agreement allows 15 seconds.
        assert!(answer.took < Duration::from_secs(15), "{:?}", answer.took);
    }
    assert_eq!(world.db.number("SELECT count(*) FROM incidents WHERE state = 'open'").await, 200);
    serving.kill().await;
}

/// Keeps everybody else from writing deliveries.
enum Lock {
    Postgres(sqlx::PgConnection),
    Sqlite(sqlx::SqliteConnection),
}

impl Lock {
    async fn take(world: &Installation) -> Self {
        if world.db.file().is_some() {
            let mut connection = sqlx::SqliteConnection::connect(&world.db.url()).await.expect("the file opens");
            sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut connection).await.expect("locked");
            return Self::Sqlite(connection);
        }
        let mut connection = sqlx::PgConnection::connect(&world.db.url()).await.expect("the server answers");
        let lock = "BEGIN; LOCK TABLE deliveries IN ACCESS EXCLUSIVE MODE";
        sqlx::raw_sql(lock).execute(&mut connection).await.expect("locked");
        Self::Postgres(connection)
    }

    async fn release(self) {
        match self {
            Self::Postgres(connection) => connection.close().await.expect("closed"),
            Self::Sqlite(connection) => connection.close().await.expect("closed"),
        }
    }
}

impl Desk {
    async fn open(db: TestDb) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (store, issuer) = (db.open().await, FakeIssuer::start().await);
        let adapter = HttpIssuer::new(issuer.declared("acme"), db.clock.clone()).expect("declared well");
        let mut issuers = Issuers::default();
        issuers.add(Arc::new(adapter), [KindId::new("acme-token")]);
        let mails = tempfile::tempdir().expect("a folder");
        let mailer = Mailer::new(notice::Settings {
            transport: Transport::Directory(mails.path().join("mail")),
            from: "Example Registry <security@registry.example>".into(),
            product: "Example Registry".into(),
            contact: "security@registry.example".into(),
            message_id_domain: None,
            tokens_url: None,
            kind_names: [].into(),
        });
        let settings = Settings { keep_reports_for: KEEP_REPORTS_FOR, ..Settings::default() };
        let mailer = mailer.expect("plain settings");
        let worker = Worker::new(store.clone(), issuers, mailer, db.clock.clone(), settings, Backoff::new(1));
        Self { db, store, worker, issuer, _mails: mails }
    }

    /// Stores one delivery with these tokens, all at one place; returns the incidents that are new.
    async fn report(&self, tokens: &[String]) -> Vec<stanch::id::IncidentId> {
        let ring = FingerprintRing::new(FingerprintKey::new("f1".into(), [1; 32]), Vec::new());
        let kind = KindId::new("acme-token");
        let now: Timestamp = self.db.clock.now();
        let token = |text: &String| NewToken {
            fingerprints: ring.all(&kind, &Secret::new(text.clone().into_bytes())),
            kind: kind.clone(),
            confidence: Confidence::Shape,
            hint: String::new(),
            secret: Secret::new(text.clone().into_bytes()),
            issuer: Some(IssuerName::new("acme")),
            verdict: None,
        };
        let place = || Place { sent_type: TYPE.into(), url: URL.into(), source: SOURCE.into() };
        let report = |index: usize| NewReport { content: ReportContent::Token(index), place: place(), label: None };
        let id = DeliveryId::generate(now);
        let mut body_sha256 = [0; 32];
        body_sha256[..26].copy_from_slice(&id.to_string().as_bytes()[4..30]);
        let delivery = NewDelivery {
            id,
            origin: "github".into(),
            key_id: "k1".into(),
            body_sha256,
            received_at: now,
            tokens: tokens.iter().map(token).collect(),
            reports: (0..tokens.len()).map(report).collect(),
        };
        match self.store.accept(delivery).await.expect("accepted") {
            Accepted::Stored { opened, .. } => opened,
            Accepted::Replayed { .. } => panic!("a new delivery"),
        }
    }
}
