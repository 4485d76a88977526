//! The built-in issuer: our own tokens table.
//!
//! Local, so it can be asked before a delivery is answered: many questions are one query. Asking is no use of a token,
//! so nothing about its last use changes. A record is never deleted: a token that is reported years after its end is
//! still known as dead, not as never issued.
//!
//! A leaked macaroon is found by its identifier, in any spelling, and then proved: if our root key did not sign it, the
//! identifier leaked and the token did not, and anybody who read a log could have made it up. By default nothing is
//! revoked for that ([`ForgedMacaroon`]). What leaks is usually a child that was narrowed for one job; a policy kills
//! the child alone and leaves its parent and siblings alive ([`LeakedChild`]).

use std::collections::HashSet;

use tracing::warn;

use super::{Answer, Issuer, Locality, Question, Revocation, metrics};
use crate::clock::{Clock, Timestamp};
use crate::incident::{IssuedToken, IssuerName, Owner, Unknown, Verdict};
use crate::mint::{OldKeys, legacy, macaroon as own, text_sha256};
use crate::store::{self, Branch, OwnToken, OwnTokenKind, Revoking, Store};
use crate::token::caveat::Caveat;
use crate::token::macaroon::{self, Macaroon};

/// The built-in issuer's name in the configuration, in the database and in metrics.
pub const NAME: &str = "builtin";

/// What a token's record says about its end.
const REASON: &str = "leaked";

pub struct Builtin {
    name: IssuerName,
    store: Store,
    policy: Policy,
    old_keys: OldKeys,
    clock: Clock,
}

/// What a leak means for macaroons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    pub leaked_child: LeakedChild,
    pub forged: ForgedMacaroon,
}

/// What is killed if a macaroon leaks that its bearer had narrowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LeakedChild {
    /// What leaked and all that was made of it; its parent and its siblings live.
    Branch,
    /// The token as it was issued, with all that was made of it.
    #[default]
    Token,
}

/// What is done about a macaroon with one of our identifiers that we did not sign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForgedMacaroon {
    /// Recorded; nothing is revoked.
    #[default]
    Record,
    /// The token with that identifier is revoked, as PyPI does.
    Revoke,
}

/// Why no copy was denied.
#[derive(Debug, thiserror::Error)]
pub enum NoCopy {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("it is no token of the built-in issuer")]
    Stranger,
    #[error("what leaked is the token as it was issued and no narrowed copy of it")]
    Whole,
}

/// What a leaked text turned out to be.
enum Leak {
    Forged(OwnToken),
    /// It is ours; the point of a macaroon's chain and whether it is denied.
    Ours {
        token: OwnToken,
        child: Option<Child>,
        dead: bool,
    },
    Stranger,
}

/// A macaroon that a bearer narrowed.
#[derive(Clone, Copy)]
struct Child {
    point: [u8; 32],
}

