//! `stanch work`: works on what other processes took in. Any number of them share one PostgreSQL database.

use std::process::ExitCode;

use clap::Args;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::service::{DRAIN_FOR, signalled, tell_mode, worker};
use super::{Context, ready};
use crate::telemetry::{self, Metrics};

/// Arguments of `stanch work`.
#[derive(Args)]
pub struct Work {}

impl Work {
    /// Works until a signal comes.
    pub async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let Self {} = self;
        let config = context.config()?;
        telemetry::start_log(&config.log.settings())?;
        let metrics = Metrics::install()?;
        let store = ready::open_store(&config, &context.clock).await?;
        let issuers = ready::issuers(&config, &store, &context.clock)?;
        let worker = worker(&config, &context.clock, &store, issuers)?;
        let stop = CancellationToken::new();
        let upkeep = tokio::spawn(async move { metrics.keep_up().await });
        let working = tokio::spawn(worker.run(stop.clone(), DRAIN_FOR));
        tell_mode(&store);
        let stopped = signalled();
        info!("working");
        stopped.await;
        stop.cancel();
        working.await?;
        upkeep.abort();
        store.close().await;
        info!("stopped; unfinished jobs were handed back");
        Ok(ExitCode::SUCCESS)
    }
}
