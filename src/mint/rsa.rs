//! RSA, as far as the tokens of magic-api-proxy need it: one private key that knows its own signatures (RS256, RFC 8017
//! section 8.2) and opens what was sealed for it (RSAES-OAEP with SHA-256, section 7.1).
//!
//! Signatures are checked by ring. It opens nothing, and the crate `rsa` leaks by its timing (RUSTSEC-2023-0071), so the
//! one power is computed here: by crypto-bigint, whose exponentiation takes the same time for every exponent, on a
//! blinded value, and the padding is taken off without a branch on what is in it. There is nobody to measure it either:
//! [`open`](PrivateKey::open) is for what a signature of the same key has vouched for, so nobody chooses what is opened.

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd};
use p256::pkcs8::PrivateKeyInfoRef;
use p256::pkcs8::der::asn1::UintRef;
use p256::pkcs8::der::{self, Reader as _, SliceReader, pem};
use rand::TryCryptoRng;
use ring::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize as _, Zeroizing};

/// A private key with its public one.
pub struct PrivateKey {
    params: BoxedMontyParams,
    private_exponent: BoxedUint,
    public_exponent: BoxedUint,
    /// As a `RSAPublicKey` of RFC 8017 appendix A.1.1, which is what ring reads.
    public: Vec<u8>,
}

/// Why a text is no key that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    #[error("the key is protected by a password; decrypt it: `openssl pkey -in FILE`")]
    Encrypted,
    #[error("it is no RSA private key in PEM (`BEGIN PRIVATE KEY` or `BEGIN RSA PRIVATE KEY`)")]
    Form,
    /// Its numbers do not belong together, or are too small to be safe.
    #[error("the RSA key cannot be used: {0}")]
    Unusable(String),
}

impl PrivateKey {
    /// Reads a key in PEM, of PKCS #8 (RFC 5958) or PKCS #1 (RFC 8017 appendix A.1.2).
    ///
    /// # Errors
    /// When it is none, or ring finds that its numbers do not belong together.
    pub fn from_pem(text: &[u8]) -> Result<Self, BadKey> {
        let (label, bytes) = pem::decode_vec(text.trim_ascii()).map_err(|_| BadKey::Form)?;
        let bytes = Zeroizing::new(bytes);
        match label {
            "RSA PRIVATE KEY" => Self::from_der(&bytes),
            "PRIVATE KEY" => {
                let info = PrivateKeyInfoRef::try_from(bytes.as_slice()).map_err(|_| BadKey::Form)?;
                Self::from_der(info.private_key.as_bytes())
            }
            "ENCRYPTED PRIVATE KEY" => Err(BadKey::Encrypted),
            _ => Err(BadKey::Form),
        }
    }

    /// Reads a `RSAPrivateKey` (RFC 8017 appendix A.1.2).
    fn from_der(bytes: &[u8]) -> Result<Self, BadKey> {
        // What ring takes has 2048 bits or more, and factors and exponents that fit each other.
        let checked = RsaKeyPair::from_der(bytes).map_err(|rejected| BadKey::Unusable(rejected.to_string()))?;
        let [modulus, public, private] = numbers(bytes).map_err(|_| BadKey::Form)?;
        let bits = u32::try_from(modulus.len() * 8).map_err(|_| BadKey::Form)?;
        let number = |bytes: &[u8]| BoxedUint::from_be_slice(bytes, bits).map_err(|_| BadKey::Form);
        let modulus = Odd::new(number(modulus)?).into_option().ok_or(BadKey::Form)?;
        Ok(Self {
            params: BoxedMontyParams::new(modulus),
            private_exponent: number(private)?,
            public_exponent: number(public)?,
            public: checked.public_key().as_ref().to_vec(),
        })
    }

    /// Bits of the modulus.
    pub fn bits(&self) -> u32 {
        self.params.bits_precision()
    }

    /// Whether both are the same key.
    pub fn is_same(&self, other: &Self) -> bool {
        self.public == other.public
    }

