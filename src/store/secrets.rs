//! Sealed tokens: put in when an incident needs its token, erased when it does not.

use std::sync::Arc;

use super::seal::{SealRing, SealedAt};
use super::sql::{Bulk, Session, Statement, Value, binds};
use super::{Error, Store};
use crate::id::IncidentId;
use crate::token::Secret;

const REWRAP_BATCH: u32 = 200;

static INSERT: Bulk = Bulk::new(
    3,
    "-- secrets.insert
     INSERT INTO secrets (incident_id, key_id, sealed)
     VALUES {rows}
     ON CONFLICT (incident_id) DO UPDATE
     SET key_id = excluded.key_id, sealed = excluded.sealed",
);

static READ: Statement = Statement::new(
    "-- secrets.read
     SELECT sealed
     FROM secrets
     WHERE incident_id = $1",
);

static ERASE: Statement = Statement::new(
    "-- secrets.erase
     DELETE FROM secrets
     WHERE incident_id = $1",
);

static SEALED_BEFORE: Statement = Statement::new(
    "-- secrets.sealed_before
     SELECT incident_id, sealed
     FROM secrets
     WHERE key_id <> $1
     ORDER BY incident_id
     LIMIT $2
     {lock}",
);

impl Store {
    /// Opens the sealed token of an incident, for its issuer.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it was erased, [`Error::Corrupt`] when it was sealed for another incident or with
    /// another key.
    pub async fn secret(&self, id: IncidentId) -> Result<Secret, Error> {
        let row = self.read().await?.optional(&READ, binds![id]).await?;
        let row = row.ok_or(Error::NotFound { what: "secret" })?;
        open(&self.seal, id, &row.blob("sealed")?)
    }

    /// Seals again, under the current key, what an older one sealed; returns how many. Then the older key can go.
    pub async fn rewrap(&self) -> Result<u64, Error> {
        let mut total = 0;
        loop {
            let done = self.write(Arc::clone(&self.seal), |session, seal| {
                Box::pin(async move {
                    super::audit_key::rewrap(session, seal).await?;
                    Ok(rewrap(session, seal).await? + super::tokens::rewrap(session, seal, REWRAP_BATCH).await?)
                })
            });
            let done = done.await?;
            total += done;
            if done == 0 {
                return Ok(total);
            }
        }
    }
}

async fn rewrap(session: &mut Session, seal: &Arc<SealRing>) -> Result<u64, Error> {
    let rows = session.all(&SEALED_BEFORE, binds![seal.current.id.as_str(), REWRAP_BATCH]).await?;
    let mut opened = Vec::with_capacity(rows.len());
    for row in &rows {
        let id: IncidentId = row.parsed("incident_id")?;
        opened.push((id, open(seal, id, &row.blob("sealed")?)?));
    }
    put(session, seal, opened.iter().map(|(id, secret)| (*id, secret))).await?;
    Ok(u64::try_from(rows.len()).unwrap_or(u64::MAX))
}

/// Seals and stores tokens, each for its incident.
pub(super) async fn put<'a>(
    session: &mut Session,
    seal: &SealRing,
    secrets: impl Iterator<Item = (IncidentId, &'a Secret)>,
) -> Result<(), Error> {
    let mut values = Vec::new();
    for (id, secret) in secrets {
        let row = id.to_string();
        let sealed = seal.seal(secret, place(&row))?;
        values.extend(binds![row, seal.current.id.as_str(), sealed]);
    }
    session.insert(&INSERT, values).await.map(drop)
}

pub(super) async fn erase(session: &mut Session, id: IncidentId) -> Result<(), Error> {
    session.run(&ERASE, vec![Value::from(id)]).await.map(drop)
}

fn open(seal: &SealRing, id: IncidentId, sealed: &[u8]) -> Result<Secret, Error> {
    let row = id.to_string();
    seal.open(sealed, place(&row)).map_err(|error| Error::corrupt(format!("secret of incident {id}"), error))
}

fn place(row: &str) -> SealedAt<'_> {
    SealedAt { table: "secrets", row, column: "sealed" }
}
