//! Which keys the database was written with, so that a wrong one is noticed at start and not at the first leak.
//!
//! Each key leaves a proof under its id: a sealed constant, or the fingerprint of one. Neither tells anything of the key.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use tracing::warn;

use super::seal::{SealRing, SealedAt};
use super::sql::{Session, Statement, binds};
use super::{Error, OpenError, Store};
use crate::token::{Fingerprint, FingerprintRing, KindId, Secret};

const PROOF: &[u8] = b"stanch key check";
const SEAL: &str = "seal_key:";
const FINGERPRINT: &str = "fingerprint_key:";

static READ: Statement = Statement::new(
    "-- keys.read
     SELECT name, value
     FROM meta
     WHERE name LIKE $1 || '%'
     ORDER BY name",
);

static INSERT: Statement = Statement::new(
    "-- keys.insert
     INSERT INTO meta (name, value)
     VALUES ($1, $2)
     ON CONFLICT (name) DO NOTHING",
);

static IN_USE: Statement = Statement::new(
    "-- keys.in_use
     SELECT key_id
     FROM secrets
     UNION
     SELECT seal_key_id
     FROM tokens
     WHERE seal_key_id IS NOT NULL",
);

impl Store {
    /// Refuses fingerprint keys that are not the ones the database was written with: under another key no token that
    /// is known would be recognized, and every one would be revoked and mailed about again.
    pub async fn check_fingerprint_keys(&self, ring: &FingerprintRing) -> Result<(), OpenError> {
        let given: Vec<(String, String)> =
            ring.all(&KindId::new("key-check"), &Secret::new(PROOF.to_vec())).iter().map(named).collect();
        let refused = self.write(given, |session, given| Box::pin(check_fingerprints(session, given))).await?;
        refused.map_or(Ok(()), |why| Err(OpenError::Refused(why)))
    }

    pub(super) async fn check_seal_keys(&self) -> Result<(), OpenError> {
        let refused = self.write(Arc::clone(&self.seal), |session, ring| Box::pin(check_seals(session, ring))).await?;
        refused.map_or(Ok(()), |why| Err(OpenError::Refused(why)))
    }
}

/// Says why the keys are refused, or records the current one.
async fn check_fingerprints(session: &mut Session, given: &mut [(String, String)]) -> Result<Option<String>, Error> {
    let known = known(session, FINGERPRINT).await?;
    for (id, proof) in given.iter() {
        if known.iter().any(|(name, value)| name == id && value != proof) {
            return Ok(Some(format!(
                "the fingerprint key `{id}` is not the one this database was written with: give back the old key file"
            )));
        }
    }
    let missing: Vec<&str> =
        known.iter().map(|(id, _)| id.as_str()).filter(|id| given.iter().all(|(given, _)| given != id)).collect();
    if let Some(missing) = missing.first().filter(|_| missing.len() == known.len()) {
        return Ok(Some(format!(
            "this database was written with the fingerprint key `{missing}`, which is not among the keys given: \
             add it as an older key"
        )));
    }
    // An operator may let an old key go in the end; what it still does is recognize tokens reported under it.
    for id in missing {
        warn!("tokens reported under the fingerprint key {id} are not recognized again, because it is not given");
    }
    if let Some((id, proof)) = given.first() {
        session.run(&INSERT, binds![format!("{FINGERPRINT}{id}"), proof.as_str()]).await?;
    }
    Ok(None)
}

async fn check_seals(session: &mut Session, ring: &Arc<SealRing>) -> Result<Option<String>, Error> {
    let known = known(session, SEAL).await?;
    for (id, proof) in known.iter().filter(|(id, _)| ring.keys().any(|key| key.id == *id)) {
        let name = format!("{SEAL}{id}");
        let opened = BASE64.decode(proof).is_ok_and(|sealed| ring.open(&sealed, place(&name)).is_ok());
        if !opened {
            return Ok(Some(format!(
                "the sealing key `{id}` is not the one this database was sealed with: give back the old key file"
            )));
        }
    }
    for row in session.all(&IN_USE, Vec::new()).await? {
        let id = row.text("key_id")?;
        if ring.keys().all(|key| key.id != id) {
            return Ok(Some(format!(
                "this database was sealed with the key `{id}`, which is not among the keys given: add it as an older key"
            )));
        }
    }
    let name = format!("{SEAL}{}", ring.current.id);
    let proof = ring.seal(&Secret::new(PROOF.to_vec()), place(&name))?;
    session.run(&INSERT, binds![name, BASE64.encode(&proof)]).await?;
    Ok(None)
}

/// The keys that left a proof, by id.
async fn known(session: &mut Session, prefix: &str) -> Result<Vec<(String, String)>, Error> {
    let rows = session.all(&READ, binds![prefix]).await?;
    rows.iter().map(|row| Ok((row.text("name")?.split_off(prefix.len()), row.text("value")?))).collect()
}

fn place(name: &str) -> SealedAt<'_> {
    SealedAt { table: "meta", row: name, column: "value" }
}

/// A fingerprint carries its key's id in front.
fn named(fingerprint: &Fingerprint) -> (String, String) {
    let id = fingerprint.as_str().rsplit_once(':').map_or("", |(id, _)| id);
    (id.to_owned(), fingerprint.to_string())
}
