//! What can go wrong in the store, by what the caller does next.

/// A statement or transaction did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A stored row cannot be read: unsealing failed, or it holds a word of a newer version. A person must look.
    #[error("stored {what} cannot be read")]
    Corrupt {
        what: &'static str,
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The lease is no longer ours, or the incident moved meanwhile: nothing was changed, drop the result.
    #[error("the lease was lost")]
    LeaseLost,
    #[error("no such {what}")]
    NotFound { what: &'static str },
    /// A move that the incident's state does not allow; nothing was changed.
    #[error(transparent)]
    Refused(#[from] crate::incident::IllegalMove),
    /// The database is away, busy or full: nothing was changed, try again.
    #[error("the database is not available")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The store cannot be opened; the message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{0}")]
    Refused(String),
    #[error("the database cannot be opened")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}
