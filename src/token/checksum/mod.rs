//! Checksums: the offline rules by which a token proves itself.
//!
//! Seventeen rules, by name. A rule answers only whether it fits; what a failure means is the catalogue's business: it
//! drops the match where the rule is proved, and lowers the confidence elsewhere. The same functions write the
//! checksum of a made-up token, so that what is generated and what is recognized cannot drift apart.

mod crc;
mod marvin;
mod text;

use std::ops::Range;

use super::shape::{Part, Role};
use super::{jwt, macaroon};

/// A rule, with what it needs to know besides the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// Azure DevOps, older form: four of the 32 bytes behind the base32 are the CRC-32 of the others, disguised.
    AdoCrc32,
    /// AWS: the access key id carries the number of its account.
    AwsAccount,
    /// Bech32 over the lower-cased text (BIP 173).
    Bech32,
    /// Microsoft's common annotated key: Marvin32 of the first 60 bytes, four base62 digits.
    CaskMarvin32,
    /// The optional last line of an `OpenPGP` armor.
    Crc24,
    Crc32Base36Before,
    Crc32Base62PrefixRandom,
    Crc32Base62Random,
    Crc32Base64LeRandom,
    Crc32HexLePrefixRandom,
    Crc32HexPrefixRandom,
    Crc32HexRandom,
    /// Header and payload are JSON, and the payload has these claims; a `*` at the end stands for any rest.
    Jwt {
        claims: &'static [(&'static str, &'static str)],
    },
    /// A macaroon of version 2 decodes, to a signature of 32 bytes.
    MacaroonV2 {
        identifier: Identifier,
    },
    /// Microsoft Entra: Marvin32 in base 66, three digits.
    Marvin32Aad,
    /// Azure keys: the last four bytes are the Marvin32 of those before, under the seed of the key's service.
    Marvin32Tail {
        seeds: &'static [u64],
    },
    /// crates.io: the exclusive or of the bytes, modulo 62.
    XorAlnum,
}

/// What an issuer names its macaroons by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identifier {
    Any,
    /// 36 characters; anything else its database cannot even be asked for.
    Uuid,
}

impl Identifier {
    pub fn allows(self, identifier: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Uuid => {
                identifier.len() == 36
                    && identifier.iter().enumerate().all(|(at, byte)| match at {
                        8 | 13 | 18 | 23 => *byte == b'-',
                        _ => byte.is_ascii_hexdigit(),
                    })
            }
        }
    }
}

/// Where in the token the parts are that a rule speaks of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spans {
    /// From the first to the last random character before the checksum.
    pub random: Range<usize>,
    pub checksum: Range<usize>,
}

impl Spans {
    /// Reads the spans off a shape, given where in the token each of its parts ends.
    pub fn of(parts: &[Part], ends: &[usize]) -> Self {
        let mut spans = Self::default();
        let mut start = 0;
        for (part, end) in parts.iter().zip(ends) {
            if let Part::Run { role, .. } = part {
                match role {
                    Role::Checksum => {
                        spans.checksum = start..*end;
                        break;
                    }
                    Role::Field | Role::Random if spans.random.end == 0 => spans.random = start..*end,
                    Role::Field | Role::Random => spans.random.end = *end,
                }
            }
            start = *end;
        }
        spans
    }
}

impl Algorithm {
    /// Whether the token keeps the rule. The spans are those of its shape; rules that look at the whole ignore them.
    pub fn fits(self, token: &[u8], spans: &Spans) -> bool {
        match self {
            Self::AdoCrc32 => crc::ado_fits(token),
            Self::AwsAccount => text::aws_account(token).is_some(),
            Self::Bech32 => text::bech32_fits(token),
            Self::Crc24 => crc::armor_fits(token),
            Self::Jwt { claims } => jwt::parse(token).is_some_and(|jwt| jwt.has(claims)),
            Self::MacaroonV2 { identifier } => {
                macaroon::find(token).is_some_and(|found| identifier.allows(&found.macaroon.identifier))
            }
            Self::Marvin32Tail { seeds } => marvin::tail_fits(token, seeds),
            _ => {
                let Some(sent) = token.get(spans.checksum.clone()) else { return false };
                let mut expected = [0; 8];
                self.digits(token, spans, &mut expected).is_some_and(|len| &expected[..len] == sent)
            }
        }
    }

    /// Whether the rule says anything of this token: ids that AWS made before it wrote the account into them are as good
    /// as those that it makes now.
    pub fn covers(self, token: &[u8]) -> bool {
        !(self == Self::AwsAccount && matches!(token.get(4), Some(b'I' | b'J')))
    }

    /// Writes the right checksum into a token of a kind with this rule. False if the rule does not work that way.
    pub fn complete(self, token: &mut [u8], spans: &Spans) -> bool {
        match self {
            Self::AdoCrc32 => crc::ado_complete(token),
            Self::Bech32 => text::bech32_complete(token),
            Self::Marvin32Tail { seeds } => marvin::tail_complete(token, seeds),
            _ => {
                let mut digits = [0; 8];
                let Some(len) = self.digits(token, spans, &mut digits) else { return false };
                match token.get_mut(spans.checksum.clone()) {
                    Some(place) if place.len() == len => {
                        place.copy_from_slice(&digits[..len]);
                        true
                    }
                    _ => false,
                }
            }
        }
    }

    /// The checksum's characters, and how many they are.
    fn digits(self, token: &[u8], spans: &Spans, out: &mut [u8; 8]) -> Option<usize> {
        let random = token.get(spans.random.clone())?;
        let with_prefix = token.get(..spans.random.end)?;
        let before = token.get(..spans.checksum.start)?;
        match self {
            Self::CaskMarvin32 => marvin::cask(token, out),
            Self::Crc32Base36Before => Some(text::digits(crc32fast::hash(before), text::BASE36, &mut out[..7])),
            Self::Crc32Base62PrefixRandom => {
                Some(text::digits(crc32fast::hash(with_prefix), text::BASE62, &mut out[..6]))
            }
            Self::Crc32Base62Random => Some(text::digits(crc32fast::hash(random), text::BASE62, &mut out[..6])),
            Self::Crc32Base64LeRandom => Some(crc::base64_le(random, out)),
            Self::Crc32HexLePrefixRandom => {
                Some(text::digits(crc32fast::hash(with_prefix).swap_bytes(), text::BASE16, &mut out[..8]))
            }
            Self::Crc32HexPrefixRandom => Some(text::digits(crc32fast::hash(with_prefix), text::BASE16, &mut out[..8])),
            Self::Crc32HexRandom => Some(text::digits(crc32fast::hash(random), text::BASE16, &mut out[..8])),
            Self::Marvin32Aad => Some(marvin::aad(before, out)),
            Self::XorAlnum => Some(text::xor_alnum(random, out)),
            Self::AdoCrc32
            | Self::AwsAccount
            | Self::Bech32
            | Self::Crc24
            | Self::Jwt { .. }
            | Self::MacaroonV2 { .. }
            | Self::Marvin32Tail { .. } => None,
        }
    }
}

pub use text::aws_account;
pub(crate) use text::base62_crc32;
