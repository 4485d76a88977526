//! The engine: one text in, candidates of all kinds out.
//!
//! See the module's documentation for the design. What must stay true: time is linear in the text, and a text without
//! candidates allocates nothing.

use std::collections::BTreeMap;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use super::boundary::{self, Boundary};
use super::context::Words;
use super::introduced;
use super::literals::{Literals, Use};
use super::matcher::{self, Ends};
use super::plan::{self, ALPHABETS, Noticed};
use super::resolve::{self, Hit, Rank};
use super::runs::{Pieces, Runs};
use super::{Error, Scratch};
use crate::token::Confidence;
use crate::token::catalogue::{Check, Form, Group, Kind, MAX_BLOCK, Proof};
use crate::token::checksum::{Algorithm, Spans};
use crate::token::{is_example, macaroon};

/// Whether kinds that need a word nearby take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContextKinds {
    Sought,
    Skipped,
}

/// All kinds, ready to be looked for.
pub struct Engine {
    details: Vec<Detail>,
    literals: Literals,
    words: Option<Automaton<WordUse>>,
    bare: [Bares; ALPHABETS.len()],
    context: Option<Words>,
}

/// What is asked about a kind at every candidate.
struct Detail {
    boundary: Boundary,
    literal_len: u16,
    specific: bool,
}

enum WordUse {
    Begin { kind: usize, pair: usize },
    End { kind: usize, pair: usize },
    Near { kind: usize },
    Token(Use),
}

struct Bare {
    kind: usize,
    min: usize,
    max: usize,
}

/// The kinds without a literal, of one alphabet.
#[derive(Default)]
struct Bares {
    kinds: Vec<Bare>,
    /// The shortest token of any of them.
    min: usize,
    /// The lengths below 128 that a token of any of them may have, one bit each.
    lengths: u128,
    /// The longest token of any of them.
    max: usize,
}

impl Bares {
    fn add(&mut self, bare: Bare) {
        self.min = if self.kinds.is_empty() { bare.min } else { bare.min.min(self.min) };
        self.max = self.max.max(bare.max);
        self.lengths |= (bare.min..=bare.max.min(127)).fold(0, |lengths, len| lengths | 1 << len);
        self.kinds.push(bare);
    }

    fn may_be_so_long(&self, len: usize) -> bool {
        if len < 128 { self.lengths >> len & 1 == 1 } else { len <= self.max }
    }
}

impl Engine {
    pub fn new(kinds: &[Kind]) -> Result<Self, Error> {
        let mut starts: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let mut inner: BTreeMap<String, Vec<Use>> = BTreeMap::new();
        let mut words: BTreeMap<String, Vec<WordUse>> = BTreeMap::new();
        let mut bare: [Bares; ALPHABETS.len()] = Default::default();
        let mut context = Vec::new();
        let mut details = Vec::with_capacity(kinds.len());
        for (index, kind) in kinds.iter().enumerate() {
            context.extend(kind.context.iter().map(|word| (*word, index)));
            details.push(Detail {
                boundary: Boundary::of(kind.parts()),
                literal_len: u16::try_from(kind.literal_len()).unwrap_or(u16::MAX),
                specific: kind.group != Group::Generic,
            });
            // Regular expressions are looked for beside the shapes.
            if matches!(kind.form, Form::Pattern(_)) {
                continue;
            }
            let noticed = plan::notice(kind).ok_or_else(|| Error::Unnoticeable(kind.id.to_string()))?;
            let mut word = |text: &str, used: WordUse| words.entry(text.to_owned()).or_default().push(used);
            match noticed {
                Noticed::InRun { texts, before: (0, 0), .. } => {
                    for text in texts {
                        starts.entry(text).or_default().push(index);
                    }
                }
                Noticed::InRun { texts, before, .. } => {
                    for text in texts {
                        inner.entry(text).or_default().push(Use { kind: index, before });
                    }
                }
                Noticed::Bare { alphabet, min, max } => {
                    bare[alphabet].add(Bare { kind: index, min, max });
                }
                Noticed::ByWord { texts, before } => {
                    for text in &texts {
                        word(text, WordUse::Token(Use { kind: index, before }));
                    }
                }
                Noticed::Block { begin, end } => {
                    for (pair, (begin, end)) in begin.iter().zip(end).enumerate() {
                        word(begin, WordUse::Begin { kind: index, pair });
                        word(end, WordUse::End { kind: index, pair });
                    }
                }
                Noticed::NearWord => {
                    for text in kind.context {
                        word(text, WordUse::Near { kind: index });
                    }
                }
            }
        }
        Ok(Self {
            details,
            literals: Literals::new(starts, inner),
            // Its vector prefilter does the work, and a smaller automaton is built several times faster.
            words: automaton(words, MatchKind::LeftmostLongest, AhoCorasickKind::ContiguousNFA)?,
            bare,
            context: Words::new(&context).map_err(|_| Error::TooLarge)?,
        })
    }

