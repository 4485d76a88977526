//! Decoding: finds the pieces of a text that are an encoding of other text, and decodes them.
//!
//! A token is text of twenty or more visible ASCII characters, so every piece that could hold one betrays itself before
//! it is decoded: base64 of such text has a pattern in its six-bit groups, hexadecimal one in its high digits, UTF-16 a
//! zero in every other byte. Each decoder tests for its pattern at a few bytes of a long enough run and reads nothing
//! else, which is why a text without encodings costs next to nothing. What must stay true: a decoder writes at most as
//! many bytes as it reads, time is linear, and every decoded byte knows the place it came from.

pub mod base64;
pub mod escape;
mod hex;
mod utf16;

use std::ops::Range;

use zeroize::Zeroize as _;

/// How a piece of text was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Encoding {
    Base64,
    /// Escapes of JSON and programming languages, HTML character references.
    Escape,
    Hex,
    Percent,
    Utf16,
}

impl Encoding {
    pub const ALL: [Self; 5] = [Self::Base64, Self::Escape, Self::Hex, Self::Percent, Self::Utf16];

    pub fn name(self) -> &'static str {
        match self {
            Self::Base64 => "base64",
            Self::Escape => "escape",
            Self::Hex => "hex",
            Self::Percent => "percent",
            Self::Utf16 => "utf-16",
        }
    }
}

/// Shortest text that may hold a token.
const MIN_TEXT: usize = 20;

/// A decoded piece: its bytes, and where in the text each of them begins. One is used again and again.
#[derive(Default)]
pub struct Decoded {
    bytes: Vec<u8>,
    places: Vec<u32>,
    /// Where the last byte ends.
    end: u32,
}

impl Decoded {
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The place in the text that a range of decoded bytes came from.
    pub fn source(&self, range: Range<usize>) -> Range<usize> {
        let at = |index: usize| self.places.get(index).copied().unwrap_or(self.end);
        let Some(next) = self.places.get(range.end) else { return usize_of(at(range.start))..usize_of(self.end) };
        // Up to where the next byte begins would take in the line break and indentation of wrapped base64.
        let last = range.end.checked_sub(1).map_or(*next, at);
        usize_of(at(range.start))..usize_of((*next).min(last.saturating_add(MAX_WIDTH)))
    }

    fn clear(&mut self) {
        // Not `Vec::zeroize`: that wipes the whole capacity, which one large file made large for all that follow.
        self.bytes.as_mut_slice().zeroize();
        self.bytes.clear();
        self.places.clear();
        self.end = 0;
    }

    fn push(&mut self, byte: u8, place: usize) {
        self.bytes.push(byte);
        self.places.push(u32_of(place));
    }
}

/// Characters that one decoded byte may take: `&#x0000002d;`.
const MAX_WIDTH: u32 = 12;

/// Texts are read in chunks of a few megabytes, so that a place in one fits.
fn u32_of(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

fn usize_of(place: u32) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}

/// Calls back with every piece of the text that is an encoding of text. `runs` are the unbroken pieces of the text.
pub fn decode(
    text: &[u8],
    runs: &[Range<usize>],
    decoded: &mut Decoded,
    found: &mut dyn FnMut(Encoding, &mut Decoded),
) {
    base64::decode(text, runs, decoded, found);
    escape::decode(text, decoded, found);
    utf16::decode(text, decoded, found);
    decoded.clear();
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::recognize;

    proptest! {
        #[test]
        fn no_bytes_make_a_decoder_panic_and_places_are_in_the_text(text in proptest::collection::vec(any::<u8>(), 0..600)) {
            check(&text);
        }

        #[test]
        fn nor_does_anything_that_looks_encoded(text in "[A-Za-f0-9+/=\\\\%&#;xu{}\\n ]{0,400}") {
            check(text.as_bytes());
        }
    }

    fn check(text: &[u8]) {
        decode(text, &recognize::runs(text), &mut Decoded::default(), &mut |_, decoded| {
            assert_eq!(decoded.bytes.len(), decoded.places.len());
            assert!(decoded.bytes.len() <= text.len());
            assert!(decoded.places.is_sorted());
            let len = decoded.bytes.len();
            for range in [0..len, 0..1, len - 1..len] {
                let source = decoded.source(range);
                assert!(source.start < source.end && source.end <= text.len(), "{source:?}");
            }
        });
    }
}
