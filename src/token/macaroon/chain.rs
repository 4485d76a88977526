//! The chain of signatures that makes a macaroon: each caveat is signed with the signature before it.
//!
//! k0 = HMAC-SHA256("macaroons-key-generator", root key); s0 = HMAC(k0, identifier); s(i+1) = HMAC(s(i), caveat bytes
//! exactly as written). Whoever holds s(i) can add a caveat and nobody can take one away. Only who holds the root key
//! can compute the chain from its start (libmacaroons; A. Birgisson et al., "Macaroons", NDSS 2014).

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::token::Secret;

/// How the key of a chain is derived from a root key: the label is the key, the root key the message.
const KEY_GENERATOR: &[u8] = b"macaroons-key-generator";

/// A chain up to some point. Holding it is holding the token.
pub struct Chain(Zeroizing<[u8; 32]>);

impl Chain {
    /// The chain of a macaroon without caveats.
    pub fn start(root_key: &Secret, identifier: &[u8]) -> Self {
        let key = Zeroizing::new(hmac(KEY_GENERATOR, root_key.expose()));
        Self(Zeroizing::new(hmac(key.as_slice(), identifier)))
    }

    /// The chain that ends with this signature: all that a bearer has, and enough to add caveats.
    pub fn from_signature(signature: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*signature))
    }

    /// Signs one more caveat.
    pub fn extend(&mut self, caveat: &[u8]) {
        self.0 = Zeroizing::new(hmac(self.0.as_slice(), caveat));
    }

    /// The signature at this point.
    pub fn signature(&self) -> &[u8; 32] {
        &self.0
    }

    /// SHA-256 of the signature: names the point, and nobody gets back from it to the signature.
    pub fn point(&self) -> [u8; 32] {
        point(&self.0)
    }

    /// Whether a shown signature is this one, in constant time.
    pub fn ends_in(&self, signature: &[u8; 32]) -> bool {
        // Compared under a key of the moment: two MACs are equal if and only if what they are over is (short of a
        // collision), and the library compares them in constant time.
        let mut mac = keyed(self.0.as_slice());
        mac.update(signature);
        let shown = mac.finalize().into_bytes();
        let mut mac = keyed(self.0.as_slice());
        mac.update(self.0.as_slice());
        mac.verify_slice(&shown).is_ok()
    }
}

/// SHA-256 of a signature.
pub fn point(signature: &[u8; 32]) -> [u8; 32] {
    Sha256::digest(signature).into()
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = keyed(key);
    mac.update(message);
    mac.finalize().into_bytes().into()
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length (RFC 2104)")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> [u8; 32] {
        let pairs = (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex"));
        pairs.collect::<Vec<u8>>().try_into().expect("32 bytes")
    }

    // Computed with pymacaroons for the identifier 123foo and a public test key.
    #[test]
    fn the_points_of_another_implementation_are_met() {
        let root = Secret::new(b"ohsosecret".to_vec());
        let mut chain = Chain::start(&root, b"123foo");
        let s0 = hex("8ae13cad5afcb5eff529ed3be17550e1171f1c8d4fe77bfeb0b4eab13d4666c7");
        assert!(chain.ends_in(&s0) && *chain.signature() == s0);
        chain.extend(br#"[1,["a","b"]]"#);
        let s1 = hex("2683da01dbe23f3c6f4772301c28fd78c093820fc231c163dd507f61b5a3184a");
        assert!(chain.ends_in(&s1) && !chain.ends_in(&s0));
        assert!(chain.point().starts_with(&[0x3e, 0x4b, 0x45, 0xa6, 0xcc, 0x22, 0x04, 0x56]));
        let mut bearer = Chain::from_signature(&s0);
        bearer.extend(br#"[1,["a","b"]]"#);
        assert!(bearer.ends_in(&s1), "who holds a token can narrow it");
    }
}
