//! Handing tokens out: creating, rotating, narrowing, revoking; who may, and within which bounds.
//!
//! A secret leaves here once, in the answer to whoever asked for it. A token never makes or frees itself: one that asks
//! needs the scope [`WRITE`](super::WRITE), and what it makes belongs to its own owner, lives no longer, reaches no further and
//! cannot make tokens in turn.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;

use super::Settings;
use super::order::{By, Expires, Issued, Magic, Order, Refused, named, within};
use crate::clock::Clock;
use crate::id::TokenId;
use crate::store::{
    Branch, Changing, Insertion, Narrowing, OwnToken, OwnTokenKind, Revoking, Rotation, Store, TokenOccasion,
};
use crate::token::caveat::Caveat;

/// Hands tokens out. Cheap to clone.
#[derive(Clone)]
pub struct Mint {
    pub(super) store: Store,
    pub(super) settings: Arc<Settings>,
    pub(super) clock: Clock,
}

impl Mint {
    pub fn new(store: Store, settings: Settings, clock: Clock) -> Self {
        Self { store, settings: Arc::new(settings), clock }
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Creates a token; its owner is told by mail.
    ///
    /// # Errors
    /// [`Refused`], and nothing was stored.
    pub async fn create(&self, order: Order, by: &By) -> Result<Issued, Refused> {
        let now = self.clock.now();
        let order = order.checked(&self.settings.limits, now)?;
        if let By::Token(token) = by {
            within(token, &order)?;
        }
        if let By::Owner(id) = by
            && *id != order.owner_id
        {
            return Err(Refused::Forbidden("a token is made for oneself only"));
        }
        let tell = order.tell_owner.then_some(TokenOccasion::Created);
        let (new, secret) = self.make(order, by.text(), now)?;
        let id = new.id;
        let limits = &self.settings.limits;
        match self.store.insert_own_token(new, limits.max_per_owner, tell).await? {
            Insertion::NameTaken => Err(Refused::NameTaken),
            Insertion::TooMany => Err(Refused::TooMany),
            Insertion::Stored => Ok(Issued { token: self.get(id).await?, secret }),
        }
    }

    /// Puts a new token of the same power in the place of one, which lives on for `overlap`.
    ///
    /// # Errors
    /// [`Refused`], and nothing was changed.
    pub async fn rotate(&self, id: TokenId, overlap: Duration, by: &By) -> Result<Issued, Refused> {
        let now = self.clock.now();
        let old = self.get(id).await?;
        by.may_change(&old)?;
        // Its own bearer may renew a token, never lengthen its life.
        let lives_for = old.expires_at.map(|end| end.since(old.created_at));
        let expires_at = match by {
            By::Token(_) => old.expires_at,
            By::Operator(_) | By::Owner(_) => lives_for.map(|span| now.plus(span)),
        };
        if old.is_dead(now) {
            return Err(Refused::Dead);
        }
        let credential = match old.kind {
            OwnTokenKind::Magic => Some(self.store.open_own(&old)?),
            OwnTokenKind::Key | OwnTokenKind::Macaroon | OwnTokenKind::Pat => None,
        };
        let magic = credential.zip(old.upstream.clone()).map(|(credential, upstream)| Magic {
            upstream,
            policy: old.policy.clone().unwrap_or(Json::Null),
            credential,
        });
        // A window is renewed with the life of the token; every other caveat is carried over.
        let caveats = old.caveats.iter().filter_map(|text| Caveat::read(text.as_bytes()).ok());
        let caveats = caveats.filter(|caveat| !matches!(caveat, Caveat::Expiration { .. })).collect();
        let order = Order {
            scopes: old.scopes.clone(),
            organisations: old.organisations.clone(),
            projects: if old.kind == OwnTokenKind::Macaroon { Vec::new() } else { old.projects.clone() },
            caveats,
            expires: expires_at.map_or(Expires::Never, Expires::At),
            canary: old.canary,
            magic,
            additional: old.additional.clone(),
            ..Order::new(old.kind, old.owner_id, old.name.clone())
        };
        let (mut new, secret) = self.make(order, by.text(), now)?;
        new.projects.clone_from(&old.projects);
        let (id, ends_at) = (new.id, now.plus(overlap));
        match self.store.rotate_own_token(old.id, ends_at, new, Some(TokenOccasion::Created)).await? {
            Rotation::Already(successor) => Err(Refused::RotatedBefore(successor)),
            Rotation::Dead => Err(Refused::Dead),
            Rotation::Done => Ok(Issued { token: self.get(id).await?, secret }),
        }
    }

    /// Renames a token or takes power from it.
    ///
    /// # Errors
    /// [`Refused`], and nothing was changed.
    pub async fn narrow(&self, id: TokenId, narrowing: Narrowing, by: &By) -> Result<OwnToken, Refused> {
        let token = self.get(id).await?;
        by.may_change(&token)?;
        if let Some(name) = &narrowing.name {
            named(name)?;
        }
        if !narrowing.caveats.is_empty() && token.kind != OwnTokenKind::Macaroon {
            return Err(Refused::BadOrder("only a macaroon has caveats".into()));
        }
        for text in &narrowing.caveats {
            Caveat::read(text.as_bytes()).map_err(|bad| Refused::BadOrder(bad.to_string()))?;
        }
        Ok(self.store.narrow_own_token(id, narrowing, Changing { by: by.text() }).await?)
    }

    /// Kills a token for ever; true if this call did it.
    ///
    /// # Errors
    /// [`Refused::NotFound`] for a token that is not theirs as well.
    pub async fn revoke(&self, id: TokenId, reason: &str, by: &By) -> Result<bool, Refused> {
        let token = self.get(id).await?;
        by.may_change(&token)?;
        let revoking = Revoking { by: by.text(), reason: reason.to_owned(), incident_id: None };
        Ok(self.store.revoke_own_token(id, revoking).await?)
    }

    /// Denies a point of a macaroon's chain, and with it every token below; true if this call did it.
    ///
    /// # Errors
    /// [`Refused::NotFound`] for a token that is not theirs as well.
    pub async fn revoke_branch(&self, id: TokenId, point: [u8; 32], reason: &str, by: &By) -> Result<bool, Refused> {
        by.may_change(&self.get(id).await?)?;
        let branch =
            Branch { sha256: point, token_id: id, by: by.text(), reason: reason.to_owned(), incident_id: None };
        Ok(self.store.deny_branch(branch).await?)
    }

    /// Sets a token aside or takes it back.
    ///
    /// # Errors
    /// [`Refused::Dead`] for a revoked one.
    pub async fn suspend(&self, id: TokenId, suspended: bool, by: &By) -> Result<(), Refused> {
        by.may_change(&self.get(id).await?)?;
        // Whoever holds a token that was set aside must not free it with another one.
        if !suspended && matches!(by, By::Token(_)) {
            return Err(Refused::Forbidden("a token frees no token"));
        }
        let changed = self.store.suspend_own_token(id, suspended, Changing { by: by.text() }).await?;
        if changed { Ok(()) } else { Err(Refused::Dead) }
    }

    pub async fn get(&self, id: TokenId) -> Result<OwnToken, Refused> {
        self.store.own_token(id).await?.ok_or(Refused::NotFound)
    }
}
