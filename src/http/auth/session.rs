//! Sessions: an operator who signed in, known again by a cookie.
//!
//! The guard asks here after no token was shown. Whatever comes by a cookie and changes something must also be meant:
//! the guard has checked where the request comes from (`Sec-Fetch-Site`), and [`is_meant`] checks the token that our own
//! page put into its form. That token is made from the cookie's value, which the store does not have.
//!
//! The cookie is `__Host-stanch` and travels over TLS alone. Only where a browser on this machine speaks plain HTTP with
//! a loopback address, with no proxy in between, is it `stanch`, without `Secure`.

use std::fmt::Write as _;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use tracing::warn;
use zeroize::Zeroizing;

use super::client::is_loopback;
use super::{By, Operator, Refused};
use crate::clock::Timestamp;
use crate::http::App;
use crate::id::OperatorId;
use crate::store::SignedInBy;

/// How long sessions live, and which cookie carries them.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A session that is not used for so long is over.
    pub idle_for: Duration,
    /// However busy, it is over after this.
    pub lasts_for: Duration,
    /// For so long after the password was typed it is not asked for again.
    pub confirmed_for: Duration,
    pub cookie: Cookie,
}

/// Which cookie carries a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cookie {
    /// As the request tells: over plain HTTP only if it comes straight to a loopback address.
    Judged,
    Plain,
    Secure,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            idle_for: Duration::from_hours(1),
            lasts_for: Duration::from_hours(12),
            confirmed_for: Duration::from_mins(10),
            cookie: Cookie::Judged,
        }
    }
}

/// A session that was found by its cookie.
#[derive(Clone, Debug)]
pub struct Session {
    pub operator_id: OperatorId,
    /// SHA-256 of the cookie's value: its name in the store.
    pub sha256: [u8; 32],
    /// What every form of this session must hold, in the field `csrf`.
    pub csrf: String,
    pub by: SignedInBy,
    /// When the password was typed last, or the provider asked for theirs.
    pub confirmed_at: Timestamp,
}

/// A fresh value for the cookie.
pub struct Fresh {
    value: Zeroizing<String>,
    pub sha256: [u8; 32],
}

/// The form's field, and the header in which a script may send the same.
pub const FIELD: &str = "csrf";
const HEADER: &str = "x-csrf-token";

/// How exact the time of a session's last use is.
const TOUCH_EVERY: Duration = Duration::from_mins(1);

const SECURE: &str = "__Host-stanch";
const PLAIN: &str = "stanch";

