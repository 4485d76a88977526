//! Known texts: tokens without any shape, which are found because it is known what they are.
//!
//! An API key that the configuration brings along may be any text. A report of it is known again by its hash, word for
//! word; where a scan has no words to compare, it cannot be found.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use super::Recognized;
use crate::token::{Confidence, KindId, Secret};

/// The kind of these tokens.
pub const KIND: &str = "stanch-configured-key";

/// Longest text that is taken apart into words.
const MAX_WORDS: usize = 256;

/// The hashes of such tokens.
#[derive(Default)]
pub(super) struct Known(HashSet<[u8; 32]>);

impl Known {
    pub fn new(sha256: impl IntoIterator<Item = [u8; 32]>) -> Self {
        Self(sha256.into_iter().collect())
    }

    /// The one that the text is, or that stands in it as a word: behind a name and `=`, in quotes, in a list.
    pub fn find(&self, text: &str) -> Option<Recognized> {
        if self.0.is_empty() {
            return None;
        }
        let words = text.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | ',' | ';' | '<' | '>'));
        let words = words.filter(|word| !word.is_empty()).take(MAX_WORDS);
        // A key may itself hold what elsewhere ends a name: the longest is tried first.
        let tails = words.flat_map(|word| {
            let ends = word.char_indices().filter(|(_, c)| matches!(c, '=' | ':' | '(' | '@')).take(4);
            std::iter::once(word).chain(ends.filter_map(move |(at, c)| word.get(at + c.len_utf8()..)))
        });
        let mut all =
            std::iter::once(text.trim()).chain(tails).flat_map(|text| [text, text.trim_end_matches([')', '.'])]);
        let found = all.find(|text| self.0.contains(&<[u8; 32]>::from(Sha256::digest(text.as_bytes()))))?;
        Some(Recognized {
            kind: KindId::new(KIND),
            confidence: Confidence::Checksum,
            secret: Secret::new(found.as_bytes().to_vec()),
            canonical: Secret::new(found.as_bytes().to_vec()),
            // It has no checksum, so its end is as secret as the rest.
            hint: String::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_wherever_a_report_has_it() {
        let key = format!("{}=:{}", "aB3".repeat(8), "x9".repeat(8));
        let known = Known::new([Sha256::digest(key.as_bytes()).into()]);
        for text in [
            key.clone(),
            format!(" {key}\n"),
            format!("API_KEY={key}"),
            format!("keys: [\"{key}\", \"other\"]"),
            format!("curl -H 'X-API-Key: {key}' https://service.example"),
            format!("STANCH_API_KEYS={},{key}", "z".repeat(32)),
            format!("(see {key})."),
        ] {
            assert_eq!(known.find(&text).expect(&text).secret.expose(), key.as_bytes(), "{text}");
        }
        for text in [String::new(), key[1..].to_owned(), format!("{key}x"), key.to_lowercase()] {
            assert!(known.find(&text).is_none(), "{text}");
        }
    }
}
