//! Hexadecimal: two digits a byte, as dumps, database exports and `bytea` columns write text.
//!
//! The high digit of visible ASCII is 2 to 7. Twenty such pairs in a row do not happen in a hash.

use super::{Decoded, Encoding, MIN_TEXT, u32_of};

/// Reads the hexadecimal stretches of a run; `lines` says where in the text its pieces begin.
pub fn read(
    run: &[u8],
    lines: &[(usize, usize)],
    decoded: &mut Decoded,
    found: &mut dyn FnMut(Encoding, &mut Decoded),
) {
    // Nothing before `done` is read again; `at` is where the next stretch may begin that was not tested.
    let (mut at, mut done) = (0, 0);
    while at + 2 * MIN_TEXT <= run.len() {
        let probe = at + 2 * MIN_TEXT - 1;
        at = probe + 1;
        if !may_be_text_at(run, probe) {
            continue;
        }
        let before = run[done..probe].iter().rposition(|byte| !byte.is_ascii_hexdigit());
        let start = before.map_or(done, |found| done + found + 1);
        let after = run[probe + 1..].iter().position(|byte| !byte.is_ascii_hexdigit());
        let end = after.map_or(run.len(), |len| probe + 1 + len);
        (at, done) = (end + 1, end + 1);
        for alignment in 0..2 {
            let digits = &run[start + alignment..end];
            if shows_text(digits) {
                write(digits, start + alignment, lines, decoded);
                found(Encoding::Hex, decoded);
            }
        }
    }
}

/// Whether the digits around a place may be text. Of the shortest text that has the place in it, half or more is before
/// it or behind it: there every other digit is a high one of visible ASCII. A digest fails after a few.
fn may_be_text_at(run: &[u8], place: usize) -> bool {
    const HALF: usize = MIN_TEXT / 2 - 1;
    let is_high = |at: Option<usize>| at.and_then(|at| run.get(at)).is_some_and(|digit| matches!(digit, b'2'..=b'7'));
    (0..2).any(|odd| {
        (0..HALF).all(|pair| is_high(place.checked_sub(odd + 2 * pair)))
            || (0..HALF).all(|pair| is_high(Some(place + odd + 2 * pair)))
    })
}

fn shows_text(digits: &[u8]) -> bool {
    let pairs = digits.len() / 2;
    let mut at = 0;
    while at + MIN_TEXT <= pairs {
        match (at..at + MIN_TEXT).rev().find(|pair| !matches!(digits[2 * pair], b'2'..=b'7')) {
            None => return true,
            Some(pair) => at = pair + 1,
        }
    }
    false
}

fn write(digits: &[u8], from: usize, lines: &[(usize, usize)], decoded: &mut Decoded) {
    decoded.clear();
    let mut line = 0;
    for (nth, pair) in digits.chunks_exact(2).enumerate() {
        let index = from + 2 * nth;
        while lines.get(line + 1).is_some_and(|next| next.0 <= index) {
            line += 1;
        }
        let place = lines[line].1 + (index - lines[line].0);
        decoded.push(value(pair[0]) << 4 | value(pair[1]), place);
        decoded.end = u32_of(place + 2);
    }
}

/// Of a hexadecimal digit; anything else counts as 0.
pub fn value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(text: &str) -> Vec<String> {
        let mut all = Vec::new();
        let runs = crate::recognize::runs(text.as_bytes());
        super::super::base64::decode(text.as_bytes(), &runs, &mut Decoded::default(), &mut |encoding, decoded| {
            if encoding == Encoding::Hex {
                all.push(String::from_utf8_lossy(decoded.bytes()).into_owned());
            }
        });
        all
    }

    fn hex(text: &str) -> String {
        text.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
    }

    #[test]
    fn text_in_digits_is_read_at_either_alignment() {
        let text = "a text of twenty and more";
        assert_eq!(decoded(&format!("x = '\\x{}'", hex(text))), [text]);
        assert!(decoded(&format!("f{}", hex(text))).iter().any(|one| one == text));
        assert!(decoded(&format!("0x{}", hex(text).to_uppercase())).iter().any(|one| one == text));
    }

    #[test]
    fn a_hash_is_left_alone() {
        assert!(decoded("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855").is_empty());
    }

    proptest! {
        #[test]
        fn no_text_is_missed_wherever_it_stands(
            lead in "[0-9a-f]{0,90}", text in "[ -~]{20,60}", tail in "[0-9a-f]{0,50}", apart in "[g ]?",
        ) {
            let all = decoded(&format!("{lead}{apart}{}{tail}", hex(&text)));
            prop_assert!(all.iter().any(|one| one.contains(&text)), "{all:?}");
        }
    }
}
