//! Sealing: a token's bytes at rest, bound to the row they belong to.
//!
//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) with a random 24-byte nonce, which needs no counter to be safe.
//! Table, row and column are authenticated with the bytes, so that sealed bytes moved to another row do not open. Each
//! sealed value names its key, so that keys can be rotated while older rows still open.
//!
//! Form: version (1), length of the key id, key id, nonce (24), ciphertext and tag.

use std::collections::HashSet;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use rand::TryRng;
use rand::rngs::SysRng;
use zeroize::Zeroizing;

use super::Error;
use crate::token::Secret;

const VERSION: u8 = 1;
const NONCE_LEN: usize = 24;
/// A key id's length must fit its byte, and its text a sentence.
const MAX_KEY_ID: usize = 64;

/// One sealing key: 32 bytes and the short id that everything sealed with it carries.
pub struct SealKey {
    pub id: String,
    pub bytes: Zeroizing<[u8; 32]>,
}

impl SealKey {
    pub fn new(id: String, bytes: [u8; 32]) -> Self {
        Self { id, bytes: Zeroizing::new(bytes) }
    }

    /// A fresh key from the operating system's randomness.
    ///
    /// # Errors
    /// When the operating system has none to give.
    pub fn generate(id: String, rng: &mut SysRng) -> Result<Self, rand::rngs::SysError> {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        rng.try_fill_bytes(bytes.as_mut_slice())?;
        Ok(Self { id, bytes })
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        let bytes: &[u8; 32] = &self.bytes;
        XChaCha20Poly1305::new(bytes.into())
    }
}

/// The current sealing key and the older ones that stored rows may still need.
pub struct SealRing {
    pub current: SealKey,
    pub older: Vec<SealKey>,
}

/// Where sealed bytes live. They open nowhere else.
#[derive(Clone, Copy, Debug)]
pub(super) struct SealedAt<'a> {
    pub table: &'static str,
    pub row: &'a str,
    pub column: &'static str,
}

/// Sealed bytes do not open: another key under the same id, another row, or changed bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum UnsealError {
    #[error("it was sealed for another row, with another key, or changed since")]
    Forged,
    #[error("its form is not one that this version knows")]
    Form,
    #[error("its sealing key is not among the keys given")]
    UnknownKey,
}

impl SealRing {
    /// Seals under the current key.
    pub(super) fn seal(&self, secret: &Secret, at: SealedAt<'_>) -> Result<Vec<u8>, Error> {
        let mut nonce = [0_u8; NONCE_LEN];
        SysRng.try_fill_bytes(&mut nonce).map_err(Error::unavailable)?;
        let key = &self.current;
        let id_len = u8::try_from(key.id.len()).map_err(Error::unavailable)?;
        let mut sealed = Vec::with_capacity(2 + key.id.len() + NONCE_LEN + secret.len() + 16);
        sealed.extend([VERSION, id_len]);
        sealed.extend(key.id.as_bytes());
        let aad = authenticated(&sealed, at);
        sealed.extend(nonce);
        let payload = Payload { msg: secret.expose(), aad: &aad };
        let body =
            key.cipher().encrypt(&XNonce::from(nonce), payload).map_err(|_| Error::unavailable("sealing failed"))?;
        sealed.extend(body);
        Ok(sealed)
    }

    /// Opens what any key of the ring sealed for this row.
    pub(super) fn open(&self, sealed: &[u8], at: SealedAt<'_>) -> Result<Secret, UnsealError> {
        let (&[version, id_len], rest) = sealed.split_first_chunk::<2>().ok_or(UnsealError::Form)?;
        let id_len = usize::from(id_len);
        if version != VERSION || rest.len() < id_len + NONCE_LEN {
            return Err(UnsealError::Form);
        }
        let (id, rest) = rest.split_at(id_len);
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>().ok_or(UnsealError::Form)?;
        let key = self.keys().find(|key| key.id.as_bytes() == id).ok_or(UnsealError::UnknownKey)?;
        let header = sealed.get(..2 + id_len).ok_or(UnsealError::Form)?;
        let payload = Payload { msg: body, aad: &authenticated(header, at) };
        key.cipher().decrypt(&XNonce::from(*nonce), payload).map(Secret::new).map_err(|_| UnsealError::Forged)
    }

    /// Makes a fresh key of 32 bytes and seals it.
    pub(super) fn seal_new_key(&self, at: SealedAt<'_>) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0_u8; 32];
        SysRng.try_fill_bytes(&mut bytes).map_err(Error::unavailable)?;
        self.seal(&Secret::new(bytes), at)
    }

