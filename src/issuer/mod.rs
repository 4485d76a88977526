//! Issuers: who can say whether a token lives, and who can kill it.
//!
//! An [`Issuer`] is reached by a mechanism, not by vendor: `builtin` (our own tokens table), `http` (declared requests,
//! RFC 7662 introspection, RFC 7009 revocation). What no answer means is decided here once: [`Verdict::Unknown`],
//! which is never read as dead, and a revocation counts only when the issuer confirmed it.

pub mod builtin;
mod guard;
pub mod http;
mod metrics;

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

pub use guard::{BreakerSettings, BreakerState, Guard, GuardSettings, Status};

use crate::clock::Timestamp;
use crate::id::IncidentId;
use crate::incident::{IssuedToken, IssuerName, Unknown, Verdict};
use crate::token::{KindId, Secret};

/// A future that can be awaited on any thread; what a `dyn` trait's asynchronous method returns.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One leaked token, as it is shown to its issuer.
pub struct Question<'a> {
    /// For idempotency keys and the issuer's own records. None when the question is asked at the door.
    pub incident_id: Option<IncidentId>,
    pub kind: &'a KindId,
    pub secret: &'a Secret,
    /// What the issuer said about the token when it was verified; given to a revocation.
    pub token: Option<&'a IssuedToken>,
}

/// An issuer's answer to "kill this token".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// Dead before we came, by another hand.
    AlreadyDead,
    /// The issuer killed it for us and, asked again, says that it is dead.
    Confirmed,
    /// The issuer says it never issued the token.
    NotOurs,
    /// The issuer said that it killed the token, and did not answer when it was asked again. To be tried again; if the
    /// token is dead by then, it died by us.
    Unconfirmed(Unknown),
    /// No answer, or an answer that its own read-back contradicts. To be tried again.
    Unknown(Unknown),
}

/// Where an issuer's answer comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locality {
    /// Our own database: fast enough to be asked before a delivery is answered.
    Local,
    /// Another service.
    Remote,
}

/// Someone who issued tokens.
pub trait Issuer: Send + Sync {
    fn name(&self) -> &IssuerName;

    fn locality(&self) -> Locality;

    /// Asks about many tokens at once; one verdict per question, in order.
    fn verify<'a>(&'a self, questions: &'a [Question<'a>]) -> Answer<'a, Vec<Verdict>>;

    /// Kills one token that was found live.
    fn revoke<'a>(&'a self, question: Question<'a>) -> Answer<'a, Revocation>;

    /// A harmless call that shows whether address, TLS and our credential work; a sentence for the operator either way.
    fn check(&self) -> Answer<'_, Result<String, String>>;

    /// Whether calls are let through; none if nothing stands between.
    fn status(&self) -> Option<Status> {
        None
    }

    /// Until when the issuer is not to be called; none if it may be called now.
    fn resting_until(&self, now: Timestamp) -> Option<Timestamp> {
        let _ = now;
        None
    }
}

/// The configured issuers, by the kinds of token they claim.
#[derive(Clone, Default)]
pub struct Issuers {
    by_kind: HashMap<KindId, Arc<dyn Issuer>>,
    all: Vec<Arc<dyn Issuer>>,
}

impl Issuers {
    /// Adds an issuer for its kinds. The first issuer to claim a kind keeps it.
    pub fn add(&mut self, issuer: Arc<dyn Issuer>, kinds: impl IntoIterator<Item = KindId>) {
        for kind in kinds {
            self.by_kind.entry(kind).or_insert_with(|| Arc::clone(&issuer));
        }
        self.all.push(issuer);
    }

    pub fn of_kind(&self, kind: &KindId) -> Option<&Arc<dyn Issuer>> {
        self.by_kind.get(kind)
    }

    /// The kinds that are claimed, in order.
    pub fn kinds(&self) -> Vec<&str> {
        let mut kinds: Vec<&str> = self.by_kind.keys().map(KindId::as_str).collect();
        kinds.sort_unstable();
        kinds
    }

    pub fn named(&self, name: &IssuerName) -> Option<&Arc<dyn Issuer>> {
        self.all.iter().find(|issuer| issuer.name() == name)
    }

    /// The issuers that are not to be called now; their jobs are better left in the queue.
    pub fn resting(&self, now: Timestamp) -> Vec<IssuerName> {
        let resting = self.all.iter().filter(|issuer| issuer.resting_until(now).is_some());
        resting.map(|issuer| issuer.name().clone()).collect()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Issuer>> {
        self.all.iter()
    }
}
