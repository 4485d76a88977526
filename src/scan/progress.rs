//! Progress: how far a scan is, for whoever waits for it.
//!
//! Counted by the workers and read by somebody else now and then; nothing depends on it.

use std::sync::atomic::{AtomicU64, Ordering};

/// What was read so far.
#[derive(Debug, Default)]
pub struct Progress {
    files: AtomicU64,
    bytes: AtomicU64,
    objects: AtomicU64,
    /// Objects of the repositories that were opened.
    all_objects: AtomicU64,
}

/// Progress at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    pub files: u64,
    pub bytes: u64,
    pub objects: u64,
    pub all_objects: u64,
}

impl Progress {
    pub fn file(&self) {
        self.files.fetch_add(1, Ordering::Relaxed);
    }

    pub fn bytes(&self, count: u64) {
        self.bytes.fetch_add(count, Ordering::Relaxed);
    }

    pub fn objects(&self, count: u64, bytes: u64) {
        self.objects.fetch_add(count, Ordering::Relaxed);
        self.bytes(bytes);
    }

    pub fn expect_objects(&self, count: u64) {
        self.all_objects.fetch_add(count, Ordering::Relaxed);
    }

    pub fn now(&self) -> Moment {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Moment {
            files: read(&self.files),
            bytes: read(&self.bytes),
            objects: read(&self.objects),
            all_objects: read(&self.all_objects),
        }
    }
}
