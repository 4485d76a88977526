//! One text: its tokens, in clear and in every encoding they may be written in.
//!
//! What is decoded is text again and is looked at in the same way, to a bounded depth. A token that is found in clear
//! and once more in the decoded line around it is one sighting: the one with fewer encodings stays, unless it is a
//! part of the other.

use std::ops::Range;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::decode::{self, Decoded, Encoding};
use crate::recognize::{self, Recognizer};
use crate::token::{Confidence, KindId};

/// A text may be decoded to so many times its size, all layers together.
const MAX_GROWTH: usize = 8;
const MIN_BUDGET: usize = 1 << 20;

/// Finds tokens in texts.
pub struct TextScanner {
    recognizer: Arc<Recognizer>,
    depth: usize,
}

/// A token in a text.
pub struct Sighting {
    pub kind: KindId,
    pub confidence: Confidence,
    /// Where it stands, encoded or not.
    pub range: Range<usize>,
    /// How it is written, the outermost encoding first.
    pub encodings: Vec<Encoding>,
    /// The token itself.
    pub text: Zeroizing<Vec<u8>>,
}

/// Memory to be used again for the next text: one per thread.
pub struct Scratch {
    layers: Vec<Layer>,
    sightings: Vec<Sighting>,
}

#[derive(Default)]
struct Layer {
    recognize: recognize::Scratch,
    decoded: Decoded,
}

/// Whether everything in a text was decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoding {
    Complete,
    /// The text is so full of encodings of encodings that it was left at some point.
    Limited,
}

impl TextScanner {
    pub fn new(recognizer: Arc<Recognizer>, decode_depth: usize) -> Self {
        Self { recognizer, depth: decode_depth }
    }

    pub fn recognizer(&self) -> &Recognizer {
        &self.recognizer
    }

    pub fn scratch(&self) -> Scratch {
        Scratch { layers: (0..=self.depth).map(|_| Layer::default()).collect(), sightings: Vec::new() }
    }

    /// Whether encodings are looked into.
    pub fn decodes(&self) -> bool {
        self.depth > 0
    }

    /// Finds the tokens of a text; they are in the order of their places.
    pub fn scan<'s>(&self, text: &[u8], scratch: &'s mut Scratch) -> (&'s mut Vec<Sighting>, Decoding) {
        let (sightings, decoding) = self.scan_unsettled(text, scratch);
        settle(sightings);
        (sightings, decoding)
    }

    /// As `scan`, in no order, with a token that stands there twice, in clear and decoded, told twice.
    pub fn scan_unsettled<'s>(&self, text: &[u8], scratch: &'s mut Scratch) -> (&'s mut Vec<Sighting>, Decoding) {
        scratch.sightings.clear();
        let mut pass = Pass {
            recognizer: &self.recognizer,
            budget: text.len().saturating_mul(MAX_GROWTH).max(MIN_BUDGET),
            decoding: Decoding::Complete,
            sightings: &mut scratch.sightings,
        };
        pass.layer(text, &mut scratch.layers, &Origin::Text);
        let decoding = pass.decoding;
        (&mut scratch.sightings, decoding)
    }
}

struct Pass<'p> {
    recognizer: &'p Recognizer,
    budget: usize,
    decoding: Decoding,
    sightings: &'p mut Vec<Sighting>,
}

/// Where the bytes of a layer come from.
enum Origin<'o> {
    Decoded { encoding: Encoding, place: &'o dyn Fn(Range<usize>) -> Range<usize>, outer: &'o Origin<'o> },
    Text,
}

impl Origin<'_> {
    fn place(&self, range: Range<usize>) -> Range<usize> {
        match self {
            Self::Decoded { place, outer, .. } => outer.place(place(range)),
            Self::Text => range,
        }
    }

    fn encodings(&self) -> Vec<Encoding> {
        match self {
            Self::Decoded { encoding, outer, .. } => {
                let mut all = outer.encodings();
                all.push(*encoding);
                all
            }
            Self::Text => Vec::new(),
        }
    }
}

impl Pass<'_> {
    fn layer(&mut self, text: &[u8], layers: &mut [Layer], origin: &Origin<'_>) {
        let Some((own, deeper)) = layers.split_first_mut() else { return };
        self.recognizer.scan(text, &mut own.recognize, |found| {
            self.sightings.push(Sighting {
                range: origin.place(found.start..found.start + found.text.len()),
                kind: found.kind,
                confidence: found.confidence,
                encodings: origin.encodings(),
                text: Zeroizing::new(found.text.to_vec()),
            });
        });
        if deeper.is_empty() {
            return;
        }
        decode::decode(text, own.recognize.runs(), &mut own.decoded, &mut |encoding, decoded| {
            let Some(left) = self.budget.checked_sub(decoded.bytes().len()) else {
                self.decoding = Decoding::Limited;
                return;
            };
            self.budget = left;
            let place = |range: Range<usize>| decoded.source(range);
            self.layer(decoded.bytes(), deeper, &Origin::Decoded { encoding, place: &place, outer: origin });
        });
    }
}

/// Puts the sightings in order and drops those that another one tells better.
pub fn settle(sightings: &mut Vec<Sighting>) {
    sightings.sort_by(|one, two| {
        (one.range.start, one.encodings.len(), &one.kind, one.range.end, &one.encodings).cmp(&(
            two.range.start,
            two.encodings.len(),
            &two.kind,
            two.range.end,
            &two.encodings,
        ))
    });
    if sightings.iter().all(|each| each.encodings.is_empty()) {
        return;
    }
    // A cluster: each sighting overlaps one before it. Those of different clusters have nothing to do with each other.
    let mut told = vec![false; sightings.len()];
    let mut from = 0;
    while from < sightings.len() {
        let mut to = from + 1;
        let mut end = sightings[from].range.end;
        while to < sightings.len() && sightings[to].range.start < end {
            end = end.max(sightings[to].range.end);
            to += 1;
        }
        for at in from..to {
            told[at] = (from..to).any(|other| other != at && is_told_by(&sightings[at], at, &sightings[other], other));
        }
        from = to;
    }
    let mut told = told.into_iter();
    sightings.retain(|_| !told.next().unwrap_or(false));
}

fn is_told_by(one: &Sighting, at: usize, two: &Sighting, other: usize) -> bool {
    if one.kind != two.kind || one.range.end <= two.range.start || two.range.end <= one.range.start {
        return false;
    }
    if one.text == two.text {
        return (two.encodings.len(), other) < (one.encodings.len(), at);
    }
    // Cut short by an escape in the middle of the token.
    let part = two.text.len() > one.text.len() && two.text.starts_with(&one.text);
    part && two.encodings.len() > one.encodings.len() && two.confidence >= one.confidence
}
