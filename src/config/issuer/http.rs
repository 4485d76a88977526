//! `[issuer.NAME.http]`: an issuer that is reached over HTTP.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::super::environment::Environment;
use super::super::human::{Size, Span};
use super::super::layers::{Layers, rebase};
use super::super::problem::{Place, Problem};
use super::super::secret;
use super::request::{Revoke, Verify};
use crate::incident::IssuerName;
use crate::issuer::http::{Credential, Limits, Reach, Settings};
use crate::token::Secret;

/// How the issuer is reached.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Everything that is asked lies below this address.
    pub base_url: String,
    pub preset: Preset,
    pub authentication: Authentication,
    /// With `basic`.
    pub username: Option<String>,
    /// With `header`: the header's name.
    pub header: Option<String>,
    pub credential_file: Option<PathBuf>,
    pub credential_env: Option<String>,
    pub allow_http: bool,
    pub allow_private: bool,
    pub ca_file: Option<PathBuf>,
    pub connect_timeout: Span,
    /// For each request.
    pub timeout: Span,
    pub max_answer: Size,
    pub verify: Verify,
    pub revoke: Revoke,
}

/// What `verify` and `revoke` start from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// Nothing: every request is declared.
    #[default]
    None,
    /// Token introspection (RFC 7662) and token revocation (RFC 7009).
    OAuth,
}

/// How the issuer knows that it is us who ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Authentication {
    Basic,
    Bearer,
    Header,
    #[default]
    None,
}

impl Default for Http {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            base_url: String::new(),
            preset: Preset::None,
            authentication: Authentication::None,
            username: None,
            header: None,
            credential_file: None,
            credential_env: None,
            allow_http: false,
            allow_private: false,
            ca_file: None,
            connect_timeout: Span(limits.connect_timeout),
            timeout: Span(limits.timeout),
            max_answer: Size(limits.max_answer_bytes as u64),
            verify: Verify::default(),
            revoke: Revoke::default(),
        }
    }
}

impl Http {
    /// What the issuer is made from; opens its credential.
    ///
    /// # Errors
    /// When the credential or the certificates cannot be read.
    pub fn settings(&self, name: &str, environment: &Environment) -> Result<Settings, Problem> {
        let credential = self.credential(name, environment)?;
        let (verify, verify_answers) = self.verify.settings(self.preset);
        let (revoke, revoke_answers) = self.revoke.settings(self.preset);
        Ok(Settings {
            name: IssuerName::new(name),
            base_url: self.base_url.clone(),
            credential,
            verify,
            verify_answers,
            revoke,
            revoke_answers,
            limits: Limits {
                connect_timeout: self.connect_timeout.0,
                timeout: self.timeout.0,
                max_answer_bytes: usize::try_from(self.max_answer.0).unwrap_or(usize::MAX),
            },
            reach: Reach {
                allow_http: self.allow_http,
                allow_private: self.allow_private,
                certificates: self.ca_file.as_deref().map(secret::read_public).transpose()?,
            },
        })
    }

    pub(super) fn rebase(&mut self, folder: &Path) {
        rebase(self.credential_file.as_mut(), folder);
        rebase(self.ca_file.as_mut(), folder);
    }

    pub(super) fn check(&self, key: &str, layers: &mut Layers) {
        let within = |name: &str| format!("{key}.{name}");
        if self.base_url.is_empty() {
            layers.refuse(&within("base_url"), "missing", "name the address below which the issuer is asked");
        }
        self.check_authentication(key, layers);
        if self.preset == Preset::None {
            for (name, method, path) in
                [("verify", self.verify.method, &self.verify.path), ("revoke", self.revoke.method, &self.revoke.path)]
            {
                if method.is_none() || path.is_none() {
                    let hint = "say how the question is asked with `method` and `path`, or choose `preset = \"oauth\"`";
                    layers.refuse(&within(name), "not declared", hint);
                }
            }
        }
        self.verify.check(&within("verify"), layers);
        self.revoke.check(&within("revoke"), layers);
    }

    fn check_authentication(&self, key: &str, layers: &mut Layers) {
        let within = |name: &str| format!("{key}.{name}");
        let (needs_username, needs_header) =
            (self.authentication == Authentication::Basic, self.authentication == Authentication::Header);
        let credential = self.credential_file.is_some() || self.credential_env.is_some();
        if self.credential_file.is_some() && self.credential_env.is_some() {
            layers.refuse(&within("credential_env"), "set beside `credential_file`", "keep one of the two");
        }
        for (name, is_set, needed) in [
            ("username", self.username.is_some(), needs_username),
            ("header", self.header.is_some(), needs_header),
            ("credential_file", credential, self.authentication != Authentication::None),
        ] {
            if needed && !is_set {
                let message = format!("missing, and `authentication` is `{}`", self.authentication.word());
                layers.refuse(&within(name), message, "set it, or choose another `authentication`");
            }
            if is_set && !needed {
                let message = format!("set, but `authentication` is `{}`", self.authentication.word());
                let set =
                    if name == "credential_file" && self.credential_file.is_none() { "credential_env" } else { name };
                layers.refuse(&within(set), message, "choose the `authentication` that it belongs to, or drop it");
            }
        }
    }

    fn credential(&self, name: &str, environment: &Environment) -> Result<Credential, Problem> {
        let secret = secret::read(self.credential_file.as_deref(), self.credential_env.as_deref(), environment)?;
        let given = |secret: Option<Secret>| {
            secret.ok_or_else(|| {
                let place = Place::Key(format!("issuer.{name}.http.credential_file"));
                Problem::new(place, "missing", "name a file that holds the credential")
            })
        };
        let word = |text: &Option<String>| text.clone().unwrap_or_default();
        Ok(match self.authentication {
            Authentication::Basic => Credential::Basic { username: word(&self.username), password: given(secret)? },
            Authentication::Bearer => Credential::Bearer(given(secret)?),
            Authentication::Header => Credential::Header { name: word(&self.header), value: given(secret)? },
            Authentication::None => Credential::None,
        })
    }
}

impl Authentication {
    fn word(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Bearer => "bearer",
            Self::Header => "header",
            Self::None => "none",
        }
    }
}
