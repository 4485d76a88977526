//! Literals: the texts that tokens begin with or have inside, looked up at each position of a run.
//!
//! A small table answers for three bytes at a time whether any literal has them; nearly always none does, and no position
//! waits for the one before it, which is why this is several times faster than an automaton. Of a literal inside a token
//! the three bytes are taken that are the least likely in other text; of one at its start the first, where the boundary is.

use std::collections::BTreeMap;

use super::boundary;
use crate::token::charset;

const BITS: u32 = 14;
const SLOTS: usize = 1 << BITS;

/// What a slot of the table has.
const START: u8 = 1;
const INNER: u8 = 2;

/// A literal belongs to a kind, so many bytes behind the token's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    pub kind: usize,
    pub before: (usize, usize),
}

/// Literals, each with the kinds whose tokens have it.
pub struct Literals {
    table: Box<[u8; SLOTS]>,
    /// For each slot that is set, the literals that fall into it.
    buckets: BTreeMap<u16, Vec<Literal>>,
}

struct Literal {
    text: Box<[u8]>,
    /// Where in the text the three bytes are.
    offset: usize,
    what: u8,
    uses: Vec<Use>,
}

impl Literals {
    /// From texts, with the kinds whose tokens begin with them and those that have them inside.
    pub fn new(starts: BTreeMap<String, Vec<usize>>, inner: BTreeMap<String, Vec<Use>>) -> Self {
        let mut literals = Self { table: Box::new([0; SLOTS]), buckets: BTreeMap::new() };
        for (text, kinds) in starts {
            let uses = kinds.into_iter().map(|kind| Use { kind, before: (0, 0) }).collect();
            literals.add(&Literal { text: text.as_bytes().into(), offset: 0, what: START, uses });
        }
        for (text, uses) in inner {
            let offset = rarest(text.as_bytes());
            literals.add(&Literal { text: text.as_bytes().into(), offset, what: INNER, uses });
        }
        literals
    }

    fn add(&mut self, literal: &Literal) {
        let slots = match literal.text[literal.offset..] {
            [first, second, third, ..] => vec![slot(three(first, second, third))],
            [first, second] => {
                let mut slots: Vec<_> =
                    charset::RUN.members().iter().map(|third| slot(three(first, second, *third))).collect();
                slots.sort_unstable();
                slots.dedup();
                slots
            }
            // The plan gives none so short.
            _ => Vec::new(),
        };
        for slot in slots {
            self.table[usize::from(slot)] |= literal.what;
            let Literal { text, offset, what, uses } = literal;
            let literal = Literal { text: text.clone(), uses: uses.clone(), offset: *offset, what: *what };
            self.buckets.entry(slot).or_default().push(literal);
        }
    }

    /// Calls back with each use of a literal in `haystack[start..end]`, and where the literal is.
    #[inline]
    pub fn find(&self, haystack: &[u8], start: usize, end: usize, mut found: impl FnMut(Use, usize)) {
        let is_escape = start.checked_sub(1).is_some_and(|before| boundary::LEADS.contains(&haystack[before]));
        let escape = if is_escape { boundary::MAX_ESCAPE } else { 0 };
        let mut look = |at: usize, bytes: u32| {
            let slot = slot(bytes);
            let mut what = self.table[usize::from(slot)];
            if what == 0 {
                return;
            }
            // No token begins inside a word.
            if at > start + escape && haystack[at - 1].is_ascii_alphanumeric() {
                what &= !START;
            }
            if what != 0 {
                self.look_up(slot, what, &haystack[..end], at, &mut found);
            }
        };
        // Four bytes are read at once where there are so many, whatever the last one is.
        let fours = &haystack[start..haystack.len().min(end + 1)];
        let mut at = start;
        for four in fours.windows(4) {
            look(at, u32::from_le_bytes([four[0], four[1], four[2], four[3]]));
            at += 1;
        }
        if let Some([first, second, third]) = haystack.get(at..end) {
            look(at, three(*first, *second, *third));
        }
    }

