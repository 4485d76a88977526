//! The built-in issuer: our own tokens table.
//!
//! Local, so it can be asked before a delivery is answered: many questions are one query. Asking is no use of a token,
//! so nothing about its last use changes. A record is never deleted: a token that is reported years after its end is
//! still known as dead, not as never issued.

use tracing::warn;

use super::{Answer, Issuer, Locality, Question, Revocation, metrics};
use crate::clock::Clock;
use crate::incident::{IssuedToken, IssuerName, Owner, Unknown, Verdict};
use crate::mint::pat;
use crate::store::{self, OwnToken, OwnTokenState, Revoking, Store};

/// The built-in issuer's name in the configuration, in the database and in metrics.
pub const NAME: &str = "builtin";

/// What a token's record says about its end.
const REASON: &str = "leaked";

pub struct Builtin {
    name: IssuerName,
    store: Store,
    clock: Clock,
}

impl Builtin {
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { name: IssuerName::new(NAME), store, clock }
    }

    async fn judge(&self, questions: &[Question<'_>]) -> Vec<Verdict> {
        let hashes: Vec<_> = questions.iter().map(|question| pat::sha256(question.secret)).collect();
        let found = match self.store.own_tokens_by_hash(&hashes).await {
            Ok(found) => found,
            Err(error) => return questions.iter().map(|_| Verdict::Unknown(unavailable(&error))).collect(),
        };
        let now = self.clock.now();
        found
            .into_iter()
            .map(|token| match token {
                None => Verdict::NotOurs,
                Some(token) if token.is_dead(now) => Verdict::Dead(Some(issued(token))),
                Some(token) => Verdict::Live(issued(token)),
            })
            .collect()
    }

    async fn kill(&self, question: &Question<'_>) -> Result<Revocation, store::Error> {
        let Some(token) = self.find(question).await? else { return Ok(Revocation::NotOurs) };
        if token.state(self.clock.now()) == OwnTokenState::Expired {
            return Ok(Revocation::AlreadyDead);
        }
        let by = question.incident_id.map_or_else(|| "system".into(), |id| format!("incident:{id}"));
        let revoking = Revoking { by, reason: REASON.into(), incident_id: question.incident_id };
        let ours = self.store.revoke_own_token(token.id, revoking).await?;
        let Some(after) = self.find(question).await? else { return Ok(Revocation::NotOurs) };
        // A worker that died between killing the token and recording it finds its own work here, not another hand's.
        let repeated = question.incident_id.is_some() && after.incident_id == question.incident_id;
        Ok(match after.state(self.clock.now()) {
            OwnTokenState::Revoked if ours || repeated => Revocation::Confirmed,
            OwnTokenState::Expired | OwnTokenState::Revoked => Revocation::AlreadyDead,
            OwnTokenState::Active | OwnTokenState::Early | OwnTokenState::Suspended => {
                let why = "the token still lives after its revocation".into();
                Revocation::Unknown(Unknown::Contradictory { why })
            }
        })
    }

    async fn find(&self, question: &Question<'_>) -> Result<Option<OwnToken>, store::Error> {
        let found = self.store.own_tokens_by_hash(&[pat::sha256(question.secret)]).await?;
        Ok(found.into_iter().next().flatten())
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
            let revocation =
                self.kill(&question).await.unwrap_or_else(|error| Revocation::Unknown(unavailable(&error)));
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

fn issued(token: OwnToken) -> IssuedToken {
    IssuedToken {
        id: token.id.to_string(),
        name: Some(token.name),
        owner: Some(Owner {
            id: Some(token.owner_id.to_string()),
            name: Some(token.owner_name),
            email: Some(token.owner_email),
        }),
        created_at: Some(token.created_at),
        last_used_at: token.last_used_at,
        expires_at: token.expires_at,
        scopes: token.scopes,
    }
}

/// Whatever keeps our own database from answering: no statement about the token.
fn unavailable(error: &store::Error) -> Unknown {
    warn!(error = error as &dyn std::error::Error, "the built-in issuer cannot read its tokens: {error}");
    Unknown::Unavailable { why: error.to_string() }
}
