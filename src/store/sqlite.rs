//! Opening SQLite: one file, one writer, many readers.
//!
//! A commit must survive a power cut, because a reporter is told "accepted" after it: write-ahead log with
//! `synchronous=FULL`, set and read back. Never on a network file system, where SQLite's locks do not hold
//! (<https://www.sqlite.org/howtocorrupt.html#_file_locking_problems>).

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, SqliteConnection};

use super::pool::ACQUIRE_WITHIN;
use super::{OpenError, migrations};

/// How long a statement waits for another process, an operator's command mostly, to finish its write.
const BUSY_FOR: Duration = Duration::from_secs(2);
/// How long the first start of several waits for the one that migrates.
const MIGRATE_WITHIN: Duration = Duration::from_secs(30);
/// The log file is cut back to this after a checkpoint, in bytes.
const JOURNAL_SIZE_LIMIT: &str = "67108864";

pub(super) async fn open(path: &Path, readers: u32) -> Result<(SqliteConnection, sqlx::Pool<sqlx::Sqlite>), OpenError> {
    if path.as_os_str().is_empty() || path.to_string_lossy().starts_with(":memory:") {
        return Err(OpenError::Refused("the database needs a file: set its URL to `sqlite:` and a path".into()));
    }
    create_private(path).map_err(OpenError::unavailable)?;
    let lock = lock_for_opening(path).await?;
    let mut writer = SqliteConnection::connect_with(&options(path)).await.map_err(OpenError::unavailable)?;
    migrations::apply(&migrations::sqlite(), &mut writer).await?;
    require_durable(&mut writer).await?;
    drop(lock);
    // Only now: a reader needs the log file that the writer made.
    let readers = SqlitePoolOptions::new()
        .max_connections(readers.max(1))
        .acquire_timeout(ACQUIRE_WITHIN)
        .connect_with(options(path).read_only(true))
        .await
        .map_err(OpenError::unavailable)?;
    Ok((writer, readers))
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_FOR)
        .foreign_keys(true)
        // What is erased is overwritten, not only forgotten.
        .pragma("secure_delete", "ON")
        .pragma("journal_size_limit", JOURNAL_SIZE_LIMIT)
        .statement_cache_capacity(256)
}

/// Creates the folder and the file so that only their owner can read them; SQLite gives its log the file's mode.
fn create_private(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path).map(drop)
}

/// Two processes that open a new database at once must not both create its tables.
async fn lock_for_opening(path: &Path) -> Result<File, OpenError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(PathBuf::from(name))
        .map_err(OpenError::unavailable)?;
    let locked = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock));
    match tokio::time::timeout(MIGRATE_WITHIN, locked).await {
        Ok(Ok(locked)) => locked.map_err(OpenError::unavailable),
        Ok(Err(join)) => Err(OpenError::unavailable(join)),
        Err(_) => {
            Err(OpenError::Refused("another process has been opening this database for 30 s: end it first".into()))
        }
    }
}

async fn require_durable(writer: &mut SqliteConnection) -> Result<(), OpenError> {
    let journal: String =
        sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *writer).await.map_err(OpenError::unavailable)?;
    let synchronous: i64 =
        sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut *writer).await.map_err(OpenError::unavailable)?;
    if journal != "wal" || synchronous < 2 {
        return Err(OpenError::Refused(format!(
            "SQLite gave journal mode `{journal}` and synchronous level {synchronous} instead of `wal` and 2, so a \
             commit could be lost: put the database on a local file system"
        )));
    }
    Ok(())
}
