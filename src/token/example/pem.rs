//! Private keys in PEM: whether there is a key between the markers.
//!
//! The body of an unencrypted key, and of an encrypted one in PKCS #8, is a DER `SEQUENCE` (RFC 5208, RFC 5958, RFC 8017
//! appendix A.1.2, RFC 5915), which shows in the first two characters of its base64. A body encrypted in the older way has
//! headers in front and shows nothing (RFC 1421 section 4.6).

/// Characters of the shortest key: Ed25519 in PKCS #8 has 48 bytes.
const MIN_BODY: usize = 60;
/// A key's base64 has more different characters.
const MIN_DISTINCT: u32 = 16;

/// Whether the block, markers included, has a key in it. How its lines are broken and quoted does not matter.
pub fn holds_key(block: &[u8]) -> bool {
    let Some(inner) = inner(block) else { return false };
    let is_wrapped = find(inner, b"DEK-Info").is_some() || find(inner, b"Proc-Type").is_some();
    let body = body(inner);
    // A SEQUENCE is the byte 0x30: `M`, and then one of the sixteen characters that begin with two zero bits.
    let is_sequence = matches!(body.as_slice(), [b'M', b'A'..=b'P', ..]);
    (is_wrapped || is_sequence) && is_random(&body)
}

/// The same of a key in the form of OpenSSH, of which the programs that read it have the markers side by side.
pub fn holds_openssh_key(block: &[u8]) -> bool {
    inner(block).is_some_and(|inner| is_random(&body(inner)))
}

/// What stands between the markers.
fn inner(block: &[u8]) -> Option<&[u8]> {
    let start = find(block, b"KEY-----")?;
    let inner = &block[start + b"KEY-----".len()..];
    Some(&inner[..find(inner, b"-----END").unwrap_or(inner.len())])
}

fn is_random(body: &[u8]) -> bool {
    let mut seen = [0_u64; 4];
    for byte in body {
        seen[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }
    let distinct: u32 = seen.iter().map(|bits| bits.count_ones()).sum();
    body.len() >= MIN_BODY && distinct >= MIN_DISTINCT
}

/// The base64 characters, without line breaks however they are written: `\n`, `\\n`, `%0A`, `&#10;`, `\u000a`.
fn body(inner: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(inner.len());
    let mut at = 0;
    while let Some(byte) = inner.get(at) {
        at += match inner.get(at..).unwrap_or_default() {
            [b'\\', b'u', ..] => 6,
            [b'\\', b'x', ..] | [b'&', b'#', ..] => 4,
            [b'\\', b'\\', ..] => 1,
            [b'\\', ..] => 2,
            [b'%', ..] => 3,
            _ => {
                // A `+` of its own joins two pieces of a string.
                let is_alone = || {
                    let beside = [at.checked_sub(1), Some(at + 1)];
                    beside
                        .into_iter()
                        .all(|at| at.and_then(|at| inner.get(at)).is_none_or(|byte| b" \t\r\n\"'`".contains(byte)))
                };
                if byte.is_ascii_alphanumeric() || *byte == b'/' || *byte == b'+' && !is_alone() {
                    body.push(*byte);
                }
                1
            }
        };
    }
    body
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(body: &str) -> Vec<u8> {
        // In two pieces, so that no scanner takes this file for a leak.
        [concat!("-----BEGIN PRIVATE ", "KEY-----"), body, concat!("-----END PRIVATE ", "KEY-----")]
            .concat()
            .into_bytes()
    }

    #[test]
    fn a_key_is_told_from_what_stands_for_one() {
        let body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcw\nggSjAgEAAoIBAQDcRRwk8IU1YoNu8CHzB5Vh8HP/yLfBtU69";
        for written in ["\n", "\\n", "\\\\n", "\\n\" +\n  \"", "%0A", "\r\n    "] {
            let text = format!("{written}{}{written}", body.replace('\n', written));
            assert!(holds_key(&block(&text)), "{text}");
        }
        assert!(holds_key(&block(&format!(
            "\nProc-Type: 4,ENCRYPTED\nDEK-Info: x,y\n\n{}",
            body.replace("MII", "x7q")
        ))));
        for none in [
            "\nXXXX\nXXXX\n",
            "\nwxyz+ABC=\n",
            "\n...\n",
            "",
            "\nMIIE\n",
            &body.replace("MII", "x7q"),
            &"MIIX".repeat(30),
        ] {
            assert!(!holds_key(&block(none)), "{none}");
        }
        let markers = "\"\n#define OPENSSH_HEADER_END \"";
        assert!(!holds_openssh_key(&block(markers)));
        assert!(holds_openssh_key(&block(&format!("\n{}\n", body.replace("MII", "b3B")))));
    }
}
