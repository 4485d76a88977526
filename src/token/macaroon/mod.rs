//! Macaroons: as they leak, read leniently and named by what their issuer looks at; as they are shown, in one spelling.
//!
//! One macaroon has many texts: two base64 alphabets, padding or none, stray bits in the last character, longer
//! spellings of a length, any location, bytes after the signature; and the older packet format carries the same
//! signature. All of them open the same door, so all of them must be one incident. [`Macaroon::canonical`] is taken
//! over identifier, caveats and signature alone, and this reader accepts every spelling that a known issuer accepts.
//! Nothing in [`find`] decides whether a token is valid: that takes the issuer's key ([`Chain`]) and a strict reader
//! ([`read_strictly`]).
//!
//! Format: libmacaroons, `doc/format.txt`, binary version 2, and the text packets of version 1. Work and memory are
//! bounded by [`MAX_CAVEATS`] and [`MAX_FIELD`]; no input panics.

mod chain;
mod text;

use zeroize::Zeroizing;

pub use chain::{Chain, point};
pub use text::{MAX_STRICT_CAVEAT, MAX_STRICT_CAVEATS, MAX_STRICT_TEXT, read as read_strictly};

use super::catalogue::{Check, Kind, Proof};
use super::checksum::{Algorithm, Identifier};
use super::encoding::{self, Alphabet, to_base64};
use super::shape::BadShape;

/// More caveats than this are not a token that anybody issued.
pub const MAX_CAVEATS: usize = 1000;

/// Longest field, in bytes.
pub const MAX_FIELD: usize = 64 * 1024;

/// The parts of a macaroon. Every one but the location is needed to use it, so the whole is secret.
pub struct Macaroon {
    /// Where it says it is for. Not signed: a hint, never a fact.
    pub location: Option<Zeroizing<Vec<u8>>>,
    pub identifier: Zeroizing<Vec<u8>>,
    pub caveats: Vec<Caveat>,
    pub signature: Zeroizing<[u8; 32]>,
}

/// One restriction, as its bytes.
pub struct Caveat {
    pub id: Zeroizing<Vec<u8>>,
    /// Only in a third-party caveat: the key it is discharged with, encrypted.
    pub verification: Option<Zeroizing<Vec<u8>>>,
}

/// A macaroon and how much of the text it took.
pub struct Found {
    pub macaroon: Macaroon,
    /// Bytes of the text in front of the base64: a prefix such as `pypi-`.
    pub prefix_len: usize,
    /// Bytes of the text, prefix included, up to the end of the signature; padding and junk come after it.
    pub len: usize,
}

/// Finds the macaroon in a token's text: base64, possibly behind a prefix that ends in `-` or `:`.
pub fn find(text: &[u8]) -> Option<Found> {
    let after_prefix = text.iter().position(|byte| matches!(byte, b'-' | b':')).map(|at| at + 1);
    [Some(0), after_prefix].into_iter().flatten().find_map(|start| {
        let body = &text[start..];
        let mut run = encoding::base64_run(body).min(2 * MAX_FIELD);
        if run % 4 == 1 {
            run -= 1;
        }
        let bytes = encoding::base64(&body[..run])?;
        let (macaroon, used) = parse(&bytes)?;
        Some(Found { macaroon, prefix_len: start, len: start + (used * 4).div_ceil(3) })
    })
}

/// Reads a macaroon and says how many of the bytes it took.
pub fn parse(bytes: &[u8]) -> Option<(Macaroon, usize)> {
    match bytes.first()? {
        2 => parse_v2(bytes),
        b'0'..=b'9' | b'a'..=b'f' => parse_v1(bytes),
        _ => None,
    }
}

impl Macaroon {
    /// The bytes that are the same for every text of this macaroon, and different for any other.
    pub fn canonical(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::new());
        // Each field carries its length, so that no two lists of fields run together into the same bytes.
        let mut push = |tag: u8, field: &[u8]| {
            out.push(tag);
            out.extend_from_slice(&u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes());
            out.extend_from_slice(field);
        };
        push(b'i', &self.identifier);
        for caveat in &self.caveats {
            push(b'c', &caveat.id);
            if let Some(verification) = &caveat.verification {
                push(b'v', verification);
            }
        }
        push(b's', self.signature.as_slice());
        out
    }
}

/// The kind of the built-in issuer's macaroons, whatever prefix and location.
pub const KIND: &str = "stanch-macaroon";

