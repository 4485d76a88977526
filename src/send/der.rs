//! Just enough DER to write an ECDSA signature wrongly on purpose (X.690 section 8.3, RFC 3279 section 2.2.3).
//!
//! The right form comes from the `p256` crate; here are the parts a broken one is put together from.

/// An INTEGER of these unsigned big-endian bytes, in the one form DER allows.
pub(super) fn integer(unsigned: &[u8]) -> Vec<u8> {
    let first = unsigned.iter().position(|byte| *byte != 0).unwrap_or(unsigned.len());
    let digits = unsigned.get(first..).unwrap_or_default();
    // A leading one bit would make the number negative, and no digits at all would be no number.
    let needs_zero = digits.first().is_none_or(|byte| byte & 0x80 != 0);
    let mut content = if needs_zero { vec![0] } else { Vec::new() };
    content.extend_from_slice(digits);
    integer_of(&content)
}

/// An INTEGER with exactly this content, allowed or not.
pub(super) fn integer_of(content: &[u8]) -> Vec<u8> {
    tagged(0x02, content)
}

/// The SEQUENCE of two integers that is a signature.
pub(super) fn sequence(r: &[u8], s: &[u8]) -> Vec<u8> {
    tagged(0x30, &[r, s].concat())
}

/// Tag, length in the short form, content. Two integers of 33 bytes stay well below the 128 bytes it can say.
fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).unwrap_or(u8::MAX);
    debug_assert!(length < 0x80, "only short lengths are written here");
    let mut out = vec![tag, length];
    out.extend_from_slice(content);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn integers_are_as_short_as_der_wants_them() {
        assert_eq!(integer(&[0, 0, 1]), [2, 1, 1]);
        assert_eq!(integer(&[0x80]), [2, 2, 0, 0x80]);
        assert_eq!(integer(&[0, 0]), [2, 1, 0]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_what_p256_writes(r in 1_u128.., s in 1_u128..) {
            let wide = |value: u128| {
                let mut bytes = [0; 32];
                bytes[16..].copy_from_slice(&value.to_be_bytes());
                bytes
            };
            let right = p256::ecdsa::Signature::from_scalars(wide(r), wide(s)).expect("small numbers are in range");
            let right = right.to_der();
            prop_assert_eq!(sequence(&integer(&wide(r)), &integer(&wide(s))), right.as_bytes());
        }
    }
}
