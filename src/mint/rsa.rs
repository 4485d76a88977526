//! An RSA key of another proxy: proves what it signed, and opens what was sealed to it.
//!
//! RS256 (RFC 7518 section 3.3) is checked by `ring`. Opening is RSAES-OAEP with SHA-256, MGF1 and no label (RFC 8017
//! section 7.1.2), over an exponentiation whose time does not depend on the key. Nothing is opened that the same key
//! did not sign before, so nobody can feed it texts to learn from its answers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::token::Secret;

/// A key of 2048 to 8192 bits.
pub struct RsaKey {
    modulus: Vec<u8>,
    exponent: Vec<u8>,
    private: Option<Zeroizing<Vec<u8>>>,
}

/// The text is no RSA key in PEM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an RSA key of 2048 to 8192 bits in PEM (`PRIVATE KEY`, `RSA PRIVATE KEY` or `PUBLIC KEY`)")]
pub struct BadKey;

/// The object identifier rsaEncryption, 1.2.840.113549.1.1.1 (RFC 8017 appendix A.1).
const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const HASH_LEN: usize = 32;

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT: u8 = 0x06;
const SEQUENCE: u8 = 0x30;

impl RsaKey {
    /// Reads a private key (PKCS #8 or PKCS #1) or a public one (RFC 7468).
    ///
    /// # Errors
    /// [`BadKey`] for anything else.
    pub fn from_pem(pem: &Secret) -> Result<Self, BadKey> {
        let text = str::from_utf8(pem.expose()).map_err(|_| BadKey)?;
        let (_, rest) = text.split_once("-----BEGIN ").ok_or(BadKey)?;
        let (label, rest) = rest.split_once("-----").ok_or(BadKey)?;
        let (body, _) = rest.split_once("-----END ").ok_or(BadKey)?;
        let body: Zeroizing<String> = Zeroizing::new(body.split_ascii_whitespace().collect());
        let der = Zeroizing::new(STANDARD.decode(body.as_bytes()).map_err(|_| BadKey)?);
        let key = match label {
            "PUBLIC KEY" => public(&der),
            "PRIVATE KEY" => wrapped(&der),
            "RSA PRIVATE KEY" => private(&der),
            _ => None,
        };
        key.filter(|key| (256..=1_024).contains(&key.modulus.len())).ok_or(BadKey)
    }

    /// Whether it can open what was sealed to it.
    pub fn is_private(&self) -> bool {
        self.private.is_some()
    }

    /// Whether it signed the message (RS256).
    pub fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let key = RsaPublicKeyComponents { n: &self.modulus, e: &self.exponent };
        key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok()
    }

    /// Opens what was sealed to it; none if it was not, or if only the public key is here.
    pub fn open(&self, sealed: &[u8]) -> Option<Secret> {
        let (private, len) = (self.private.as_ref()?, self.modulus.len());
        if sealed.len() != len {
            return None;
        }
        let bits = u32::try_from(len * 8).ok()?;
        let number = |bytes: &[u8]| BoxedUint::from_be_slice(bytes, bits).ok();
        let modulus = Odd::new(number(&self.modulus)?).into_option()?;
        let sealed = number(sealed).filter(|sealed| sealed < modulus.as_ref())?;
        let base = BoxedMontyForm::new(sealed, &BoxedMontyParams::new(modulus));
        let opened = Zeroizing::new(base.pow(&number(private)?).retrieve().to_be_bytes().into_vec());
        unpadded(opened.get(opened.len().checked_sub(len)?..)?)
    }
}

/// EME-OAEP decoding (RFC 8017 section 7.1.2, step 3).
fn unpadded(encoded: &[u8]) -> Option<Secret> {
    let (first, rest) = encoded.split_first()?;
    let (seed, block) = rest.split_at_checked(HASH_LEN)?;
    let seed = masked(seed, block);
    let block = masked(block, &seed);
    let (label, rest) = block.split_at_checked(HASH_LEN)?;
    let start = rest.iter().position(|byte| *byte != 0)?;
    let (mark, message) = rest.get(start..)?.split_first()?;
    let fits = *first == 0 && *mark == 1 && label == Sha256::digest([]).as_slice();
    fits.then(|| Secret::new(message.to_vec()))
}

