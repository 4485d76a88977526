//! Upkeep: what a worker does beside its jobs, on time and whoever else does it too.
//!
//! Every round may be cut short or done twice: each statement finds what is left to do by itself.

use std::sync::Arc;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use super::runner::Worker;
use crate::incident::Actor;
use crate::store::{IssuerHealth, Overdue};

impl Worker {
    /// Sweeps, over and over, until `stop` is cancelled.
    pub(super) async fn sweep_on_time(self: Arc<Self>, stop: CancellationToken) {
        loop {
            self.tell_health().await;
            match self.store.sweep().await {
                Ok(sweep) if sweep.requeued > 0 || sweep.erased > 0 => warn!(
                    requeued = sweep.requeued,
                    erased = sweep.erased,
                    "the sweep mended {} incidents without a job and erased {} left-over secrets",
                    sweep.requeued,
                    sweep.erased
                ),
                Ok(_) => {}
                Err(error) => warn!(error = &error as &dyn std::error::Error, "the sweep failed: {error}"),
            }
            self.mind_holds().await;
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(self.settings.sweep_every) => {}
            }
        }
    }

    /// Raises the alarm about tokens that are held for too long.
    async fn mind_holds(&self) {
        let actor = Actor::Worker(self.settings.node.clone());
        match self.store.mind_holds(&actor).await {
            Ok(Overdue { told: 0, released: 0 }) => {}
            Ok(Overdue { told, released }) => error!(
                held = told,
                released,
                "{told} live tokens are held for too long and {released} were revoked because of that: \
                 see `stanch incident held`"
            ),
            Err(error) => warn!(error = &error as &dyn std::error::Error, "nobody looks after what is held: {error}"),
        }
    }

    /// Tells, for those who look from elsewhere, how this process finds the issuers, and counts what reporters sent.
    async fn tell_health(&self) {
        let now = self.clock.now();
        let health = self.issuers.iter().map(|issuer| {
            let status = issuer.status().unwrap_or_default();
            let (reason, resting_until) = status.resting.unzip();
            IssuerHealth {
                issuer: issuer.name().clone(),
                node: self.settings.node.clone(),
                breaker: status.breaker.word().to_owned(),
                reason,
                resting_until,
                updated_at: now,
            }
        });
        let told = self.store.put_issuer_health(health.collect()).await;
        if let Err(error) = told.and(self.store.count_reporter_hours().await) {
            debug!("health and reporters were not written down: {error}");
        }
    }
}
