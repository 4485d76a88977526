//! Signing in at an identity provider: OIDC, authorization code flow with PKCE (OIDC Core 1.0
//! section 3.1, RFC 7636, RFC 9700).
//!
//! A browser that begins gets a cookie with a random value. From that value come `state`, `nonce` and the PKCE verifier,
//! so that an answer of the provider is good for the browser that asked, once, for ten minutes, and nothing is kept here.

mod client;
mod id_token;

use std::time::Duration;

use axum::Extension;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::TryRng as _;
use rand::rngs::SysRng;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tracing::{info, warn};
use zeroize::Zeroizing;

use super::Desk;
use super::answer::{Failure, go};
use super::provider::ProviderSettings;
use super::{sign_in, visit};
use crate::clock::Timestamp;
use crate::http::App;
use crate::operator::Role;
use crate::store::{FromProvider, OperatorName, ProviderAccount, SignedInBy};
use client::Speaker;
use id_token::{Claims, Expected};

/// An identity provider that is spoken to.
pub struct Provider(Speaker);

/// What a browser carries from the beginning of a sign-in to its end.
struct Journey {
    value: Zeroizing<String>,
    /// Whether the provider had to ask who they are, whatever it remembers.
    again: bool,
    next: String,
}

#[derive(Deserialize)]
pub struct Wanted {
    #[serde(default)]
    next: String,
    #[serde(default)]
    again: String,
}

#[derive(Deserialize)]
pub struct Answered {
    #[serde(default)]
    code: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    error: String,
}

const COOKIE: &str = "stanch-provider";
const LASTS: Duration = Duration::from_mins(10);
/// A confirmation that was asked for is no older than this.
const FRESH: Duration = Duration::from_mins(2);
const BACK: &str = "/dashboard/sign-in/provider/back";

impl Provider {
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(settings: ProviderSettings) -> Result<Self, reqwest::Error> {
        Ok(Self(Speaker::new(settings)?))
    }

    pub fn name(&self) -> &str {
        &self.0.settings().name
    }
}

