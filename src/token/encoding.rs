//! Base64 as it is met in the wild: either alphabet, padded or not, with or without stray bits in the last character.
//!
//! Strict decoders are right where a token is *accepted*; where a leaked one is *recognized*, every spelling that its
//! issuer would accept must be read (RFC 4648 sections 4 and 5 leave each of these to the reader).

use zeroize::Zeroizing;

/// Which of the two alphabets of RFC 4648 to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alphabet {
    Standard,
    Url,
}

/// Decodes. `None` if a character belongs to neither alphabet, one character is left over, or `=` is not at the end.
pub fn base64(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let unpadded = text.len() - text.iter().rev().take(2).take_while(|byte| **byte == b'=').count();
    let text = &text[..unpadded];
    if text.len() % 4 == 1 {
        return None;
    }
    let mut out = Zeroizing::new(Vec::with_capacity(text.len() / 4 * 3 + 2));
    for group in text.chunks(4) {
        let mut bits: u32 = 0;
        for byte in group {
            bits = bits << 6 | u32::from(sextet(*byte)?);
        }
        bits <<= 6 * (4 - group.len());
        out.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    Some(out)
}

/// How many characters at the start of `text` belong to either alphabet.
pub fn base64_run(text: &[u8]) -> usize {
    text.iter().take_while(|byte| sextet(**byte).is_some()).count()
}

fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

/// Encodes without padding.
pub fn to_base64(bytes: &[u8], alphabet: Alphabet) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() / 3 * 4 + 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for at in 0..=group.len() {
            out.push(match (bits >> (18 - 6 * at) & 63) as u8 {
                value @ 0..=25 => b'A' + value,
                value @ 26..=51 => b'a' + value - 26,
                value @ 52..=61 => b'0' + value - 52,
                62 if alphabet == Alphabet::Url => b'-',
                62 => b'+',
                _ if alphabet == Alphabet::Url => b'_',
                _ => b'/',
            });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_the_same_bytes_is_read() {
        for text in ["-_-_", "+/+/", "-/+_"] {
            assert_eq!(base64(text.as_bytes()).expect("it reads back").as_slice(), [0xfb, 0xff, 0xbf]);
        }
        for text in ["aGk", "aGk=", "aGl"] {
            assert_eq!(base64(text.as_bytes()).expect("it reads back").as_slice(), b"hi", "{text}");
        }
        for text in ["a", "a=", "aG k", "aG=k", "aGk\0"] {
            assert!(base64(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for len in 0..40_u8 {
            let bytes: Vec<u8> = (0..len).map(|byte| byte.wrapping_mul(73)).collect();
            for alphabet in [Alphabet::Standard, Alphabet::Url] {
                assert_eq!(*base64(&to_base64(&bytes, alphabet)).expect("it reads back"), bytes);
            }
        }
    }
}
