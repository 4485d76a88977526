//! Patterns: kinds of token that somebody wrote down as a regular expression for another scanner.
//!
//! They are kept apart from shapes, which they cannot be: no alphabet, no longest token, no boundary is known of them.
//! The automata of [`regex_automata`] look at a text once for each pattern whose words are in it and never go back, so no
//! text takes them forever; what a scan without patterns costs does not change. Where one overlaps a kind of the
//! catalogue, the catalogue knows better.

use aho_corasick::AhoCorasick;
use regex_automata::meta::{self, Regex};
use regex_automata::util::syntax;

use super::resolve::{Hit, Rank};
use crate::token::Confidence;

/// A regular expression, ready to be looked for.
pub struct Pattern {
    regex: Regex,
    /// The group that is the token; without one the first that takes part, or else all of the match.
    group: Option<usize>,
    /// One of them is in every text that has a match, in upper or lower case.
    keywords: Vec<String>,
    /// Tokens of no more bits a character are none.
    entropy: Option<f64>,
    allowed: Vec<Allowed>,
}

/// What is no token although it looks like one.
#[derive(Default)]
pub struct Allowed {
    pub regexes: Vec<Regex>,
    pub target: Target,
    /// In lower case.
    pub stopwords: Vec<String>,
    /// Whether all that is named here must fit, instead of one.
    pub all: bool,
}

/// What the regular expressions of [`Allowed`] are held against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Target {
    Line,
    Match,
    #[default]
    Token,
}

/// Why a regular expression is not taken.
#[derive(Debug, thiserror::Error)]
pub enum BadPattern {
    #[error("it matches nothing at all, and so everywhere")]
    Empty,
    #[error("it has no group {0}")]
    Group(usize),
    #[error("it is not understood, or becomes too large")]
    Syntax(#[source] Box<meta::BuildError>),
}

/// Larger automata are refused, in bytes.
const MAX_AUTOMATON: usize = 16 << 20;

/// Compiles an expression as Go's scanners mean it: classes and case are ASCII, any byte may be in a text.
pub fn compile(expression: &str) -> Result<Regex, BadPattern> {
    let built = |unicode: bool| {
        let syntax = syntax::Config::new().unicode(unicode).utf8(false);
        let limits = meta::Config::new().utf8_empty(false).nfa_size_limit(Some(MAX_AUTOMATON));
        meta::Builder::new().syntax(syntax).configure(limits).build(expression).map_err(Box::new)
    };
    // A class with letters beyond ASCII in it is one of characters.
    built(false).or_else(|_| built(true)).map_err(BadPattern::Syntax)
}

impl Pattern {
    pub fn new(expression: &str, group: Option<usize>) -> Result<Self, BadPattern> {
        let regex = compile(expression)?;
        if regex.is_match("") {
            return Err(BadPattern::Empty);
        }
        if let Some(group) =
            group.filter(|group| *group >= regex.group_info().group_len(regex_automata::PatternID::ZERO))
        {
            return Err(BadPattern::Group(group));
        }
        Ok(Self { regex, group, keywords: Vec::new(), entropy: None, allowed: Vec::new() })
    }

    #[must_use]
    pub fn with_keywords(mut self, keywords: Vec<String>) -> Self {
        self.keywords = keywords;
        self
    }

    #[must_use]
    pub fn with_entropy(mut self, bits: Option<f64>) -> Self {
        self.entropy = bits;
        self
    }

    #[must_use]
    pub fn with_allowed(mut self, allowed: Vec<Allowed>) -> Self {
        self.allowed = allowed;
        self
    }

    /// Calls back with the range of each token.
    fn scan(&self, text: &[u8], mut found: impl FnMut(usize, usize)) {
        let groups = self.regex.group_info().group_len(regex_automata::PatternID::ZERO);
        if groups == 1 {
            for whole in self.regex.find_iter(text) {
                self.judge(text, whole.range(), whole.range(), &mut found);
            }
            return;
        }
        for captures in self.regex.captures_iter(text) {
            let Some(whole) = captures.get_group(0) else { continue };
            let token = match self.group {
                Some(group) => captures.get_group(group),
                None => (1..groups).filter_map(|group| captures.get_group(group)).find(|span| !span.is_empty()),
            };
            let token = token.unwrap_or(whole);
            self.judge(text, whole.range(), token.range(), &mut found);
        }
    }

