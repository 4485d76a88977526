//! Opening PostgreSQL (13 or later), writing to it, and hearing of work that other machines stored.
//!
//! Every write is a transaction of its own in a task of its own. Connections come back by themselves after a restart of
//! the server: a broken one is dropped when it is next asked for.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{Connection, PgConnection, Postgres};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::audit_key::SharedAuditKey;
use super::lent::Lent;
use super::pool::{ACQUIRE_WITHIN, Body};
use super::sql::{Link, Session};
use super::wake::Wake;
use super::{Error, OpenError, migrations};
use crate::id::LeaseToken;

/// The server ends what runs longer, so that a lost client holds no lock. Plans are kept for the life of a connection,
/// and one that is made while a table is still small reads the whole of it, for ever: after a burst of deliveries each
/// answer then cost a walk over everything that the burst had stored. Every statement has its index, so none may
/// choose to go without; and what is forced must not be compiled as if it were expensive.
const SESSION: &str = "SET statement_timeout = '10s'; SET lock_timeout = '5s'; \
    SET idle_in_transaction_session_timeout = '10s'; SET client_min_messages = 'warning'; \
    SET enable_seqscan = off; SET jit = off";
/// A connection whose other end silently vanished answers nothing at all; then nobody may wait for ever.
const WRITE_WITHIN: Duration = Duration::from_secs(15);
/// A transaction that met a deadlock or a serialization failure runs again, this many times at most.
const TRIES: u32 = 5;
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// Other machines hear of new work at most this often: each message costs PostgreSQL a lock that all commits with
/// messages share.
const TELL_EVERY: Duration = Duration::from_millis(20);
const LISTEN_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// After this long without a message it is asked whether anybody is still there.
const SILENT_FOR: Duration = Duration::from_secs(30);
const CHANNEL: &str = "stanch_work";
const OLDEST_VERSION: i64 = 130_000;

#[derive(Clone)]
pub(super) struct PostgresPool {
    pool: sqlx::Pool<Postgres>,
    /// A connection for messages alone, so that a busy pool delays none.
    messages: sqlx::Pool<Postgres>,
    wake: Arc<Wake>,
    audit: SharedAuditKey,
    tasks: Arc<Tasks>,
}

/// The tasks that hear and tell; they end with the last clone of the store.
struct Tasks([JoinHandle<()>; 2]);

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

pub(super) async fn open(
    url: &str,
    connections: u32,
    wake: Arc<Wake>,
    audit: SharedAuditKey,
) -> Result<PostgresPool, OpenError> {
    let options = PgConnectOptions::from_str(url)
        .map_err(|_| OpenError::Refused("the PostgreSQL URL cannot be read: check it for unescaped characters".into()))?
        .application_name("stanch")
        .statement_cache_capacity(256);
    prepare(&options).await?;
    let pool = PgPoolOptions::new()
        .max_connections(connections.max(1))
        .acquire_timeout(ACQUIRE_WITHIN)
        .idle_timeout(Duration::from_mins(10))
        .after_connect(|connection, _| {
            Box::pin(async move { sqlx::raw_sql(SESSION).execute(connection).await.map(drop) })
        })
        .connect_lazy_with(options.clone());
    let messages = one(&options);
    // Our own messages come back to us; this name tells them apart.
    let name: Arc<str> = LeaseToken::generate(crate::clock::Timestamp::EPOCH).to_string().into();
    let tasks = Arc::new(Tasks([
        tokio::spawn(listen(options, Arc::clone(&wake), Arc::clone(&name))),
        tokio::spawn(tell(messages.clone(), Arc::clone(&wake), name)),
    ]));
    Ok(PostgresPool { pool, messages, wake, audit, tasks })
}

/// Checks the server and brings the schema up to date, on a connection without time-outs of its own.
async fn prepare(options: &PgConnectOptions) -> Result<(), OpenError> {
    let connecting = timeout(CONNECT_WITHIN, PgConnection::connect_with(options));
    let mut connection = connecting.await.map_err(OpenError::unavailable)?.map_err(OpenError::unavailable)?;
    require_durable(&mut connection).await?;
    migrations::apply(&migrations::postgres(), &mut connection).await?;
    connection.close().await.map_err(OpenError::unavailable)
}

async fn require_durable(connection: &mut PgConnection) -> Result<(), OpenError> {
    let (version, commit, fsync, replica): (i64, String, String, bool) = sqlx::query_as(
        "-- postgres.require_durable
         SELECT current_setting('server_version_num')::bigint,
                current_setting('synchronous_commit'),
                current_setting('fsync'),
                pg_is_in_recovery()",
    )
    .fetch_one(connection)
    .await
    .map_err(OpenError::unavailable)?;
    let refused = |why: String| Err(OpenError::Refused(why));
    if version < OLDEST_VERSION {
        return refused(format!("the server is PostgreSQL {}, and 13 or later is needed", version / 10_000));
    }
    if replica {
        return refused("the server is a replica, which may lag behind: give the address of the primary".into());
    }
    if commit == "off" || fsync == "off" {
        return refused(format!(
            "PostgreSQL runs with `synchronous_commit = {commit}` and `fsync = {fsync}`, so a commit could be lost: \
             turn both on for this database"
        ));
    }
    Ok(())
}

