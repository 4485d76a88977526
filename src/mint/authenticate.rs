//! Knowing a token again: from the text that is shown to its record, or a refusal.
//!
//! Expired, revoked and never issued look the same to whoever asks in general (RFC 6750 section 3.1 has one word,
//! `invalid_token`, for all of them), and cost the same: one look-up by a hash. The [`Reason`] is for routes that owe
//! their clients PyPI's words, and for logs. A text whose checksum does not fit, or that is no macaroon in its one
//! spelling, costs no look-up: that it does not fit anybody can compute.
//!
//! The order is PyPI's: the text is read, the record is found, the signatures are checked, the record must live, every
//! caveat must hold. A caveat never grants anything.

use std::net::IpAddr;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::known::{Cache, Known};
use super::usage::Uses;
use super::{Mint, Settings, macaroon, text_sha256};
use crate::clock::{Clock, Timestamp};
use crate::store::{self, OwnToken, OwnTokenKind, OwnTokenState, Store, TokenOccasion};
use crate::token::caveat::{Caveat, Context, Project, Publisher, violations};
use crate::token::macaroon::read_strictly;
use crate::token::{Secret, pat};

/// Tells who shows a token. Cheap to clone.
#[derive(Clone)]
pub struct Authenticator {
    store: Store,
    settings: Arc<Settings>,
    clock: Clock,
    cache: Arc<Cache>,
    uses: Uses,
    tasks: TaskTracker,
}

/// What is asked for with the token. A restriction that speaks of something that is not said here does not hold.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    pub project: Option<Project<'a>>,
    pub organisation: Option<&'a str>,
    pub publisher: Option<Publisher<'a>>,
    pub method: Option<&'a str>,
    /// Without query, in the one spelling that the program itself acts on.
    pub path: Option<&'a str>,
    pub address: Option<IpAddr>,
    /// The service that is asked.
    pub audience: Option<&'a str>,
}

/// A token that is accepted for a request.
#[derive(Clone)]
pub struct Authenticated {
    known: Arc<Known>,
}

/// Nobody was authenticated.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No credential, or one of a scheme that is not for tokens.
    #[error("no token was shown")]
    Absent,
    /// A token that is not accepted.
    #[error("the token is not accepted")]
    Invalid(Reason),
    /// We could not look it up. Not the caller's fault, and no statement about the token.
    #[error("tokens cannot be looked up now")]
    Unavailable(#[source] store::Error),
}

/// Why a token is not accepted. [`Reason::text`] may be shown where that is the custom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A restriction of the token does not hold: the token lives and was proved, it may not do this.
    Caveats(String),
    /// A point of its chain is denied.
    Denied,
    Early,
    Expired,
    /// No text of a token of ours.
    Malformed,
    Revoked,
    /// A macaroon that names a token of ours and was not signed by us.
    Signature,
    Suspended,
    Unknown,
}

impl Reason {
    /// PyPI's words where it has some.
    pub fn text(&self) -> &str {
        match self {
            Self::Caveats(why) => why,
            Self::Denied | Self::Revoked => "token has been revoked",
            Self::Early => "token is not valid yet",
            Self::Expired => "token is expired",
            Self::Malformed => "malformed or nonexistent macaroon",
            Self::Signature => "signatures do not match",
            Self::Suspended => "token is suspended",
            Self::Unknown => "deleted or nonexistent macaroon",
        }
    }

    /// Whether the token itself is good and only this request is not its business (RFC 6750: `insufficient_scope`).
    pub fn is_about_the_request(&self) -> bool {
        matches!(self, Self::Caveats(_))
    }
}

impl Authenticated {
    pub fn token(&self) -> &OwnToken {
        &self.known.token
    }

    pub fn kind(&self) -> OwnTokenKind {
        self.known.token.kind
    }

    pub fn has_scope(&self, scope: &str) -> bool {
        self.known.token.scopes.iter().any(|each| each == scope)
    }

    /// Whether a bearer narrowed it after it was issued.
    pub fn is_attenuated(&self) -> bool {
        self.known.is_attenuated()
    }

