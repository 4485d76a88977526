//! Sealing: a token's bytes at rest, bound to the row they belong to.

use zeroize::Zeroizing;

/// One sealing key: 32 bytes and the short id that everything sealed with it carries.
pub struct SealKey {
    pub id: String,
    pub bytes: Zeroizing<[u8; 32]>,
}

/// The current sealing key and the older ones that stored rows may still need.
pub struct SealRing {
    pub current: SealKey,
    pub older: Vec<SealKey>,
}
