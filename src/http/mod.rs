//! HTTP: the door of the service.
//!
//! It accepts and never calls a remote issuer. Caps on size and time come first, then the signature, then everything
//! else; what a caller sent is in no log line, and a failure of ours tells the caller nothing but its kind. TLS and
//! HTTP/2 end at the proxy in front; here is HTTP/1.1.
//!
//! Every route is declared as data in its module, with who may come to it ([`Access`]); the router is built from that
//! [`Table`] and from nothing else, with a guard before each handler.

mod answers;
pub mod auth;
mod body;
mod edge;
pub mod export;
mod health;
mod index;
mod input;
mod leaks;
mod legacy;
mod limit;
mod limits;
mod magic;
mod oauth;
mod once;
mod openapi;
mod operate;
mod problem;
pub mod route;
mod schema;
mod serve;
mod tokens;
mod webhook;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;

pub use auth::Authentication;
pub use health::Readiness;
pub use limit::Rate;
pub use limits::Rates;
pub use operate::{Letter, NoBranch, NoLetter, letter, operator_view, revoke_branch, statistics_view, try_now};
pub use problem::Problem;
pub use route::{Access, Route, Table, Verb};
pub use serve::{Listeners, Peer, serve};

use crate::clock::Clock;
use crate::drill::Drills;
use crate::incident::EmailAddress;
use crate::intake::Intake;
use crate::mint::{Authenticator, Mint};
use crate::notice::Mailer;
use crate::proxy::Upstream;
use crate::store::Store;
use crate::telemetry::Metrics;

/// Where the server listens and what it lets itself in for.
#[derive(Clone, Debug)]
pub struct Settings {
    pub listen: SocketAddr,
    /// A second address for health and metrics; the first then shows no metrics.
    pub admin_listen: Option<SocketAddr>,
    /// An address of its own for the proxy; the first then has no proxy.
    pub proxy_listen: Option<SocketAddr>,
    /// The upstream that stands there in place of everything that is not the proxy's own.
    pub proxy_mount: Option<String>,
    pub max_body_bytes: usize,
    pub max_records: usize,
    /// Longest time for a body to arrive.
    pub body_timeout: Duration,
    /// Longest time to an answer. GitHub's agreement allows 15 seconds.
    pub answer_timeout: Duration,
    /// Most deliveries whose signature is not yet checked, at one time. Checked ones are never turned away.
    pub max_unverified: usize,
    /// Most bytes of their bodies that are held at one time.
    pub max_unverified_bytes: usize,
    /// How long new connections are still taken after the signal to stop, so that the load balancer notices first.
    pub lame_duck_for: Duration,
    /// Longest time from the signal to stop to the end.
    pub drain_for: Duration,
    /// Proxies that are believed about whom a request is from. One on this machine is, always.
    pub trusted_proxies: Vec<IpAddr>,
    pub authentication: auth::Authentication,
    /// Whether authentication may be switched off for other machines than this one.
    pub open_to_everybody: bool,
    pub rates: Rates,
    /// Whether packages may be uploaded, to be thrown away.
    pub upload_sink: bool,
    /// Ids of the projects that packages are uploaded for, by normalized name.
    pub upload_projects: BTreeMap<String, String>,
    pub sessions: auth::session::Settings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            admin_listen: None,
            proxy_listen: None,
            proxy_mount: None,
            max_body_bytes: 8 * 1_024 * 1_024,
            max_records: 10_000,
            body_timeout: Duration::from_secs(8),
            answer_timeout: Duration::from_secs(14),
            max_unverified: 1_024,
            max_unverified_bytes: 64 * 1_024 * 1_024,
            lame_duck_for: Duration::from_secs(3),
            drain_for: Duration::from_secs(20),
            trusted_proxies: Vec::new(),
            authentication: auth::Authentication::Required,
            open_to_everybody: false,
            rates: Rates::default(),
            upload_sink: false,
            upload_projects: BTreeMap::new(),
            sessions: auth::session::Settings::default(),
        }
    }
}

