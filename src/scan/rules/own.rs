//! Kinds of an installation, as a file.
//!
//! ```toml
//! [[kind]]
//! id = "acme-token"
//! issuer = "Acme"
//! name = "deploy token"
//! shape = "acme_{b62:32}{b62:6:checksum}"
//! checksum = "crc32-base62-over-random"
//! severity = "critical"
//! ```
//!
//! The shape is written as in the catalogue. The file is data: nothing in it is run, and no regular expression is in it
//! that could take forever.

use serde::Deserialize;

use super::import::{self, Rules};

use crate::token::catalogue::{Check, Kind, Proof, Severity};
use crate::token::checksum::{Algorithm, Identifier};

/// Why a file of kinds is refused.
#[derive(Debug, thiserror::Error)]
pub enum BadRules {
    #[error("`{0}` is no checksum that is known")]
    Checksum(String),
    #[error("`{0}` cannot be the id of a kind: lower-case letters, digits and `-`")]
    Id(String),
    #[error("`{0}` is no severity: info, low, medium, high or critical")]
    Severity(String),
    #[error("the shape of `{id}` is not one: {why}")]
    Shape { id: String, why: String },
    #[error("not a file of kinds: {0}")]
    Syntax(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    kind: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    issuer: String,
    name: String,
    shape: String,
    checksum: Option<String>,
    severity: Option<String>,
}

/// Reads a file of kinds, or one of another scanner's rules.
pub fn read(text: &str) -> Result<Rules, BadRules> {
    let bad = |error: toml::de::Error| BadRules::Syntax(error.message().to_owned());
    let table: toml::Table = toml::from_str(text).map_err(bad)?;
    if import::is_theirs(&table) {
        return import::import(&table);
    }
    let file: File = toml::from_str(text).map_err(bad)?;
    let kinds = file.kind.into_iter().map(kind).collect::<Result<_, _>>()?;
    Ok(Rules { kinds, ..Rules::default() })
}

fn kind(entry: Entry) -> Result<Kind, BadRules> {
    let fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if entry.id.is_empty() || !entry.id.bytes().all(fine) {
        return Err(BadRules::Id(entry.id));
    }
    let check = entry.checksum.as_deref().map(check).transpose()?;
    let mut kind = Kind::own(&entry.id, &entry.issuer, &entry.name, &entry.shape, check)
        .map_err(|bad| BadRules::Shape { id: entry.id.clone(), why: bad.0 })?;
    if let Some(severity) = entry.severity {
        kind.severity = match severity.as_str() {
            "info" => Severity::Info,
            "low" => Severity::Low,
            "medium" => Severity::Medium,
            "high" => Severity::High,
            "critical" => Severity::Critical,
            _ => return Err(BadRules::Severity(severity)),
        };
    }
    Ok(kind)
}

fn check(name: &str) -> Result<Check, BadRules> {
    let algorithm = match name {
        "crc32-base36-over-all-before" => Algorithm::Crc32Base36Before,
        "crc32-base62-over-prefix-and-random" => Algorithm::Crc32Base62PrefixRandom,
        "crc32-base62-over-random" => Algorithm::Crc32Base62Random,
        "crc32-hex-over-prefix-and-random" => Algorithm::Crc32HexPrefixRandom,
        "crc32-hex-over-random" => Algorithm::Crc32HexRandom,
        "macaroon-v2" => Algorithm::MacaroonV2 { identifier: Identifier::Any },
        "xor-alnum" => Algorithm::XorAlnum,
        _ => return Err(BadRules::Checksum(name.to_owned())),
    };
    // Whoever writes the file issues the tokens, and knows the rule.
    Ok(Check { algorithm, proof: Proof::Proved })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_kinds_is_read_and_a_wrong_one_says_why() {
        let good = "[[kind]]\nid = \"acme-token\"\nissuer = \"Acme\"\nname = \"token\"\nshape = \"acme_{b62:20}\"\n";
        assert_eq!(read(good).expect("it is right").kinds[0].id, "acme-token");
        for (wrong, why) in [
            (good.replace("acme-token", "Acme"), "cannot be the id"),
            (good.replace("{b62:20}", "{b99:20}"), "no character set is named"),
            (format!("{good}checksum = \"md5\"\n"), "no checksum"),
            (format!("{good}severity = \"dire\"\n"), "no severity"),
            (format!("{good}regex = \".*\"\n"), "not a file of kinds"),
        ] {
            let told = read(&wrong).err().map(|bad| bad.to_string()).unwrap_or_default();
            assert!(told.contains(why), "{told:?} should say {why:?}");
        }
    }
}
