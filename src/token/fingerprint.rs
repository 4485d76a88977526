//! Fingerprints: how a token is named in the database, in logs and on pages.
//!
//! A fingerprint is HMAC-SHA256 (RFC 2104, FIPS 198-1) over the kind and the canonical identity of the token under a
//! key that is kept outside the database: a stolen database cannot be searched with a list of guessed tokens. It
//! carries its key's id, so that keys can be rotated while incidents found under an older key are still recognized.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{KindId, Secret};

/// Names one token: `<key id>:<64 lower-case hexadecimal digits>`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Takes back the text of a fingerprint that was stored.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One fingerprint key: 32 bytes and the short id that fingerprints made with it carry.
pub struct FingerprintKey {
    id: String,
    bytes: Zeroizing<[u8; 32]>,
}

impl FingerprintKey {
    pub fn new(id: String, bytes: [u8; 32]) -> Self {
        Self { id, bytes: Zeroizing::new(bytes) }
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    fn fingerprint(&self, kind: &KindId, canonical: &Secret) -> Fingerprint {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(self.bytes.as_slice()).expect("HMAC takes a key of any length (RFC 2104)");
        // The length in front keeps (kind, bytes) pairs apart whose concatenations are equal.
        mac.update(&u64::try_from(kind.as_str().len()).unwrap_or(u64::MAX).to_be_bytes());
        mac.update(kind.as_str().as_bytes());
        mac.update(canonical.expose());
        let digest = mac.finalize().into_bytes();
        let mut text = String::with_capacity(self.id.len() + 65);
        text.push_str(&self.id);
        text.push(':');
        for byte in digest {
            text.push(char::from(HEX[usize::from(byte >> 4)]));
            text.push(char::from(HEX[usize::from(byte & 15)]));
        }
        Fingerprint(text)
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// The current fingerprint key and the older ones that incidents may still carry.
pub struct FingerprintRing {
    current: FingerprintKey,
    older: Vec<FingerprintKey>,
}

impl FingerprintRing {
    pub fn new(current: FingerprintKey, older: Vec<FingerprintKey>) -> Self {
        Self { current, older }
    }

    /// The fingerprint under which a new incident is stored.
    pub fn current(&self, kind: &KindId, canonical: &Secret) -> Fingerprint {
        self.current.fingerprint(kind, canonical)
    }

    /// Every fingerprint under which the token may be known already, the current one first.
    pub fn all(&self, kind: &KindId, canonical: &Secret) -> Vec<Fingerprint> {
        std::iter::once(&self.current).chain(&self.older).map(|key| key.fingerprint(kind, canonical)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring() -> FingerprintRing {
        FingerprintRing::new(FingerprintKey::new("f2".into(), [2; 32]), vec![FingerprintKey::new("f1".into(), [1; 32])])
    }

    #[test]
    fn the_current_key_comes_first_and_each_names_itself() {
        let (kind, token) = (KindId::new("npm-access-token"), Secret::new(b"abc".to_vec()));
        let all = ring().all(&kind, &token);
        assert_eq!(all[0], ring().current(&kind, &token));
        assert!(all[0].as_str().starts_with("f2:") && all[1].as_str().starts_with("f1:"));
        assert_eq!(all[0].as_str().len(), 3 + 64);
    }

    #[test]
    fn kind_and_token_are_not_confused() {
        let one = ring().current(&KindId::new("ab"), &Secret::new(b"c".to_vec()));
        let two = ring().current(&KindId::new("a"), &Secret::new(b"bc".to_vec()));
        assert_ne!(one, two);
    }
}
