//! Keys, the list that publishes them, and signatures.
//!
//! The algorithm is ECDSA over P-256 with SHA-256 of the raw body; on the wire a signature is base64 of DER. As with
//! GitHub's own keys, the id of a key is the SHA-256 of its public PEM text with the newline that ends it.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::body::Bytes;
use axum::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::signature::{RandomizedSigner as _, Signer as _};
use p256::ecdsa::{Signature, SigningKey};
use p256::elliptic_curve::Generate as _;
use p256::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, EncodePublicKey as _, LineEnding};
use rand::CryptoRng;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{HeaderNames, Message, SendError};

/// A private key with its published half. It has no `Debug`: it must not be printed.
pub struct KeyPair {
    signing: SigningKey,
    public_pem: String,
    id: String,
}

impl KeyPair {
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Result<Self, SendError> {
        Self::of(SigningKey::generate_from_rng(rng))
    }

    /// Reads a PKCS#8 PEM file's text.
    pub fn from_pem(pem: &str) -> Result<Self, SendError> {
        Self::of(SigningKey::from_pkcs8_pem(pem).map_err(SendError::Key)?)
    }

    fn of(signing: SigningKey) -> Result<Self, SendError> {
        let public_pem =
            signing.verifying_key().to_public_key_pem(LineEnding::LF).map_err(|_| SendError::KeyEncoding)?;
        let id = key_id(&public_pem);
        Ok(Self { signing, public_pem, id })
    }

    /// The id the key is listed under.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn public_pem(&self) -> &str {
        &self.public_pem
    }

    /// The private key as PKCS#8 PEM, wiped from memory when dropped.
    pub fn private_pem(&self) -> Result<Zeroizing<String>, SendError> {
        self.signing.to_pkcs8_pem(LineEnding::LF).map_err(SendError::Key)
    }

    /// The same signature for the same body, every time (RFC 6979).
    pub fn sign(&self, body: &[u8]) -> Signature {
        self.signing.sign(body)
    }

    /// Another signature at every call, as a sender with randomized signatures makes it.
    pub fn sign_anew<R: CryptoRng + ?Sized>(&self, body: &[u8], rng: &mut R) -> Signature {
        self.signing.sign_with_rng(rng, body)
    }
}

/// SHA-256 in lower-case hex of a public key's PEM text, its last newline included.
pub fn key_id(public_pem: &str) -> String {
    Sha256::digest(public_pem.as_bytes()).iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The published key list, in GitHub's JSON shape.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyList {
    pub public_keys: Vec<ListedKey>,
}

/// One published key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedKey {
    pub key_identifier: String,
    pub key: String,
    pub is_current: bool,
}

/// An origin that signs: its current key, the older keys it still lists, and the headers it speaks with.
#[derive(Clone)]
pub struct Signer {
    current: Arc<KeyPair>,
    older: Vec<Arc<KeyPair>>,
    headers: HeaderNames,
}

impl Signer {
    /// Signs with `key` and speaks with GitHub's headers.
    pub fn new(key: KeyPair) -> Self {
        Self { current: Arc::new(key), older: Vec::new(), headers: HeaderNames::GITHUB }
    }

    pub fn with_headers(mut self, headers: HeaderNames) -> Self {
        self.headers = headers;
        self
    }

    /// Makes `key` the current one; the key before it stays listed, no longer current.
    pub fn rotate(&mut self, key: KeyPair) {
        let before = std::mem::replace(&mut self.current, Arc::new(key));
        self.older.insert(0, before);
    }

    /// Takes every key but the current one off the list.
    pub fn retire_older(&mut self) {
        self.older.clear();
    }

    pub fn current(&self) -> &KeyPair {
        &self.current
    }

    /// The keys still listed though no longer current, the newest first.
    pub fn older(&self) -> impl Iterator<Item = &KeyPair> {
        self.older.iter().map(AsRef::as_ref)
    }

    pub fn headers(&self) -> &HeaderNames {
        &self.headers
    }

    pub fn key_list(&self) -> KeyList {
        let listed = |key: &KeyPair, is_current| ListedKey {
            key_identifier: key.id().to_owned(),
            key: key.public_pem().to_owned(),
            is_current,
        };
        let older = self.older().map(|key| listed(key, false));
        KeyList { public_keys: std::iter::once(listed(&self.current, true)).chain(older).collect() }
    }

    /// A message with `body`, signed with the current key.
    pub fn message(&self, body: Bytes) -> Message {
        let signature = self.current.sign(&body);
        self.stamped(body, &self.current, &signature)
    }

    /// A message with `body`, signed with the listed key `id`.
    pub fn message_with(&self, id: &str, body: Bytes) -> Result<Message, SendError> {
        let mut keys = std::iter::once(self.current()).chain(self.older());
        let key = keys.find(|key| key.id() == id).ok_or_else(|| SendError::NoSuchKey { id: id.to_owned() })?;
        let signature = key.sign(&body);
        Ok(self.stamped(body, key, &signature))
    }

    /// A message with `body` and a signature that no message before it had.
    pub fn message_anew<R: CryptoRng + ?Sized>(&self, body: Bytes, rng: &mut R) -> Message {
        let signature = self.current.sign_anew(&body, rng);
        self.stamped(body, &self.current, &signature)
    }

    /// A message that carries `body`, the id of `key` and `signature`, whether they belong together or not.
    pub(super) fn stamped(&self, body: Bytes, key: &KeyPair, signature: &Signature) -> Message {
        self.labelled(body, key.id(), &STANDARD.encode(signature.to_der().as_bytes()))
    }

