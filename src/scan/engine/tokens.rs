//! Tokens: the recognizer as a detector, with what its kinds promise about distances.

use std::ops::Range;

use super::{ByteClass, Detector, Locality, Reach};
use crate::recognize::{Recognizer, Scratch};
use crate::token::catalogue::{Form, Kind, MAX_BLOCK};
use crate::token::shape::Part;
use crate::token::{Confidence, KindId, charset};

/// Finds tokens of the kinds of a recognizer.
pub struct Tokens<'r> {
    recognizer: &'r Recognizer,
    locality: Locality,
}

/// What is known of a token beside its place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    pub kind: KindId,
    pub confidence: Confidence,
}

/// Words that a kind needs may stand so far before a token, and on the line before its own; whether a short word stands
/// alone, one byte more tells.
const BACK: Reach = Reach { bytes: 257, lines: 2 };

/// And so far behind it, on its own line.
const AHEAD: Reach = Reach { bytes: 97, lines: 1 };

impl<'r> Tokens<'r> {
    pub fn new(recognizer: &'r Recognizer) -> Self {
        let run = ByteClass::of(recognizer.kinds().flat_map(bytes).chain(charset::RUN.members().iter().copied()));
        let markers: Vec<&str> = recognizer.kinds().flat_map(markers).collect();
        let locality = Locality::new(run, BACK, AHEAD).with_blocks(markers, MAX_BLOCK);
        Self { recognizer, locality }
    }
}

impl Detector for Tokens<'_> {
    type Found = Found;
    type Scratch = Scratch;

    fn scratch(&self) -> Scratch {
        Scratch::new()
    }

    fn locality(&self) -> &Locality {
        &self.locality
    }

    fn scan(&self, text: &[u8], scratch: &mut Scratch, found: &mut dyn FnMut(Range<usize>, Found)) {
        self.recognizer.scan(text, scratch, |token| {
            let range = token.start..token.start + token.text.len();
            found(range, Found { kind: token.kind, confidence: token.confidence });
        });
    }
}

/// Every byte that a token of the kind may have.
fn bytes(kind: &Kind) -> Vec<u8> {
    let of_part = |part: &Part| match part {
        Part::Literal(text) => text.as_bytes().to_vec(),
        Part::OneOf(texts) => texts.iter().flat_map(|text| text.bytes()).collect(),
        Part::Run { set, .. } => set.members().to_vec(),
    };
    kind.parts().iter().flat_map(of_part).collect()
}

fn markers(kind: &Kind) -> Vec<&'static str> {
    match &kind.form {
        Form::Block { begin, .. } => begin.to_vec(),
        Form::Shape(_) => Vec::new(),
    }
}
