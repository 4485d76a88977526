//! `[issuer.builtin]`: the issuer that stanch brings along.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::environment::{Environment, Variable};
use crate::config::human::Span;
use crate::config::layers::{Layers, rebase};
use crate::config::problem::{Place, Problem};
use crate::config::secret;
use crate::issuer::builtin::{self, Policy};
use crate::mint::{self, BroughtKey, Limits, Prefix};
use crate::token::catalogue::Kind;
use crate::token::caveat::is_project_name;
use crate::token::shape::{BadShape, Part};
use crate::token::{Secret, macaroon, pat};

/// First part of the tokens that the built-in issuer mints. Default: `stanch`. Effect: `issuer.builtin.prefix`.
pub const PREFIX: Variable = Variable { name: "STANCH_TOKEN_PREFIX", key: "issuer.builtin.prefix" };

/// API keys that are accepted, parted by commas. Default: none. Effect: beside `issuer.builtin.api_keys_file`.
pub const API_KEYS: Variable = Variable { name: "STANCH_API_KEYS", key: "issuer.builtin.api_keys" };

/// A file with such keys, as container secrets are mounted. Default: none. Effect: `issuer.builtin.api_keys_file`.
pub const API_KEYS_FILE: Variable = Variable { name: "STANCH_API_KEYS_FILE", key: "issuer.builtin.api_keys_file" };

/// The issuer that stanch brings along.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Builtin {
    pub enabled: bool,
    pub prefix: String,
    /// What stands before the `-` of macaroons; the prefix if not set.
    pub macaroon_prefix: Option<String>,
    /// The location that macaroons carry; the prefix if not set.
    pub location: Option<String>,
    /// Shapes of tokens that another program minted and whose hashes were taken over.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub foreign_shapes: Vec<String>,
    pub leaked_child: LeakedChild,
    pub forged_macaroon: ForgedMacaroon,
    pub default_life: Option<Span>,
    pub default_magic_life: Span,
    pub max_life: Option<Span>,
    pub max_per_owner: u32,
    /// How long what was read about a token is believed.
    pub cache: Span,
    pub api_keys_file: Option<PathBuf>,
    /// Whom mail about those keys goes to; `mail.contact` if not set.
    pub api_keys_owner: Option<String>,
}

/// What is killed if a macaroon leaks that its bearer had narrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LeakedChild {
    Branch,
    Token,
}

/// What is done about a macaroon with one of our identifiers that we did not sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ForgedMacaroon {
    Record,
    Revoke,
}

impl Default for Builtin {
    fn default() -> Self {
        let mint::Settings { limits, cache_for, .. } = mint::Settings::default();
        Self {
            enabled: true,
            prefix: pat::PREFIX.into(),
            macaroon_prefix: None,
            location: None,
            foreign_shapes: Vec::new(),
            leaked_child: LeakedChild::Token,
            forged_macaroon: ForgedMacaroon::Record,
            default_life: limits.default_life.map(Span),
            default_magic_life: Span(limits.default_magic_life),
            max_life: limits.max_life.map(Span),
            max_per_owner: limits.max_per_owner,
            cache: Span(cache_for),
            api_keys_file: None,
            api_keys_owner: None,
        }
    }
}

impl Builtin {
    pub fn macaroon_prefix(&self) -> &str {
        self.macaroon_prefix.as_deref().unwrap_or(&self.prefix)
    }

    pub fn location(&self) -> &str {
        self.location.as_deref().unwrap_or(&self.prefix)
    }

    /// What tokens look like here and what may be handed out, without the keys that are brought along.
    ///
    /// # Errors
    /// When the prefix is none; `check` told it before.
    pub fn settings(&self) -> Result<mint::Settings, mint::pat::InvalidPrefix> {
        let prefix: Prefix = self.prefix.parse()?;
        Ok(mint::Settings {
            macaroon_prefix: self.macaroon_prefix().to_owned(),
            location: self.location().to_owned(),
            cache_for: self.cache.0,
            has_foreign: !self.foreign_shapes.is_empty(),
            limits: Limits {
                default_life: self.default_life.map(|span| span.0),
                default_magic_life: self.default_magic_life.0,
                max_life: self.max_life.map(|span| span.0),
                max_per_owner: self.max_per_owner,
            },
            ..mint::Settings::new(prefix)
        })
    }