    /// Whether this key signed the text (RSASSA-PKCS1-v1_5 with SHA-256).
    pub fn signed(&self, text: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.public).verify(text, signature).is_ok()
    }

    /// Opens what was sealed for this key; none if it was not, whatever is wrong with it. To be called only with what a
    /// signature of this key vouches for. Takes some ten milliseconds.
    pub fn open<R: TryCryptoRng>(&self, sealed: &[u8], rng: &mut R) -> Option<Zeroizing<Vec<u8>>> {
        let bits = self.bits();
        if sealed.len() != bits as usize / 8 {
            return None;
        }
        let number = BoxedUint::from_be_slice(sealed, bits).ok()?;
        if number >= *self.params.modulus().as_ref() {
            return None;
        }
        let sealed = BoxedMontyForm::new(number, &self.params);
        let (blind, unblind) = self.blinding(rng)?;
        let mut opened = (&sealed * &blind).pow(&self.private_exponent) * &unblind;
        // A power that was computed wrongly would tell of the private key; it is not used further.
        let right = opened.pow_bounded_exp(&self.public_exponent, self.public_exponent.bits_vartime()) == sealed;
        let block = Zeroizing::new(opened.retrieve().to_be_bytes().into_vec());
        opened.zeroize();
        right.then(|| unpadded(&block)).flatten()
    }

    /// A random number to the power of the public exponent, and its inverse: what is put to the private exponent is then
    /// nothing that anybody has seen.
    fn blinding<R: TryCryptoRng>(&self, rng: &mut R) -> Option<(BoxedMontyForm, BoxedMontyForm)> {
        let bits = self.bits();
        let mut random = Zeroizing::new(vec![0_u8; bits as usize / 8]);
        rng.try_fill_bytes(&mut random).ok()?;
        // Below the modulus, whose highest bit is set.
        if let Some(first) = random.first_mut() {
            *first &= 0x7f;
        }
        let random = BoxedMontyForm::new(BoxedUint::from_be_slice(&random, bits).ok()?, &self.params);
        let inverse = random.invert().into_option()?;
        Some((random.pow_bounded_exp(&self.public_exponent, self.public_exponent.bits_vartime()), inverse))
    }
}

impl Drop for PrivateKey {
    fn drop(&mut self) {
        self.private_exponent.zeroize();
    }
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PrivateKey({} bits)", self.bits())
    }
}

/// Modulus, public and private exponent.
fn numbers(bytes: &[u8]) -> der::Result<[&[u8]; 3]> {
    SliceReader::new(bytes)?.sequence(|reader| {
        let _version: u8 = reader.decode()?;
        let mut next = || reader.decode::<UintRef<'_>>().map(|number| number.as_bytes());
        let found = [next()?, next()?, next()?];
        // Two factors, their two exponents and the coefficient: ring has checked them, and they are not needed.
        for _ in 0..5 {
            next()?;
        }
        Ok(found)
    })
}

const HASH_LEN: usize = 32;

/// Takes the padding off (RFC 8017 section 7.1.2, step 3, with no label). What is wrong is not told, and finding it takes
/// no other path.
fn unpadded(block: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (first, rest) = block.split_first()?;
    let (seed, data) = rest.split_at_checked(HASH_LEN)?;
    let mut seed = Zeroizing::new(seed.to_vec());
    let mut data = Zeroizing::new(data.to_vec());
    mask(&mut seed, &data);
    mask(&mut data, &seed);
    let (label, message) = data.split_at_checked(HASH_LEN)?;
    let expected = Sha256::digest(b"");
    let mut wrong = label.iter().zip(expected.as_slice()).fold(*first, |wrong, (one, other)| wrong | (one ^ other));
    // Zeros, a one, the message.
    let (mut before, mut start) = (0xff_u8, 0_usize);
    for (at, byte) in message.iter().enumerate() {
        let (is_one, is_zero) = (equal(*byte, 1), equal(*byte, 0));
        start |= at & usize::from(before & is_one).wrapping_mul(usize::MAX / 0xff);
        wrong |= before & !is_one & !is_zero;
        before &= !is_one;
    }
    wrong |= before;
    if wrong != 0 {
        return None;
    }
    message.get(start + 1..).map(|message| Zeroizing::new(message.to_vec()))
}

/// All bits if the two are equal, else none.
fn equal(one: u8, other: u8) -> u8 {
    u8::try_from((u16::from(one ^ other).wrapping_sub(1) >> 8) & 0xff).unwrap_or_default()
}

