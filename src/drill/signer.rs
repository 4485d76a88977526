//! The key that signs drills: ECDSA over P-256, derived from a secret of the installation, so that each of its processes
//! signs and verifies with the same one and none has to be kept.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use p256::pkcs8::{EncodePublicKey as _, LineEnding};

use crate::store::{self, Store};

/// Signs the reports of drills. It has no `Debug`: it must not be printed.
pub struct Signer {
    signing: SigningKey,
    public_pem: String,
}

/// There is no key for drills.
#[derive(Debug, thiserror::Error)]
pub enum Unsignable {
    #[error("the key for drills cannot be written down")]
    Encoding,
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// What the key is listed under.
pub const KEY_ID: &str = "drill";

impl Signer {
    /// The installation's key.
    ///
    /// # Errors
    /// When the store is not open.
    pub fn of(store: &Store) -> Result<Self, Unsignable> {
        let mut number = 0_u32;
        let signing = loop {
            let bytes = store.derived_secret(&format!("drill key {number}"))?;
            // One number in four thousand million is not below the order of the curve.
            match SigningKey::from_slice(bytes.as_slice()) {
                Ok(key) => break key,
                Err(_) => number += 1,
            }
        };
        let public_pem = signing.verifying_key().to_public_key_pem(LineEnding::LF).map_err(|_| Unsignable::Encoding)?;
        Ok(Self { signing, public_pem })
    }

    /// The published half.
    pub fn public_pem(&self) -> &str {
        &self.public_pem
    }

    /// The signature over a body, as its header carries it.
    pub(super) fn sign(&self, body: &[u8]) -> String {
        let signature: Signature = self.signing.sign(body);
        STANDARD.encode(signature.to_der().as_bytes())
    }
}
