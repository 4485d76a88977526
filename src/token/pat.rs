//! The opaque tokens of the built-in issuer: `<prefix>_pat_`, 32 base62 characters, six of checksum; keys and magic
//! tokens are the same with `_key_` and `_mgc_`.
//!
//! The underscore keeps the token whole under a double click; the checksum covers the prefix, so that a token cannot
//! be passed off as another installation's, and lets any scanner tell a real one from a placeholder without asking.
//! Minting and recognizing use the functions below, so that they agree by construction.

use super::catalogue::{Check, Kind, Proof};
use super::checksum::{Algorithm, base62_crc32};
use super::shape::BadShape;

/// The kind of personal access tokens, whatever the prefix.
pub const KIND: &str = "stanch-pat";

/// What tokens begin with unless an installation chose a prefix of its own.
pub const PREFIX: &str = "stanch";

/// Which of the opaque tokens it is: the word between prefix and random part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mark {
    Key,
    Magic,
    Pat,
}

impl Mark {
    pub const ALL: [Self; 3] = [Self::Key, Self::Magic, Self::Pat];

    pub fn word(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Magic => "mgc",
            Self::Pat => "pat",
        }
    }

    /// The name of the kind of its tokens.
    pub fn kind_id(self) -> &'static str {
        match self {
            Self::Key => "stanch-key",
            Self::Magic => "stanch-magic-token",
            Self::Pat => KIND,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Key => "API key",
            Self::Magic => "magic token",
            Self::Pat => "personal access token",
        }
    }

    /// What a text claims to be by its beginning.
    pub fn of(prefix: &str, text: &[u8]) -> Option<Self> {
        let rest = text.strip_prefix(prefix.as_bytes())?.strip_prefix(b"_")?;
        Self::ALL
            .into_iter()
            .find(|mark| rest.strip_prefix(mark.word().as_bytes()).is_some_and(|rest| rest.starts_with(b"_")))
    }
}

/// Characters of the random part.
pub const RANDOM_LEN: usize = 32;

/// Characters of the checksum.
pub const CHECKSUM_LEN: usize = 6;

/// The checksum of everything before it: CRC-32 (IEEE) in base62 (`0-9A-Za-z`), filled up with `0` on the left.
pub fn checksum(before: &[u8]) -> [u8; CHECKSUM_LEN] {
    base62_crc32(before)
}

/// Bytes of a token with this prefix and mark.
pub fn len(prefix: &str, mark: Mark) -> usize {
    prefix.len() + mark.word().len() + 2 + RANDOM_LEN + CHECKSUM_LEN
}

/// Whether the text is a personal access token with this prefix whose checksum fits.
pub fn check(prefix: &str, token: &[u8]) -> bool {
    check_marked(prefix, Mark::Pat, token)
}

/// Whether the text is a token with this prefix and mark whose checksum fits.
pub fn check_marked(prefix: &str, mark: Mark, token: &[u8]) -> bool {
    let Some((before, sum)) = token.split_last_chunk::<CHECKSUM_LEN>() else { return false };
    let random = before
        .strip_prefix(prefix.as_bytes())
        .and_then(|rest| rest.strip_prefix(b"_"))
        .and_then(|rest| rest.strip_prefix(mark.word().as_bytes()))
        .and_then(|rest| rest.strip_prefix(b"_"));
    random.is_some_and(|random| {
        random.len() == RANDOM_LEN && random.iter().all(u8::is_ascii_alphanumeric) && checksum(before) == *sum
    })
}

/// Whether a prefix can be told apart in running text: 2 to 32 lower-case letters and digits, a letter first.
pub fn is_prefix(prefix: &str) -> bool {
    (2..=32).contains(&prefix.len())
        && prefix.starts_with(|first: char| first.is_ascii_lowercase())
        && prefix.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// The kind of personal access tokens of an installation that mints with this prefix.
///
/// # Errors
/// [`BadShape`] if the prefix is not one ([`is_prefix`]).
pub fn kind(prefix: &str) -> Result<Kind, BadShape> {
    kind_marked(prefix, Mark::Pat)
}

/// The kind of an installation's tokens with this mark.
///
/// # Errors
/// [`BadShape`] if the prefix is not one ([`is_prefix`]).
pub fn kind_marked(prefix: &str, mark: Mark) -> Result<Kind, BadShape> {
    if !is_prefix(prefix) {
        return Err(BadShape("a token prefix is 2 to 32 lower-case letters and digits, a letter first".into()));
    }
    let shape = format!("{prefix}_{}_{{b62:{RANDOM_LEN}}}{{b62:{CHECKSUM_LEN}:checksum}}", mark.word());
    let check = Check { algorithm: Algorithm::Crc32Base62PrefixRandom, proof: Proof::Proved };
    Kind::own(mark.kind_id(), "built-in", mark.name(), &shape, Some(check))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(prefix: &str) -> Vec<u8> {
        let mut token = format!("{prefix}_pat_{}", "7".repeat(RANDOM_LEN)).into_bytes();
        let sum = checksum(&token);
        token.extend(sum);
        token
    }

    #[test]
    fn a_token_fits_only_under_its_own_prefix() {
        let token = token("acme");
        assert!(check("acme", &token));
        assert!(!check("acm", &token) && !check("acme2", &token));
        assert!(!check("acme", &token[..token.len() - 1]) && !check("acme", b""));
        let moved = [b"acne", &token[4..]].concat();
        assert!(!check("acne", &moved), "the checksum covers the prefix");
    }

    #[test]
    fn a_mark_is_part_of_the_token() {
        for mark in Mark::ALL {
            let mut token = format!("acme_{}_{}", mark.word(), "7".repeat(RANDOM_LEN)).into_bytes();
            let sum = checksum(&token);
            token.extend(sum);
            for other in Mark::ALL {
                assert_eq!(check_marked("acme", other, &token), other == mark);
            }
            assert_eq!(Mark::of("acme", &token), Some(mark));
            assert!(Mark::of("acm", &token).is_none());
        }
        assert!(Mark::of("acme", b"acme_pat").is_none() && Mark::of("acme", b"acme_xyz_1").is_none());
    }

    #[test]
    fn a_prefix_is_letters_and_digits() {
        for good in ["ac", "acme", "a1", "registry2"] {
            assert!(is_prefix(good) && kind(good).is_ok(), "{good}");
        }
        for bad in ["", "a", "1a", "Acme", "ac_me", "ac-me", "{b62}", "é1"] {
            assert!(!is_prefix(bad) && kind(bad).is_err(), "{bad}");
        }
    }
}
