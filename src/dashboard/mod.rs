//! The dashboard: what operators see and do in a browser.
//!
//! Pages are made on the server and work without a script; the one script keeps them current. No page changes anything
//! on GET. What a stranger wrote is inert on every page, and no page shows a token, except a fresh one to whoever had it
//! made. Every change is the store's, with its audit event, and is in the operator's API too.

mod answer;
mod assets;
mod chart;
mod live;
mod menu;
#[cfg(feature = "oidc")]
mod oidc;
mod pages;
mod password;
mod provider;
mod report;
mod sign_in;
mod text;
mod told;
mod visit;
mod welcome;

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::handler::Handler;
use axum::http::StatusCode;

use live::Pulse;
use pages::Verification;
pub use password::{Passwords, Unavailable};
pub use provider::ProviderSettings;

use crate::http::{Access, App, Problem, Route, Verb};
use crate::mint::Mint;
use crate::notice::Mailer;
use crate::operator::Role;
use crate::recognize::Recognizer;
use crate::token::FingerprintRing;

/// What pages know besides the store. Cheap to clone.
#[derive(Clone)]
pub struct Desk {
    passwords: Passwords,
    pulse: Arc<Pulse>,
    verification: Verification,
    #[cfg(feature = "oidc")]
    provider: Option<Arc<oidc::Provider>>,
    parts: Arc<Parts>,
}

/// The ready values that pages need.
pub struct Parts {
    pub settings: Settings,
    pub recognizer: Arc<Recognizer>,
    pub fingerprints: Arc<FingerprintRing>,
    /// Makes the built-in issuer's tokens; none if it is switched off.
    pub mint: Option<Mint>,
    /// Writes the mails, to show them.
    pub mailer: Option<Arc<Mailer>>,
    /// Where operators sign in beside their passwords; only with the feature `oidc`.
    pub provider: Option<ProviderSettings>,
}

/// How long the link that makes the first admin is good.
pub const BOOTSTRAP_LASTS: Duration = Duration::from_hours(1);

/// What pages show of the configuration.
pub struct Settings {
    /// Where operators find the dashboard, without a slash at its end; none if the request tells.
    pub url: Option<String>,
    /// The effective configuration as text, without any credential.
    pub effective: String,
    /// Hosts that an address of a report may link to.
    pub link_hosts: Vec<String>,
    /// The configured issuers, each with the kinds it claims.
    pub issuers: Vec<(String, String)>,
}

impl Desk {
    /// # Errors
    /// When the operating system gives no random bytes.
    pub fn new(parts: Parts) -> Result<Self, Unavailable> {
        report::begin();
        #[cfg(feature = "oidc")]
        let (mut parts, mut provider) = (parts, None);
        #[cfg(feature = "oidc")]
        if let Some(settings) = parts.provider.take() {
            provider = Some(Arc::new(oidc::Provider::new(settings).map_err(|_| Unavailable)?));
        }
        Ok(Self {
            passwords: Passwords::new()?,
            pulse: Arc::default(),
            verification: Verification::default(),
            #[cfg(feature = "oidc")]
            provider,
            parts: Arc::new(parts),
        })
    }

    /// What the identity provider is called, if there is one.
    #[cfg(feature = "oidc")]
    fn provider_name(&self) -> Option<&str> {
        self.provider.as_deref().map(oidc::Provider::name)
    }

    #[cfg(not(feature = "oidc"))]
    fn provider_name(&self) -> Option<&str> {
        self.parts.provider.as_ref().map(|provider| provider.name.as_str())
    }

    #[cfg(feature = "oidc")]
    fn provider(&self) -> Option<&oidc::Provider> {
        self.provider.as_deref()
    }

    fn settings(&self) -> &Settings {
        &self.parts.settings
    }

    fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    fn verification(&self) -> &Verification {
        &self.verification
    }

    fn mint(&self) -> Option<&Mint> {
        self.parts.mint.as_ref()
    }

    fn recognizer(&self) -> &Recognizer {
        &self.parts.recognizer
    }

    fn fingerprints(&self) -> &FingerprintRing {
        &self.parts.fingerprints
    }

    fn mailer(&self) -> Option<&Mailer> {
        self.parts.mailer.as_deref()
    }

    /// The dashboard's routes.
    pub fn routes(&self) -> Vec<Route> {
        let door = Door(self.clone());
        let mut routes = vec![
            door.route(Verb::Get, "/dashboard/assets/{name}", Access::Public, "a file that pages load", assets::show),
            door.route(Verb::Post, "/dashboard/csp-report", Access::Form, "takes what browsers blocked", report::take),
            door.route(Verb::Get, "/dashboard/sign-in", Access::Public, "the form to sign in", sign_in::show),
            door.route(Verb::Post, "/dashboard/sign-in", Access::Form, "signs in", sign_in::enter),
            door.route(Verb::Get, "/dashboard/welcome/{link}", Access::Public, "the form of a link", welcome::show),
            door.route(Verb::Post, "/dashboard/welcome/{link}", Access::Form, "chooses a password", welcome::choose),
            door.get("/dashboard/events", "tells that something happened", live::listen),
            door.post("/dashboard/sign-out", Role::Viewer, "signs out", sign_in::leave),
        ];
        #[cfg(feature = "oidc")]
        routes.extend([
            door.route(
                Verb::Get,
                "/dashboard/sign-in/provider",
                Access::Public,
                "to the identity provider",
                oidc::start,
            ),
            door.route(Verb::Get, "/dashboard/sign-in/provider/back", Access::Public, "from it", oidc::back),
        ]);
        routes.extend(pages::routes(&door));
        routes
    }
}

/// Declares routes whose handlers find the desk.
struct Door(Desk);

impl Door {
    fn route<H, T>(&self, verb: Verb, path: &'static str, access: Access, summary: &'static str, handler: H) -> Route
    where
        H: Handler<T, App>,
        T: 'static,
    {
        Route::new(verb, path, access, summary, handler.layer(Extension(self.0.clone()))).page()
    }

    fn get<H: Handler<T, App>, T: 'static>(&self, path: &'static str, summary: &'static str, handler: H) -> Route {
        self.route(Verb::Get, path, Access::Operator(Role::Viewer), summary, handler)
    }

    fn post<H, T>(&self, path: &'static str, role: Role, summary: &'static str, handler: H) -> Route
    where
        H: Handler<T, App>,
        T: 'static,
    {
        self.route(Verb::Post, path, Access::Operator(role), summary, handler)
    }
}

/// A route that was declared without its desk is a mistake of ours.
fn undecked() -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR)
}
