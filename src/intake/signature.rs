//! Signatures: proof that a body came from its origin, byte for byte.
//!
//! ECDSA over P-256 and SHA-256 of the raw body, sent as base64 of the DER form (RFC 3279 section 2.2.3). Whatever is
//! not exactly that is refused, with two deliberate exceptions: a high `s` is accepted, since GitHub's own published
//! samples have one, and an origin may be given [`Base64Form::Lenient`]. A signature is therefore malleable and never
//! identifies a delivery; the digest of the body does.

use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use p256::pkcs8::{DecodePublicKey, EncodePublicKey};
use sha2::{Digest as _, Sha256};

/// SHA-256 of a raw body: what is signed, and what makes a repeated delivery the same delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyDigest([u8; 32]);

impl BodyDigest {
    pub fn of(body: &[u8]) -> Self {
        Self(Sha256::digest(body).into())
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A P-256 public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(p256::ecdsa::VerifyingKey);

/// The text is not a P-256 public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a P-256 public key in PEM form")]
pub struct InvalidKey;

impl PublicKey {
    /// Reads a PEM block (RFC 7468) whatever its line ends and widths: lists come with `\n`, `\r\n`, one long line, with
    /// and without a last newline.
    ///
    /// # Errors
    /// When it is not a `SubjectPublicKeyInfo` of a P-256 point.
    pub fn from_pem(text: &str) -> Result<Self, InvalidKey> {
        const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
        const END: &str = "-----END PUBLIC KEY-----";
        let inner = text.trim().strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END)).ok_or(InvalidKey)?;
        let compact: String = inner.chars().filter(|letter| !letter.is_ascii_whitespace()).collect();
        let der = STRICT.decode(compact).map_err(|_| InvalidKey)?;
        Self::from_spki(&der)
    }

    /// Reads the DER form of a `SubjectPublicKeyInfo`.
    ///
    /// # Errors
    /// When it is anything but a P-256 point.
    pub fn from_spki(der: &[u8]) -> Result<Self, InvalidKey> {
        p256::ecdsa::VerifyingKey::from_public_key_der(der).map(Self).map_err(|_| InvalidKey)
    }

    /// The DER form, as it is stored.
    pub fn to_spki(&self) -> Vec<u8> {
        self.0.to_public_key_der().map(|der| der.as_bytes().to_vec()).unwrap_or_default()
    }
}

/// How a request names the key that signed it: at most 200 characters of `[A-Za-z0-9._:+/=-]`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(String);

impl KeyId {
    /// # Errors
    /// When it could not name a key of anybody.
    pub fn parse(text: &str) -> Result<Self, BadSignature> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._:+/=-".contains(&byte);
        if text.is_empty() || text.len() > 200 || !text.bytes().all(plain) {
            return Err(BadSignature::KeyId);
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How strictly base64 is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base64Form {
    /// Either alphabet, with or without padding, white space ignored: for origins whose libraries wrap lines.
    Lenient,
    /// The standard alphabet, padded, nothing else.
    Strict,
}

/// A signature with both numbers in range; whether it fits is for [`verify`] to say.
#[derive(Clone, Debug)]
pub struct Signature(p256::ecdsa::Signature);

/// Why a signature does not hold. For metrics only: every reason gets the same answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    #[error("the signature is not base64")]
    Base64,
    #[error("the signature is not a pair of numbers in DER form")]
    Der,
    #[error("the key id is not one")]
    KeyId,
    #[error("the signature is not over this body with this key")]
    Mismatch,
}

impl BadSignature {
    /// The word used as a metric's label.
    pub fn word(self) -> &'static str {
        match self {
            Self::Base64 => "base64",
            Self::Der => "der",
            Self::KeyId => "key_id",
            Self::Mismatch => "mismatch",
        }
    }
}

impl Signature {
    /// Longest text that is looked at. A signature has at most 96 characters.
    const MAX_TEXT: usize = 1_024;

