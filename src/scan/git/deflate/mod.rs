//! Deflate: decodes a whole stream of known size ([RFC 1951](https://www.rfc-editor.org/rfc/rfc1951)).
//!
//! A pack is hundreds of thousands of small streams, and most of the time of a general decoder goes into being one: it
//! can stop anywhere, so it keeps a window and its state, and asks at each symbol whether there is room. Here all of the
//! input and all of the output are at hand. What must stay true: nothing is written behind `size`, nothing is read before
//! the start, and time is linear in `size` and the input.
//!
//! Eight bytes of input are taken at once. A table answers for the next ten bits (eight for distances) with everything
//! that is to be known about a code: how long it is, its value, how many bits follow. Longer codes lead to a second
//! table behind the first. The tables of the fixed codes, which most deltas are written in, are made once.

mod table;

use table::{BAD, DISTANCES, END, Incomplete, LENS, LITERAL, LITERALS, LONG, fill};

/// Bits that the first table answers for.
const LITERAL_BITS: u32 = 10;
const DISTANCE_BITS: u32 = 8;

/// More than all tables of any code take: 1,334 for 286 codes of at most 15 bits behind 10, 402 for 30 behind 8.
const LITERAL_ROOM: usize = 2048;
const DISTANCE_ROOM: usize = 512;

/// Room behind the output, so that the longest match is copied by whole sixteens.
pub const SLACK: usize = 16 + 258;

/// The stream is not one, or not one of this size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bad;

/// Tables, to be used again for the next stream.
pub struct Decoder {
    own: Tables,
    fixed: Tables,
}

struct Tables {
    literals: Box<[u32; LITERAL_ROOM]>,
    distances: Box<[u32; DISTANCE_ROOM]>,
}

impl Decoder {
    pub fn new() -> Self {
        let mut fixed = Tables::new();
        let mut lens = [8; 288];
        lens[144..256].fill(9);
        lens[256..280].fill(7);
        // Both codes are complete, so that this cannot fail.
        let _ = fill(&mut *fixed.literals, LITERAL_BITS, &lens, &LITERALS, Incomplete::Refused);
        let _ = fill(&mut *fixed.distances, DISTANCE_BITS, &[5; 32], &DISTANCES, Incomplete::Refused);
        Self { own: Tables::new(), fixed }
    }

    /// Decodes a stream of `size` bytes; `out` has [`SLACK`] more. Says where the stream ends.
    pub fn decode(&mut self, input: &[u8], size: usize, out: &mut [u8]) -> Result<usize, Bad> {
        let mut bits = Bits { input, at: 0, held: 0, count: 0 };
        let mut at = 0;
        loop {
            bits.refill();
            let is_last = bits.take(1) == 1;
            at = match bits.take(2) {
                0 => stored(&mut bits, size, at, out)?,
                1 => self.fixed.decode(&mut bits, size, at, out)?,
                2 => {
                    self.own.read(&mut bits)?;
                    self.own.decode(&mut bits, size, at, out)?
                }
                _ => return Err(Bad),
            };
            if is_last {
                break;
            }
        }
        let end = bits.byte();
        if at == size && end <= input.len() { Ok(end) } else { Err(Bad) }
    }
}

/// A block of bytes as they are.
fn stored(bits: &mut Bits<'_>, size: usize, at: usize, out: &mut [u8]) -> Result<usize, Bad> {
    let start = bits.byte();
    let rest = bits.input.get(start..).ok_or(Bad)?;
    let ([low, high, not_low, not_high], rest) = rest.split_first_chunk().ok_or(Bad)?;
    let len = u16::from_le_bytes([*low, *high]);
    let bytes = rest.get(..usize::from(len)).ok_or(Bad)?;
    let end = at + bytes.len();
    if len != !u16::from_le_bytes([*not_low, *not_high]) || end > size {
        return Err(Bad);
    }
    out[at..end].copy_from_slice(bytes);
    *bits = Bits { input: bits.input, at: start + 4 + bytes.len(), held: 0, count: 0 };
    Ok(end)
}

impl Tables {
    fn new() -> Self {
        Self { literals: Box::new([0; LITERAL_ROOM]), distances: Box::new([0; DISTANCE_ROOM]) }
    }

