//! Character sets: the alphabets that the shapes of tokens are written in.
//!
//! Membership of every set is one bit in one table, so that a matcher looks at one kilobyte, whatever it asks. The
//! file knows nothing of the rest of the crate: the build script reads the same source.

/// One of the named alphabets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Set(u8);

/// Names, as shapes spell them, and members. At most 32.
const SETS: [(&str, &str); 26] = [
    ("digit", "0123456789"),
    ("hexl", "0123456789abcdef"),
    ("hexu", "0123456789ABCDEF"),
    ("lower", "abcdefghijklmnopqrstuvwxyz"),
    ("alpha", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
    ("b62", "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
    ("b36l", "0123456789abcdefghijklmnopqrstuvwxyz"),
    ("b36u", "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    ("b32l", "abcdefghijklmnopqrstuvwxyz234567"),
    ("b32u", "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"),
    ("word", "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"),
    ("b64u", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
    ("b64s", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"),
    ("b58", "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"),
    ("friendly", "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz123456789-_"),
    ("bech32u", "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"),
    ("aad", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ1234567890.-_~"),
    ("uslug", "0123456789abcdefghijklmnopqrstuvwxyz-_"),
    ("pad", "="),
    ("dotword", "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-."),
    ("dotb64u", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."),
    ("b64su", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_-"),
    ("b64any", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-"),
    ("host", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-"),
    ("userinfo", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_~%!+"),
    ("run", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_./+~=!$"),
];

/// For every byte the sets it belongs to, set `n` as bit `n`.
const MEMBER: [u32; 256] = {
    let mut table = [0; 256];
    let mut set = 0;
    while set < SETS.len() {
        let members = SETS[set].1.as_bytes();
        let mut at = 0;
        while at < members.len() {
            table[members[at] as usize] |= 1 << set;
            at += 1;
        }
        set += 1;
    }
    table
};

/// Letters and digits.
pub const ALNUM: Set = Set::at(5);
/// Base64 with the URL alphabet.
pub const BASE64_URL: Set = Set::at(11);
/// Base64 with the standard alphabet, without its padding.
pub const BASE64_STANDARD: Set = Set::at(12);
/// Base64 with the URL alphabet, and dots.
pub const DOTTED: Set = Set::at(20);
/// What an unbroken piece of text that may hold a token is made of.
pub const RUN: Set = Set::at(25);

impl Set {
    /// The set at an index that the build script wrote, or that [`Set::named`] gave.
    pub const fn at(index: u8) -> Self {
        assert!((index as usize) < SETS.len(), "no such character set");
        Self(index)
    }

    pub fn named(name: &str) -> Option<Self> {
        let index = SETS.iter().position(|(known, _)| *known == name)?;
        u8::try_from(index).ok().map(Self)
    }

    pub fn index(self) -> u8 {
        self.0
    }

    pub fn name(self) -> &'static str {
        SETS[usize::from(self.0)].0
    }

    pub const fn members(self) -> &'static [u8] {
        SETS[self.0 as usize].1.as_bytes()
    }

    #[inline]
    pub fn has(self, byte: u8) -> bool {
        MEMBER[usize::from(byte)] & (1 << self.0) != 0
    }

    /// Whether every member of `self` is in `other`.
    pub fn is_within(self, other: Self) -> bool {
        self.members().iter().all(|byte| other.has(*byte))
    }
}
