//! Storing tokens that were just minted, and the owners they belong to.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::super::seal::SealRing;
use super::super::sql::{Session, Statement, Value, binds, hex};
use super::super::{Error, Store};
use super::{OwnTokenKind, TokenOccasion, notices, sealed, trail};
use crate::clock::Timestamp;
use crate::id::{OwnerId, TokenId};
use crate::incident::{EmailAddress, EventKind};
use crate::token::Secret;

/// An owner to be stored, or found again by the address.
pub struct NewOwner {
    pub name: String,
    pub email: EmailAddress,
}

/// A freshly minted token.
pub struct NewOwnToken {
    pub id: TokenId,
    pub kind: OwnTokenKind,
    pub owner_id: OwnerId,
    /// Unique among the owner's living tokens.
    pub name: String,
    /// What it is looked up by: SHA-256 of the whole token, of a macaroon that of its identifier.
    pub sha256: [u8; 32],
    pub prefix: String,
    /// Last characters of the checksum.
    pub hint: String,
    pub scopes: Vec<String>,
    pub caveats: Vec<String>,
    pub projects: Vec<String>,
    pub organisations: Vec<String>,
    pub not_before: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
    pub created_by: String,
    pub family_id: Option<TokenId>,
    pub canary: bool,
    pub policy: Option<Json>,
    pub upstream: Option<String>,
    pub additional: Json,
    /// Of a macaroon the root key, of a magic token the upstream's credential: sealed before it is stored.
    pub sealed: Option<Secret>,
}

/// What became of a token that was to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Insertion {
    /// The owner has a living token of this name.
    NameTaken,
    Stored,
    /// The owner has as many living tokens as one may have.
    TooMany,
}

impl NewOwnToken {
    /// A token without limits; what is known of it is filled in.
    pub fn new(id: TokenId, kind: OwnTokenKind, owner_id: OwnerId, name: String, sha256: [u8; 32]) -> Self {
        Self {
            id,
            kind,
            owner_id,
            name,
            sha256,
            prefix: String::new(),
            hint: String::new(),
            scopes: Vec::new(),
            caveats: Vec::new(),
            projects: Vec::new(),
            organisations: Vec::new(),
            not_before: None,
            expires_at: None,
            created_by: String::new(),
            family_id: None,
            canary: false,
            policy: None,
            upstream: None,
            additional: Json::Object(serde_json::Map::new()),
            sealed: None,
        }
    }
}

static ENSURE_OWNER: Statement = Statement::new(
    "-- owners.ensure
     INSERT INTO owners (id, name, email, created_at)
     VALUES ($1, $2, $3, $4)
     ON CONFLICT (email) DO UPDATE
     SET name = excluded.name
     RETURNING id",
);

static OWNER_BY_EMAIL: Statement = Statement::new(
    "-- owners.by_email
     SELECT id
     FROM owners
     WHERE email = $1",
);

pub(super) static LOCK_OWNER: Statement = Statement::new(
    "-- owners.lock
     SELECT id
     FROM owners
     WHERE id = $1
     {lock}",
);

// What a rotation replaced lives on for its overlap, but the name is its successor's.
static LIVING: Statement = Statement::new(
    "-- tokens.living
     SELECT name
     FROM tokens
     WHERE owner_id = $1
       AND revoked_at IS NULL
       AND replaced_by IS NULL
       AND (expires_at IS NULL OR expires_at > $2)",
);

static INSERT: Statement = Statement::new(
    "-- tokens.insert
     INSERT INTO tokens (id, owner_id, name, sha256, hint, scopes, created_at, expires_at, kind, prefix, caveats,
                         projects, organisations, not_before, created_by, family_id, canary, policy, upstream,
                         additional, seal_key_id, sealed)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,
             $12, $13, $14, $15, $16, $17, $18, $19,
             $20, $21, $22)",
);

impl Store {
    /// Stores the owner, or finds the one with this address and updates the name.
    pub async fn ensure_owner(&self, owner: NewOwner) -> Result<OwnerId, Error> {
        self.write((owner, self.clock.now()), |session, (owner, now)| {
            Box::pin(async move {
                let binds = binds![OwnerId::generate(*now), owner.name.as_str(), owner.email.as_str(), *now];
                let row = session.optional(&ENSURE_OWNER, binds).await?;
                row.ok_or(Error::NotFound { what: "owner" })?.parsed("id")
            })
        })
        .await
    }

    pub async fn owner_by_email(&self, email: &EmailAddress) -> Result<Option<OwnerId>, Error> {
        let row = self.read().await?.optional(&OWNER_BY_EMAIL, binds![email.as_str()]).await?;
        row.map(|row| row.parsed("id")).transpose()
    }

    /// Stores a minted token, and with it the mail that tells its owner, if `tell` says so.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such owner.
    pub async fn insert_own_token(
        &self,
        token: NewOwnToken,
        max_living: u32,
        tell: Option<TokenOccasion>,
    ) -> Result<Insertion, Error> {
        let work = (token, max_living, tell, Arc::clone(&self.seal), self.clock.now());
        self.write(work, |session, (token, max_living, tell, seal, now)| {
            Box::pin(async move {
                let inserted = insert(session, seal, token, *max_living, *now).await?;
                if inserted == Insertion::Stored {
                    let facts = json!({ "kind": token.kind.word(), "owner": token.owner_id, "scopes": token.scopes });
                    trail::tell(session, &token.created_by, EventKind::TokenCreated, token.id, facts, *now).await?;
                }
                if let (Insertion::Stored, Some(occasion)) = (inserted, tell) {
                    notices::queue(session, token.id, *occasion, &Json::Null, *now).await?;
                }
                Ok(inserted)
            })
        })
        .await
    }
}

pub(super) async fn insert(
    session: &mut Session,
    seal: &SealRing,
    token: &NewOwnToken,
    max_living: u32,
    now: Timestamp,
) -> Result<Insertion, Error> {
    // The owner is locked so that two tokens of one name cannot be stored at once: no index knows what has expired.
    session.optional(&LOCK_OWNER, binds![token.owner_id]).await?.ok_or(Error::NotFound { what: "owner" })?;
    let living = session.all(&LIVING, binds![token.owner_id, now]).await?;
    for row in &living {
        if row.text("name")? == token.name {
            return Ok(Insertion::NameTaken);
        }
    }
    if u32::try_from(living.len()).unwrap_or(u32::MAX) >= max_living {
        return Ok(Insertion::TooMany);
    }
    let json = |value: &Json| value.to_string();
    let (key_id, sealed) = sealed::seal(seal, token.id, token.kind, token.sealed.as_ref())?.unzip();
    let values = vec![
        token.id.into(),
        token.owner_id.into(),
        token.name.as_str().into(),
        hex(&token.sha256).into(),
        token.hint.as_str().into(),
        Value::list(&token.scopes),
        now.into(),
        token.expires_at.into(),
        token.kind.word().into(),
        token.prefix.as_str().into(),
        Value::list(&token.caveats),
        Value::list(&token.projects),
        Value::list(&token.organisations),
        token.not_before.into(),
        token.created_by.as_str().into(),
        token.family_id.into(),
        i64::from(token.canary).into(),
        token.policy.as_ref().map(json).into(),
        token.upstream.as_deref().into(),
        json(&token.additional).into(),
        key_id.into(),
        sealed.into(),
    ];
    session.run(&INSERT, values).await?;
    Ok(Insertion::Stored)
}
