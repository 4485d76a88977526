//! Rotation: a new token in the place of an old one, which lives on for an overlap and then is over.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::super::sql::{Statement, binds};
use super::super::{Error, Store};
use super::insert::insert;
use super::{Insertion, NewOwnToken, TokenOccasion, change, notices, trail};
use crate::clock::Timestamp;
use crate::id::TokenId;
use crate::incident::EventKind;

/// What became of a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// It was rotated before, into this token. Its secret may be in the wrong hands: whoever asks decides.
    Already(TokenId),
    /// It is revoked or expired: there is nothing to rotate.
    Dead,
    Done,
}

// First of all, so that two rotations of one token wait for each other and the second sees the first.
static LOCK: Statement = Statement::new(
    "-- tokens.lock_rotated
     SELECT id
     FROM tokens
     WHERE id = $1
     {lock}",
);

static REPLACE: Statement = Statement::new(
    "-- tokens.replace
     UPDATE tokens
     SET replaced_by = $2, family_id = $3, updated_at = $4, updated_by = $5,
         expires_at = CASE WHEN expires_at IS NULL OR expires_at > $6 THEN $6 ELSE expires_at END
     WHERE id = $1",
);

impl Store {
    /// Stores `token` as the successor of `old`, which ends at `old_ends_at` or at its own end, whichever is first.
    /// The successor takes over the family.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there never was such a token.
    pub async fn rotate_own_token(
        &self,
        old: TokenId,
        old_ends_at: Timestamp,
        token: NewOwnToken,
        tell: Option<TokenOccasion>,
    ) -> Result<Rotation, Error> {
        let work = (old, old_ends_at, token, tell, Arc::clone(&self.seal), self.clock.now());
        self.change_tokens(work, |session, (old, ends_at, token, tell, seal, now)| {
            Box::pin(async move {
                session.optional(&LOCK, binds![*old]).await?.ok_or(Error::NotFound { what: "token" })?;
                let before = change::by_id(session, *old).await?;
                if let Some(successor) = before.replaced_by {
                    return Ok(Rotation::Already(successor));
                }
                if before.is_dead(*now) {
                    return Ok(Rotation::Dead);
                }
                let family = before.family_id.unwrap_or(*old);
                token.family_id = Some(family);
                let by = token.created_by.clone();
                session.run(&REPLACE, binds![*old, token.id, family, *now, by, *ends_at]).await?;
                // The one that is replaced counts no more, so its name and its place are free.
                match insert(session, seal, token, u32::MAX, *now).await? {
                    Insertion::Stored => {}
                    refused @ (Insertion::NameTaken | Insertion::TooMany) => {
                        return Err(Error::unavailable(format!("the successor was refused: {refused:?}")));
                    }
                }
                if let Some(occasion) = tell {
                    notices::queue(session, token.id, *occasion, &Json::Null, *now).await?;
                }
                let facts = json!({ "successor": token.id, "old_ends_at": ends_at });
                trail::tell(session, &token.created_by, EventKind::TokenRotated, *old, facts, *now).await?;
                Ok(Rotation::Done)
            })
        })
        .await
    }
}
