//! The echo: an answer that holds the real credential does not get through.
//!
//! Some servers repeat what they were sent, in an error or on purpose. The answer is searched as it streams, for the
//! credential and its usual disguises; bytes that could be the beginning of one wait for the next piece, everything else
//! goes out at once.

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::{Zeroize as _, Zeroizing};

/// What must not stand in an answer.
pub struct Forbidden {
    patterns: Vec<Zeroizing<Vec<u8>>>,
    finder: AhoCorasick,
    longest: usize,
}

/// The answer holds the credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer holds the credential")]
pub struct Found;

/// Shorter texts stand in an answer by chance.
const SHORTEST: usize = 6;

impl Forbidden {
    /// The credential as it is, as it is in a header, and both as they look in base64, in a URL and in JSON.
    pub fn new(secret: &[u8], header: &[u8]) -> Option<Self> {
        let mut patterns: Vec<Zeroizing<Vec<u8>>> = Vec::new();
        // A header such as `Basic dXNlcjpwYXNz` holds the secret in another form than the secret itself.
        let shown = header.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
        for bytes in [secret, shown] {
            let mut add = |form: Vec<u8>| {
                let form = Zeroizing::new(form);
                if form.len() >= SHORTEST && !patterns.contains(&form) {
                    patterns.push(form);
                }
            };
            add(bytes.to_vec());
            add(percent_encoded(bytes));
            add(json_escaped(bytes));
            add(STANDARD.encode(bytes).into_bytes());
            add(STANDARD_NO_PAD.encode(bytes).into_bytes());
            add(URL_SAFE_NO_PAD.encode(bytes).into_bytes());
        }
        let longest = patterns.iter().map(|pattern| pattern.len()).max()?;
        let finder = AhoCorasick::builder().match_kind(MatchKind::Standard).build(&*patterns_of(&patterns)).ok()?;
        Some(Self { patterns, finder, longest })
    }

    /// Whether a whole text holds it.
    pub fn is_in(&self, text: &[u8]) -> bool {
        self.finder.is_match(text)
    }

    /// Takes the next piece of a text behind what is held back of it, and gives what may go out now; what must wait is in
    /// `held` again.
    ///
    /// # Errors
    /// When the credential is in it. Nothing of the piece goes out then.
    pub fn sift(&self, held: &mut Vec<u8>, piece: &[u8]) -> Result<Vec<u8>, Found> {
        held.extend_from_slice(piece);
        if self.is_in(held) {
            held.zeroize();
            return Err(Found);
        }
        let keep = self.pending(held);
        let rest = held.split_off(held.len() - keep);
        Ok(std::mem::replace(held, rest))
    }

    /// How many bytes at the end of `text` could be the beginning of it.
    fn pending(&self, text: &[u8]) -> usize {
        let most = text.len().min(self.longest - 1);
        let begins = |tail: &[u8]| self.patterns.iter().any(|pattern| pattern.starts_with(tail));
        (1..=most).rev().find(|length| text.get(text.len() - length..).is_some_and(begins)).unwrap_or(0)
    }
}

fn patterns_of(patterns: &[Zeroizing<Vec<u8>>]) -> Vec<&[u8]> {
    patterns.iter().map(|pattern| pattern.as_slice()).collect()
}

fn percent_encoded(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            out.push(*byte);
        } else {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
    out
}

fn json_escaped(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for byte in bytes {
        if matches!(byte, b'"' | b'\\' | b'/') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: &[u8] = b"s3cr3t/of+an upstream";

    fn forbidden() -> Forbidden {
        Forbidden::new(SECRET, b"Bearer s3cr3t/of+an upstream").expect("long enough")
    }

    /// Everything that went out before the end or the find.
    fn through(pieces: &[&[u8]]) -> Result<Vec<u8>, Found> {
        let forbidden = forbidden();
        let (mut held, mut out) = (Vec::new(), Vec::new());
        for piece in pieces {
            out.extend(forbidden.sift(&mut held, piece)?);
        }
        out.extend(held);
        Ok(out)
    }

    #[test]
    fn every_disguise_is_found_in_any_cut() {
        let plain = String::from_utf8_lossy(SECRET).into_owned();
        for text in [
            plain.clone(),
            plain.replace('/', "%2F").replace('+', "%2B").replace(' ', "%20"),
            plain.replace('/', "\\/"),
            STANDARD.encode(SECRET),
            URL_SAFE_NO_PAD.encode(SECRET),
        ] {
            let answer = format!("{{\"you sent\": \"{text}\"}}").into_bytes();
            for cut in 0..answer.len() {
                let (head, tail) = answer.split_at(cut);
                assert_eq!(through(&[head, tail]), Err(Found), "{text} cut at {cut}");
            }
        }
    }

    #[test]
    fn what_cannot_be_its_beginning_does_not_wait() {
        let forbidden = forbidden();
        let mut held = Vec::new();
        assert_eq!(forbidden.sift(&mut held, b"data: tick\n\n"), Ok(b"data: tick\n\n".to_vec()));
        assert_eq!(forbidden.sift(&mut held, b"it is s3cr"), Ok(b"it is ".to_vec()));
        assert_eq!(forbidden.sift(&mut held, b"umption"), Ok(b"s3crumption".to_vec()));
    }

    #[test]
    fn a_credential_that_any_text_may_hold_is_not_looked_for() {
        assert!(Forbidden::new(b"ab", b"x").is_none());
    }

    proptest! {
        #[test]
        fn every_other_answer_comes_through_whole(pieces in proptest::collection::vec("[s3cr3t/of ]{0,12}", 0..20)) {
            let whole = pieces.concat();
            prop_assume!(!forbidden().is_in(whole.as_bytes()));
            let parts: Vec<&[u8]> = pieces.iter().map(String::as_bytes).collect();
            prop_assert_eq!(through(&parts), Ok(whole.into_bytes()));
        }
    }
}
