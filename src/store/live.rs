//! Whether anything happened: what pages that are looked at ask again and again.

use super::sql::Statement;
use super::{Error, Store};

static NEWEST: Statement = Statement::new(
    "-- live.newest
     SELECT COALESCE(max(position), 0) AS position
     FROM events",
);

impl Store {
    /// The place of the newest audit event; it grows with whatever happens.
    pub async fn newest_position(&self) -> Result<i64, Error> {
        let row = self.read().await?.optional(&NEWEST, Vec::new()).await?;
        row.map_or(Ok(0), |row| row.int("position"))
    }
}
