//! The personal access token of the built-in issuer: `<prefix>_pat_`, 32 base62 characters, six of checksum.
//!
//! The underscore keeps the token whole under a double click; the checksum covers the prefix, so that a token cannot
//! be passed off as another installation's, and lets any scanner tell a real one from a placeholder without asking.
//! Minting and recognizing use the functions below, so that they agree by construction.

use super::catalogue::{Check, Kind, Proof};
use super::checksum::{Algorithm, base62_crc32};
use super::shape::BadShape;

/// The kind's name, whatever the prefix.
pub const KIND: &str = "stanch-pat";

/// Characters of the random part.
pub const RANDOM_LEN: usize = 32;

/// Characters of the checksum.
pub const CHECKSUM_LEN: usize = 6;

/// The checksum of everything before it: CRC-32 (IEEE) in base62 (`0-9A-Za-z`), filled up with `0` on the left.
pub fn checksum(before: &[u8]) -> [u8; CHECKSUM_LEN] {
    base62_crc32(before)
}

/// Whether the text is a token with this prefix whose checksum fits.
pub fn check(prefix: &str, token: &[u8]) -> bool {
    let Some((before, sum)) = token.split_last_chunk::<CHECKSUM_LEN>() else { return false };
    let random = before.strip_prefix(prefix.as_bytes()).and_then(|rest| rest.strip_prefix(b"_pat_"));
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

/// The kind of an installation that mints with this prefix.
///
/// # Errors
/// [`BadShape`] if the prefix is not one ([`is_prefix`]).
pub fn kind(prefix: &str) -> Result<Kind, BadShape> {
    if !is_prefix(prefix) {
        return Err(BadShape("a token prefix is 2 to 32 lower-case letters and digits, a letter first".into()));
    }
    let shape = format!("{prefix}_pat_{{b62:{RANDOM_LEN}}}{{b62:{CHECKSUM_LEN}:checksum}}");
    let check = Check { algorithm: Algorithm::Crc32Base62PrefixRandom, proof: Proof::Proved };
    Kind::own(KIND, "built-in", "personal access token", &shape, Some(check))
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
    fn a_prefix_is_letters_and_digits() {
        for good in ["ac", "acme", "a1", "registry2"] {
            assert!(is_prefix(good) && kind(good).is_ok(), "{good}");
        }
        for bad in ["", "a", "1a", "Acme", "ac_me", "ac-me", "{b62}", "é1"] {
            assert!(!is_prefix(bad) && kind(bad).is_err(), "{bad}");
        }
    }
}
