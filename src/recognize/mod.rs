//! Recognize: bytes in, tokens out, by kind.
//!
//! Pure: no clock, no network, no database. The same [`Recognizer`] answers for a webhook, which sends one token with a
//! little junk around it ([`Recognizer::identify`]), and for a scan of gigabytes ([`Recognizer::scan`]).
//!
//! # How a scan works
//!
//! A few hundred kinds are sought in text that nearly never has one. So each step is there to spare the next:
//!
//! ```text
//!            text                                                    read of it
//!              |
//!    +---------+-----------------------+
//!    |                                 |
//!  runs: unbroken pieces of        words: `-----BEGIN `, `://`,      all, many bytes at once
//!  20 characters or more           `Authorization: ` ...             (vector instructions)
//!    |                                 |
//!    +--> starts: `npm_`, `ghp_`       |                             the runs
//!    +--> inner literals: `JQQJ99`     |                             the same table
//!    +--> bare pieces: 40 hex digits   |                             runs with a digit
//!    |                                 |
//!    +----------------+----------------+
//!                     |
//!        boundary before --> shape --> boundary after                a candidate
//!                     |
//!             checksum or structure                                  a match of the shape
//!                     |
//!           a word nearby, if the kind needs one
//!                     |
//!           overlaps: most specific, then longest
//! ```
//!
//! **Runs** use what all tokens share rather than what tells them apart: a token is long and has no
//! space in it. The finder judges 64 bytes at once and goes on without a branch unless twenty of them in a row could be
//! part of one. Source text is mostly short words, so four bytes of five are never looked at again.
//!
//! **Anchors.** How a kind is noticed is worked out from its shape when the recognizer is built (`plan`): by the literal
//! it begins with, looked up in a table of three bytes each that fits into the first cache; by a literal inside it, in
//! the same table, for kinds that begin with random characters; by alphabet and length alone, for kinds that have no literal at all; by a
//! word anywhere, for the few whose tokens contain spaces or colons.
//!
//! **Shapes** are matched by hand (`matcher`), not by regular expressions: they are lists of literals and bounded runs,
//! and a table of 256 entries answers for every alphabet. How far an alphabet reaches is remembered from one candidate to
//! the next, so text made to look like the start of a token at every byte is still read once.
//!
//! **Boundaries** go by the token's alphabet, never by `\b`: tokens end in `-` and `=`, and stand before `<`, `,`, `.`
//! or an escape sequence.
//!
//! **Examples.** What has the form of a token and is none (filler, a vendor's printed sample, a password that is `password`)
//! is left out last, after it has won its text from the kinds it overlaps, and only in running text: what a reporter sends
//! is put to its issuer whatever it looks like. Kinds without a form of their own are also left out where the text in
//! front calls the value a digest, a revision or an id.
//!
//! **Checks** drop a candidate only where the issuer's rule is proved; elsewhere they set the [`Confidence`].
//!
//! Time is linear in the text for any text; a text without candidates allocates nothing. Building takes a few
//! milliseconds: the catalogue is compiled in, and only two small automata are made.
//!
//! # What a report is worth
//!
//! [`Recognizer::identify`] takes a reporter's word that the text holds a token, not what kind it is: the `type` that
//! came with it is no input here. Kinds whose form alone proves nothing (a UUID, 32 hexadecimal digits) are named only
//! if the recognizer was told that an issuer of this installation claims them, for then the issuer will be asked.
//! Every spelling that the issuer would accept has the same [`Recognized::canonical`], so that one leaked token is one
//! incident.

mod boundary;
mod context;
mod engine;
mod identify;
mod introduced;
mod known;
mod literals;
mod matcher;
mod pattern;
mod plan;
mod resolve;
mod runs;
mod withhold;

use std::ops::Range;

use crate::token::catalogue::{self, Kind};
use crate::token::{Confidence, KindId, Secret, macaroon, pat};
use context::Nearby;
use engine::{ContextKinds, Engine};
pub use known::KIND as KNOWN_KIND;
use known::Known;
use matcher::Reach;
use pattern::Patterns;
pub use pattern::{Allowed, BadPattern, Pattern, Target as PatternTarget, compile};
use resolve::Hit;

/// Finds tokens of a set of kinds. Built once; cheap to share behind an `Arc`.
pub struct Recognizer {
    kinds: Vec<Kind>,
    ids: Vec<KindId>,
    engine: Engine,
    patterns: Patterns,
    /// Kinds that need a word nearby, and whose bare text is accepted from a reporter all the same.
    accepted: Vec<usize>,
    /// Tokens without any shape, by the SHA-256 of their text: API keys that the configuration names.
    known: Known,
}