    /// The point of a macaroon's chain at which this very token stands; denying it leaves its parent alive.
    pub fn point(&self) -> Option<[u8; 32]> {
        self.known.point
    }

    /// Every restriction that it carries or that its issuer put on it.
    pub fn caveats(&self) -> impl Iterator<Item = &Caveat> {
        self.known.caveats.iter().filter_map(|caveat| caveat.as_ref().ok())
    }
}

impl Authenticator {
    pub fn new(store: Store, settings: Settings, clock: Clock) -> Self {
        let cache = Arc::new(Cache::new(settings.cache_for));
        let uses = Uses::new(store.clone());
        Self { store, settings: Arc::new(settings), clock, cache, uses, tasks: TaskTracker::new() }
    }

    /// What hands out the tokens that are known here.
    pub fn mint(&self) -> Mint {
        Mint::new(self.store.clone(), Settings::clone(&self.settings), self.clock.clone())
    }

    /// Reads the value of an `Authorization` header, `Bearer …` or `token …`, and checks its token.
    ///
    /// # Errors
    /// [`Refusal::Absent`] if there is no token in it, else as [`Self::authenticate`].
    pub async fn authenticate_header(
        &self,
        authorization: &[u8],
        request: &Request<'_>,
    ) -> Result<Authenticated, Refusal> {
        let shown = credential(authorization).ok_or(Refusal::Absent)?;
        self.authenticate(&shown, request).await
    }

    /// Checks a token of any kind for a request, and notes that it was used.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] for every token that is not accepted.
    pub async fn authenticate(&self, shown: &Secret, request: &Request<'_>) -> Result<Authenticated, Refusal> {
        let known = self.know(shown).await?;
        let now = self.clock.now();
        let judged = self.judge(&known, request, now).await?;
        if let Some(reason) = judged {
            return Err(Refusal::Invalid(reason));
        }
        let token = &known.token;
        known.count();
        self.uses.note(token.id, now, request.address, token.first_used_at.is_none());
        Ok(Authenticated { known })
    }

    /// Checks a token as [`Self::authenticate`] does and leaves no trace: no use is noted, no nonce used up, no alarm
    /// set off. For introspection.
    ///
    /// # Errors
    /// As [`Self::authenticate`].
    pub async fn inspect(&self, shown: &Secret, request: &Request<'_>) -> Result<Authenticated, Refusal> {
        let known = self.know(shown).await?;
        match refuses(&known, request, self.clock.now()) {
            Ok(_) => Ok(Authenticated { known }),
            Err(reason) => Err(Refusal::Invalid(reason)),
        }
    }

    /// Waits until every use that was seen is written; for the end of the process.
    pub async fn close(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.uses.close().await;
    }

    /// The record of a token whose text, or whose signatures, prove that its bearer has it.
    async fn know(&self, shown: &Secret) -> Result<Arc<Known>, Refusal> {
        let sha256 = text_sha256(shown);
        // Read before the database is: a change in between makes the entry worthless, not wrong.
        let changes = self.store.token_changes();
        if let Some(known) = self.cache.find(&sha256, changes) {
            return Ok(known);
        }
        let known = match self.settings.reads_as(shown) {
            Shape::Broken => return Err(Refusal::Invalid(Reason::Malformed)),
            Shape::Macaroon => self.macaroon(shown).await?,
            Shape::Old => self.old(shown, sha256).await?,
            Shape::Whole => self.whole(sha256).await?,
        };
        let known = Arc::new(known);
        self.cache.keep(sha256, Arc::clone(&known), changes);
        Ok(known)
    }

    async fn whole(&self, sha256: [u8; 32]) -> Result<Known, Refusal> {
        let token = self.find(sha256).await?;
        // A macaroon is looked up by its name, which opens nothing.
        let token = token.filter(|token| token.kind != OwnTokenKind::Macaroon);
        // What the configuration brought along goes with it.
        let token =
            token.filter(|token| token.created_by != CONFIGURED || self.settings.configured_keys.contains(&sha256));
        let token = token.filter(|token| self.settings.old_keys.stand_for(token));
        let token = token.ok_or(Refusal::Invalid(Reason::Unknown))?;
        Ok(Known { token, caveats: Vec::new(), point: None, embedded: 0, carried: 0, denied: false })
    }

