//! Following the audit trail: sealing it every second, proving it piece by piece, and what is counted on the way.
//!
//! Every process that works does this; whichever comes first does it for all.

use std::time::Duration;

use metrics::gauge;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};

use crate::store::{Error, Store};
use crate::telemetry::metric;

const EVERY: Duration = Duration::from_secs(1);
/// Blocks sealed before the next pause, after a time without anybody to seal.
const BLOCKS_AT_ONCE: u32 = 160;
/// Rounds between two looks at a part of the chain, and how much of it is looked at. Beginning anew at its end, it comes
/// by everywhere in time.
const CHECK_EVERY: u32 = 30;
const CHECK_BLOCKS: u32 = 20;

/// What is known of the chain by this process.
#[derive(Default)]
struct Follower {
    rounds: u32,
    /// The last block that was verified.
    verified: i64,
    /// Whether anything was ever found that should not be.
    broken: bool,
}

/// Seals and proves until `stop` is cancelled; what is left is sealed before the end.
pub async fn follow(store: Store, stop: CancellationToken) {
    let mut follower = Follower::default();
    loop {
        let stopping = stop.is_cancelled();
        if let Err(error) = follower.round(&store).await {
            // The same outage is told by everything that matters more.
            debug!("the audit trail was not followed: {error}");
        }
        if stopping {
            return;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(EVERY) => {}
        }
    }
}

impl Follower {
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float; counts stay far below 2^53")]
    async fn round(&mut self, store: &Store) -> Result<(), Error> {
        for _ in 0..BLOCKS_AT_ONCE {
            let sealed = store.seal_audit().await?;
            if sealed.forged > 0 {
                self.broken = true;
                error!(
                    forged = sealed.forged,
                    "the audit trail holds {} events that stanch did not write: run `stanch audit verify`",
                    sealed.forged
                );
            }
            if !sealed.more {
                break;
            }
        }
        if self.rounds.is_multiple_of(CHECK_EVERY) {
            let (report, last) = store.verify_audit_blocks(self.verified, CHECK_BLOCKS).await?;
            self.verified = last.unwrap_or(0);
            if !report.is_intact() {
                self.broken = true;
                error!(
                    faults = report.faults.len(),
                    "the audit trail is not as it was written, at {} places: run `stanch audit verify`",
                    report.faults.len()
                );
            }
            gauge!(metric::AUDIT_EVENTS_SEALED).set(store.chain_head().await?.events as f64);
        }
        gauge!(metric::AUDIT_CHAIN_OK).set(if self.broken { 0.0 } else { 1.0 });
        self.rounds = self.rounds.wrapping_add(1);
        Ok(())
    }
}
