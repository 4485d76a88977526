//! What a token's row keeps sealed: a macaroon's root key, a magic token's upstream credential.

use super::super::seal::{SealRing, SealedAt};
use super::super::sql::{Session, Statement, binds};
use super::super::{Error, Store};
use super::{OwnToken, OwnTokenKind};
use crate::id::TokenId;
use crate::token::Secret;

static SEALED_BEFORE: Statement = Statement::new(
    "-- tokens.sealed_before
     SELECT id, kind, sealed
     FROM tokens
     WHERE seal_key_id IS NOT NULL
       AND seal_key_id <> $1
     ORDER BY id
     LIMIT $2
     {lock}",
);

static RESEAL: Statement = Statement::new(
    "-- tokens.reseal
     UPDATE tokens
     SET seal_key_id = $2, sealed = $3
     WHERE id = $1",
);

impl Store {
    /// Opens what the token's row keeps sealed.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it keeps nothing, [`Error::Corrupt`] when it was sealed for another row or with another
    /// key.
    pub fn open_own(&self, token: &OwnToken) -> Result<Secret, Error> {
        let sealed = token.sealed.as_ref().ok_or(Error::NotFound { what: "sealed secret of the token" })?;
        open(&self.seal, token.id, token.kind, &sealed.0)
    }
}

/// The sealing key's id and the sealed bytes, bound to the row and to what they are.
pub(super) fn seal(
    ring: &SealRing,
    id: TokenId,
    kind: OwnTokenKind,
    secret: Option<&Secret>,
) -> Result<Option<(String, Vec<u8>)>, Error> {
    let Some(secret) = secret else { return Ok(None) };
    let sealed = ring.seal(secret, place(&id.to_string(), kind))?;
    Ok(Some((ring.current.id.clone(), sealed)))
}

/// Seals again, under the current key, what an older one sealed; returns how many.
pub(in crate::store) async fn rewrap(session: &mut Session, ring: &SealRing, batch: u32) -> Result<u64, Error> {
    let rows = session.all(&SEALED_BEFORE, binds![ring.current.id.as_str(), batch]).await?;
    for row in &rows {
        let (id, kind): (TokenId, OwnTokenKind) = (row.parsed("id")?, row.parsed("kind")?);
        let secret = open(ring, id, kind, &row.blob("sealed")?)?;
        let sealed = ring.seal(&secret, place(&id.to_string(), kind))?;
        session.run(&RESEAL, binds![id, ring.current.id.as_str(), sealed]).await?;
    }
    Ok(u64::try_from(rows.len()).unwrap_or(u64::MAX))
}

fn open(ring: &SealRing, id: TokenId, kind: OwnTokenKind, sealed: &[u8]) -> Result<Secret, Error> {
    let opened = ring.open(sealed, place(&id.to_string(), kind));
    opened.map_err(|error| Error::corrupt(format!("sealed secret of token {id}"), error))
}

/// One column, and yet a root key never opens as somebody's credential.
fn place(row: &str, kind: OwnTokenKind) -> SealedAt<'_> {
    let column = match kind {
        OwnTokenKind::Macaroon => "root_key",
        OwnTokenKind::Key | OwnTokenKind::Magic | OwnTokenKind::Pat => "upstream_credential",
    };
    SealedAt { table: "tokens", row, column }
}
