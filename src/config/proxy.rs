//! `[proxy]`: where the proxy listens; `[proxy.upstream.NAME]`: an API that magic tokens open a part of.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use reqwest::Url;
use reqwest::header::HeaderName;
use serde::{Deserialize, Serialize};

use super::environment::Variable;
use super::human::{Listen, Size, Span};
use super::issuer::{NAME_HINT, is_name};
use super::layers::{Layers, Section, rebase};
use super::problem::{Place, Problem};
use super::secret;
use crate::incident::EmailAddress;
use crate::mint::{OldKey, OldKeys};
use crate::proxy::{self, CredentialForm, Form, GrantRule, GrantText, Limits, Rule, Upstream};
use crate::token::Secret;

/// An address of its own for the magic proxy. Default: none, it shares the first. Effect: `proxy.listen`.
pub const LISTEN: Variable = Variable { name: "STANCH_PROXY_LISTEN", key: "proxy.listen" };

/// Where the proxy listens, and the upstreams by name.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Proxy {
    /// The proxy alone, kept away from the API.
    pub listen: Option<Listen>,
    /// With `listen`: the upstream that stands there at `/`.
    pub mount: Option<String>,
    pub upstream: BTreeMap<String, ProxyUpstream>,
}

/// One upstream.
#[expect(clippy::struct_excessive_bools, reason = "each is a key of its own in the file")]
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProxyUpstream {
    /// Where its API begins.
    pub root: String,
    /// The header that carries its credential.
    pub header: String,
    /// The header's value; `{}` is the credential.
    pub format: String,
    /// Whether the credential is written in base64, as `user:password` for Basic.
    pub base64: bool,
    /// Who may make magic tokens for it.
    pub minting: Minting,
    /// With `minting = "open"`: whom the tokens belong to.
    pub owner: Option<String>,
    pub strip_headers: Vec<String>,
    pub strip_query: Vec<String>,
    /// Whether policies hold regular expressions in place of paths.
    pub legacy_patterns: bool,
    pub allow_http: bool,
    pub allow_private: bool,
    pub connect_timeout: Span,
    pub answer_timeout: Span,
    pub idle_timeout: Span,
    pub max_request: Size,
    pub max_answer: Size,
    pub scope: BTreeMap<String, ProxyScope>,
    pub magic_api_proxy: Option<MagicApiProxy>,
}

/// The program that stood before the upstream until now, whose tokens go on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MagicApiProxy {
    /// Its RSA private key, in PEM.
    pub key_file: PathBuf,
    /// Whom mail about its tokens goes to.
    pub owner: String,
    /// How long its tokens live, from when they were issued; they may end earlier.
    pub max_life: Span,
}

/// Who may make magic tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Minting {
    /// Whoever holds the upstream's credential.
    Open,
    /// Whoever shows a token of ours with the scope `tokens:write`.
    #[default]
    Tokens,
}

/// A named part of what the upstream can do.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProxyScope {
    pub allow: Vec<String>,
    pub grant: Vec<ProxyGrant>,
}

/// A request that is allowed because of the answer to another.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProxyGrant {
    pub on: String,
    pub status: u16,
    /// JSON Pointer to the id in the answer.
    pub id: String,
    pub allow: String,
    pub lasts: Span,
}

impl Default for ProxyUpstream {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            root: String::new(),
            header: "Authorization".into(),
            format: "Bearer {}".into(),
            base64: false,
            minting: Minting::Tokens,
            owner: None,
            strip_headers: Vec::new(),
            // Some servers take another method from there.
            strip_query: vec!["_method".into()],
            legacy_patterns: false,
            allow_http: false,
            allow_private: false,
            connect_timeout: Span(limits.connect_timeout),
            answer_timeout: Span(limits.answer_timeout),
            idle_timeout: Span(limits.idle_timeout),
            max_request: Size(limits.max_request_bytes),
            max_answer: Size(limits.max_answer_bytes),
            scope: BTreeMap::new(),
            magic_api_proxy: None,
        }
    }
}

impl Default for MagicApiProxy {
    fn default() -> Self {
        // As long as that program lets them live.
        Self { key_file: PathBuf::new(), owner: String::new(), max_life: Span::days(5 * 365) }
    }
}

