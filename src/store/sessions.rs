//! Sessions: browsers that are signed in. The cookie's value is kept as its SHA-256 only.

use std::time::Duration;

use serde_json::json;

use super::operator::{Operator, read};
use super::operators::{operator_columns, record};
use super::sql::{Row, Session, Statement, binds, hex};
use super::{Error, Store};
use crate::clock::Timestamp;
use crate::id::OperatorId;
use crate::incident::{Actor, EventKind};

/// A browser that signs in.
pub struct NewSession {
    /// SHA-256 of the cookie's value.
    pub sha256: [u8; 32],
    pub operator_id: OperatorId,
    pub expires_at: Timestamp,
    pub by: SignedInBy,
    /// When they last showed who they are, as far as that is known.
    pub confirmed_at: Timestamp,
    /// The session that this browser had; it ends.
    pub replaces: Option<[u8; 32]>,
}

/// On whose word a browser is signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedInBy {
    Password,
    /// An identity provider; there need be no password.
    Provider,
}

/// A browser that is signed in.
#[derive(Clone, Debug)]
pub struct SignedIn {
    pub operator: Operator,
    pub by: SignedInBy,
    pub created_at: Timestamp,
    /// Exact to the minute or so.
    pub seen_at: Timestamp,
    /// When the password was typed last, or the provider asked for theirs.
    pub confirmed_at: Timestamp,
    pub expires_at: Timestamp,
}

static READ: Statement = Statement::new(concat!(
    "-- sessions.read
     SELECT ",
    operator_columns!(),
    ",
            sessions.created_at AS session_created_at, sessions.seen_at, sessions.confirmed_at, sessions.expires_at,
            sessions.by_provider
     FROM sessions
     JOIN operators ON operators.id = sessions.operator_id
     WHERE sessions.token_sha256 = $1
       AND sessions.expires_at > $2
       AND sessions.seen_at > $3
       AND operators.disabled_at IS NULL
       AND (operators.password IS NOT NULL OR sessions.by_provider = 1)"
));

static INSERT: Statement = Statement::new(
    "-- sessions.insert
     INSERT INTO sessions (token_sha256, operator_id, created_at, seen_at, confirmed_at, expires_at, by_provider)
     SELECT $1, operators.id, $3, $3, $5, $4, $6
     FROM operators
     WHERE operators.id = $2
       AND operators.disabled_at IS NULL",
);

static ROTATE: Statement = Statement::new(
    "-- sessions.rotate
     UPDATE sessions
     SET token_sha256 = $2, confirmed_at = $3, seen_at = $3
     WHERE token_sha256 = $1
       AND expires_at > $3",
);

static TOUCH: Statement = Statement::new(
    "-- sessions.touch
     UPDATE sessions
     SET seen_at = $2
     WHERE token_sha256 = $1
       AND seen_at < $2",
);

static DELETE: Statement = Statement::new(
    "-- sessions.delete
     DELETE FROM sessions
     WHERE token_sha256 = $1",
);

static DELETE_ENDED: Statement = Statement::new(
    "-- sessions.delete_ended
     DELETE FROM sessions
     WHERE expires_at <= $1",
);

static SIGNED_IN: Statement = Statement::new(
    "-- sessions.signed_in
     UPDATE operators
     SET signed_in_at = $2
     WHERE id = $1
     RETURNING name",
);

impl Store {
    /// Signs an operator in; false if they are disabled meanwhile.
    pub async fn open_session(&self, session: NewSession) -> Result<bool, Error> {
        self.write((session, self.clock.now()), |link, (session, now)| Box::pin(open(link, session, *now))).await
    }

    /// The session of a cookie whose value has this SHA-256, unless it is over or was idle for too long.
    pub async fn session(&self, sha256: [u8; 32], idle_for: Duration) -> Result<Option<SignedIn>, Error> {
        let now = self.clock.now();
        let row = self.read().await?.optional(&READ, binds![hex(&sha256), now, now.minus(idle_for)]).await?;
        let read_session = |row: &Row| {
            Ok(SignedIn {
                operator: read(row)?,
                by: if row.int("by_provider")? == 1 { SignedInBy::Provider } else { SignedInBy::Password },
                created_at: row.time("session_created_at")?,
                seen_at: row.time("seen_at")?,
                confirmed_at: row.time("confirmed_at")?,
                expires_at: row.time("expires_at")?,
            })
        };
        row.as_ref().map(read_session).transpose()
    }

    /// The operator typed the password again: the session goes on under another cookie. False if it is over.
    pub async fn confirm_session(&self, sha256: [u8; 32], new_sha256: [u8; 32]) -> Result<bool, Error> {
        self.write((sha256, new_sha256, self.clock.now()), |link, (old, new, now)| {
            Box::pin(async move { Ok(link.run(&ROTATE, binds![hex(old), hex(new), *now]).await? == 1) })
        })
        .await
    }

    pub async fn touch_session(&self, sha256: [u8; 32]) -> Result<(), Error> {
        self.write((sha256, self.clock.now()), |link, (sha256, now)| {
            Box::pin(async move { link.run(&TOUCH, binds![hex(sha256), *now]).await.map(drop) })
        })
        .await
    }

    pub async fn end_session(&self, sha256: [u8; 32], actor: Actor) -> Result<(), Error> {
        self.write((sha256, actor, self.clock.now()), |link, (sha256, actor, now)| {
            Box::pin(async move {
                if link.run(&DELETE, binds![hex(sha256)]).await? == 1 {
                    record(link, actor, EventKind::SignedOut, serde_json::Value::Null, *now).await?;
                }
                Ok(())
            })
        })
        .await
    }
}

async fn open(link: &mut Session, session: &NewSession, now: Timestamp) -> Result<bool, Error> {
    if let Some(before) = &session.replaces {
        link.run(&DELETE, binds![hex(before)]).await?;
    }
    link.run(&DELETE_ENDED, binds![now]).await?;
    let by_provider = i64::from(session.by == SignedInBy::Provider);
    let NewSession { operator_id, expires_at, confirmed_at, .. } = session;
    let values = binds![hex(&session.sha256), *operator_id, now, *expires_at, *confirmed_at, by_provider];
    if link.run(&INSERT, values).await? == 0 {
        return Ok(false);
    }
    let row = link.optional(&SIGNED_IN, binds![session.operator_id, now]).await?;
    let name = row.ok_or(Error::NotFound { what: "operator" })?.text("name")?;
    let detail = json!({ "operator": name });
    record(link, &Actor::Operator(name), EventKind::SignedIn, detail, now).await?;
    Ok(true)
}
