//! Signing in and out, and the password again before what cannot be undone.
//!
//! Tries are counted by account and address together, by address, and by account, each with a limit of its own: one
//! address guesses slowly, and nobody can lock an operator out from a single one. A wrong name and a wrong password look
//! the same and take as long.

use std::net::IpAddr;
use std::time::Duration;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use axum::{Extension, Form};
use rand::TryRng as _;
use rand::rngs::SysRng;
use serde::Deserialize;
use tracing::info;
use zeroize::Zeroizing;

use super::Desk;
use super::answer::{Failure, go, page_with};
use super::assets::{ASSETS, Assets};
use super::text;
use super::visit::Visit;
use crate::clock::Timestamp;
use crate::http::auth::client;
use crate::http::auth::session::{self, Fresh};
use crate::http::{App, Peer};
use crate::id::OperatorId;
use crate::store::{Limit, NewSession, OperatorName, SignedInBy, Tries};

#[derive(Template)]
#[template(path = "sign_in.html", config = "src/dashboard/askama.toml")]
struct SignInPage {
    assets: &'static Assets,
    /// An identity provider's name, and the address that leads to it.
    provider: Option<(String, String)>,
    next: String,
    name: String,
    wrong: Option<String>,
}

#[derive(Deserialize)]
pub struct Wanted {
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
pub struct Typed {
    name: String,
    password: Zeroizing<String>,
    #[serde(default)]
    next: String,
}

const WINDOW: Duration = Duration::from_mins(15);

/// `GET /dashboard/sign-in`.
pub async fn show(Extension(desk): Extension<Desk>, Query(wanted): Query<Wanted>) -> Response {
    let next = local(&wanted.next).to_owned();
    view(StatusCode::OK, &desk, next, String::new(), None)
}

/// The form, with what is wrong with what was sent before.
pub fn view(status: StatusCode, desk: &Desk, next: String, name: String, wrong: Option<String>) -> Response {
    let link = |next: &str| format!("/dashboard/sign-in/provider?next={}", text::escaped(next));
    let provider = desk.provider_name().map(|name| (text::line(name), link(&next)));
    page_with(status, &SignInPage { assets: &ASSETS, provider, next, name, wrong })
}

/// `POST /dashboard/sign-in`.
pub async fn enter(
    State(app): State<App>,
    Extension(desk): Extension<Desk>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    Form(typed): Form<Typed>,
) -> Result<Response, Failure> {
    let address = client::address(&app.settings().trusted_proxies, peer, &headers);
    let next = local(&typed.next).to_owned();
    let shown = text::line(&typed.name).chars().take(64).collect();
    let again = |status, wrong: String| view(status, &desk, next.clone(), shown, Some(wrong));
    let Ok(name) = typed.name.parse::<OperatorName>() else {
        return Ok(again(StatusCode::FORBIDDEN, WRONG.into()));
    };
    let operator = match prove(&app, &desk, &name, address, typed.password).await? {
        Proof::Given(id) => id,
        Proof::Missing => return Ok(again(StatusCode::FORBIDDEN, WRONG.into())),
        Proof::TooOften(wait) => {
            let wrong = format!("Too many tries. There may be another in {}.", text::coarse(wait));
            return Ok(again(StatusCode::TOO_MANY_REQUESTS, wrong));
        }
    };
    info!(operator = %name, "operator {name} signed in");
    let cookie =
        open(&app, operator, (SignedInBy::Password, app.clock.now()), &headers).await?.ok_or(Failure::Unavailable)?;
    let mut response = go(&next);
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

const WRONG: &str = "The name or the password is not right.";

/// `POST /dashboard/sign-out`.
pub async fn leave(State(app): State<App>, visit: Visit) -> Result<Response, Failure> {
    if let Some(session) = visit.session() {
        app.store.end_session(session.sha256, visit.actor()).await?;
    }
    let mut response = go("/dashboard/sign-in");
    for cookie in session::clear() {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Opens a session in place of the one the browser had, on whose word and when that was given; gives its cookie. None if the operator is disabled meanwhile.
pub async fn open(
    app: &App,
    operator_id: OperatorId,
    (by, confirmed_at): (SignedInBy, Timestamp),
    headers: &HeaderMap,
) -> Result<Option<axum::http::HeaderValue>, Failure> {
    let settings = &app.settings().sessions;
    let fresh = fresh()?;
    let opened = app.store.open_session(NewSession {
        sha256: fresh.sha256,
        operator_id,
        expires_at: app.clock.now().plus(settings.lasts_for),
        by,
        confirmed_at,
        replaces: session::brought(settings, headers),
    });
    Ok(opened.await?.then(|| fresh.set(settings, headers)))
}

pub fn fresh() -> Result<Fresh, Failure> {
    let mut bytes = Zeroizing::new([0; 32]);
    SysRng.try_fill_bytes(&mut *bytes).map_err(|_| Failure::Unavailable)?;
    Ok(Fresh::from_random(&bytes))
}

/// What became of a password that was typed.
pub enum Proof {
    Given(OperatorId),
    Missing,
    TooOften(Duration),
}

/// Looks at a password that somebody typed for this name.
pub async fn prove(
    app: &App,
    desk: &Desk,
    name: &OperatorName,
    address: IpAddr,
    password: Zeroizing<String>,
) -> Result<Proof, Failure> {
    let limits = limits(name, address);
    if let Tries::Spent(wait) = app.store.count_try(limits.clone()).await? {
        return Ok(Proof::TooOften(wait));
    }
    let operator = app.store.operator(name).await?;
    let stored = match &operator {
        Some(operator) => app.store.operator_password(operator.id).await?,
        None => None,
    };
    let fits = desk.passwords.fits(password, stored).await.map_err(|_| Failure::Unavailable)?;
    match operator.filter(|_| fits) {
        Some(operator) => {
            app.store.forgive_try(&limits).await?;
            Ok(Proof::Given(operator.id))
        }
        None => Ok(Proof::Missing),
    }
}

fn limits(name: &OperatorName, address: IpAddr) -> Vec<Limit> {
    let limit = |subject: String, failures| Limit { subject, failures, within: WINDOW };
    vec![
        limit(format!("account:{name} address:{address}"), 5),
        limit(format!("address:{address}"), 25),
        limit(format!("account:{name}"), 100),
    ]
}

/// Where to go after signing in: a page of ours, or the start page.
pub fn local(next: &str) -> &str {
    let plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let ours = next == "/dashboard" || ["/dashboard/", "/dashboard?"].iter().any(|start| next.starts_with(start));
    if plain && ours && !next.starts_with("/dashboard/sign-") { next } else { "/dashboard" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_another_site_after_signing_in() {
        for fine in ["/dashboard", "/dashboard/incidents?state=stuck", "/dashboard?x=1"] {
            assert_eq!(local(fine), fine);
        }
        for bad in [
            "",
            "//evil.example",
            "https://evil.example",
            "/dashboardevil",
            "/\\evil.example",
            "/dashboard/\r\nX: y",
            "javascript:alert(1)",
            "/dashboard/sign-out",
        ] {
            assert_eq!(local(bad), "/dashboard", "{bad:?}");
        }
    }
}
