//! The one place that tells the two databases apart: statements, values, rows.
//!
//! A [`Statement`] is one SQL text for both. Its first line names it, which is what `pg_stat_statements` and a
//! slow-query log show. Every text is a constant of this crate; what comes from outside is only ever bound.

mod assembled;
mod row;
mod statement;
mod value;

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::query::Query;
use sqlx::{Database, PgConnection, Postgres, Sqlite, SqliteConnection, Type};

pub(super) use assembled::Assembled;
pub(super) use row::Row;
pub(super) use statement::{Bulk, Statement};
pub(super) use value::{Value, binds, hex};

use super::Error;
use super::audit_key::{AuditKey, SharedAuditKey};
use super::lent::Lent;
use statement::{CHUNKS, Dialect, rendered};

/// A connection on which statements are run: one that only reads, or a transaction that writes.
pub(super) struct Session {
    link: Link,
    /// Whether the transaction stored work that somebody should be woken for once it is committed.
    work_due: bool,
    /// Proves who wrote an audit event.
    audit: SharedAuditKey,
}

pub(super) enum Link {
    PostgresReader(Lent),
    PostgresWriter(Lent),
    SqliteReader(PoolConnection<Sqlite>),
    SqliteWriter(SqliteConnection),
}

enum Target<'s> {
    Postgres(&'s mut PgConnection),
    Sqlite(&'s mut SqliteConnection),
}

impl Session {
    pub(super) fn new(link: Link, audit: SharedAuditKey) -> Self {
        Self { link, work_due: false, audit }
    }

    /// The key under which audit events are proved; there from the moment the store is open.
    pub(super) fn audit_key(&self) -> Result<AuditKey, Error> {
        self.audit.get().cloned().ok_or_else(|| Error::unavailable("the store is not open yet"))
    }

    /// Runs a statement and returns its rows.
    pub(super) async fn all(&mut self, statement: &Statement, binds: Vec<Value>) -> Result<Vec<Row>, Error> {
        match self.target() {
            Target::Postgres(connection) => {
                let query = sqlx::query::<Postgres>(statement.for_dialect(Dialect::Postgres));
                fetched(answered(bind(query, binds).fetch_all(connection)).await, Row::Postgres)
            }
            Target::Sqlite(connection) => {
                let query = sqlx::query::<Sqlite>(statement.for_dialect(Dialect::Sqlite));
                fetched(bind(query, binds).fetch_all(connection).await.map_err(Error::unavailable), Row::Sqlite)
            }
        }
    }

    /// Runs a statement that yields at most one row.
    pub(super) async fn optional(&mut self, statement: &Statement, binds: Vec<Value>) -> Result<Option<Row>, Error> {
        Ok(self.all(statement, binds).await?.into_iter().next())
    }

    /// Runs a statement that was put together for this call, and returns its rows.
    pub(super) async fn assembled(&mut self, statement: Assembled) -> Result<Vec<Row>, Error> {
        let Assembled { text, binds } = statement;
        match self.target() {
            Target::Postgres(connection) => {
                let query = sqlx::query::<Postgres>(rendered(&text, Dialect::Postgres));
                fetched(answered(bind(query, binds).fetch_all(connection)).await, Row::Postgres)
            }
            Target::Sqlite(connection) => {
                let query = sqlx::query::<Sqlite>(rendered(&text, Dialect::Sqlite));
                fetched(bind(query, binds).fetch_all(connection).await.map_err(Error::unavailable), Row::Sqlite)
            }
        }
    }

    /// Runs a statement and returns how many rows it changed.
    pub(super) async fn run(&mut self, statement: &Statement, binds: Vec<Value>) -> Result<u64, Error> {
        match self.target() {
            Target::Postgres(connection) => {
                let query = sqlx::query::<Postgres>(statement.for_dialect(Dialect::Postgres));
                Ok(answered(bind(query, binds).execute(connection)).await?.rows_affected())
            }
            Target::Sqlite(connection) => {
                let query = sqlx::query::<Sqlite>(statement.for_dialect(Dialect::Sqlite));
                Ok(bind(query, binds).execute(connection).await.map_err(Error::unavailable)?.rows_affected())
            }
        }
    }

    /// Inserts rows, given as their values one after the other, and returns what the statement returns.
    pub(super) async fn insert(&mut self, bulk: &Bulk, values: Vec<Value>) -> Result<Vec<Row>, Error> {
        let mut returned = Vec::new();
        let mut left = values.len() / bulk.columns;
        let mut values = values.into_iter();
        while left > 0 {
            let chunk = CHUNKS.iter().position(|size| *size <= left).unwrap_or(CHUNKS.len() - 1);
            let binds = values.by_ref().take(CHUNKS[chunk] * bulk.columns).collect();
            left -= CHUNKS[chunk];
            returned.append(&mut match self.target() {
                Target::Postgres(connection) => {
                    let query = sqlx::query::<Postgres>(bulk.for_dialect(Dialect::Postgres, chunk));
                    fetched(answered(bind(query, binds).fetch_all(connection)).await, Row::Postgres)?
                }
                Target::Sqlite(connection) => {
                    let query = sqlx::query::<Sqlite>(bulk.for_dialect(Dialect::Sqlite, chunk));
                    fetched(bind(query, binds).fetch_all(connection).await.map_err(Error::unavailable), Row::Sqlite)?
                }
            });
        }
        Ok(returned)
    }

    /// Tells that the transaction stores work that is due.
    pub(super) fn mark_work_due(&mut self) {
        self.work_due = true;
    }

    pub(super) fn take_work_due(&mut self) -> bool {
        std::mem::take(&mut self.work_due)
    }

    pub(super) fn into_link(self) -> Link {
        self.link
    }

    /// Runs transaction control on the SQLite writer.
    pub(super) async fn control(&mut self, command: &'static str) -> Result<(), sqlx::Error> {
        match self.target() {
            Target::Postgres(connection) => sqlx::query(command).execute(connection).await.map(drop),
            Target::Sqlite(connection) => sqlx::query(command).execute(connection).await.map(drop),
        }
    }

    fn target(&mut self) -> Target<'_> {
        match &mut self.link {
            Link::PostgresReader(connection) | Link::PostgresWriter(connection) => Target::Postgres(connection),
            Link::SqliteReader(connection) => Target::Sqlite(connection),
            Link::SqliteWriter(connection) => Target::Sqlite(connection),
        }
    }
}

fn bind<'q, D: Database>(
    query: Query<'q, D, <D as Database>::Arguments>,
    values: Vec<Value>,
) -> Query<'q, D, <D as Database>::Arguments>
where
    Option<Vec<u8>>: sqlx::Encode<'q, D> + Type<D>,
    Option<i64>: sqlx::Encode<'q, D> + Type<D>,
    Option<String>: sqlx::Encode<'q, D> + Type<D>,
{
    values.into_iter().fold(query, |query, value| match value {
        Value::Blob(bytes) => query.bind(bytes),
        Value::Int(number) => query.bind(number),
        Value::Text(text) => query.bind(text),
    })
}

/// Longest wait for a server's answer: longer than it lets a statement run. Whoever only reads has no other limit, and a
/// server that silently vanished answers nothing.
const ANSWER_WITHIN: Duration = Duration::from_secs(12);

async fn answered<T>(answer: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, Error> {
    tokio::time::timeout(ANSWER_WITHIN, answer).await.map_err(Error::unavailable)?.map_err(Error::unavailable)
}

fn fetched<R>(rows: Result<Vec<R>, Error>, wrap: fn(R) -> Row) -> Result<Vec<Row>, Error> {
    Ok(rows?.into_iter().map(wrap).collect())
}