/// What the routes work with. Cheap to clone.
#[derive(Clone)]
pub struct App {
    pub intake: Arc<Intake>,
    pub store: Store,
    pub clock: Clock,
    pub authenticator: Authenticator,
    pub metrics: Metrics,
    pub readiness: Arc<Readiness>,
    answers: answers::Answers,
    mint: Mint,
    limits: Arc<limits::Limits>,
    upstreams: Arc<BTreeMap<String, Arc<Upstream>>>,
    /// Whom the magic tokens belong to that anybody may make, by upstream.
    minting_owners: Arc<BTreeMap<String, EmailAddress>>,
    drills: Option<Arc<Drills>>,
    listeners: operate::Listeners,
    configured: Arc<Configured>,
    settings: Arc<Settings>,
    budget: body::Budget,
}

/// What is configured elsewhere and shown to operators here.
#[derive(Default)]
pub struct Configured {
    /// The effective configuration as text, without any credential.
    pub effective: String,
    /// Where operators find the dashboard, without a slash at its end; none if the request tells.
    pub url: Option<String>,
    /// Writes the mails, to show them.
    pub mailer: Option<Arc<Mailer>>,
}

/// The ready values that the routes need.
pub struct Parts {
    pub intake: Arc<Intake>,
    pub store: Store,
    pub clock: Clock,
    pub authenticator: Authenticator,
    pub metrics: Metrics,
}

impl App {
    /// Readiness asks the database and the key rings.
    pub fn new(settings: Settings, parts: Parts) -> Self {
        let Parts { intake, store, clock, authenticator, metrics } = parts;
        let readiness = Arc::new(Readiness::of(store.clone(), Arc::clone(&intake)));
        let budget = body::Budget::new(&settings);
        let limits = Arc::new(limits::Limits::new(settings.rates, &clock));
        let mint = authenticator.mint();
        let answers = answers::Answers::new(store.clone());
        Self {
            intake,
            store,
            clock,
            authenticator,
            metrics,
            readiness,
            answers,
            mint,
            limits,
            upstreams: Arc::default(),
            minting_owners: Arc::default(),
            drills: None,
            listeners: operate::Listeners::default(),
            configured: Arc::default(),
            settings: Arc::new(settings),
            budget,
        }
    }

    /// Puts upstreams behind the proxy. `minting_owners` says whom the tokens belong to where anybody may make them.
    pub fn with_upstreams(
        mut self,
        upstreams: impl IntoIterator<Item = Upstream>,
        minting_owners: BTreeMap<String, EmailAddress>,
    ) -> Self {
        let named = upstreams.into_iter().map(|upstream| (upstream.name.clone(), Arc::new(upstream)));
        self.upstreams = Arc::new(named.collect());
        self.minting_owners = Arc::new(minting_owners);
        self
    }

    /// Makes drills possible.
    pub fn with_drills(mut self, drills: Drills) -> Self {
        self.drills = Some(Arc::new(drills));
        self
    }

    /// Tells what operators may look at.
    pub fn with_configured(mut self, configured: Configured) -> Self {
        self.configured = Arc::new(configured);
        self
    }

    fn configured(&self) -> &Configured {
        &self.configured
    }

    /// What makes drills; none where none can be made.
    pub fn drills(&self) -> Option<&Arc<Drills>> {
        self.drills.as_ref()
    }

    fn minting_owner(&self, upstream: &str) -> Option<&EmailAddress> {
        self.minting_owners.get(upstream)
    }

    fn is_minting_open(&self) -> bool {
        !self.minting_owners.is_empty()
    }

    /// Writes what was counted beside the answers; for the end of the process.
    pub async fn close(&self) {
        tokio::join!(self.authenticator.close(), self.answers.close());
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }
}

/// The routes of this module for the public listener. Others put theirs beside them ([`Table::and`]).
pub fn table(app: &App) -> Table {
    let table = Table::default()
        .and(index::routes())
        .and(webhook::routes())
        .and(leaks::routes())
        .and(tokens::routes())
        .and(oauth::routes())
        .and(operate::routes())
        .and(magic::routes(app))
        .and(health::routes())
        .and(app.settings.upload_sink.then(legacy::route));
    if app.settings.admin_listen.is_none() { table.and([health::metrics_route()]) } else { table }
}

/// The routes of the proxy's own listener.
pub fn proxy_table(app: &App) -> Table {
    Table::default().and(magic::apart(app))
}

/// The routes of the admin listener.
pub fn admin_table() -> Table {
    Table::default().and(health::routes()).and([health::metrics_route()])
}

/// The routes for everybody.
pub fn router(app: &App) -> Router {
    table(app).with_document().router(app)
}

/// The routes of the admin listener.
pub fn admin_router(app: &App) -> Router {
    admin_table().router(app)
}
