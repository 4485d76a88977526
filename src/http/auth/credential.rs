//! The one place where a credential is read from a request.
//!
//! Four spellings: `Authorization: Bearer …` (RFC 6750), `Authorization: token …` (GitHub's and many registries'
//! clients), `Authorization: Basic …` with the user `__token__` (`PyPI`'s clients, RFC 7617) or a client's id
//! (RFC 6749 section 2.3.1), and `X-API-Key: …`. Two different credentials in one request are refused: whichever we
//! took, the other side might have meant the other one.

use std::collections::HashMap;

use axum::http::{HeaderMap, HeaderName, header};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use crate::token::Secret;

/// How a credential was spelled; the refusal is spelled likewise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    ApiKey,
    Basic,
    Bearer,
    /// `client_id` and `client_secret` in a form (RFC 6749 section 2.3.1).
    Form,
    /// `Authorization: token …`.
    Token,
}

/// A credential that was shown.
pub struct Shown {
    pub scheme: Scheme,
    /// The user of Basic; none says that it is `__token__`, or that there is no user.
    pub user: Option<String>,
    pub secret: Secret,
}

/// More than one credential, and they differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request shows two different credentials")]
pub struct Unclear;

pub const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The user that stands before a token in Basic, as `PyPI` has it.
const TOKEN_USER: &[u8] = b"__token__";

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Reads the credential of a request, if there is one. What is of no scheme of ours is none.
///
/// # Errors
/// When there are two and they are not the same.
pub fn shown(headers: &HeaderMap) -> Result<Option<Shown>, Unclear> {
    let authorizations = headers.get_all(header::AUTHORIZATION).iter().filter_map(|value| read(value.as_bytes()));
    let keys = headers.get_all(API_KEY).iter().map(|value| value.as_bytes().trim_ascii());
    let keys = keys.filter(|key| !key.is_empty()).map(|key| Read::new(Scheme::ApiKey, key));
    let mut all = authorizations.chain(keys);
    let Some(first) = all.next() else { return Ok(None) };
    // Both come from the same caller: there is nothing to learn from how long the comparison takes.
    if all.any(|other| other.secret != first.secret || other.user != first.user) {
        return Err(Unclear);
    }
    let Read { scheme, user, mut secret } = first;
    Ok(Some(Shown { scheme, user, secret: Secret::new(std::mem::take(&mut *secret)) }))
}

/// As [`shown`], where a client may send its token as the whole value of `Authorization`, with no scheme before it.
///
/// # Errors
/// When there are two and they are not the same.
pub fn shown_or_bare(headers: &HeaderMap) -> Result<Option<Shown>, Unclear> {
    if let Some(found) = shown(headers)? {
        return Ok(Some(found));
    }
    let mut bare = headers.get_all(header::AUTHORIZATION).iter().map(|value| value.as_bytes().trim_ascii());
    let Some(first) = bare.next().filter(|value| !value.is_empty() && !value.contains(&b' ')) else { return Ok(None) };
    if bare.next().is_some() {
        return Err(Unclear);
    }
    Ok(Some(Shown { scheme: Scheme::Token, user: None, secret: Secret::new(first.to_vec()) }))
}

/// The client's id and secret in a form's text, if it has them: `client_secret_post` of RFC 6749 section 2.3.1.
pub fn of_client(form: &[u8]) -> Option<Shown> {
    let uri = Zeroizing::new(format!("/?{}", str::from_utf8(form).ok()?));
    let uri = axum::http::Uri::try_from(uri.as_str()).ok()?;
    let fields: axum::extract::Query<HashMap<String, String>> = axum::extract::Query::try_from_uri(&uri).ok()?;
    let axum::extract::Query(mut fields) = fields;
    let secret = Secret::new(fields.remove("client_secret")?.into_bytes());
    let user = Some(fields.remove("client_id").unwrap_or_default());
    (!secret.is_empty()).then_some(Shown { scheme: Scheme::Form, user, secret })
}

struct Read {
    scheme: Scheme,
    user: Option<String>,
    secret: Zeroizing<Vec<u8>>,
}

impl Read {
    fn new(scheme: Scheme, secret: &[u8]) -> Self {
        Self { scheme, user: None, secret: Zeroizing::new(secret.to_vec()) }
    }
}

