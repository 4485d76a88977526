//! The built-in issuer's tokens: a hash, an owner, a life. Never the token.
//!
//! Four kinds share one table and one life: active, then revoked for ever; expiry is derived from the clock, suspension
//! is a flag that can be lifted. No row is ever deleted, so that a token that is reported years after its end is known
//! as dead. A macaroon's root key and a magic token's upstream credential are sealed to their row
//! ([`SealRing`](super::SealRing)): who steals the database holds no token.

mod branches;
mod change;
mod find;
mod insert;
mod notices;
mod rotate;
mod sealed;
mod trail;
mod usage;

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::Ordering;

pub use branches::{Branch, DeniedBranch};
pub use change::{Changing, Narrowing, Revoking};
pub use find::{OwnTokenFilter, OwnTokenStatus};
pub use insert::{Insertion, NewOwnToken, NewOwner};
pub use notices::{ClaimedTokenNotice, TokenNotice, TokenOccasion};
pub use rotate::Rotation;
pub use usage::Use;

pub(super) use sealed::rewrap;

use super::pool::Body;
use super::sql::Row;
use super::{Error, Store};
use crate::clock::Timestamp;
use crate::id::{IncidentId, OwnerId, TokenId};
use crate::incident::EmailAddress;

/// What a token looks like and how it is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OwnTokenKind {
    /// Any text of enough characters, usually shown in `X-API-Key`.
    Key,
    /// A macaroon (PyPI's form): whoever holds it can narrow it without asking.
    Macaroon,
    /// Stands for an upstream's credential behind the proxy.
    Magic,
    /// A personal access token.
    Pat,
}

/// A token of the built-in issuer as stored.
#[derive(Clone, Debug)]
pub struct OwnToken {
    pub id: TokenId,
    pub kind: OwnTokenKind,
    pub owner_id: OwnerId,
    pub owner_name: String,
    pub owner_email: EmailAddress,
    pub owner_suspended_at: Option<Timestamp>,
    pub name: String,
    /// What its text begins with, `acme_pat_` or `acme-`; empty for a key that was brought along.
    pub prefix: String,
    /// The last characters of its checksum, at most four; empty where there is none.
    pub hint: String,
    pub scopes: Vec<String>,
    /// Of a macaroon: the issuer's caveats as their texts. They hold whether or not the token carries them.
    pub caveats: Vec<String>,
    /// Normalized names; empty: whatever its owner may.
    pub projects: Vec<String>,
    pub organisations: Vec<String>,
    pub created_at: Timestamp,
    /// `operator:…`, `token:…`, `owner:…`, `configuration`.
    pub created_by: String,
    pub not_before: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
    pub suspended_at: Option<Timestamp>,
    pub first_used_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
    /// The network of the last use.
    pub last_used_from: Option<String>,
    pub uses: i64,
    pub updated_at: Option<Timestamp>,
    pub updated_by: Option<String>,
    pub revoked_at: Option<Timestamp>,
    pub revoked_by: Option<String>,
    pub revoked_reason: Option<String>,
    pub incident_id: Option<IncidentId>,
    /// The first token of its line of rotations.
    pub family_id: Option<TokenId>,
    pub replaced_by: Option<TokenId>,
    /// Never accepted; whoever shows it sets off an alarm.
    pub canary: bool,
    /// Of a magic token: what may be asked of the upstream.
    pub policy: Option<serde_json::Value>,
    /// Of a magic token: the upstream's name in the configuration.
    pub upstream: Option<String>,
    pub additional: serde_json::Value,
    sealed: Option<Sealed>,
}

/// Bytes that open only with the sealing keys; see [`Store::open_own`].
#[derive(Clone)]
struct Sealed(Vec<u8>);

/// Whether a token is accepted. Expiry is derived, revocation is final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OwnTokenState {
    Active,
    /// Its time has not begun.
    Early,
    Expired,
    Revoked,
    /// It, or its owner, is set aside for now.
    Suspended,
}

impl Store {
    /// How often this process changed tokens: what was read before a change is not to be believed after it.
    pub fn token_changes(&self) -> u64 {
        self.token_changes.load(Ordering::SeqCst)
    }

    /// Completes when this process changes a token.
    pub async fn token_changed(&self) {
        self.token_changed.notified().await;
    }

    /// Runs a transaction that changes tokens, and counts it once it is durable.
    async fn change_tokens<D, T>(&self, data: D, body: Body<D, T>) -> Result<T, Error>
    where
        D: Send + 'static,
        T: Send + 'static,
    {
        let done = self.write(data, body).await;
        // One that failed may have happened all the same.
        self.token_changes.fetch_add(1, Ordering::SeqCst);
        self.token_changed.notify_waiters();
        done
    }
}

