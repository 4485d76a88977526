//! What can go wrong in the store, by what the caller does next.

/// A statement or transaction did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A stored row cannot be read: unsealing failed, or it holds a word of a newer version. A person must look.
    #[error("stored {what} cannot be read")]
    Corrupt {
        what: String,
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The lease is no longer ours, or the incident moved meanwhile: nothing was changed, drop the result.
    #[error("the lease was lost")]
    LeaseLost,
    /// The change was refused for what is stored; nothing was changed. The text is fit to be shown.
    #[error(transparent)]
    NotChanged(Box<dyn std::error::Error + Send + Sync>),
    #[error("no such {what}")]
    NotFound { what: &'static str },
    /// A move that the incident's state does not allow; nothing was changed.
    #[error(transparent)]
    Refused(#[from] crate::incident::IllegalMove),
    /// The database is away, busy or full: nothing was changed, try again.
    #[error("the database is not available")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    pub(super) fn corrupt(
        what: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Corrupt { what: what.into(), source: Some(source.into()) }
    }

    pub(super) fn not_changed(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::NotChanged(why.into())
    }

    pub(super) fn unavailable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unavailable(source.into())
    }

    /// Whether another transaction got in the way and the same one, run again, may well succeed.
    pub(super) fn is_conflict(&self) -> bool {
        let Self::Unavailable(source) = self else { return false };
        let code = match source.downcast_ref::<sqlx::Error>() {
            Some(sqlx::Error::Database(error)) => error.code(),
            _ => None,
        };
        // Serialization failure and deadlock (PostgreSQL, appendix A).
        matches!(code.as_deref(), Some("40001" | "40P01"))
    }
}

/// The store cannot be opened; the message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{0}")]
    Refused(String),
    #[error("the database cannot be opened")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl OpenError {
    pub(super) fn unavailable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unavailable(source.into())
    }
}

/// While opening, a row that cannot be read is a reason to refuse, and the rest is an absent database.
impl From<Error> for OpenError {
    fn from(error: Error) -> Self {
        match error {
            Error::Unavailable(source) => Self::Unavailable(source),
            Error::Corrupt { .. }
            | Error::LeaseLost
            | Error::NotChanged(_)
            | Error::NotFound { .. }
            | Error::Refused(_) => Self::Refused(error.to_string()),
        }
    }
}
