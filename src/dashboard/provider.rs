//! What is configured of an identity provider at which operators sign in (OIDC Core 1.0). The feature `oidc`
//! speaks to it.

use std::collections::BTreeMap;

use crate::operator::Role;
use crate::token::Secret;

/// An identity provider.
pub struct ProviderSettings {
    /// What the sign-in page calls it.
    pub name: String,
    /// Its issuer identifier, exactly as its tokens have it.
    pub issuer: String,
    pub client_id: String,
    /// None for a public client, which PKCE alone protects.
    pub client_secret: Option<Secret>,
    /// Asked for beside `openid`.
    pub scopes: Vec<String>,
    /// The claim that is the operator's name.
    pub name_claim: String,
    /// The claim that lists groups.
    pub groups_claim: String,
    /// Which role a group gives. Empty: roles are given here, to operators who were added here.
    pub roles: BTreeMap<String, Role>,
}
