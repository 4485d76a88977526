//! Issuers that are reached over HTTP by declared requests, RFC 7662 introspection or RFC 7009 revocation.
//!
//! What must stay true: only an answer that was declared counts, and it never is "dead" by default; `revoked` is said
//! only after the issuer confirmed it and, asked again, no longer accepts the token; a token goes to the configured
//! host and nowhere else.

mod client;
mod pointer;
mod reading;
mod request;
mod retry_after;
mod settings;
mod template;
mod withhold;

use reqwest::Url;

pub use pointer::{InvalidPointer, Pointer};
pub use settings::{
    Body, Credential, Evidence, Fields, Inactive, Limits, Reach, Request, RevokeAnswers, Settings, VerifyAnswers,
};

use self::client::{Client, unavailable};
use self::reading::Heard;
use self::request::{Call, Operation};
use self::template::{Filling, Hole};
use super::{Answer, Issuer, Locality, Question, Revocation};
use crate::clock::Clock;
use crate::id::TokenId;
use crate::incident::{IssuedToken, IssuerName, Unknown, Verdict};
use crate::token::{KindId, Secret};

/// An issuer behind HTTP. Wrap it in a [`Guard`](super::Guard) before use.
pub struct HttpIssuer {
    name: IssuerName,
    client: Client,
    verify: Call,
    verify_answers: VerifyAnswers,
    revoke: Call,
    revoke_answers: RevokeAnswers,
    clock: Clock,
}

/// A setting of an issuer is wrong; a person must change it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` {problem}")]
pub struct SettingsError {
    /// The setting, as [`Settings`] calls it.
    pub key: &'static str,
    pub problem: String,
}

impl HttpIssuer {
    /// # Errors
    /// When the declaration could not work, or could be read as saying two things.
    pub fn new(settings: Settings, clock: Clock) -> Result<Self, SettingsError> {
        let base = base_url(&settings)?;
        let client = Client::new(&base, &settings.credential, settings.limits, &settings.reach, clock.clone())?;
        let verify = Call::compile(&base, settings.verify, Operation::Verify)?;
        let revoke = Call::compile(&base, settings.revoke, Operation::Revoke)?;
        let verify_answers = settings.verify_answers;
        let VerifyAnswers { live, dead, not_ours, misconfigured, .. } = &verify_answers;
        disjoint("verify_answers", &[live, dead, not_ours, misconfigured])?;
        let RevokeAnswers { done, gone, misconfigured } = &settings.revoke_answers;
        disjoint("revoke_answers", &[done, gone, misconfigured])?;
        if verify_answers.live.is_empty() {
            return Err(bad("verify_answers", "lists no status that means live"));
        }
        if settings.revoke_answers.done.is_empty() {
            return Err(bad("revoke_answers", "lists no status that means done"));
        }
        if revoke.needs(Hole::Id) && verify_answers.fields.token_id.is_none() {
            return Err(bad("revoke", "asks for `{id}`, but `token_id` does not say where an answer names it"));
        }
        Ok(Self {
            name: settings.name,
            client,
            verify,
            verify_answers,
            revoke,
            revoke_answers: settings.revoke_answers,
            clock,
        })
    }

    async fn verdict(&self, question: &Question<'_>) -> Verdict {
        match self.ask(&self.verify, question, None).await {
            Ok(answer) => {
                let verdict = self.verify_answers.read(&answer, &self.unnamed(question));
                withhold::withhold(verdict, question.secret)
            }
            Err(unknown) => Verdict::Unknown(unknown),
        }
    }

    async fn kill(&self, question: &Question<'_>) -> Result<Revocation, Unknown> {
        let asked;
        let mut token = question.token;
        if token.is_none_or(is_unnamed) && self.revoke.needs(Hole::Id) {
            match self.verdict(question).await {
                Verdict::Live(found) => {
                    asked = found;
                    token = Some(&asked);
                }
                Verdict::Dead(_) => return Ok(Revocation::AlreadyDead),
                Verdict::Forged(_) | Verdict::NotOurs => return Ok(Revocation::NotOurs),
                Verdict::Unknown(unknown) => return Err(unknown),
            }
        }
        let id = token.filter(|token| !is_unnamed(token)).map(|token| token.id.as_str());
        if id.is_none() && self.revoke.needs(Hole::Id) {
            return Err(unavailable("the issuer names no id of the token, and the revocation asks for one"));
        }
        let answer = self.ask(&self.revoke, question, id).await?;
        let heard = self.revoke_answers.read(&answer)?;
        self.read_back(question, heard, id).await
    }

