//! What the built-in issuer's tokens look like here, and what it hands out.

use std::time::Duration;

use super::{OldKeys, Prefix};

/// How tokens are told apart and checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What personal access tokens, keys and magic tokens begin with.
    pub prefix: Prefix,
    /// What stands before the `-` of macaroons.
    pub macaroon_prefix: String,
    /// The location that macaroons carry.
    pub location: String,
    /// How long what was read about a token may be believed without asking the database. What this process changes is
    /// believed at once; this is how long a change made elsewhere may go unnoticed.
    pub cache_for: Duration,
    /// SHA-256 of the keys that the configuration names. One that it names no longer is not accepted.
    pub configured_keys: Vec<[u8; 32]>,
    /// Whether tokens that another program made were taken over. They may begin as ours do, and have no checksum.
    pub has_foreign: bool,
    /// Keys under which magic-api-proxy gave out tokens.
    pub old_keys: OldKeys,
    pub limits: Limits,
}

/// What may be handed out.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How long a token lives for which nobody said so; none for ever.
    pub default_life: Option<Duration>,
    /// A magic token holds somebody's credential and never lives for ever by default.
    pub default_magic_life: Duration,
    /// Longest life; none for no bound, and only then may a token live for ever.
    pub max_life: Option<Duration>,
    /// Living tokens of one owner.
    pub max_per_owner: u32,
}

impl Settings {
    pub fn new(prefix: Prefix) -> Self {
        Self {
            macaroon_prefix: prefix.as_str().to_owned(),
            location: prefix.as_str().to_owned(),
            prefix,
            cache_for: Duration::from_secs(1),
            configured_keys: Vec::new(),
            has_foreign: false,
            old_keys: OldKeys::default(),
            limits: Limits::default(),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::new(Prefix::default())
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            default_life: None,
            default_magic_life: Duration::from_hours(30 * 24),
            max_life: None,
            max_per_owner: 500,
        }
    }
}