    /// Fills `scratch.hits` with the matches, in order, none overlapping another.
    pub fn scan(&self, kinds: &[Kind], haystack: &[u8], sought: ContextKinds, scratch: &mut Scratch) {
        scratch.start();
        let mut search = Search { engine: self, kinds, haystack, sought, scratch };
        search.words();
        for run in Runs::new(haystack) {
            search.anchors(run.start, run.end);
            search.pieces(run.start, run.end);
            search.scratch.runs.push(run);
        }
        resolve::resolve(&mut scratch.hits);
        if sought == ContextKinds::Sought {
            let is_real = |hit: &Hit| !is_example(&kinds[hit.kind], &haystack[hit.start..hit.end], hit.confidence);
            scratch.hits.retain(is_real);
        }
    }

    /// Whether the whole text is a token of the kind, its context aside.
    pub fn is_whole(&self, kinds: &[Kind], kind: usize, text: &[u8], scratch: &mut Scratch) -> Option<Hit> {
        scratch.start();
        let mut search = Search { engine: self, kinds, haystack: text, sought: ContextKinds::Skipped, scratch };
        search.candidate(kind, 0).filter(|hit| hit.end == text.len())
    }
}

/// An automaton over the texts, and what each is used for.
type Automaton<U> = (AhoCorasick, Vec<Vec<U>>);

fn automaton<U>(
    texts: BTreeMap<String, Vec<U>>,
    matches: MatchKind,
    kind: AhoCorasickKind,
) -> Result<Option<Automaton<U>>, Error> {
    if texts.is_empty() {
        return Ok(None);
    }
    let automaton =
        AhoCorasick::builder().match_kind(matches).kind(Some(kind)).build(texts.keys()).map_err(|_| Error::TooLarge)?;
    Ok(Some((automaton, texts.into_values().collect())))
}

/// One pass over one text.
struct Search<'s, 'h> {
    engine: &'s Engine,
    kinds: &'s [Kind],
    haystack: &'h [u8],
    sought: ContextKinds,
    scratch: &'s mut Scratch,
}

impl Search<'_, '_> {
    /// Kinds that are not in a run: blocks, headers, URLs.
    fn words(&mut self) {
        let Some((automaton, uses)) = &self.engine.words else { return };
        for hit in automaton.find_iter(self.haystack) {
            for word in &uses[hit.pattern().as_usize()] {
                match *word {
                    WordUse::Begin { kind, pair } => {
                        // Most texts are short and have none.
                        self.scratch.open_blocks.resize(self.kinds.len(), None);
                        self.scratch.open_blocks[kind] = Some((hit.start(), pair));
                    }
                    WordUse::End { kind, pair } => self.block(kind, pair, hit.end()),
                    WordUse::Near { kind } => self.near_word(kind, hit.end()),
                    WordUse::Token(literal) => self.anchored(literal, hit.start()),
                }
            }
        }
    }

    fn block(&mut self, kind: usize, pair: usize, end: usize) {
        let Some(block) = self.scratch.open_blocks.get_mut(kind) else { return };
        let Some((start, _)) = block.take_if(|(_, open)| *open == pair) else { return };
        if end - start <= MAX_BLOCK {
            let text = &self.haystack[start..end];
            let hit = self.judge(kind, start, end, text, &Spans::default());
            self.scratch.hits.extend(hit);
        }
    }

    /// The kinds whose literal is in the run.
    fn anchors(&mut self, start: usize, end: usize) {
        let engine = self.engine;
        engine.literals.find(self.haystack, start, end, |used, at| self.anchored(used, at));
    }

    fn anchored(&mut self, used: Use, at: usize) {
        for before in used.before.0..=used.before.1 {
            let Some(start) = at.checked_sub(before) else { return };
            if let Some(hit) = self.candidate(used.kind, start) {
                self.push_in_context(hit);
            }
        }
    }

    /// The kinds that have no literal: whole pieces of the run, with a digit in them.
    fn pieces(&mut self, start: usize, end: usize) {
        if !has_digit(&self.haystack[start..end]) {
            return;
        }
        // `\n` in front of a piece is a letter too many of it.
        let after_escape = match start.checked_sub(1).map(|before| self.haystack[before]) {
            Some(before) if boundary::LEADS.contains(&before) => {
                (start + 1..=start + boundary::MAX_ESCAPE).find(|at| boundary::is_escape_end(self.haystack, *at))
            }
            _ => None,
        };
        for (alphabet, bare) in ALPHABETS.iter().zip(&self.engine.bare) {
            if bare.kinds.is_empty() {
                continue;
            }
            for piece in Pieces::new(self.haystack, start..end, *alphabet, bare.min) {
                self.piece(bare, piece.start, piece.end);
                if let Some(inner) = after_escape.filter(|at| piece.start == start && *at < piece.end) {
                    self.piece(bare, inner, piece.end);
                }
            }
        }
    }

