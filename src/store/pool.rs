//! Connections: reading sessions, and writing transactions that happen whole or not at all.
//!
//! A transaction is a value with its data and a function, not a borrowed connection, for three reasons: it can run
//! again after a conflict, several can share one commit (SQLite), and a caller who goes away cannot leave half of it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::audit_key::SharedAuditKey;
use super::committer::Committer;
use super::postgres::PostgresPool;
use super::sql::{Link, Session};
use super::wake::Wake;
use super::{Error, OpenError, Settings, postgres, sqlite};

/// A future that may be awaited on any thread.
pub(super) type BoxFuture<'f, T> = Pin<Box<dyn Future<Output = T> + Send + 'f>>;

/// What a transaction does. It may run more than once and must leave its data fit for that.
pub(super) type Body<D, T> = for<'t> fn(&'t mut Session, &'t mut D) -> BoxFuture<'t, Result<T, Error>>;

/// How long a caller waits for a connection, or for a place in the queue of writers, before it is told that the
/// database is away. A reporter must hear so within two seconds.
pub(super) const ACQUIRE_WITHIN: Duration = Duration::from_millis(1_500);

#[derive(Clone)]
pub(super) enum Pool {
    Postgres(PostgresPool),
    Sqlite { readers: sqlx::Pool<sqlx::Sqlite>, writer: Committer, audit: SharedAuditKey },
}

impl Pool {
    pub(super) async fn open(settings: &Settings, wake: Arc<Wake>, audit: SharedAuditKey) -> Result<Self, OpenError> {
        let url = settings.url.as_str();
        if let Some(path) = url.strip_prefix("sqlite:") {
            let (writer, readers) =
                sqlite::open(path.trim_start_matches("//").as_ref(), settings.max_connections).await?;
            let writer = Committer::start(writer, wake, Arc::clone(&audit));
            return Ok(Self::Sqlite { readers, writer, audit });
        }
        if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            return Ok(Self::Postgres(postgres::open(url, settings.max_connections, wake, audit).await?));
        }
        // The URL may hold a password and is not repeated.
        Err(OpenError::Refused("the database URL must start with `sqlite:` or `postgres://`".into()))
    }

    /// A session for reading. Each statement sees what was committed when it began.
    pub(super) async fn read(&self) -> Result<Session, Error> {
        Ok(match self {
            Self::Postgres(pool) => Session::new(Link::PostgresReader(pool.acquire().await?), pool.audit()),
            Self::Sqlite { readers, audit, .. } => {
                let reader = readers.acquire().await.map_err(Error::unavailable)?;
                Session::new(Link::SqliteReader(reader), Arc::clone(audit))
            }
        })
    }

    /// Runs a transaction and returns once it is durable.
    pub(super) async fn write<D, T>(&self, data: D, body: Body<D, T>) -> Result<T, Error>
    where
        D: Send + 'static,
        T: Send + 'static,
    {
        match self {
            Self::Postgres(pool) => pool.write(data, body).await,
            Self::Sqlite { writer, .. } => writer.write(data, body).await,
        }
    }

    /// Moves what was erased out of SQLite's log file too. Returns false if a reader was in the way.
    pub(super) async fn forget_erased(&self) -> Result<bool, Error> {
        match self {
            Self::Postgres(_) => Ok(true),
            Self::Sqlite { writer, .. } => writer.checkpoint().await,
        }
    }

    pub(super) async fn close(&self) {
        match self {
            Self::Postgres(pool) => pool.close().await,
            Self::Sqlite { readers, writer, .. } => {
                readers.close().await;
                writer.close().await;
            }
        }
    }
}