/// What a reporter's text turned out to be.
pub enum Identified {
    Recognized(Recognized),
    /// Longer than any known token: not looked into.
    TooLong,
    Unrecognized,
}

/// A token, taken out of the text it came in.
pub struct Recognized {
    pub kind: KindId,
    pub confidence: Confidence,
    /// The token as its issuer knows it, junk removed.
    pub secret: Secret,
    /// What is the same for every text of this token, and different for any other.
    pub canonical: Secret,
    /// The last characters, at most four, and only of the checksum: they give nothing of the secret away. Empty where
    /// there is no checksum.
    pub hint: String,
}

/// A token in a text.
pub struct Match<'h> {
    pub kind: KindId,
    pub confidence: Confidence,
    /// Where it begins.
    pub start: usize,
    /// The token, as it stands there.
    pub text: &'h [u8],
}

/// Memory for [`Recognizer::scan`], to be used again for the next text: one per thread.
pub struct Scratch {
    hits: Vec<Hit>,
    candidates: Vec<Hit>,
    /// For each kind the block that may be open; nothing before there was a first one.
    open_blocks: Vec<Option<(usize, usize)>>,
    reach: Reach,
    nearby: Nearby,
    runs: Vec<Range<usize>>,
}

/// Why a recognizer cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("two kinds have the id `{0}`")]
    DuplicateKind(String),
    #[error("the token prefix is not usable: {0}")]
    Prefix(String),
    #[error("the kinds together are too large to be looked for at once")]
    TooLarge,
    #[error("no kind has the id `{0}`")]
    UnknownKind(String),
    #[error("nothing in a token of the kind `{0}` can be looked for: its shape has no text and no long part")]
    Unnoticeable(String),
}

/// Chooses the kinds of a [`Recognizer`].
#[derive(Default)]
pub struct RecognizerBuilder {
    own: Vec<Kind>,
    patterns: Vec<(Kind, Pattern)>,
    pat_prefix: Option<String>,
    macaroons: Option<(String, String)>,
    only: Option<Vec<KindId>>,
    without: Vec<KindId>,
    accepted: Vec<KindId>,
    known: Known,
}

impl RecognizerBuilder {
    /// Adds the opaque tokens of the built-in issuer, under the prefix it mints with.
    pub fn with_pat_prefix(mut self, prefix: &str) -> Self {
        self.pat_prefix = Some(prefix.to_owned());
        self
    }

    /// Adds the macaroons of the built-in issuer, under the prefix and the location it mints with.
    pub fn with_macaroons(mut self, prefix: &str, location: &str) -> Self {
        self.macaroons = Some((prefix.to_owned(), location.to_owned()));
        self
    }

    /// Adds a kind of this installation.
    pub fn with_kind(mut self, kind: Kind) -> Self {
        self.own.push(kind);
        self
    }

    /// Adds a kind whose tokens a regular expression finds.
    pub fn with_pattern(mut self, kind: Kind, pattern: Pattern) -> Self {
        self.patterns.push((kind, pattern));
        self
    }

    /// Only these kinds of the catalogue; added kinds stay.
    pub fn only(mut self, kinds: &[KindId]) -> Self {
        self.only = Some(kinds.to_vec());
        self
    }

    /// Not these kinds of the catalogue.
    pub fn without(mut self, kinds: &[KindId]) -> Self {
        self.without.extend_from_slice(kinds);
        self
    }

    /// Kinds that need a word nearby, and whose bare text [`Recognizer::identify`] takes all the same: those that an
    /// issuer of this installation claims, for then the issuer's answer is the evidence that the text lacks.
    pub fn accept_context_kinds(mut self, kinds: &[KindId]) -> Self {
        self.accepted.extend_from_slice(kinds);
        self
    }

    /// Tokens that have no shape and that somebody's report may hold all the same: known by the SHA-256 of their text.
    pub fn with_known(mut self, sha256: impl IntoIterator<Item = [u8; 32]>) -> Self {
        self.known = Known::new(sha256);
        self
    }