/// The data with the mask that MGF1 makes of a seed (RFC 8017 appendix B.2.1).
fn masked(data: &[u8], seed: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(data.to_vec());
    for (counter, chunk) in (0_u32..).zip(out.chunks_mut(HASH_LEN)) {
        let mask = Sha256::new().chain_update(seed).chain_update(counter.to_be_bytes()).finalize();
        chunk.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    }
    out
}

/// `SubjectPublicKeyInfo` (RFC 5280 section 4.1).
fn public(der: &[u8]) -> Option<RsaKey> {
    let mut info = Der(Der(der).only(SEQUENCE)?);
    algorithm(info.next(SEQUENCE)?)?;
    let bits = info.last(BIT_STRING)?.strip_prefix(&[0])?;
    let mut key = Der(Der(bits).only(SEQUENCE)?);
    Some(RsaKey { modulus: key.number()?, exponent: key.number()?, private: None }).filter(|_| key.0.is_empty())
}

/// `PrivateKeyInfo` (RFC 5208 section 5).
fn wrapped(der: &[u8]) -> Option<RsaKey> {
    let mut info = Der(Der(der).only(SEQUENCE)?);
    info.next(INTEGER)?;
    algorithm(info.next(SEQUENCE)?)?;
    private(info.next(OCTET_STRING)?)
}

/// `RSAPrivateKey` (RFC 8017 appendix A.1.2).
fn private(der: &[u8]) -> Option<RsaKey> {
    let mut key = Der(Der(der).only(SEQUENCE)?);
    key.next(INTEGER)?;
    let (modulus, exponent) = (key.number()?, key.number()?);
    Some(RsaKey { modulus, exponent, private: Some(Zeroizing::new(key.number()?)) })
}

fn algorithm(fields: &[u8]) -> Option<()> {
    (Der(fields).next(OBJECT)? == RSA_ENCRYPTION).then_some(())
}

/// What is left to read of some DER (X.690).
struct Der<'d>(&'d [u8]);

impl<'d> Der<'d> {
    fn next(&mut self, tag: u8) -> Option<&'d [u8]> {
        let (&[found, len], rest) = self.0.split_first_chunk::<2>()?;
        let (len, rest) = match len {
            0..0x80 => (usize::from(len), rest),
            0x81..=0x83 => {
                let (digits, rest) = rest.split_at_checked(usize::from(len & 0x7f))?;
                (digits.iter().fold(0, |len, digit| len << 8 | usize::from(*digit)), rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        (found == tag).then_some(value)
    }

    fn last(&mut self, tag: u8) -> Option<&'d [u8]> {
        self.next(tag).filter(|_| self.0.is_empty())
    }

    fn only(mut self, tag: u8) -> Option<&'d [u8]> {
        self.last(tag)
    }

    /// A number that is not negative, without leading zeros.
    fn number(&mut self) -> Option<Vec<u8>> {
        let bytes = self.next(INTEGER)?;
        let from = bytes.iter().position(|byte| *byte != 0)?;
        bytes.get(from..).map(<[u8]>::to_vec).filter(|_| bytes[0] < 0x80)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_rsa_key_is_refused() {
        for text in [
            "",
            "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----",
            "-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----",
            "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----",
        ] {
            assert!(RsaKey::from_pem(&Secret::new(text.into())).is_err(), "{text}");
        }
    }

    #[test]
    fn damaged_der_is_none_and_never_a_panic() {
        for len in 0..40 {
            for byte in [0x00, 0x02, 0x30, 0x80, 0x81, 0x84, 0xff] {
                let der = vec![byte; len];
                assert!(public(&der).is_none() && wrapped(&der).is_none() && private(&der).is_none());
            }
        }
    }

    #[test]
    fn a_mask_taken_twice_is_none() {
        let (data, seed) = ([7; 100], [1, 2, 3]);
        assert_eq!(masked(&masked(&data, &seed), &seed).as_slice(), data);
    }
}
