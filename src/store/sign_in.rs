//! Tries to sign in: counted before the password is looked at, so that many tries at once are many tries.
//!
//! A subject is an account, an address, or both; it is kept as a short hash for a few minutes. What a person types into
//! the field of the name may be anything, the password included.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::sql::{Session, Statement, Value, binds, hex};
use super::{Error, Store};
use crate::clock::Timestamp;

/// How often one subject may fail within a span.
#[derive(Clone, Debug)]
pub struct Limit {
    pub subject: String,
    pub failures: u32,
    pub within: Duration,
}

/// Whether a try may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tries {
    Left,
    /// Too many; how long until there may be another.
    Spent(Duration),
}

static COUNT: Statement = Statement::new(
    "-- sign_in.count
     INSERT INTO sign_in_failures (subject, failures, since)
     VALUES ($1, 1, $2)
     ON CONFLICT (subject) DO UPDATE
     SET failures = CASE WHEN sign_in_failures.since <= $3 THEN 1 ELSE sign_in_failures.failures + 1 END,
         since = CASE WHEN sign_in_failures.since <= $3 THEN $2 ELSE sign_in_failures.since END
     RETURNING failures, since",
);

static FORGIVE: Statement = Statement::new(
    "-- sign_in.forgive
     UPDATE sign_in_failures
     SET failures = failures - 1
     WHERE subject {in $1}
       AND failures > 0",
);

static FORGET: Statement = Statement::new(
    "-- sign_in.forget
     DELETE FROM sign_in_failures
     WHERE since <= $1",
);

impl Store {
    /// Counts a try against every limit, and tells whether it may go on. A try that then succeeds is
    /// [forgiven](Store::forgive_try).
    pub async fn count_try(&self, limits: Vec<Limit>) -> Result<Tries, Error> {
        self.write((limits, self.clock.now()), |session, (limits, now)| Box::pin(count(session, limits, *now))).await
    }

    /// The try succeeded and does not count.
    pub async fn forgive_try(&self, limits: &[Limit]) -> Result<(), Error> {
        let subjects = Value::list(limits.iter().map(|limit| hashed(&limit.subject)));
        let Value::Text(Some(subjects)) = subjects else { return Ok(()) };
        self.write(subjects, |session, subjects| {
            Box::pin(async move { session.run(&FORGIVE, binds![subjects.as_str()]).await.map(drop) })
        })
        .await
    }
}

async fn count(session: &mut Session, limits: &[Limit], now: Timestamp) -> Result<Tries, Error> {
    let mut wait = Duration::ZERO;
    for limit in limits {
        let start = now.minus(limit.within);
        let row = session.optional(&COUNT, binds![hashed(&limit.subject), now, start]).await?;
        let row = row.ok_or(Error::NotFound { what: "count" })?;
        if row.int("failures")? > i64::from(limit.failures) {
            wait = wait.max(limit.within.saturating_sub(now.since(row.time("since")?)));
        }
    }
    let longest = limits.iter().map(|limit| limit.within).max().unwrap_or_default();
    session.run(&FORGET, binds![now.minus(longest)]).await?;
    Ok(if wait.is_zero() { Tries::Left } else { Tries::Spent(wait) })
}

/// Eight bytes are enough to tell subjects apart, and too few to prove what was typed.
fn hashed(subject: &str) -> String {
    hex(&Sha256::digest(subject)[..8])
}