impl Builtin {
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { name: IssuerName::new(NAME), store, policy: Policy::default(), old_keys: OldKeys::default(), clock }
    }

    pub fn with_policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Knows the tokens that magic-api-proxy signed with these keys as well, though nobody has shown them yet.
    pub fn with_old_keys(mut self, old_keys: OldKeys) -> Self {
        self.old_keys = old_keys;
        self
    }

    async fn judge(&self, questions: &[Question<'_>]) -> Vec<Verdict> {
        match self.find(questions).await {
            Ok(leaks) => leaks.into_iter().map(verdict).collect(),
            Err(error) => questions.iter().map(|_| Verdict::Unknown(unavailable(&error))).collect(),
        }
    }

    /// Kills the narrowed macaroon that leaked with all that was made of it, whatever the policy says; what it was made
    /// of lives. Again, it does nothing more. Returns the copy as the issuer calls it.
    ///
    /// # Errors
    /// When it is no narrowed copy of a token of ours.
    pub async fn deny_copy(&self, question: &Question<'_>, by: String, reason: String) -> Result<IssuedToken, NoCopy> {
        let shown = as_macaroon(question).ok_or(NoCopy::Whole)?;
        let token = self.store.own_tokens_by_hash(&[own::lookup(&shown.identifier)]).await?.pop().flatten();
        let token = token.filter(|token| token.kind == OwnTokenKind::Macaroon).ok_or(NoCopy::Stranger)?;
        let verified = own::verify(&self.store.open_own(&token)?, &shown).ok_or(NoCopy::Stranger)?;
        let point = verified.points.last().filter(|_| verified.caveats.len() > own::embedded(&token));
        let point = *point.ok_or(NoCopy::Whole)?;
        let (token_id, incident_id) = (token.id, question.incident_id);
        self.store.deny_branch(Branch { sha256: point, token_id, by, reason, incident_id }).await?;
        Ok(issued(token, Some(Child { point })))
    }

    async fn kill(&self, question: Question<'_>) -> Result<Revocation, store::Error> {
        let questions = [question];
        let (token, child) = match self.find(&questions).await?.pop() {
            Some(Leak::Ours { token, child, dead: false }) => (token, child),
            Some(Leak::Ours { token, child, dead: true }) => return self.died_by(&questions[0], &token, child).await,
            Some(Leak::Forged(_) | Leak::Stranger) | None => return Ok(Revocation::NotOurs),
        };
        let [question] = &questions;
        let by = question.incident_id.map_or_else(|| "system".into(), |id| format!("incident:{id}"));
        let (reason, incident_id) = (REASON.to_owned(), question.incident_id);
        let ours = match child {
            Some(Child { point }) => {
                let branch = Branch { sha256: point, token_id: token.id, by, reason, incident_id };
                self.store.deny_branch(branch).await?
            }
            None => self.store.revoke_own_token(token.id, Revoking { by, reason, incident_id }).await?,
        };
        match self.find(&questions).await?.pop() {
            Some(Leak::Ours { dead: true, .. }) if ours => Ok(Revocation::Confirmed),
            Some(Leak::Ours { token, child, dead: true }) => self.died_by(&questions[0], &token, child).await,
            Some(Leak::Ours { dead: false, .. }) => {
                let why = "the token still lives after its revocation".into();
                Ok(Revocation::Unknown(Unknown::Contradictory { why }))
            }
            Some(Leak::Forged(_) | Leak::Stranger) | None => Ok(Revocation::NotOurs),
        }
    }

    /// A worker that died between killing the token and recording it finds its own work, not another hand's.
    async fn died_by(
        &self,
        question: &Question<'_>,
        token: &OwnToken,
        child: Option<Child>,
    ) -> Result<Revocation, store::Error> {
        let ours = question.incident_id.is_some();
        if ours && token.incident_id == question.incident_id {
            return Ok(Revocation::Confirmed);
        }
        // A person may have denied the leaked copy alone although the policy would have the whole token die.
        let denied = match child {
            Some(Child { point }) => self.store.denied_branches(&[point]).await?,
            None if token.kind == OwnTokenKind::Macaroon => self.store.denied_branches_of(token.id).await?,
            None => Vec::new(),
        };
        if ours && denied.iter().any(|branch| branch.incident_id == question.incident_id) {
            return Ok(Revocation::Confirmed);
        }
        Ok(Revocation::AlreadyDead)
    }

    /// What the texts are, in two queries at most.
    async fn find(&self, questions: &[Question<'_>]) -> Result<Vec<Leak>, store::Error> {
        let shown: Vec<Option<Macaroon>> = questions.iter().map(as_macaroon).collect();
        let lookup = |(question, shown): (&Question<'_>, &Option<Macaroon>)| match shown {
            Some(shown) => own::lookup(&shown.identifier),
            None => text_sha256(question.secret),
        };
        let mut lookups: Vec<_> = questions.iter().zip(&shown).map(lookup).collect();
        let now = self.clock.now();
        for (question, lookup) in questions.iter().zip(&mut lookups) {
            if let Some(sha256) = self.old(question, now).await? {
                *lookup = sha256;
            }
        }
        let mut leaks = Vec::with_capacity(questions.len());
        let mut chains: Vec<(usize, Vec<[u8; 32]>)> = Vec::new();
        for (at, (token, shown)) in self.store.own_tokens_by_hash(&lookups).await?.into_iter().zip(&shown).enumerate() {
            let leak = match (token, shown) {
                (Some(token), Some(shown)) if token.kind == OwnTokenKind::Macaroon => {
                    self.prove(token, shown, now, at, &mut chains)?
                }
                (Some(token), None) if token.kind != OwnTokenKind::Macaroon => {
                    let dead = token.is_dead(now);
                    Leak::Ours { token, child: None, dead }
                }
                _ => Leak::Stranger,
            };
            leaks.push(leak);
        }
        let points: Vec<[u8; 32]> = chains.iter().flat_map(|(_, points)| points.iter().copied()).collect();
        if !points.is_empty() {
            let denied: HashSet<String> =
                self.store.denied_branches(&points).await?.into_iter().map(|branch| branch.sha256).collect();
            for (at, points) in &chains {
                if let Some(Leak::Ours { dead, .. }) = leaks.get_mut(*at) {
                    *dead |= points.iter().any(|point| denied.contains(&hex(point)));
                }
            }
        }
        Ok(leaks)
    }

    /// What a token of magic-api-proxy is looked up by, after it got its record if it is one.
    async fn old(&self, question: &Question<'_>, now: Timestamp) -> Result<Option<[u8; 32]>, store::Error> {
        if self.old_keys.is_empty() || !legacy::KINDS.contains(&question.kind.as_str()) {
            return Ok(None);
        }
        let Some(secret) = legacy::spelled(question.secret) else { return Ok(None) };
        let sha256 = text_sha256(&secret);
        if self.store.own_tokens_by_hash(&[sha256]).await?.pop().flatten().is_none() {
            self.old_keys.adopt(&secret, &self.store, now).await?;
        }
        Ok(Some(sha256))
    }

    fn prove(
        &self,
        token: OwnToken,
        shown: &Macaroon,
        now: Timestamp,
        at: usize,
        chains: &mut Vec<(usize, Vec<[u8; 32]>)>,
    ) -> Result<Leak, store::Error> {
        let root_key = self.store.open_own(&token)?;
        let Some(verified) = own::verify(&root_key, shown) else {
            return Ok(match self.policy.forged {
                ForgedMacaroon::Record => Leak::Forged(token),
                ForgedMacaroon::Revoke => {
                    let dead = token.is_dead(now);
                    Leak::Ours { token, child: None, dead }
                }
            });
        };
        let narrowed = verified.caveats.len() > own::embedded(&token);
        let child = match (self.policy.leaked_child, verified.points.last()) {
            (LeakedChild::Branch, Some(point)) if narrowed => Some(Child { point: *point }),
            _ => None,
        };
        // A bearer cannot take a caveat away: what leaked after its own end opens nothing, nor does its parent leak.
        let over = verified.caveats.iter().any(|caveat| {
            matches!(caveat, Ok(Caveat::Expiration { expires_at, .. })
                if i128::from(*expires_at) * 1_000 <= i128::from(now.as_millis()))
        });
        let dead = token.is_dead(now) || over;
        chains.push((at, verified.points));
        Ok(Leak::Ours { token, child, dead })
    }
}

impl Issuer for Builtin {
    fn name(&self) -> &IssuerName {
        &self.name
    }

    fn locality(&self) -> Locality {
        Locality::Local
    }

    fn verify<'a>(&'a self, questions: &'a [Question<'a>]) -> Answer<'a, Vec<Verdict>> {
        Box::pin(async move {
            let started_at = self.clock.now();
            let verdicts = self.judge(questions).await;
            let took = self.clock.now().since(started_at);
            for verdict in &verdicts {
                metrics::verified(&self.name, verdict, took);
            }
            verdicts
        })
    }

    fn revoke<'a>(&'a self, question: Question<'a>) -> Answer<'a, Revocation> {
        Box::pin(async move {
            let started_at = self.clock.now();
            let revocation = self.kill(question).await.unwrap_or_else(|error| Revocation::Unknown(unavailable(&error)));
            metrics::revoked(&self.name, &revocation, self.clock.now().since(started_at));
            revocation
        })
    }

    fn check(&self) -> Answer<'_, Result<String, String>> {
        Box::pin(async move {
            match self.store.ping().await {
                Ok(()) => Ok("keeps its tokens in our own database".into()),
                Err(error) => Err(error.to_string()),
            }
        })
    }
}

