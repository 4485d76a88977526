//! Answers to requests that may be sent twice: what was done once is not done again, and is answered as it was.
//!
//! A request is claimed before it is carried out, and its answer stored after. If the process dies in between, the claim
//! ends by itself, and whoever asks again does it again: every change behind it must bear that, as a name that is taken
//! or a state that was left does. Answers may show a secret, so all of them are sealed to their row.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;

use zeroize::Zeroizing;

use super::seal::SealedAt;
use super::sql::{Session, Statement, binds, hex};
use super::{Error, Store};
use crate::clock::Timestamp;
use crate::token::Secret;

/// A request that is to be carried out once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Once {
    /// Hash of who asks and of the key they chose.
    pub key: [u8; 32],
    /// Hash of what they ask for.
    pub request: [u8; 32],
}

/// What is to be done with a request.
pub enum Begun {
    /// It was carried out before, and this was the answer.
    Answered { status: u16, body: Zeroizing<Vec<u8>> },
    /// It was carried out before; its answer does not open any more.
    Forgotten,
    /// The key was used for another request.
    Other,
    /// It is being carried out.
    Running,
    /// It is the caller's to carry out, and to [answer](Store::answer_once) or [give up](Store::give_up_once).
    Started(Running),
}

/// The right to answer a request.
pub struct Running {
    key: [u8; 32],
    since: Timestamp,
}

/// How long a request that began is waited for; longer than any answer may take.
const RUNS_FOR: Duration = Duration::from_mins(1);

static EXPIRE: Statement = Statement::new(
    "-- once.expire
     DELETE FROM idempotent_answers
     WHERE key = $1
       AND expires_at <= $2",
);

static CLAIM: Statement = Statement::new(
    "-- once.claim
     INSERT INTO idempotent_answers (key, request, created_at, expires_at)
     VALUES ($1, $2, $3, $4)
     ON CONFLICT (key) DO NOTHING",
);

static READ: Statement = Statement::new(
    "-- once.read
     SELECT request, status, body
     FROM idempotent_answers
     WHERE key = $1",
);

static ANSWER: Statement = Statement::new(
    "-- once.answer
     UPDATE idempotent_answers
     SET status = $3, body = $4, expires_at = $5
     WHERE key = $1
       AND created_at = $2
       AND status IS NULL",
);

static GIVE_UP: Statement = Statement::new(
    "-- once.give_up
     DELETE FROM idempotent_answers
     WHERE key = $1
       AND created_at = $2
       AND status IS NULL",
);

static EXPIRED: Statement = Statement::new(
    "-- once.expired
     DELETE FROM idempotent_answers
     WHERE key IN (SELECT key
                   FROM idempotent_answers
                   WHERE expires_at <= $1
                   LIMIT $2)",
);

impl Store {
    /// Claims a request, or tells what became of it.
    pub async fn begin_once(&self, once: Once) -> Result<Begun, Error> {
        let begun = self.write((once, self.clock.now()), |session, (once, now)| Box::pin(begin(session, *once, *now)));
        let (status, body) = match begun.await? {
            Found::Answered { status, body } => (status, body),
            Found::Other => return Ok(Begun::Other),
            Found::Running => return Ok(Begun::Running),
            Found::Started(running) => return Ok(Begun::Started(running)),
        };
        let row = hex(&once.key);
        let opened = BASE64.decode(body).ok().and_then(|sealed| self.seal.open_answer(&sealed, place(&row)));
        Ok(opened.map_or(Begun::Forgotten, |body| Begun::Answered { status, body }))
    }

    /// Keeps the answer for whoever asks again.
    pub async fn answer_once(
        &self,
        running: Running,
        status: u16,
        body: Secret,
        keep_for: Duration,
    ) -> Result<(), Error> {
        let work = (running, status, body, keep_for, Arc::clone(&self.seal), self.clock.now());
        self.write(work, |session, (running, status, body, keep_for, seal, now)| {
            Box::pin(async move {
                let row = hex(&running.key);
                let sealed = BASE64.encode(seal.seal(body, place(&row))?);
                let ends_at = now.plus(*keep_for);
                let binds = binds![row, running.since, i64::from(*status), sealed, ends_at];
                session.run(&ANSWER, binds).await.map(drop)
            })
        })
        .await
    }

    /// Nothing was done: whoever asks again is carried out.
    pub async fn give_up_once(&self, running: Running) -> Result<(), Error> {
        self.write(running, |session, running| {
            Box::pin(async move { session.run(&GIVE_UP, binds![hex(&running.key), running.since]).await.map(drop) })
        })
        .await
    }
}

/// Erases answers whose time is over; returns how many.
pub(super) async fn sweep(session: &mut Session, now: Timestamp, batch: u32) -> Result<u64, Error> {
    session.run(&EXPIRED, binds![now, batch]).await
}

enum Found {
    Answered { status: u16, body: String },
    Other,
    Running,
    Started(Running),
}

async fn begin(session: &mut Session, once: Once, now: Timestamp) -> Result<Found, Error> {
    let (key, request) = (hex(&once.key), hex(&once.request));
    session.run(&EXPIRE, binds![key.as_str(), now]).await?;
    let claim = binds![key.as_str(), request.as_str(), now, now.plus(RUNS_FOR)];
    if session.run(&CLAIM, claim).await? == 1 {
        return Ok(Found::Started(Running { key: once.key, since: now }));
    }
    // Gone again already: whoever claimed it gave it up.
    let Some(row) = session.optional(&READ, binds![key]).await? else { return Ok(Found::Running) };
    if row.text("request")? != request {
        return Ok(Found::Other);
    }
    Ok(match row.optional_text("body")? {
        Some(body) => Found::Answered { status: u16::try_from(row.int("status")?).unwrap_or(500), body },
        None => Found::Running,
    })
}

fn place(row: &str) -> SealedAt<'_> {
    SealedAt { table: "idempotent_answers", row, column: "body" }
}
