//! The running service: the pieces connected, started and stopped.
//!
//! `serve`, `work` and `demo` run the same thing; they differ in what they leave out and in what they say.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rand::Rng as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{HintExt as _, ready};
use crate::clock::Clock;
use crate::config::Config;
use crate::dashboard::{self, Desk};
use crate::http::{self, App, Listeners};
use crate::incident::brake::Mode;
use crate::intake::{Intake, Parts};
use crate::issuer::Issuers;
use crate::mint::{Authenticator, Mint};
use crate::notice::Mailer;
use crate::recognize::Recognizer;
use crate::store::Store;
use crate::telemetry::Metrics;
use crate::token::FingerprintRing;
use crate::work::{Backoff, Worker};

/// Which halves of the service a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Halves {
    /// Takes deliveries; leaves the work to other processes.
    Intake,
    /// Takes deliveries and works on them.
    IntakeAndWork,
}

/// Longest time that steps under way may take after the signal to stop. What hangs longer is handed back; with the time
/// that this and the closing of the database take, the process still ends within twenty seconds.
pub const DRAIN_FOR: Duration = Duration::from_secs(15);

/// A started service.
pub struct Service {
    /// Where it listens; the port is the real one if the configuration asked for any.
    pub addr: SocketAddr,
    pub store: Store,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Service {
    /// Opens everything the configuration names and starts; listening when this returns.
    pub async fn start(config: &Config, clock: &Clock, halves: Halves) -> anyhow::Result<Self> {
        let settings = http::Settings {
            sessions: config.dashboard.sessions(),
            proxy_listen: config.proxy.listen.map(|listen| listen.0),
            proxy_mount: config.proxy.mount.clone(),
            ..config.server.settings()
        };
        // Bound first: a port that is taken is told before the database is touched.
        let public = bind(settings.listen, "server.listen").await?;
        let admin = match settings.admin_listen {
            Some(addr) => Some(bind(addr, "server.admin_listen").await?),
            None => None,
        };
        let proxy = match settings.proxy_listen {
            Some(addr) => Some(bind(addr, "proxy.listen").await?),
            None => None,
        };
        let addr = public.local_addr()?;
        let proxy_addr = proxy.as_ref().map(TcpListener::local_addr).transpose()?;
        let admin_addr = admin.as_ref().map(TcpListener::local_addr).transpose()?;
        let metrics = Metrics::install()?;
        let store = ready::open_store(config, clock).await?;
        ready::register_keys(config, &store, clock).await?;
        let issuers = ready::issuers(config, &store, clock)?;
        let recognizer = Arc::new(ready::recognizer(config)?);
        let fingerprints = Arc::new(ready::fingerprint_ring(config)?);
        let parts = Parts {
            recognizer: Arc::clone(&recognizer),
            fingerprints: Arc::clone(&fingerprints),
            issuers: issuers.clone(),
            store: store.clone(),
            clock: clock.clone(),
            max_records: settings.max_records,
        };
        let mut origins = ready::origins(config)?;
        origins.push(ready::drill_origin(&store)?);
        let intake = Arc::new(Intake::new(origins, parts)?);
        let parts = http::Parts {
            intake,
            store: store.clone(),
            clock: clock.clone(),
            authenticator: Authenticator::new(store.clone(), ready::mint_settings(config)?, clock.clone()),
            metrics,
        };
        let upstreams = config.proxy.upstreams().map_err(anyhow::Error::msg)?;
        let app = App::new(settings, parts).with_upstreams(upstreams, config.proxy.minting_owners());
        let mailer = Arc::new(ready::mailer(config)?);
        let app = app.with_configured(http::Configured {
            effective: config.show().trim().to_owned(),
            url: config.dashboard.base(),
            mailer: Some(Arc::clone(&mailer)),
        });
        let app = app.with_drills(ready::drills(config, &store, clock, ready::url_of(addr)?)?);
        let mut table = http::table(&app);
        if config.dashboard.enabled {
            table = table.and(desk(config, &app, recognizer, fingerprints, mailer)?.routes());
        }
        let table = table.with_document();
        table.check()?;
        http::proxy_table(&app).check()?;

        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        if halves == Halves::IntakeAndWork {
            let worker = worker(config, clock, &store, issuers)?;
            tasks.spawn(worker.run(stop.clone(), DRAIN_FOR));
        }
        tasks.spawn(http::serve(Listeners { public, admin, proxy }, app, table, stop.clone()));
        tell_mode(&store);
        info!(addr = %addr, "listening on http://{addr}");
        if let Some(admin_addr) = admin_addr {
            info!(addr = %admin_addr, "health and metrics on http://{admin_addr}");
        }
        if let Some(proxy_addr) = proxy_addr {
            info!(addr = %proxy_addr, "the magic proxy on http://{proxy_addr}");
        }
        Ok(Self { addr, store, stop, tasks })
    }

    /// Waits until `signal` comes, then stops in good order.
    pub async fn run_until(mut self, signal: impl Future<Output = ()>) {
        signal.await;
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
        self.store.close().await;
        info!("stopped; nothing accepted is lost");
    }
}

/// Says at every start what would surprise on the worst day.
pub fn tell_mode(store: &Store) {
    match store.brake().mode {
        Mode::DryRun => warn!("dry run: tokens are verified, NONE IS REVOKED, nobody is mailed; see `work.dry_run`"),
        Mode::Limited => {}
        Mode::Unlimited => {
            warn!("the brake is off: whatever lives is revoked, however much it is; see `brake.enabled`");
        }
    }
}

/// What the dashboard's pages need.
fn desk(
    config: &Config,
    app: &App,
    recognizer: Arc<Recognizer>,
    fingerprints: Arc<FingerprintRing>,
    mailer: Arc<Mailer>,
) -> anyhow::Result<Desk> {
    let builtin = &config.issuer.builtin;
    let own = builtin.enabled.then(|| ("builtin".to_owned(), "its own tokens".to_owned()));
    let elsewhere = config.issuer.elsewhere.iter().map(|(name, issuer)| {
        let kinds: Vec<String> = issuer.kinds().map(|kind| kind.to_string()).collect();
        (name.clone(), kinds.join(", "))
    });
    let settings = dashboard::Settings {
        url: config.dashboard.base(),
        effective: config.show(),
        link_hosts: config.dashboard.link_hosts.clone(),
        issuers: own.into_iter().chain(elsewhere).collect(),
    };
    let mailer = Some(mailer);
    let mint = if builtin.enabled {
        Some(Mint::new(app.store.clone(), ready::mint_settings(config)?, app.clock.clone()))
    } else {
        None
    };
    let provider = ready::provider(config)?;
    Ok(Desk::new(dashboard::Parts { settings, recognizer, fingerprints, mint, mailer, provider })?)
}

/// The working half.
pub fn worker(config: &Config, clock: &Clock, store: &Store, issuers: Issuers) -> anyhow::Result<Arc<Worker>> {
    let mailer = ready::mailer(config)?;
    // Only spreads retries over time; nothing is guarded by it.
    #[expect(clippy::disallowed_methods, reason = "the program's edge, where randomness comes from")]
    let seed = rand::rng().next_u64();
    Ok(Worker::new(store.clone(), issuers, mailer, clock.clone(), config.work.settings(), Backoff::new(seed)))
}

/// Completes at the first SIGTERM or interrupt after this call, however long before it is awaited. A second one ends
/// the process at once: nothing accepted is lost by it, the jobs under way are done again by the next process.
pub fn signalled() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let handlers = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    async move {
        let (Ok(mut terminate), Ok(mut interrupt)) = handlers else {
            // Without handlers the signals keep their default: they end the process.
            return std::future::pending().await;
        };
        let mut next = async move || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        next().await;
        tokio::spawn(async move {
            next().await;
            std::process::exit(130);
        });
    }
}

async fn bind(addr: SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(addr)
        .await
        .with_context(|| format!("cannot listen on {addr}"))
        .hint(format!("set `{key}` to an address of this machine and a free port"))
}
