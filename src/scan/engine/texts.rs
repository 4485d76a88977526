//! Texts: the scanner of texts as a detector, with what its kinds and decoders promise about distances.

use std::ops::Range;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::{ByteClass, Detector, Escaped, Form, Locality, Reach, Reading, Wrapped};
use crate::recognize::Recognizer;
use crate::scan::archive::Format;
use crate::scan::decode::{Encoding, base64, escape};
use crate::scan::text::{Decoding, Scratch, Sighting, TextScanner};
use crate::token::catalogue::{self, Kind, MAX_BLOCK};
use crate::token::shape::Part;
use crate::token::{Confidence, KindId, charset};

/// Finds tokens of the kinds of a recognizer, in clear and in every encoding.
pub struct Texts<'s> {
    scanner: &'s TextScanner,
    locality: Locality,
}

/// What is known of a token beside its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub kind: KindId,
    pub confidence: Confidence,
    /// How it is written, the outermost encoding first.
    pub encodings: Vec<Encoding>,
    /// The token, if it does not stand in the text as it is.
    pub decoded: Option<Arc<Zeroizing<Vec<u8>>>>,
}

/// Words that a kind needs may stand so far before a token, and on the line before its own; whether a short word stands
/// alone, one byte more tells.
const BACK: Reach = Reach { bytes: 257, lines: 2 };

/// And so far behind it, on its own line.
const AHEAD: Reach = Reach { bytes: 97, lines: 1 };

impl<'s> Texts<'s> {
    pub fn new(scanner: &'s TextScanner) -> Self {
        let recognizer = scanner.recognizer();
        let run = ByteClass::of(recognizer.kinds().flat_map(bytes).chain(charset::RUN.members().iter().copied()));
        let markers: Vec<&str> = recognizer.kinds().flat_map(markers).collect();
        let mut locality = Locality::new(run, BACK, AHEAD).with_blocks(markers, MAX_BLOCK);
        if scanner.decodes() {
            let alphabet = ByteClass::of((0..=u8::MAX).filter(|byte| base64::in_run(*byte) || *byte == b'\\'));
            locality = locality
                .with_wrapped(Wrapped { alphabet, indent: base64::MAX_INDENT })
                .with_escaped(Escaped {
                    reach: escape::REACH,
                    widest: escape::WIDEST,
                    leads: escape::LEADS,
                    is_escape: escape::hides,
                })
                // UTF-16 may begin anywhere, and every other byte of it is zero.
                .with_whole_byte(0);
        }
        if recognizer.has_patterns() {
            // Of a regular expression no distance is known.
            locality = locality.with_whole(|_| true);
        }
        Self { scanner, locality }
    }

    /// As `new`; what is an archive by its first bytes is never looked at in parts.
    pub fn beside_archives(scanner: &'s TextScanner) -> Self {
        let texts = Self::new(scanner);
        if scanner.recognizer().has_patterns() {
            return texts;
        }
        Self { locality: texts.locality.with_whole(|head| Format::of(head).is_some()), ..texts }
    }

    pub fn recognizer(&self) -> &Recognizer {
        self.scanner.recognizer()
    }
}

impl Detector for Texts<'_> {
    type Found = Found;
    type Scratch = Scratch;

    fn scratch(&self) -> Scratch {
        self.scanner.scratch()
    }

    fn locality(&self) -> &Locality {
        &self.locality
    }

    fn scan(&self, text: &[u8], scratch: &mut Scratch, found: &mut dyn FnMut(Range<usize>, Form, Found)) -> Reading {
        let (sightings, decoding) = self.scanner.scan_unsettled(text, scratch);
        for Sighting { kind, confidence, range, encodings, text } in sightings.drain(..) {
            let form = form(&encodings);
            let decoded = (!encodings.is_empty()).then(|| Arc::new(text));
            found(range, form, Found { kind, confidence, encodings, decoded });
        }
        match decoding {
            Decoding::Complete => Reading::Complete,
            Decoding::Limited => Reading::Limited,
        }
    }
}

/// What decides is the outermost encoding: the others are in the piece that it makes.
fn form(encodings: &[Encoding]) -> Form {
    match encodings.first() {
        Some(Encoding::Base64 | Encoding::Hex) => Form::Wrapped,
        Some(Encoding::Escape | Encoding::Percent) => Form::Escaped,
        // Texts with UTF-16 in them are not looked at in parts.
        Some(Encoding::Utf16) | None => Form::Clear,
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
        catalogue::Form::Block { begin, .. } => begin.to_vec(),
        catalogue::Form::Pattern(_) | catalogue::Form::Shape(_) => Vec::new(),
    }
}