/// The kind of an installation's macaroons: behind its prefix, for its location, named by a UUID.
///
/// # Errors
/// [`BadShape`] if they could not be told apart in running text.
pub fn kind(prefix: &str, location: &str) -> Result<Kind, BadShape> {
    let named = (2..=32).contains(&prefix.len())
        && prefix.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if !named || !is_location(location) {
        let why =
            "a macaroon's prefix is 2 to 32 small letters and digits, its location 1 to 100 visible ASCII characters";
        return Err(BadShape(why.into()));
    }
    let location_len = u8::try_from(location.len()).map_err(|_| BadShape("the location is too long".into()))?;
    let header = [&[2, 1, location_len][..], location.as_bytes(), &[2, 36]].concat();
    // Of the header's characters those that nothing after it has a part in.
    let mut fixed = to_base64(&header, Alphabet::Url);
    fixed.truncate(header.len() * 8 / 6);
    let fixed = String::from_utf8_lossy(&fixed);
    // Identifier, two ends of sections, signature: the least that follows.
    let shortest = ((header.len() + 36 + 2 + 34) * 4).div_ceil(3) - fixed.len();
    let shape = format!("{prefix}-{fixed}{{b64u:{shortest}-6000}}");
    let check = Check { algorithm: Algorithm::MacaroonV2 { identifier: Identifier::Uuid }, proof: Proof::Proved };
    Kind::own(KIND, "built-in", "API token (macaroon)", &shape, Some(check))
}

/// Whether a location can be written into our macaroons.
pub fn is_location(location: &str) -> bool {
    (1..=100).contains(&location.len()) && location.bytes().all(|byte| byte.is_ascii_graphic())
}

const END: u64 = 0;
const LOCATION: u64 = 1;
const IDENTIFIER: u64 = 2;
const VERIFICATION: u64 = 4;
const SIGNATURE: u64 = 6;