fn verdict(leak: Leak) -> Verdict {
    match leak {
        Leak::Forged(token) => Verdict::Forged(issued(token, None)),
        Leak::Ours { token, child, dead: true } => Verdict::Dead(Some(issued(token, child))),
        Leak::Ours { token, child, dead: false } => Verdict::Live(issued(token, child)),
        Leak::Stranger => Verdict::NotOurs,
    }
}

/// The macaroon in a leaked text, in any spelling.
fn as_macaroon(question: &Question<'_>) -> Option<Macaroon> {
    let is_one = question.kind.as_str() == macaroon::KIND;
    macaroon::find(question.secret.expose()).filter(|_| is_one).map(|found| found.macaroon)
}

fn issued(token: OwnToken, child: Option<Child>) -> IssuedToken {
    // A child is a token of its own to whoever kills it: one revocation of it must not pass for its parent's.
    let (id, name) = match child {
        Some(Child { point }) => {
            (format!("{}/{}", token.id, &hex(&point)[..16]), format!("{} (a narrowed copy)", token.name))
        }
        None => (token.id.to_string(), token.name),
    };
    IssuedToken {
        id,
        name: Some(name),
        owner: Some(Owner {
            id: Some(token.owner_id.to_string()),
            name: Some(token.owner_name),
            email: Some(token.owner_email),
            others: Vec::new(),
        }),
        created_at: Some(token.created_at),
        last_used_at: token.last_used_at,
        last_used_from: token.last_used_from,
        expires_at: token.expires_at,
        scopes: token.scopes,
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Whatever keeps our own database from answering: no statement about the token.
fn unavailable(error: &store::Error) -> Unknown {
    warn!(error = error as &dyn std::error::Error, "the built-in issuer cannot read its tokens: {error}");
    Unknown::Unavailable { why: error.to_string() }
}
