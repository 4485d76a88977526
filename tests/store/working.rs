//! A worker in the middle of a step: one that panics, and one that cannot renew its lease.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use stanch::clock::Clock;
use stanch::incident::{IssuerName, Unknown, Verdict};
use stanch::issuer::{Answer, Issuer, Issuers, Locality, Question, Revocation};
use stanch::notice::{self, Mailer, Transport};
use stanch::store::{Settings as StoreSettings, Store};
use stanch::token::KindId;
use stanch::work::{Backoff, Settings, Worker};
use tokio_util::sync::CancellationToken;

use crate::db::{KEEP_REPORTS_FOR, TestDb, seal_ring};
use crate::given::{delivery, opened};
use crate::on_both_databases;

const LEASE: Duration = Duration::from_millis(900);

/// An issuer whose first answer never comes, in one way or another.
struct Odd {
    name: IssuerName,
    asked: AtomicU32,
    dropped: Arc<AtomicU32>,
    first: First,
}

#[derive(Clone, Copy)]
enum First {
    Hangs,
    Panics,
}

/// Tells that the call it belongs to is over.
struct Call(Arc<AtomicU32>);

impl Drop for Call {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Issuer for Odd {
    fn name(&self) -> &IssuerName {
        &self.name
    }

    fn locality(&self) -> Locality {
        Locality::Remote
    }

    fn verify<'a>(&'a self, questions: &'a [Question<'a>]) -> Answer<'a, Vec<Verdict>> {
        Box::pin(async move {
            let _call = Call(Arc::clone(&self.dropped));
            match (self.asked.fetch_add(1, Ordering::SeqCst), self.first) {
                (0, First::Hangs) => std::future::pending().await,
                (0, First::Panics) => panic!("as a mistake of ours would"),
                _ => questions.iter().map(|_| Verdict::NotOurs).collect(),
            }
        })
    }

    fn revoke<'a>(&'a self, _: Question<'a>) -> Answer<'a, Revocation> {
        Box::pin(async { Revocation::Unknown(Unknown::Unavailable { why: "nothing is live".into() }) })
    }

    fn check(&self) -> Answer<'_, Result<String, String>> {
        Box::pin(async { Ok("odd".into()) })
    }
}

/// A store on the machine's clock, for leases that run out by themselves, and a worker that runs until it is stopped.
struct Desk {
    store: Store,
    issuer: Arc<Odd>,
    stop: CancellationToken,
    working: tokio::task::JoinHandle<()>,
    _mails: tempfile::TempDir,
}

impl Desk {
    async fn open(db: &TestDb, first: First) -> Self {
        let settings = StoreSettings { url: db.url(), max_connections: 8, keep_reports_for: KEEP_REPORTS_FOR };
        let store = Store::open(&settings, seal_ring("s1", &[]), Clock::system()).await.expect("the database opens");
        opened(&store, delivery(&["a"], Clock::system().now())).await;
        let issuer =
            Arc::new(Odd { name: IssuerName::new("odd"), asked: AtomicU32::new(0), dropped: Arc::default(), first });
        let mut issuers = Issuers::default();
        issuers.add(issuer.clone(), [KindId::new("stanch-pat")]);
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
        let settings = Settings { lease_for: LEASE, poll_every: Duration::from_millis(50), ..Settings::default() };
        let mailer = mailer.expect("plain settings");
        let worker = Worker::new(store.clone(), issuers, mailer, Clock::system(), settings, Backoff::new(1));
        let stop = CancellationToken::new();
        let working = tokio::spawn(worker.run(stop.clone(), Duration::from_secs(1)));
        Self { store, issuer, stop, working, _mails: mails }
    }

    /// Waits, on a busy machine as well.
    async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let mut looks = tokio::time::interval(Duration::from_millis(50));
        for _ in 0..400 {
            looks.tick().await;
            if holds().await {
                return;
            }
        }
        panic!("within 20 s: {what}");
    }

    async fn close(self) {
        self.stop.cancel();
        self.working.await.expect("no panic");
        self.store.close().await;
    }
}

on_both_databases! {
    async fn a_step_that_panics_is_done_again_when_its_lease_runs_out(db) {
        let desk = Desk::open(&db, First::Panics).await;
        Desk::until("the incident is closed", async || {
            db.number("SELECT count(*) FROM incidents WHERE state = 'closed'").await == 1
        })
        .await;
        assert_eq!(desk.issuer.asked.load(Ordering::SeqCst), 2);
        desk.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_cannot_renew_its_lease_lets_go_of_the_step() {
    let db = TestDb::postgres().await;
    let desk = Desk::open(&db, First::Hangs).await;
    Desk::until("the issuer is asked", async || desk.issuer.asked.load(Ordering::SeqCst) == 1).await;
    db.refuse_connections().await;
    // Whoever can reach the database may have the job by now.
    Desk::until("the call is given up", async || desk.issuer.dropped.load(Ordering::SeqCst) == 1).await;
    db.allow_connections().await;
    Desk::until("the incident is closed", async || {
        db.number("SELECT count(*) FROM incidents WHERE state = 'closed'").await == 1
    })
    .await;
    assert_eq!(desk.issuer.asked.load(Ordering::SeqCst), 2);
    desk.close().await;
}
