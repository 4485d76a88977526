//! What an operator declares about an issuer that is reached over HTTP.
//!
//! Plain values: nothing here has been checked. [`HttpIssuer::new`](super::HttpIssuer::new) checks all of it and names
//! the setting that is wrong. Two mechanisms are ready-made: introspection (RFC 7662) and revocation (RFC 7009).

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use super::Pointer;
use crate::incident::IssuerName;
use crate::token::Secret;

/// One issuer: where it is, how it knows us, what it is asked and how its answers read.
pub struct Settings {
    pub name: IssuerName,
    /// Everything that is asked lies below this address: `https://registry.example/api`.
    pub base_url: String,
    pub credential: Credential,
    pub verify: Request,
    pub verify_answers: VerifyAnswers,
    pub revoke: Request,
    pub revoke_answers: RevokeAnswers,
    pub limits: Limits,
    pub reach: Reach,
}

/// How the issuer knows that it is us who ask.
pub enum Credential {
    Basic {
        username: String,
        password: Secret,
    },
    Bearer(Secret),
    Header {
        name: String,
        value: Secret,
    },
    /// The leaked token itself, in a template, is all that is shown.
    None,
}

/// A request with holes.
///
/// In `path`, header values, form values and the strings of a JSON body these are filled in: `{token}`,
/// `{token_sha256}` (lower-case hexadecimal) and, when revoking, `{id}` (the issuer's own id of the token) and
/// `{incident_id}`. A literal brace is doubled. What is filled in is encoded for its place and cannot leave it.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: Method,
    /// Begins with `/`, or is empty for the base address itself. May carry a query.
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Body,
}

#[derive(Clone, Debug)]
pub enum Body {
    Form(Vec<(String, String)>),
    Json(Value),
    None,
}

/// How an answer to "does it live?" reads. A status that is listed nowhere is no answer.
#[derive(Clone, Debug)]
pub struct VerifyAnswers {
    pub live: Vec<u16>,
    pub dead: Vec<u16>,
    pub not_ours: Vec<u16>,
    /// The issuer refuses *us*.
    pub misconfigured: Vec<u16>,
    /// A boolean that decides between live and `inactive` when the status says live.
    pub active: Option<Pointer>,
    pub inactive: Inactive,
    pub evidence: Evidence,
    pub fields: Fields,
}

/// What an answer that ends an incident (dead, not ours) must show besides its status.
///
/// A gateway whose route to the issuer is missing says 404 as well. Read as "never issued" it would end the incident
/// of every live token that is asked about meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Evidence {
    /// A body of well-formed JSON, as the issuer's own answers have.
    #[default]
    Json,
    /// Nothing: for an issuer that answers by statuses alone, with nothing in front of it.
    Status,
}

/// What `active: false` means.
///
/// RFC 7662 section 2.2 answers the same for a token that is revoked, expired or was never issued. Dead is the weaker
/// claim of the two and therefore the default: a text of the issuer's own format most often is a token that was
/// revoked, and "never issued" would be told to the reporter as a false alarm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Inactive {
    #[default]
    Dead,
    NotOurs,
}

/// Where the answer tells about its token. A field that is absent or of the wrong type is not known.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    /// Text or a number. Required if the revocation asks for `{id}`.
    pub token_id: Option<Pointer>,
    pub token_name: Option<Pointer>,
    pub owner_id: Option<Pointer>,
    pub owner_name: Option<Pointer>,
    pub owner_email: Option<Pointer>,
    /// Times are RFC 3339 text or seconds since the epoch.
    pub created_at: Option<Pointer>,
    pub last_used_at: Option<Pointer>,
    pub expires_at: Option<Pointer>,
    /// A list of texts, or one text with spaces (RFC 6749 section 3.3).
    pub scopes: Option<Pointer>,
}

/// How an answer to "kill it" reads. None of these is believed before the issuer, asked again, says the same.
#[derive(Clone, Debug)]
pub struct RevokeAnswers {
    /// Done, or accepted to be done.
    pub done: Vec<u16>,
    /// There is nothing to kill: dead already, or unknown.
    pub gone: Vec<u16>,
    pub misconfigured: Vec<u16>,
}

/// How long and how much we listen.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub connect_timeout: Duration,
    /// From the first byte sent to the last byte of the answer.
    pub timeout: Duration,
    pub max_answer_bytes: usize,
}

/// Where the issuer may be.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// Permits an address without TLS.
    pub allow_http: bool,
    /// Permits loopback, private and link-local addresses.
    pub allow_private: bool,
    /// Certificates in PEM that are trusted beside those of the machine.
    pub certificates: Option<Vec<u8>>,
}

impl Settings {
    /// An authorization server with token introspection (RFC 7662) and token revocation (RFC 7009).
    pub fn oauth(
        name: IssuerName,
        base_url: String,
        introspection_path: &str,
        revocation_path: &str,
        credential: Credential,
    ) -> Self {
        Self {
            name,
            base_url,
            credential,
            verify: Request::form_with_token(introspection_path),
            verify_answers: VerifyAnswers::introspection(),
            revoke: Request::form_with_token(revocation_path),
            revoke_answers: RevokeAnswers::revocation(),
            limits: Limits::default(),
            reach: Reach::default(),
        }
    }
}

impl Request {
    /// `POST` with the form field `token`: what RFC 7662 section 2.1 and RFC 7009 section 2.1 ask for.
    pub fn form_with_token(path: &str) -> Self {
        Self {
            method: Method::POST,
            path: path.to_owned(),
            headers: vec![("accept".into(), "application/json".into())],
            body: Body::Form(vec![("token".into(), "{token}".into())]),
        }
    }
}

impl VerifyAnswers {
    /// The members of RFC 7662 section 2.2. The owner's address is no part of it, but `email` is what servers add.
    pub fn introspection() -> Self {
        let at = |name: &'static str| Some(Pointer::member(name));
        Self {
            live: vec![200],
            dead: vec![],
            not_ours: vec![],
            misconfigured: vec![401, 403],
            active: at("active"),
            inactive: Inactive::default(),
            evidence: Evidence::default(),
            fields: Fields {
                token_id: at("jti"),
                token_name: None,
                owner_id: at("sub"),
                owner_name: at("username"),
                owner_email: at("email"),
                created_at: at("iat"),
                last_used_at: None,
                expires_at: at("exp"),
                scopes: at("scope"),
            },
        }
    }
}

impl Default for VerifyAnswers {
    fn default() -> Self {
        Self {
            live: vec![200],
            dead: vec![410],
            not_ours: vec![404],
            misconfigured: vec![401, 403],
            active: None,
            inactive: Inactive::default(),
            evidence: Evidence::default(),
            fields: Fields::default(),
        }
    }
}

impl RevokeAnswers {
    /// RFC 7009 section 2.2: 200 whether the token was alive, dead or never issued.
    pub fn revocation() -> Self {
        Self { done: vec![200], gone: vec![], misconfigured: vec![401, 403] }
    }
}

impl Default for RevokeAnswers {
    fn default() -> Self {
        Self { done: vec![200, 202, 204], gone: vec![404, 410], misconfigured: vec![401, 403] }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { connect_timeout: Duration::from_secs(3), timeout: Duration::from_secs(10), max_answer_bytes: 64 * 1024 }
    }
}
