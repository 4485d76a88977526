//! Links with which an operator chooses a password: who may come in is said by an admin, the password by nobody else.

use std::time::Duration;

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use rand::TryRng as _;
use rand::rngs::SysRng;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::client;

/// How long such a link is good.
pub const LINK_LASTS: Duration = Duration::from_hours(72);

/// A fresh link. The database knows its hash alone.
pub struct Link {
    text: Zeroizing<String>,
    pub sha256: [u8; 32],
}

/// The operating system gives no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gives no random bytes")]
pub struct NoRandomness;

impl Link {
    /// # Errors
    /// When the operating system gives no random bytes.
    pub fn new() -> Result<Self, NoRandomness> {
        let mut bytes = Zeroizing::new([0; 32]);
        SysRng.try_fill_bytes(&mut *bytes).map_err(|_| NoRandomness)?;
        let text = Zeroizing::new(BASE64.encode(bytes.as_slice()));
        let sha256 = Self::sha256_of(&text);
        Ok(Self { text, sha256 })
    }

    /// What the database knows of a link's text.
    pub fn sha256_of(text: &str) -> [u8; 32] {
        Sha256::digest(text).into()
    }

    /// The link in full; `base` is the dashboard's address, without a slash at its end.
    pub fn url(&self, base: &str) -> String {
        format!("{base}/dashboard/welcome/{}", *self.text)
    }
}

/// Where operators find the dashboard: as it is configured, else as the request says.
pub fn base(configured: Option<&str>, headers: &HeaderMap) -> String {
    if let Some(url) = configured {
        return url.to_owned();
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let scheme = if client::is_loopback(host) { "http" } else { "https" };
    format!("{scheme}://{host}")
}
