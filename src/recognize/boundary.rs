//! Boundaries: whether a token may begin, or end, where it was found.
//!
//! The neighbour decides by the token's own alphabet, never by `\b`: tokens end in `-` and `=`, and stand before `<`,
//! `,`, `.` or an escape sequence.

use crate::token::charset::{self, Set};
use crate::token::shape::Part;

/// A literal this short says little: `cio` and `eyJ` occur inside any long base64 text, so there the whole alphabet of
/// what follows may not stand before it.
const SHORT_LITERAL: usize = 6;

/// The bytes that may not stand beside a token of a kind.
#[derive(Clone, Debug)]
pub struct Boundary {
    left: ByteSet,
    right: ByteSet,
}

#[derive(Clone, Debug)]
struct ByteSet([u64; 4]);

impl ByteSet {
    fn alphanumeric() -> Self {
        let mut bytes = Self([0; 4]);
        bytes.add(charset::ALNUM);
        bytes
    }

    fn add(&mut self, set: Set) {
        for byte in set.members() {
            self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
        }
    }

    fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1
    }
}

impl Boundary {
    pub fn of(parts: &[Part]) -> Self {
        let mut left = ByteSet::alphanumeric();
        let literal = leading_literal(parts);
        match parts.get(literal.parts) {
            Some(Part::Run { set, .. }) if literal.parts == 0 => left.add(*set),
            Some(Part::Run { set, .. }) if literal.len < SHORT_LITERAL && literal.ends_in_word => {
                left.add(*set);
                left.add(WORD);
            }
            _ => {}
        }
        let mut right = ByteSet::alphanumeric();
        for part in parts.iter().rev() {
            match part {
                Part::Run { set, .. } => right.add(*set),
                Part::Literal(text) if text.ends_with('=') => right.add(PADDING),
                _ => {}
            }
            // A text at the end of an alphabet, such as the `AA` of a key, may not go on in it either.
            let open = matches!(part, Part::Literal(text) if text.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            if part.min_len() > 0 && !open {
                break;
            }
        }
        Self { left, right }
    }

    /// Whether a token may begin at `start`.
    pub fn opens(&self, haystack: &[u8], start: usize) -> bool {
        match start.checked_sub(1).and_then(|before| haystack.get(before)) {
            Some(byte) if self.left.has(*byte) => is_escape_end(haystack, start),
            _ => true,
        }
    }

    /// Whether a token may end before `end`.
    pub fn closes(&self, haystack: &[u8], end: usize) -> bool {
        haystack.get(end).is_none_or(|byte| !self.right.has(*byte))
    }
}

const WORD: Set = Set::at(10);
const PADDING: Set = Set::at(18);

struct Literal {
    parts: usize,
    len: usize,
    ends_in_word: bool,
}

fn leading_literal(parts: &[Part]) -> Literal {
    let mut literal = Literal { parts: 0, len: 0, ends_in_word: false };
    for part in parts {
        let last = match part {
            Part::Literal(text) => text.bytes().last(),
            Part::OneOf(texts) => texts.iter().find_map(|text| text.bytes().last()),
            Part::Run { .. } => break,
        };
        literal.parts += 1;
        literal.len += part.min_len();
        literal.ends_in_word = last.is_some_and(|byte| byte.is_ascii_alphanumeric());
    }
    literal
}

/// What an escape has right before the letters that may look like the start of a word, and how many those are at most:
/// `u003d` of `\u003d`, `31m` of a terminal's colour.
pub const LEADS: [u8; 4] = *b"\\%[;";
pub const MAX_ESCAPE: usize = 5;

/// Whether the letters right before `at` are the end of an escape: `\n`, `\u003d`, `%3D`, or a terminal's colour.
pub fn is_escape_end(haystack: &[u8], at: usize) -> bool {
    let before = &haystack[at.saturating_sub(12)..at];
    match before {
        [.., b'\\', b'n' | b'r' | b't' | b'b' | b'f' | b'v' | b'0'] => true,
        [.., b'%', a, b] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => true,
        [.., b'\\', b'x', a, b] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => true,
        [.., b'\\', b'u', a, b, c, d] if [a, b, c, d].iter().all(|digit| digit.is_ascii_hexdigit()) => true,
        [rest @ .., b'm'] => {
            let digits = rest.iter().rev().take_while(|byte| byte.is_ascii_digit() || **byte == b';').count();
            rest[..rest.len() - digits].ends_with(b"\x1b[")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::shape;

    fn opens(shape: &str, before: &str) -> bool {
        Boundary::of(&shape::parse(shape).expect("the shape is right")).opens(before.as_bytes(), before.len())
    }

    fn closes(shape: &str, after: &str) -> bool {
        Boundary::of(&shape::parse(shape).expect("the shape is right")).closes(after.as_bytes(), 0)
    }

    #[test]
    fn a_token_begins_after_anything_but_a_character_of_a_word() {
        for before in [
            "",
            " ",
            "=",
            "_",
            "-",
            "/",
            "\"",
            "é",
            "\\n",
            "\\r\\n",
            "%3D",
            "\\u003d",
            "\\x3d",
            "\x1b[32m",
            "\x1b[1;31m",
        ] {
            assert!(opens("npm_{b62:30}", before), "{before}");
        }
        for before in ["a", "Z", "9", "n", "%3", "u003d", "[32m", "\\q"] {
            assert!(!opens("npm_{b62:30}", before), "{before}");
        }
    }

    #[test]
    fn a_short_start_without_a_separator_is_refused_inside_its_alphabet() {
        assert!(!opens("eyJ{b64u:9}", "-") && !opens("AgE{b64u:9}", "_") && !opens("cio{b62:9}", "_"));
        assert!(opens("eyJ{b64u:9}", "=") && opens("cio{b62:9}", "/"));
    }

    #[test]
    fn a_token_ends_before_anything_outside_its_alphabet() {
        for after in ["", "<", ",", ".", ")", "&", "@", "\x1b[0m", "\\n", "-", "_", "\""] {
            assert!(closes("npm_{b62:30}", after), "{after}");
        }
        assert!(!closes("npm_{b62:30}", "x") && !closes("rubygems_{hexl:48}", "z"));
        assert!(!closes("glpat-{friendly:20}", "-") && closes("glpat-{friendly:20}", "."));
        assert!(!closes("sk-{b64u:9}AA", "-") && !closes("{b64s:6}==", "="));
        assert!(!closes("a{b64s:3-9}{pad:0-2}", "+") && !closes("a{b64s:3-9}{pad:0-2}", "="));
    }
}
