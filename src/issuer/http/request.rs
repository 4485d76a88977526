//! A declared request, compiled: what is wrong with it is found when the program starts, not when a token leaks.

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use serde_json::Value;

use super::client::unavailable;
use super::settings::{Body, Request};
use super::template::{Encoding, Filling, Hole, Template, Unfilled, percent_encode};
use super::{SettingsError, bad};
use crate::incident::Unknown;
use crate::token::Secret;

/// Which operation a request belongs to: a verification knows nothing but the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Revoke,
    Verify,
}

pub(super) struct Call {
    base: Url,
    method: Method,
    path: Template,
    query: Option<Template>,
    headers: Vec<(HeaderName, Template)>,
    content: Content,
}

enum Content {
    Form(Vec<(String, Template)>),
    Json(Json),
    None,
}

enum Json {
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
    Plain(Value),
    Text(Template),
}

impl Call {
    pub fn compile(base: &Url, declared: Request, operation: Operation) -> Result<Self, SettingsError> {
        let key = operation.key();
        let template = |text: &str| Template::parse(text).map_err(|problem| bad(key, &problem));
        let (path, query) = match declared.path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (declared.path.as_str(), None),
        };
        if !(path.is_empty() || path.starts_with('/')) {
            return Err(bad(key, "has a path that does not begin with `/`"));
        }
        let mut headers = Vec::new();
        for (name, value) in &declared.headers {
            let name =
                HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad(key, "names a header that cannot exist"))?;
            headers.push((name, template(value)?));
        }
        let content = match declared.body {
            Body::None => Content::None,
            Body::Json(value) => Content::Json(Json::compile(value).map_err(|problem| bad(key, &problem))?),
            Body::Form(fields) => {
                let fields = fields.iter().map(|(name, value)| {
                    let mut encoded = String::new();
                    percent_encode(name.as_bytes(), &mut encoded);
                    Ok((encoded, template(value)?))
                });
                Content::Form(fields.collect::<Result<_, SettingsError>>()?)
            }
        };
        let query = query.map(template).transpose()?;
        let call = Self { base: base.clone(), method: declared.method, path: template(path)?, query, headers, content };
        call.prove(operation)?;
        Ok(call)
    }

    /// Whether a value for the hole is needed anywhere.
    pub fn needs(&self, hole: Hole) -> bool {
        let content = match &self.content {
            Content::Form(fields) => fields.iter().any(|(_, value)| value.has(hole)),
            Content::Json(json) => json.has(hole),
            Content::None => false,
        };
        let headers = self.headers.iter().any(|(_, value)| value.has(hole));
        content || headers || self.path.has(hole) || self.query.as_ref().is_some_and(|query| query.has(hole))
    }

    pub fn fill(&self, filling: Filling<'_>) -> Result<reqwest::Request, Unknown> {
        let broken = |unfilled: Unfilled| unavailable(&unfilled.to_string());
        let mut request = reqwest::Request::new(self.method.clone(), self.address(filling)?);
        for (name, template) in &self.headers {
            let text = template.fill(filling, Encoding::Plain).map_err(broken)?;
            let mut value = HeaderValue::from_bytes(text.as_bytes())
                .map_err(|_| unavailable("the token holds a byte that cannot stand in a header"))?;
            value.set_sensitive(true);
            request.headers_mut().insert(name, value);
        }
        request.headers_mut().entry(ACCEPT).or_insert(HeaderValue::from_static("application/json"));
        let (media, body) = match &self.content {
            Content::None => return Ok(request),
            Content::Form(fields) => {
                let mut pairs = Vec::new();
                for (name, template) in fields {
                    pairs.push(format!("{name}={}", *template.fill(filling, Encoding::Percent).map_err(broken)?));
                }
                ("application/x-www-form-urlencoded", pairs.join("&"))
            }
            Content::Json(json) => ("application/json", json.fill(filling).map_err(broken)?.to_string()),
        };
        request.headers_mut().entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(media));
        *request.body_mut() = Some(body.into());
        Ok(request)
    }

    fn address(&self, filling: Filling<'_>) -> Result<Url, Unknown> {
        let fill = |template: &Template| {
            template.fill(filling, Encoding::Percent).map_err(|unfilled| unavailable(&unfilled.to_string()))
        };
        let below = self.base.path().trim_end_matches('/');
        let path = format!("{below}{}", *fill(&self.path)?);
        let mut url = self.base.clone();
        if !path.is_empty() {
            url.set_path(&path);
            // A value like `..` would climb out of its place: what was written must be what is asked.
            if url.path() != path {
                return Err(unavailable("the address cannot be written for this token"));
            }
        }
        if let Some(query) = &self.query {
            url.set_query(Some(fill(query)?.as_str()));
        }
        Ok(url)
    }

    /// Fills the request once with harmless values, so that only a token's own text can make it fail later.
    fn prove(&self, operation: Operation) -> Result<(), SettingsError> {
        let key = operation.key();
        if operation == Operation::Verify && (self.needs(Hole::Id) || self.needs(Hole::IncidentId)) {
            return Err(bad(key, "asks for `{id}` or `{incident_id}`, which only a revocation knows"));
        }
        let secret = Secret::new(b"x".to_vec());
        let incident_id = Some(crate::id::IncidentId::generate(crate::clock::Timestamp::EPOCH));
        self.fill(Filling { secret: &secret, id: Some("x"), incident_id })
            .map(drop)
            .map_err(|_| bad(key, "has a path or a header that cannot be sent; percent-encode what is not a letter"))
    }
}

impl Json {
    fn compile(value: Value) -> Result<Self, String> {
        Ok(match value {
            Value::Array(items) => Self::Array(items.into_iter().map(Self::compile).collect::<Result<_, _>>()?),
            Value::Object(members) => {
                let members = members.into_iter().map(|(name, value)| Ok((name, Self::compile(value)?)));
                Self::Object(members.collect::<Result<_, String>>()?)
            }
            Value::String(text) => Self::Text(Template::parse(&text)?),
            plain => Self::Plain(plain),
        })
    }

    fn has(&self, hole: Hole) -> bool {
        match self {
            Self::Array(items) => items.iter().any(|item| item.has(hole)),
            Self::Object(members) => members.iter().any(|(_, value)| value.has(hole)),
            Self::Plain(_) => false,
            Self::Text(template) => template.has(hole),
        }
    }

    fn fill(&self, filling: Filling<'_>) -> Result<Value, Unfilled> {
        Ok(match self {
            Self::Array(items) => items.iter().map(|item| item.fill(filling)).collect::<Result<_, _>>()?,
            Self::Object(members) => {
                let members = members.iter().map(|(name, value)| Ok((name.clone(), value.fill(filling)?)));
                Value::Object(members.collect::<Result<_, Unfilled>>()?)
            }
            Self::Plain(value) => value.clone(),
            Self::Text(template) => Value::String(template.fill(filling, Encoding::Plain)?.to_string()),
        })
    }
}

impl Operation {
    fn key(self) -> &'static str {
        match self {
            Self::Revoke => "revoke",
            Self::Verify => "verify",
        }
    }
}
