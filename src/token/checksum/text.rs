//! Rules that work on the characters: digits of a base, Bech32, the account in an AWS id.

pub const BASE16: &[u8; 16] = b"0123456789abcdef";
pub const BASE36: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
pub const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Writes a number in a base, most significant digit first, filled up with the zero digit. Digits that do not fit are
/// the highest ones; no rule has any.
pub fn digits(number: u32, base: &[u8], out: &mut [u8]) -> usize {
    let mut rest = number as usize;
    for place in out.iter_mut().rev() {
        *place = base[rest % base.len()];
        rest /= base.len();
    }
    out.len()
}

/// CRC-32 (IEEE) in six base62 digits.
pub(crate) fn base62_crc32(input: &[u8]) -> [u8; 6] {
    let mut out = [0; 6];
    digits(crc32fast::hash(input), BASE62, &mut out);
    out
}

/// One character: the exclusive or of the bytes, modulo 62, in the alphabet `A-Za-z0-9`.
pub fn xor_alnum(random: &[u8], out: &mut [u8; 8]) -> usize {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let sum = random.iter().fold(0, |sum, byte| sum ^ byte);
    out[0] = ALPHABET[usize::from(sum) % 62];
    1
}

/// The account number behind an AWS access key id (`AKIA…`, `ASIA…`): twelve decimal digits when written out.
///
/// Bit 0 of the sixteen base32 characters is not part of it, the next 40 are. Ids with `I` or `J` in fifth place are
/// older and carry none.
pub fn aws_account(id: &[u8]) -> Option<u64> {
    const MOST: u64 = 999_999_999_999;
    let body = id.get(4..20).filter(|_| id.len() == 20)?;
    if matches!(body[0], b'I' | b'J') {
        return None;
    }
    let mut bits: u64 = 0;
    for byte in &body[..10] {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'2'..=b'7' => byte - b'2' + 26,
            _ => return None,
        };
        bits = bits << 5 | u64::from(digit);
    }
    let account = bits >> 9 & 0xff_ffff_ffff;
    (account <= MOST).then_some(account)
}

const BECH32: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// Whether the text is Bech32 (BIP 173), in one case.
pub fn bech32_fits(text: &[u8]) -> bool {
    let Some(data_at) = bech32_data(text) else { return false };
    bech32_polymod(&text[..data_at - 1], &text[data_at..]) == Some(1)
}

/// Writes the six characters of the checksum at the end, in the case of the rest.
pub fn bech32_complete(text: &mut [u8]) -> bool {
    let Some(data_at) = bech32_data(text) else { return false };
    let len = text.len();
    text[len - 6..].fill(b'Q');
    let Some(sum) = bech32_polymod(&text[..data_at - 1], &text[data_at..]) else { return false };
    let sum = sum ^ 1;
    for (at, place) in text[len - 6..].iter_mut().enumerate() {
        *place = BECH32[(sum >> (5 * (5 - at)) & 31) as usize].to_ascii_uppercase();
    }
    true
}

/// Where the data begins: behind the last `1`.
fn bech32_data(text: &[u8]) -> Option<usize> {
    let one = text.iter().rposition(|byte| *byte == b'1')?;
    (one > 0 && text.len() >= one + 7).then_some(one + 1)
}

fn bech32_polymod(human: &[u8], data: &[u8]) -> Option<u32> {
    let mut sum: u32 = 1;
    let mut step = |value: u8| {
        const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
        let top = sum >> 25;
        sum = (sum & 0x01ff_ffff) << 5 ^ u32::from(value);
        for (bit, term) in GENERATOR.iter().enumerate() {
            if top >> bit & 1 == 1 {
                sum ^= term;
            }
        }
    };
    for byte in human {
        step(byte.to_ascii_lowercase() >> 5);
    }
    step(0);
    for byte in human {
        step(byte.to_ascii_lowercase() & 31);
    }
    for byte in data {
        let lower = byte.to_ascii_lowercase();
        step(u8::try_from(BECH32.iter().position(|known| *known == lower)?).ok()?);
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_filled_up_with_the_zero_digit() {
        // CRC-32 of thirty `A` is 830433819.
        assert_eq!(&base62_crc32(&[b'A'; 30]), b"0uCPlr");
    }

    #[test]
    fn the_exclusive_or_agrees_with_the_published_vectors() {
        let of = |text: &[u8]| {
            let mut out = [0; 8];
            xor_alnum(text, &mut out);
            char::from(out[0])
        };
        assert_eq!(of(b"ABC"), 'C');
        assert_eq!(of(&[b'a'; 31]), 'j');
        assert_eq!(of(b"0123456789abcdefghijklmnopqrstu"), 'i');
    }

    #[test]
    fn bech32_knows_the_examples_of_bip_173() {
        for good in ["A12UEL5L", "a12uel5l", "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw"] {
            assert!(bech32_fits(good.as_bytes()), "{good}");
        }
        for bad in ["A1G7SGD8", "1qzzfhee", "10a06t8", "de1lg7wt", "A12UEL5M", ""] {
            assert!(!bech32_fits(bad.as_bytes()), "{bad}");
        }
    }
}
