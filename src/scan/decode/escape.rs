//! Escapes: characters written as numbers in otherwise plain text.
//!
//! `\u002d` and `\x2d` of JSON and programming languages, `\/` of JSON, `%2D` of URLs, `&#45;` and `&amp;` of HTML. Only
//! an escape that stands for a visible ASCII character can hide a token or a part of one. What is decoded is the line
//! around such escapes, as far as [`REACH`] from them; the rest of the text is not touched. What must stay true: a piece
//! depends on the escapes that are nearer than twice [`REACH`] to each other, on their line, and on nothing else, so
//! that a change of a text that is further away changes nothing (see `scan::engine::locality`).

use memchr::{memchr, memchr3_iter, memrchr};

use super::hex::value;
use super::{Decoded, Encoding, MIN_TEXT, u32_of};

/// How far from an escape the line around it is taken in. A token of that length without an escape in it, next to one
/// with an escape, is as good as none.
pub const REACH: usize = 4096;

/// Longest escape: `&#x0000002d;`.
pub const WIDEST: usize = 12;

/// What escapes begin with.
pub const LEADS: [u8; 3] = *b"\\%&";

const ENCODINGS: [Encoding; 3] = [Encoding::Escape, Encoding::Percent, Encoding::Escape];

pub fn decode(text: &[u8], decoded: &mut Decoded, found: &mut dyn FnMut(Encoding, &mut Decoded)) {
    // For each lead the first and the last of the escapes that belong together.
    let mut open: [Option<(usize, usize)>; 3] = [None; 3];
    let mut piece = |which: usize, (first, last): (usize, usize)| {
        let from = first.saturating_sub(REACH);
        let start = memrchr(b'\n', &text[from..first]).map_or(from, |found| from + found + 1);
        let to = text.len().min(last + REACH);
        let end = memchr(b'\n', &text[last..to]).map_or(to, |found| last + found);
        if end - start >= MIN_TEXT {
            write(text, start, end, LEADS[which], decoded);
            found(ENCODINGS[which], decoded);
        }
    };
    for at in memchr3_iter(LEADS[0], LEADS[1], LEADS[2], text) {
        if !hides(&text[at..]) {
            continue;
        }
        let which = LEADS.iter().position(|lead| *lead == text[at]).unwrap_or_default();
        open[which] = match open[which] {
            Some((first, last)) if at - last <= 2 * REACH && memchr(b'\n', &text[last..at]).is_none() => {
                Some((first, at))
            }
            done => {
                if let Some(done) = done {
                    piece(which, done);
                }
                Some((at, at))
            }
        };
    }
    for (which, done) in open.into_iter().enumerate() {
        if let Some(done) = done {
            piece(which, done);
        }
    }
}

/// Whether the text begins with an escape for a character that a token may have. Quotes and angle brackets are escaped
/// all the time and never are one.
pub fn hides(text: &[u8]) -> bool {
    let Some(lead) = text.first() else { return false };
    read(text, *lead).is_some_and(|(byte, _)| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'<' | b'>'))
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
