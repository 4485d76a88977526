//! The store: everything that must survive a crash, on SQLite or PostgreSQL.
//!
//! The only module with SQL. One transaction is one legal move, its next job and its audit event; none stays open over
//! a call to anybody else. What was promised to a reporter is committed before the promise is given.

mod delivery;
mod error;
mod incidents;
mod jobs;
mod notices;
mod origins;
mod seal;
mod tokens;

pub use delivery::{Accepted, NewDelivery, NewReport, NewToken, ReportContent};
pub use error::{Error, OpenError};
pub use incidents::{IncidentFilter, StoredEvent, Sweep};
pub use jobs::{Attempt, Claim, Claimed, QueueDepth, Settled, Settlement};
pub use notices::{Composed, Notice, NoticeItem};
pub use origins::KeyList;
pub use seal::{SealKey, SealRing};
pub use tokens::{NewOwnToken, NewOwner, OwnToken, OwnTokenState};

use crate::clock::Clock;

/// What `open` needs to know.
#[derive(Clone)]
pub struct Settings {
    /// `sqlite:PATH` or `postgres://…`. May carry a password: never logged.
    pub url: String,
    /// Most PostgreSQL connections this process opens; also the number of SQLite readers.
    pub max_connections: u32,
}

/// The database of one installation. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    clock: Clock,
}

impl Store {
    /// Opens the database, brings its schema up to date and reads back that commits are durable.
    pub async fn open(settings: &Settings, seal: SealRing, clock: Clock) -> Result<Self, OpenError> {
        let _ = (settings, seal);
        Ok(Self { clock })
    }

    /// Whether a statement can be run now; for readiness.
    pub async fn ping(&self) -> Result<(), Error> {
        let _ = &self.clock;
        todo!()
    }

    /// Waits until somebody, here or on another machine, may have stored work that is due. A hint: polling is the truth.
    pub async fn woken(&self) {
        todo!()
    }

    /// Ends background tasks and closes the connections.
    pub async fn close(&self) {
        todo!()
    }
}
