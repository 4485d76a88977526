//! The last good key list of each origin, so that a restart during an outage of the key endpoint loses no report.

use super::sql::{Statement, binds};
use super::{Error, Store};
use crate::clock::Timestamp;

/// A key list as it was fetched. Public keys: nothing secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyList {
    /// The list as JSON in stanch's own form.
    pub json: String,
    pub etag: Option<String>,
    pub fetched_at: Timestamp,
}

static SAVE: Statement = Statement::new(
    "-- key_lists.save
     INSERT INTO key_lists (origin, keys, etag, fetched_at)
     VALUES ($1, $2, $3, $4)
     ON CONFLICT (origin) DO UPDATE
     SET keys = excluded.keys, etag = excluded.etag, fetched_at = excluded.fetched_at
     -- A machine whose fetch took longer must not put an older list over a newer one.
     WHERE key_lists.fetched_at <= excluded.fetched_at",
);

static READ: Statement = Statement::new(
    "-- key_lists.read
     SELECT keys, etag, fetched_at
     FROM key_lists
     WHERE origin = $1",
);

impl Store {
    /// Keeps a fetched list, unless a newer one is kept already.
    pub async fn save_key_list(&self, origin: &str, list: &KeyList) -> Result<(), Error> {
        self.write((origin.to_owned(), list.clone()), |session, (origin, list)| {
            Box::pin(async move {
                let binds = binds![origin.as_str(), list.json.as_str(), list.etag.as_deref(), list.fetched_at];
                session.run(&SAVE, binds).await.map(drop)
            })
        })
        .await
    }

    pub async fn key_list(&self, origin: &str) -> Result<Option<KeyList>, Error> {
        let row = self.read().await?.optional(&READ, binds![origin]).await?;
        let read = |row: super::sql::Row| {
            Ok(KeyList {
                json: row.text("keys")?,
                etag: row.optional_text("etag")?,
                fetched_at: row.time("fetched_at")?,
            })
        };
        row.map(read).transpose()
    }
}
