//! How fast tokens are checked: macaroons with three caveats and personal access tokens, cold and known.
//!
//! `cargo bench --bench tokens`; with `STANCH_TEST_POSTGRES_URL` on that server too. Cold means that nothing is believed
//! from one check to the next: each reads the record, and of a macaroon opens the root key and computes the chain. Known
//! means that the same token was checked within the last second. Uses are noted and written beside the checks; held means
//! that, cold, somebody else holds the lock that their writing needs for as long as the checks take.

use std::time::{Duration, Instant};

use sqlx::Connection as _;
use stanch::clock::Clock;
use stanch::incident::EmailAddress;
use stanch::mint::{Authenticator, By, Mint, Order, Request, Settings};
use stanch::store::{self, NewOwner, OwnTokenKind, SealKey, SealRing, Store};
use stanch::token::Secret;
use stanch::token::caveat::Project;
use stanch::token::macaroon::find;

const CHECKS: usize = 5_000;
const TASKS: usize = 8;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads can be started");
    runtime.block_on(async {
        let dir = tempfile::tempdir().expect("a folder");
        run("SQLite", format!("sqlite:{}", dir.path().join("stanch.db").display())).await;
        if let Ok(url) = postgres() {
            run("PostgreSQL", url).await;
        }
    });
}

#[expect(clippy::disallowed_methods, reason = "a benchmark is told where the server is by the one who runs it")]
fn postgres() -> Result<String, std::env::VarError> {
    std::env::var("STANCH_TEST_POSTGRES_URL")
}

async fn run(database: &str, url: String) {
    let clock = Clock::system();
    let opened = store::Settings { url: url.clone(), max_connections: 8, keep_reports_for: Duration::from_hours(24) };
    let seal = SealRing { current: SealKey::new("bench".into(), [7; 32]), older: Vec::new() };
    let store = Store::open(&opened, seal, clock.clone()).await.expect("a database");
    let email = EmailAddress::parse("ada@example.org").expect("an address");
    let owner = store.ensure_owner(NewOwner { name: "Ada".into(), email }).await.expect("stored");
    let mint = Mint::new(store.clone(), Settings::default(), clock.clone());
    let name = clock.now().to_string();
    for kind in [OwnTokenKind::Macaroon, OwnTokenKind::Pat] {
        let order = Order {
            projects: if kind == OwnTokenKind::Macaroon { vec!["engine".into()] } else { Vec::new() },
            tell_owner: false,
            ..Order::new(kind, owner, format!("{kind} {name}"))
        };
        let mut secret = mint.create(order, &By::Operator("bench".into())).await.expect("handed out").secret;
        if kind == OwnTokenKind::Macaroon {
            let mut macaroon = find(secret.expose()).expect("a macaroon").macaroon;
            macaroon.add(b"[0,4102444800,0]");
            macaroon.add(br#"[103,["upload"]]"#);
            secret = macaroon.text("stanch");
        }
        for (what, cache_for) in [("cold", Duration::ZERO), ("known", Duration::from_hours(1))] {
            let settings = Settings { cache_for, ..Settings::default() };
            let door = Authenticator::new(store.clone(), settings, clock.clone());
            measure(database, kind, what, &door, &secret).await;
            door.close().await;
        }
        let settings = Settings { cache_for: Duration::ZERO, ..Settings::default() };
        let door = Authenticator::new(store.clone(), settings, clock.clone());
        let lock = Lock::take(&url).await;
        measure(database, kind, "held", &door, &secret).await;
        lock.give_back().await;
        door.close().await;
    }
    store.close().await;
}

/// The lock that every write of a use needs: of the whole file, or of the rows.
enum Lock {
    Postgres(sqlx::PgConnection),
    Sqlite(sqlx::SqliteConnection),
}

impl Lock {
    async fn take(url: &str) -> Self {
        if url.starts_with("sqlite:") {
            let mut connection = sqlx::SqliteConnection::connect(url).await.expect("the same file");
            sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.expect("the lock");
            return Self::Sqlite(connection);
        }
        let mut connection = sqlx::PgConnection::connect(url).await.expect("the same server");
        for statement in ["BEGIN", "LOCK TABLE tokens IN EXCLUSIVE MODE"] {
            sqlx::query(statement).execute(&mut connection).await.expect("the lock");
        }
        Self::Postgres(connection)
    }

    async fn give_back(self) {
        match self {
            Self::Postgres(connection) => connection.close().await.expect("closed"),
            Self::Sqlite(connection) => connection.close().await.expect("closed"),
        }
    }
}

async fn measure(database: &str, kind: OwnTokenKind, what: &str, door: &Authenticator, secret: &Secret) {
    let started = Instant::now();
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (door, secret) = (door.clone(), Secret::new(secret.expose().to_vec()));
            tokio::spawn(async move {
                let request = Request {
                    project: Some(Project { name: "engine", id: None }),
                    audience: Some("upload"),
                    ..Request::default()
                };
                let mut took = Vec::with_capacity(CHECKS);
                for _ in 0..CHECKS {
                    let asked = Instant::now();
                    door.authenticate(&secret, &request).await.expect("accepted");
                    took.push(asked.elapsed());
                }
                took
            })
        })
        .collect();
    let mut took = Vec::new();
    for task in tasks {
        took.extend(task.await.expect("no panic"));
    }
    let all = started.elapsed();
    took.sort();
    let rate = f64::from(u32::try_from(took.len()).unwrap_or(u32::MAX)) / all.as_secs_f64();
    let at = |hundredth: usize| took[took.len() * hundredth / 100].as_secs_f64() * 1e6;
    #[expect(clippy::print_stdout, reason = "figures are what a benchmark is for")]
    {
        println!(
            "{database:<11} {:<9} {what:<6} {rate:>9.0} checks/s  p50 {:>7.1} us  p99 {:>7.1} us",
            kind.word(),
            at(50),
            at(99)
        );
    }
}
