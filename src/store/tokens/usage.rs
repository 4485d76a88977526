//! The uses of tokens: counted in memory by whoever checks them, written here in batches.

use super::super::sql::{Session, Statement, Value, binds};
use super::super::{Error, Store};
use crate::clock::Timestamp;
use crate::id::TokenId;

/// The uses of one token since they were last written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    pub token_id: TokenId,
    /// The latest of them.
    pub at: Timestamp,
    /// The earliest of them.
    pub first_at: Timestamp,
    /// The network that the latest came from.
    pub from: Option<String>,
    pub count: u64,
}

// Locked in one order first: two machines that write the same tokens wait for each other and do not deadlock.
static LOCK: Statement = Statement::new(
    "-- tokens.lock_used
     SELECT id
     FROM tokens
     WHERE id {in $1}
     ORDER BY id
     {lock}",
);

static USED: Statement = Statement::new(
    "-- tokens.used
     UPDATE tokens
     SET uses = tokens.uses + used.uses,
         last_used_from = CASE WHEN tokens.last_used_at IS NULL OR tokens.last_used_at <= used.used_at
                               THEN used.used_from ELSE tokens.last_used_from END,
         last_used_at = CASE WHEN tokens.last_used_at IS NULL OR tokens.last_used_at < used.used_at
                             THEN used.used_at ELSE tokens.last_used_at END
     FROM {uses $1} AS used
     WHERE tokens.id = used.id",
);

static FIRST_USED: Statement = Statement::new(
    "-- tokens.first_used
     UPDATE tokens
     SET first_used_at = used.used_at
     FROM {uses $1} AS used
     WHERE tokens.id = used.id
       AND (tokens.first_used_at IS NULL OR tokens.first_used_at > used.used_at)",
);

static USE_NONCE: Statement = Statement::new(
    "-- tokens.use_nonce
     INSERT INTO used_nonces (token_id, nonce, used_at)
     VALUES ($1, $2, $3)
     ON CONFLICT (token_id, nonce) DO NOTHING",
);

impl Store {
    /// Records uses, all in one statement, never moving a last use backwards.
    pub async fn record_uses(&self, uses: Vec<Use>) -> Result<(), Error> {
        if uses.is_empty() {
            return Ok(());
        }
        self.write(uses, |session, uses| Box::pin(record(session, uses))).await
    }

    /// Uses up a one-time caveat; true for the first to do so.
    pub async fn use_nonce(&self, token_id: TokenId, nonce_sha256: [u8; 32]) -> Result<bool, Error> {
        let work = (token_id, nonce_sha256, self.clock.now());
        self.write(work, |session, (id, nonce, now)| {
            Box::pin(async move {
                let values = vec![Value::from(*id), Value::hex(nonce), Value::from(*now)];
                Ok(session.run(&USE_NONCE, values).await? == 1)
            })
        })
        .await
    }
}

async fn record(session: &mut Session, uses: &[Use]) -> Result<(), Error> {
    session.all(&LOCK, vec![Value::list(uses.iter().map(|each| each.token_id))]).await?;
    let rows = |at: fn(&Use) -> Timestamp| -> String {
        let row = |each: &Use| serde_json::json!([each.token_id, at(each).as_millis(), each.from, each.count]);
        uses.iter().map(row).collect::<serde_json::Value>().to_string()
    };
    session.run(&USED, binds![rows(|each| each.at)]).await?;
    session.run(&FIRST_USED, binds![rows(|each| each.first_at)]).await.map(drop)
}
