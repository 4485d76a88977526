//! API keys that are brought along: by the environment, by a file, as containers mount their secrets.
//!
//! Each gets a record, so that it is listed, counts its uses and dies like any other token.

use super::authenticate::CONFIGURED;
use super::order::Refused;
use super::{Mint, text_sha256};
use crate::id::TokenId;
use crate::store::{NewOwnToken, NewOwner, OwnTokenKind};
use crate::token::Secret;

/// Shortest API key that is brought along.
pub const MIN_KEY_LEN: usize = 32;

/// A key that was brought along, and where it stands: who finds it leaked must take it out there.
pub struct BroughtKey {
    pub secret: Secret,
    /// The variable's or the file's name.
    pub place: String,
}

/// A key that is too short to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an API key has at least {MIN_KEY_LEN} characters, one of these has {0}")]
pub struct ShortKey(usize);

/// The keys of a list: parted by commas or lines, trimmed, empty ones left out.
///
/// # Errors
/// [`ShortKey`] for one that could be guessed.
pub fn brought_along(list: &Secret) -> Result<Vec<Secret>, ShortKey> {
    let parts = list.expose().split(|byte| matches!(byte, b',' | b'\n' | b'\r'));
    let keys = parts.map(<[u8]>::trim_ascii).filter(|key| !key.is_empty());
    keys.map(|key| if key.len() < MIN_KEY_LEN { Err(ShortKey(key.len())) } else { Ok(Secret::new(key.to_vec())) })
        .collect()
}

impl Mint {
    /// Stores keys that the configuration brought along, so that they have a record and die like any other token. A key
    /// that was revoked stays revoked, whatever the configuration says.
    ///
    /// # Errors
    /// [`Refused`] for a key that is too short to be one.
    pub async fn register_keys(&self, keys: &[BroughtKey], owner: NewOwner) -> Result<(), Refused> {
        if keys.is_empty() {
            return Ok(());
        }
        let owner_id = self.store.ensure_owner(owner).await?;
        for BroughtKey { secret: key, place } in keys {
            if key.len() < MIN_KEY_LEN {
                return Err(Refused::BadOrder(format!("an API key has at least {MIN_KEY_LEN} characters")));
            }
            let sha256 = text_sha256(key);
            if self.store.own_tokens_by_hash(&[sha256]).await?.iter().any(Option::is_some) {
                continue;
            }
            // Named by its hash: the text of somebody else's key is shown nowhere, not even its end.
            let [a, b, c, d, ..] = sha256;
            let name = format!("{:08x}", u32::from_be_bytes([a, b, c, d]));
            let id = TokenId::generate(self.clock.now());
            let token = NewOwnToken {
                created_by: CONFIGURED.into(),
                ..NewOwnToken::new(
                    id,
                    OwnTokenKind::Key,
                    owner_id,
                    format!("key {name} of {}", place.chars().filter(|c| !c.is_control()).take(60).collect::<String>()),
                    sha256,
                )
            };
            self.store.insert_own_token(token, u32::MAX, None).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_as_people_write_it() {
        let (one, two) = ("a".repeat(32), "b".repeat(43));
        let keys = |text: &str| brought_along(&Secret::new(text.into()));
        let read = keys(&format!(" {one} , ,{two}\r\n,\n")).expect("two keys");
        assert!(read.len() == 2 && read[0].expose() == one.as_bytes() && read[1].expose() == two.as_bytes());
        assert!(keys(" , ,").expect("none").is_empty());
        assert_eq!(keys(&format!("{one},short")).err(), Some(ShortKey(5)));
    }
}
