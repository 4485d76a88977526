//! The budget of one file: what unpacking it may cost, all layers together.

use std::cell::Cell;
use std::io::{self, Read};
use std::time::Instant;

use super::super::coverage::Gap;
use super::super::plan::ArchiveLimits;

/// What is left, shared by all readers of one file.
pub struct Budget {
    left: Cell<u64>,
    until: Option<Instant>,
    over: Cell<Option<Gap>>,
}

impl Budget {
    /// For a file of this size; a stream's size is not known.
    pub fn new(limits: &ArchiveLimits, size: Option<u64>) -> Self {
        let by_ratio = size.map_or(u64::MAX, |size| size.saturating_mul(limits.ratio).max(ArchiveLimits::FREE_BYTES));
        Self {
            left: Cell::new(limits.bytes.min(by_ratio)),
            until: Instant::now().checked_add(limits.time),
            over: Cell::new(None),
        }
    }

    /// Which limit was reached.
    pub fn over(&self) -> Option<Gap> {
        self.over.get()
    }

    pub fn exceed(&self, gap: Gap) {
        self.over.set(Some(gap));
    }

    fn spend(&self, bytes: usize) -> io::Result<()> {
        let gap = match self.left.get().checked_sub(bytes as u64) {
            Some(left) => {
                self.left.set(left);
                self.until.is_some_and(|until| Instant::now() > until).then_some(Gap::TimeOut)
            }
            None => Some(Gap::ArchiveLimit),
        };
        match gap.or(self.over.get()) {
            Some(gap) => {
                self.exceed(gap);
                Err(io::Error::other("the archive's budget is spent"))
            }
            None => Ok(()),
        }
    }
}

/// A reader that spends from the budget, and remembers that it failed.
///
/// A scan of a member ends at the first error; what comes after it in the archive must know.
pub struct Bounded<'b, R> {
    inner: R,
    budget: &'b Budget,
    failed: bool,
}

impl<'b, R: Read> Bounded<'b, R> {
    pub fn new(inner: R, budget: &'b Budget) -> Self {
        Self { inner, budget, failed: false }
    }

    /// Reads over what is left, and says whether all of it could be read.
    pub fn finish(mut self) -> io::Result<()> {
        if !self.failed {
            super::pass(&mut self)?;
        }
        if self.failed { Err(io::ErrorKind::InvalidData.into()) } else { Ok(()) }
    }
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.failed {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let read = match self.inner.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            read => read.and_then(|read| self.budget.spend(read).map(|()| read)),
        };
        self.failed = read.is_err();
        read
    }
}
