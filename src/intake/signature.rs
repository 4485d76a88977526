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