    fn piece(&mut self, bares: &Bares, start: usize, end: usize) {
        let len = end - start;
        if !bares.may_be_so_long(len) || !has_digit(&self.haystack[start..end]) {
            return;
        }
        // Most are digests that the text calls so, which is seen faster than that they have the form of a dozen kinds.
        let is_named = introduced::is_named_otherwise(self.haystack, &(start..end));
        self.scratch.candidates.clear();
        for bare in bares.kinds.iter().filter(|bare| (bare.min..=bare.max).contains(&len)) {
            let needs_context = self.kinds[bare.kind].needs_context();
            if needs_context && (is_named || self.sought == ContextKinds::Skipped) {
                continue;
            }
            match self.candidate(bare.kind, start) {
                Some(hit) if hit.end == end && !needs_context => self.scratch.hits.push(hit),
                Some(hit) if hit.end == end => self.scratch.candidates.push(hit),
                _ => {}
            }
        }
        if self.scratch.candidates.is_empty() {
            return;
        }
        let Some(context) = &self.engine.context else { return };
        let Scratch { candidates, hits, nearby, .. } = &mut *self.scratch;
        context.near(self.haystack, start..end, nearby, |kind, distance| {
            if let Some(hit) = candidates.iter().find(|hit| hit.kind == kind) {
                hits.push(hit.near(distance));
            }
        });
    }

    fn push_in_context(&mut self, hit: Hit) {
        if !self.kinds[hit.kind].needs_context() {
            self.scratch.hits.push(hit);
            return;
        }
        let (ContextKinds::Sought, Some(context)) = (self.sought, &self.engine.context) else { return };
        if introduced::is_named_otherwise(self.haystack, &(hit.start..hit.end)) {
            return;
        }
        let mut nearest = None;
        context.near(self.haystack, hit.start..hit.end, &mut self.scratch.nearby, |kind, distance| {
            if kind == hit.kind && nearest.is_none_or(|nearest| distance < nearest) {
                nearest = Some(distance);
            }
        });
        self.scratch.hits.extend(nearest.map(|distance| hit.near(distance)));
    }

    /// A token of the kind behind its word, on the same line or the next.
    fn near_word(&mut self, kind: usize, from: usize) {
        const REACH: usize = 96;
        if self.sought == ContextKinds::Skipped {
            return;
        }
        let ahead = &self.haystack[from..self.haystack.len().min(from + REACH)];
        let mut breaks = ahead.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        let lines = breaks.nth(1).map_or(ahead.len(), |(second, _)| second);
        let hit = (from..from + lines).find_map(|start| self.candidate(kind, start));
        if let Some(hit) = hit {
            self.scratch.hits.push(hit.near(hit.start - from));
        }
    }

    /// What the kind finds at exactly this start, its context aside.
    fn candidate(&mut self, kind: usize, start: usize) -> Option<Hit> {
        let detail = &self.engine.details[kind];
        if !detail.boundary.opens(self.haystack, start) {
            return None;
        }
        let parts = self.kinds[kind].parts();
        let ends = matcher::match_at(parts, self.haystack, start, &mut self.scratch.reach)?;
        let end = ends.end();
        if !detail.boundary.closes(self.haystack, end) {
            return None;
        }
        let text = &self.haystack[start..end];
        let spans = spans(&self.kinds[kind], &ends, start);
        self.judge(kind, start, end, text, &spans)
    }

    /// Applies the kind's rule to a text of its form.
    fn judge(&self, kind: usize, start: usize, mut end: usize, text: &[u8], spans: &Spans) -> Option<Hit> {
        let detail = &self.engine.details[kind];
        let confidence = match self.kinds[kind].check {
            None => Confidence::Shape,
            Some(Check { algorithm: Algorithm::MacaroonV2 { identifier }, .. }) => {
                let found = macaroon::find(text).filter(|found| identifier.allows(&found.macaroon.identifier))?;
                // What follows the signature is no part of the token, whatever it looks like.
                end = end.min(start + found.len);
                Confidence::Checksum
            }
            Some(check) => match (check.algorithm.fits(text, spans), check.proof) {
                (true, _) => Confidence::Checksum,
                (false, Proof::Proved) => return None,
                (false, Proof::Unproved) => Confidence::Shape,
            },
        };
        let rank = Rank {
            specific: detail.specific,
            fits: confidence == Confidence::Checksum,
            literal_len: detail.literal_len,
            nearness: 0,
            len: end - start,
        };
        Some(Hit { start, end, kind, confidence, rank })
    }
}

/// Reads all of the text, whatever it begins with: without an early end the compiler makes vector instructions of it.
fn has_digit(text: &[u8]) -> bool {
    text.iter().fold(false, |found, byte| found | byte.is_ascii_digit())
}

fn spans(kind: &Kind, ends: &Ends, start: usize) -> Spans {
    if kind.check.is_none() {
        return Spans::default();
    }
    Spans::of(kind.parts(), ends.relative_to(start).as_slice())
}
