//! `[oidc]`: an identity provider at which operators sign in (OIDC). Only with the feature `oidc`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::environment::Environment;
use super::layers::{Layers, Section, rebase};
use super::problem::Problem;
use super::secret;
use crate::dashboard::ProviderSettings;
use crate::http::auth::client::is_loopback;
use crate::operator::Role;

/// An identity provider.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Oidc {
    /// The provider's issuer identifier. None: operators have passwords of stanch alone.
    pub issuer: Option<String>,
    pub client_id: Option<String>,
    pub client_secret_file: Option<PathBuf>,
    pub client_secret_env: Option<String>,
    /// What the sign-in page calls it.
    pub name: String,
    /// Asked for beside `openid`.
    pub scopes: Vec<String>,
    /// The claim that is the operator's name.
    pub name_claim: String,
    pub groups_claim: String,
    /// Which role a group gives. Empty: only operators who were added here come in, with the role they have here.
    pub roles: BTreeMap<String, String>,
}

impl Default for Oidc {
    fn default() -> Self {
        Self {
            issuer: None,
            client_id: None,
            client_secret_file: None,
            client_secret_env: None,
            name: "single sign-on".into(),
            scopes: ["profile", "email"].map(str::to_owned).into(),
            name_claim: "preferred_username".into(),
            groups_claim: "groups".into(),
            roles: BTreeMap::new(),
        }
    }
}

impl Oidc {
    /// # Errors
    /// When the client's secret cannot be read.
    pub fn settings(&self, environment: &Environment) -> Result<Option<ProviderSettings>, Problem> {
        let (Some(issuer), Some(client_id)) = (&self.issuer, &self.client_id) else { return Ok(None) };
        let (file, variable) = (self.client_secret_file.as_deref(), self.client_secret_env.as_deref());
        let role = |(group, role): (&String, &String)| Some((group.clone(), role.parse::<Role>().ok()?));
        Ok(Some(ProviderSettings {
            name: self.name.clone(),
            issuer: issuer.clone(),
            client_id: client_id.clone(),
            client_secret: secret::read(file, variable, environment)?,
            scopes: self.scopes.clone(),
            name_claim: self.name_claim.clone(),
            groups_claim: self.groups_claim.clone(),
            roles: self.roles.iter().filter_map(role).collect(),
        }))
    }
}

impl Section for Oidc {
    fn rebase(&mut self, folder: &Path) {
        rebase(self.client_secret_file.as_mut(), folder);
    }

    fn read_environment(&mut self, _layers: &mut Layers) {}

    fn check(&self, layers: &mut Layers) {
        let Some(issuer) = &self.issuer else {
            if self.client_id.is_some() {
                layers.refuse("oidc.issuer", "missing beside `client_id`", "write the provider's issuer identifier");
            }
            return;
        };
        if cfg!(not(feature = "oidc")) {
            let hint = "build it with `cargo build --release --features oidc`";
            layers.refuse("oidc.issuer", "this build of stanch signs nobody in elsewhere", hint);
        }
        let host = |rest: &str| rest.split('/').next().unwrap_or_default().to_owned();
        let fine = match (issuer.strip_prefix("https://"), issuer.strip_prefix("http://")) {
            (Some(rest), _) => !host(rest).is_empty() && !issuer.contains(['?', '#', '@', ' ']),
            (_, Some(rest)) => is_loopback(&host(rest)),
            (None, None) => false,
        };
        if !fine {
            let hint =
                "write it as the provider's tokens have it in `iss`, such as `https://login.example/realms/staff`";
            layers.refuse("oidc.issuer", "not the identifier of an issuer", hint);
        }
        if self.client_id.as_deref().is_none_or(str::is_empty) {
            layers.refuse("oidc.client_id", "missing", "write the id that the provider gave to stanch");
        }
        if self.client_secret_file.is_some() && self.client_secret_env.is_some() {
            layers.refuse("oidc.client_secret_env", "named beside `client_secret_file`", "name one of them");
        }
        let texts = [("oidc.name", &self.name), ("oidc.name_claim", &self.name_claim)];
        for (key, _) in texts.into_iter().filter(|(_, text)| text.trim().is_empty()) {
            layers.refuse(key, "empty", "leave it out for the default");
        }
        for (group, role) in self.roles.iter().filter(|(_, role)| role.parse::<Role>().is_err()) {
            let message = format!("`{role}` is no role for the group `{group}`");
            layers.refuse("oidc.roles", message, "a role is `viewer`, `responder` or `admin`");
        }
    }
}