    /// A token that another program gave out gets its record when it is first shown.
    async fn old(&self, shown: &Secret, sha256: [u8; 32]) -> Result<Known, Refusal> {
        match self.whole(sha256).await {
            Err(Refusal::Invalid(Reason::Unknown)) => {}
            found => return found,
        }
        let adopted = self.settings.old_keys.adopt(shown, &self.store, self.clock.now()).await;
        if adopted.map_err(Refusal::Unavailable)? {
            self.whole(sha256).await
        } else {
            Err(Refusal::Invalid(Reason::Unknown))
        }
    }

    async fn macaroon(&self, shown: &Secret) -> Result<Known, Refusal> {
        let invalid = |reason| Err(Refusal::Invalid(reason));
        let Some(shown) = read_strictly(&self.settings.macaroon_prefix, shown.expose()) else {
            return invalid(Reason::Malformed);
        };
        // The location is not signed: another one would be another text of the same token.
        if shown.location.as_ref().is_none_or(|location| location.as_slice() != self.settings.location.as_bytes()) {
            return invalid(Reason::Malformed);
        }
        let Some(token) = self.find(macaroon::lookup(&shown.identifier)).await? else {
            return invalid(Reason::Unknown);
        };
        if token.kind != OwnTokenKind::Macaroon {
            return invalid(Reason::Unknown);
        }
        let root_key = self.store.open_own(&token).map_err(Refusal::Unavailable)?;
        let Some(verified) = macaroon::verify(&root_key, &shown) else { return invalid(Reason::Signature) };
        let denied = self.store.denied_branches(&verified.points).await.map_err(Refusal::Unavailable)?;
        let issued = token.caveats.iter().map(|text| Caveat::read(text.as_bytes()));
        let mut caveats = verified.caveats;
        let (embedded, carried) = (macaroon::embedded(&token), caveats.len());
        caveats.extend(issued);
        let point = verified.points.last().copied();
        Ok(Known { token, caveats, point, embedded, carried, denied: !denied.is_empty() })
    }

    async fn find(&self, sha256: [u8; 32]) -> Result<Option<OwnToken>, Refusal> {
        let found = self.store.own_tokens_by_hash(&[sha256]).await.map_err(Refusal::Unavailable)?;
        Ok(found.into_iter().next().flatten())
    }

    /// Why the token is not accepted; none if it is, and then its nonces are used up.
    async fn judge(&self, known: &Known, request: &Request<'_>, now: Timestamp) -> Result<Option<Reason>, Refusal> {
        let nonces = match refuses(known, request, now) {
            Ok(nonces) => nonces,
            Err(reason) => {
                if known.token.canary {
                    self.raise_alarm(known, request);
                }
                return Ok(Some(reason));
            }
        };
        for nonce in nonces {
            let sha256 = Sha256::digest(nonce).into();
            if !self.store.use_nonce(known.token.id, sha256).await.map_err(Refusal::Unavailable)? {
                return Ok(Some(Reason::Caveats("one-time token was used before".into())));
            }
        }
        Ok(None)
    }

