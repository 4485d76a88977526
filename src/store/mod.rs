//! The store: everything that must survive a crash, on SQLite or PostgreSQL.
//!
//! The only module with SQL. One transaction is one legal move, its next job and its audit event; none stays open over
//! a call to anybody else. What was promised to a reporter is committed before the promise is given.
//!
//! Rows are locked in one order everywhere, so that transactions wait for each other and do not deadlock: incidents by
//! fingerprint, then their jobs, then the rest.

mod accept;
mod attention;
mod audit;
mod audit_key;
mod brake;
mod chain;
mod chain_check;
mod change;
mod committer;
mod controls;
mod delivery;
mod drills;
mod error;
mod follow;
mod grants;
mod holds;
mod incident_list;
mod incident_row;
mod incidents;
mod invitations;
mod issuer_health;
mod jobs;
mod keys;
mod ledger;
mod lent;
mod live;
mod migrations;
mod moves;
mod notices;
mod once;
mod operator;
mod operators;
mod origins;
mod page;
mod places;
mod pool;
mod postgres;
mod providers;
mod queue;
mod reporters;
mod revoked;
mod seal;
mod secrets;
mod sessions;
mod settle;
mod sign_in;
mod sql;
mod sqlite;
mod statistics;
mod sweep;
mod timeline;
mod tokens;
mod waiting;
mod wake;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

pub use attention::{NeedsHuman, WaitingIncidents};
pub use audit::{AuditFilter, EventPlace};
pub use chain::{ChainHead, Sealed};
pub use chain_check::{ChainFault, ChainReport};
pub use change::{Change, ChangeFilter, Changed, MOST, Moved, Order, Preview, Selection};
pub use controls::{Pause, Paused};
pub use delivery::{Accepted, NewDelivery, NewReport, NewToken, ReportContent};
pub use drills::StoredDelivery;
pub use error::{Error, OpenError};
pub use grants::Grant;
pub use holds::{DecisionError, Held, HeldGroup, Overdue, ReleaseRequest};
pub use incident_list::{Count, IncidentFilter};
pub use incidents::StoredEvent;
pub use invitations::{Invitation, Redeemed};
pub use issuer_health::IssuerHealth;
pub use jobs::{Attempt, Claim, Claimed, QueueDepth};
pub use ledger::{Budget, On};
pub use notices::{Composed, Notice, NoticeItem, Told};
pub use once::{Begun, Once, Running};
pub use operator::{InvalidOperatorName, Operator, OperatorName};
pub use operators::OperatorChange;
pub use origins::KeyList;
pub use page::{Cursor, InvalidCursor, MAX_PAGE, Page, PageRequest};
pub use providers::{FromProvider, ProviderAccount};
pub use queue::QueuePart;
pub use reporters::{AnswerTally, DAY_MILLIS, HOUR_MILLIS, Reporter, ReporterDay, ReporterKey, ReporterKeys};
pub use revoked::{RevokedFilter, RevokedToken};
pub use seal::{SealKey, SealRing};
pub use sessions::{NewSession, SignedIn, SignedInBy};
pub use settle::{Settled, Settlement};
pub use sign_in::{Limit, Tries};
pub use statistics::{Figures, Slot, Spans, Statistics, StatisticsRange};
pub use sweep::Sweep;
pub use timeline::{IncidentDetail, JobStatus, NoticeStatus};
pub use tokens::{
    Branch, Changing, ClaimedTokenNotice, DeniedBranch, Insertion, Narrowing, NewOwnToken, NewOwner, OwnToken,
    OwnTokenFilter, OwnTokenKind, OwnTokenState, OwnTokenStatus, Revoking, Rotation, TokenNotice, TokenOccasion, Use,
};

pub use waiting::Waiting;

use crate::clock::Clock;
use crate::incident::brake::Policy;
use audit_key::SharedAuditKey;
use pool::{Body, Pool};
use sql::{Session, Statement};
use wake::Wake;

/// What `open` needs to know.
#[derive(Clone)]
pub struct Settings {
    /// `sqlite:PATH` or `postgres://…`. May carry a password: never logged.
    pub url: String,
    /// Most PostgreSQL connections this process opens; also the number of SQLite readers.
    pub max_connections: u32,
    /// How long what came with a report is kept after the end of its incident, where no step says otherwise.
    pub keep_reports_for: Duration,
}

/// The database of one installation. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    brake: Arc<Policy>,
    clock: Clock,
    keep_reports_for: Duration,
    pool: Pool,
    /// Proves audit events; what else is derived from it cannot be told apart from chance without it.
    audit: SharedAuditKey,
    /// Whether SQLite's log file may still hold what a sweep erased.
    remembers_erased: Arc<AtomicBool>,
    seal: Arc<SealRing>,
    /// How often this process changed tokens of the built-in issuer.
    token_changes: Arc<AtomicU64>,
    /// Rung when it changed one.
    token_changed: Arc<tokio::sync::Notify>,
    wake: Arc<Wake>,
}

static PING: Statement = Statement::new(
    "-- store.ping
     SELECT 1",
);

impl Store {
    /// Opens the database, brings its schema up to date, and reads back that commits are durable and that the sealing
    /// keys are the ones it was written with.
    pub async fn open(settings: &Settings, seal: SealRing, clock: Clock) -> Result<Self, OpenError> {
        if let Some(fault) = seal.fault() {
            return Err(OpenError::Refused(fault));
        }
        let wake = Arc::new(Wake::default());
        let audit = SharedAuditKey::default();
        let pool = Pool::open(settings, Arc::clone(&wake), Arc::clone(&audit)).await?;
        let keep_reports_for = settings.keep_reports_for;
        // Unknown what the process before left there.
        let remembers_erased = Arc::new(AtomicBool::new(true));
        let store = Self {
            audit: Arc::clone(&audit),
            brake: Arc::new(Policy::default()),
            clock,
            keep_reports_for,
            pool,
            remembers_erased,
            seal: Arc::new(seal),
            token_changes: Arc::default(),
            token_changed: Arc::default(),
            wake,
        };
        let ready = async {
            store.check_seal_keys().await?;
            store.open_audit_key(&audit).await
        };
        if let Err(error) = ready.await {
            store.close().await;
            return Err(error);
        }
        Ok(store)
    }

    /// Whether a statement can be run now; for readiness.
    pub async fn ping(&self) -> Result<(), Error> {
        self.read().await?.all(&PING, Vec::new()).await.map(drop)
    }

    /// Waits until somebody, here or on another machine, may have stored work that is due. A hint: polling is the
    /// truth. Meant for one waiting task a process: each hint wakes one.
    pub async fn woken(&self) {
        self.wake.woken().await;
    }

    /// Ends background tasks and closes the connections. What waits to be committed is committed first.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn read(&self) -> Result<Session, Error> {
        self.pool.read().await
    }

    async fn write<D, T>(&self, data: D, body: Body<D, T>) -> Result<T, Error>
    where
        D: Send + 'static,
        T: Send + 'static,
    {
        self.pool.write(data, body).await
    }
}
