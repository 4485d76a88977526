//! Kinds: the recognizable formats of tokens, by name.

use std::fmt;
use std::sync::Arc;

/// Stable name of a token kind, kebab-case: `pypi-api-token`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KindId(Arc<str>);

impl KindId {
    pub fn new(name: &str) -> Self {
        Self(Arc::from(name))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KindId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KindId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How sure the text alone makes us, from weakest to strongest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidence {
    /// The shape fits; the kind has no checksum, or its checksum rule is not proved and did not fit.
    Shape,
    /// A checksum or a decodable structure fits.
    Checksum,
    /// The issuer itself said that it would take the token now.
    Verified,
}
