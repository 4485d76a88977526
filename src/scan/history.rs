//! History: what was committed to the repositories that a tree holds.
//!
//! It is not read yet. So that nobody takes a clean work tree for a clean repository, every repository is a gap in the
//! coverage, unless the plan says that its history does not belong to the scan.

use super::coverage::Gap;
use super::plan::History;
use super::read::{Harvest, Shared, slashed};
use super::tree::Repository;
use crate::redact::inert;

/// Accounts for the repositories of a tree.
pub fn scan(repositories: &[Repository], shared: &Shared<'_>, harvest: &mut Harvest) {
    for repository in repositories {
        let (Repository::Here(path) | Repository::Elsewhere(path)) = repository;
        let coverage = &mut harvest.coverage;
        let reasons = match shared.plan.history {
            History::Full => &mut coverage.gaps,
            History::None => &mut coverage.skipped,
        };
        reasons.add(Gap::History, &inert(&slashed(path), 300));
    }
}