/// `GET /dashboard/sign-in/provider`: to the provider.
pub async fn start(
    State(app): State<App>,
    Extension(desk): Extension<Desk>,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Failure> {
    let provider = desk.provider().ok_or(Failure::NotFound)?;
    let mut url = provider.0.authorization_endpoint().await.map_err(|error| unavailable(&error))?;
    let next = sign_in::local(&wanted.next).to_owned();
    let journey = Journey::begin(next, wanted.again == "1")?;
    let settings = provider.0.settings();
    let scopes =
        std::iter::once("openid").chain(settings.scopes.iter().map(String::as_str).filter(|it| *it != "openid"));
    let challenge = BASE64.encode(Sha256::digest(journey.part("verifier").as_bytes()));
    url.query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", &settings.client_id)
        .append_pair("redirect_uri", &redirect_uri(&desk, &headers))
        .append_pair("scope", &scopes.collect::<Vec<_>>().join(" "))
        .append_pair("state", &journey.part("state"))
        .append_pair("nonce", &journey.part("nonce"))
        .append_pair("code_challenge", &challenge)
        .append_pair("code_challenge_method", "S256");
    if journey.again {
        url.query_pairs_mut().append_pair("prompt", "login").append_pair("max_age", "0");
    }
    let mut response = go(url.as_str());
    response.headers_mut().append(header::SET_COOKIE, journey.cookie(is_plain(&app, &headers)));
    Ok(response)
}

/// `GET /dashboard/sign-in/provider/back`: from the provider, with a code or without.
pub async fn back(
    State(app): State<App>,
    Extension(desk): Extension<Desk>,
    headers: HeaderMap,
    Query(answered): Query<Answered>,
) -> Result<Response, Failure> {
    let provider = desk.provider().ok_or(Failure::NotFound)?;
    let plain = is_plain(&app, &headers);
    let refused = |wrong: &str| {
        let mut response =
            sign_in::view(StatusCode::FORBIDDEN, &desk, "/dashboard".into(), String::new(), Some(wrong.into()));
        response.headers_mut().append(header::SET_COOKIE, forget(plain));
        response
    };
    let journey = Journey::of(&headers, plain);
    let Some(journey) = journey.filter(|it| are_equal(it.part("state").as_bytes(), answered.state.as_bytes())) else {
        return Ok(refused("This answer belongs to no sign-in of this browser, or it came too late. Try again."));
    };
    if answered.code.is_empty() {
        info!(denied = answered.error.is_ascii(), "the identity provider let nobody in");
        return Ok(refused("The provider did not let you in."));
    }
    let (verifier, nonce, now) = (journey.part("verifier"), journey.part("nonce"), app.clock.now());
    let settings = provider.0.settings();
    let expected = Expected { issuer: &settings.issuer, client_id: &settings.client_id, nonce: &nonce, now };
    let redirect_uri = redirect_uri(&desk, &headers);
    let claims = match provider.0.redeem(&answered.code, &verifier, &redirect_uri, &expected).await {
        Ok(claims) => claims,
        Err(error @ (client::Error::Refused(_) | client::Error::Status(400..500))) => {
            warn!(error = &error as &dyn std::error::Error, "the identity provider's answer is not taken");
            return Ok(refused(
                "The provider's answer does not hold. Whoever runs the service finds the reason in its log.",
            ));
        }
        Err(error) => return Err(unavailable(&error)),
    };
    let confirmed_at = claims.auth_time.unwrap_or(Timestamp::EPOCH).min(now);
    if journey.again && now.since(confirmed_at) > FRESH {
        return Ok(refused("The provider did not ask who you are again, as this step needs it."));
    }
    let account = match account(settings, &claims) {
        Ok(account) => account,
        Err(wrong) => return Ok(refused(wrong)),
    };
    let name = account.name.clone();
    let operator_id = match app.store.operator_from_provider(account).await? {
        FromProvider::Known(id) => id,
        FromProvider::Disabled | FromProvider::Unknown => {
            return Ok(refused("Nobody has let you in here yet. Ask an admin of this service."));
        }
        FromProvider::LastAdmin => {
            return Ok(refused(
                "Your groups no longer make you an admin, and you are the last one. Sign in with your password.",
            ));
        }
        FromProvider::NameTaken => {
            return Ok(refused("Your name belongs to another account of the provider. Ask an admin of this service."));
        }
    };
    let opened = sign_in::open(&app, operator_id, (SignedInBy::Provider, confirmed_at), &headers).await?;
    let cookie = opened.ok_or(Failure::Unavailable)?;
    info!(operator = %name, "operator {name} signed in at the identity provider");
    let mut response = go(&journey.next);
    response.headers_mut().append(header::SET_COOKIE, cookie);
    response.headers_mut().append(header::SET_COOKIE, forget(plain));
    Ok(response)
}

/// Who came, in our words.
fn account(settings: &ProviderSettings, claims: &Claims) -> Result<ProviderAccount, &'static str> {
    let name = claims.text(&settings.name_claim).unwrap_or_default();
    if settings.name_claim == "email" && claims.all.get("email_verified") != Some(&serde_json::Value::Bool(true)) {
        return Err("The provider has not verified your e-mail address, so it is no name here.");
    }
    let name: OperatorName = name.parse().map_err(|_| "The provider told no name that can be used here.")?;
    let role = if settings.roles.is_empty() {
        None
    } else {
        let groups = claims.texts(&settings.groups_claim);
        let role = groups.iter().filter_map(|group| settings.roles.get(*group)).max();
        Some(*role.ok_or("None of your groups may come in here.")?)
    };
    let mut hash = Sha256::new();
    for part in [&settings.issuer, &claims.subject] {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    Ok(ProviderAccount { sha256: hash.finalize().into(), name, role: role as Option<Role> })
}

impl Journey {
    fn begin(next: String, again: bool) -> Result<Self, Failure> {
        let mut bytes = Zeroizing::new([0; 32]);
        SysRng.try_fill_bytes(&mut *bytes).map_err(|_| Failure::Unavailable)?;
        Ok(Self { value: Zeroizing::new(BASE64.encode(bytes.as_slice())), again, next })
    }

    /// The journey whose cookie a browser brings.
    fn of(headers: &HeaderMap, plain: bool) -> Option<Self> {
        let name = cookie_name(plain);
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let text = pairs.find_map(|(key, value)| (key == name).then_some(value))?;
        let mut parts = text.splitn(3, '.');
        let (value, again, next) = (parts.next()?, parts.next()?, parts.next()?);
        let next = String::from_utf8(BASE64.decode(next).ok()?).ok()?;
        let next = sign_in::local(&next).to_owned();
        (value.len() == 43).then(|| Self { value: Zeroizing::new(value.to_owned()), again: again == "1", next })
    }

    /// One of the values that come from the cookie's; none tells another.
    fn part(&self, what: &str) -> String {
        let mac = Hmac::<Sha256>::new_from_slice(self.value.as_bytes());
        let mut mac = mac.expect("HMAC takes a key of any length (RFC 2104)");
        mac.update(b"stanch provider ");
        mac.update(what.as_bytes());
        BASE64.encode(mac.finalize().into_bytes())
    }

    fn cookie(&self, plain: bool) -> HeaderValue {
        let again = if self.again { "1" } else { "0" };
        let value = format!("{}.{again}.{}", *self.value, BASE64.encode(&self.next));
        let mut cookie = set(plain, &value, LASTS.as_secs());
        cookie.set_sensitive(true);
        cookie
    }
}

/// `Lax`: the browser comes back from another site, by an address alone.
fn set(plain: bool, value: &str, seconds: u64) -> HeaderValue {
    let secure = if plain { "" } else { "; Secure" };
    let name = cookie_name(plain);
    let cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
    HeaderValue::try_from(cookie).unwrap_or(HeaderValue::from_static(""))
}

fn forget(plain: bool) -> HeaderValue {
    set(plain, "", 0)
}

fn cookie_name(plain: bool) -> String {
    if plain { COOKIE.to_owned() } else { format!("__Host-{COOKIE}") }
}

fn is_plain(app: &App, headers: &HeaderMap) -> bool {
    crate::http::auth::session::is_plain(&app.settings().sessions, headers)
}

fn redirect_uri(desk: &Desk, headers: &HeaderMap) -> String {
    format!("{}{BACK}", visit::base(desk, headers))
}

fn unavailable(error: &client::Error) -> Failure {
    warn!(error = error as &dyn std::error::Error, "the identity provider could not be asked");
    Failure::Refused(
        "The identity provider does not answer as it should. A password of stanch still lets you in.".into(),
    )
}

/// Compares hashes of both, so that the time tells nothing about where they differ.
fn are_equal(one: &[u8], other: &[u8]) -> bool {
    Sha256::digest(one) == Sha256::digest(other)
}
