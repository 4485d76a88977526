//! Base64 and hexadecimal runs: of either alphabet, at any alignment, wrapped or not.
//!
//! Base64 of visible ASCII shows: of every four characters the first stands for 8 to 31 (the top bit of a byte is 0 and
//! it is no control), the second has 2 to 7 in its low four bits, the third 0 or 1 in its low two. Six such groups in a
//! row are eighteen characters of text; other text has them once in some ten thousand long words, and compressed or
//! random bytes practically never. Because every alignment is tested, it does not matter what stands in front of the
//! base64 (a path, a scheme, other bytes that were encoded with it).

use std::ops::Range;

use super::{Decoded, Encoding, MIN_TEXT, hex, u32_of};

/// Characters that text of [`MIN_TEXT`] bytes takes.
const MIN_RUN: usize = MIN_TEXT.div_ceil(3) * 4 - 1;

/// Groups in a row that show text. The shortest text covers one more, and parts of two others.
const GROUPS: usize = 6;

/// Blanks in front of a line of wrapped base64.
pub const MAX_INDENT: usize = 64;

/// Lines of wrapped base64 that are read as one.
const MAX_LINES: usize = 1 << 16;

const NOT: u8 = 0x80;
/// Each moved down by its place in the group is the lowest bit.
const FIRST: u8 = 1;
const SECOND: u8 = 1 << 1;
const THIRD: u8 = 1 << 2;

const SEXTET: [u8; 256] = {
    let mut table = [NOT; 256];
    let standard = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut value = 0_u8;
    while value < 64 {
        table[standard[value as usize] as usize] = value;
        value += 1;
    }
    table[b'-' as usize] = 62;
    table[b'_' as usize] = 63;
    table
};

/// For each character which places of a group it may have in the base64 of visible ASCII.
const PLACES: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let sextet = SEXTET[byte];
        if sextet != NOT {
            if sextet >= 8 && sextet <= 31 {
                table[byte] |= FIRST;
            }
            if sextet & 15 >= 2 && sextet & 15 <= 7 {
                table[byte] |= SECOND;
            }
            if sextet & 3 <= 1 {
                table[byte] |= THIRD;
            }
        }
        byte += 1;
    }
    table
};

/// Whether a byte is of one of the alphabets.
pub fn in_run(byte: u8) -> bool {
    SEXTET[usize::from(byte)] != NOT
}

/// Base64 has no byte that would end one of the `runs` of the text, so it begins in one of them.
pub fn decode(
    text: &[u8],
    runs: &[Range<usize>],
    decoded: &mut Decoded,
    found: &mut dyn FnMut(Encoding, &mut Decoded),
) {
    let mut pieces = Pieces::default();
    for run in runs.iter().filter(|run| run.len() >= MIN_RUN) {
        pieces.read(text, run, decoded, found);
    }
}

/// What is used again for the next piece.
#[derive(Default)]
struct Pieces {
    /// Everything before was read.
    at: usize,
    lines: Vec<(usize, usize)>,
    joined: Vec<u8>,
}

impl Pieces {
    fn read(
        &mut self,
        text: &[u8],
        run: &Range<usize>,
        decoded: &mut Decoded,
        found: &mut dyn FnMut(Encoding, &mut Decoded),
    ) {
        let Self { lines, joined, .. } = self;
        let mut at = self.at.max(run.start);
        // Every `MIN_RUN`th byte is in every piece of that length.
        while let Some(byte) = text[..run.end].get(at + MIN_RUN - 1) {
            let probe = at + MIN_RUN - 1;
            if !in_run(*byte) {
                at = probe + 1;
                continue;
            }
            let before = text[at..probe].iter().rposition(|byte| !in_run(*byte));
            let start = before.map_or(at, |found| at + found + 1);
            let end = run_end(text, probe + 1);
            at = end + 1;
            if end - start < MIN_RUN {
                continue;
            }
            lines.clear();
            lines.push((0, start));
            let mut reached = end;
            while lines.len() < MAX_LINES
                && let Some(next) = next_line(text, reached)
            {
                if lines.len() == 1 {
                    joined.clear();
                    joined.extend_from_slice(&text[start..end]);
                }
                lines.push((joined.len(), next));
                reached = run_end(text, next);
                joined.extend_from_slice(&text[next..reached]);
            }
            at = at.max(reached + 1);
            let piece = if lines.len() == 1 { &text[start..end] } else { joined.as_slice() };
            read(piece, lines, decoded, found);
            hex::read(piece, lines, decoded, found);
        }
        self.at = at;
    }
}

fn run_end(text: &[u8], from: usize) -> usize {
    text[from..].iter().position(|byte| !in_run(*byte)).map_or(text.len(), |len| from + len)
}

/// Where the run goes on if it stops at the end of a line: behind a line break, or one written as `\n`, and indentation.
fn next_line(text: &[u8], end: usize) -> Option<usize> {
    let mut at = end;
    let rest = text.get(at..)?;
    for escaped in [b"\\r\\n".as_slice(), b"\\n"] {
        if rest.starts_with(escaped) {
            at += escaped.len();
            return text.get(at).filter(|byte| in_run(**byte)).map(|_| at);
        }
    }
    at += usize::from(rest.first() == Some(&b'\r'));
    if text.get(at) != Some(&b'\n') {
        return None;
    }
    at += 1;
    at += text[at..].iter().take(MAX_INDENT).take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    text.get(at).filter(|byte| in_run(**byte)).map(|_| at)
}

