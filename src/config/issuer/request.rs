//! `[issuer.NAME.http.verify]` and `[….revoke]`: what is asked, and how the answers read.
//!
//! What is not set comes from the preset, and without one from what most issuers do.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::super::layers::Layers;
use super::Preset;
use crate::issuer::http;

/// How "does it live?" is asked, and how the answer reads.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Verify {
    pub method: Option<Method>,
    pub path: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    pub form: Option<BTreeMap<String, String>>,
    pub json: Option<Value>,
    pub live: Option<Vec<u16>>,
    pub dead: Option<Vec<u16>>,
    pub not_ours: Option<Vec<u16>>,
    pub misconfigured: Option<Vec<u16>>,
    pub active: Option<Pointer>,
    pub inactive: Option<Inactive>,
    pub fields: Fields,
}

/// How "kill it" is asked, and how the answer reads.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Revoke {
    pub method: Option<Method>,
    pub path: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    pub form: Option<BTreeMap<String, String>>,
    pub json: Option<Value>,
    pub done: Option<Vec<u16>>,
    pub gone: Option<Vec<u16>>,
    pub misconfigured: Option<Vec<u16>>,
}

/// Where the answer tells about its token.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fields {
    pub token_id: Option<Pointer>,
    pub token_name: Option<Pointer>,
    pub owner_id: Option<Pointer>,
    pub owner_name: Option<Pointer>,
    pub owner_email: Option<Pointer>,
    pub created_at: Option<Pointer>,
    pub last_used_at: Option<Pointer>,
    pub expires_at: Option<Pointer>,
    pub scopes: Option<Pointer>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    Delete,
    Get,
    Patch,
    Post,
    Put,
}

/// What `active: false` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Inactive {
    Dead,
    NotOurs,
}

/// A JSON pointer (RFC 6901), read when the file is, so that a mistake has its line.
#[derive(Clone)]
pub struct Pointer(http::Pointer);

impl Verify {
    pub(super) fn settings(&self, preset: Preset) -> (http::Request, http::VerifyAnswers) {
        let (request, mut answers) = match preset {
            Preset::None => (bare_request(), http::VerifyAnswers::default()),
            Preset::OAuth => (http::Request::form_with_token("/introspect"), http::VerifyAnswers::introspection()),
        };
        for (own, statuses) in [
            (&self.live, &mut answers.live),
            (&self.dead, &mut answers.dead),
            (&self.not_ours, &mut answers.not_ours),
            (&self.misconfigured, &mut answers.misconfigured),
        ] {
            statuses.clone_from(own.as_ref().unwrap_or(&statuses.clone()));
        }
        let (own, fields) = (&self.fields, &mut answers.fields);
        for (own, pointer) in [
            (&self.active, &mut answers.active),
            (&own.token_id, &mut fields.token_id),
            (&own.token_name, &mut fields.token_name),
            (&own.owner_id, &mut fields.owner_id),
            (&own.owner_name, &mut fields.owner_name),
            (&own.owner_email, &mut fields.owner_email),
            (&own.created_at, &mut fields.created_at),
            (&own.last_used_at, &mut fields.last_used_at),
            (&own.expires_at, &mut fields.expires_at),
            (&own.scopes, &mut fields.scopes),
        ] {
            *pointer = own.as_ref().map(|own| own.0.clone()).or_else(|| pointer.take());
        }
        match self.inactive {
            Some(Inactive::Dead) => answers.inactive = http::Inactive::Dead,
            Some(Inactive::NotOurs) => answers.inactive = http::Inactive::NotOurs,
            None => {}
        }
        (self.words().over(request), answers)
    }

    pub(super) fn check(&self, key: &str, layers: &mut Layers) {
        self.words().check(key, layers);
    }

    fn words(&self) -> Words<'_> {
        Words { method: self.method, path: &self.path, headers: &self.headers, form: &self.form, json: &self.json }
    }
}

impl Revoke {
    pub(super) fn settings(&self, preset: Preset) -> (http::Request, http::RevokeAnswers) {
        let (request, mut answers) = match preset {
            Preset::None => (bare_request(), http::RevokeAnswers::default()),
            Preset::OAuth => (http::Request::form_with_token("/revoke"), http::RevokeAnswers::revocation()),
        };
        for (own, statuses) in [
            (&self.done, &mut answers.done),
            (&self.gone, &mut answers.gone),
            (&self.misconfigured, &mut answers.misconfigured),
        ] {
            statuses.clone_from(own.as_ref().unwrap_or(&statuses.clone()));
        }
        (self.words().over(request), answers)
    }

    pub(super) fn check(&self, key: &str, layers: &mut Layers) {
        self.words().check(key, layers);
    }

    fn words(&self) -> Words<'_> {
        Words { method: self.method, path: &self.path, headers: &self.headers, form: &self.form, json: &self.json }
    }
}

/// What both requests have in common.
struct Words<'a> {
    method: Option<Method>,
    path: &'a Option<String>,
    headers: &'a BTreeMap<String, String>,
    form: &'a Option<BTreeMap<String, String>>,
    json: &'a Option<Value>,
}

impl Words<'_> {
    /// Puts what was declared over what the preset says.
    fn over(&self, mut request: http::Request) -> http::Request {
        if let Some(method) = self.method {
            request.method = method.into();
        }
        if let Some(path) = self.path {
            request.path.clone_from(path);
        }
        for (name, value) in self.headers {
            request.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
            request.headers.push((name.clone(), value.clone()));
        }
        if let Some(form) = self.form {
            request.body = http::Body::Form(form.clone().into_iter().collect());
        }
        if let Some(json) = self.json {
            request.body = http::Body::Json(json.clone());
        }
        request
    }

    fn check(&self, key: &str, layers: &mut Layers) {
        if self.form.is_some() && self.json.is_some() {
            layers.refuse(&format!("{key}.json"), "set beside `form`", "a request has one body: keep one of the two");
        }
        for (name, value) in self.headers {
            // What the leaked token fills in is no credential of ours.
            if CREDENTIALS.iter().any(|header| name.eq_ignore_ascii_case(header)) && !value.contains('{') {
                let hint = "choose an `authentication` and name a file with `credential_file`";
                let message = "a credential must not stand in the configuration itself";
                layers.refuse(&format!("{key}.headers.{name}"), message, hint);
            }
        }
    }
}

/// Headers that carry nothing but credentials.
const CREDENTIALS: &[&str] = &["authorization", "cookie", "proxy-authorization", "x-api-key", "x-auth-token"];

fn bare_request() -> http::Request {
    let headers = vec![("accept".to_owned(), "application/json".to_owned())];
    http::Request { method: reqwest::Method::GET, path: String::new(), headers, body: http::Body::None }
}

impl From<Method> for reqwest::Method {
    fn from(method: Method) -> Self {
        match method {
            Method::Delete => Self::DELETE,
            Method::Get => Self::GET,
            Method::Patch => Self::PATCH,
            Method::Post => Self::POST,
            Method::Put => Self::PUT,
        }
    }
}

impl Serialize for Pointer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl<'de> Deserialize<'de> for Pointer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl serde::de::Visitor<'_> for Text {
            type Value = Pointer;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON pointer such as `/owner/email`")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Pointer, E> {
                text.parse().map(Pointer).map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Text)
    }
}
