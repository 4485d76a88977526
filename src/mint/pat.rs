//! Personal access tokens, keys and magic tokens: `<prefix>_pat_`, 32 random base62 characters, 6 of checksum.
//!
//! The form is [`token::pat`](crate::token::pat)'s, which recognizes them as well. The random part carries 190 bits and
//! every character of it is equally likely.

use rand::TryCryptoRng;
use zeroize::Zeroizing;

use super::text_sha256;
use crate::token::Secret;
use crate::token::pat::{CHECKSUM_LEN, Mark, PREFIX, RANDOM_LEN, checksum, is_prefix};

/// What the tokens of this installation begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix(String);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token prefix is 2 to 32 lower-case letters and digits, a letter first")]
pub struct InvalidPrefix;

/// A fresh token. The secret is shown to its owner once and kept nowhere.
pub struct Minted {
    pub secret: Secret,
    pub sha256: [u8; 32],
    /// The last four characters of the checksum, which tell nothing about the random part that anybody could use.
    pub hint: String,
}

/// Makes a personal access token from the operating system's randomness.
///
/// # Errors
/// When there is no randomness to be had.
pub fn mint<R: TryCryptoRng>(prefix: &Prefix, rng: &mut R) -> Result<Minted, R::Error> {
    mint_marked(prefix, Mark::Pat, rng)
}

/// Makes a token with this mark.
///
/// # Errors
/// When there is no randomness to be had.
pub fn mint_marked<R: TryCryptoRng>(prefix: &Prefix, mark: Mark, rng: &mut R) -> Result<Minted, R::Error> {
    let mut text = Zeroizing::new(Vec::with_capacity(prefix.0.len() + "_pat_".len() + RANDOM_LEN + CHECKSUM_LEN));
    text.extend_from_slice(prefix.0.as_bytes());
    text.push(b'_');
    text.extend_from_slice(mark.word().as_bytes());
    text.push(b'_');
    for _ in 0..RANDOM_LEN {
        text.push(base62(rng)?);
    }
    let sum = checksum(&text);
    text.extend_from_slice(&sum);
    let hint = sum.iter().skip(CHECKSUM_LEN - HINT_LEN).map(|byte| char::from(*byte)).collect();
    let secret = Secret::new(std::mem::take(&mut *text));
    let sha256 = text_sha256(&secret);
    Ok(Minted { secret, sha256, hint })
}

impl Prefix {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Prefix {
    fn default() -> Self {
        Self(PREFIX.into())
    }
}

impl std::str::FromStr for Prefix {
    type Err = InvalidPrefix;

    fn from_str(text: &str) -> Result<Self, InvalidPrefix> {
        if is_prefix(text) { Ok(Self(text.into())) } else { Err(InvalidPrefix) }
    }
}

/// One character, every one equally likely: what would favour the first ones is thrown again.
fn base62<R: TryCryptoRng>(rng: &mut R) -> Result<u8, R::Error> {
    loop {
        let mut byte = [0_u8];
        rng.try_fill_bytes(&mut byte)?;
        // 248 is the largest multiple of 62 that a byte can hold.
        if byte[0] < 248 {
            return Ok(ALPHABET[usize::from(byte[0] % 62)]);
        }
    }
}

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const HINT_LEN: usize = 4;

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;
    use rand::rngs::{StdRng, SysRng};
    use rand::{SeedableRng, TryRng};

    use super::*;
    use crate::token::pat::check;

    #[test]
    fn a_minted_token_is_recognized_and_its_hint_is_its_end() {
        let minted = mint(&Prefix::default(), &mut SysRng).expect("the system has randomness");
        assert!(check("stanch", minted.secret.expose()));
        assert_eq!(minted.secret.len(), "stanch_pat_".len() + 32 + 6);
        assert_eq!(minted.hint.len(), 4);
        assert!(minted.secret.expose().ends_with(minted.hint.as_bytes()));
        assert_eq!(minted.sha256, text_sha256(&minted.secret));
    }

    #[test]
    fn no_two_tokens_are_alike() {
        let tokens: std::collections::HashSet<_> =
            (0..1_000).map(|_| mint(&Prefix::default(), &mut SysRng).expect("randomness").sha256).collect();
        assert_eq!(tokens.len(), 1_000);
    }

    /// Gives the bytes 0, 1, 2, … in turn: every byte exactly as often as every other.
    struct Counting(u8);

    impl TryRng for Counting {
        type Error = Infallible;

        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            let mut bytes = [0; 4];
            self.try_fill_bytes(&mut bytes)?;
            Ok(u32::from_le_bytes(bytes))
        }

        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            let mut bytes = [0; 8];
            self.try_fill_bytes(&mut bytes)?;
            Ok(u64::from_le_bytes(bytes))
        }

        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
            for byte in bytes {
                *byte = self.0;
                self.0 = self.0.wrapping_add(1);
            }
            Ok(())
        }
    }

    impl TryCryptoRng for Counting {}

    #[test]
    fn every_character_is_equally_likely() {
        let mut counts = std::collections::HashMap::new();
        let mut rng = Counting(0);
        for _ in 0..248 {
            let Ok(letter) = base62(&mut rng);
            *counts.entry(letter).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 62);
        assert!(counts.values().all(|count| *count == 4), "{counts:?}");
    }

    proptest! {
        #[test]
        fn a_token_of_any_prefix_fits_its_checksum_and_no_changed_one_does(
            prefix in "[a-z][a-z0-9]{1,9}", seed in any::<u64>(), at in any::<prop::sample::Index>(), to in 0_usize..62,
        ) {
            let parsed: Prefix = prefix.parse().expect("well formed");
            let minted = mint(&parsed, &mut StdRng::seed_from_u64(seed)).expect("seeded");
            let text = minted.secret.expose();
            prop_assert!(check(&prefix, text));
            prop_assert!(text.iter().skip(prefix.len() + 5).all(u8::is_ascii_alphanumeric));
            let mut changed = text.to_vec();
            let at = at.index(changed.len());
            if changed[at] != ALPHABET[to] {
                changed[at] = ALPHABET[to];
                prop_assert!(!check(&prefix, &changed), "a CRC finds every change of up to 32 neighbouring bits");
            }
        }
    }
}
