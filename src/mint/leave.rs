//! Leaving an organisation: an owner's tokens lose it, and what is left without any dies.

use super::Mint;
use super::order::{By, Refused};
use crate::id::OwnerId;
use crate::store::{Narrowing, OwnTokenFilter};

/// What became of the tokens of an owner who left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Tokens that are still good for other organisations.
    pub narrowed: u32,
    /// Tokens that were for this one alone.
    pub revoked: u32,
}

impl Mint {
    /// Takes an organisation from every living token of an owner. A token that was for it alone is revoked: without any it
    /// would be bound to none, and open more than before. Again, it does nothing more.
    ///
    /// # Errors
    /// [`Refused::Unavailable`]; then it is done for some tokens, and is to be done again.
    pub async fn leave(&self, owner_id: OwnerId, organisation: &str, by: &By) -> Result<Left, Refused> {
        let filter = OwnTokenFilter {
            owner_id: Some(owner_id),
            organisation: Some(organisation.to_owned()),
            ..OwnTokenFilter::default()
        };
        let mut left = Left::default();
        for token in self.store.own_tokens(&filter).await?.into_iter().filter(|token| token.revoked_at.is_none()) {
            let rest: Vec<String> = token.organisations.into_iter().filter(|each| each != organisation).collect();
            let done = if rest.is_empty() {
                let reason = format!("its owner left {organisation}");
                self.revoke(token.id, &reason, by).await.map(|_| left.revoked += 1)
            } else {
                let narrowing = Narrowing { organisations: Some(rest), ..Narrowing::default() };
                self.narrow(token.id, narrowing, by).await.map(|_| left.narrowed += 1)
            };
            match done {
                // It died in between.
                Ok(()) | Err(Refused::BadOrder(_) | Refused::Dead | Refused::NotFound) => {}
                Err(refused) => return Err(refused),
            }
        }
        Ok(left)
    }
}
