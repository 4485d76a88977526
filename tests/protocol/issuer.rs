//! A local issuer that knows what it is told, and hangs when it is told to.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use stanch::incident::{IssuedToken, IssuerName, Unknown, Verdict};
use stanch::issuer::{Answer, Issuer, Locality, Question, Revocation};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Answers,
    Fails,
    Hangs,
    /// With a message that quotes the token.
    Panics,
}

pub struct LocalIssuer {
    name: IssuerName,
    /// Whether each known token lives.
    tokens: Mutex<HashMap<Vec<u8>, bool>>,
    mood: Mutex<Mood>,
    asked: AtomicU64,
}

impl LocalIssuer {
    pub fn new() -> Self {
        Self {
            name: IssuerName::new("local"),
            tokens: Mutex::default(),
            mood: Mutex::new(Mood::Answers),
            asked: AtomicU64::new(0),
        }
    }

    pub fn knows_live(&self, token: &str) {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).insert(token.into(), true);
    }

    pub fn knows_dead(&self, token: &str) {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).insert(token.into(), false);
    }

    pub fn behave(&self, mood: Mood) {
        *self.mood.lock().unwrap_or_else(PoisonError::into_inner) = mood;
    }

    /// How many times it was asked, however many tokens at once.
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    fn judge(&self, secret: &[u8]) -> Verdict {
        let issued = |live: bool| IssuedToken {
            id: format!("issued-{live}"),
            name: None,
            owner: None,
            created_at: None,
            last_used_at: None,
            last_used_from: None,
            expires_at: None,
            scopes: Vec::new(),
        };
        match self.tokens.lock().unwrap_or_else(PoisonError::into_inner).get(secret) {
            Some(true) => Verdict::Live(issued(true)),
            Some(false) => Verdict::Dead(Some(issued(false))),
            None => Verdict::NotOurs,
        }
    }
}

impl Issuer for LocalIssuer {
    fn name(&self) -> &IssuerName {
        &self.name
    }

    fn locality(&self) -> Locality {
        Locality::Local
    }

    fn check(&self) -> Answer<'_, Result<String, String>> {
        Box::pin(async { Ok("here".into()) })
    }

    fn verify<'a>(&'a self, questions: &'a [Question<'a>]) -> Answer<'a, Vec<Verdict>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mood = *self.mood.lock().unwrap_or_else(PoisonError::into_inner);
        Box::pin(async move {
            match mood {
                Mood::Answers => questions.iter().map(|question| self.judge(question.secret.expose())).collect(),
                Mood::Fails => {
                    let unknown = || Verdict::Unknown(Unknown::Unavailable { why: "away".into() });
                    questions.iter().map(|_| unknown()).collect()
                }
                Mood::Hangs => std::future::pending().await,
                Mood::Panics => panic!("{}", String::from_utf8_lossy(questions[0].secret.expose())),
            }
        })
    }

    fn revoke<'a>(&'a self, _: Question<'a>) -> Answer<'a, Revocation> {
        Box::pin(async { Revocation::Confirmed })
    }
}
