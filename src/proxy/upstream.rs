//! Upstreams: whose API stands behind the proxy, how it is reached, and what of it may be given away.
//!
//! An upstream is fixed by the configuration; nothing in a request chooses a host. Its addresses are checked between
//! resolving and connecting, as an issuer's are ([`crate::address`]).

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Url, redirect};
use serde_json::Value;
use zeroize::Zeroizing;

use super::grant::GrantRule;
use super::path::Canonical;
use super::policy::{BadRule, Form, Rule};
use crate::address::{self, PublicOnly};
use crate::mint::legacy::REGEX;
use crate::token::Secret;

/// An upstream and the terms on which it is used.
pub struct Upstream {
    pub name: String,
    pub root: Url,
    /// What stands in the root's place for clients, without a slash at the end.
    pub here: String,
    pub credential: CredentialForm,
    pub scopes: BTreeMap<String, Scope>,
    pub limits: Limits,
    /// Headers that are not sent on, besides those that never are.
    pub strip_headers: Vec<HeaderName>,
    /// Parameters of the query that are not sent on.
    pub strip_query: Vec<String>,
    /// Whether policies may hold regular expressions.
    pub legacy_patterns: bool,
    pub(super) client: reqwest::Client,
}

/// An upstream as it is configured.
pub struct Settings {
    pub name: String,
    pub root: Url,
    pub here: String,
    pub credential: CredentialForm,
    pub scopes: BTreeMap<String, Scope>,
    pub limits: Limits,
    pub strip_headers: Vec<HeaderName>,
    pub strip_query: Vec<String>,
    pub legacy_patterns: bool,
    pub allow_http: bool,
    pub allow_private: bool,
}

/// How much, and how long.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub max_request_bytes: u64,
    pub max_answer_bytes: u64,
    pub connect_timeout: Duration,
    /// Longest time to the head of the answer.
    pub answer_timeout: Duration,
    /// Longest silence within the answer.
    pub idle_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_request_bytes: 64 * 1_024 * 1_024,
            max_answer_bytes: 1_024 * 1_024 * 1_024,
            connect_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_mins(1),
            idle_timeout: Duration::from_mins(1),
        }
    }
}

/// Where the credential stands in a request: `Authorization: Bearer {}`.
#[derive(Clone, Debug)]
pub struct CredentialForm {
    pub header: HeaderName,
    pub before: String,
    pub after: String,
    /// Whether the credential is written in base64, as `user:password` is for Basic.
    pub base64: bool,
}

/// A named part of what an upstream can do.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    pub allow: Vec<Rule>,
    pub grants: Vec<GrantRule>,
}

/// What one token may ask of its upstream.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    pub rules: Vec<Rule>,
    pub scopes: Vec<String>,
}

/// Why an upstream cannot be used as it is configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUpstream {
    #[error("the root is not a public address; `allow_private = true` permits it")]
    Private,
    #[error("the root is not an https address; `allow_http = true` permits http")]
    Plain,
    #[error("the root holds more than a scheme, a host and a path")]
    Root,
    #[error("this machine has no trusted certificates")]
    Trust,
}

/// Why a policy is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPolicy {
    #[error("it allows nothing")]
    Empty,
    #[error("it is not an object with lists of texts in `allow` and `scopes`")]
    Form,
    #[error("entry {0}: {1}")]
    Rule(usize, #[source] BadRule),
    #[error("the upstream has no scope of that name")]
    Scope,
    #[error("it has more entries than a policy may have")]
    TooMany,
}

/// Most entries of a policy.
const MAX_ENTRIES: usize = 100;

