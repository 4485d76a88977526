//! Serving: taking connections, and letting go of them without losing a delivery.
//!
//! A stop goes in this order: readiness turns 503, new connections are taken until the load balancer has noticed, the
//! listener closes, what is in flight is finished, the admin listener closes last. A request that has begun is only cut
//! off when the time to drain is over.

use std::net::IpAddr;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{App, Table, admin_router, proxy_table};

/// The sockets to serve on, already bound.
pub struct Listeners {
    pub public: TcpListener,
    pub admin: Option<TcpListener>,
    pub proxy: Option<TcpListener>,
}

/// Whose connection a request came by; an extension of every request.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// Longest time for the head of a request to arrive, the wait for a next request on an open connection included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves the table, which must have been checked, until `stop` is cancelled and everything in flight is finished.
pub async fn serve(listeners: Listeners, app: App, table: Table, stop: CancellationToken) {
    let mut upkeep = JoinSet::new();
    let (intake, metrics) = (app.intake.clone(), app.metrics.clone());
    upkeep.spawn(async move { metrics.keep_up().await });

    let (closing, admin_closing) = (CancellationToken::new(), CancellationToken::new());
    let public = tokio::spawn(listen(listeners.public, table.router(&app), closing.clone()));
    let proxy =
        listeners.proxy.map(|listener| tokio::spawn(listen(listener, proxy_table(&app).router(&app), closing.clone())));
    let admin =
        listeners.admin.map(|listener| tokio::spawn(listen(listener, admin_router(&app), admin_closing.clone())));

    intake.restore_keys().await;
    upkeep.spawn(async move { intake.keep_keys_fresh().await });
    app.readiness.started();

    stop.cancelled().await;
    app.readiness.draining();
    info!("stopping: new work goes elsewhere from now on");
    let end = Instant::now() + app.settings.drain_for;
    tokio::time::sleep(app.settings.lame_duck_for.min(app.settings.drain_for)).await;
    closing.cancel();
    // Both have the same time, however long one of them takes.
    tokio::join!(finish(public, end), async {
        if let Some(proxy) = proxy {
            finish(proxy, end).await;
        }
    });
    admin_closing.cancel();
    if let Some(admin) = admin {
        finish(admin, end).await;
    }
    app.close().await;
}

async fn finish(mut server: JoinHandle<()>, end: Instant) {
    if tokio::time::timeout_at(end, &mut server).await.is_err() {
        warn!("requests were still running when the time to drain was over");
        server.abort();
    }
}

/// Takes connections until `closing`, then waits for those it has.
async fn listen(listener: TcpListener, routes: Router, closing: CancellationToken) {
    let connections = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = closing.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let peer = Peer(peer.ip().to_canonical());
                drop(tokio::spawn(attend(stream, peer, routes.clone(), connections.watcher())));
            }
            Err(error) => {
                // Mostly: no file descriptor left. Trying again at once would only burn the processor.
                warn!(%error, "could not take a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    connections.shutdown().await;
}

async fn attend(stream: TcpStream, peer: Peer, routes: Router, watcher: Watcher) {
    // An answer is one small packet: it must not wait for a second one.
    let _ = stream.set_nodelay(true);
    let routes = TowerToHyperService::new(routes);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        routes.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(64 * 1_024)
        .serve_connection(TokioIo::new(stream), service);
    if watcher.watch(connection).await.is_err() {
        // The error's text may quote what was sent.
        debug!("a connection ended before its request did");
    }
}
