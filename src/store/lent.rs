//! Connections on loan from the pool of PostgreSQL, and how they go back.
//!
//! The pool asks a connection that comes back whether it is still there, and waits for the answer without end. If the
//! server has silently vanished, by a failover, a firewall that forgot or a machine that hangs, there is none, and the
//! place in the pool would be lost with the connection until the process is started again. So the way back has a time
//! limit, and a connection in the middle of a transaction does not take it at all: it is closed, and the server undoes
//! what it began.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, Pool, Postgres};
use tokio::time::timeout;

/// Longest time for a connection to show, when it comes back, that it is still there.
const BACK_WITHIN: Duration = Duration::from_secs(5);

/// A connection of the pool.
pub(super) struct Lent {
    connection: PoolConnection<Postgres>,
    /// Whether a transaction is open, or may be.
    open: bool,
}

impl Lent {
    pub(super) async fn from(pool: &Pool<Postgres>) -> Result<Self, sqlx::Error> {
        Ok(Self { connection: pool.acquire().await?, open: false })
    }

    pub(super) async fn begin(&mut self) -> Result<(), sqlx::Error> {
        self.open = true;
        sqlx::raw_sql("BEGIN").execute(&mut *self.connection).await.map(drop)
    }

    pub(super) async fn commit(&mut self) -> Result<(), sqlx::Error> {
        self.end("COMMIT").await
    }

    pub(super) async fn roll_back(&mut self) -> Result<(), sqlx::Error> {
        self.end("ROLLBACK").await
    }

    async fn end(&mut self, how: &'static str) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(how).execute(&mut *self.connection).await?;
        self.open = false;
        Ok(())
    }
}

impl Deref for Lent {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if self.open {
            self.connection.close_on_drop();
        } else {
            drop(tokio::spawn(timeout(BACK_WITHIN, self.connection.return_to_pool())));
        }
    }
}
