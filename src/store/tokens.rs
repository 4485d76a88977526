//! The built-in issuer's tokens: a hash, an owner, a life. Never the token.

use std::collections::HashMap;

use super::sql::{Row, Session, Statement, Value, binds, hex};
use super::{Error, Store};
use crate::clock::Timestamp;
use crate::id::{IncidentId, OwnerId, TokenId};
use crate::incident::EmailAddress;

/// An owner to be stored, or found again by the address.
pub struct NewOwner {
    pub name: String,
    pub email: EmailAddress,
}

/// A freshly minted token.
pub struct NewOwnToken {
    pub id: TokenId,
    pub owner_id: OwnerId,
    /// Unique among the owner's live tokens.
    pub name: String,
    /// SHA-256 of the whole token.
    pub sha256: [u8; 32],
    /// Last characters of the checksum.
    pub hint: String,
    pub scopes: Vec<String>,
    pub expires_at: Option<Timestamp>,
}

/// A token of the built-in issuer as stored.
#[derive(Clone, Debug)]
pub struct OwnToken {
    pub id: TokenId,
    pub owner_id: OwnerId,
    pub owner_name: String,
    pub owner_email: EmailAddress,
    pub name: String,
    pub hint: String,
    pub scopes: Vec<String>,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    pub revoked_reason: Option<String>,
    pub incident_id: Option<IncidentId>,
}

/// Whether a token is accepted. Expiry is derived, revocation is final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnTokenState {
    Active,
    Expired,
    Revoked,
}