    /// A message with these two header values as they are; both must be printable ASCII.
    pub(super) fn labelled(&self, body: Bytes, key_id: &str, signature: &str) -> Message {
        let mut message = Message::post(body);
        for (name, value) in [(&self.headers.key_id, key_id), (&self.headers.signature, signature)] {
            let value = HeaderValue::from_str(value).expect("hex, base64 and the forms made here are printable ASCII");
            message.headers.insert(name.clone(), value);
        }
        message
    }
}

#[cfg(test)]
mod tests {
    use p256::ecdsa::VerifyingKey;
    use p256::ecdsa::signature::Verifier as _;
    use p256::pkcs8::DecodePublicKey as _;
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    fn key(seed: u64) -> KeyPair {
        KeyPair::generate(&mut StdRng::seed_from_u64(seed)).expect("a key")
    }

    #[test]
    fn the_ids_of_githubs_published_keys_are_those_github_publishes() {
        let published = [
            (
                "90a421169f0a406205f1563a953312f0be898d3c7b6c06b681aa86a874555f4a",
                "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE9MJJHnMfn2+H4xL4YaPDA4RpJqUq\n\
                 kCmRCBnYERxZanmcpzQSXs1X/AljlKkbJ8qpVIW4clayyef9gWhFbNHWAA==\n",
            ),
            (
                "f9525bf080f75b3506ca1ead061add62b8633a346606dc5fe544e29231c6ee0d",
                "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEsz9ugWDj5jK5ELBK42ynytbo38gP\n\
                 HzZFI03Exwz8Lh/tCfL3YxwMdLjB+bMznsanlhK0RwcGP3IDb34kQDIo3Q==\n",
            ),
            (
                "bcb53661c06b4728e59d897fb6165d5c9cda0fd9cdf9d09ead458168deb7518c",
                "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYAGMWO8XgCamYKMJS6jc/qgvSlAd\n\
                 AjPuDPRcXU22YxgBrz+zoN19MzuRyW87qEt9/AmtoNP5GrobzUvQSyJFVw==\n",
            ),
        ];
        for (id, base64) in published {
            assert_eq!(key_id(&format!("-----BEGIN PUBLIC KEY-----\n{base64}-----END PUBLIC KEY-----\n")), id);
        }
    }

    #[test]
    fn our_public_keys_are_written_as_github_writes_its_own() {
        let key = key(1);
        let lines: Vec<_> = key.public_pem().split('\n').collect();
        assert_eq!(lines.first(), Some(&"-----BEGIN PUBLIC KEY-----"));
        assert_eq!(lines.get(1).map(|line| line.len()), Some(64));
        assert_eq!(lines.last(), Some(&""), "the newline at the end is part of what is hashed");
        assert_eq!(key.id(), key_id(key.public_pem()));
    }

    #[test]
    fn a_key_survives_its_file() {
        let key = key(2);
        let read = KeyPair::from_pem(&key.private_pem().expect("pem")).expect("the same key");
        assert_eq!(read.id(), key.id());
        assert!(KeyPair::from_pem("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").is_err());
        assert!(KeyPair::from_pem(key.public_pem()).is_err(), "a public key cannot sign");
    }

    #[test]
    fn a_signed_message_verifies_with_the_listed_key() {
        let signer = Signer::new(key(3));
        let message = signer.message(Bytes::from_static(b"[{\"token\":\"t\"}]"));
        let listed = signer.key_list().public_keys.remove(0);
        assert!(listed.is_current);
        assert_eq!(message.headers["github-public-key-identifier"], listed.key_identifier);
        let der = STANDARD.decode(message.headers["github-public-key-signature"].as_bytes()).expect("base64");
        let signature = Signature::from_der(&der).expect("der");
        let public = VerifyingKey::from_public_key_pem(&listed.key).expect("pem");
        public.verify(&message.body, &signature).expect("a good signature");
        assert!(public.verify(b"[]", &signature).is_err());
    }

    #[test]
    fn rotation_lists_the_old_key_until_it_is_retired() {
        let mut signer = Signer::new(key(4));
        let old = signer.current().id().to_owned();
        signer.rotate(key(5));
        let standing: Vec<_> = signer.key_list().public_keys.iter().map(|key| key.is_current).collect();
        assert_eq!(standing, [true, false]);
        let message = signer.message_with(&old, Bytes::from_static(b"[]")).expect("still listed");
        assert_eq!(message.headers["github-public-key-identifier"], old);
        signer.retire_older();
        assert!(signer.message_with(&old, Bytes::from_static(b"[]")).is_err());
        assert_eq!(signer.key_list().public_keys.len(), 1);
    }

    #[test]
    fn signing_anew_gives_another_signature_of_the_same_body() {
        let signer = Signer::new(key(6));
        let rng = &mut StdRng::seed_from_u64(7);
        let [one, two] = [(); 2].map(|()| signer.message_anew(Bytes::from_static(b"[]"), rng));
        let name = &signer.headers().signature;
        assert_ne!(one.headers[name], two.headers[name]);
    }

    #[test]
    fn another_origin_speaks_with_its_own_headers() {
        let signer = Signer::new(key(8)).with_headers(HeaderNames::GITLAB);
        let message = signer.message(Bytes::from_static(b"[]"));
        assert!(message.headers.contains_key("gitlab-public-key-signature"));
        assert!(!message.headers.contains_key("github-public-key-signature"));
    }
}