    /// Beside the answer, so that a canary takes no longer than an unknown token.
    fn raise_alarm(&self, known: &Known, request: &Request<'_>) {
        let (store, id) = (self.store.clone(), known.token.id);
        let detail = serde_json::json!({ "address": request.address, "path": request.path });
        warn!(token.id = %id, "canary token {id} was shown");
        self.uses.note(id, self.clock.now(), request.address, known.token.first_used_at.is_none());
        self.tasks.spawn(async move {
            if let Err(error) = store.queue_token_notice(id, TokenOccasion::CanaryUsed, detail).await {
                let failure: &(dyn std::error::Error + 'static) = &error;
                warn!(token.id = %id, failure, "the alarm of canary token {id} was not stored");
            }
        });
    }
}

/// Who made the tokens that the configuration names.
pub const CONFIGURED: &str = "configuration";

/// The nonces that accepting it uses up, or why it is not accepted.
fn refuses<'k>(known: &'k Known, request: &Request<'_>, now: Timestamp) -> Result<Vec<&'k str>, Reason> {
    let token = &known.token;
    match token.state(now) {
        OwnTokenState::Active => {}
        OwnTokenState::Early => return Err(Reason::Early),
        OwnTokenState::Expired => return Err(Reason::Expired),
        OwnTokenState::Revoked => return Err(Reason::Revoked),
        OwnTokenState::Suspended => return Err(Reason::Suspended),
    }
    if known.denied {
        return Err(Reason::Denied);
    }
    // A canary is as dead as a token that was never issued, to all appearance.
    if token.canary {
        return Err(Reason::Unknown);
    }
    let user = token.owner_id.uuid().hyphenated().to_string();
    let context = Context {
        now,
        user: Some(&user),
        project: request.project,
        publisher: request.publisher,
        method: request.method,
        path: request.path,
        address: request.address,
        audience: request.audience,
    };
    let nonces = violations(&known.caveats, &context).map_err(|violation| Reason::Caveats(violation.to_string()))?;
    // What a macaroon's caveats say, the other kinds have in their record.
    if token.kind != OwnTokenKind::Macaroon && !token.projects.is_empty() {
        let projects = Caveat::ProjectNames(token.projects.clone());
        projects.check(&context).map_err(|violation| Reason::Caveats(violation.to_string()))?;
    }
    if let Some(asked) = request.organisation
        && !token.organisations.is_empty()
        && !token.organisations.iter().any(|each| each == asked)
    {
        return Err(Reason::Caveats("token is not valid for this organisation".into()));
    }
    Ok(nonces)
}

/// What a text can be before anybody is asked.
enum Shape {
    /// Ours by its beginning, and yet none of ours.
    Broken,
    Macaroon,
    /// Looked up likewise, and perhaps of another program whose key we have.
    Old,
    /// Looked up by the hash of all of it.
    Whole,
}

impl Settings {
    fn reads_as(&self, shown: &Secret) -> Shape {
        let text = shown.expose();
        if text.strip_prefix(self.macaroon_prefix.as_bytes()).is_some_and(|rest| rest.starts_with(b"-")) {
            return Shape::Macaroon;
        }
        match pat::Mark::of(self.prefix.as_str(), text) {
            // Of another length it may be one that another program made under the same prefix.
            Some(mark) if self.has_foreign && text.len() != pat::len(self.prefix.as_str(), mark) => Shape::Whole,
            Some(mark) if !pat::check_marked(self.prefix.as_str(), mark, text) => Shape::Broken,
            None if self.old_keys.could_be(text) => Shape::Old,
            _ => Shape::Whole,
        }
    }
}

/// The token of `Bearer …` (RFC 6750) or `token …` (what GitHub's and many registries' clients send).
fn credential(authorization: &[u8]) -> Option<Secret> {
    let space = authorization.iter().position(|byte| *byte == b' ')?;
    let (scheme, rest) = authorization.split_at(space);
    // Schemes are case-insensitive (RFC 9110 section 11.1).
    let ours = scheme.eq_ignore_ascii_case(b"bearer") || scheme.eq_ignore_ascii_case(b"token");
    ours.then(|| Secret::new(rest.trim_ascii().to_vec())).filter(|secret| !secret.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_schemes_are_read_in_any_case() {
        for value in ["Bearer abc", "bearer abc", "BEARER   abc ", "token abc", "Token abc"] {
            let shown = credential(value.as_bytes()).expect(value);
            assert_eq!(shown.expose(), b"abc", "{value}");
        }
    }

    #[test]
    fn what_is_no_token_is_absent() {
        for value in ["", "Bearer", "Bearer ", "token  ", "Basic abc", "Bearerabc", "abc"] {
            assert!(credential(value.as_bytes()).is_none(), "{value}");
        }
    }
}