    /// # Errors
    /// When the text is not base64 of a DER pair `r`, `s`, each from 1 to the order of the curve less 1.
    pub fn parse(text: &str, form: Base64Form) -> Result<Self, BadSignature> {
        if text.len() > Self::MAX_TEXT {
            return Err(BadSignature::Base64);
        }
        let der = match form {
            Base64Form::Lenient => LENIENT.decode(standard_alphabet(text)),
            Base64Form::Strict => STRICT.decode(text),
        };
        let der = der.map_err(|_| BadSignature::Base64)?;
        p256::ecdsa::Signature::from_der(&der).map(Self).map_err(|_| BadSignature::Der)
    }
}

/// Whether `signature` was made with `key` over the body with this digest.
///
/// # Errors
/// When it was not.
pub fn verify(key: &PublicKey, body: &BodyDigest, signature: &Signature) -> Result<(), BadSignature> {
    key.0.verify_prehash(body.as_bytes(), &signature.0).map_err(|_| BadSignature::Mismatch)
}

const STRICT: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new());
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

fn standard_alphabet(text: &str) -> String {
    text.chars()
        .filter(|letter| !letter.is_ascii_whitespace())
        .map(|letter| match letter {
            '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use p256::ecdsa::SigningKey;
    use p256::ecdsa::signature::Signer;
    use p256::elliptic_curve::Generate;
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Published {
        key: Vec<PublishedKey>,
        vector: Vec<Vector>,
    }

    #[derive(Deserialize)]
    struct PublishedKey {
        name: String,
        id: String,
        pem: String,
    }

    #[derive(Deserialize)]
    struct Vector {
        name: String,
        key: String,
        body: String,
        sha256: Option<String>,
        signature: String,
        holds: bool,
    }

    fn published() -> Published {
        toml::from_str(include_str!("../../fixtures/github/vectors.toml")).expect("the fixture is TOML")
    }

    fn key(name: &str) -> PublicKey {
        let published = published();
        let found = published.key.iter().find(|key| key.name == name).expect("the fixture has the key");
        PublicKey::from_pem(&found.pem).expect("a published key")
    }

    fn vector(name: &str) -> Vector {
        published().vector.into_iter().find(|vector| vector.name == name).expect("the fixture has the vector")
    }

    fn check(key: &PublicKey, body: &[u8], signature: &str) -> Result<(), BadSignature> {
        verify(key, &BodyDigest::of(body), &Signature::parse(signature, Base64Form::Strict)?)
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
        let integer = |bytes: &[u8]| [&[2, u8::try_from(bytes.len()).expect("short")], bytes].concat();
        let pair = [integer(r), integer(s)].concat();
        [&[0x30, u8::try_from(pair.len()).expect("short")], pair.as_slice()].concat()
    }

    fn parse_der(der: &[u8]) -> Result<Signature, BadSignature> {
        Signature::parse(&STRICT.encode(der), Base64Form::Strict)
    }

    #[test]
    fn every_published_vector_is_judged_as_published() {
        for vector in published().vector {
            let judged = check(&key(&vector.key), vector.body.as_bytes(), &vector.signature);
            assert_eq!(judged.is_ok(), vector.holds, "{}: {judged:?}", vector.name);
            if let Some(sha256) = vector.sha256 {
                assert_eq!(hex(BodyDigest::of(vector.body.as_bytes()).as_bytes()), sha256, "{}", vector.name);
            }
        }
    }

    #[test]
    fn an_s_of_31_bytes_verifies() {
        let v1 = vector("V1");
        let der = STRICT.decode(&v1.signature).expect("base64");
        assert_eq!(der.len(), 2 + 2 + 33 + 2 + 31);
        assert_eq!(check(&key("K3"), v1.body.as_bytes(), &v1.signature), Ok(()));
    }

    #[test]
    fn githubs_key_ids_are_the_hash_of_the_pem_text() {
        for found in published().key {
            let is_hash = hex(&Sha256::digest(found.pem.as_bytes())) == found.id;
            assert_eq!(is_hash, ["K1", "K2", "K3"].contains(&found.name.as_str()), "{}", found.name);
        }
    }

    #[test]
    fn a_newline_or_a_byte_order_mark_breaks_the_signature() {
        let (v1, key) = (vector("V1"), key("K3"));
        for body in [format!("{}\n", v1.body), format!("{}\r\n", v1.body), format!("\u{feff}{}", v1.body)] {
            assert_eq!(check(&key, body.as_bytes(), &v1.signature), Err(BadSignature::Mismatch));
        }
    }

    #[test]
    fn every_flipped_bit_of_the_body_breaks_the_signature() {
        let (v2, key) = (vector("V2"), key("K2"));
        for index in 0..v2.body.len() {
            let mut body = v2.body.clone().into_bytes();
            body[index] ^= 1;
            assert_eq!(check(&key, &body, &v2.signature), Err(BadSignature::Mismatch), "byte {index}");
        }
    }

    #[test]
    fn every_flipped_bit_of_the_signature_breaks_it() {
        let (v2, key) = (vector("V2"), key("K2"));
        let der = STRICT.decode(&v2.signature).expect("base64");
        for index in 0..der.len() * 8 {
            let mut der = der.clone();
            der[index / 8] ^= 1 << (index % 8);
            assert!(check(&key, v2.body.as_bytes(), &STRICT.encode(der)).is_err(), "bit {index}");
        }
    }

    #[test]
    fn what_is_not_strict_base64_is_refused() {
        let v1 = vector("V1").signature;
        let wrapped = format!("{}\n{}\n", &v1[..60], &v1[60..]);
        let url_safe = v1.replace('+', "-").replace('/', "_");
        assert_ne!(v1, url_safe);
        let bad = ["bad signature", "", "=", v1.trim_end_matches('='), &wrapped, &url_safe, &format!(" {v1}"), "MEQ\0"];
        for text in bad {
            let refused = Signature::parse(text, Base64Form::Strict).err();
            assert!(matches!(refused, Some(BadSignature::Base64 | BadSignature::Der)), "{text:?}: {refused:?}");
        }
    }

    #[test]
    fn a_lenient_origin_may_wrap_lines_and_drop_padding() {
        let (v1, key) = (vector("V1"), key("K3"));
        let wrapped = format!("{}\n{}\n", &v1.signature[..60], &v1.signature[60..]);
        let url_safe = v1.signature.replace('+', "-").replace('/', "_");
        for text in [wrapped.as_str(), v1.signature.trim_end_matches('='), &url_safe] {
            let signature = Signature::parse(text, Base64Form::Lenient).expect("lenient");
            assert_eq!(verify(&key, &BodyDigest::of(v1.body.as_bytes()), &signature), Ok(()));
        }
    }

    #[test]
    fn base64_of_something_else_is_refused() {
        assert_eq!(Signature::parse("YmFkIHNpZ25hdHVyZQ==", Base64Form::Strict).err(), Some(BadSignature::Der));
    }

    #[test]
    fn der_with_anything_too_much_or_too_little_is_refused() {
        let good = STRICT.decode(vector("V2").signature).expect("base64");
        assert!(parse_der(&good).is_ok());
        let trailing = [good.as_slice(), &[0]].concat();
        let inside = {
            let mut bytes = [good.as_slice(), &[5, 0]].concat();
            bytes[1] += 2;
            bytes
        };
        let long_length = [&[0x30, 0x81], &good[1..]].concat();
        let cut = &good[..good.len() - 1];
        for bad in [trailing.as_slice(), &inside, &long_length, cut, &[], &[0x30, 0], &good[2..]] {
            assert_eq!(parse_der(bad).err(), Some(BadSignature::Der), "{bad:02x?}");
        }
    }

    #[test]
    fn r_and_s_must_be_from_one_to_the_order_less_one() {
        // The order of P-256, FIPS 186-4 section D.1.2.3.
        let order = [
            &[0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0][..],
            &[0xff; 8],
            &[0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84],
            &[0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51],
        ]
        .concat();
        let mut largest = order.clone();
        *largest.last_mut().expect("33 bytes") -= 1;
        assert!(parse_der(&der(&[1], &[1])).is_ok());
        assert!(parse_der(&der(&largest, &largest)).is_ok());
        for (r, s) in
            [(&[0][..], &[1][..]), (&[1], &[0]), (&order, &[1]), (&[1], &order), (&[0xff], &[1]), (&[1], &[0xff])]
        {
            assert_eq!(parse_der(&der(r, s)).err(), Some(BadSignature::Der), "{r:02x?} {s:02x?}");
        }
    }

    #[test]
    fn a_signature_with_one_key_does_not_verify_with_another() {
        let (mine, other) = (SigningKey::generate(), SigningKey::generate());
        let signature: p256::ecdsa::Signature = mine.sign(b"[]");
        let text = STRICT.encode(signature.to_der().as_bytes());
        assert_eq!(check(&PublicKey(*mine.verifying_key()), b"[]", &text), Ok(()));
        assert_eq!(check(&PublicKey(*other.verifying_key()), b"[]", &text), Err(BadSignature::Mismatch));
    }

    #[test]
    fn a_key_loads_whatever_its_line_ends() {
        let pem = published().key[0].pem.clone();
        let expected = PublicKey::from_pem(&pem).expect("published");
        let single = {
            let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
            format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----")
        };
        let glued = single.replace('\n', "");
        for text in [pem.trim_end(), &pem.replace('\n', "\r\n"), &single, &glued, &format!("\n {pem}")] {
            assert_eq!(PublicKey::from_pem(text).as_ref(), Ok(&expected), "{text:?}");
        }
        assert_eq!(PublicKey::from_spki(&expected.to_spki()), Ok(expected));
    }

    #[test]
    fn a_key_that_is_no_p_256_key_is_refused() {
        let pem = published().key[0].pem.clone();
        let spki = PublicKey::from_pem(&pem).expect("published").to_spki();
        // The object identifiers of secp256k1 and P-384 in place of that of P-256, RFC 5480 section 2.1.1.1.
        let p256 = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
        let at = spki.windows(p256.len()).position(|window| window == p256).expect("named curve");
        let other_curve = |oid: &[u8]| {
            let mut der = spki.clone();
            der.splice(at..at + p256.len(), oid.iter().copied());
            let cut = p256.len() - oid.len();
            der[1] -= u8::try_from(cut).expect("short");
            der[3] -= u8::try_from(cut).expect("short");
            der
        };
        assert!(PublicKey::from_spki(&other_curve(&p256)).is_ok(), "the splice itself is sound");
        assert_eq!(PublicKey::from_spki(&other_curve(&[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a])), Err(InvalidKey));
        assert_eq!(PublicKey::from_spki(&other_curve(&[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22])), Err(InvalidKey));
        let mut off_curve = spki.clone();
        *off_curve.last_mut().expect("a point") ^= 1;
        assert_eq!(PublicKey::from_spki(&off_curve), Err(InvalidKey));
        for text in ["", "key", "-----BEGIN PUBLIC KEY----------END PUBLIC KEY-----", &pem.replace("PUBLIC", "PRIVATE")]
        {
            assert_eq!(PublicKey::from_pem(text), Err(InvalidKey), "{text:?}");
        }
    }

    #[test]
    fn a_key_id_is_short_and_plain() {
        assert!(KeyId::parse("90a421169f0a_:+/=.-").is_ok());
        assert!(KeyId::parse(&"a".repeat(200)).is_ok());
        for text in ["", "a b", "ä", "a\nb", "a\"b", &"a".repeat(201)] {
            assert_eq!(KeyId::parse(text), Err(BadSignature::KeyId), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_signature_parser_panic(text in any::<String>()) {
            let _ = Signature::parse(&text, Base64Form::Strict);
            let _ = Signature::parse(&text, Base64Form::Lenient);
        }

        #[test]
        fn no_bytes_make_the_der_parser_panic_or_pass_as_two_forms(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            if parse_der(&bytes).is_ok() {
                prop_assert_eq!(bytes[0], 0x30);
                prop_assert_eq!(usize::from(bytes[1]), bytes.len() - 2);
            }
        }

        #[test]
        fn nearly_der_does_not_panic(r in proptest::collection::vec(any::<u8>(), 0..40), s in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = parse_der(&der(&r, &s));
        }

        #[test]
        fn no_text_makes_the_key_parser_panic(text in any::<String>()) {
            let _ = PublicKey::from_pem(&text);
            let _ = PublicKey::from_pem(&format!("-----BEGIN PUBLIC KEY-----{text}-----END PUBLIC KEY-----"));
        }
    }
}
