//! The bytes of a token, from the first parse to the last use.
//!
//! The type has no `Debug`, `Display`, `Clone` or `Serialize`, so a secret cannot reach a log, a page or a second owner
//! by accident; its memory is wiped when it is dropped. [`Secret::expose`] is called in four places only (fingerprint,
//! seal, issuer call, checksum), and a test counts them.

use zeroize::Zeroizing;

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

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
