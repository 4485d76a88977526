//! Escapes: characters written as numbers in otherwise plain text.
//!
//! `\u002d` and `\x2d` of JSON and programming languages, `\/` of JSON, `%2D` of URLs, `&#45;` and `&amp;` of HTML. Only
//! an escape that stands for a visible ASCII character can hide a token or a part of one; the lines around such escapes
//! are decoded, and the rest of the text is not touched.

use memchr::{memchr, memchr_iter, memrchr};

use super::hex::value;
use super::{Decoded, Encoding, MIN_TEXT, u32_of};

/// How far from an escape the line around it is taken in.
const REACH: usize = 4096;

pub fn decode(text: &[u8], decoded: &mut Decoded, found: &mut dyn FnMut(Encoding, &mut Decoded)) {
    for (lead, encoding) in [(b'\\', Encoding::Escape), (b'%', Encoding::Percent), (b'&', Encoding::Escape)] {
        let mut done = 0;
        for at in memchr_iter(lead, text) {
            if at < done || !read(&text[at..], lead).is_some_and(|(byte, _)| hides(byte)) {
                continue;
            }
            let from = at.saturating_sub(REACH).max(done);
            let start = memrchr(b'\n', &text[from..at]).map_or(from, |found| from + found + 1);
            let end = window_end(text, at, lead);
            done = end;
            if end - start >= MIN_TEXT {
                write(text, start, end, lead, decoded);
                found(encoding, decoded);
            }
        }
    }
}

/// Whether the character can be one of a token. Quotes and angle brackets are escaped all the time and never are.
fn hides(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'<' | b'>')
}

/// The end of the line, or [`REACH`] bytes behind the last escape of it.
fn window_end(text: &[u8], from: usize, lead: u8) -> usize {
    let mut end = from;
    loop {
        let limit = text.len().min(end + REACH);
        if let Some(line) = memchr(b'\n', &text[end..limit]) {
            return end + line;
        }
        let Some(next) = memrchr(lead, &text[end + 1..limit]) else { return limit };
        end += 1 + next;
    }
}

fn write(text: &[u8], start: usize, end: usize, lead: u8, decoded: &mut Decoded) {
    decoded.clear();
    let mut at = start;
    while at < end {
        let byte = text[at];
        let escape = if byte == lead { read(&text[at..end], lead) } else { None };
        let (byte, len) = escape.unwrap_or((byte, 1));
        decoded.push(byte, at);
        at += len;
    }
    decoded.end = u32_of(end);
}

/// The ASCII character that an escape stands for, and its length.
fn read(text: &[u8], lead: u8) -> Option<(u8, usize)> {
    match lead {
        b'%' => digits(text, 1, 2),
        b'&' => reference(text),
        _ => match text.get(1)? {
            b'u' if text.get(2) == Some(&b'{') => {
                let len = text.iter().take(10).position(|byte| *byte == b'}')?;
                digits(text, 3, len.checked_sub(3)?).map(|(byte, end)| (byte, end + 1))
            }
            b'u' => digits(text, 2, 4),
            b'U' => digits(text, 2, 8),
            b'x' => digits(text, 2, 2),
            b'/' => Some((b'/', 2)),
            // Line breaks end a context and a run of base64; without them a decoded line would have none.
            b'n' => Some((b'\n', 2)),
            b'"' => Some((b'"', 2)),
            _ => None,
        }
        .filter(|(byte, _)| byte.is_ascii()),
    }
}

fn digits(text: &[u8], from: usize, len: usize) -> Option<(u8, usize)> {
    let digits = text.get(from..from + len).filter(|digits| (1..=8).contains(&digits.len()))?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let number = digits.iter().fold(0_u32, |number, digit| number << 4 | u32::from(value(*digit)));
    let byte = u8::try_from(number).ok().filter(u8::is_ascii)?;
    Some((byte, from + len))
}

fn reference(text: &[u8]) -> Option<(u8, usize)> {
    let len = text.iter().take(12).position(|byte| *byte == b';')?;
    let inner = &text[1..len];
    let byte = match inner {
        b"amp" => b'&',
        b"quot" => b'"',
        b"lt" => b'<',
        b"gt" => b'>',
        [b'#', b'x' | b'X', hex @ ..] => digits(hex, 0, hex.len())?.0,
        [b'#', decimal @ ..] => std::str::from_utf8(decimal).ok()?.parse().ok().filter(u8::is_ascii)?,
        _ => return None,
    };
    Some((byte, len + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> Vec<String> {
        let mut all = Vec::new();
        decode(text.as_bytes(), &mut Decoded::default(), &mut |_, decoded| {
            all.push(String::from_utf8_lossy(decoded.bytes()).into_owned());
        });
        all
    }

    #[test]
    fn each_escape_is_read() {
        for (written, meant) in [
            ("a token of some length: glpat\\u002dabc", "a token of some length: glpat-abc"),
            ("a token of some length: glpat\\x2Dabc", "a token of some length: glpat-abc"),
            ("a token of some length: glpat\\u{2d}abc", "a token of some length: glpat-abc"),
            ("a token of some length: glpat%2dabc", "a token of some length: glpat-abc"),
            ("a token of some length: glpat&#45;abc", "a token of some length: glpat-abc"),
            ("a token of some length: glpat&#x2d;abc", "a token of some length: glpat-abc"),
            ("a token of some length: a\\/b&c", "a token of some length: a/b&c"),
        ] {
            assert_eq!(decoded(written), [meant], "{written}");
        }
    }

    #[test]
    fn a_line_without_visible_escapes_is_left_alone() {
        let text = "printf(\"%d of %s\\n\", 100%, &name); && \\d+ %0a \\u00e9 &nbsp; this is long enough";
        assert!(decoded(text).is_empty(), "{:?}", decoded(text));
    }

    #[test]
    fn only_the_line_of_the_escape_is_decoded_and_places_are_right() {
        let text = "first line is here\nsecond%20line%3d of this\nthird";
        let mut ranges = Vec::new();
        decode(text.as_bytes(), &mut Decoded::default(), &mut |_, decoded| {
            let at = decoded.bytes().windows(2).position(|two| two == b"of").expect("it is there");
            ranges.push(decoded.source(at..at + 2));
        });
        assert_eq!(ranges.len(), 1);
        assert_eq!(&text[ranges[0].clone()], "of");
    }
}
