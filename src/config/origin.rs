//! `[origin.NAME]`: who may report leaked tokens, and how each of them signs.
//!
//! GitHub is built in: `[origin.github]` changes its terms, or switches it off. Any other name is a reporter that
//! speaks the same protocol under other headers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use reqwest::Url;
use reqwest::header::HeaderName;
use serde::{Deserialize, Serialize};

use super::environment::{Environment, Variable};
use super::human::Span;
use super::issuer::{NAME_HINT, is_name};
use super::layers::{Layers, Section, rebase};
use super::problem::{Place, Problem};
use super::secret;
use crate::incident::drill;
use crate::intake::{self, Base64Form, KeyId, PublicKey, TokenForm};

/// A token that raises GitHub's limit on fetches of its keys; it needs no right at all. Effect: as
/// `origin.github.token_env` naming this variable.
pub const GITHUB_TOKEN: Variable = Variable { name: "STANCH_GITHUB_TOKEN", key: "origin.github.token_env" };

/// A file that holds that token. Effect: `origin.github.token_file`.
pub const GITHUB_TOKEN_FILE: Variable = Variable { name: "STANCH_GITHUB_TOKEN_FILE", key: "origin.github.token_file" };

/// `off`, `hash` or `raw`. Default: `off`. Effect: `origin.github.feedback`.
pub const GITHUB_FEEDBACK: Variable = Variable { name: "STANCH_GITHUB_FEEDBACK", key: "origin.github.feedback" };

const GITHUB: &str = "github";

/// The origins by name.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Origins(BTreeMap<String, Origin>);

/// One reporter and the terms of its agreement.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Origin {
    pub enabled: bool,
    pub key_id_header: Option<String>,
    pub signature_header: Option<String>,
    /// Where the reporter publishes its keys.
    pub key_url: Option<String>,
    /// Keys that were handed over by other means: PEM files by the id of their key.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub key_files: BTreeMap<String, PathBuf>,
    pub token_file: Option<PathBuf>,
    pub token_env: Option<String>,
    pub feedback: Feedback,
    pub base64: Base64,
    pub decide_within: Span,
    pub key_timeout: Span,
    pub key_ttl: Span,
    pub stale_limit: Span,
    pub noncurrent_grace: Span,
}

/// What the reporter is told about its reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Feedback {
    /// Labels that name a token by its SHA-256.
    Hash,
    #[default]
    Off,
    /// Labels that carry the token itself.
    Raw,
}

/// How strictly signatures are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Base64 {
    Lenient,
    #[default]
    Strict,
}

/// GitHub alone.
impl Default for Origins {
    fn default() -> Self {
        Self(BTreeMap::from([(GITHUB.to_owned(), Origin::default())]))
    }
}

/// The usual terms.
impl Default for Origin {
    fn default() -> Self {
        Self {
            enabled: true,
            key_id_header: None,
            signature_header: None,
            key_url: None,
            key_files: BTreeMap::new(),
            token_file: None,
            token_env: None,
            feedback: Feedback::Off,
            base64: Base64::Strict,
            decide_within: Span::seconds(2),
            key_timeout: Span::seconds(5),
            key_ttl: Span::seconds(3_600),
            stale_limit: Span::days(7),
            noncurrent_grace: Span::days(1),
        }
    }
}

impl Origins {
    /// The reporters that are heard.
    pub fn enabled(&self) -> impl Iterator<Item = (&str, &Origin)> {
        self.0.iter().filter(|(_, origin)| origin.enabled).map(|(name, origin)| (name.as_str(), origin))
    }

    /// The reporters as intake takes them; opens keys and tokens.
    ///
    /// # Errors
    /// When a key or a token cannot be read.
    pub fn settings(&self, environment: &Environment) -> Result<Vec<intake::Origin>, Problem> {
        self.enabled().map(|(name, origin)| origin.settings(name, environment)).collect()
    }

