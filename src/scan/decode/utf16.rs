//! UTF-16: what Windows programs write into files, registry exports and executables.
//!
//! Text in ASCII has a zero in every other byte, of both byte orders alike, so neither a byte order mark nor an even
//! place is asked for: a stretch is found wherever it stands, in the middle of an executable as well.

use memchr::memchr;

use super::{Decoded, Encoding, MIN_TEXT, u32_of};

/// Stands for a character that is not ASCII; no token contains it.
const OTHER: u8 = 0xff;

/// Units of other characters in a row that belong to the text around them.
const MAX_OTHER: usize = 32;

pub fn decode(text: &[u8], decoded: &mut Decoded, found: &mut dyn FnMut(Encoding, &mut Decoded)) {
    let mut at = 0;
    while let Some(zero) = memchr(0, text.get(at..).unwrap_or_default()) {
        // The unit of a zero begins one byte before it.
        let start = (at + zero).saturating_sub(1).max(at);
        let ascii = text[start..].chunks_exact(2).take_while(|unit| is_ascii(unit)).count();
        if ascii < MIN_TEXT {
            at = (at + zero + 1).max(start + 2 * ascii);
            if ascii == 0 {
                // A stretch of zeros is no text: on to its end.
                at += text[at..].iter().take_while(|byte| **byte == 0).count().saturating_sub(1);
            }
            continue;
        }
        decoded.clear();
        let mut end = start;
        let mut others = 0;
        for unit in text[start..].chunks_exact(2) {
            others = if is_ascii(unit) { 0 } else { others + 1 };
            if others > MAX_OTHER || unit == [0, 0] {
                break;
            }
            decoded.push(if others == 0 { unit[0] } else { OTHER }, end);
            end += 2;
        }
        decoded.end = u32_of(end);
        at = end.max(start + 2);
        found(Encoding::Utf16, decoded);
    }
}

fn is_ascii(unit: &[u8]) -> bool {
    unit[1] == 0 && matches!(unit[0], b'\t' | b'\n' | b'\r' | b' '..=b'~')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &[u8]) -> Vec<String> {
        let mut all = Vec::new();
        decode(text, &mut Decoded::default(), &mut |_, decoded| {
            all.push(String::from_utf8_lossy(decoded.bytes()).into_owned());
        });
        all
    }

    #[test]
    fn both_orders_are_read_with_and_without_a_mark() {
        let text = "key = \"abcdefghijklmnopqrst\"\r\nnext";
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for (mark, bytes) in [(vec![], &little), (vec![0xff, 0xfe], &little), (vec![], &big), (vec![0xfe, 0xff], &big)]
        {
            let all = decoded(&[mark.as_slice(), bytes, b"\0\0\0"].concat());
            assert!(all.iter().any(|one| one.contains("abcdefghijklmnopqrst")), "{mark:?} {all:?}");
        }
    }

    #[test]
    fn letters_that_are_not_ascii_do_not_end_the_text() {
        let text = "a sentence of some length, für Größe: abcdefghijklmnopqrst";
        let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(decoded(&bytes)[0].ends_with("abcdefghijklmnopqrst"));
    }

    #[test]
    fn zeros_and_numbers_are_left_alone() {
        assert!(decoded(&[0; 1000]).is_empty());
        let numbers: Vec<u8> = (0..500_u32).flat_map(u32::to_le_bytes).collect();
        assert!(decoded(&numbers).is_empty());
    }
}
