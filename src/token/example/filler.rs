//! Filler: what people write where a secret would stand.

/// So many times the same character, or so many in the order of the alphabet. In 60 random characters of base62 either
/// comes by chance less than once in a thousand million times; in 60 hexadecimal digits once in five million.
const REPEATED: usize = 8;
const COUNTED: usize = 9;

/// Random text of this length has more than [`FEW`] different characters.
const LONG: usize = 16;
const FEW: u32 = 4;

/// Words, in any case, each of seven letters or more, or with a mark that is no letter.
const WORDS: &[&str] = &[
    "changeme",
    "change-me",
    "change_me",
    "example",
    "placeholder",
    "redacted",
    "your-",
    "your_",
    "my-token",
    "my_token",
    "insert-",
    "insert_",
    "replace-",
    "replace_",
    "-here",
    "_here",
    "notreal",
    "not-real",
    "not_real",
];

/// Whether the secret part of a token is written by hand to look like one.
pub fn is_filler(text: &[u8]) -> bool {
    longest(text, |one, two| one == two) >= REPEATED
        || longest(text, |one, two| one.wrapping_add(1) == two || (one, two) == (b'9', b'0')) >= COUNTED
        || text.len() >= LONG && distinct(text) <= FEW
        || holds_word(text)
}

/// Length of the longest stretch in which each byte follows the one before.
fn longest(text: &[u8], follows: impl Fn(u8, u8) -> bool) -> usize {
    let mut best = 1;
    let mut len = 1;
    for pair in text.windows(2) {
        len = if follows(pair[0], pair[1]) { len + 1 } else { 1 };
        best = best.max(len);
    }
    best
}

fn distinct(text: &[u8]) -> u32 {
    let mut seen = [0_u64; 4];
    for byte in text {
        seen[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }
    seen.iter().map(|bits| bits.count_ones()).sum()
}

fn holds_word(text: &[u8]) -> bool {
    WORDS.iter().any(|word| text.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_by_hand_is_filler() {
        for text in [
            "xxxxxxxxxxxxxxxxxxxxxxxx",
            "Ab3XXXXXXXXq",
            "1234567890",
            "a12345678901b",
            "abcdefghijklmnop",
            "xyxyxyxyxyxyxyxy",
            "0000-0000-0000-0000",
            "IOSFODNN7EXAMPLE",
            "your-token-goes-in",
            "REPLACE_THIS",
        ] {
            assert!(is_filler(text.as_bytes()), "{text}");
        }
        for text in ["Zq3f8kPw0aLr5tYx", "aaaabbbbccccdddde", "0123a4567b89cdef", "examp1e", ""] {
            assert!(!is_filler(text.as_bytes()), "{text}");
        }
    }
}
