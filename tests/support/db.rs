//! A database for one test: a real SQLite file, or a real PostgreSQL database of its own.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sqlx::Connection;
use stanch::clock::{Clock, Timestamp};
use stanch::store::{OpenError, SealKey, SealRing, Settings, Store};

/// Gone with everything in it when it is dropped.
pub struct TestDb {
    pub clock: Clock,
    kind: Kind,
}

enum Kind {
    Postgres { server: String, database: String },
    Sqlite(tempfile::TempDir),
}

/// A transaction in whose way every write to the tokens is.
pub enum HeldTokens {
    Postgres(sqlx::PgConnection),
    Sqlite(sqlx::SqliteConnection),
}

impl HeldTokens {
    pub async fn give_back(self) {
        match self {
            Self::Postgres(connection) => connection.close().await.expect("closed"),
            Self::Sqlite(connection) => connection.close().await.expect("closed"),
        }
    }
}

/// Long enough for no test to reach it unless it moves the clock.
pub const KEEP_REPORTS_FOR: Duration = Duration::from_hours(29 * 24);

impl TestDb {
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the database");
        Self { clock: clock(), kind: Kind::Sqlite(folder) }
    }

    pub async fn postgres() -> Self {
        Self::postgres_on(server_url()).await
    }

    /// On a server of the test's own; its URL names a database that is always there.
    pub async fn postgres_on(server: String) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let database = format!("test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        run(&server, &format!("CREATE DATABASE {database}")).await;
        Self { clock: clock(), kind: Kind::Postgres { server, database } }
    }

    pub fn url(&self) -> String {
        match &self.kind {
            Kind::Postgres { server, database } => {
                let (server, _) = server.rsplit_once('/').expect("the URL names a database");
                format!("{server}/{database}")
            }
            Kind::Sqlite(_) => format!("sqlite:{}", self.file().expect("an SQLite database").display()),
        }
    }

    /// The file of an SQLite database.
    pub fn file(&self) -> Option<PathBuf> {
        match &self.kind {
            Kind::Postgres { .. } => None,
            Kind::Sqlite(folder) => Some(folder.path().join("stanch.db")),
        }
    }

    pub async fn open(&self) -> Store {
        self.try_open(seal_ring("s1", &[])).await.expect("the database opens")
    }

    pub async fn try_open(&self, seal: SealRing) -> Result<Store, OpenError> {
        let settings = Settings { url: self.url(), max_connections: 8, keep_reports_for: KEEP_REPORTS_FOR };
        Store::open(&settings, seal, self.clock.clone()).await
    }

    /// Runs SQL behind the store's back.
    pub async fn run(&self, sql: &str) {
        run(&self.url(), sql).await;
    }

    /// Tries to run SQL behind the store's back.
    pub async fn try_run(&self, sql: &str) -> Result<(), sqlx::Error> {
        try_run(&self.url(), sql).await
    }

    /// What takes the guards of the audit trail away, as whoever owns the database can.
    pub fn triggers(&self) -> &'static [&'static str] {
        match &self.kind {
            Kind::Postgres { .. } => &[
                "DROP TRIGGER IF EXISTS events_are_never_changed ON events",
                "DROP TRIGGER IF EXISTS blocks_are_never_changed ON audit_blocks",
            ],
            Kind::Sqlite(_) => &[
                "DROP TRIGGER IF EXISTS events_are_never_changed",
                "DROP TRIGGER IF EXISTS events_are_never_deleted",
                "DROP TRIGGER IF EXISTS blocks_are_never_changed",
                "DROP TRIGGER IF EXISTS blocks_are_never_deleted",
            ],
        }
    }

    /// Takes the lock that every write to the tokens needs, until it is dropped.
    pub async fn hold_tokens(&self) -> HeldTokens {
        match &self.kind {
            Kind::Postgres { .. } => {
                let mut connection = sqlx::PgConnection::connect(&self.url()).await.expect("the server answers");
                for statement in ["BEGIN", "LOCK TABLE tokens IN EXCLUSIVE MODE"] {
                    sqlx::query(statement).execute(&mut connection).await.expect("the lock");
                }
                HeldTokens::Postgres(connection)
            }
            Kind::Sqlite(_) => {
                let mut connection = sqlx::SqliteConnection::connect(&self.url()).await.expect("the same file");
                sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.expect("the lock");
                HeldTokens::Sqlite(connection)
            }
        }
    }

    /// The name of the type of bytes.
    pub fn blob(&self) -> &'static str {
        match &self.kind {
            Kind::Postgres { .. } => "BYTEA",
            Kind::Sqlite(_) => "BLOB",
        }
    }

    /// Everything that a thief of the database gets: the files of SQLite, the rows of PostgreSQL.
    pub async fn bytes(&self) -> Vec<Vec<u8>> {
        let Some(file) = self.file() else { return self.rows().await };
        let folder = file.parent().expect("a folder").read_dir().expect("readable");
        folder.map(|entry| std::fs::read(entry.expect("readable").path()).expect("readable")).collect()
    }

    async fn rows(&self) -> Vec<Vec<u8>> {
        let mut connection = sqlx::PgConnection::connect(&self.url()).await.expect("the server answers");
        let tables: Vec<String> =
            sqlx::query_scalar("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'")
                .fetch_all(&mut connection)
                .await
                .expect("the tables");
        let mut rows = Vec::new();
        for table in tables {
            // As text, bytes in their readable form: `convert_from` would fail on what is sealed.
            let sql =
                sqlx::AssertSqlSafe(format!("SELECT encode(convert_to(row::text, 'UTF8'), 'escape') FROM {table} row"));
            let texts: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut connection).await.expect("the rows");
            rows.extend(texts.into_iter().map(String::into_bytes));
        }
        rows
    }

    /// Ends every connection to this PostgreSQL database and refuses new ones, as a server that is away does.
    pub async fn refuse_connections(&self) {
        let Kind::Postgres { server, database } = &self.kind else { return };
        run(server, &format!("ALTER DATABASE {database} ALLOW_CONNECTIONS false")).await;
        let end = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'");
        run(server, &end).await;
    }

    pub async fn allow_connections(&self) {
        let Kind::Postgres { server, database } = &self.kind else { return };
        run(server, &format!("ALTER DATABASE {database} ALLOW_CONNECTIONS true")).await;
    }

    /// Reads one number behind the store's back.
    pub async fn number(&self, sql: &str) -> i64 {
        self.numbers(&[sql]).await[0]
    }

    /// Reads several, one after the other.
    pub async fn numbers(&self, statements: &[&str]) -> Vec<i64> {
        let mut numbers = Vec::new();
        match &self.kind {
            Kind::Postgres { .. } => {
                let mut connection = sqlx::PgConnection::connect(&self.url()).await.expect("the server answers");
                for sql in statements {
                    let sql = sqlx::query_scalar(sqlx::AssertSqlSafe((*sql).to_owned()));
                    numbers.push(sql.fetch_one(&mut connection).await.expect("a number"));
                }
            }
            Kind::Sqlite(_) => {
                let mut connection = sqlx::SqliteConnection::connect(&self.url()).await.expect("the file opens");
                for sql in statements {
                    let sql = sqlx::query_scalar(sqlx::AssertSqlSafe((*sql).to_owned()));
                    numbers.push(sql.fetch_one(&mut connection).await.expect("a number"));
                }
            }
        }
        numbers
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        let Kind::Postgres { server, database } = &self.kind else { return };
        let (server, sql) = (server.clone(), format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"));
        // A drop cannot wait for a future, and the test's own runtime may be ending.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(run(&server, &sql));
        });
        // After a failed test the server may be gone too; the first failure is the one to be seen.
        let _ = dropped.join();
    }
}

