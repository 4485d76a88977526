//! The bytes of a token, from the first parse to the last use.
//!
//! The type has no `Debug`, `Display`, `Clone` or `Serialize`, so a secret cannot reach a log, a page or a second owner
//! by accident; its memory is wiped when it is dropped. [`Secret::expose`] is called in four places only (fingerprint,
//! seal, issuer call, checksum), and a test counts them.

use std::borrow::Cow;

use zeroize::Zeroizing;

/// What stands where a token was taken out of a text.
pub const WITHHELD: &str = "[token withheld]";

/// Shorter texts are no tokens; taking them out would only spoil what is around them.
const SHORTEST: usize = 8;

/// A token's bytes. Compare by [`Fingerprint`](super::Fingerprint), never by the bytes.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes themselves, for the four uses named in the module's documentation.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether the text holds the token as it is.
    pub fn is_in(&self, text: &str) -> bool {
        self.text().is_some_and(|token| text.contains(token))
    }

    /// The text with [`WITHHELD`] wherever it holds the token as it is.
    pub fn withheld_from<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.text() {
            Some(token) if text.contains(token) => Cow::Owned(text.replace(token, WITHHELD)),
            _ => Cow::Borrowed(text),
        }
    }

    fn text(&self) -> Option<&str> {
        str::from_utf8(&self.0).ok().filter(|text| text.len() >= SHORTEST)
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
