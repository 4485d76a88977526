//! The key that proves audit events: who does not have it can neither write one nor bend the chain over them.
//!
//! Its own key and not a sealing or fingerprint key, for those are rotated and let go, and a trail is verified for
//! years. It lies in the database, sealed, so that whoever has the key files has it and a thief of the database has not.

use std::sync::{Arc, OnceLock};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::seal::{SealRing, SealedAt};
use super::sql::{Session, Statement, binds, hex};
use super::{Error, OpenError, Store};

/// Filled once, when the store is opened.
pub(super) type SharedAuditKey = Arc<OnceLock<AuditKey>>;

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct AuditKey(Arc<Zeroizing<[u8; 32]>>);

const NAME: &str = "audit_key";
const PLACE: SealedAt<'_> = SealedAt { table: "meta", row: NAME, column: "value" };

static READ: Statement = Statement::new(
    "-- audit_key.read
     SELECT value
     FROM meta
     WHERE name = 'audit_key'",
);

static INSERT: Statement = Statement::new(
    "-- audit_key.insert
     INSERT INTO meta (name, value)
     VALUES ('audit_key', $1)
     ON CONFLICT (name) DO NOTHING",
);

static RESEAL: Statement = Statement::new(
    "-- audit_key.reseal
     UPDATE meta
     SET value = $1
     WHERE name = 'audit_key'",
);

impl AuditKey {
    /// HMAC-SHA256 over the parts, each with its length in front, in hexadecimal. The first part says what is proved.
    pub(super) fn prove<'p>(&self, parts: impl IntoIterator<Item = &'p [u8]>) -> String {
        let bytes: &[u8; 32] = &self.0;
        let mut mac = Hmac::<Sha256>::new_from_slice(bytes).expect("HMAC takes a key of any length (RFC 2104)");
        for part in parts {
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.update(part);
        }
        hex(&mac.finalize().into_bytes())
    }
}

impl Store {
    /// A secret of this installation for one purpose, the same in each of its processes.
    ///
    /// # Errors
    /// When the store is not open yet.
    pub fn derived_secret(&self, purpose: &str) -> Result<Zeroizing<[u8; 32]>, Error> {
        let key = self.audit.get().ok_or_else(|| Error::unavailable("the store is not open yet"))?;
        let bytes: &[u8; 32] = &key.0;
        let mut mac = Hmac::<Sha256>::new_from_slice(bytes).expect("HMAC takes a key of any length (RFC 2104)");
        mac.update(b"derived secret\0");
        mac.update(purpose.as_bytes());
        Ok(Zeroizing::new(mac.finalize().into_bytes().into()))
    }

    /// Opens the audit key, or makes it with a new database.
    pub(super) async fn open_audit_key(&self, shared: &SharedAuditKey) -> Result<(), OpenError> {
        let opened = self.write(Arc::clone(&self.seal), |session, ring| Box::pin(ensure(session, ring))).await?;
        let key = opened.ok_or_else(|| {
            OpenError::Refused(
                "the audit key of this database was sealed with a key that is not among those given: add the older \
                 sealing key, run `stanch keys rewrap`, and then let it go"
                    .into(),
            )
        })?;
        let _ = shared.set(AuditKey(Arc::new(key)));
        Ok(())
    }
}

/// The key; none if no sealing key opens it.
async fn ensure(session: &mut Session, ring: &Arc<SealRing>) -> Result<Option<Zeroizing<[u8; 32]>>, Error> {
    if session.optional(&READ, Vec::new()).await?.is_none() {
        let sealed = ring.seal_new_key(PLACE)?;
        session.run(&INSERT, binds![BASE64_STANDARD.encode(sealed)]).await?;
    }
    // Another machine may have been first.
    let row = session.optional(&READ, Vec::new()).await?.ok_or(Error::NotFound { what: "audit key" })?;
    Ok(ring.open_key(&unarmoured(&row.text("value")?)?, PLACE))
}

/// Seals the key under the current sealing key, if an older one sealed it.
pub(super) async fn rewrap(session: &mut Session, ring: &SealRing) -> Result<(), Error> {
    let Some(row) = session.optional(&READ, Vec::new()).await? else { return Ok(()) };
    let sealed = unarmoured(&row.text("value")?)?;
    if ring.is_current(&sealed) {
        return Ok(());
    }
    let opened = ring.open(&sealed, PLACE).map_err(|error| Error::corrupt(NAME, error))?;
    session.run(&RESEAL, binds![BASE64_STANDARD.encode(ring.seal(&opened, PLACE)?)]).await.map(drop)
}

fn unarmoured(text: &str) -> Result<Vec<u8>, Error> {
    BASE64_STANDARD.decode(text).map_err(|error| Error::corrupt(NAME, error))
}