    /// Asks again. A confirmation that the issuer itself contradicts is none.
    async fn read_back(&self, question: &Question<'_>, heard: Heard, id: Option<&str>) -> Result<Revocation, Unknown> {
        let verdict = self.verdict(question).await;
        if let (Some(asked), Verdict::Dead(Some(told)) | Verdict::Live(told)) = (id, &verdict)
            && !is_unnamed(told)
            && told.id != asked
        {
            return Err(unavailable("the issuer answered about another token"));
        }
        match (verdict, heard) {
            (Verdict::Live(_), Heard::Done) => {
                Err(Unknown::Contradictory { why: "accepted the revocation but the token still lives".into() })
            }
            (Verdict::Live(_), Heard::Gone) => {
                Err(Unknown::Contradictory { why: "says there is nothing to revoke but the token still lives".into() })
            }
            (Verdict::Unknown(unknown), Heard::Done) => Ok(Revocation::Unconfirmed(unknown)),
            (Verdict::Unknown(unknown), Heard::Gone) => Err(unknown),
            (Verdict::Dead(_) | Verdict::Forged(_) | Verdict::NotOurs, Heard::Done) => Ok(Revocation::Confirmed),
            (Verdict::Dead(_), Heard::Gone) => Ok(Revocation::AlreadyDead),
            // It was found live before: whoever does not know it any more has removed it since.
            (Verdict::Forged(_) | Verdict::NotOurs, Heard::Gone) if question.token.is_some() => {
                Ok(Revocation::AlreadyDead)
            }
            (Verdict::Forged(_) | Verdict::NotOurs, Heard::Gone) => Ok(Revocation::NotOurs),
        }
    }

    async fn ask(&self, call: &Call, question: &Question<'_>, id: Option<&str>) -> Result<client::Answer, Unknown> {
        let filling = Filling { secret: question.secret, id, incident_id: question.incident_id };
        self.client.ask(call.fill(filling)?).await
    }

    /// An id for a token whose issuer gives none. Unlike anybody else's: incidents whose tokens share an id share
    /// one revocation.
    fn unnamed(&self, question: &Question<'_>) -> String {
        match question.incident_id {
            Some(id) => format!("{UNNAMED}{id}"),
            None => format!("{UNNAMED}{}", TokenId::generate(self.clock.now())),
        }
    }
}

impl Issuer for HttpIssuer {
    fn name(&self) -> &IssuerName {
        &self.name
    }

    fn locality(&self) -> Locality {
        Locality::Remote
    }

    fn verify<'a>(&'a self, questions: &'a [Question<'a>]) -> Answer<'a, Vec<Verdict>> {
        Box::pin(async move {
            let mut verdicts = Vec::with_capacity(questions.len());
            for question in questions {
                verdicts.push(self.verdict(question).await);
            }
            verdicts
        })
    }

    fn revoke<'a>(&'a self, question: Question<'a>) -> Answer<'a, Revocation> {
        Box::pin(async move { self.kill(&question).await.unwrap_or_else(Revocation::Unknown) })
    }

    fn check(&self) -> Answer<'_, Result<String, String>> {
        Box::pin(async move {
            let made_up = Secret::new(format!("stanch-check-{}", TokenId::generate(self.clock.now())).into_bytes());
            let kind = KindId::new("made-up");
            let question = Question { incident_id: None, kind: &kind, secret: &made_up, token: None };
            match self.verdict(&question).await {
                Verdict::Dead(_) | Verdict::Forged(_) | Verdict::NotOurs => {
                    Ok("answers, and refuses a made-up token".into())
                }
                Verdict::Live(_) => Err("says that a made-up token lives: its answers are not read as they are \
                                         meant; see `verify_answers`"
                    .into()),
                Verdict::Unknown(unknown) => Err(unknown.why().to_owned()),
            }
        })
    }
}

const UNNAMED: &str = "unnamed:";

fn is_unnamed(token: &IssuedToken) -> bool {
    token.id.starts_with(UNNAMED)
}

fn base_url(settings: &Settings) -> Result<Url, SettingsError> {
    let url = Url::parse(&settings.base_url).map_err(|_| bad("base_url", "is not an address"))?;
    match url.scheme() {
        "https" => {}
        "http" if settings.reach.allow_http => {}
        "http" => return Err(bad("base_url", "is not encrypted; use https, or permit it by `allow_http = true`")),
        _ => return Err(bad("base_url", "begins with neither https nor http")),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("base_url", "carries a credential; put it where credentials belong"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad("base_url", "carries a query or a fragment; those belong to a request's path"));
    }
    Ok(url)
}

/// Every status means one thing, and those that mean "not now" mean nothing else.
fn disjoint(key: &'static str, lists: &[&Vec<u16>]) -> Result<(), SettingsError> {
    let mut seen = Vec::new();
    for status in lists.iter().copied().flatten() {
        if !matches!(status, 200..=299 | 400..=499) || [408, 425, 429].contains(status) {
            return Err(bad(key, &format!("lists {status}, which is never an answer about a token")));
        }
        if seen.contains(&status) {
            return Err(bad(key, &format!("lists {status} twice")));
        }
        seen.push(status);
    }
    Ok(())
}

fn bad(key: &'static str, problem: &str) -> SettingsError {
    SettingsError { key, problem: problem.to_owned() }
}