impl Upstream {
    /// # Errors
    /// When the root is one that must not be reached.
    pub fn new(settings: Settings) -> Result<Self, BadUpstream> {
        let Settings { name, root, here, credential, scopes, limits, .. } = settings;
        let plain = root.query().is_none() && root.fragment().is_none() && root.username().is_empty();
        let canonical = Canonical::parse(root.path()).is_ok() || root.path() == "/";
        if !plain || !canonical || !root.has_host() || root.password().is_some() {
            return Err(BadUpstream::Root);
        }
        if root.scheme() != "https" && !(settings.allow_http && root.scheme() == "http") {
            return Err(BadUpstream::Plain);
        }
        if !settings.allow_private && !address::literal_is_public(&root) {
            return Err(BadUpstream::Private);
        }
        // The client panics without a process-wide provider; whoever installs one first wins, and all are ring.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .referer(false)
            // A proxy would resolve the name for us, behind the check of addresses.
            .no_proxy()
            .https_only(!settings.allow_http)
            .connect_timeout(limits.connect_timeout)
            .read_timeout(limits.idle_timeout);
        if !settings.allow_private {
            builder = builder.dns_resolver(PublicOnly);
        }
        if root.scheme() == "http" {
            // No TLS is spoken, so a machine without trusted certificates need not be refused.
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().map_err(|_| BadUpstream::Trust)?;
        let (strip_headers, strip_query) = (settings.strip_headers, settings.strip_query);
        let legacy_patterns = settings.legacy_patterns;
        Ok(Self { name, root, here, credential, scopes, limits, strip_headers, strip_query, legacy_patterns, client })
    }

    /// Reads a policy as a token's record holds it. A scope that is configured no longer allows nothing.
    ///
    /// # Errors
    /// When it cannot be read; then the token opens nothing.
    pub fn policy(&self, stored: &Value) -> Result<Policy, BadPolicy> {
        let list = |name: &str| -> Result<Vec<String>, BadPolicy> {
            let Some(value) = stored.get(name) else { return Ok(Vec::new()) };
            let entries = value.as_array().ok_or(BadPolicy::Form)?;
            let texts = entries.iter().map(|entry| entry.as_str().map(str::to_owned).ok_or(BadPolicy::Form));
            texts.collect()
        };
        let (allow, scopes) = (list("allow")?, list("scopes")?);
        if allow.len() + scopes.len() > MAX_ENTRIES {
            return Err(BadPolicy::TooMany);
        }
        if allow.is_empty() && scopes.is_empty() {
            return Err(BadPolicy::Empty);
        }
        if stored.get(REGEX) == Some(&Value::Bool(true)) {
            // magic-api-proxy took whatever it was given. An entry that cannot be read opens nothing, and closes nothing.
            let rules = allow.iter().filter_map(|text| Rule::parse(text, Form::Legacy).ok());
            return Ok(Policy { rules: rules.collect(), scopes });
        }
        let form = if self.legacy_patterns { Form::Legacy } else { Form::Segments };
        let rules = allow.iter().enumerate();
        let rules = rules.map(|(index, text)| Rule::parse(text, form).map_err(|why| BadPolicy::Rule(index + 1, why)));
        Ok(Policy { rules: rules.collect::<Result<_, _>>()?, scopes })
    }

    /// As [`policy`](Self::policy), for one that is to be stored: its scopes must exist.
    ///
    /// # Errors
    /// When the policy cannot be read, or names a scope that is not configured.
    pub fn new_policy(&self, wanted: &Value) -> Result<Policy, BadPolicy> {
        // How an old token's policy is written is not for new ones to choose.
        if wanted.get(REGEX).is_some() {
            return Err(BadPolicy::Form);
        }
        let policy = self.policy(wanted)?;
        let known = policy.scopes.iter().all(|name| self.scopes.contains_key(name));
        if known { Ok(policy) } else { Err(BadPolicy::Scope) }
    }

    /// Whether a credential can be shown to this upstream.
    pub fn takes(&self, credential: &Secret) -> bool {
        self.credential.value(credential.expose()).is_some()
    }

    /// Whether the policy, by itself or by one of its scopes, opens this request.
    pub fn allows(&self, policy: &Policy, method: &str, path: &Canonical) -> bool {
        let of_scopes = policy.scopes.iter().filter_map(|name| self.scopes.get(name)).flat_map(|scope| &scope.allow);
        policy.rules.iter().chain(of_scopes).any(|rule| rule.allows(method, path))
    }

    /// The grant rules of the policy's scopes.
    pub fn grant_rules<'u>(&'u self, policy: &'u Policy) -> impl Iterator<Item = &'u GrantRule> {
        policy.scopes.iter().filter_map(|name| self.scopes.get(name)).flat_map(|scope| &scope.grants)
    }

    /// The address of a path and a query at the upstream; none if the parser of URLs read it in another way than we did.
    pub fn address(&self, path: &Canonical, query: Option<&str>) -> Option<Url> {
        let whole = format!("{}{}", self.root.path().trim_end_matches('/'), path.encoded());
        let mut url = self.root.clone();
        url.set_path(&whole);
        let query = query.map(|query| super::path::without_parameters(query, &self.strip_query));
        url.set_query(query.as_deref().filter(|query| !query.is_empty()));
        let as_meant = url.path() == whole && url.origin() == self.root.origin();
        as_meant.then_some(url)
    }
}

impl CredentialForm {
    /// `Authorization: Bearer …`.
    pub fn bearer() -> Self {
        let (before, after) = ("Bearer ".to_owned(), String::new());
        Self { header: reqwest::header::AUTHORIZATION, before, after, base64: false }
    }

    /// The header's value for a credential; none if it holds a byte that cannot stand in a header.
    pub fn value(&self, credential: &[u8]) -> Option<(HeaderValue, Zeroizing<Vec<u8>>)> {
        use base64::Engine as _;
        let shown = if self.base64 {
            Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(credential).into_bytes())
        } else {
            Zeroizing::new(credential.to_vec())
        };
        let text = Zeroizing::new([self.before.as_bytes(), &shown, self.after.as_bytes()].concat());
        let mut value = HeaderValue::from_bytes(&text).ok()?;
        value.set_sensitive(true);
        Some((value, text))
    }
}