impl OwnToken {
    pub fn state(&self, now: Timestamp) -> OwnTokenState {
        match (self.revoked_at, self.expires_at) {
            (Some(_), _) => OwnTokenState::Revoked,
            (None, Some(end)) if end <= now => OwnTokenState::Expired,
            (None, _) => OwnTokenState::Active,
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

static LOCK_OWNER: Statement = Statement::new(
    "-- owners.lock
     SELECT id
     FROM owners
     WHERE id = $1
     {lock}",
);

static NAME_IN_USE: Statement = Statement::new(
    "-- tokens.name_in_use
     SELECT id
     FROM tokens
     WHERE owner_id = $1
       AND name = $2
       AND revoked_at IS NULL
       AND (expires_at IS NULL OR expires_at > $3)",
);

static INSERT: Statement = Statement::new(
    "-- tokens.insert
     INSERT INTO tokens (id, owner_id, name, sha256, hint, scopes, created_at, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
);

static BY_HASH: Statement = Statement::new(
    "-- tokens.by_hash
     SELECT tokens.id, tokens.owner_id, owners.name AS owner_name, owners.email AS owner_email, tokens.name,
            tokens.sha256, tokens.hint, tokens.scopes, tokens.created_at, tokens.expires_at, tokens.last_used_at,
            tokens.revoked_at, tokens.revoked_reason, tokens.incident_id
     FROM tokens
     JOIN owners ON owners.id = tokens.owner_id
     WHERE tokens.sha256 {in $1}",
);

static LIST: Statement = Statement::new(
    "-- tokens.list
     SELECT tokens.id, tokens.owner_id, owners.name AS owner_name, owners.email AS owner_email, tokens.name,
            tokens.sha256, tokens.hint, tokens.scopes, tokens.created_at, tokens.expires_at, tokens.last_used_at,
            tokens.revoked_at, tokens.revoked_reason, tokens.incident_id
     FROM tokens
     JOIN owners ON owners.id = tokens.owner_id
     WHERE ($1 = '' OR owners.email = $1)
     ORDER BY tokens.id",
);

static REVOKE: Statement = Statement::new(
    "-- tokens.revoke
     UPDATE tokens
     SET revoked_at = $2, revoked_reason = $3, incident_id = $4
     WHERE id = $1
       AND revoked_at IS NULL",
);

static EXISTS: Statement = Statement::new(
    "-- tokens.exists
     SELECT id
     FROM tokens
     WHERE id = $1",
);

static TOUCH: Statement = Statement::new(
    "-- tokens.touch
     UPDATE tokens
     SET last_used_at = $2
     WHERE id = $1
       AND (last_used_at IS NULL OR last_used_at < $2)",
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

    /// Stores a minted token; false if the owner has a token of this name that is still accepted.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such owner.
    pub async fn insert_own_token(&self, token: NewOwnToken) -> Result<bool, Error> {
        self.write((token, self.clock.now()), |session, (token, now)| Box::pin(insert(session, token, *now))).await
    }

    /// Finds tokens by SHA-256; one entry per hash, in order. Reading does not touch `last_used_at`.
    pub async fn own_tokens_by_hash(&self, hashes: &[[u8; 32]]) -> Result<Vec<Option<OwnToken>>, Error> {
        let hashes: Vec<String> = hashes.iter().map(|hash| hex(hash)).collect();
        let rows = self.read().await?.all(&BY_HASH, vec![Value::list(&hashes)]).await?;
        let found = rows.iter().map(|row| Ok((row.text("sha256")?, read(row)?)));
        let found: HashMap<String, OwnToken> = found.collect::<Result<_, Error>>()?;
        Ok(hashes.iter().map(|hash| found.get(hash).cloned()).collect())
    }

    pub async fn own_tokens(&self, owner: Option<&EmailAddress>) -> Result<Vec<OwnToken>, Error> {
        let owner = owner.map_or("", EmailAddress::as_str);
        self.read().await?.all(&LIST, binds![owner]).await?.iter().map(read).collect()
    }

    /// Kills a token for ever; true if this call did it, false if it was dead already.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there never was such a token.
    pub async fn revoke_own_token(
        &self,
        id: TokenId,
        reason: &str,
        incident_id: Option<IncidentId>,
    ) -> Result<bool, Error> {
        let work = (id, reason.to_owned(), incident_id, self.clock.now());
        self.write(work, |session, (id, reason, incident_id, now)| {
            Box::pin(async move {
                if session.run(&REVOKE, binds![*id, *now, reason.as_str(), *incident_id]).await? == 1 {
                    return Ok(true);
                }
                session.optional(&EXISTS, binds![*id]).await?.ok_or(Error::NotFound { what: "token" })?;
                Ok(false)
            })
        })
        .await
    }

    /// Records a use, never moving `last_used_at` backwards.
    pub async fn touch_own_token(&self, id: TokenId, used_at: Timestamp) -> Result<(), Error> {
        self.write((id, used_at), |session, (id, used_at)| {
            Box::pin(async move { session.run(&TOUCH, binds![*id, *used_at]).await.map(drop) })
        })
        .await
    }
}

async fn insert(session: &mut Session, token: &NewOwnToken, now: Timestamp) -> Result<bool, Error> {
    // The owner is locked so that two tokens of one name cannot be stored at once: no index knows what has expired.
    session.optional(&LOCK_OWNER, binds![token.owner_id]).await?.ok_or(Error::NotFound { what: "owner" })?;
    if session.optional(&NAME_IN_USE, binds![token.owner_id, token.name.as_str(), now]).await?.is_some() {
        return Ok(false);
    }
    let values = vec![
        token.id.into(),
        token.owner_id.into(),
        token.name.as_str().into(),
        hex(&token.sha256).into(),
        token.hint.as_str().into(),
        Value::list(&token.scopes),
        now.into(),
        token.expires_at.into(),
    ];
    session.run(&INSERT, values).await?;
    Ok(true)
}

fn read(row: &Row) -> Result<OwnToken, Error> {
    let scopes = serde_json::from_str(&row.text("scopes")?).map_err(|error| Error::corrupt("scopes", error))?;
    let email = EmailAddress::parse(&row.text("owner_email")?).map_err(|error| Error::corrupt("owner_email", error))?;
    Ok(OwnToken {
        id: row.parsed("id")?,
        owner_id: row.parsed("owner_id")?,
        owner_name: row.text("owner_name")?,
        owner_email: email,
        name: row.text("name")?,
        hint: row.text("hint")?,
        scopes,
        created_at: row.time("created_at")?,
        expires_at: row.optional_time("expires_at")?,
        last_used_at: row.optional_time("last_used_at")?,
        revoked_at: row.optional_time("revoked_at")?,
        revoked_reason: row.optional_text("revoked_reason")?,
        incident_id: row.optional_parsed("incident_id")?,
    })
}
