//! `[kind.NAME]`: formats of tokens that are not in the catalogue, because they are this installation's own.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::issuer::{NAME_HINT, is_name};
use super::layers::{Layers, Section};
use crate::token::catalogue::{self, Check, Proof};
use crate::token::checksum::{Algorithm, Identifier};
use crate::token::shape::BadShape;

/// The installation's own kinds by name.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Kinds(BTreeMap<String, Kind>);

/// One kind of token.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Kind {
    /// What people call it.
    pub name: String,
    /// Who issues it, for people.
    pub issuer: String,
    /// What it looks like, such as `acme_{b62:32}`.
    pub shape: String,
    pub checksum: Option<Checksum>,
}

/// The rule by which a token proves itself. A text that breaks it is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Checksum {
    /// CRC-32 of everything before it, in base62.
    #[serde(rename = "crc32-base62-over-prefix-and-random")]
    Base62PrefixRandom,
    /// CRC-32 of the random part, in base62.
    #[serde(rename = "crc32-base62-over-random")]
    Base62Random,
    /// CRC-32 of everything before it, in hexadecimal.
    #[serde(rename = "crc32-hex-over-prefix-and-random")]
    HexPrefixRandom,
    /// CRC-32 of the random part, in hexadecimal.
    #[serde(rename = "crc32-hex-over-random")]
    HexRandom,
    /// The token is a macaroon of version 2.
    MacaroonV2,
}

impl Kinds {
    /// The kinds as the recognizer takes them. Those that are refused by the section's check are left out.
    pub fn all(&self) -> impl Iterator<Item = catalogue::Kind> {
        self.0.iter().filter_map(|(id, kind)| kind.own(id).ok())
    }

    pub(super) fn has(&self, id: &str) -> bool {
        self.0.contains_key(id)
    }
}

impl Section for Kinds {
    fn rebase(&mut self, _folder: &Path) {}

    fn read_environment(&mut self, _layers: &mut Layers) {}

    fn check(&self, layers: &mut Layers) {
        for (id, kind) in &self.0 {
            let key = format!("kind.{id}");
            if !is_name(id) {
                layers.refuse(&key, "not a name for a kind of token", NAME_HINT);
            }
            if id.starts_with("stanch-") || catalogue::builtin().iter().any(|known| known.id == id.as_str()) {
                layers.refuse(
                    &key,
                    "the catalogue has a kind of this name",
                    "choose another name, or use the catalogue's",
                );
            }
            if kind.name.trim().is_empty() {
                layers.refuse(&format!("{key}.name"), "missing", "say what owners call it, such as `Acme API token`");
            }
            if let Err(BadShape(why)) = kind.own(id) {
                layers.refuse(
                    &format!("{key}.shape"),
                    why,
                    "write it like `acme_{b62:32}`; docs/configuration.md has the grammar",
                );
            }
        }
    }
}

impl Kind {
    fn own(&self, id: &str) -> Result<catalogue::Kind, BadShape> {
        let check = self.checksum.map(|checksum| Check { algorithm: checksum.algorithm(), proof: Proof::Proved });
        catalogue::Kind::own(id, &self.issuer, &self.name, &self.shape, check)
    }
}

impl Checksum {
    fn algorithm(self) -> Algorithm {
        match self {
            Self::Base62PrefixRandom => Algorithm::Crc32Base62PrefixRandom,
            Self::Base62Random => Algorithm::Crc32Base62Random,
            Self::HexPrefixRandom => Algorithm::Crc32HexPrefixRandom,
            Self::HexRandom => Algorithm::Crc32HexRandom,
            Self::MacaroonV2 => Algorithm::MacaroonV2 { identifier: Identifier::Any },
        }
    }
}
