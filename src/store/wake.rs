//! Waking workers: a hint that work may be due.
//!
//! A hint may be missed, doubled or late, and nothing may depend on it: looking at the queue is the truth.

use tokio::sync::Notify;

/// Tells this process, and a task that tells other machines.
#[derive(Default)]
pub(super) struct Wake {
    here: Notify,
    elsewhere: Notify,
}

impl Wake {
    /// Work was committed here.
    pub(super) fn work_due(&self) {
        // A permit is kept if nobody waits at the moment, so that a worker between two looks does not miss it.
        self.here.notify_one();
        self.elsewhere.notify_one();
    }

    /// Another machine said that it committed work.
    pub(super) fn heard(&self) {
        self.here.notify_one();
    }

    /// Waits for work, committed by anybody.
    pub(super) async fn woken(&self) {
        self.here.notified().await;
    }

    /// Waits until work was committed here that other machines should hear of.
    pub(super) async fn to_be_told(&self) {
        self.elsewhere.notified().await;
    }
}