fn read(run: &[u8], lines: &[(usize, usize)], decoded: &mut Decoded, found: &mut dyn FnMut(Encoding, &mut Decoded)) {
    for alignment in 0..4 {
        let wide = !shows_text(run, alignment);
        if wide && !shows_wide_text(run, alignment) {
            continue;
        }
        decoded.clear();
        let mut line = 0;
        let mut place = |index: usize| {
            while lines.get(line + 1).is_some_and(|next| next.0 <= index) {
                line += 1;
            }
            lines[line].1 + (index - lines[line].0)
        };
        let mut index = alignment;
        for group in run[alignment..].chunks(4) {
            let bits = group.iter().fold(0, |bits, byte| bits << 6 | u32::from(SEXTET[usize::from(*byte)]));
            let bits = bits << (6 * (4 - group.len()));
            for (nth, byte) in bits.to_be_bytes()[1..].iter().take(group.len() - 1).enumerate() {
                let at = place(index + nth);
                decoded.push(*byte, at);
            }
            index += group.len();
        }
        if let Some(last) = run.len().checked_sub(1) {
            decoded.end = u32_of(place(last) + 1);
        }
        if !decoded.bytes.is_empty() {
            found(Encoding::Base64, decoded);
        }
    }
}

/// Whether somewhere [`GROUPS`] groups in a row are the base64 of visible ASCII.
fn shows_text(run: &[u8], alignment: usize) -> bool {
    // One jump for the three: which of them does not fit cannot be foreseen.
    let fits = |group: usize| {
        let place = |nth: usize| PLACES[usize::from(run[alignment + 4 * group + nth])] >> nth;
        place(0) & place(1) & place(2) & 1 == 1
    };
    let groups = run.len().saturating_sub(alignment) / 4;
    let mut at = 0;
    while at + GROUPS <= groups {
        // Backwards, so that one that does not fit rules out all windows it is in.
        match (at..at + GROUPS).rev().find(|group| !fits(*group)) {
            None => return true,
            Some(group) => at = group + 1,
        }
    }
    false
}

/// The same for text in UTF-16, as `PowerShell -EncodedCommand` takes it: every other byte is zero.
fn shows_wide_text(run: &[u8], alignment: usize) -> bool {
    let groups = run.len().saturating_sub(alignment) / 4;
    if groups < 2 * GROUPS {
        return false;
    }
    let zeros = |group: usize| {
        let at = alignment + 4 * group;
        let sextet = |nth: usize| SEXTET[usize::from(run[at + nth])];
        let middle = sextet(1) % 16 == 0 && sextet(2) < 4;
        let outer = sextet(0) == 0 && sextet(1) < 16 && sextet(2) % 4 == 0 && sextet(3) == 0;
        middle && sextet(0) != 0 || outer && sextet(1) != 0
    };
    let mut at = 0;
    while at + 2 * GROUPS <= groups {
        match (at..at + 2 * GROUPS).rev().find(|group| !zeros(*group)) {
            None => return true,
            Some(group) => at = group + 1,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::recognize;
    use crate::token::encoding::{Alphabet, to_base64};

    fn pieces(text: &[u8]) -> Vec<(Encoding, Vec<u8>)> {
        let mut all = Vec::new();
        decode(text, &recognize::runs(text), &mut Decoded::default(), &mut |encoding, decoded| {
            all.push((encoding, decoded.bytes().to_vec()));
        });
        all
    }

    fn reads(text: &[u8], wanted: &[u8]) -> bool {
        pieces(text).iter().any(|(_, bytes)| bytes.windows(wanted.len()).any(|window| window == wanted))
    }

    proptest! {
        #[test]
        fn text_is_read_at_every_alignment_whatever_is_around_it(
            before in "[a-z/]{0,9}", lead in proptest::collection::vec(any::<u8>(), 0..5), wanted in "[!-~]{20,90}", url in any::<bool>(),
        ) {
            let bytes = [lead.as_slice(), wanted.as_bytes()].concat();
            let alphabet = if url { Alphabet::Url } else { Alphabet::Standard };
            let text = [before.as_bytes(), &to_base64(&bytes, alphabet), b"=\n"].concat();
            prop_assert!(reads(&text, wanted.as_bytes()));
        }

        #[test]
        fn wrapped_lines_are_one_piece_and_places_are_right(wanted in "[!-~]{30,300}", width in 28_usize..80, indent in "[ \t]{0,4}") {
            let encoded = to_base64(wanted.as_bytes(), Alphabet::Standard);
            let mut text = b"data: |\n".to_vec();
            for line in encoded.chunks(width) {
                text.extend(indent.as_bytes());
                text.extend(line);
                text.extend(b"\r\n");
            }
            let mut seen = false;
            decode(&text, &recognize::runs(&text), &mut Decoded::default(), &mut |_, decoded| {
                if decoded.bytes() == wanted.as_bytes() {
                    seen = true;
                    let source = decoded.source(0..wanted.len());
                    assert!(text[source.start..source.end].starts_with(&encoded[..8]));
                    assert!(text[source.start..source.end].ends_with(&encoded[encoded.len() - 1..]));
                }
            });
            prop_assert!(seen);
        }
    }

    #[test]
    fn wide_text_is_read_too() {
        let wide: Vec<u8> = b"token is abcdefghijklmnopqrstuvwxyz".iter().flat_map(|byte| [*byte, 0]).collect();
        assert!(reads(&to_base64(&wide, Alphabet::Standard), &wide));
    }

    #[test]
    fn words_and_pictures_are_not_decoded() {
        assert!(
            pieces(b"a_rather_long_identifier_of_some_program_text and/a/path/of/many/folders/to/a/file").is_empty()
        );
        let noise: Vec<u8> = (0..3000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        assert!(pieces(&to_base64(&noise, Alphabet::Standard)).is_empty());
    }
}