    /// Opens what [`SealRing::seal_new_key`] made; none if no key of the ring opens it.
    pub(super) fn open_key(&self, sealed: &[u8], at: SealedAt<'_>) -> Option<Zeroizing<[u8; 32]>> {
        let opened = self.open(sealed, at).ok()?;
        opened.expose().try_into().ok().map(Zeroizing::new)
    }

    /// Opens what is no token, as an answer that may show one, and is about to be sent.
    pub(super) fn open_answer(&self, sealed: &[u8], at: SealedAt<'_>) -> Option<Zeroizing<Vec<u8>>> {
        self.open(sealed, at).ok().map(|opened| Zeroizing::new(opened.expose().to_vec()))
    }

    /// Whether the current key sealed it.
    pub(super) fn is_current(&self, sealed: &[u8]) -> bool {
        let id = self.current.id.as_bytes();
        matches!(sealed.split_first_chunk::<2>(), Some((&[_, len], rest)) if usize::from(len) == id.len() && rest.starts_with(id))
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &SealKey> {
        std::iter::once(&self.current).chain(&self.older)
    }

    /// What is wrong with the keys as they were given, in words for people.
    pub(super) fn fault(&self) -> Option<String> {
        let mut seen = HashSet::new();
        for key in self.keys() {
            if key.id.is_empty() || key.id.len() > MAX_KEY_ID || !key.id.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Some(format!("a sealing key's id must be 1 to {MAX_KEY_ID} visible ASCII characters"));
            }
            if !seen.insert(&key.id) {
                return Some(format!("two sealing keys have the id `{}`", key.id));
            }
        }
        None
    }
}

/// The header and the place, each with its length in front, so that no two places read the same.
fn authenticated(header: &[u8], at: SealedAt<'_>) -> Vec<u8> {
    let parts = [header, at.table.as_bytes(), at.row.as_bytes(), at.column.as_bytes()];
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        bytes.extend(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        bytes.extend(part);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: SealedAt<'_> = SealedAt { table: "secrets", row: "inc_1", column: "sealed" };

    fn ring(current: &str, older: &[&str]) -> SealRing {
        let key = |id: &str| SealKey::new(id.into(), [id.as_bytes()[1]; 32]);
        SealRing { current: key(current), older: older.iter().map(|id| key(id)).collect() }
    }

    fn secret() -> Secret {
        Secret::new(b"not really a token".to_vec())
    }

    #[test]
    fn what_was_sealed_opens_under_its_key_however_old() {
        let sealed = ring("s1", &[]).seal(&secret(), HERE).expect("sealed");
        let opened = ring("s2", &["s1"]).open(&sealed, HERE).expect("opened");
        assert_eq!(opened.expose(), secret().expose());
        assert_eq!(ring("s2", &[]).open(&sealed, HERE).err(), Some(UnsealError::UnknownKey));
    }

    #[test]
    fn sealed_bytes_open_in_no_other_place() {
        let sealed = ring("s1", &[]).seal(&secret(), HERE).expect("sealed");
        for at in [
            SealedAt { row: "inc_2", ..HERE },
            SealedAt { table: "secret", row: "sinc_1", ..HERE },
            SealedAt { column: "key_id", ..HERE },
        ] {
            assert_eq!(ring("s1", &[]).open(&sealed, at).err(), Some(UnsealError::Forged), "{at:?}");
        }
    }

    #[test]
    fn one_token_sealed_twice_does_not_look_the_same() {
        let ring = ring("s1", &[]);
        assert_ne!(ring.seal(&secret(), HERE).expect("sealed"), ring.seal(&secret(), HERE).expect("sealed"));
    }

    #[test]
    fn a_changed_or_cut_value_is_refused_and_never_a_panic() {
        let ring = ring("s1", &[]);
        let sealed = ring.seal(&secret(), HERE).expect("sealed");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(ring.open(&changed, HERE).is_err(), "byte {at}");
            assert!(ring.open(&sealed[..at], HERE).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn another_key_under_the_same_id_is_told_from_a_missing_one() {
        let sealed = ring("s1", &[]).seal(&secret(), HERE).expect("sealed");
        let mut other = ring("s1", &[]);
        other.current.bytes = Zeroizing::new([9; 32]);
        assert_eq!(other.open(&sealed, HERE).err(), Some(UnsealError::Forged));
    }

    #[test]
    fn two_keys_of_one_id_are_refused() {
        assert!(ring("s1", &["s1"]).fault().is_some());
        assert!(ring("s1", &["s2"]).fault().is_none());
    }
}
