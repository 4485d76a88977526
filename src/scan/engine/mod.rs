//! The engine: finds in a text what a detector finds in it, and looks only where the text differs from one already read.
//!
//! A history is the same text over and over. Git stores an object as a *delta*: ranges copied from a base, and inserted
//! bytes between them. The base has been read before the delta is (`scan::git::walk` sees to it), so its hits are
//! known, and reading the new text again from end to end would find most of them again. Instead:
//!
//! ```text
//!   base     |-------- A --------|~~ gone ~~|------------- B -------------|
//!             ..h1.............h2            ..h3.................h4......
//!
//!   delta     copy A              insert "x"  copy B
//!
//!   new text |-------- A --------|xxxxxx|------------- B -------------|
//!             ..h1............[....xxxxxx....].............h4..........
//!                              \__ window __/
//! ```
//!
//! 1. *Windows.* Every inserted range and every seam (a place where two copied ranges meet that did not meet in the base,
//!    or where a text begins or ends otherwise than its base) is widened to both sides as far as it can matter. The window
//!    alone is put together and scanned. In the picture `h2`, `h3` and whatever stands in `x` are decided there.
//! 2. *Carry.* A hit of the base whose field lies inside one copied range is a hit of the new text, moved by as
//!    much as the range is: `h1` and `h4`.
//! 3. *Whole.* Where a window cannot be exact (a private key's block is near one, a byte is zero so that the text may be
//!    UTF-16, it is an archive), the text is put together and scanned from end to end.
//! 4. *Memory.* Windows repeat themselves as texts do; one that was empty before is not scanned again (see `memo`).
//!
//! How far a byte matters is not a number. A token may be thousands of bytes long, so that `seam ± longest token` would
//! be most of a file. But a token holds no byte outside its alphabet, and lines of text do: a window ends where the
//! *run* of bytes that tokens are made of ends, with the lines that context words may stand in. [`Locality`] defines
//! that distance, and with it what a [`Detector`] promises.
//!
//! Encodings are the same thought once more. What base64 decodes to depends on the chain of lines that are joined, and
//! on nothing beyond its ends ([`Wrapped`]); what escapes decode to depends on their line around them ([`Escaped`]).
//! A hit in a decoded text, however often it was decoded, was made from one piece of the text itself; the field of that
//! piece is the hit's. In the picture, if `h1` is a line in the middle of a wrapped text, its field is all of that text:
//!
//! ```text
//!   |  cHlwaS1BZ0VJY0hsd2FTNXZj      one change here ...
//!   |  [h1 decoded from this line]   ... may change what is decoded here,
//!   |  CSmNIclh4c=                   so that the window is the chain
//!   |key: value                      and ends where the chain ends.
//! ```
//!
//! Why this is exact. Take a hit of the new text and its field, the bytes that decide about it. Either the field lies in
//! one copied range; then the base has the same bytes in the same order, so by the promise the same hit, and step 2
//! carries it. Or the field holds a seam or an inserted byte; widening is the mirror image of the field, so the window
//! around that place contains the whole field, and by the promise scanning the window finds the hit. No third case is
//! left, and a hit found in a window is taken only if its field says that step 2 has not carried it: nothing twice.
//!
//! A new text that is nobody's base is never put together at all. Its cost is its delta and its windows, whatever
//! its size: that is why a history of gigabytes is scanned faster than it can be written to `/dev/null`.

mod carry;
mod edit;
mod escaped;
mod locality;
mod memo;
mod texts;
mod wrapped;

use std::ops::Range;

pub use carry::{Hit, Marks, Outcome, Windows};
pub use edit::{Edit, From, Part};
pub use escaped::Escaped;
pub use locality::{ByteClass, Field, Form, HEAD, Locality, Reach};
pub use texts::{Found, Texts};
pub use wrapped::Wrapped;

/// Finds things in bytes, and promises how far bytes matter: see [`Locality`].
pub trait Detector: Sync {
    /// What is known about one hit beside its place. It does not depend on the place.
    type Found: Clone + Send + Sync;
    /// Working memory of one thread.
    type Scratch: Send;

    fn scratch(&self) -> Self::Scratch;

    fn locality(&self) -> &Locality;

    /// Calls back with each hit, and how it stands in the text.
    fn scan(
        &self,
        text: &[u8],
        scratch: &mut Self::Scratch,
        found: &mut dyn FnMut(Range<usize>, Form, Self::Found),
    ) -> Reading;
}

/// Whether a detector has looked at all of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    Complete,
    /// It has so much in it that something was left out.
    Limited,
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]
mod tests;