    /// Reads the codes that a block brings with it.
    fn read(&mut self, bits: &mut Bits<'_>) -> Result<(), Bad> {
        const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
        let (literals, distances) = (257 + index(bits.take(5)), 1 + index(bits.take(5)));
        let count = 4 + index(bits.take(4));
        if literals > 286 || distances > 30 {
            return Err(Bad);
        }
        let mut lens_of_lens = [0; 19];
        for place in &ORDER[..count] {
            bits.refill();
            lens_of_lens[*place] = low_byte(bits.take(3));
        }
        let mut table = [0; 1 << 7];
        fill(&mut table, 7, &lens_of_lens, &LENS, Incomplete::Refused)?;
        let mut lens = [0_u8; 286 + 30];
        let (total, mut at) = (literals + distances, 0);
        while at < total {
            bits.refill();
            let entry = table[index(bits.peek(7))];
            bits.skip(entry & 15);
            let (value, repeat) = match entry >> 16 {
                16 => (at.checked_sub(1).map(|before| lens[before]).ok_or(Bad)?, 3 + bits.take(2)),
                17 => (0, 3 + bits.take(3)),
                18 => (0, 11 + bits.take(7)),
                len => (low_byte(len), 1),
            };
            let end = at + index(repeat);
            lens[..total].get_mut(at..end).ok_or(Bad)?.fill(value);
            at = end;
        }
        if lens[256] == 0 {
            return Err(Bad);
        }
        fill(&mut *self.literals, LITERAL_BITS, &lens[..literals], &LITERALS, Incomplete::Taken)?;
        fill(&mut *self.distances, DISTANCE_BITS, &lens[literals..total], &DISTANCES, Incomplete::Taken)
    }

    /// Decodes up to the end of a block. Says how much output there is then.
    fn decode(&self, bits: &mut Bits<'_>, size: usize, mut at: usize, out: &mut [u8]) -> Result<usize, Bad> {
        // A copy, which the compiler keeps in registers.
        let mut b = Bits { ..*bits };
        loop {
            // No more than three literals are written before this is asked again, and behind `size` is room for more.
            if at > size || b.at > b.input.len() + MAX_AHEAD {
                return Err(Bad);
            }
            b.refill();
            let mut entry = self.literals[index(b.peek(LITERAL_BITS))];
            if entry & LITERAL != 0 {
                b.skip(entry & 15);
                out[at] = value(entry);
                at += 1;
                entry = self.literals[index(b.peek(LITERAL_BITS))];
                if entry & LITERAL != 0 {
                    b.skip(entry & 15);
                    out[at] = value(entry);
                    at += 1;
                    entry = self.literals[index(b.peek(LITERAL_BITS))];
                    if entry & LITERAL != 0 {
                        b.skip(entry & 15);
                        out[at] = value(entry);
                        at += 1;
                        continue;
                    }
                }
                b.refill();
            }
            // A length takes 20 bits and a distance 28, and there are 56.
            if entry & LONG != 0 {
                b.skip(entry & 15);
                let place = index(entry >> 16) + index(b.peek(entry >> 8 & 15));
                entry = self.literals[place % LITERAL_ROOM];
                if entry & LITERAL != 0 {
                    b.skip(entry & 15);
                    out[at] = value(entry);
                    at += 1;
                    continue;
                }
            }
            b.skip(entry & 15);
            if entry & (END | BAD) != 0 {
                *bits = b;
                return if entry & BAD == 0 && at <= size { Ok(at) } else { Err(Bad) };
            }
            let len = index(entry >> 16) + index(b.take(entry >> 8 & 15));
            let mut entry = self.distances[index(b.peek(DISTANCE_BITS))];
            if entry & LONG != 0 {
                b.skip(entry & 15);
                let place = index(entry >> 16) + index(b.peek(entry >> 8 & 15));
                entry = self.distances[place % DISTANCE_ROOM];
            }
            b.skip(entry & 15);
            let distance = index(entry >> 16) + index(b.take(entry >> 8 & 15));
            if entry & BAD != 0 || distance > at || at + len > size {
                return Err(Bad);
            }
            repeat(out, at, distance, len).ok_or(Bad)?;
            at += len;
        }
    }
}

/// Copies what stands `distance` before `at` to there; it may go on into itself.
#[inline]
fn repeat(out: &mut [u8], at: usize, distance: usize, len: usize) -> Option<()> {
    let from = at - distance;
    if distance >= 16 {
        for done in (0..len).step_by(16) {
            let sixteen: [u8; 16] = *out[from + done..].first_chunk()?;
            *out[at + done..].first_chunk_mut()? = sixteen;
        }
    } else if distance == 1 {
        let byte = out[from];
        out[at..at + len].fill(byte);
    } else {
        for done in 0..len {
            out[at + done] = out[from + done];
        }
    }
    Some(())
}

