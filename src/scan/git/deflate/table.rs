//! Tables: from the lengths of a code's words to what the next bits mean.

use super::Bad;

const MAX_LEN: usize = 15;

/// What an entry of a table is: the length of its code in the lowest four bits, four bits for how many follow, a flag, and
/// in the upper half its value.
pub const LITERAL: u32 = 1 << 15;
pub const END: u32 = 1 << 14;
/// The value is where the second table begins, and as many bits as follow choose in it.
pub const LONG: u32 = 1 << 13;
pub const BAD: u32 = 1 << 12;

/// Whether a code may be one of one bit, of which only one half is used, or none at all.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Incomplete {
    Refused,
    Taken,
}

/// Fills a table for the codes of these lengths, of which `entries` says what they mean.
pub fn fill(table: &mut [u32], bits: u32, lens: &[u8], entries: &[u32], incomplete: Incomplete) -> Result<(), Bad> {
    let mut counts = [0_u16; MAX_LEN + 1];
    for len in lens {
        counts[usize::from(len & 15)] += 1;
    }
    counts[0] = 0;
    let mut next = [0_u16; MAX_LEN + 2];
    // In parts of 2^15, how much of all bit patterns is no code.
    let mut left = 1 << MAX_LEN;
    for len in 1..=MAX_LEN {
        left -= i32::from(counts[len]) << (MAX_LEN - len);
        next[len + 1] = next[len] + counts[len];
    }
    let used = next[MAX_LEN + 1];
    let mut sorted = [0_u16; 288];
    for (symbol, len) in (0..).zip(lens).filter(|(_, len)| **len > 0) {
        let place = &mut next[usize::from(len & 15)];
        sorted[usize::from(*place)] = symbol;
        *place += 1;
    }
    let first_bits = bits as usize;
    let size = 1 << first_bits;
    if left != 0 {
        let is_half = used == 1 && counts[1] == 1;
        if left < 0 || incomplete == Incomplete::Refused || !(is_half || used == 0) {
            return Err(Bad);
        }
        table[..size].fill(BAD | 1);
        let code = entries[usize::from(sorted[0])] | 1;
        table[..size].iter_mut().step_by(2).filter(|_| is_half).for_each(|entry| *entry = code);
        return Ok(());
    }
    let mut symbols = sorted.iter().map(|symbol| entries[usize::from(*symbol)]);
    // Codes are counted up from their highest bit, and read from their lowest.
    let (mut code, mut filled) = (0_usize, 1);
    for (len, count) in counts.into_iter().enumerate().skip(1).take(first_bits) {
        // What is there for shorter codes is there for each bit that may follow them.
        table.copy_within(..filled, filled);
        filled *= 2;
        for entry in symbols.by_ref().take(count.into()) {
            table[code] = entry | nibble(len);
            code = following(code, len);
        }
    }
    let (mut start, mut end) = (0, size);
    let mut open = None;
    for len in first_bits + 1..=MAX_LEN {
        for rest in (1..=counts[len]).rev() {
            let first = code & (size - 1);
            if open != Some(first) {
                // The second table answers for the longest code that begins so.
                open = Some(first);
                let mut more = len - first_bits;
                let mut codes = usize::from(rest);
                while codes < 1 << more && first_bits + more < MAX_LEN {
                    more += 1;
                    codes = 2 * codes + usize::from(counts[first_bits + more]);
                }
                start = end;
                end += 1 << more;
                let entry = u32::try_from(start).map_err(|_| Bad)? << 16 | nibble(more) << 8 | LONG | bits;
                table[first] = entry;
            }
            let entry = symbols.next().ok_or(Bad)? | nibble(len - first_bits);
            let places = table.get_mut(start..end).ok_or(Bad)?;
            places
                .iter_mut()
                .skip(code >> first_bits)
                .step_by(1 << (len - first_bits))
                .for_each(|place| *place = entry);
            code = following(code, len);
        }
    }
    Ok(())
}

/// The next code of a length, lowest bit first.
#[inline]
fn following(code: usize, len: usize) -> usize {
    let zeros = !code & ((1 << len) - 1);
    match zeros.checked_ilog2() {
        // What would be carried from the highest zero up is gone.
        Some(highest) => code & ((1 << highest) - 1) | 1 << highest,
        None => code,
    }
}

/// What each code of literals and lengths means.
pub const LITERALS: [u32; 288] = {
    let mut entries = [BAD; 288];
    let (mut symbol, mut length) = (0_u32, 3);
    while symbol < 286 {
        entries[symbol as usize] = match symbol {
            0..256 => symbol << 16 | LITERAL,
            256 => END,
            285 => 258 << 16,
            _ => {
                let extra = if symbol < 265 { 0 } else { (symbol - 261) / 4 };
                let entry = length << 16 | extra << 8;
                length += 1 << extra;
                entry
            }
        };
        symbol += 1;
    }
    entries
};

pub const DISTANCES: [u32; 32] = {
    let mut entries = [BAD; 32];
    let (mut symbol, mut distance) = (0_u32, 1);
    while symbol < 30 {
        let extra = if symbol < 4 { 0 } else { (symbol - 2) / 2 };
        entries[symbol as usize] = distance << 16 | extra << 8;
        distance += 1 << extra;
        symbol += 1;
    }
    entries
};

/// Of the lengths of codes: their value alone.
pub const LENS: [u32; 19] = {
    let mut entries = [0; 19];
    let mut symbol = 0_u32;
    while symbol < 19 {
        entries[symbol as usize] = symbol << 16;
        symbol += 1;
    }
    entries
};

/// A number below 16.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the mask leaves four bits")]
fn nibble(number: usize) -> u32 {
    (number & 15) as u32
}
