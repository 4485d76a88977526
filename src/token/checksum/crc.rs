//! CRC rules that are more than digits: the disguised CRC-32 of Azure DevOps, base64 of the bytes, the armor's CRC-24.

use zeroize::Zeroizing;

use crate::token::encoding;

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// CRC-32 with its bytes least significant first, in six characters of base64.
pub fn base64_le(random: &[u8], out: &mut [u8; 8]) -> usize {
    let number = u64::from(crc32fast::hash(random).swap_bytes()) << 4;
    for (at, place) in out[..6].iter_mut().enumerate() {
        *place = BASE64[(number >> (30 - 6 * at) & 63) as usize];
    }
    6
}

/// Where the four bytes of the CRC hide among the 32, most significant first.
const HIDDEN: [usize; 4] = [2, 7, 8, 22];

/// What the CRC is disguised with: one value for tokens of users, one for those of applications.
const DISGUISES: [u32; 2] = [0xe0b9_692d, 0x1019_f92e];

pub fn ado_fits(token: &[u8]) -> bool {
    let Some(bytes) = base32_32(token) else { return false };
    let found = HIDDEN.iter().fold(0, |found, at| found << 8 | u32::from(bytes[*at]));
    DISGUISES.contains(&(found ^ ado_crc(&bytes)))
}

pub fn ado_complete(token: &mut [u8]) -> bool {
    let Some(mut bytes) = base32_32(token) else { return false };
    let sum = ado_crc(&bytes) ^ DISGUISES[0];
    for (at, byte) in HIDDEN.iter().zip(sum.to_be_bytes()) {
        bytes[*at] = byte;
    }
    let mut bits: u32 = 0;
    let mut held = 0;
    let mut input = bytes.iter();
    for place in token.iter_mut() {
        if held < 5 {
            // 52 characters are 260 bits, the 32 bytes 256: the last four are zero.
            bits = bits << 8 | u32::from(input.next().copied().unwrap_or(0));
            held += 8;
        }
        held -= 5;
        *place = b"abcdefghijklmnopqrstuvwxyz234567"[(bits >> held & 31) as usize];
    }
    true
}

fn ado_crc(bytes: &[u8; 32]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    let mut from = 0;
    for at in HIDDEN {
        hasher.update(&bytes[from..at]);
        from = at + 1;
    }
    hasher.update(&bytes[from..]);
    hasher.finalize()
}

/// The 32 bytes behind 52 characters of lower-case base32.
fn base32_32(token: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    if token.len() != 52 {
        return None;
    }
    let mut out = Zeroizing::new([0; 32]);
    let (mut bits, mut held, mut filled): (u32, u32, usize) = (0, 0, 0);
    for byte in token {
        let digit = match byte {
            b'a'..=b'z' => byte - b'a',
            b'2'..=b'7' => byte - b'2' + 26,
            _ => return None,
        };
        bits = bits << 5 | u32::from(digit);
        held += 5;
        if held >= 8 {
            held -= 8;
            out[filled] = u8::try_from(bits >> held & 0xff).unwrap_or(0);
            filled += 1;
        }
    }
    Some(out)
}

/// Whether an `OpenPGP` armor carries a CRC-24 and it is right (RFC 4880 section 6.1; RFC 9580 makes it optional).
pub fn armor_fits(block: &[u8]) -> bool {
    let mut data = Zeroizing::new(Vec::new());
    let mut headers = true;
    for line in block.split(|byte| *byte == b'\n').skip(1) {
        let line = line.trim_ascii();
        if line.starts_with(b"-----") {
            return false;
        }
        if let Some(sum) = line.strip_prefix(b"=") {
            let Some(sum) = encoding::base64(sum) else { return false };
            return sum.len() == 3 && crc24(&data).to_be_bytes()[1..] == sum[..];
        }
        if line.is_empty() || headers && line.windows(2).any(|pair| pair == b": ") {
            continue;
        }
        headers = false;
        match encoding::base64(line) {
            Some(bytes) => data.extend_from_slice(&bytes),
            None => return false,
        }
    }
    false
}

fn crc24(bytes: &[u8]) -> u32 {
    let mut sum: u32 = 0x00b7_04ce;
    for byte in bytes {
        sum ^= u32::from(*byte) << 16;
        for _ in 0..8 {
            sum <<= 1;
            if sum & 0x0100_0000 != 0 {
                sum ^= 0x0186_4cfb;
            }
        }
    }
    sum & 0x00ff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crc_of_an_armor_agrees_with_the_check_value() {
        // The check value of CRC-24/OPENPGP over "123456789".
        assert_eq!(crc24(b"123456789"), 0x0021_cf02);
        let block = |sum: &str| format!("-----BEGIN\nComment: x\n\nMTIzNDU2\nNzg5\n={sum}\n-----END");
        assert!(armor_fits(block("Ic8C").as_bytes()));
        assert!(!armor_fits(block("Ic8D").as_bytes()));
    }

    #[test]
    fn a_completed_azure_devops_token_fits_and_a_changed_one_does_not() {
        let mut token = [b'q'; 52];
        token[51] = b'a';
        assert!(!ado_fits(&token));
        assert!(ado_complete(&mut token) && ado_fits(&token));
        token[30] = if token[30] == b'b' { b'c' } else { b'b' };
        assert!(!ado_fits(&token));
    }
}
