//! A visit: who looks at a page, and what every page around its own content needs.

use std::net::IpAddr;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use zeroize::Zeroizing;

use super::answer::Failure;
use super::assets::{ASSETS, Assets};
use super::menu::{self, Banner, Group, Page};
use super::text::{self, When};
use super::told::Told;
use super::{Desk, sign_in};
use crate::clock::Timestamp;
use crate::http::auth::{self, By, Operator, client, session};
use crate::http::{App, Peer, Problem};
use crate::incident::Actor;
use crate::operator::Role;
use crate::store::SignedInBy;

/// One request of an operator.
pub struct Visit {
    pub app: App,
    pub desk: Desk,
    pub operator: Operator,
    pub now: Timestamp,
    address: Option<IpAddr>,
    headers: HeaderMap,
    told: Option<Told>,
    /// Whether the page is the answer to a form, which a reload would send again.
    answers_form: bool,
    path: String,
    /// The cookie of a session that was confirmed in the course of this request.
    cookie: Option<HeaderValue>,
}

/// What the frame around a page shows.
#[expect(clippy::struct_excessive_bools, reason = "what a template shows or leaves out")]
pub struct Shell {
    pub assets: &'static Assets,
    pub menu: Vec<Group>,
    /// What needs a human.
    pub waiting: i64,
    pub operator: String,
    pub role: &'static str,
    pub csrf: String,
    pub banners: Vec<Banner>,
    pub now: When,
    pub told: Option<Told>,
    /// Where a session that an identity provider vouches for is confirmed: its name and the address.
    pub provider: Option<(String, String)>,
    /// Whether a step that cannot be undone asks for the password now.
    pub asks_password: bool,
    pub responds: bool,
    pub admin: bool,
    /// Whether the page can be had again by its address.
    pub reloads: bool,
}

impl FromRequestParts<App> for Visit {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let operator = Operator::from_request_parts(parts, app).await?;
        let desk = parts.extensions.get::<Desk>().cloned().ok_or_else(super::undecked)?;
        let address = parts.extensions.get::<Peer>().map(|Peer(peer)| *peer);
        let told = parts.uri.query().and_then(Told::of_query);
        let (headers, now) = (parts.headers.clone(), app.clock.now());
        let answers_form = !parts.method.is_safe();
        let path = parts.uri.path_and_query().map_or_else(String::new, ToString::to_string);
        Ok(Self { app: app.clone(), desk, operator, now, address, headers, told, answers_form, path, cookie: None })
    }
}

impl Visit {
    pub fn session(&self) -> Option<&session::Session> {
        match &self.operator.by {
            By::Session(session) => Some(session),
            _ => None,
        }
    }

    pub fn actor(&self) -> Actor {
        Actor::Operator(self.operator.name.clone())
    }

    /// Where operators find the dashboard.
    pub fn base(&self) -> String {
        base(&self.desk, &self.headers)
    }

    pub fn week_ago(&self) -> Timestamp {
        self.now.minus(Duration::from_hours(7 * 24))
    }

    pub fn may(&self, role: Role) -> bool {
        self.operator.role.allows(role)
    }

    /// Whether a step that cannot be undone needs the password again.
    pub fn asks_password(&self) -> bool {
        let confirmed_for = self.app.settings().sessions.confirmed_for;
        self.session().is_some_and(|session| self.now.since(session.confirmed_at) >= confirmed_for)
    }

    /// The identity provider that has to confirm this session, if one vouched for it.
    fn confirmed_elsewhere(&self) -> Option<(String, String)> {
        self.session().filter(|session| session.by == SignedInBy::Provider)?;
        let name = text::line(self.desk.provider_name()?);
        let back = if self.answers_form { "/dashboard" } else { &self.path };
        Some((name, format!("/dashboard/sign-in/provider?again=1&next={}", text::escaped(back))))
    }

    /// Lets a step that cannot be undone go on: the password was typed a moment ago, or just now. The session then goes
    /// on under another cookie, which [`Visit::finish`] puts into the answer.
    ///
    /// # Errors
    /// When the password is needed and not right, or was tried too often.
    pub async fn confirm(&mut self, typed: Option<Zeroizing<String>>) -> Result<(), Failure> {
        if !self.asks_password() {
            return Ok(());
        }
        let Some(session) = self.session().cloned() else { return Ok(()) };
        let typed = typed.filter(|typed| !typed.is_empty()).ok_or(Failure::NotConfirmed)?;
        let peer = self.address.ok_or(Failure::Unavailable)?;
        let address = client::address(&self.app.settings().trusted_proxies, peer, &self.headers);
        let name = self.operator.name.parse().map_err(|_| Failure::Unavailable)?;
        match sign_in::prove(&self.app, &self.desk, &name, address, typed).await? {
            sign_in::Proof::Given(_) => {}
            sign_in::Proof::Missing => return Err(Failure::NotConfirmed),
            sign_in::Proof::TooOften(_) => return Err(Failure::Refused("Too many tries. Wait a few minutes.".into())),
        }
        let fresh = sign_in::fresh()?;
        if !self.app.store.confirm_session(session.sha256, fresh.sha256).await? {
            return Err(Failure::NotConfirmed);
        }
        self.cookie = Some(fresh.set(&self.app.settings().sessions, &self.headers));
        Ok(())
    }

    /// Puts the cookie of a confirmed session into the answer.
    pub fn finish(&self, mut response: Response) -> Response {
        if let Some(cookie) = &self.cookie {
            response.headers_mut().append(header::SET_COOKIE, cookie.clone());
        }
        response
    }

    /// The frame around a page.
    pub async fn shell(&self, page: Page) -> Result<Shell, Failure> {
        let (waiting, banners) = (menu::waiting(&self.app.store).await?, menu::banners(self).await?);
        Ok(Shell {
            assets: &ASSETS,
            menu: menu::menu(page, waiting, self.operator.role),
            waiting,
            operator: self.operator.name.clone(),
            role: self.operator.role.word(),
            csrf: self.session().map(|session| session.csrf.clone()).unwrap_or_default(),
            banners,
            now: When::new(self.now, self.now),
            told: self.told.clone(),
            provider: self.confirmed_elsewhere(),
            asks_password: self.asks_password(),
            responds: self.may(Role::Responder),
            admin: self.may(Role::Admin),
            reloads: !self.answers_form,
        })
    }
}

/// Where operators find the dashboard: as it is configured, else as the request says.
pub fn base(desk: &Desk, headers: &HeaderMap) -> String {
    auth::base(desk.settings().url.as_deref(), headers)
}