    /// Fills in what is known of GitHub (<https://docs.github.com/code-security/secret-scanning/secret-scanning-partner-program>).
    pub(super) fn complete(&mut self) {
        let github = self.0.entry(GITHUB.into()).or_default();
        let known = |value: &mut Option<String>, text: &str| {
            value.get_or_insert_with(|| text.to_owned());
        };
        known(&mut github.key_id_header, "GitHub-Public-Key-Identifier");
        known(&mut github.signature_header, "GitHub-Public-Key-Signature");
        known(&mut github.key_url, "https://api.github.com/meta/public_keys/secret_scanning");
    }
}

impl Section for Origins {
    fn rebase(&mut self, folder: &Path) {
        for origin in self.0.values_mut() {
            rebase(origin.token_file.as_mut(), folder);
            origin.key_files.values_mut().for_each(|file| rebase(Some(file), folder));
        }
    }

    fn read_environment(&mut self, layers: &mut Layers) {
        let github = self.0.entry(GITHUB.into()).or_default();
        layers.set(&GITHUB_FEEDBACK, &mut github.feedback);
        if layers.set_some(&GITHUB_TOKEN_FILE, &mut github.token_file) {
            github.token_env = None;
        }
        if layers.set_credential(&GITHUB_TOKEN, &mut github.token_env) && !layers.is_set(&GITHUB_TOKEN_FILE) {
            github.token_file = None;
        }
    }

    fn check(&self, layers: &mut Layers) {
        let mut headers: BTreeMap<(String, String), &str> = BTreeMap::new();
        for (name, origin) in &self.0 {
            let key = format!("origin.{name}");
            if !is_name(name) {
                layers.refuse(&key, "not a name for an origin", NAME_HINT);
            }
            if name == drill::ORIGIN {
                layers.refuse(&key, "the name under which stanch reports to itself", "choose another name");
            }
            origin.check(&key, layers);
            // A delivery is told apart by its headers alone.
            let pair =
                [&origin.key_id_header, &origin.signature_header].map(|header| header.clone().unwrap_or_default());
            let [id, signature] = pair.map(|header| header.to_ascii_lowercase());
            let taken = headers.insert((id, signature), name).filter(|_| origin.enabled);
            if let Some(other) = taken.filter(|other| self.0.get(*other).is_some_and(|other| other.enabled)) {
                let hint = "give each origin headers of its own, or switch one off with `enabled = false`";
                layers.refuse(
                    &format!("{key}.key_id_header"),
                    format!("the origin `{other}` has the same headers"),
                    hint,
                );
            }
        }
    }
}

impl Origin {
    fn settings(&self, name: &str, environment: &Environment) -> Result<intake::Origin, Problem> {
        let refused = |key: &str, message: &str| {
            let key = format!("origin.{name}.{key}");
            Problem::new(Place::Key(key), message, "correct it; docs/configuration.md tells what it takes")
        };
        let header = |key: &str, header: &Option<String>| {
            let header = HeaderName::from_bytes(header.as_deref().unwrap_or_default().as_bytes());
            header.map_err(|_| refused(key, "not the name of a header"))
        };
        let mut origin = intake::Origin::new(
            name,
            header("key_id_header", &self.key_id_header)?,
            header("signature_header", &self.signature_header)?,
        );
        if let Some(url) = &self.key_url {
            let url = Url::parse(url).map_err(|_| refused("key_url", "not an address"))?;
            let token = secret::read(self.token_file.as_deref(), self.token_env.as_deref(), environment)?;
            origin.key_endpoint = Some(intake::KeyEndpoint { url, token, timeout: self.key_timeout.0 });
        }
        for (id, path) in &self.key_files {
            let id =
                KeyId::parse(id).map_err(|_| refused("key_files", "the id of a key holds other than plain letters"))?;
            origin.static_keys.push((id, public_key(path)?));
        }
        origin.base64 = match self.base64 {
            Base64::Lenient => Base64Form::Lenient,
            Base64::Strict => Base64Form::Strict,
        };
        origin.feedback = match self.feedback {
            Feedback::Hash => intake::Feedback::On(TokenForm::Hash),
            Feedback::Off => intake::Feedback::Off,
            Feedback::Raw => intake::Feedback::On(TokenForm::Raw),
        };
        origin.noncurrent_grace = self.noncurrent_grace.0;
        origin.key_ttl = self.key_ttl.0;
        origin.stale_limit = self.stale_limit.0;
        origin.decide_budget = self.decide_within.0;
        Ok(origin)
    }

