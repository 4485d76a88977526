//! Deltas: the bytes git stores for an object in terms of another one.

use crate::scan::engine::{Edit, From};

/// The delta is not one, or not one of this base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the delta is damaged")]
pub struct BadDelta;

/// A delta of more parts than this is refused: one byte of a hostile delta would cost forty of memory.
const MAX_PARTS: usize = 1 << 21;

/// The size of the object that a delta makes.
pub fn result_len(delta: &[u8]) -> Result<usize, BadDelta> {
    let mut rest = delta;
    read_size(&mut rest)?;
    read_size(&mut rest)
}

/// Reads a delta against a base of `base_len` bytes. Inserted bytes stay where they are in `delta`.
pub fn parse(delta: &[u8], base_len: usize, edit: &mut Edit) -> Result<(), BadDelta> {
    edit.clear();
    let mut rest = delta;
    if read_size(&mut rest)? != base_len {
        return Err(BadDelta);
    }
    let len = read_size(&mut rest)?;
    while let Some((&op, tail)) = rest.split_first() {
        rest = tail;
        if op & 0x80 != 0 {
            let start = read_sparse(&mut rest, op, 4)?;
            let count = match read_sparse(&mut rest, op >> 4, 3)? {
                0 => 0x1_0000,
                count => count,
            };
            if start.checked_add(count).is_none_or(|end| end > base_len) {
                return Err(BadDelta);
            }
            edit.push(From::Base(start), count);
        } else if op != 0 {
            let count = usize::from(op);
            let start = delta.len() - rest.len();
            rest = rest.get(count..).ok_or(BadDelta)?;
            edit.push(From::Inserted(start), count);
        } else {
            // Reserved by the format.
            return Err(BadDelta);
        }
        if edit.len() > len || edit.parts().len() > MAX_PARTS {
            return Err(BadDelta);
        }
    }
    if edit.len() == len { Ok(()) } else { Err(BadDelta) }
}

/// A number of which only the bytes named by the low bits of `present` are written.
fn read_sparse(rest: &mut &[u8], present: u8, bytes: u32) -> Result<usize, BadDelta> {
    let mut value = 0;
    for byte in 0..bytes {
        if present >> byte & 1 == 1 {
            let (&next, tail) = rest.split_first().ok_or(BadDelta)?;
            value |= usize::from(next) << (8 * byte);
            *rest = tail;
        }
    }
    Ok(value)
}

fn read_size(rest: &mut &[u8]) -> Result<usize, BadDelta> {
    let mut size = 0_usize;
    for shift in (0..).step_by(7) {
        let (&byte, tail) = rest.split_first().ok_or(BadDelta)?;
        *rest = tail;
        if shift > 56 {
            return Err(BadDelta);
        }
        size |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    Ok(size)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn applied(base: &[u8], delta: &[u8]) -> Result<Vec<u8>, BadDelta> {
        let (mut edit, mut out) = (Edit::default(), Vec::new());
        parse(delta, base.len(), &mut edit)?;
        edit.apply(base, delta, &mut out);
        assert_eq!(out.len(), result_len(delta)?);
        Ok(out)
    }

    #[test]
    fn copies_and_insertions_make_the_new_text() {
        // 10 bytes of base, 9 of result: copy 2..6, insert "XY", copy 0..3.
        let delta = [10, 9, 0x91, 2, 4, 2, b'X', b'Y', 0x90, 3];
        assert_eq!(applied(b"0123456789", &delta).unwrap(), b"2345XY012");
    }

    #[test]
    fn ranges_that_go_on_in_the_base_become_one_part() {
        let mut edit = Edit::default();
        parse(&[10, 9, 0x90, 4, 0x91, 4, 5], 10, &mut edit).unwrap();
        assert_eq!(edit.parts().len(), 1);
    }

    #[test]
    fn a_copy_without_a_size_is_64_kib() {
        let base = vec![b'x'; 0x1_0000];
        assert_eq!(applied(&base, &[0x80, 0x80, 4, 0x80, 0x80, 4, 0x80]).unwrap(), base);
    }

    #[test]
    fn a_delta_that_does_not_fit_is_refused() {
        for bad in [
            &[10, 3, 0x91, 9, 3][..], // copies beyond the base
            &[9, 3, 0x90, 3],         // another base
            &[10, 4, 0x90, 3],        // too short
            &[10, 2, 0x90, 3],        // too long
            &[10, 3, 5, b'X'],        // insertion cut off
            &[10, 0, 0],              // reserved
            &[10],
            &[],
        ] {
            assert_eq!(applied(b"0123456789", bad), Err(BadDelta), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_delta_panic(delta: Vec<u8>, base in prop::collection::vec(any::<u8>(), 0..100)) {
            let mut headed = vec![u8::try_from(base.len()).unwrap(), 40];
            headed.extend(&delta);
            let _ = applied(&base, &headed);
            let _ = applied(&base, &delta);
        }
    }
}