impl OwnToken {
    pub fn state(&self, now: Timestamp) -> OwnTokenState {
        if self.revoked_at.is_some() {
            OwnTokenState::Revoked
        } else if self.expires_at.is_some_and(|end| end <= now) {
            OwnTokenState::Expired
        } else if self.suspended_at.is_some() || self.owner_suspended_at.is_some() {
            OwnTokenState::Suspended
        } else if self.not_before.is_some_and(|start| now < start) {
            OwnTokenState::Early
        } else {
            OwnTokenState::Active
        }
    }

    /// Whether it can never be accepted again; a suspended token, or one whose time has not begun, can.
    pub fn is_dead(&self, now: Timestamp) -> bool {
        matches!(self.state(now), OwnTokenState::Expired | OwnTokenState::Revoked)
    }
}

impl OwnTokenKind {
    pub const ALL: [Self; 4] = [Self::Key, Self::Macaroon, Self::Magic, Self::Pat];

    pub fn word(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Macaroon => "macaroon",
            Self::Magic => "magic",
            Self::Pat => "pat",
        }
    }
}

impl OwnTokenState {
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Early => "not_yet",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Suspended => "suspended",
        }
    }
}

/// No kind of token has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no kind of token: use `key`, `macaroon`, `magic` or `pat`")]
pub struct UnknownOwnTokenKind(String);

impl FromStr for OwnTokenKind {
    type Err = UnknownOwnTokenKind;

    fn from_str(text: &str) -> Result<Self, UnknownOwnTokenKind> {
        let found = Self::ALL.into_iter().find(|kind| kind.word() == text);
        found.ok_or_else(|| UnknownOwnTokenKind(text.chars().take(40).collect()))
    }
}

impl fmt::Display for OwnTokenKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sealed")
    }
}

/// What `{token}` in a statement stands for.
pub(super) const COLUMNS: &str = "tokens.id, tokens.kind, tokens.owner_id, owners.name AS owner_name, \
    owners.email AS owner_email, owners.suspended_at AS owner_suspended_at, tokens.name, tokens.sha256, \
    tokens.prefix, tokens.hint, tokens.scopes, tokens.caveats, tokens.projects, tokens.organisations, \
    tokens.created_at, tokens.created_by, tokens.not_before, tokens.expires_at, tokens.suspended_at, \
    tokens.first_used_at, tokens.last_used_at, tokens.last_used_from, tokens.uses, tokens.updated_at, \
    tokens.updated_by, tokens.revoked_at, tokens.revoked_by, tokens.revoked_reason, tokens.incident_id, \
    tokens.family_id, tokens.replaced_by, tokens.canary, tokens.policy, tokens.upstream, tokens.additional, \
    tokens.sealed";

fn read(row: &Row) -> Result<OwnToken, Error> {
    let email = EmailAddress::parse(&row.text("owner_email")?).map_err(|error| Error::corrupt("owner_email", error))?;
    let policy = row.optional_text("policy")?.map(|text| serde_json::from_str(&text)).transpose();
    Ok(OwnToken {
        id: row.parsed("id")?,
        kind: row.parsed("kind")?,
        owner_id: row.parsed("owner_id")?,
        owner_name: row.text("owner_name")?,
        owner_email: email,
        owner_suspended_at: row.optional_time("owner_suspended_at")?,
        name: row.text("name")?,
        prefix: row.text("prefix")?,
        hint: row.text("hint")?,
        scopes: row.json("scopes")?,
        caveats: row.json("caveats")?,
        projects: row.json("projects")?,
        organisations: row.json("organisations")?,
        created_at: row.time("created_at")?,
        created_by: row.text("created_by")?,
        not_before: row.optional_time("not_before")?,
        expires_at: row.optional_time("expires_at")?,
        suspended_at: row.optional_time("suspended_at")?,
        first_used_at: row.optional_time("first_used_at")?,
        last_used_at: row.optional_time("last_used_at")?,
        last_used_from: row.optional_text("last_used_from")?,
        uses: row.int("uses")?,
        updated_at: row.optional_time("updated_at")?,
        updated_by: row.optional_text("updated_by")?,
        revoked_at: row.optional_time("revoked_at")?,
        revoked_by: row.optional_text("revoked_by")?,
        revoked_reason: row.optional_text("revoked_reason")?,
        incident_id: row.optional_parsed("incident_id")?,
        family_id: row.optional_parsed("family_id")?,
        replaced_by: row.optional_parsed("replaced_by")?,
        canary: row.int("canary")? != 0,
        policy: policy.map_err(|error| Error::corrupt("policy", error))?,
        upstream: row.optional_text("upstream")?,
        additional: row.json("additional")?,
        sealed: row.optional_blob("sealed")?.map(Sealed),
    })
}