    fn check(&self, key: &str, layers: &mut Layers) {
        let within = |name: &str| format!("{key}.{name}");
        for (name, header) in [("key_id_header", &self.key_id_header), ("signature_header", &self.signature_header)] {
            match header.as_deref().map(|header| HeaderName::from_bytes(header.as_bytes())) {
                Some(Ok(_)) => {}
                Some(Err(_)) => {
                    layers.refuse(&within(name), "not the name of a header", "write it as the reporter does");
                }
                None => layers.refuse(&within(name), "missing", "name the header as the reporter's documentation does"),
            }
        }
        if self.key_url.is_none() && self.key_files.is_empty() {
            let hint = "set `key_url`, or name the keys in `key_files`";
            layers.refuse(key, "no key to check signatures with", hint);
        }
        if self.key_url.as_deref().is_some_and(|url| !is_trustworthy(url)) {
            let hint = "use an https address: whoever can change the key list can sign anything";
            layers.refuse(&within("key_url"), "not an https address", hint);
        }
        let token = self.token_file.is_some() || self.token_env.is_some();
        if self.token_file.is_some() && self.token_env.is_some() {
            layers.refuse(&within("token_env"), "set beside `token_file`", "keep one of the two");
        }
        if token && self.key_url.is_none() {
            let name = if self.token_file.is_some() { "token_file" } else { "token_env" };
            layers.refuse(
                &within(name),
                "set without a `key_url`",
                "the token is shown where the keys are fetched; drop it",
            );
        }
        let limits = [
            // The answer must be out before the reporter hangs up, whose shortest known limit is 15 seconds.
            ("decide_within", self.decide_within, Span::seconds(0), Span::seconds(10)),
            ("key_timeout", self.key_timeout, Span::seconds(1), Span::seconds(20)),
            ("key_ttl", self.key_ttl, Span::seconds(60), Span::days(1)),
            ("stale_limit", self.stale_limit, Span::seconds(60), Span::days(30)),
            ("noncurrent_grace", self.noncurrent_grace, Span::seconds(0), Span::days(30)),
        ];
        for (name, span, least, most) in limits {
            layers.check_span(&within(name), span, least, most);
        }
    }
}

fn public_key(path: &Path) -> Result<PublicKey, Problem> {
    let pem = secret::read_public(path)?;
    PublicKey::from_pem(&String::from_utf8_lossy(&pem)).map_err(|error| {
        let hint = "ask the reporter for its key as a file that begins with `-----BEGIN PUBLIC KEY-----`";
        Problem::new(Place::Named(path.to_owned()), error.to_string(), hint)
    })
}

/// An encrypted address, or this machine.
fn is_trustworthy(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let local = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
    url.has_host() && (url.scheme() == "https" || (url.scheme() == "http" && local))
}

/// No word for feedback.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is none of `off`, `hash` and `raw`")]
pub struct UnknownFeedback(String);

impl FromStr for Feedback {
    type Err = UnknownFeedback;

    fn from_str(word: &str) -> Result<Self, UnknownFeedback> {
        match word {
            "hash" => Ok(Self::Hash),
            "off" => Ok(Self::Off),
            "raw" => Ok(Self::Raw),
            other => Err(UnknownFeedback(other.chars().take(32).collect())),
        }
    }
}
