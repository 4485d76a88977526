//! The built-in issuer's tokens: a hash, an owner, a life. Never the token.

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

impl Store {
    /// Stores the owner, or finds the one with this address and updates the name.
    pub async fn ensure_owner(&self, owner: NewOwner) -> Result<OwnerId, Error> {
        let _ = owner;
        todo!()
    }

    /// # Errors
    /// [`Error::Refused`]-like errors are avoided: a name that the owner already uses yields `Ok(false)`.
    pub async fn insert_own_token(&self, token: NewOwnToken) -> Result<bool, Error> {
        let _ = token;
        todo!()
    }

    /// Finds tokens by SHA-256; one entry per hash, in order. Reading does not touch `last_used_at`.
    pub async fn own_tokens_by_hash(&self, hashes: &[[u8; 32]]) -> Result<Vec<Option<OwnToken>>, Error> {
        let _ = hashes;
        todo!()
    }

    pub async fn own_tokens(&self, owner: Option<&EmailAddress>) -> Result<Vec<OwnToken>, Error> {
        let _ = owner;
        todo!()
    }

    /// Kills a token for ever; true if this call did it, false if it was dead already.
    pub async fn revoke_own_token(
        &self,
        id: TokenId,
        reason: &str,
        incident_id: Option<IncidentId>,
    ) -> Result<bool, Error> {
        let _ = (id, reason, incident_id);
        todo!()
    }

    /// Records a use, never moving `last_used_at` backwards.
    pub async fn touch_own_token(&self, id: TokenId, used_at: Timestamp) -> Result<(), Error> {
        let _ = (id, used_at);
        todo!()
    }
}