/// What is left of the input.
struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Reader<'b> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn take(&mut self, len: usize) -> Option<&'b [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(len)?)?;
        self.at += len;
        Some(taken)
    }

    /// Unsigned LEB128, in any of its spellings.
    fn varint(&mut self) -> Option<u64> {
        let mut value: u64 = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if part << shift >> shift != part {
                return None;
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// A field's contents, its type having been read.
    fn field(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        let len = usize::try_from(self.varint()?).ok().filter(|len| *len <= MAX_FIELD)?;
        self.take(len).map(|field| Zeroizing::new(field.to_vec()))
    }
}

fn parse_v2(bytes: &[u8]) -> Option<(Macaroon, usize)> {
    let mut reader = Reader { bytes, at: 1 };
    let mut next = reader.varint()?;
    let mut location = None;
    if next == LOCATION {
        location = Some(reader.field()?);
        next = reader.varint()?;
    }
    if next != IDENTIFIER {
        return None;
    }
    let identifier = reader.field()?;
    if reader.varint()? != END {
        return None;
    }
    let mut caveats = Vec::new();
    loop {
        let mut next = reader.varint()?;
        if next == END {
            break;
        }
        if caveats.len() == MAX_CAVEATS {
            return None;
        }
        let elsewhere = next == LOCATION;
        if elsewhere {
            reader.field()?;
            next = reader.varint()?;
        }
        if next != IDENTIFIER {
            return None;
        }
        let id = reader.field()?;
        let mut verification = None;
        next = reader.varint()?;
        if next == VERIFICATION {
            verification = Some(reader.field()?);
            next = reader.varint()?;
        }
        // A location without the key of its third party says nothing that anybody could check.
        if next != END || elsewhere && verification.is_none() {
            return None;
        }
        caveats.push(Caveat { id, verification });
    }
    if reader.varint()? != SIGNATURE || reader.varint()? != 32 {
        return None;
    }
    let signature = Zeroizing::new(reader.take(32)?.try_into().ok()?);
    Some((Macaroon { location, identifier, caveats, signature }, reader.at))
}

/// Packets of the older format: four hexadecimal digits of length (themselves included), a key, a space, the value, a
/// newline.
fn parse_v1(bytes: &[u8]) -> Option<(Macaroon, usize)> {
    let mut reader = Reader { bytes, at: 0 };
    let mut location = None;
    let mut identifier = None;
    let mut caveats: Vec<Caveat> = Vec::new();
    loop {
        let len = std::str::from_utf8(reader.take(4)?).ok()?;
        let len = usize::from_str_radix(len, 16).ok()?;
        let packet = reader.take(len.checked_sub(4)?)?.strip_suffix(b"\n")?;
        let space = packet.iter().position(|byte| *byte == b' ')?;
        let value = Zeroizing::new(packet[space + 1..].to_vec());
        match &packet[..space] {
            b"location" if location.is_none() && identifier.is_none() => location = Some(value),
            b"identifier" if identifier.is_none() => identifier = Some(value),
            b"cid" if identifier.is_some() && caveats.len() < MAX_CAVEATS => {
                caveats.push(Caveat { id: value, verification: None });
            }
            b"vid" => caveats.last_mut()?.verification = Some(value),
            b"cl" if !caveats.is_empty() => {}
            b"signature" => {
                let signature = Zeroizing::new(value.as_slice().try_into().ok()?);
                return Some((Macaroon { location, identifier: identifier?, caveats, signature }, reader.at));
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// How the same macaroon may be written differently.
    #[derive(Clone, Debug, Default)]
    struct Spelling {
        location: Option<Vec<u8>>,
        long_varints: bool,
        trailing: Vec<u8>,
    }

    fn varint(out: &mut Vec<u8>, value: usize, spelling: &Spelling) {
        let (low, high) =
            (u8::try_from(value & 0x7f).expect("it has seven bits"), u8::try_from(value >> 7).expect("it is short"));
        if high > 0 || spelling.long_varints {
            out.extend([low | 0x80, high]);
        } else {
            out.push(low);
        }
    }

    fn field(out: &mut Vec<u8>, tag: u8, value: &[u8], spelling: &Spelling) {
        varint(out, usize::from(tag), spelling);
        varint(out, value.len(), spelling);
        out.extend(value);
    }

    fn write(identifier: &[u8], caveats: &[Vec<u8>], signature: &[u8; 32], spelling: &Spelling) -> Vec<u8> {
        let mut out = vec![2];
        if let Some(location) = &spelling.location {
            field(&mut out, 1, location, spelling);
        }
        field(&mut out, 2, identifier, spelling);
        out.push(0);
        for caveat in caveats {
            field(&mut out, 2, caveat, spelling);
            out.push(0);
        }
        out.push(0);
        field(&mut out, 6, signature, spelling);
        out.extend(&spelling.trailing);
        out
    }

    // Made with pymacaroons for the location example.com, identifier 123foo and a public test key.
    const VECTORS: [(&str, &[&str]); 3] = [
        ("AgELZXhhbXBsZS5jb20CBjEyM2ZvbwAABiCK4TytWvy17_Up7TvhdVDhFx8cjU_ne_6wtOqxPUZmxw", &[]),
        (
            "AgELZXhhbXBsZS5jb20CBjEyM2ZvbwACDVsxLFsiYSIsImIiXV0AAAYgJoPaAdviPzxvR3IwHCj9eMCTgg_CMcFj3VB_YbWjGEo",
            &[r#"[1,["a","b"]]"#],
        ),
        ("AgEAAgYxMjNmb28AAAYgiuE8rVr8te_1Ke074XVQ4RcfHI1P53v-sLTqsT1GZsc", &[]),
    ];

    #[test]
    fn the_vectors_of_another_implementation_are_read() {
        for (body, caveats) in VECTORS {
            let found = find(format!("pre-{body}").as_bytes()).expect("the vector is a macaroon");
            assert_eq!(found.prefix_len, 4);
            assert_eq!(found.len, 4 + body.len());
            assert_eq!(found.macaroon.identifier.as_slice(), b"123foo");
            let ids: Vec<_> = found.macaroon.caveats.iter().map(|caveat| caveat.id.to_vec()).collect();
            assert_eq!(ids, caveats.iter().map(|text| text.as_bytes().to_vec()).collect::<Vec<_>>());
        }
        let canonical = |at: usize| find(VECTORS[at].0.as_bytes()).expect("it reads back").macaroon.canonical();
        assert_eq!(canonical(0), canonical(2), "the location is no part of the identity");
        assert_ne!(canonical(0), canonical(1));
    }

    #[test]
    fn a_last_character_with_stray_bits_is_the_same_macaroon() {
        let text = VECTORS[1].0;
        let changed = format!("{}p", text.strip_suffix('o').expect("the vector ends so"));
        let canonical = |text: &str| find(text.as_bytes()).expect("it reads back").macaroon.canonical();
        assert_eq!(canonical(text), canonical(&changed));
    }

    #[test]
    fn what_is_no_macaroon_is_refused() {
        let good = write(b"id", &[b"c".to_vec()], &[7; 32], &Spelling::default());
        assert!(parse(&good).is_some());
        for cut in 0..good.len() {
            assert!(parse(&good[..cut]).is_none(), "cut at {cut}");
        }
        let mut version = good.clone();
        version[0] = 3;
        assert!(parse(&version).is_none());
        let short = [&good[..good.len() - 33], &[31], &[7; 31][..]].concat();
        assert!(parse(&short).is_none(), "a signature of 31 bytes");
        assert!(parse(&[2, 2, 1, b'i', 0, 1, 1, b'l', 2, 1, b'c', 0, 0]).is_none());
    }

    #[test]
    fn more_caveats_than_the_cap_are_refused() {
        let caveats = |count| vec![b"c".to_vec(); count];
        assert!(parse(&write(b"id", &caveats(MAX_CAVEATS), &[0; 32], &Spelling::default())).is_some());
        assert!(parse(&write(b"id", &caveats(MAX_CAVEATS + 1), &[0; 32], &Spelling::default())).is_none());
    }

    #[test]
    fn the_older_packets_carry_the_same_identity() {
        let packet = |key: &str, value: &[u8]| {
            let mut out = format!("{:04x}{key} ", value.len() + key.len() + 6).into_bytes();
            out.extend(value);
            out.push(b'\n');
            out
        };
        let v1 = [
            packet("location", b"example.com"),
            packet("identifier", b"123foo"),
            packet("cid", b"x = 1"),
            packet("signature", &[9; 32]),
        ]
        .concat();
        let v2 = write(b"123foo", &[b"x = 1".to_vec()], &[9; 32], &Spelling::default());
        let (old, used) = parse(&v1).expect("packets are read");
        assert_eq!(used, v1.len());
        assert_eq!(old.canonical(), parse(&v2).expect("it reads back").0.canonical());
        for cut in 0..v1.len() {
            assert!(parse(&v1[..cut]).is_none());
        }
    }

    fn spelling() -> impl Strategy<Value = Spelling> {
        (
            proptest::option::of(proptest::collection::vec(any::<u8>(), 0..20)),
            any::<bool>(),
            any::<[u8; 3]>(),
            0..4_usize,
        )
            .prop_map(|(location, long_varints, junk, len)| Spelling {
                location,
                long_varints,
                trailing: junk[..len.min(3)].to_vec(),
            })
    }

    proptest! {
        #[test]
        fn every_spelling_has_one_identity(
            identifier in proptest::collection::vec(any::<u8>(), 0..300),
            caveats in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..5),
            signature in any::<[u8; 32]>(),
            spelling in spelling(),
            url in any::<bool>(),
            padding in 0..3_usize,
        ) {
            let plain = write(&identifier, &caveats, &signature, &Spelling::default());
            let other = write(&identifier, &caveats, &signature, &spelling);
            let alphabet = if url { Alphabet::Url } else { Alphabet::Standard };
            let mut text = b"acme-".to_vec();
            text.extend(to_base64(&other, alphabet));
            text.extend(std::iter::repeat_n(b'=', padding));
            let found = find(&text).expect("it is a macaroon");
            prop_assert_eq!(found.macaroon.canonical(), parse(&plain).expect("it reads back").0.canonical());
            prop_assert!(found.len <= text.len() - padding);
        }

        #[test]
        fn another_macaroon_has_another_identity(
            identifier in proptest::collection::vec(any::<u8>(), 0..9),
            caveats in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..4), 0..4),
            signature in any::<[u8; 32]>(),
            other_identifier in proptest::collection::vec(any::<u8>(), 0..9),
            other_caveats in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..4), 0..4),
        ) {
            let canonical = |identifier: &[u8], caveats: &[Vec<u8>]| {
                parse(&write(identifier, caveats, &signature, &Spelling::default())).expect("it reads back").0.canonical()
            };
            let same = identifier == other_identifier && caveats == other_caveats;
            prop_assert_eq!(canonical(&identifier, &caveats) == canonical(&other_identifier, &other_caveats), same);
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse(&bytes);
            let _ = find(&bytes);
            let _ = parse(&[&[2_u8][..], &bytes].concat());
        }
    }
}
