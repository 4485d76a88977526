//! `[issuer.…]`: who can say whether a token lives, and kill it.
//!
//! `[issuer.builtin]` is the issuer that stanch brings along. Every other name is an issuer elsewhere: the kinds of token
//! it claims, what it can bear, and one table for the mechanism by which it is reached.

mod builtin;
mod http;
mod request;

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::path::Path;

pub use builtin::{API_KEYS, API_KEYS_FILE, Builtin, PREFIX};
pub use http::{Authentication, Http, Preset};
pub use request::{Fields, Inactive, Method, Revoke, Verify};
use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::human::Span;
use super::layers::{Layers, Section};
use crate::issuer::GuardSettings;
use crate::token::KindId;

const BUILTIN: &str = "builtin";

/// The issuers by name.
#[derive(Clone, Default)]
pub struct Issuers {
    pub builtin: Builtin,
    pub elsewhere: BTreeMap<String, Elsewhere>,
}

/// An issuer elsewhere.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Elsewhere {
    /// Kinds of the catalogue whose tokens it issues.
    pub kinds: Vec<String>,
    pub concurrency: NonZeroU32,
    pub per_second: NonZeroU32,
    pub burst: NonZeroU32,
    /// Longest wait for one of the `concurrency` places.
    pub queue: Span,
    /// Longest time for one operation, all its requests together.
    pub operation_timeout: Span,
    pub http: Option<Http>,
}

impl Default for Elsewhere {
    fn default() -> Self {
        let guard = GuardSettings::default();
        Self {
            kinds: Vec::new(),
            concurrency: guard.concurrency,
            per_second: guard.per_second,
            burst: guard.burst,
            queue: Span(guard.queue_for),
            operation_timeout: Span(guard.timeout),
            http: None,
        }
    }
}

impl Elsewhere {
    /// What it can bear.
    pub fn guard(&self) -> GuardSettings {
        GuardSettings {
            concurrency: self.concurrency,
            per_second: self.per_second,
            burst: self.burst,
            queue_for: self.queue.0,
            timeout: self.operation_timeout.0,
            ..GuardSettings::default()
        }
    }

    pub fn kinds(&self) -> impl Iterator<Item = KindId> {
        self.kinds.iter().map(|name| KindId::new(name))
    }

    fn check(&self, key: &str, layers: &mut Layers) {
        if self.kinds.is_empty() {
            let hint = "list the kinds of token it issues, such as `kinds = [\"pypi-api-token\"]`";
            layers.refuse(&format!("{key}.kinds"), "no kind is claimed", hint);
        }
        match &self.http {
            Some(http) => http.check(&format!("{key}.http"), layers),
            None => layers.refuse(key, "says nothing about how the issuer is reached", format!("add `[{key}.http]`")),
        }
    }
}

impl Section for Issuers {
    fn rebase(&mut self, folder: &Path) {
        self.builtin.rebase(folder);
        self.elsewhere.values_mut().filter_map(|each| each.http.as_mut()).for_each(|http| http.rebase(folder));
    }

    fn read_environment(&mut self, layers: &mut Layers) {
        self.builtin.read_environment(layers);
    }

    fn check(&self, layers: &mut Layers) {
        self.builtin.check(layers);
        let mut claimed: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, issuer) in &self.elsewhere {
            let key = format!("issuer.{name}");
            if !is_name(name) {
                layers.refuse(&key, "not a name for an issuer", NAME_HINT);
            }
            issuer.check(&key, layers);
            for kind in &issuer.kinds {
                if let Some(other) = claimed.insert(kind, name) {
                    let message = format!("the kind `{kind}` is claimed by `{other}` already");
                    layers.refuse(
                        &format!("{key}.kinds"),
                        message,
                        "a kind has one issuer: drop it from one of the two",
                    );
                }
            }
        }
    }
}

pub(super) const NAME_HINT: &str = "use up to 32 small letters, digits and `-`, a letter first";

/// Names stand in the database, in metrics and in the address of pages.
pub(super) fn is_name(name: &str) -> bool {
    name.len() <= 32
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

impl Serialize for Issuers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.elsewhere.len() + 1))?;
        map.serialize_entry(BUILTIN, &self.builtin)?;
        self.elsewhere.iter().try_for_each(|(name, issuer)| map.serialize_entry(name, issuer))?;
        map.end()
    }
}

/// By hand: the type of an entry depends on its name, and serde's own ways to say so lose the line of a mistake.
impl<'de> Deserialize<'de> for Issuers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ByName;

        impl<'de> Visitor<'de> for ByName {
            type Value = Issuers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one table for each issuer, such as `[issuer.builtin]`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Issuers, A::Error> {
                let mut issuers = Issuers::default();
                while let Some(name) = map.next_key::<String>()? {
                    if name == BUILTIN {
                        issuers.builtin = map.next_value()?;
                    } else {
                        issuers.elsewhere.insert(name, map.next_value()?);
                    }
                }
                Ok(issuers)
            }
        }

        deserializer.deserialize_map(ByName)
    }
}