fn read(authorization: &[u8]) -> Option<Read> {
    let space = authorization.iter().position(|byte| *byte == b' ')?;
    let (scheme, rest) = authorization.split_at(space);
    let rest = rest.trim_ascii();
    // Schemes are case-insensitive (RFC 9110 section 11.1).
    let is = |name: &str| scheme.eq_ignore_ascii_case(name.as_bytes());
    let read = if is("bearer") {
        Read::new(Scheme::Bearer, rest)
    } else if is("token") {
        Read::new(Scheme::Token, rest)
    } else if is("basic") {
        let pair = Zeroizing::new(LENIENT.decode(rest).ok()?);
        let colon = pair.iter().position(|byte| *byte == b':')?;
        let (user, password) = pair.split_at(colon);
        // A pasted token often brings a line end along (pypi/warehouse issues 8554, 9017, 17182).
        let password = password.get(1..).unwrap_or_default().trim_ascii();
        let user = (user != TOKEN_USER).then(|| String::from_utf8_lossy(user).into_owned());
        Read { user, ..Read::new(Scheme::Basic, password) }
    } else {
        return None;
    };
    (!read.secret.is_empty()).then_some(read)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    type Found = (Scheme, Option<String>, Vec<u8>);

    fn of(pairs: &[(&str, &str)]) -> Result<Option<Found>, Unclear> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
        }
        shown(&headers).map(|found| found.map(|it| (it.scheme, it.user, it.secret.expose().to_vec())))
    }

    fn basic(pair: &str) -> String {
        format!("Basic {}", STANDARD.encode(pair))
    }

    #[test]
    fn every_spelling_of_a_credential_is_read() {
        for (name, value, scheme) in [
            ("Authorization", "token foobar".to_owned(), Scheme::Token),
            ("authorization", "TOKEN foobar".to_owned(), Scheme::Token),
            ("Authorization", "bearer foobar".to_owned(), Scheme::Bearer),
            ("Authorization", "BEARER   foobar ".to_owned(), Scheme::Bearer),
            ("Authorization", basic("__token__:foobar"), Scheme::Basic),
            ("Authorization", basic("__token__: foobar \n"), Scheme::Basic),
            ("Authorization", basic("__token__:foobar").replace("Basic", "bAsIc"), Scheme::Basic),
            ("X-API-Key", "foobar".to_owned(), Scheme::ApiKey),
            ("x-api-key", " foobar ".to_owned(), Scheme::ApiKey),
        ] {
            assert_eq!(of(&[(name, &value)]), Ok(Some((scheme, None, b"foobar".to_vec()))), "{value}");
        }
    }

    #[test]
    fn what_is_no_credential_is_none() {
        for value in [
            "notarealtoken",
            "maybeafuturemethod foobar",
            "Bearer",
            "Bearer ",
            "token  ",
            "Bearerfoobar",
            "Basic ",
            "Basic !!!",
            &basic("notarealtoken"),
            &basic("__token__:"),
        ] {
            assert_eq!(of(&[("Authorization", value)]), Ok(None), "{value}");
        }
        assert_eq!(of(&[("X-API-Key", "  ")]), Ok(None));
        assert_eq!(of(&[]), Ok(None));
    }

    #[test]
    fn a_bare_token_is_read_where_that_is_the_custom() {
        let bare = |value: &'static str| {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(value))]);
            shown_or_bare(&headers).expect("one at most").map(|found| found.secret.expose().to_vec())
        };
        assert_eq!(bare("foobar"), Some(b"foobar".to_vec()));
        assert_eq!(bare("Bearer foobar"), Some(b"foobar".to_vec()));
        assert_eq!((bare("Digest foobar"), bare("")), (None, None));
    }

    #[test]
    fn another_user_is_told_apart() {
        let found = of(&[("Authorization", &basic("@token:foobar"))]).expect("one credential").expect("some");
        assert_eq!(found.1.as_deref(), Some("@token"));
    }

    #[test]
    fn two_different_credentials_are_refused_and_one_shown_twice_is_one() {
        let two = [("Authorization", "Bearer aaaa"), ("X-API-Key", "bbbb")];
        assert_eq!(of(&two), Err(Unclear));
        assert_eq!(of(&[("X-API-Key", "aaaa"), ("X-API-Key", "bbbb")]), Err(Unclear));
        assert_eq!(of(&[("Authorization", "Bearer aaaa"), ("Authorization", &basic("__token__:bbbb"))]), Err(Unclear));
        let same = [("Authorization", "Bearer aaaa"), ("X-API-Key", "aaaa")];
        assert_eq!(of(&same), Ok(Some((Scheme::Bearer, None, b"aaaa".to_vec()))));
    }
}
