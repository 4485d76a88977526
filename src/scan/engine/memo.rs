//! Memory of windows in which nothing was found.
//!
//! Histories repeat themselves: a line that changes in one version is the inserted text of many deltas, with the same
//! lines around it. On real repositories half to three quarters of all window bytes have been looked at before. A
//! window's hits depend on its bytes alone, so one that was empty is empty again.
//!
//! The bytes are compared, not only their hash: a forged collision makes the scan slower, never blind. Both the table
//! and the bytes are of fixed size, and what is new takes the place of what is old.

/// Texts known to have no hits.
pub struct Memo {
    table: Vec<Slot>,
    /// Bytes of remembered texts, written round and round.
    bytes: Vec<u8>,
    next: usize,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    hash: u64,
    start: u32,
    len: u32,
}

const SLOTS: usize = 1 << 14;

/// Most repetitions follow each other soon, and more would not stay in a core's cache.
const BYTES: usize = 4 << 20;

/// Longer texts are not remembered: they would push out too many others.
const MAX_TEXT: usize = 64 << 10;

impl Memo {
    pub fn new() -> Self {
        Self { table: Vec::new(), bytes: Vec::new(), next: 0 }
    }

    /// Whether the text is known to have no hits.
    pub fn is_empty(&self, text: &[u8], hash: u64) -> bool {
        let Some(slot) = self.table.get(place(hash)) else { return false };
        let (start, len) = (slot.start as usize, slot.len as usize);
        slot.hash == hash && len == text.len() && self.bytes.get(start..start + len) == Some(text)
    }

    /// Remembers that the text has no hits.
    pub fn remember(&mut self, text: &[u8], hash: u64) {
        if text.len() > MAX_TEXT {
            return;
        }
        if self.table.is_empty() {
            self.table = vec![Slot::default(); SLOTS];
            // At once: the system gives zeroed pages as they are touched, and growing would copy them.
            self.bytes = vec![0; BYTES];
        }
        if self.next + text.len() > BYTES {
            self.next = 0;
        }
        let end = self.next + text.len();
        self.bytes[self.next..end].copy_from_slice(text);
        if let (Ok(start), Ok(len)) = (u32::try_from(self.next), u32::try_from(text.len())) {
            self.table[place(hash)] = Slot { hash, start, len };
        }
        self.next = end;
    }
}

/// A hash of a text, fast and not secret.
pub fn hash(text: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let fold = |hash: u64, word: u64| {
        let wide = u128::from(hash ^ word) * u128::from(FACTOR);
        #[expect(clippy::cast_possible_truncation, reason = "both halves are wanted")]
        let (low, high) = (wide as u64, (wide >> 64) as u64);
        low ^ high
    };
    // Four words at a time: a multiplication need not wait for the one before it.
    let (blocks, rest) = text.as_chunks::<32>();
    let mut lanes = [FACTOR, !FACTOR, FACTOR >> 1, !FACTOR >> 1];
    for block in blocks {
        let (words, _) = block.as_chunks::<8>();
        for (lane, word) in lanes.iter_mut().zip(words) {
            *lane = fold(*lane, u64::from_le_bytes(*word));
        }
    }
    let (words, rest) = rest.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let words = words.iter().chain([&last]).map(|word| u64::from_le_bytes(*word));
    words.chain(lanes).fold(text.len() as u64, fold)
}

fn place(hash: u64) -> usize {
    usize::try_from(hash >> 32).unwrap_or_default() % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_text_is_remembered() {
        let mut memo = Memo::new();
        assert!(!memo.is_empty(b"", hash(b"")));
        memo.remember(b"one text", hash(b"one text"));
        assert!(memo.is_empty(b"one text", hash(b"one text")));
        // The same hash is not enough.
        assert!(!memo.is_empty(b"another!", hash(b"one text")));
    }

    #[test]
    fn what_was_overwritten_is_forgotten() {
        let mut memo = Memo::new();
        let text = |number: usize| number.to_le_bytes().repeat(1000);
        let count = 3 * BYTES / text(0).len();
        for number in 0..count {
            memo.remember(&text(number), hash(&text(number)));
            assert!(memo.is_empty(&text(number), hash(&text(number))));
        }
        assert!(!memo.is_empty(&text(0), hash(&text(0))));
        assert!(memo.bytes.len() <= BYTES);
    }
}
