//! Who a request is from.
//!
//! One guard stands before every route and makes true what the route declared ([`Access`](super::route::Access)); a handler finds the
//! [`Caller`] or the [`Operator`] it was promised as an extractor, and a route that promised none has none. A
//! credential is read in one place, refused in one place, and its use is one line of the log without its value.

pub mod client;
mod credential;
mod guard;
mod link;
mod refused;
pub mod session;

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, StatusCode};

pub use credential::{Scheme, Shown, Unclear, of_client, shown, shown_or_bare};
pub(super) use guard::{Guard, NotKnown, ORGANISATION, check, pass};
pub use link::{LINK_LASTS, Link, NoRandomness, base};
pub use refused::Refused;

use super::{App, Peer, Problem};
use crate::id::{OwnerId, TokenId};
use crate::mint::{self, Authenticated};
use crate::operator::Role;
use crate::store::OwnToken;
use crate::token::Secret;

/// Whether credentials are asked for at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Authentication {
    /// For development: whoever shows nothing may do everything, on this machine.
    Disabled,
    #[default]
    Required,
}

/// Whose token was shown, at a route that asks for a token.
#[derive(Clone)]
pub struct Caller {
    pub shown: Authenticated,
    pub scheme: Scheme,
    /// The token itself, at the routes that send a request on: it must not go along.
    pub secret: Option<Arc<Secret>>,
}

impl Caller {
    pub fn token(&self) -> &OwnToken {
        self.shown.token()
    }
}

/// Who manages tokens: an operator everybody's, a token with `tokens:write` those of its owner.
#[derive(Clone)]
pub struct Manager {
    pub by: mint::By,
    /// Whose tokens they are; none for everybody's.
    pub owner_id: Option<OwnerId>,
    pub operator: Option<Operator>,
}

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    pub address: IpAddr,
}

impl Client {
    /// The peer, or whom a proxy that is believed names.
    pub fn of(app: &App, extensions: &Extensions, headers: &HeaderMap) -> Self {
        // A server in a test has no peer; it is asked from this machine.
        let peer = extensions.get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.0);
        Self { address: client::address(&app.settings().trusted_proxies, peer, headers) }
    }
}

/// The person, or the person's program, that operates the service, at a route that asks for a role.
#[derive(Clone, Debug)]
pub struct Operator {
    /// The name the audit trail knows them by: `crate::incident::Actor::Operator`.
    pub name: String,
    pub role: Role,
    pub by: By,
}

/// How an operator showed who they are.
#[derive(Clone, Debug)]
pub enum By {
    /// Nobody has to: authentication is switched off.
    Nothing,
    /// By a cookie, which a browser sends whether its owner means it or not; so every change was also proved to be meant.
    Session(session::Session),
    /// By an API token with an `operator:` scope.
    Token(TokenId),
}

/// What the log says of a request's credential.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub status: Status,
    pub token_id: Option<TokenId>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// Shown and refused.
    Bad,
    /// None was shown, or none was asked for.
    #[default]
    None,
    Ok,
}

impl Status {
    pub fn word(self) -> &'static str {
        match self {
            Self::Bad => "bad",
            Self::None => "none",
            Self::Ok => "ok",
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(unpromised)
    }
}

/// A caller at a route where anybody may come, known or not.
impl<S: Send + Sync> OptionalFromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(unpromised)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Manager {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(unpromised)
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Manager {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}

impl FromRequestParts<App> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        Ok(Self::of(app, &parts.extensions, &parts.headers))
    }
}

/// A handler that asks for more than its route declares is a mistake of ours; it lets nobody in.
fn unpromised() -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR)
}