    /// # Errors
    /// A named kind does not exist, two kinds share an id, or the prefix is not one.
    pub fn build(self) -> Result<Recognizer, Error> {
        let known = |id: &KindId| catalogue::builtin().iter().any(|kind| kind.id == id.as_str());
        let named = self.only.iter().flatten().chain(&self.without);
        if let Some(unknown) = named.into_iter().find(|id| !known(id)) {
            return Err(Error::UnknownKind(unknown.to_string()));
        }
        let chosen = |kind: &&Kind| {
            let is = |id: &KindId| kind.id == id.as_str();
            self.only.as_ref().is_none_or(|only| only.iter().any(is)) && !self.without.iter().any(is)
        };
        let mut kinds: Vec<Kind> = catalogue::builtin().iter().filter(chosen).cloned().collect();
        if let Some(prefix) = &self.pat_prefix {
            for mark in pat::Mark::ALL {
                kinds.push(pat::kind_marked(prefix, mark).map_err(|bad| Error::Prefix(bad.0))?);
            }
        }
        if let Some((prefix, location)) = &self.macaroons {
            kinds.push(macaroon::kind(prefix, location).map_err(|bad| Error::Prefix(bad.0))?);
        }
        kinds.extend(self.own);
        let mut patterns = Vec::new();
        for (kind, pattern) in self.patterns {
            patterns.push((kinds.len(), pattern));
            kinds.push(kind);
        }
        let patterns = Patterns::new(patterns).ok_or(Error::TooLarge)?;
        for (at, kind) in kinds.iter().enumerate() {
            if kinds[..at].iter().any(|other| other.id == kind.id) {
                return Err(Error::DuplicateKind(kind.id.to_string()));
            }
        }
        let position = |id: &KindId| {
            kinds.iter().position(|kind| kind.id == id.as_str()).ok_or_else(|| Error::UnknownKind(id.to_string()))
        };
        let accepted = self.accepted.iter().map(position).collect::<Result<_, _>>()?;
        let ids = kinds.iter().map(|kind| KindId::new(&kind.id)).collect();
        let engine = Engine::new(&kinds)?;
        Ok(Recognizer { kinds, ids, engine, patterns, accepted, known: self.known })
    }
}

impl Recognizer {
    /// All kinds of the catalogue.
    pub fn builtin() -> Self {
        Self::builder().build().expect("the catalogue is complete in itself; a test builds it")
    }

    pub fn builder() -> RecognizerBuilder {
        RecognizerBuilder::default()
    }

    /// The kinds it finds.
    pub fn kinds(&self) -> impl Iterator<Item = &Kind> {
        self.kinds.iter()
    }

    /// What is known of a kind.
    pub fn kind(&self, id: &KindId) -> Option<&Kind> {
        self.kinds.iter().find(|kind| kind.id == id.as_str())
    }

    /// Whether some of the kinds are told by regular expressions, of which no alphabet and no length is known.
    pub fn has_patterns(&self) -> bool {
        !self.patterns.is_empty()
    }

    /// Bytes that a token may have at most: pieces of a larger text must overlap by so many.
    pub fn longest(&self) -> usize {
        self.kinds.iter().map(Kind::max_len).max().unwrap_or(0)
    }

    /// Names the token in a text that is said to be one, perhaps with white space, quotes or a header around it.
    pub fn identify(&self, sent: &str) -> Identified {
        identify::identify(self, sent)
    }

    /// What is the same for every text of a token of the kind, and different for any other. `None` if the kind is not one
    /// of those it finds.
    pub fn canonical(&self, id: &KindId, text: &[u8]) -> Option<Secret> {
        self.kind(id).map(|kind| identify::canonical(kind, text))
    }

    /// Calls `found` for each token in the text, in order; where kinds overlap, for the most specific one.
    pub fn scan<'h>(&self, haystack: &'h [u8], scratch: &mut Scratch, mut found: impl FnMut(Match<'h>)) {
        self.engine.scan(&self.kinds, haystack, ContextKinds::Sought, scratch);
        if !self.patterns.is_empty() {
            self.patterns.scan(haystack, &mut scratch.hits);
            resolve::resolve(&mut scratch.hits);
        }
        for hit in &scratch.hits {
            found(Match {
                kind: self.ids[hit.kind].clone(),
                confidence: hit.confidence,
                start: hit.start,
                text: &haystack[hit.start..hit.end],
            });
        }
    }
}

/// The unbroken pieces of a text that are long enough to hold a token, in order.
pub fn runs(text: &[u8]) -> Vec<Range<usize>> {
    runs::Runs::new(text).collect()
}

impl Scratch {
    pub fn new() -> Self {
        Self {
            hits: Vec::new(),
            candidates: Vec::new(),
            open_blocks: Vec::new(),
            reach: Reach::new(),
            nearby: Nearby::default(),
            runs: Vec::new(),
        }
    }

    fn start(&mut self) {
        self.hits.clear();
        self.open_blocks.clear();
        self.reach = Reach::new();
        self.nearby.clear();
        self.runs.clear();
    }

    /// The unbroken pieces of the text that was scanned last, in order: where encodings may be too.
    pub fn runs(&self) -> &[Range<usize>] {
        &self.runs
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}
