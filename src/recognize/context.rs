//! Context: whether a word that belongs to a kind stands near a candidate.
//!
//! *Near* is the candidate's own line and the line before, as far as [`BACK`] and [`AHEAD`] reach. The words are
//! looked for all of them together, only after the form of a candidate has fitted, and once for all candidates around.

use std::ops::Range;

use aho_corasick::{AhoCorasick, BuildError, MatchKind};

const BACK: usize = 256;
const AHEAD: usize = 96;

/// A word this short must stand alone: `lob` is in `global`.
const SHORT_WORD: usize = 4;

/// The words of all kinds that need one.
pub struct Words {
    automaton: AhoCorasick,
    all: Vec<Word>,
    longest: usize,
}

struct Word {
    len: usize,
    kinds: Vec<usize>,
}

impl Words {
    /// From pairs of a word and the index of its kind.
    pub fn new(pairs: &[(&'static str, usize)]) -> Result<Option<Self>, BuildError> {
        if pairs.is_empty() {
            return Ok(None);
        }
        let mut texts: Vec<String> = Vec::new();
        let mut words: Vec<Word> = Vec::new();
        for (text, kind) in pairs {
            let folded = text.to_ascii_lowercase();
            if let Some(at) = texts.iter().position(|known| *known == folded) {
                words[at].kinds.push(*kind);
            } else {
                words.push(Word { len: folded.len(), kinds: vec![*kind] });
                texts.push(folded);
            }
        }
        let automaton =
            AhoCorasick::builder().ascii_case_insensitive(true).match_kind(MatchKind::Standard).build(&texts)?;
        let longest = words.iter().map(|word| word.len).max().unwrap_or(0);
        Ok(Some(Self { automaton, all: words, longest }))
    }

    /// Calls back with each kind that has a word near the candidate, and how many bytes away it is.
    pub fn near(
        &self,
        haystack: &[u8],
        candidate: Range<usize>,
        nearby: &mut Nearby,
        mut found: impl FnMut(usize, usize),
    ) {
        let back = two_lines_back(haystack, candidate.start);
        let ahead = haystack.len().min(candidate.end + AHEAD);
        let line = &haystack[candidate.end..ahead];
        let ahead = line.iter().position(|byte| *byte == b'\n').map_or(ahead, |at| candidate.end + at);
        self.read(haystack, back..ahead, nearby);
        for window in [back..candidate.start, candidate.end..ahead] {
            for sighted in nearby.within(&window) {
                let distance = if sighted.end <= candidate.start {
                    candidate.start - sighted.end
                } else {
                    sighted.start - candidate.end
                };
                for kind in &self.all[sighted.word].kinds {
                    found(*kind, distance);
                }
            }
        }
    }

    /// Sees to it that the words of a window are known.
    fn read(&self, haystack: &[u8], window: Range<usize>, nearby: &mut Nearby) {
        let Nearby { range, words } = nearby;
        if !(range.start <= window.start && window.start <= range.end) || words.len() > MAX_REMEMBERED {
            words.clear();
            *range = window.start..window.start;
        }
        if window.end <= range.end {
            return;
        }
        // A word may have begun in what is known, and ends in what is not.
        let from = range.start.max((range.end + 1).saturating_sub(self.longest));
        for hit in self.automaton.find_overlapping_iter(&haystack[from..window.end]) {
            let (start, end, word) = (from + hit.start(), from + hit.end(), hit.pattern().as_usize());
            if end > range.end && (self.all[word].len > SHORT_WORD || stands_alone(haystack, start, end)) {
                words.push(Sighted { start, end, word });
            }
        }
        range.end = window.end;
    }
}

/// The words of a stretch of the text, remembered from one candidate to the next: lock files and tables are full of
/// candidates, and each has most of its surroundings in common with the one before.
#[derive(Default)]
pub struct Nearby {
    range: Range<usize>,
    /// In the order of their ends.
    words: Vec<Sighted>,
}

struct Sighted {
    start: usize,
    end: usize,
    word: usize,
}

/// More words than this are forgotten.
const MAX_REMEMBERED: usize = 1 << 12;

impl Nearby {
    pub fn clear(&mut self) {
        self.range = 0..0;
        self.words.clear();
    }

    fn within(&self, window: &Range<usize>) -> impl Iterator<Item = &Sighted> {
        let first = self.words.partition_point(|sighted| sighted.end <= window.start);
        let (start, end) = (window.start, window.end);
        self.words[first..]
            .iter()
            .take_while(move |sighted| sighted.end <= end)
            .filter(move |sighted| sighted.start >= start)
    }
}

fn two_lines_back(haystack: &[u8], at: usize) -> usize {
    let from = at.saturating_sub(BACK);
    let mut breaks = haystack[from..at].iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n');
    breaks.nth(1).map_or(from, |(index, _)| from + index + 1)
}

fn stands_alone(haystack: &[u8], start: usize, end: usize) -> bool {
    let letter = |at: usize| haystack.get(at).is_some_and(u8::is_ascii_alphabetic);
    let goes_on_before = letter(start) && start.checked_sub(1).is_some_and(letter);
    let goes_on_after = letter(end - 1) && letter(end);
    !goes_on_before && !goes_on_after
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn near(text: &str) -> Vec<usize> {
        let words = Words::new(&[("SNYK_TOKEN", 1), ("lob", 2), ("sv=", 3), ("Snyk_Token", 4)])
            .expect("four words fit")
            .expect("there are words");
        let start = text.find('#').expect("the text has a candidate");
        let mut kinds = Vec::new();
        words.near(text.as_bytes(), start..start + 1, &mut Nearby::default(), |kind, _| kinds.push(kind));
        kinds.sort_unstable();
        kinds
    }

    #[test]
    fn a_word_on_the_line_or_the_one_before_is_near() {
        assert_eq!(near("snyk_token: #"), [1, 4]);
        assert_eq!(near("SNYK_TOKEN:\n  #"), [1, 4]);
        assert_eq!(near("# (snyk_token)"), [1, 4]);
        assert!(near("SNYK_TOKEN:\n\n #").is_empty());
        assert!(near("#\nSNYK_TOKEN").is_empty());
        assert!(near(&format!("SNYK_TOKEN{}#", " ".repeat(BACK))).is_empty());
    }

    #[test]
    fn a_short_word_stands_alone() {
        assert_eq!(near("LOB_KEY=#"), [2]);
        assert_eq!(near("?sv=1#"), [3]);
        assert!(near("global #").is_empty() && near("lobby #").is_empty());
    }

    proptest! {
        #[test]
        fn what_is_remembered_is_what_is_there(
            text in "(ab|b|a|c| |\n|#){0,400}",
            order in proptest::collection::vec(any::<proptest::sample::Index>(), 1..40),
        ) {
            let words = Words::new(&[("aba", 0), ("ab", 1), ("baabba", 2), ("cc", 3), ("abbb", 4)])
                .expect("five words fit")
                .expect("there are words");
            let bytes = text.as_bytes();
            let mut nearby = Nearby::default();
            let mut rising: Vec<_> = order.iter().map(|at| at.index(bytes.len() + 1)).collect();
            rising.sort_unstable();
            for at in rising.into_iter().chain(order.iter().map(|at| at.index(bytes.len() + 1))) {
                let candidate = at..bytes.len().min(at + 3);
                let near = |nearby: &mut Nearby| {
                    let mut all = Vec::new();
                    words.near(bytes, candidate.clone(), nearby, |kind, distance| all.push((kind, distance)));
                    all
                };
                prop_assert_eq!(near(&mut nearby), near(&mut Nearby::default()));
            }
        }
    }
}