impl PostgresPool {
    pub(super) fn audit(&self) -> SharedAuditKey {
        Arc::clone(&self.audit)
    }

    pub(super) async fn acquire(&self) -> Result<Lent, Error> {
        Lent::from(&self.pool).await.map_err(Error::unavailable)
    }

    pub(super) async fn write<D, T>(&self, data: D, body: Body<D, T>) -> Result<T, Error>
    where
        D: Send + 'static,
        T: Send + 'static,
    {
        let this = self.clone();
        // In a task, so that a caller who goes away does not leave a transaction open until its connection is reused.
        let written = tokio::spawn(timeout(WRITE_WITHIN, async move { this.run(data, body).await }));
        written.await.map_err(Error::unavailable)?.map_err(Error::unavailable)?
    }

    async fn run<D: Send, T>(&self, mut data: D, body: Body<D, T>) -> Result<T, Error> {
        let mut tries = 1;
        loop {
            match self.once(&mut data, body).await {
                Err(error) if error.is_conflict() && tries < TRIES => {
                    debug!(error = &error as &dyn std::error::Error, tries, "a transaction met another and runs again");
                    tries += 1;
                }
                done => return done,
            }
        }
    }

    async fn once<D: Send, T>(&self, data: &mut D, body: Body<D, T>) -> Result<T, Error> {
        let mut connection = self.acquire().await?;
        connection.begin().await.map_err(Error::unavailable)?;
        let mut session = Session::new(Link::PostgresWriter(connection), self.audit());
        let result = body(&mut session, data).await;
        let work_due = session.take_work_due();
        let Link::PostgresWriter(mut connection) = session.into_link() else {
            return Err(Error::unavailable("the transaction lost its connection"));
        };
        if result.is_ok() {
            connection.commit().await.map_err(Error::unavailable)?;
            if work_due {
                self.wake.work_due();
            }
        } else if let Err(error) = connection.roll_back().await {
            // The connection is broken; the server undoes what it began.
            debug!(error = &error as &dyn std::error::Error, "could not roll back");
        }
        result
    }

    pub(super) async fn close(&self) {
        self.tasks.0.iter().for_each(JoinHandle::abort);
        self.messages.close().await;
        self.pool.close().await;
    }
}

/// A pool of one connection.
fn one(options: &PgConnectOptions) -> sqlx::Pool<Postgres> {
    PgPoolOptions::new().max_connections(1).acquire_timeout(CONNECT_WITHIN).connect_lazy_with(options.clone())
}

async fn listen(options: PgConnectOptions, wake: Arc<Wake>, own_name: Arc<str>) {
    loop {
        if let Err(error) = listen_until_broken(&options, &wake, &own_name).await {
            warn!(
                error = &error as &dyn std::error::Error,
                "cannot hear of work that other machines store; looking at the queue goes on"
            );
        }
        sleep(LISTEN_AGAIN_AFTER).await;
    }
}

async fn listen_until_broken(options: &PgConnectOptions, wake: &Wake, own_name: &str) -> Result<(), sqlx::Error> {
    // A pool for this connection alone: the listener gives none back that has vanished.
    let mut listener = PgListener::connect_with(&one(options)).await?;
    listener.listen(CHANNEL).await?;
    loop {
        let Ok(heard) = timeout(SILENT_FOR, listener.try_recv()).await else {
            // Whoever only listens does not notice that nobody is there any more, and a firewall forgets the silent.
            let there = sqlx::query("-- postgres.still_there\nSELECT 1").execute(&mut listener);
            timeout(CONNECT_WITHIN, there).await.map_err(|_| sqlx::Error::PoolTimedOut)??;
            continue;
        };
        match heard? {
            Some(message) if message.payload() == own_name => {}
            // `None`: the connection was lost and made again; what was said meanwhile is unknown.
            Some(_) | None => wake.heard(),
        }
    }
}

async fn tell(pool: sqlx::Pool<Postgres>, wake: Arc<Wake>, own_name: Arc<str>) {
    loop {
        wake.to_be_told().await;
        let told = timeout(CONNECT_WITHIN, async {
            let mut connection = Lent::from(&pool).await?;
            let told = sqlx::query("-- postgres.tell\nSELECT pg_notify($1, $2)").bind(CHANNEL).bind(&*own_name);
            told.execute(&mut *connection).await
        });
        if !matches!(told.await, Ok(Ok(_))) {
            debug!("could not tell other machines of new work");
        }
        sleep(TELL_EVERY).await;
    }
}