/// Sealing keys whose bytes follow from their ids.
pub fn seal_ring(current: &str, older: &[&str]) -> SealRing {
    let key = |id: &str| SealKey::new(id.to_owned(), [id.bytes().fold(7, u8::wrapping_add); 32]);
    SealRing { current: key(current), older: older.iter().map(|id| key(id)).collect() }
}

fn clock() -> Clock {
    Clock::manual(Timestamp::from_millis(1_795_395_600_000))
}

#[expect(clippy::disallowed_methods, reason = "how tests/run tells the tests of its server")]
fn server_url() -> String {
    std::env::var("STANCH_TEST_POSTGRES_URL")
        .expect("this test needs PostgreSQL: run `tests/run`, or `tests/support/postgres run cargo test`")
}

async fn run(url: &str, sql: &str) {
    try_run(url, sql).await.expect("the statement runs");
}

async fn try_run(url: &str, sql: &str) -> Result<(), sqlx::Error> {
    let sql = sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()));
    if url.starts_with("sqlite:") {
        let mut connection = sqlx::SqliteConnection::connect(url).await.expect("the file opens");
        sql.execute(&mut connection).await?;
    } else {
        let mut connection = sqlx::PgConnection::connect(url).await.expect("the server answers");
        sql.execute(&mut connection).await?;
        connection.close().await?;
    }
    Ok(())
}