/// Input, from its lowest bit on.
struct Bits<'i> {
    input: &'i [u8],
    /// The next byte that was not taken.
    at: usize,
    /// Bits that were taken and not used; there may be more of them than `count`, the same as at `at`.
    held: u64,
    count: u32,
}

/// Bytes behind the end of the input that may be taken for zeros before that is noticed.
const MAX_AHEAD: usize = 16;

impl Bits<'_> {
    /// Sees to it that there are 56 bits.
    #[inline]
    fn refill(&mut self) {
        if let Some(eight) = self.input.get(self.at..).and_then(|rest| rest.first_chunk()) {
            self.held |= u64::from_le_bytes(*eight) << self.count;
            self.at += ((63 - self.count) >> 3) as usize;
            // Seven bytes or eight, of which the last one is taken again.
            self.count |= 0x38;
        } else {
            self.refill_at_end();
        }
    }

    #[cold]
    fn refill_at_end(&mut self) {
        while self.count <= 56 {
            // Whoever uses the zeros has read too far, which is seen from where the stream ends.
            let byte = self.input.get(self.at).copied().unwrap_or_default();
            self.held |= u64::from(byte) << self.count;
            self.at += 1;
            self.count += 8;
        }
    }

    /// The next bits, at most 15.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the mask leaves so few")]
    fn peek(&self, count: u32) -> u32 {
        (self.held & ((1 << count) - 1)) as u32
    }

    #[inline]
    fn skip(&mut self, count: u32) {
        self.held >>= count;
        self.count -= count;
    }

    #[inline]
    fn take(&mut self, count: u32) -> u32 {
        let bits = self.peek(count);
        self.skip(count);
        bits
    }

    /// The first byte of which no bit was used.
    fn byte(&self) -> usize {
        self.at - (self.count >> 3) as usize
    }
}

#[inline]
fn index(number: u32) -> usize {
    number as usize
}

#[inline]
fn value(entry: u32) -> u8 {
    low_byte(entry >> 16)
}

#[inline]
fn low_byte(number: u32) -> u8 {
    number.to_le_bytes()[0]
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, Decompress, FlushDecompress, Status};
    use proptest::prelude::*;

    use super::*;

    fn decoded(input: &[u8], size: usize) -> Option<Vec<u8>> {
        let mut out = vec![0xaa; size + SLACK];
        Decoder::new().decode(input, size, &mut out).ok()?;
        out.truncate(size);
        Some(out)
    }

    /// What another decoder says.
    fn expected(input: &[u8], size: usize) -> Option<Vec<u8>> {
        let mut out = vec![0; size + 1];
        let mut other = Decompress::new(false);
        let status = other.decompress(input, &mut out, FlushDecompress::Finish).ok()?;
        out.truncate(size);
        (status == Status::StreamEnd && other.total_out() == size as u64).then_some(out)
    }

    fn deflated(text: &[u8], level: u32) -> Vec<u8> {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), Compression::new(level));
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn text() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            any::<Vec<u8>>(),
            "[a-d]{0,900}".prop_map(String::into_bytes),
            "([a-z ]{1,30}[0-9]){0,200}".prop_map(String::into_bytes),
            // Codes of all lengths up to the longest.
            (0..2000_u32).prop_map(|len| (0..len).map(|n| low_byte(n.trailing_zeros() + 32 * (n * n % 7))).collect()),
            ("[a-c]{1,20}", 1..2000_usize).prop_map(|(piece, times)| piece.repeat(times).into_bytes()),
        ]
    }

    proptest! {
        #[test]
        fn what_was_deflated_is_what_comes_out(text in text(), level in 0..10_u32) {
            prop_assert_eq!(decoded(&deflated(&text, level), text.len()), Some(text));
        }

        #[test]
        fn damaged_streams_are_judged_as_by_another_decoder(
            text in text(), level in 0..10_u32, place: prop::sample::Index, bit in 0..8_u32, cut: bool,
        ) {
            let mut stream = deflated(&text, level);
            let place = place.index(stream.len());
            if cut {
                stream.truncate(place);
            } else {
                stream[place] ^= 1_u8 << bit;
            }
            for size in [text.len(), text.len() + 1] {
                prop_assert_eq!(decoded(&stream, size), expected(&stream, size));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(mut stream: Vec<u8>, size in 0..3000_usize, kind in 0..8_u8) {
            // Mostly of the kind that has tables of its own.
            if let Some(first) = stream.first_mut() {
                *first = *first & !7 | kind;
            }
            prop_assert_eq!(decoded(&stream, size), expected(&stream, size));
        }
    }
}
