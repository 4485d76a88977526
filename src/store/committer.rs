//! The one writer of SQLite, and its commits in groups.
//!
//! A commit costs one `fsync`, however much it holds. All transactions that wait while one commit is on its way to the
//! disk share the next: each runs in a savepoint, so that one that fails is undone alone, and nobody is answered before
//! the common commit is durable. The task owns the connection; a caller who goes away changes nothing about that.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use sqlx::{Connection, SqliteConnection};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};
use tracing::error;

use super::Error;
use super::audit_key::SharedAuditKey;
use super::pool::{ACQUIRE_WITHIN, Body, BoxFuture};
use super::sql::{Link, Session, Statement};
use super::wake::Wake;

/// Most transactions in one commit, and the longest time to gather them, so that the first is not answered late.
const GROUP_SIZE: usize = 64;
const GROUP_WITHIN: Duration = Duration::from_millis(20);
/// Most transactions that wait. Whoever comes after waits for a place, and then gives up.
const QUEUE: usize = 1_024;

const CHECKPOINT_WITHIN: Duration = Duration::from_secs(10);

static CHECKPOINT: Statement = Statement::new(
    "-- committer.checkpoint
     PRAGMA wal_checkpoint(TRUNCATE)",
);

#[derive(Clone)]
pub(super) struct Committer {
    queue: mpsc::Sender<Message>,
}

enum Message {
    Checkpoint(oneshot::Sender<Result<bool, Error>>),
    Close(oneshot::Sender<()>),
    Write(Box<dyn Transaction>),
}

/// One waiting transaction, whatever its data and its result are.
trait Transaction: Send {
    fn run<'t>(&'t mut self, session: &'t mut Session) -> BoxFuture<'t, Result<(), Error>>;

    /// Tells the caller, who may have gone, how it ended.
    fn answer(self: Box<Self>, outcome: Result<(), Error>);
}

struct Pending<D, T> {
    data: D,
    body: Body<D, T>,
    result: Option<T>,
    reply: oneshot::Sender<Result<T, Error>>,
}

impl<D: Send, T: Send> Transaction for Pending<D, T> {
    fn run<'t>(&'t mut self, session: &'t mut Session) -> BoxFuture<'t, Result<(), Error>> {
        Box::pin(async move {
            self.result = Some((self.body)(session, &mut self.data).await?);
            Ok(())
        })
    }

    fn answer(self: Box<Self>, outcome: Result<(), Error>) {
        let answer = match (outcome, self.result) {
            (Ok(()), Some(result)) => Ok(result),
            (Ok(()), None) => Err(Error::unavailable("the transaction did not run")),
            (Err(error), _) => Err(error),
        };
        drop(self.reply.send(answer));
    }
}

impl Committer {
    pub(super) fn start(connection: SqliteConnection, wake: Arc<Wake>, audit: SharedAuditKey) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(run(Session::new(Link::SqliteWriter(connection), audit), waiting, wake));
        Self { queue }
    }

    pub(super) async fn write<D, T>(&self, data: D, body: Body<D, T>) -> Result<T, Error>
    where
        D: Send + 'static,
        T: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.send(Message::Write(Box::new(Pending { data, body, result: None, reply }))).await?;
        answer.await.map_err(Error::unavailable)?
    }

    /// Empties the log file. Returns false if a reader was in the way.
    pub(super) async fn checkpoint(&self) -> Result<bool, Error> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::Checkpoint(reply)).await?;
        answer.await.map_err(Error::unavailable)?
    }

    /// Commits what waits and closes the connection. Later writes are refused.
    pub(super) async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        if self.queue.send(Message::Close(reply)).await.is_ok() {
            drop(closed.await);
        }
    }

    async fn send(&self, message: Message) -> Result<(), Error> {
        self.queue
            .send_timeout(message, ACQUIRE_WITHIN)
            .await
            .map_err(|_| Error::unavailable("the writer is busy or closed"))
    }
}

async fn run(mut session: Session, mut waiting: mpsc::Receiver<Message>, wake: Arc<Wake>) {
    let mut closing = None;
    // After the queue was closed for a `Close`, what is still in it is committed first.
    while let Some(message) = waiting.recv().await {
        let after = match message {
            Message::Write(first) => commit_group(&mut session, first, &mut waiting, &wake).await,
            other => Some(other),
        };
        match after {
            None | Some(Message::Write(_)) => {}
            Some(Message::Checkpoint(reply)) => drop(reply.send(checkpoint(&mut session).await)),
            Some(Message::Close(reply)) => {
                waiting.close();
                closing = Some(reply);
            }
        }
    }
    if let Link::SqliteWriter(connection) = session.into_link()
        && let Err(error) = connection.close().await
    {
        error!(error = &error as &dyn std::error::Error, "could not close the database");
    }
    if let Some(reply) = closing {
        let _ = reply.send(());
    }
}

