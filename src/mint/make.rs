//! Making: the record and the text of a token that may be handed out.

use rand::TryRng as _;
use rand::rngs::SysRng;
use serde_json::Value as Json;

use super::order::{Expires, Magic, Order, Refused};
use super::{Mint, macaroon, pat};
use crate::clock::Timestamp;
use crate::id::TokenId;
use crate::store::{NewOwnToken, OwnTokenKind};
use crate::token::Secret;
use crate::token::caveat::Caveat;
use crate::token::macaroon::Macaroon;
use crate::token::pat::Mark;

impl Mint {
    /// The record and the secret of a token.
    pub(super) fn make(
        &self,
        order: Order,
        created_by: String,
        now: Timestamp,
    ) -> Result<(NewOwnToken, Secret), Refused> {
        let id = TokenId::generate(now);
        let expires_at = match order.expires {
            Expires::At(at) => Some(at),
            Expires::ByDefault | Expires::Never => None,
        };
        let mark = match order.kind {
            OwnTokenKind::Macaroon => return self.macaroon(order, id, expires_at, created_by),
            OwnTokenKind::Key => Mark::Key,
            OwnTokenKind::Magic => Mark::Magic,
            OwnTokenKind::Pat => Mark::Pat,
        };
        let minted = pat::mint_marked(&self.settings.prefix, mark, &mut SysRng)?;
        let (policy, upstream, sealed) = match order.magic {
            Some(Magic { upstream, policy, credential }) => (Some(policy), Some(upstream), Some(credential)),
            None => (None, None, None),
        };
        let new = NewOwnToken {
            prefix: format!("{}_{}_", self.settings.prefix.as_str(), mark.word()),
            hint: minted.hint,
            scopes: order.scopes,
            projects: order.projects,
            organisations: order.organisations,
            not_before: order.not_before,
            expires_at,
            created_by,
            canary: order.canary,
            policy,
            upstream,
            additional: order.additional,
            sealed,
            ..NewOwnToken::new(id, order.kind, order.owner_id, order.name, minted.sha256)
        };
        Ok((new, minted.secret))
    }

    fn macaroon(
        &self,
        order: Order,
        id: TokenId,
        expires_at: Option<Timestamp>,
        created_by: String,
    ) -> Result<(NewOwnToken, Secret), Refused> {
        let mut caveats = Vec::new();
        if let Some(end) = expires_at {
            // Whole seconds are all a caveat knows; the record keeps the exact end.
            let expires_at = end.as_millis().saturating_add(999) / 1_000;
            let not_before = order.not_before.map_or(0, |start| start.as_millis().div_euclid(1_000));
            caveats.push(Caveat::Expiration { expires_at, not_before });
        }
        if !order.projects.is_empty() {
            caveats.push(Caveat::ProjectNames(order.projects.clone()));
        }
        if !order.project_ids.is_empty() {
            caveats.push(Caveat::ProjectIds(order.project_ids));
        }
        caveats.extend(order.caveats);
        let user = Caveat::RequestUser(order.owner_id.uuid().hyphenated().to_string());
        // A macaroon without any restriction is a mistake waiting to be made: it is at least its owner's.
        if !caveats.iter().any(|caveat| !matches!(caveat, Caveat::Expiration { .. })) {
            caveats.push(user);
        }
        let mut root_key = vec![0_u8; macaroon::ROOT_KEY_LEN];
        SysRng.try_fill_bytes(&mut root_key).map_err(|error| Refused::Unavailable(Box::new(error)))?;
        let root_key = Secret::new(root_key);
        let identifier = macaroon::identifier(id);
        let mut minted = Macaroon::mint(&root_key, identifier.as_bytes(), self.settings.location.as_bytes());
        let texts: Vec<String> = caveats.iter().map(Caveat::write).collect::<Result<_, _>>()?;
        for text in &texts {
            minted.add(text.as_bytes());
        }
        let mut additional = order.additional;
        if let Json::Object(facts) = &mut additional {
            facts.insert(macaroon::EMBEDDED.into(), texts.len().into());
        }
        let new = NewOwnToken {
            prefix: format!("{}-", self.settings.macaroon_prefix),
            scopes: order.scopes,
            caveats: texts,
            projects: order.projects,
            organisations: order.organisations,
            not_before: order.not_before,
            expires_at,
            created_by,
            canary: order.canary,
            additional,
            sealed: Some(root_key),
            ..NewOwnToken::new(id, order.kind, order.owner_id, order.name, macaroon::lookup(identifier.as_bytes()))
        };
        Ok((new, minted.text(&self.settings.macaroon_prefix)))
    }
}
