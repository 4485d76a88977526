//! What magic tokens may do because of what they did.

use super::sql::{Session, Statement, binds};
use super::{Error, Store};
use crate::clock::Timestamp;
use crate::id::TokenId;

/// One request that a token may make, until a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub token_id: TokenId,
    pub upstream: String,
    pub method: String,
    /// In its one spelling.
    pub path: String,
    pub expires_at: Timestamp,
}

/// Grants of one token that hold at one time; what a runaway client makes beyond them is not stored.
const MAX_GRANTS: i64 = 1_000;

static ADD: Statement = Statement::new(
    "-- proxy_grants.add
     INSERT INTO proxy_grants (token_id, upstream, method, path, granted_at, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (token_id, upstream, method, path) DO UPDATE
     SET granted_at = excluded.granted_at, expires_at = excluded.expires_at",
);

static COUNT: Statement = Statement::new(
    "-- proxy_grants.count
     SELECT COUNT(*) AS count
     FROM proxy_grants
     WHERE token_id = $1",
);

static HELD: Statement = Statement::new(
    "-- proxy_grants.held
     SELECT token_id
     FROM proxy_grants
     WHERE token_id = $1
       AND upstream = $2
       AND method = $3
       AND path = $4
       AND expires_at > $5",
);

static USE: Statement = Statement::new(
    "-- proxy_grants.use
     DELETE FROM proxy_grants
     WHERE token_id = $1
       AND upstream = $2
       AND method = $3
       AND path = $4",
);

static EXPIRED: Statement = Statement::new(
    "-- proxy_grants.expired
     DELETE FROM proxy_grants
     WHERE expires_at <= $1",
);

impl Store {
    /// Stores a grant, or prolongs it. Those that are over are removed on the way.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such token, [`Error::Unavailable`] also when the token holds too many.
    pub async fn grant(&self, grant: Grant) -> Result<(), Error> {
        self.write((grant, self.clock.now()), |session, (grant, now)| Box::pin(add(session, grant, *now))).await
    }

    /// Whether the grant holds now; its `expires_at` is of no account.
    pub async fn holds_grant(&self, grant: &Grant) -> Result<bool, Error> {
        let Grant { token_id, upstream, method, path, .. } = grant;
        let binds = binds![*token_id, upstream.as_str(), method.as_str(), path.as_str(), self.clock.now()];
        Ok(self.read().await?.optional(&HELD, binds).await?.is_some())
    }

    /// Takes a grant back that was used.
    pub async fn use_grant(&self, grant: &Grant) -> Result<(), Error> {
        self.write(grant.clone(), |session, grant| {
            Box::pin(async move {
                let Grant { token_id, upstream, method, path, .. } = grant;
                let binds = binds![*token_id, upstream.as_str(), method.as_str(), path.as_str()];
                session.run(&USE, binds).await.map(drop)
            })
        })
        .await
    }
}

async fn add(session: &mut Session, grant: &Grant, now: Timestamp) -> Result<(), Error> {
    session.run(&EXPIRED, binds![now]).await?;
    let held = session.optional(&COUNT, binds![grant.token_id]).await?;
    if held.map(|row| row.int("count")).transpose()?.unwrap_or_default() >= MAX_GRANTS {
        return Err(Error::unavailable("the token holds as many grants as one may hold"));
    }
    let Grant { token_id, upstream, method, path, expires_at } = grant;
    let binds = binds![*token_id, upstream.as_str(), method.as_str(), path.as_str(), now, *expires_at];
    session.run(&ADD, binds).await.map(drop)
}