/// Commits `first` together with what waits behind it. Returns a message that is no write and came in between.
async fn commit_group(
    session: &mut Session,
    first: Box<dyn Transaction>,
    waiting: &mut mpsc::Receiver<Message>,
    wake: &Wake,
) -> Option<Message> {
    // IMMEDIATE: a transaction that reads first and then writes fails at once if another process wrote in between.
    if let Err(error) = session.control("BEGIN IMMEDIATE").await {
        return refuse_waiting(first, error, waiting);
    }
    let until = Instant::now() + GROUP_WITHIN;
    let (mut ran, mut broken, mut other, mut next) = (Vec::new(), None, None, Some(first));
    while let Some(mut transaction) = next.take() {
        match in_savepoint(session, transaction.as_mut()).await {
            Ok(()) => ran.push(transaction),
            Err(Undone::Alone(error)) => transaction.answer(Err(error)),
            Err(Undone::All(error)) => {
                ran.push(transaction);
                broken = Some(error);
                break;
            }
        }
        if ran.len() < GROUP_SIZE && Instant::now() < until {
            match waiting.try_recv() {
                Ok(Message::Write(transaction)) => next = Some(transaction),
                Ok(message) => other = Some(message),
                Err(_) => {}
            }
        }
    }
    let committed = match broken {
        None => session.control("COMMIT").await.map_err(Error::unavailable),
        Some(error) => Err(error),
    };
    let work_due = session.take_work_due();
    match committed {
        Ok(()) => {
            if work_due {
                wake.work_due();
            }
            for transaction in ran {
                transaction.answer(Ok(()));
            }
        }
        Err(error) => {
            // SQLite may have rolled back by itself (disk full, for one); then there is nothing left to undo.
            if let Err(error) = session.control("ROLLBACK").await {
                tracing::debug!(error = &error as &dyn std::error::Error, "nothing was left to roll back");
            }
            let shared: Arc<dyn std::error::Error + Send + Sync> = Arc::from(Box::from(error));
            for transaction in ran {
                transaction.answer(Err(Error::unavailable(NotCommitted(Arc::clone(&shared)))));
            }
        }
    }
    other
}

/// Another process held the database for too long. All who wait now are told, so that nobody waits for the sum of
/// such spans; whoever comes next may find the database free again.
fn refuse_waiting(
    first: Box<dyn Transaction>,
    error: sqlx::Error,
    waiting: &mut mpsc::Receiver<Message>,
) -> Option<Message> {
    let shared: Arc<dyn std::error::Error + Send + Sync> = Arc::from(Box::from(error));
    let mut refused = Some(first);
    while let Some(transaction) = refused.take() {
        transaction.answer(Err(Error::unavailable(NotCommitted(Arc::clone(&shared)))));
        match waiting.try_recv() {
            Ok(Message::Write(next)) => refused = Some(next),
            Ok(other) => return Some(other),
            Err(_) => {}
        }
    }
    None
}

/// The commit that several transactions shared did not happen.
#[derive(Debug, thiserror::Error)]
#[error("the commit failed")]
struct NotCommitted(#[source] Arc<dyn std::error::Error + Send + Sync>);

enum Undone {
    /// This transaction left no trace; its neighbours stand.
    Alone(Error),
    /// The whole group is lost.
    All(Error),
}

async fn in_savepoint(session: &mut Session, transaction: &mut dyn Transaction) -> Result<(), Undone> {
    let lost = |error: sqlx::Error| Undone::All(Error::unavailable(error));
    session.control("SAVEPOINT piece").await.map_err(lost)?;
    match caught(transaction.run(session)).await {
        Ok(()) => session.control("RELEASE piece").await.map_err(lost),
        Err(error) => {
            session.control("ROLLBACK TO piece").await.map_err(lost)?;
            session.control("RELEASE piece").await.map_err(lost)?;
            Err(Undone::Alone(error))
        }
    }
}

/// A panic in one transaction must not end the task that all writers depend on.
async fn caught(mut running: BoxFuture<'_, Result<(), Error>>) -> Result<(), Error> {
    poll_fn(|context| {
        catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(context))).unwrap_or_else(|_| {
            error!("a transaction panicked and was undone");
            Poll::Ready(Err(Error::unavailable("the transaction panicked")))
        })
    })
    .await
}

/// Copies the log into the database and empties it. Returns false if a reader was in the way.
async fn checkpoint(session: &mut Session) -> Result<bool, Error> {
    let rows = timeout(CHECKPOINT_WITHIN, session.all(&CHECKPOINT, Vec::new())).await.map_err(Error::unavailable)??;
    rows.first().map_or(Ok(false), |row| Ok(row.int("busy")? == 0))
}