impl Default for ProxyGrant {
    fn default() -> Self {
        Self { on: String::new(), status: 201, id: "/id".into(), allow: String::new(), lasts: Span::days(1) }
    }
}

impl Proxy {
    /// The upstreams, ready to be used.
    ///
    /// # Errors
    /// A sentence on what is wrong; `check` has told it before.
    pub fn upstreams(&self) -> Result<Vec<Upstream>, String> {
        self.upstream.iter().map(|(name, upstream)| upstream.ready(name)).collect()
    }

    /// The keys of the programs whose tokens go on.
    ///
    /// # Errors
    /// When a key cannot be read, or two upstreams have the same.
    pub fn old_keys(&self) -> Result<OldKeys, Problem> {
        let mut keys: Vec<OldKey> = Vec::new();
        for (name, upstream) in &self.upstream {
            let Some(old) = &upstream.magic_api_proxy else { continue };
            let key = old.open(name)?;
            if let Some(other) = keys.iter().find(|other| other.is_same(&key)) {
                let message =
                    format!("upstream `{}` has the same key: nobody could tell whose a token is", other.upstream());
                let hint = "each of these programs had a key of its own; name that one";
                return Err(Problem::new(
                    Place::Key(format!("proxy.upstream.{name}.magic_api_proxy.key_file")),
                    message,
                    hint,
                ));
            }
            keys.push(key);
        }
        Ok(keys.into_iter().collect())
    }

    /// Whom the tokens belong to that anybody may make, by upstream.
    pub fn minting_owners(&self) -> BTreeMap<String, EmailAddress> {
        let open = self.upstream.iter().filter(|(_, upstream)| upstream.minting == Minting::Open);
        let owner = |upstream: &ProxyUpstream| EmailAddress::parse(upstream.owner.as_deref()?).ok();
        open.filter_map(|(name, upstream)| Some((name.clone(), owner(upstream)?))).collect()
    }
}

impl ProxyUpstream {
    fn ready(&self, name: &str) -> Result<Upstream, String> {
        let (before, after) = self.format.split_once("{}").ok_or("`format` has no `{}` for the credential")?;
        let header = |text: &str| {
            HeaderName::from_bytes(text.as_bytes()).map_err(|_| format!("`{text}` is not the name of a header"))
        };
        let mut scopes = BTreeMap::new();
        for (scope, text) in &self.scope {
            scopes.insert(scope.clone(), text.ready(scope, self.form())?);
        }
        let settings = proxy::Settings {
            name: name.to_owned(),
            root: Url::parse(&self.root).map_err(|_| "`root` is not an address")?,
            here: format!("/proxy/{name}"),
            credential: CredentialForm {
                header: header(&self.header)?,
                before: before.to_owned(),
                after: after.to_owned(),
                base64: self.base64,
            },
            scopes,
            limits: Limits {
                max_request_bytes: self.max_request.0,
                max_answer_bytes: self.max_answer.0,
                connect_timeout: self.connect_timeout.0,
                answer_timeout: self.answer_timeout.0,
                idle_timeout: self.idle_timeout.0,
            },
            strip_headers: self.strip_headers.iter().map(|name| header(name)).collect::<Result<_, _>>()?,
            strip_query: self.strip_query.clone(),
            legacy_patterns: self.legacy_patterns,
            allow_http: self.allow_http,
            allow_private: self.allow_private,
        };
        Upstream::new(settings).map_err(|bad| bad.to_string())
    }

    fn form(&self) -> Form {
        if self.legacy_patterns { Form::Legacy } else { Form::Segments }
    }

