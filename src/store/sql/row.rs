//! Rows: what a statement answers, column by column.

use sqlx::{ColumnIndex, Decode, Postgres, Sqlite, Type};

use crate::clock::Timestamp;
use crate::store::Error;

/// One row of an answer. A column that does not hold what is asked for is a corrupt row, named by the column.
pub(in crate::store) enum Row {
    Postgres(sqlx::postgres::PgRow),
    Sqlite(sqlx::sqlite::SqliteRow),
}

impl Row {
    pub(in crate::store) fn text(&self, column: &'static str) -> Result<String, Error> {
        self.value(column)
    }

    pub(in crate::store) fn optional_text(&self, column: &'static str) -> Result<Option<String>, Error> {
        self.value(column)
    }

    pub(in crate::store) fn int(&self, column: &'static str) -> Result<i64, Error> {
        self.value(column)
    }

    pub(in crate::store) fn blob(&self, column: &'static str) -> Result<Vec<u8>, Error> {
        self.value(column)
    }

    pub(in crate::store) fn optional_blob(&self, column: &'static str) -> Result<Option<Vec<u8>>, Error> {
        self.value(column)
    }

    /// A list or an object that is stored as JSON text.
    pub(in crate::store) fn json<T: serde::de::DeserializeOwned>(&self, column: &'static str) -> Result<T, Error> {
        serde_json::from_str(&self.text(column)?).map_err(|error| Error::corrupt(column, error))
    }

    pub(in crate::store) fn time(&self, column: &'static str) -> Result<Timestamp, Error> {
        self.value(column).map(Timestamp::from_millis)
    }

    pub(in crate::store) fn optional_time(&self, column: &'static str) -> Result<Option<Timestamp>, Error> {
        Ok(self.value::<Option<i64>>(column)?.map(Timestamp::from_millis))
    }

    /// A text that is one of our words or ids.
    pub(in crate::store) fn parsed<T>(&self, column: &'static str) -> Result<T, Error>
    where
        T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
    {
        self.text(column)?.parse().map_err(|error| Error::corrupt(column, error))
    }

    pub(in crate::store) fn optional_parsed<T>(&self, column: &'static str) -> Result<Option<T>, Error>
    where
        T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
    {
        let parse = |text: String| text.parse().map_err(|error| Error::corrupt(column, error));
        self.optional_text(column)?.map(parse).transpose()
    }

    fn value<T>(&self, column: &'static str) -> Result<T, Error>
    where
        T: for<'r> Decode<'r, Postgres> + Type<Postgres> + for<'r> Decode<'r, Sqlite> + Type<Sqlite>,
    {
        match self {
            Self::Postgres(row) => read(row, column),
            Self::Sqlite(row) => read(row, column),
        }
    }
}

fn read<R: sqlx::Row, T>(row: &R, column: &'static str) -> Result<T, Error>
where
    T: for<'r> Decode<'r, R::Database> + Type<R::Database>,
    &'static str: ColumnIndex<R>,
{
    row.try_get(column).map_err(|error| Error::corrupt(column, error))
}