    fn judge(
        &self,
        text: &[u8],
        whole: std::ops::Range<usize>,
        range: std::ops::Range<usize>,
        found: &mut impl FnMut(usize, usize),
    ) {
        let token = &text[range.clone()];
        let is_too_plain = self.entropy.is_some_and(|least| entropy(token) <= least);
        if token.is_empty() || is_too_plain || self.allowed.iter().any(|one| one.fits(text, &whole, token)) {
            return;
        }
        found(range.start, range.end);
    }
}

impl Allowed {
    fn fits(&self, text: &[u8], whole: &std::ops::Range<usize>, token: &[u8]) -> bool {
        let held = match self.target {
            Target::Line => {
                let start = memchr::memrchr(b'\n', &text[..whole.start]).map_or(0, |at| at + 1);
                let end = memchr::memchr(b'\n', &text[whole.end..]).map_or(text.len(), |at| whole.end + at);
                &text[start..end]
            }
            Target::Match => &text[whole.clone()],
            Target::Token => token,
        };
        let by_regex = || self.regexes.iter().any(|regex| regex.is_match(held));
        let by_word = || {
            let token = token.to_ascii_lowercase();
            self.stopwords.iter().any(|word| memchr::memmem::find(&token, word.as_bytes()).is_some())
        };
        if self.all {
            let named = !self.regexes.is_empty() || !self.stopwords.is_empty();
            named && (self.regexes.is_empty() || by_regex()) && (self.stopwords.is_empty() || by_word())
        } else {
            by_regex() || by_word()
        }
    }
}

/// Bits a character, after Shannon.
fn entropy(token: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in token {
        counts[usize::from(*byte)] += 1;
    }
    let all = f64::from(u32::try_from(token.len()).unwrap_or(u32::MAX));
    let share = |count: &u32| f64::from(*count) / all;
    counts.iter().filter(|count| **count > 0).map(|count| -share(count) * share(count).log2()).sum()
}

/// All patterns of a recognizer.
#[derive(Default)]
pub struct Patterns {
    list: Vec<(usize, Pattern)>,
    /// Finds keywords, and the patterns that each belongs to.
    words: Option<(AhoCorasick, Vec<Vec<usize>>)>,
}

impl Patterns {
    /// Patterns with the index of the kind that each stands for. `None` if their words are too many.
    pub fn new(list: Vec<(usize, Pattern)>) -> Option<Self> {
        let mut words: std::collections::BTreeMap<String, Vec<usize>> = std::collections::BTreeMap::new();
        for (at, (_, pattern)) in list.iter().enumerate() {
            for word in &pattern.keywords {
                words.entry(word.to_ascii_lowercase()).or_default().push(at);
            }
        }
        if words.is_empty() {
            return Some(Self { list, words: None });
        }
        let automaton = AhoCorasick::builder().ascii_case_insensitive(true).build(words.keys()).ok()?;
        Some(Self { list, words: Some((automaton, words.into_values().collect())) })
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub fn scan(&self, text: &[u8], hits: &mut Vec<Hit>) {
        let mut named: Vec<bool> = self.list.iter().map(|(_, pattern)| pattern.keywords.is_empty()).collect();
        if let Some((automaton, owners)) = &self.words {
            for word in automaton.find_overlapping_iter(text) {
                for owner in &owners[word.pattern().as_usize()] {
                    named[*owner] = true;
                }
            }
        }
        for ((kind, pattern), _) in self.list.iter().zip(named).filter(|(_, named)| *named) {
            pattern.scan(text, |start, end| {
                let rank = Rank { specific: false, fits: false, literal_len: 0, nearness: 0, len: end - start };
                hits.push(Hit { start, end, kind: *kind, confidence: Confidence::Shape, rank });
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pattern: Pattern, text: &str) -> Vec<String> {
        let patterns = Patterns::new(vec![(0, pattern)]).expect("few words");
        let mut hits = Vec::new();
        patterns.scan(text.as_bytes(), &mut hits);
        hits.iter().map(|hit| text[hit.start..hit.end].to_owned()).collect()
    }

    #[test]
    fn the_token_is_the_named_group_or_the_first_that_takes_part() {
        let new = |expression: &str, group| Pattern::new(expression, group).expect("it is one");
        assert_eq!(found(new("key=([a-z]+)(;)?", None), "key=abc;"), ["abc"]);
        assert_eq!(found(new("(x)?key=([a-z]+)", None), "key=abc"), ["abc"]);
        assert_eq!(found(new("key=([a-z]+)(;)", Some(2)), "key=abc;"), [";"]);
        assert_eq!(found(new("k[a-z]+", None), "kab kcd"), ["kab", "kcd"]);
        assert!(matches!(Pattern::new("a", Some(1)), Err(BadPattern::Group(1))));
        assert!(matches!(Pattern::new("a*", None), Err(BadPattern::Empty)));
        assert!(matches!(Pattern::new("(?=a)", None), Err(BadPattern::Syntax(_))));
        assert!(matches!(Pattern::new("(a{900}){900}", None), Err(BadPattern::Syntax(_))));
    }

    #[test]
    fn words_entropy_and_exceptions_decide() {
        let new = || Pattern::new("[a-z0-9]{8,}", None).expect("it is one");
        assert!(found(new().with_keywords(vec!["Acme".into()]), "x 1a2b3c4d5e").is_empty());
        assert_eq!(found(new().with_keywords(vec!["Acme".into()]), "ACME 1a2b3c4d5e"), ["1a2b3c4d5e"]);
        assert!(found(new().with_entropy(Some(2.0)), "aaaaaaaabb").is_empty());
        assert_eq!(found(new().with_entropy(Some(2.0)), "1a2b3c4d5e").len(), 1);
        let allowed = |target, all| Allowed {
            regexes: vec![compile("test").expect("it is one")],
            target,
            stopwords: vec!["dead".into()],
            all,
        };
        let with = |target, all| new().with_allowed(vec![allowed(target, all)]);
        assert!(found(with(Target::Line, false), "# test\n test 1a2b3c4d5e").is_empty());
        assert_eq!(found(with(Target::Line, false), "# test\n 1a2b3c4d5e").len(), 1);
        assert_eq!(found(with(Target::Token, false), "test 1a2b3c4d5e 1a2bdead5e"), ["1a2b3c4d5e"]);
        assert_eq!(found(with(Target::Line, true), "test 1a2b3c4d5e 1a2bdead5e"), ["1a2b3c4d5e"]);
    }
}
