//! Starts: the literals that tokens begin with, looked up at each position of a run.
//!
//! A small bit table answers for three bytes at a time whether any literal begins so; nearly always none does, and no
//! position waits for the one before it, which is why this is several times faster than an automaton.

use std::collections::BTreeMap;

use crate::token::charset;

/// Letters that an escape leaves at the start of a run: `u003d` of `\u003d`, `31m` of a terminal's colour.
const ESCAPE: usize = 5;

const BITS: u32 = 14;
const SLOTS: usize = 1 << BITS;

/// Literals, each with the kinds whose tokens begin with it.
pub struct Starts {
    filter: Box<[u64; SLOTS / 64]>,
    /// For each slot that is set, the literals that fall into it.
    buckets: BTreeMap<u16, Vec<Start>>,
}

struct Start {
    text: Box<[u8]>,
    kinds: Vec<usize>,
}

impl Starts {
    pub fn new(texts: BTreeMap<String, Vec<usize>>) -> Self {
        let mut starts = Self { filter: Box::new([0; SLOTS / 64]), buckets: BTreeMap::new() };
        for (text, kinds) in texts {
            match text.as_bytes() {
                [first, second, third, ..] => starts.add(slot(*first, *second, *third), &text, &kinds),
                [first, second] => {
                    for third in charset::RUN.members() {
                        starts.add(slot(*first, *second, *third), &text, &kinds);
                    }
                }
                // The plan gives none so short.
                _ => {}
            }
        }
        starts
    }

    fn add(&mut self, slot: u16, text: &str, kinds: &[usize]) {
        self.filter[usize::from(slot >> 6)] |= 1 << (slot & 63);
        let bucket = self.buckets.entry(slot).or_default();
        if bucket.iter().all(|start| *start.text != *text.as_bytes()) {
            bucket.push(Start { text: text.as_bytes().into(), kinds: kinds.to_vec() });
        }
    }

    /// Calls back with each kind that a literal in `haystack[start..end]` belongs to, and where the literal is.
    #[inline]
    pub fn find(&self, haystack: &[u8], start: usize, end: usize, mut found: impl FnMut(usize, usize)) {
        for (at, three) in haystack[start..end].windows(3).enumerate() {
            let slot = slot(three[0], three[1], three[2]);
            if self.filter[usize::from(slot >> 6)] >> (slot & 63) & 1 == 0 {
                continue;
            }
            // No token begins inside a word. What looks so may be an escape, and none is longer than this.
            if at > ESCAPE && haystack[start + at - 1].is_ascii_alphanumeric() {
                continue;
            }
            self.look_up(slot, haystack, start + at, &mut found);
        }
    }

    #[cold]
    fn look_up(&self, slot: u16, haystack: &[u8], at: usize, found: &mut impl FnMut(usize, usize)) {
        for literal in self.buckets.get(&slot).into_iter().flatten() {
            if haystack[at..].starts_with(&literal.text) {
                for kind in &literal.kinds {
                    found(*kind, at);
                }
            }
        }
    }
}

#[inline]
fn slot(first: u8, second: u8, third: u8) -> u16 {
    let three = u32::from_le_bytes([first, second, third, 0]);
    // The shift leaves `BITS` bits, which fit.
    (three.wrapping_mul(0x9e37_79b1) >> (32 - BITS)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_literal_is_found_where_it_stands() {
        let texts = ["npm_", "AC", "ghp_", "gho_", "AC1"];
        let map = texts.iter().enumerate().map(|(kind, text)| ((*text).to_owned(), vec![kind])).collect();
        let starts = Starts::new(map);
        let text = b"-npm_xAC1ghp_gho-ghp_xnpm_";
        let mut found = Vec::new();
        starts.find(text, 0, text.len(), |kind, at| found.push((kind, at)));
        // From the sixth character on, not inside a word.
        assert_eq!(found, [(0, 1), (2, 17)]);
        found.clear();
        starts.find(text, 4, text.len(), |kind, at| found.push((kind, at)));
        assert_eq!(found, [(1, 6), (4, 6), (2, 9), (2, 17)]);
    }
}