/// The operator whose session the cookie in the headers names; none if there is no such cookie.
///
/// # Errors
/// When it cannot be looked up now.
pub async fn operator(app: &App, headers: &HeaderMap) -> Result<Option<Operator>, Refused> {
    let settings = &app.settings().sessions;
    let Some(value) = value_of(settings, headers) else { return Ok(None) };
    let sha256 = sha256(&value);
    let found = app.store.session(sha256, settings.idle_for).await.map_err(|failure| {
        let failure: &(dyn std::error::Error + 'static) = &failure;
        warn!(failure, "could not look up a session");
        Refused::Unavailable
    })?;
    let Some(found) = found else { return Ok(None) };
    if app.clock.now().since(found.seen_at) >= TOUCH_EVERY
        && let Err(error) = app.store.touch_session(sha256).await
    {
        // The session goes on as far as it was; the request is answered.
        warn!(error = &error as &dyn std::error::Error, "the use of a session was not recorded");
    }
    let (operator_id, csrf) = (found.operator.id, csrf(&value));
    let session = Session { operator_id, sha256, csrf, by: found.by, confirmed_at: found.confirmed_at };
    let (name, role) = (found.operator.name.to_string(), found.operator.role);
    Ok(Some(Operator { name, role, by: By::Session(session) }))
}

/// Whether a change that came by this session was meant by its operator: the form, or the header `X-CSRF-Token`, holds
/// the session's own token. `form` is the body if it is a form, else empty.
pub fn is_meant(session: &Session, headers: &HeaderMap, form: &[u8]) -> bool {
    let sent = headers.get(HEADER).map(HeaderValue::as_bytes).or_else(|| {
        // Its letters need no escaping in a form.
        form.split(|byte| *byte == b'&').find_map(|pair| pair.strip_prefix(b"csrf="))
    });
    sent.is_some_and(|sent| are_equal(sent, session.csrf.as_bytes()))
}

/// Where a person goes who wants a page and is nobody yet.
pub fn to_sign_in(wanted: &Uri) -> Response {
    let wanted = wanted.path_and_query().map_or("/", |wanted| wanted.as_str());
    let mut escaped = String::with_capacity(wanted.len());
    for byte in wanted.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    Redirect::to(&format!("/dashboard/sign-in?next={escaped}")).into_response()
}

impl Fresh {
    /// From 32 bytes that nobody can guess.
    pub fn from_random(bytes: &[u8; 32]) -> Self {
        let value = Zeroizing::new(BASE64.encode(bytes));
        let sha256 = sha256(&value);
        Self { value, sha256 }
    }

    /// The header that gives the cookie to the browser.
    pub fn set(&self, settings: &Settings, request: &HeaderMap) -> HeaderValue {
        let (name, secure) = if is_plain(settings, request) { (PLAIN, "") } else { (SECURE, "; Secure") };
        // `Lax`, not `Strict`: a link in a chat must not show the sign-in page to somebody who is signed in. No page
        // changes anything on GET.
        let cookie = format!("{name}={}; Path=/; HttpOnly; SameSite=Lax{secure}", *self.value);
        let mut cookie = HeaderValue::try_from(cookie).unwrap_or(HeaderValue::from_static(""));
        cookie.set_sensitive(true);
        cookie
    }
}

/// The headers that take the cookie away.
pub fn clear() -> [HeaderValue; 2] {
    [
        HeaderValue::from_static("__Host-stanch=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0"),
        HeaderValue::from_static("stanch=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"),
    ]
}

/// The name in the store of the session whose cookie a request brings, be it over or not.
pub fn brought(settings: &Settings, headers: &HeaderMap) -> Option<[u8; 32]> {
    value_of(settings, headers).map(|value| sha256(&value))
}

fn value_of(settings: &Settings, headers: &HeaderMap) -> Option<Zeroizing<String>> {
    let name = if is_plain(settings, headers) { PLAIN } else { SECURE };
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let value = pairs.find_map(|(key, value)| (key == name).then_some(value))?;
    let fine = value.len() == 43 && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    fine.then(|| Zeroizing::new(value.to_owned()))
}

/// Whether a cookie travels in clear: between a browser and this machine itself.
pub fn is_plain(settings: &Settings, headers: &HeaderMap) -> bool {
    match settings.cookie {
        Cookie::Plain => true,
        Cookie::Secure => false,
        Cookie::Judged => {
            let forwarded = ["forwarded", "x-forwarded-for", "x-forwarded-proto", "via"];
            let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
            is_loopback(host) && !forwarded.iter().any(|name| headers.contains_key(*name))
        }
    }
}

fn sha256(value: &str) -> [u8; 32] {
    Sha256::digest(value.as_bytes()).into()
}

fn csrf(value: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(value.as_bytes()).expect("HMAC takes a key of any length (RFC 2104)");
    mac.update(b"stanch csrf");
    BASE64.encode(mac.finalize().into_bytes())
}

/// Compares hashes of both, so that the time tells nothing about where they differ.
fn are_equal(sent: &[u8], expected: &[u8]) -> bool {
    Sha256::digest(sent) == Sha256::digest(expected)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn the_cookie_is_secure_unless_a_browser_speaks_to_this_machine_itself() {
        let settings = Settings::default();
        let set = |pairs: &[(&'static str, &str)]| {
            let value = Fresh::from_random(&[7; 32]).set(&settings, &headers(pairs));
            value.to_str().expect("text").replace(&BASE64.encode([7; 32]), "VALUE")
        };
        let plain = "stanch=VALUE; Path=/; HttpOnly; SameSite=Lax";
        let secure = "__Host-stanch=VALUE; Path=/; HttpOnly; SameSite=Lax; Secure";
        for host in ["127.0.0.1:8080", "localhost:8080", "localhost", "[::1]:8080"] {
            assert_eq!(set(&[("host", host)]), plain, "{host}");
            assert_eq!(set(&[("host", host), ("x-forwarded-proto", "https")]), secure, "{host} behind a proxy");
        }
        for host in ["stanch.example", "10.0.0.1:8080", "127.0.0.1.evil.example", "localhost.evil.example:80", ""] {
            assert_eq!(set(&[("host", host)]), secure, "{host}");
        }
    }

    #[test]
    fn a_session_is_found_by_its_cookie_alone() {
        let settings = Settings { cookie: Cookie::Secure, ..Settings::default() };
        let fresh = Fresh::from_random(&[9; 32]);
        let value = fresh.value.clone();
        let brought = |cookie: &str| brought(&settings, &headers(&[("cookie", cookie)]));
        assert_eq!(brought(&format!("a=b; __Host-stanch={}; c=d", *value)), Some(fresh.sha256));
        for cookie in [format!("stanch={}", *value), format!("__Host-stanch={}x", *value), "__Host-stanch=".into()] {
            assert_eq!(brought(&cookie), None, "{cookie}");
        }
    }

    #[test]
    fn a_change_is_meant_if_the_form_has_the_sessions_token() {
        let now = Timestamp::EPOCH;
        let session = Session {
            operator_id: OperatorId::generate(now),
            sha256: [0; 32],
            csrf: csrf("a"),
            by: SignedInBy::Password,
            confirmed_at: now,
        };
        let form = |token: &str| format!("x=1&csrf={token}&y=2").into_bytes();
        assert!(is_meant(&session, &HeaderMap::new(), &form(&csrf("a"))));
        assert!(is_meant(&session, &headers(&[("x-csrf-token", &csrf("a"))]), b""));
        assert!(!is_meant(&session, &HeaderMap::new(), &form(&csrf("b"))), "of another session");
        assert!(!is_meant(&session, &HeaderMap::new(), &form("")) && !is_meant(&session, &HeaderMap::new(), b""));
    }

    #[test]
    fn where_a_person_wanted_to_go_is_escaped() {
        let uri: Uri = "/dashboard/incidents?state=stuck&text=a%20b".parse().expect("a URI");
        let response = to_sign_in(&uri);
        let location = response.headers()[header::LOCATION].to_str().expect("text");
        assert_eq!(location, "/dashboard/sign-in?next=/dashboard/incidents%3Fstate%3Dstuck%26text%3Da%2520b");
    }
}
