//! Finding ids: how a leaked token is named in what a scan writes.
//!
//! An id says which kind of token was found and which one, and not where: it is the same in every file, commit, machine
//! and spelling, so that a baseline survives a squash, a rename and a merge. It carries no key, because two people must
//! get the same id for the same token; it is cut to 80 bits, which names a token and proves nothing about it. For a kind
//! that people make up themselves (a password in a URL) it could be guessed at: treat reports of those as what they are.

use std::fmt;

use sha2::{Digest, Sha256};

use super::{KindId, Secret};

/// The form of the ids; a change of what is hashed changes it.
const VERSION: &str = "st1";

/// Bytes of the digest that an id shows.
const SHOWN: usize = 10;

/// Names one leaked token: `st1:<kind>:<20 lower-case hexadecimal digits>`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FindingId(String);

impl FindingId {
    /// The id of the token with this canonical identity.
    pub fn of(kind: &KindId, canonical: &Secret) -> Self {
        let mut hash = Sha256::new();
        // The length in front keeps (kind, bytes) pairs apart whose concatenations are equal.
        hash.update(u64::try_from(kind.as_str().len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(kind.as_str().as_bytes());
        hash.update(canonical.expose());
        let digest = hash.finalize();
        let mut text = format!("{VERSION}:{kind}:");
        for byte in &digest[..SHOWN] {
            text.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
            text.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
        }
        Self(text)
    }

    /// Reads an id that was written before. `None` if the text is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, digits) = text.strip_prefix(VERSION)?.strip_prefix(':')?.rsplit_once(':')?;
        let hex = digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        (!kind.is_empty() && hex && digits.len() == 2 * SHOWN).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FindingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for FindingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_a_token_of_a_kind_and_reads_back() {
        let id = |kind: &str, bytes: &[u8]| FindingId::of(&KindId::new(kind), &Secret::new(bytes.to_vec()));
        let one = id("npm-access-token", b"abc");
        assert_eq!(one, id("npm-access-token", b"abc"));
        assert_ne!(one, id("npm-access-token", b"abd"));
        assert_ne!(id("ab", b"c").as_str().rsplit_once(':'), id("a", b"bc").as_str().rsplit_once(':'));
        assert_eq!(FindingId::parse(one.as_str()), Some(one.clone()));
        for bad in ["", "st1:x:abc", "st2:npm:00000000000000000000", "st1::00000000000000000000"] {
            assert_eq!(FindingId::parse(bad), None, "{bad}");
        }
    }
}
