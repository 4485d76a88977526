//! Verifying and revoking: each token is put to the one issuer that claims its kind, not faster than it was said.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::tokens::{Token, Tokens};
use crate::clock::Clock;
use crate::id::IncidentId;
use crate::incident::{Unknown, Verdict};
use crate::issuer::{Issuer, Issuers, Locality, Question, Revocation};
use crate::token::FindingId;

/// How fast questions may come, and how long an answer may take.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    pub per_second: NonZeroU32,
    pub answer_within: Duration,
}

/// Questions to one issuer at the same time.
const AT_ONCE: usize = 8;
/// Tokens in one question to our own database.
const LOCAL_BATCH: usize = 500;
/// How often a question is put again if the issuer asks for patience.
const TRIES: u32 = 3;

/// What was said about one token, and by whom.
pub struct Said {
    pub issuer: Arc<dyn Issuer>,
    pub verdict: Verdict,
}

/// Asks about every token whose kind somebody claims.
pub async fn verify(tokens: &Tokens, issuers: &Issuers, pace: Pace) -> BTreeMap<FindingId, Said> {
    let mut queues: BTreeMap<String, Queue> = BTreeMap::new();
    for (id, token) in tokens.iter() {
        if let Some(issuer) = issuers.of_kind(&token.kind) {
            let queue = queues.entry(issuer.name().to_string());
            let queue = queue.or_insert_with(|| Queue { issuer: Arc::clone(issuer), tokens: Vec::new() });
            queue.tokens.push((id.clone(), Arc::clone(token)));
        }
    }
    let mut said = BTreeMap::new();
    for Queue { issuer, tokens } in queues.into_values() {
        let verdicts = match issuer.locality() {
            Locality::Local => at_once(&issuer, &tokens, pace).await,
            Locality::Remote => one_by_one(&issuer, tokens, pace).await,
        };
        said.extend(verdicts.into_iter().map(|(id, verdict)| (id, Said { issuer: Arc::clone(&issuer), verdict })));
    }
    said
}

/// What one issuer is asked about.
struct Queue {
    issuer: Arc<dyn Issuer>,
    tokens: Vec<(FindingId, Arc<Token>)>,
}

/// Our own database takes many questions in one.
async fn at_once(issuer: &Arc<dyn Issuer>, asked: &[(FindingId, Arc<Token>)], pace: Pace) -> Vec<(FindingId, Verdict)> {
    let mut all = Vec::with_capacity(asked.len());
    for batch in asked.chunks(LOCAL_BATCH) {
        let questions: Vec<_> = batch.iter().map(|(_, token)| question(token)).collect();
        let verdicts = timeout(pace.answer_within, issuer.verify(&questions)).await.unwrap_or_default();
        let mut verdicts = verdicts.into_iter();
        all.extend(batch.iter().map(|(id, _)| (id.clone(), verdicts.next().unwrap_or_else(silent))));
    }
    all
}

async fn one_by_one(
    issuer: &Arc<dyn Issuer>,
    asked: Vec<(FindingId, Arc<Token>)>,
    pace: Pace,
) -> Vec<(FindingId, Verdict)> {
    let mut ticks = interval(Duration::from_secs(1) / pace.per_second.get());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    for (id, token) in asked {
        // The semaphore is never closed.
        let permit = Arc::clone(&places).acquire_owned().await.ok();
        ticks.tick().await;
        let issuer = Arc::clone(issuer);
        running.spawn(async move {
            let verdict = patiently(issuer.as_ref(), &token, pace).await;
            drop(permit);
            (id, verdict)
        });
    }
    running.join_all().await
}

/// Asks again if the issuer wants to be asked a little later.
async fn patiently(issuer: &dyn Issuer, token: &Token, pace: Pace) -> Verdict {
    let mut tries = 0;
    loop {
        tries += 1;
        let questions = [question(token)];
        let asked = timeout(pace.answer_within, issuer.verify(&questions)).await;
        let verdict = asked.ok().and_then(|verdicts| verdicts.into_iter().next()).unwrap_or_else(silent);
        match verdict {
            Verdict::Unknown(Unknown::Throttled { retry_after, .. })
                if tries < TRIES && retry_after <= pace.answer_within =>
            {
                sleep(retry_after).await;
            }
            verdict => return verdict,
        }
    }
}

/// Has an issuer kill a token that it said is live.
pub async fn revoke(said: &Said, token: &Token, clock: &Clock, pace: Pace) -> Revocation {
    let Verdict::Live(issued) = &said.verdict else { return Revocation::AlreadyDead };
    // Another service may want a key by which it knows a repeated call; our own records name real incidents only.
    let incident_id = match said.issuer.locality() {
        Locality::Local => None,
        Locality::Remote => Some(IncidentId::generate(clock.now())),
    };
    let question = Question { incident_id, kind: &token.kind, secret: &token.secret, token: Some(issued) };
    // Killing is three calls: before, the deed, and the look at what came of it.
    let done = timeout(pace.answer_within * 3, said.issuer.revoke(question)).await;
    done.unwrap_or_else(|_| Revocation::Unknown(no_answer()))
}

fn question(token: &Token) -> Question<'_> {
    Question { incident_id: None, kind: &token.kind, secret: &token.secret, token: None }
}

fn silent() -> Verdict {
    Verdict::Unknown(no_answer())
}

fn no_answer() -> Unknown {
    Unknown::Unavailable { why: "the issuer did not answer in time".into() }
}
