//! Context: whether a word that belongs to a kind stands near a candidate.
//!
//! *Near* is the candidate's own line and the line before, as far as [`BACK`] and [`AHEAD`] reach. The words are
//! looked for once for each candidate, all of them together, and only after its form has fitted.

use std::ops::Range;

use aho_corasick::{AhoCorasick, BuildError, MatchKind};

const BACK: usize = 256;
const AHEAD: usize = 96;

/// A word this short must stand alone: `lob` is in `global`.
const SHORT_WORD: usize = 4;

/// The words of all kinds that need one.
pub struct Words {
    automaton: AhoCorasick,
    words: Vec<Word>,
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
        Ok(Some(Self { automaton, words }))
    }

    /// Calls back with each kind that has a word near the candidate, and how many bytes away it is.
    pub fn near(&self, haystack: &[u8], candidate: Range<usize>, mut found: impl FnMut(usize, usize)) {
        let back = two_lines_back(haystack, candidate.start);
        let ahead = haystack.len().min(candidate.end + AHEAD);
        let line = &haystack[candidate.end..ahead];
        let ahead = line.iter().position(|byte| *byte == b'\n').map_or(ahead, |at| candidate.end + at);
        for window in [back..candidate.start, candidate.end..ahead] {
            for hit in self.automaton.find_overlapping_iter(&haystack[window.clone()]) {
                let word = &self.words[hit.pattern().as_usize()];
                let (start, end) = (window.start + hit.start(), window.start + hit.end());
                if word.len <= SHORT_WORD && !stands_alone(haystack, start, end) {
                    continue;
                }
                let distance = if end <= candidate.start { candidate.start - end } else { start - candidate.end };
                for kind in &word.kinds {
                    found(*kind, distance);
                }
            }
        }
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
    use super::*;

    fn near(text: &str) -> Vec<usize> {
        let words = Words::new(&[("SNYK_TOKEN", 1), ("lob", 2), ("sv=", 3), ("Snyk_Token", 4)])
            .expect("four words fit")
            .expect("there are words");
        let start = text.find('#').expect("the text has a candidate");
        let mut kinds = Vec::new();
        words.near(text.as_bytes(), start..start + 1, |kind, _| kinds.push(kind));
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
}