    fn check(&self, name: &str, layers: &mut Layers) {
        let key = format!("proxy.upstream.{name}");
        let within = |name: &str| format!("{key}.{name}");
        if !is_name(name) {
            layers.refuse(&key, "not a name for an upstream", NAME_HINT);
        }
        if let Err(why) = self.ready(name) {
            layers.refuse(&key, why, "docs/proxy.md tells how an upstream is described");
        }
        let owner = self.owner.as_deref().map(EmailAddress::parse);
        if matches!(owner, Some(Err(_))) {
            layers.refuse(&within("owner"), "not an address", "name whom mail about these tokens goes to");
        }
        match (self.minting, &owner) {
            (Minting::Open, None) => {
                let hint = "name whom mail about these tokens goes to, or choose `minting = \"tokens\"`";
                layers.refuse(&within("minting"), "open without an `owner`", hint);
            }
            (Minting::Tokens, Some(_)) => {
                let hint = "a token belongs to whoever made it; drop it, or choose `minting = \"open\"`";
                layers.refuse(&within("owner"), "set though tokens are not made openly", hint);
            }
            _ => {}
        }
        for (name, span) in [
            ("connect_timeout", self.connect_timeout),
            ("answer_timeout", self.answer_timeout),
            ("idle_timeout", self.idle_timeout),
        ] {
            layers.check_span(&within(name), span, Span::seconds(1), Span::seconds(3_600));
        }
        if let Some(old) = &self.magic_api_proxy {
            old.check(&within("magic_api_proxy"), layers);
        }
    }
}

impl MagicApiProxy {
    fn open(&self, upstream: &str) -> Result<OldKey, Problem> {
        let place = || Place::Named(self.key_file.clone());
        let mut pem = secret::read_private(&self.key_file)?;
        let pem = Secret::new(std::mem::take(&mut *pem));
        let owner = EmailAddress::parse(&self.owner).map_err(|_| {
            Problem::new(place(), "its `owner` is not an address", "name whom mail about its tokens goes to")
        })?;
        OldKey::new(upstream.to_owned(), &pem, owner, self.max_life.0).map_err(|bad| {
            Problem::new(place(), bad.to_string(), "name the `private_key.pem` with which magic-api-proxy ran")
        })
    }

    fn check(&self, key: &str, layers: &mut Layers) {
        if self.key_file.as_os_str().is_empty() {
            let hint = "name the `private_key.pem` with which magic-api-proxy ran";
            layers.refuse(&format!("{key}.key_file"), "missing", hint);
        }
        if EmailAddress::parse(&self.owner).is_err() {
            layers.refuse(&format!("{key}.owner"), "not an address", "name whom mail about its tokens goes to");
        }
        layers.check_span(&format!("{key}.max_life"), self.max_life, Span::days(1), Span::days(10 * 365));
    }
}

impl ProxyScope {
    fn ready(&self, name: &str, form: Form) -> Result<proxy::Scope, String> {
        let in_scope = |what: String| format!("scope `{name}`: {what}");
        let rules =
            self.allow.iter().map(|text| Rule::parse(text, form).map_err(|bad| in_scope(format!("`{text}`: {bad}"))));
        let grants = self.grant.iter().map(|grant| {
            let ProxyGrant { on, status, id, allow, lasts } = grant;
            let text = GrantText { on, status: *status, pointer: id, allow, lasts: lasts.0 };
            GrantRule::parse(&text).map_err(|bad| in_scope(bad.to_string()))
        });
        Ok(proxy::Scope { allow: rules.collect::<Result<_, _>>()?, grants: grants.collect::<Result<_, _>>()? })
    }
}

impl Section for Proxy {
    fn rebase(&mut self, folder: &Path) {
        for old in self.upstream.values_mut().filter_map(|upstream| upstream.magic_api_proxy.as_mut()) {
            // A missing one stays missing, to be told of as such.
            rebase(Some(&mut old.key_file).filter(|path| !path.as_os_str().is_empty()), folder);
        }
    }

    fn read_environment(&mut self, layers: &mut Layers) {
        layers.set_some(&LISTEN, &mut self.listen);
    }

    fn check(&self, layers: &mut Layers) {
        if self.listen.is_some() && self.upstream.is_empty() {
            let hint = "add `[proxy.upstream.NAME]`, or leave it out";
            layers.refuse("proxy.listen", "there is no upstream to listen for", hint);
        }
        match &self.mount {
            Some(_) if self.listen.is_none() => {
                let hint = "say where, with `listen`; beside the API an upstream stands under its name";
                layers.refuse("proxy.mount", "set without a listener of the proxy's own", hint);
            }
            Some(name) if !self.upstream.contains_key(name) => {
                layers.refuse("proxy.mount", "no upstream of that name", "add `[proxy.upstream.NAME]`, or correct it");
            }
            _ => {}
        }
        for (name, upstream) in &self.upstream {
            upstream.check(name, layers);
        }
    }
}
