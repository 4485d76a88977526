//! Findings: leaked tokens, by name and place, never by value.
//!
//! A finding is made from a sighting and keeps nothing of the token but what may be shown: its id, its masked form and
//! what it says about itself. Only a scan that is told to ask issuers keeps the token as well, as a [`Secret`].

use zeroize::Zeroizing;

use super::asked::Asked;
use super::decode::Encoding;
use super::facts::{self, Checksum, Fact};
use super::lines::Position;
use super::provenance::{Commit, Provenance, Source};
use super::text::Sighting;
use crate::clock::Timestamp;
use crate::recognize::Recognizer;
use crate::token::catalogue::{Form, Kind, Severity};
use crate::token::shape::Part;
use crate::token::{Confidence, FindingId, KindId, Secret};

/// A leaked token in a place.
pub struct Finding {
    pub id: FindingId,
    pub kind: KindId,
    /// The kind in words, and who issues it.
    pub name: String,
    pub issuer: String,
    pub severity: Severity,
    pub confidence: Confidence,
    pub checksum: Checksum,
    pub provenance: Provenance,
    /// The first commit that had the token of a file at the same path.
    pub first_seen: Option<Box<Commit>>,
    pub spot: Spot,
    pub position: Position,
    /// Bytes from the start of the file.
    pub offset: u64,
    /// Bytes that the token takes there, encoded as it stands.
    pub len: usize,
    pub encodings: Vec<Encoding>,
    pub masked: Masked,
    pub facts: Vec<Fact>,
    /// What its issuer said, if it was asked.
    pub asked: Option<Box<Asked>>,
    /// The token, if an issuer is to be asked, or a person is to see it.
    pub secret: Option<Secret>,
    /// The token in clear, if the person who scans has asked for that; else nothing ever puts it here.
    pub in_clear: Option<Zeroizing<String>>,
}

/// What of a place the token stands in. A name is its first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spot {
    /// What the file or the folder is called.
    Name,
    Text,
}

impl Spot {
    pub fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Text => "text",
        }
    }
}

/// A token as it may be shown: the fixed start of its kind, and the last four characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Masked(String);

/// Tokens shorter than this have too little secret left beside four shown characters.
const MIN_SHOWN_END: usize = 24;
const SHOWN_END: usize = 4;
const MAX_SHOWN_START: usize = 48;

impl Masked {
    pub fn of(kind: &Kind, token: &[u8]) -> Self {
        let start = fixed_start(kind, token).min(token.len()).min(MAX_SHOWN_START);
        let secret = token.len() - start;
        let end = if secret >= MIN_SHOWN_END && !kind.parts().is_empty() { SHOWN_END } else { 0 };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self(format!("{}…{}", text(&token[..start]), text(&token[token.len() - end..])))
    }

    /// As a report has told it.
    pub fn told(text: &str) -> Self {
        Self(crate::redact::inert(text, MAX_TOLD))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Longest masked form: a start, a sign, an end.
const MAX_TOLD: usize = MAX_SHOWN_START + 1 + SHOWN_END;

/// How much of the start of a token is the same for all of its kind.
fn fixed_start(kind: &Kind, token: &[u8]) -> usize {
    let parts = match &kind.form {
        Form::Block { begin, .. } => {
            let fitting = begin.iter().filter(|marker| token.starts_with(marker.as_bytes()));
            return fitting.map(|marker| marker.len()).max().unwrap_or(0);
        }
        Form::Pattern(_) => return 0,
        Form::Shape(parts) => parts,
    };
    let mut len = 0;
    for part in parts.iter() {
        let rest = token.get(len..).unwrap_or_default();
        let fixed = match part {
            Part::Literal(text) => Some(text.len()),
            Part::OneOf(texts) => {
                let fitting = texts.iter().filter(|text| rest.starts_with(text.as_bytes()));
                fitting.map(|text| text.len()).max()
            }
            Part::Run { .. } => None,
        };
        match fixed {
            Some(fixed) => len += fixed,
            None => break,
        }
    }
    len
}

/// Whether a scan keeps the tokens it finds, to ask their issuers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    Dropped,
    Kept,
}

impl Finding {
    /// `None` if the recognizer does not know the kind, which then did not find it.
    pub fn new(
        sighting: &Sighting,
        offset: u64,
        position: Position,
        provenance: Provenance,
        secrets: Secrets,
        recognizer: &Recognizer,
        now: Timestamp,
    ) -> Option<Self> {
        let kind = recognizer.kind(&sighting.kind)?;
        let canonical = recognizer.canonical(&sighting.kind, &sighting.text)?;
        Some(Self {
            id: FindingId::of(&sighting.kind, &canonical),
            kind: sighting.kind.clone(),
            name: kind.name.to_string(),
            issuer: kind.issuer.to_string(),
            severity: kind.severity,
            confidence: sighting.confidence,
            checksum: Checksum::of(kind, &sighting.text, sighting.confidence),
            provenance,
            first_seen: None,
            spot: Spot::Text,
            position,
            offset,
            len: sighting.range.len(),
            encodings: sighting.encodings.clone(),
            masked: Masked::of(kind, &sighting.text),
            facts: facts::of(kind, &sighting.text, now),
            asked: None,
            in_clear: None,
            secret: (secrets == Secrets::Kept).then(|| Secret::new(sighting.text.to_vec())),
        })
    }

    /// The same, of a token that stands in a name.
    #[must_use]
    pub fn in_name(self) -> Self {
        Self { spot: Spot::Name, offset: 0, position: Position { line: 1, column: 1 }, ..self }
    }

    /// The commit that brought the token, if a history was read.
    pub fn commit(&self) -> Option<&Commit> {
        self.provenance.commit().or(self.first_seen.as_deref())
    }

    /// The same, to be changed.
    pub fn commit_mut(&mut self) -> Option<&mut Commit> {
        match &mut self.provenance.source {
            Source::Git(commit) => Some(commit),
            _ => self.first_seen.as_deref_mut(),
        }
    }

    /// By place, then by token: the order in which findings are told.
    pub fn order(&self, other: &Self) -> std::cmp::Ordering {
        let key = |one: &Self| (one.spot, one.offset, one.kind.clone(), one.id.clone(), one.encodings.clone());
        self.provenance.cmp(&other.provenance).then_with(|| key(self).cmp(&key(other)))
    }
}

impl std::fmt::Debug for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Finding")
            .field("id", &self.id)
            .field("place", &self.provenance.shown())
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}
