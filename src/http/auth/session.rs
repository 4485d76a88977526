//! Sessions: an operator who signed in, known again by a cookie.
//!
//! The guard asks here after no token was shown. Whatever comes by a cookie and changes something must also be meant:
//! the guard has checked where the request comes from (`Sec-Fetch-Site`), and [`is_meant`] checks the token that our own
//! page put into its form.

use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Redirect, Response};

use super::{Operator, Refused};
use crate::http::App;

/// A session that was found by its cookie.
#[derive(Clone, Debug)]
pub struct Session {}

/// The operator whose session the cookie in the headers names; none if there is no such cookie.
///
/// # Errors
/// When it cannot be looked up now.
#[expect(clippy::unused_async, reason = "looks sessions up in the store, once there are some")]
pub async fn operator(app: &App, headers: &HeaderMap) -> Result<Option<Operator>, Refused> {
    let _ = (app, headers);
    Ok(None)
}

/// Whether a change that came by this session was meant by its operator: the form, or the header `X-CSRF-Token`, holds
/// the session's own token. `form` is the body if it is a form, else empty.
pub fn is_meant(session: &Session, headers: &HeaderMap, form: &[u8]) -> bool {
    let _ = (session, headers, form);
    false
}

/// Where a person goes who wants a page and is nobody yet.
pub fn to_sign_in(wanted: &Uri) -> Response {
    let _ = wanted;
    Redirect::to("/login").into_response()
}
