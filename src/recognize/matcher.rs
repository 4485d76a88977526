//! Matching a shape at one place of the text.
//!
//! Work is bounded: how far the characters of a set reach is remembered, so that text which looks like the start of a
//! token at every byte is still read once for each set.

use crate::token::charset::Set;
use crate::token::shape::{MAX_PARTS, Part};

/// Where each part of a matched shape ends.
#[derive(Clone, Debug)]
pub struct Ends {
    ends: [usize; MAX_PARTS],
    len: usize,
}

impl Ends {
    pub fn end(&self) -> usize {
        self.as_slice().last().copied().unwrap_or(0)
    }

    pub fn as_slice(&self) -> &[usize] {
        &self.ends[..self.len]
    }

    /// The same ends, counted from the start of the token.
    pub fn relative_to(&self, start: usize) -> Self {
        let mut ends = self.clone();
        for end in &mut ends.ends[..self.len] {
            *end -= start;
        }
        ends
    }
}

/// For each set a stretch of the text that is known to be in it.
#[derive(Clone, Debug)]
pub struct Reach([(usize, usize); 32]);

impl Reach {
    pub fn new() -> Self {
        Self([(0, 0); 32])
    }

    /// How many bytes from `at` on are in the set, at most `max`.
    #[inline]
    fn count(&mut self, haystack: &[u8], at: usize, set: Set, max: usize) -> usize {
        let known = &mut self.0[usize::from(set.index())];
        if !(known.0 <= at && at <= known.1) {
            *known = (at, at);
        }
        let limit = haystack.len().min(at + max);
        while known.1 < limit && set.has(haystack[known.1]) {
            known.1 += 1;
        }
        known.1.min(limit) - at
    }
}

/// Matches the parts from `start` on, the longest way.
pub fn match_at(parts: &[Part], haystack: &[u8], start: usize, reach: &mut Reach) -> Option<Ends> {
    let mut ends = Ends { ends: [0; MAX_PARTS], len: parts.len() };
    step(parts, 0, haystack, start, reach, &mut ends).then_some(ends)
}

fn step(parts: &[Part], index: usize, haystack: &[u8], at: usize, reach: &mut Reach, ends: &mut Ends) -> bool {
    let Some(part) = parts.get(index) else { return true };
    let mut go_on = |end: usize, reach: &mut Reach| {
        ends.ends[index] = end;
        step(parts, index + 1, haystack, end, reach, ends)
    };
    match part {
        Part::Literal(text) => haystack[at..].starts_with(text.as_bytes()) && go_on(at + text.len(), reach),
        Part::OneOf(texts) => {
            texts.iter().any(|text| haystack[at..].starts_with(text.as_bytes()) && go_on(at + text.len(), reach))
        }
        Part::Run { set, min, max, .. } => {
            let (min, most) = (usize::from(*min), reach.count(haystack, at, *set, usize::from(*max)));
            let Some(next) = parts.get(index + 1) else { return most >= min && go_on(at + most, reach) };
            if most < min {
                return false;
            }
            // Where the next part cannot begin inside the set there is one way, else one for each place where it can.
            let shortest = if next.may_begin_in(*set) { min } else { most };
            (shortest..=most).rev().any(|len| {
                let fits = haystack
                    .get(at + len)
                    .map_or(next.min_len() == 0, |byte| next.min_len() == 0 || next.may_start_with(*byte));
                fits && go_on(at + len, reach)
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::shape;

    fn len(shape: &str, text: &str) -> Option<usize> {
        match_at(&shape::parse(shape).expect("the shape is right"), text.as_bytes(), 0, &mut Reach::new())
            .map(|ends| ends.end())
    }

    #[test]
    fn the_longest_way_is_taken_and_given_back_where_needed() {
        assert_eq!(len("a_{hexl:2-9}{hexl:2:checksum}", "a_1234567"), Some(9));
        assert_eq!(len("a_{hexl:2-9}{hexl:2:checksum}", "a_123"), None);
        assert_eq!(len("a-{b64u:2-9}MID{b64u:2-9}", "a-xxxxMIDyyy"), Some(12));
        assert_eq!(len("{=mongodb|mongodb+srv}://{b62:1-9}", "mongodb+srv://x"), Some(15));
        assert_eq!(len("{b64s:2-4}{pad:0-2}", "abc="), Some(4));
        assert_eq!(len("{b64s:2-4}{pad:0-2}", "abc"), Some(3));
        assert_eq!(len("{uuid}", "01234567-89ab-cdef-0123-456789abcdef"), Some(36));
    }

    #[test]
    fn what_was_read_for_one_start_serves_the_next() {
        let parts = shape::parse("{b62:3-9}").expect("the shape is right");
        let mut reach = Reach::new();
        let text = b"aaaaaaaaaaaaa-bb";
        let ends: Vec<_> = (0..16).map(|at| match_at(&parts, text, at, &mut reach).map(|ends| ends.end())).collect();
        assert_eq!(ends[0], Some(9));
        assert_eq!(ends[10], Some(13));
        assert_eq!(&ends[11..], &[None; 5]);
    }
}