    /// What a leak means for macaroons.
    pub fn policy(&self) -> Policy {
        Policy {
            leaked_child: match self.leaked_child {
                LeakedChild::Branch => builtin::LeakedChild::Branch,
                LeakedChild::Token => builtin::LeakedChild::Token,
            },
            forged: match self.forged_macaroon {
                ForgedMacaroon::Record => builtin::ForgedMacaroon::Record,
                ForgedMacaroon::Revoke => builtin::ForgedMacaroon::Revoke,
            },
        }
    }

    /// The kinds of tokens that another program minted.
    pub fn foreign_kinds(&self) -> Vec<Kind> {
        self.foreign_shapes.iter().filter_map(|shape| foreign(shape).ok()).collect()
    }

    /// The keys that the environment and the file bring along, parted by commas and lines, trimmed, empty ones left out.
    ///
    /// # Errors
    /// When the file cannot be read, or a key is too short to be one.
    pub fn api_keys(&self, environment: &Environment) -> Result<Vec<BroughtKey>, Problem> {
        let variable = environment.get(API_KEYS.name).map(|value| Secret::new(value.into()));
        let file = secret::read(self.api_keys_file.as_deref(), None, environment)?;
        let mut keys = Vec::new();
        let path = self.api_keys_file.clone().unwrap_or_default();
        let file_name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        for (list, place, told) in [
            (variable, Place::Environment(API_KEYS.name.into()), API_KEYS.name.to_owned()),
            (file, Place::Named(path), file_name),
        ] {
            let Some(list) = list else { continue };
            let read = mint::brought_along(&list).map_err(|short| {
                Problem::new(place, short.to_string(), "make one with `stanch token create --kind key`")
            })?;
            keys.extend(read.into_iter().map(|secret| BroughtKey { secret, place: told.clone() }));
        }
        Ok(keys)
    }

    pub(super) fn rebase(&mut self, folder: &Path) {
        rebase(self.api_keys_file.as_mut(), folder);
    }

    pub(super) fn read_environment(&mut self, layers: &mut Layers) {
        layers.set(&PREFIX, &mut self.prefix);
        layers.set_some(&API_KEYS_FILE, &mut self.api_keys_file);
    }

    pub(super) fn check(&self, layers: &mut Layers) {
        let refuse = |layers: &mut Layers, key: &str, message: &str, hint: &str| {
            layers.refuse(&format!("issuer.builtin.{key}"), message, hint);
        };
        // The prefix ends where the token's kind begins, and is found in running text.
        let hint = "use 2 to 32 small letters and digits, a letter first";
        for (key, prefix) in [("prefix", self.prefix.as_str()), ("macaroon_prefix", self.macaroon_prefix())] {
            if !crate::token::pat::is_prefix(prefix) && (key == "prefix" || self.macaroon_prefix.is_some()) {
                refuse(layers, key, "not a prefix of tokens", hint);
            }
        }
        if !macaroon::is_location(self.location()) {
            refuse(
                layers,
                "location",
                "not a location of macaroons",
                "use up to 100 visible characters, such as a domain",
            );
        }
        for shape in &self.foreign_shapes {
            if let Err(BadShape(why)) = foreign(shape) {
                refuse(layers, "foreign_shapes", &why, "write it like `ro_pat_{b62:32}`; see `[kind.NAME]`");
            }
        }
        if let (Some(default), Some(max)) = (self.default_life, self.max_life)
            && default > max
        {
            refuse(layers, "default_life", "longer than `max_life`", "shorten it");
        }
        if self.max_per_owner == 0 {
            refuse(layers, "max_per_owner", "nobody could have a token", "use at least 1");
        }
    }
}

/// The kind of a shape: named by the text it begins with.
fn foreign(shape: &str) -> Result<Kind, BadShape> {
    let parts = crate::token::shape::parse(shape)?;
    let Some(Part::Literal(begin)) = parts.first() else {
        return Err(BadShape("it begins with no text by which its tokens could be known".into()));
    };
    let name: String =
        begin.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let name = name.trim_matches('-').to_owned();
    if !is_project_name(&name) {
        return Err(BadShape("it begins with no letters or digits by which its kind could be named".into()));
    }
    Kind::own(&format!("stanch-foreign-{name}"), "built-in", "access token", shape, None)
}
