//! Passwords: argon2id (RFC 9106), off the threads that answer requests, a few at a time.
//!
//! 19 MiB and two passes are what OWASP's Password Storage Cheat Sheet asks for at least. Whoever types a name that is
//! not there waits as long as for one that is.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use rand::TryRng as _;
use rand::rngs::SysRng;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// Hashes passwords. Cheap to clone.
#[derive(Clone)]
pub struct Passwords {
    /// Each one under way holds 19 MiB and a processor.
    places: Arc<Semaphore>,
    /// A hash that nobody's password fits, to spend the same time on.
    decoy: Arc<str>,
}

/// Why a password is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Weak {
    #[error("it must not hold your name")]
    HoldsName,
    #[error("at most 256 characters are looked at")]
    TooLong,
    #[error("at least 15 characters: a few words do well")]
    TooShort,
    #[error("it repeats too few characters")]
    TooSimple,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the password cannot be hashed now")]
pub struct Unavailable;

/// NIST SP 800-63B-4 section 3.1.1.2: fifteen where the password is the only factor.
const SHORTEST: usize = 15;
const LONGEST: usize = 256;
const PLACES: usize = 2;
const MEMORY_KIB: u32 = 19 * 1_024;
const PASSES: u32 = 2;

impl Passwords {
    /// # Errors
    /// When the operating system gives no random bytes.
    pub fn new() -> Result<Self, Unavailable> {
        let mut nobody = Zeroizing::new([0; 32]);
        SysRng.try_fill_bytes(&mut *nobody).map_err(|_| Unavailable)?;
        let decoy = hash(nobody.as_slice())?.into();
        Ok(Self { places: Arc::new(Semaphore::new(PLACES)), decoy })
    }

    /// The password in PHC form.
    pub async fn hash(&self, password: Zeroizing<String>) -> Result<String, Unavailable> {
        let _place = self.places.acquire().await.map_err(|_| Unavailable)?;
        tokio::task::spawn_blocking(move || hash(password.as_bytes())).await.map_err(|_| Unavailable)?
    }

    /// Whether the password fits what is stored. With nothing stored it takes as long and does not.
    pub async fn fits(&self, password: Zeroizing<String>, stored: Option<String>) -> Result<bool, Unavailable> {
        let _place = self.places.acquire().await.map_err(|_| Unavailable)?;
        let known = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.decoy.to_string());
        let fits = tokio::task::spawn_blocking(move || {
            let stored = PasswordHash::new(&stored).map_err(|_| Unavailable)?;
            Ok(hasher()?.verify_password(password.as_bytes(), &stored).is_ok())
        });
        Ok(fits.await.map_err(|_| Unavailable)?? && known)
    }
}

/// What a password must be, before it is hashed.
///
/// # Errors
/// Says what is wrong with it, never the password.
pub fn check(password: &str, name: &str) -> Result<(), Weak> {
    let letters = password.chars().count();
    if letters < SHORTEST {
        return Err(Weak::TooShort);
    }
    if letters > LONGEST {
        return Err(Weak::TooLong);
    }
    let lower = password.to_lowercase();
    if name.len() > 2 && lower.contains(name) {
        return Err(Weak::HoldsName);
    }
    let mut distinct: Vec<char> = lower.chars().collect();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() < 5 { Err(Weak::TooSimple) } else { Ok(()) }
}

fn hasher() -> Result<Argon2<'static>, Unavailable> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).map_err(|_| Unavailable)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash(password: &[u8]) -> Result<String, Unavailable> {
    let mut salt = [0; 16];
    SysRng.try_fill_bytes(&mut salt).map_err(|_| Unavailable)?;
    let hashed: PasswordHash = hasher()?.hash_password_with_salt(password, &salt).map_err(|_| Unavailable)?;
    Ok(hashed.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> Zeroizing<String> {
        Zeroizing::new(text.to_owned())
    }

    #[tokio::test]
    async fn a_password_fits_its_own_hash_alone() {
        let passwords = Passwords::new().expect("randomness");
        let stored = passwords.hash(typed("correct horse battery")).await.expect("hashed");
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert_ne!(stored, passwords.hash(typed("correct horse battery")).await.expect("hashed"), "salted");
        assert_eq!(passwords.fits(typed("correct horse battery"), Some(stored.clone())).await, Ok(true));
        assert_eq!(passwords.fits(typed("correct horse batterY"), Some(stored)).await, Ok(false));
        assert_eq!(passwords.fits(typed("correct horse battery"), None).await, Ok(false));
        assert_eq!(passwords.fits(typed("x"), Some("not a hash".into())).await, Err(Unavailable));
    }

    #[test]
    fn a_weak_password_is_told_why() {
        for (password, weak) in [
            ("short", Weak::TooShort),
            ("abababababababab", Weak::TooSimple),
            ("my name is ADA lovelace", Weak::HoldsName),
            (&"abcdefgh".repeat(33), Weak::TooLong),
        ] {
            assert_eq!(check(password, "ada"), Err(weak), "{password}");
        }
        assert_eq!(check("correct horse battery", "ada"), Ok(()));
    }
}