    #[cold]
    fn look_up(&self, slot: u16, what: u8, run: &[u8], at: usize, found: &mut impl FnMut(Use, usize)) {
        for literal in self.buckets.get(&slot).into_iter().flatten().filter(|literal| literal.what & what != 0) {
            let Some(at) = at.checked_sub(literal.offset) else { continue };
            if run[at..].starts_with(&literal.text) {
                for used in &literal.uses {
                    found(*used, at);
                }
            }
        }
    }
}

/// Where the three bytes begin that are the least likely in other text.
fn rarest(text: &[u8]) -> usize {
    let rarity = |byte: &u8| match byte {
        b'A'..=b'Z' | b'~' | b'+' | b'$' | b'!' => 3,
        b'0'..=b'9' => 2,
        b'a'..=b'z' => 1,
        _ => 0,
    };
    let score = |at: &usize| text[*at..*at + 3].iter().map(rarity).sum::<usize>();
    (0..text.len().saturating_sub(2)).rev().max_by_key(score).unwrap_or(0)
}

#[inline]
fn three(first: u8, second: u8, third: u8) -> u32 {
    u32::from_le_bytes([first, second, third, 0])
}

/// Of the three lower bytes; the highest one is moved out of the product.
#[inline]
fn slot(bytes: u32) -> u16 {
    // The shift leaves `BITS` bits, which fit.
    (bytes.wrapping_mul(0x9e37_79b1 << 8) >> (32 - BITS)) as u16
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn literals(starts: &[&str], inner: &[&str]) -> Literals {
        let starts = starts.iter().enumerate().map(|(kind, text)| ((*text).to_owned(), vec![kind])).collect();
        let used = |kind| vec![Use { kind, before: (2, 3) }];
        Literals::new(starts, inner.iter().enumerate().map(|(kind, text)| ((*text).to_owned(), used(kind))).collect())
    }

    fn found(literals: &Literals, text: &[u8], start: usize, end: usize) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        literals.find(text, start, end, |used, at| found.push((used.kind, at)));
        found
    }

    #[test]
    fn every_literal_is_found_where_it_stands() {
        let starts = literals(&["npm_", "AC", "ghp_", "gho_", "AC1"], &[]);
        let text = b"-npm_xAC1ghp_gho-ghp_xnpm_";
        // Not inside a word.
        assert_eq!(found(&starts, text, 0, text.len()), [(0, 1), (2, 17)]);
        // Unless an escape may end there.
        let text = b"-npm\\xAC1ghp_gho-ghp_xnpm_";
        let mut all = found(&starts, text, 5, text.len());
        all.sort_unstable_by_key(|(kind, at)| (*at, *kind));
        assert_eq!(all, [(1, 6), (4, 6), (2, 9), (2, 17)]);
    }

    #[test]
    fn a_literal_inside_a_token_is_found_inside_of_words() {
        let inner = literals(&["abc"], &[".atlasv1.", "JQQJ99", "-us"]);
        let text = b"0123456789abc.atlasv1.0123JQQJ99-us";
        assert_eq!(found(&inner, text, 0, text.len()), [(0, 13), (1, 26), (2, 32)]);
        assert_eq!(found(&inner, text, 0, text.len() - 1), [(0, 13), (1, 26)], "the run ends before the text does");
    }

    proptest! {
        #[test]
        fn what_is_found_inside_is_what_a_plain_reading_finds(text in "[abAB]{0,60}") {
            let texts = ["abA", "Aab", "BBa", "aabb", "bABab"];
            let bytes = text.as_bytes();
            let mut expected = Vec::new();
            for at in 0..bytes.len() {
                expected.extend((0..texts.len()).filter(|kind| bytes[at..].starts_with(texts[*kind].as_bytes())).map(|kind| (kind, at)));
            }
            let mut all = found(&literals(&[], &texts), bytes, 0, bytes.len());
            all.sort_unstable_by_key(|(kind, at)| (*at, *kind));
            prop_assert_eq!(all, expected);
        }
    }
}
