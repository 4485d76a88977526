//! Promise 1, "accepted is durable", while the database is away, busy or full: intake says 503 soon and never a false
//! 2xx, and everything goes on by itself when the database is back.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::Value;
use sqlx::Connection as _;
use tokio::task::JoinSet;

use crate::cluster::Cluster;
use crate::db::TestDb;
use crate::process::{Installation, Kind, Process, acme_token, eventually, record};

/// Longest time to a 503, whatever the load of this machine. A reporter waits for fifteen seconds at least.
const SOON: Duration = Duration::from_secs(6);

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_of_postgres_under_load_loses_nothing() {
    let mut cluster = Cluster::start();
    let world = Installation::on(TestDb::postgres_on(cluster.url().to_owned()).await, "").await;
    let process = world.serve();
    let world = Arc::new(world);
    let load = Load::start(&world, process.addr());
    load.accepts(10).await;
    cluster.crash();
    load.is_put_off(10).await;
    let (status, page) = process.get("/readyz").await;
    assert!(status == 503 && page.contains("database"), "{status} {page}");
    assert_eq!(process.get("/livez").await.0, 200, "a restart of ours would not help");
    cluster.resume();
    load.accepts(10).await;
    let accepted = load.stop().await;
    everything_ended(&world, &process, accepted).await;
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_postgres_cuts_are_made_again() {
    let world = Arc::new(Installation::new(Kind::Postgres).await);
    let process = world.serve();
    let load = Load::start(&world, process.addr());
    for _ in 0..5 {
        load.accepts(5).await;
        world
            .db
            .run(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )
            .await;
    }
    load.accepts(10).await;
    let accepted = load.stop().await;
    everything_ended(&world, &process, accepted).await;
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_another_process_holds_sqlites_lock_deliveries_are_put_off() {
    let world = Arc::new(Installation::new(Kind::Sqlite).await);
    let process = world.serve();
    let load = Load::start(&world, process.addr());
    load.accepts(10).await;
    let mut other = sqlx::SqliteConnection::connect(&world.db.url()).await.expect("the file opens");
    let held = async |other: &mut sqlx::SqliteConnection, sql: &'static str| sqlx::raw_sql(sql).execute(other).await;
    // The process writes all the time; SQLite has no queue for its lock, so it may take a few tries to get it.
    eventually("the lock is taken", async || held(&mut other, "BEGIN IMMEDIATE").await.is_ok()).await;
    load.is_put_off(10).await;
    assert_eq!(process.get("/livez").await.0, 200);
    held(&mut other, "ROLLBACK").await.expect("it is ours");
    load.accepts(10).await;
    let accepted = load.stop().await;
    everything_ended(&world, &process, accepted).await;
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_deliveries_and_keeps_what_was_accepted() {
    let world = Installation::new(Kind::Sqlite).await;
    let process = limited(&world);
    let mut accepted = 0;
    let full = loop {
        let began = Instant::now();
        match world.deliver(process.addr(), &bulky(accepted)).await.expect("an answer").status.as_u16() {
            200 => accepted += 1,
            status => break (status, began.elapsed()),
        }
        assert!(accepted < 500, "the limit is never reached");
    };
    assert!(full.0 == 503 && full.1 < SOON && accepted > 0, "{full:?} after {accepted}");
    assert_eq!(process.get("/livez").await.0, 200);
    let stored = world.db.number("SELECT count(*) FROM incidents").await;
    assert_eq!(stored, i64::from(accepted), "what was put off left nothing, what was accepted is there");

    let pid = Pid::from_raw(i32::try_from(process.id()).expect("a pid")).expect("not zero");
    prlimit(Some(pid), Resource::Fsize, Rlimit { current: None, maximum: None }).expect("our child");
    let again = world.deliver(process.addr(), &bulky(accepted)).await.expect("an answer");
    assert_eq!(again.status, 200, "there is room again");
    world.settle(&process, i64::from(accepted) + 1).await;
    assert_eq!(world.left().await, (0, 0), "jobs and secrets that are left");
    process.stop().await;
}

/// Starts the program with a limit on the size of its files: to SQLite that is a disk without room.
fn limited(world: &Installation) -> Process {
    const BLOCKS_OF_512: &str = "3072";
    let program = world.command();
    let mut command = Command::new("/bin/sh");
    // The signal that comes with the limit would end the process; a full disk sends none.
    command.args(["-c", r#"trap "" XFSZ; ulimit -S -f "$0"; exec "$@""#, BLOCKS_OF_512]);
    command.arg(program.get_program()).args(program.get_args()).arg("serve");
    command.env_clear().env("PATH", "/usr/bin:/bin").current_dir(world.folder.path());
    Process::start(command)
}

/// A delivery of one token that was seen at many places.
fn bulky(number: u32) -> Vec<Value> {
    let path = "long/".repeat(150);
    let place = |line: u32| record(&acme_token(number), &format!("https://github.com/example/{path}{line}"));
    (0..60).map(place).collect()
}

/// Reporters who send until they are told to stop, each delivery until it is accepted.
struct Load {
    accepted: Arc<AtomicU32>,
    put_off: Arc<AtomicU32>,
    stop: Arc<AtomicBool>,
    senders: JoinSet<()>,
}

impl Load {
    fn start(world: &Arc<Installation>, to: SocketAddr) -> Self {
        let [next, accepted, put_off] = [(); 3].map(|()| Arc::new(AtomicU32::new(0)));
        let (mut senders, stop) = (JoinSet::new(), Arc::new(AtomicBool::new(false)));
        for _ in 0..3 {
            let reporter = Reporter {
                world: Arc::clone(world),
                to,
                next: Arc::clone(&next),
                accepted: Arc::clone(&accepted),
                put_off: Arc::clone(&put_off),
            };
            let stop = Arc::clone(&stop);
            senders.spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    reporter.report_one().await;
                }
            });
        }
        Self { accepted, put_off, stop, senders }
    }

    /// Waits until that many more deliveries were accepted.
    async fn accepts(&self, more: u32) {
        let from = self.accepted.load(Ordering::SeqCst);
        eventually("deliveries are accepted", async || self.accepted.load(Ordering::SeqCst) >= from + more).await;
    }

    /// Waits until that many more deliveries were answered with 503.
    async fn is_put_off(&self, more: u32) {
        let from = self.put_off.load(Ordering::SeqCst);
        eventually("deliveries are put off", async || self.put_off.load(Ordering::SeqCst) >= from + more).await;
    }

    /// Lets the reporters finish; gives how many deliveries were accepted.
    async fn stop(self) -> u32 {
        self.stop.store(true, Ordering::SeqCst);
        self.senders.join_all().await;
        self.accepted.load(Ordering::SeqCst)
    }
}

struct Reporter {
    world: Arc<Installation>,
    to: SocketAddr,
    next: Arc<AtomicU32>,
    accepted: Arc<AtomicU32>,
    put_off: Arc<AtomicU32>,
}

impl Reporter {
    async fn report_one(&self) {
        let number = self.next.fetch_add(1, Ordering::SeqCst);
        let token = acme_token(number);
        self.world.issuer.issue(&token, &format!("t{number}"), &format!("owner{number}@example.org"));
        let end = Instant::now() + 2 * crate::process::PATIENCE;
        loop {
            let answer = self.world.deliver(self.to, &[record(&token, "")]).await.expect("an answer, always");
            match answer.status.as_u16() {
                200 => break,
                503 => assert!(answer.took < SOON, "503 after {:?}", answer.took),
                other => panic!("answered with {other}"),
            }
            self.put_off.fetch_add(1, Ordering::SeqCst);
            assert!(Instant::now() < end, "delivery {number} is never accepted");
        }
        self.accepted.fetch_add(1, Ordering::SeqCst);
    }
}

/// One incident for each accepted delivery, all of them revoked, and one mail for each.
async fn everything_ended(world: &Installation, process: &Process, accepted: u32) {
    world.settle(process, i64::from(accepted)).await;
    for number in 0..accepted {
        assert!(!world.issuer.is_live(&acme_token(number)), "token {number} lives");
    }
    let notes: Vec<_> = world.incidents().iter().map(|incident| incident["note"].clone()).collect();
    assert!(notes.iter().all(|note| note == "revoked"), "{notes:?}");
    let mails = world.mails();
    assert_eq!(mails.len(), usize::try_from(accepted).expect("few"));
    // Repeated, under one id, if the database went away between the mail and its commit.
    assert!(mails.values().all(|by_id| by_id.len() == 1), "{mails:?}");
    assert_eq!(world.left().await, (0, 0), "jobs and secrets that are left");
}