/// Lays the mask of a seed over the bytes (MGF1 with SHA-256, RFC 8017 appendix B.2.1).
fn mask(bytes: &mut [u8], seed: &[u8]) {
    for (counter, chunk) in (0_u32..).zip(bytes.chunks_mut(HASH_LEN)) {
        let mask = Sha256::new().chain_update(seed).chain_update(counter.to_be_bytes()).finalize();
        chunk.iter_mut().zip(mask.as_slice()).for_each(|(byte, mask)| *byte ^= mask);
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;
    use rand::rngs::SysRng;

    use super::*;

    // A key and what Python's `cryptography` did with it. Without the line that PEM begins with, so that it is nobody's
    // leaked key to a scanner.
    const KEY: &str = concat!(
        "MIIEpAIBAAKCAQEA32PD+IfFWTivN6LKkqioz/iwmC0Py5AUCEjUkBt35P5rzBxdRo5SAwg/UY4aKfYp5CspsZgyhq9W1SyQt11z",
        "ZrKc/h/VvAozBNhetNRpObdI5N7cBTOYMl9rMQ+bQBvlrDbR5CIoaO+rOKxgcHJHbnpCTI5ULXK9ud07uenjjbWXnLsaK5JRPE7Y",
        "Jk0wAuqxDXZ5ILyWSF9nph8fHKrLL5h24k6OGCf+etJ+w6OwbGL2d44h8F9T96nvmZKAXkYxEpLQvhCTFZ6vMW+gAEbO0eC+eWhM",
        "dAlG3/zbbYOEgjCyc2Xb+zQKe0A7Mfzdiz2YsP6XkqIASqVFiz995+BRdQIDAQABAoIBAA/IlkOcoDJ+IU8uht6W4RqUqTGPWYLa",
        "ArhVIQOvlSiOW2J4DJUcICpLrmGeRzX4yRvwesksBkHi6KE2PWFfTnSOoS4JZMoc9F7exM5FBcxIqXNWVbheXV4NxN6aCi+c6Pzi",
        "gLD8QturN29RKp03Tdm99KpBEiyF42ba/UnU/zl3XctzSnynKHTuuWgnYDJSnls4ixBYCFBfLrqvgT583l+fzDfnq/BaphHlI9jt",
        "BCytiCzvTCPat68S4R7ijs9GISIDTcUj1xkHFs2e14az2yg9hcj8t9ij+JLwWMWVbhCxbczgB7q+V03NNZNxxQ2c9HKzN1E9qnl1",
        "o0yHhEFPic8CgYEA/pe2t7WqE41nWQ7Zz6aeHU0LgseS2JgHYjowyE43ooUq6ETvugh2HJs1eInAnmC6lWD/sLd5j8zqIbRMI5fU",
        "60v04Ayn7gDDHwAlcn9Y95TI4SHpdO4QdaJuW6G4cDSU8n+l/4MzSqO4Mha2C1Z40ujD4iUvsWt8bpYzoFJ8tTcCgYEA4J/lH8L3",
        "ocXWejSgOKeNlUfml8LH54SHuiFBPmX0LOxRpYT3yN1TJ5YSaO9XhimHN0tF0gvuOQ1jmtMhnUZumKsy5EHA3haWvfUadUoesYA6",
        "R0vNaXUetCpLQqBa862HfO3e9B2pj7U510IRalS5KMMwc8c7ND6owZuTqK9NRLMCgYAH9rLueC5Dwk6TSJWjmzCi9gAALUH4qHjC",
        "p9NS0K+I0+WNsmpVRWJ8bpZzmMt/qMLtXUViP7r7tos0VrFzA5LTcWLNh1fRaBCybYy+UiF0TSEjea4VzESTiWsuTpa4W8y08S0+",
        "GtqF4S0n0/IJ1MCeyE0oS8V8JUKVKvmecDYabQKBgQDYkDAmZCG9fXEgFzbWCGzPnSer72YuRy9Ye5FcqI029oxtKXp/1SrDwsNz",
        "GjZnKgisfc0OCuSdatQ6RA5nhK1CUeRZ/y8EsACbmgDtTg2zkm4dqO6dGwcEKrauwM2PnCFBiFDpSOPeopnmeFM0EgUGUNGY/l+N",
        "KlAngWhmPMUhUwKBgQD2QqLiH0QzogofedNp3vy1hE9sfP6XSOip5FESQCReksHZhJvi1OKHc1KF86SkhH6PHEF4EM+RIpzN2oOD",
        "GIc/CEQ66bjC8R3ELSUBoF9SAMwnudqebFIUeC2phha82Z8/V3978doOXuT+HXSwpJfL02d6OAPt7Jtmm2qZDmK8OA==",
    );
    const SEALED: &str = concat!(
        "n2BW9vN6+DwH65OgSRe4qYX9iv4O56rZQmk3ReT7La+9EAqGfje/AgYZ001wqtJFKuKFDaDWWCdNtg4MnMsN7uxpf4TOLhVbxSbI",
        "7MGqu5DF8O6gXLwRhI/KCHtE/qPpmYJvS1h6pNGDXlXOxXIg5cgyY0sL36aARFMWOILiFIw/w4ET+e9TSz3hgSJDrHQWzLKZJbk8",
        "pPfXg0XrtSVuRhqotCYj2Qi6Dm7Ct79zUyNkMDpQUy4G/qVfQd3BV7moYEkScUSt+RXGLifyYeIXpO6RsQhIctr+DRgNbrbnwCuk",
        "Nu54jBaMRfkoTrEum9qxIhqT76rhNETyjSo1SQyjNA==",
    );
    const SEALED_EMPTY: &str = concat!(
        "aDZaN2InNyxYCD8TQyg0SafzlqmQgb2pQbqj4689bMw8JdRJAt74Wys4BLiJBTj5lBGJ9Giif+ZT8AKYnCpZNRF3oT/ofVX7S61X",
        "EFxH9zr1VlWbSsYrqtQa7DA1ViWQtUMPYgsZT32nmJ6oCNyMnPWLDE2aCURkxgv6WhcM2tKZEqZZFs9l2rMeOmpyNPqhCvdCGPAm",
        "E/flQWzmM6/xho6nxh+PmSR4JqDi92CKGnzsPNMpM3/HNb2MKqmNJJYxCvtpO6cVCees2WW3pitV+2imuoaaCi41qbmzGuh+vVIJ",
        "qa0IAtb/4gR1meLUgSiJuuxvVq9mwUqw5nKFqGODsA==",
    );
    const SEALED_SHA1: &str = concat!(
        "LK6fxeJ1P+F1IRw4jG1ePTh3V+erlqlW2dwtzaUWr3MYF1hoL7wuxE2SBpM+IgnDddhFD6E5DAu6tA5VwSS0+QYkqO7x2Bm0ZEZY",
        "THGFalOnMGXnFtAZTsHmbX1AoUvi4x95E7Nh54S7wdxSeF/qU1yUR5qIlcmrBfh5IPUUjEE9aFk0ONdX91RvcPzrd9oYGoXqTqlu",
        "xE3jMvJAKpPVHcQnIX5FKAqO//+QNgrqZ3dC5+2hf4JP0vdCTyOvo+i0R59bIjwDbYa8EFVJxODYn552Q/8j0TCBly9avw4vxPZz",
        "OfQlaSsE//3mMfwncTsZUG5ZSFU8N0bpIzUcemgXZQ==",
    );
    const SEALED_LABEL: &str = concat!(
        "0i+5D+YXgGgFR7Q78a1DtA0vo6l+UaRhzu6S1pmdRAozKCuVnraHOVQQ7lYTklrAgBJlctkpFR8hjAsWYC6xaBJ/tdh07Pbatb1v",
        "zmdSM+9hHCr3Ny0zzdEkhIQexFMHK1UPvHOIYgAun00jW9ZJE2cGIx4DYWalnyUHoy/HmlVdTHXD7jJbCw4wNVo0Krh96cYdr+/e",
        "CnrfoyHmjo4gnSZ60OdbtHSv52Vh+AfyusEMiUDyv+CG+E9rotoj+zPPwcLilDMTAULTIORbFk0APtiSFV9nplBJLZwMs1NlXhXo",
        "aB7qHer7YbN99JGpaEZKYb8EvqaGHN3HzVn0gilmIQ==",
    );
    const SIGNATURE: &str = concat!(
        "DRwtfv8ZvKIk6x2Y5+AkEPi4L1T8D5nDNAPu0Hqho+6XoZdQDcnfPiDyGHURx4TRuNB/+kcaH4HJ82OKoj44mJ9yD3xh7Ron+0oQ",
        "+U0AkzpMl53oXqbGEozOwVyUqVwVagzOMepKvGICBxray8Ossqr5EK/zzffqy6kMtUyd0YvgXtvGdBU8Ltl4NkLKEAGQ+gTLqXVz",
        "dWHRT/i7ITKHk3yqAu7aMwsV0jGV81r6NX5wNzTVwmEbdppP2qEQ8eiXt9G/g9FRG6FkqhcFMTlY3ajnXQTN4z3AOuvq/b5FugS8",
        "MV3nh87OxluihlLh8vHgSsiSH2jIzr19TjAapsVPGg==",
    );

    fn bytes(text: &str) -> Vec<u8> {
        BASE64.decode(text).expect("base64")
    }

    fn pem(kind: &str, der: &[u8]) -> String {
        let body = BASE64.encode(der);
        let lines: Vec<&str> = body.as_bytes().chunks(64).map(|line| str::from_utf8(line).expect("ASCII")).collect();
        format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", lines.join("\n"))
    }

    /// As PKCS #8 has it: the same, with the algorithm's name before it.
    fn pkcs8(key: &[u8]) -> Vec<u8> {
        let length = |len: usize| u16::try_from(len).expect("short").to_be_bytes();
        let mut inner = vec![2, 1, 0, 0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0, 4, 0x82];
        inner.extend(length(key.len()));
        inner.extend(key);
        [&[0x30, 0x82], &length(inner.len())[..], &inner].concat()
    }

    fn key() -> PrivateKey {
        PrivateKey::from_pem(pem("RSA PRIVATE KEY", &bytes(KEY)).as_bytes()).expect("a key")
    }

    fn open(sealed: &[u8]) -> Option<Vec<u8>> {
        key().open(sealed, &mut SysRng).map(|opened| opened.to_vec())
    }

    #[test]
    fn what_another_program_sealed_is_opened() {
        assert_eq!(open(&bytes(SEALED)).as_deref(), Some(b"what a registry gave out".as_slice()));
        assert_eq!(open(&bytes(SEALED_EMPTY)).as_deref(), Some(b"".as_slice()));
    }

    #[test]
    fn what_was_sealed_in_another_way_or_changed_is_not() {
        assert_eq!(open(&bytes(SEALED_SHA1)), None, "with another hash");
        assert_eq!(open(&bytes(SEALED_LABEL)), None, "under a label");
        for at in [0, 1, 100, 255] {
            let mut changed = bytes(SEALED);
            changed[at] ^= 1;
            assert_eq!(open(&changed), None, "byte {at}");
        }
        for wrong in [&[][..], &[0; 255], &[0; 256], &[0xff; 256], &[0; 257]] {
            assert_eq!(open(wrong), None, "{} bytes", wrong.len());
        }
    }

    #[test]
    fn only_its_own_signature_holds() {
        let (key, signature) = (key(), bytes(SIGNATURE));
        assert!(key.signed(b"header.payload", &signature));
        assert!(!key.signed(b"header.payloae", &signature) && !key.signed(b"header.payload", &signature[1..]));
    }

    #[test]
    fn both_forms_of_a_key_are_read_and_nothing_else() {
        let der = bytes(KEY);
        let other = PrivateKey::from_pem(pem("PRIVATE KEY", &pkcs8(&der)).as_bytes()).expect("a key");
        assert!(other.is_same(&key()) && other.bits() == 2_048);
        assert_eq!(format!("{other:?}"), "PrivateKey(2048 bits)");
        let refused = |text: String| PrivateKey::from_pem(text.as_bytes()).expect_err("no key");
        assert_eq!(refused(pem("ENCRYPTED PRIVATE KEY", &der)), BadKey::Encrypted);
        for text in [String::new(), pem("PUBLIC KEY", &der), pem("PRIVATE KEY", &der), "x".into()] {
            assert_eq!(refused(text), BadKey::Form);
        }
        // One bit of the private exponent: the numbers do not belong together any more.
        let mut broken = der.clone();
        broken[700] ^= 1;
        assert!(matches!(refused(pem("RSA PRIVATE KEY", &broken)), BadKey::Unusable(_)));
        assert!(matches!(refused(pem("RSA PRIVATE KEY", &der[..der.len() - 1])), BadKey::Unusable(_)));
    }

    #[test]
    fn padding_is_taken_off_as_the_standard_has_it() {
        assert_eq!((equal(1, 1), equal(0, 0), equal(1, 0), equal(0, 255), equal(254, 255)), (255, 255, 0, 0, 0));
        // `00`, a seed of zeros, then: the hash of no label, a one, the message; each masked.
        let padded = |first: u8, data: &[u8]| {
            let mut data = [Sha256::digest(b"").as_slice(), data].concat();
            let mut seed = vec![7; HASH_LEN];
            mask(&mut data, &seed);
            mask(&mut seed, &data);
            [&[first], seed.as_slice(), &data].concat()
        };
        let read = |block: Vec<u8>| unpadded(&block).map(|message| message.to_vec());
        assert_eq!(read(padded(0, &[0, 0, 1, b'a', 1, 0])), Some(vec![b'a', 1, 0]));
        assert_eq!(read(padded(0, &[1])), Some(Vec::new()));
        for (first, data) in [(1, &[0, 1, 2][..]), (0, &[0, 2, 1, 3]), (0, &[0, 0, 0]), (0, &[])] {
            assert_eq!(read(padded(first, data)), None, "{data:?}");
        }
        assert_eq!((read(Vec::new()), read(vec![0; 33]), read(vec![0; 64])), (None, None, None));
    }
}
