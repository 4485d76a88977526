//! The run: from a plan to an outcome.

use std::borrow::Cow;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::coverage::Coverage;
use super::finding::{Finding, Spot};
use super::git::{BadIndex, BadRevision};
use super::history;
use super::incremental::State;
use super::plan::{Choice, Plan, Target};
use super::provenance::Provenance;
use super::range;
use super::read::{Harvest, Shared, Worker};
use super::rules::Applies;
use super::staged;
use super::text::TextScanner;
use super::tree;
use crate::redact::inert;
use crate::token::FindingId;

/// What a scan has found, and what it has read.
#[derive(Debug)]
pub struct Outcome {
    /// In the order of their places.
    pub findings: Vec<Finding>,
    pub coverage: Coverage,
    pub suppressed: Suppressed,
    /// `None` for what a report told that was written before.
    pub took: Option<Duration>,
    /// Entries of the ignore file that suppressed nothing.
    pub unused_entries: Vec<String>,
    /// What is to be remembered for the next scan, if that was asked for.
    pub state: Option<State>,
}

/// Findings that were not told, by who said so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Suppressed {
    /// Those that stood there before what was chosen to be read.
    pub earlier: u64,
    pub inline: u64,
    /// By the paths that a file of rules excepts.
    pub rules: u64,
    pub ignore_file: u64,
    pub baseline: u64,
    /// Not wanted, by what their issuer said of them.
    pub verdict: u64,
}

impl Suppressed {
    pub fn merge(&mut self, other: Self) {
        self.earlier += other.earlier;
        self.inline += other.inline;
        self.rules += other.rules;
        self.ignore_file += other.ignore_file;
        self.baseline += other.baseline;
        self.verdict += other.verdict;
    }

    pub fn total(self) -> u64 {
        self.inline + self.ignore_file + self.rules + self.baseline + self.earlier + self.verdict
    }
}

/// Why a target cannot be scanned at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("what is staged cannot be told")]
    Index(#[source] BadIndex),
    #[error("`{0}` is in no git repository")]
    NoRepository(PathBuf),
    #[error("`{0}` is a link, a device or a socket, which are not read")]
    NotReadable(PathBuf),
    #[error("`{0}` cannot be read")]
    Unreadable(PathBuf, #[source] io::Error),
    #[error(transparent)]
    Revision(BadRevision),
}

/// Does what the plan says.
pub fn run(plan: &Plan) -> Result<Outcome, Error> {
    let began = Instant::now();
    let scanner = TextScanner::new(Arc::clone(&plan.recognizer), plan.decode_depth);
    let until = plan.time_out.and_then(|time| began.checked_add(time));
    let shared = Shared { plan, scanner: &scanner, now: plan.clock.now(), until };
    let mut all = Harvest::default();
    match &plan.choice {
        Choice::Everything => {
            for target in &plan.targets {
                all.merge(match target {
                    Target::Path(path) => scan_path(path, &shared)?,
                    Target::Repository { path, name } => {
                        let mut harvest = Harvest::default();
                        history::scan_fetched(path, name, &shared, &mut harvest);
                        harvest
                    }
                    Target::Stdin => scan_stream(&mut io::stdin().lock(), &shared),
                });
            }
        }
        Choice::Range(wanted) => all = range::scan(wanted, &shared)?,
        Choice::Staged(chosen) => all = staged::scan(chosen, &shared)?,
    }
    Ok(settle(all, &shared, began))
}

/// Scans what a stream has in it, as if it were standard input.
pub fn run_on_stream(plan: &Plan, stream: &mut dyn Read) -> Outcome {
    let began = Instant::now();
    let scanner = TextScanner::new(Arc::clone(&plan.recognizer), plan.decode_depth);
    let until = plan.time_out.and_then(|time| began.checked_add(time));
    let shared = Shared { plan, scanner: &scanner, now: plan.clock.now(), until };
    settle(scan_stream(stream, &shared), &shared, began)
}

fn scan_stream(stream: &mut dyn Read, shared: &Shared<'_>) -> Harvest {
    let mut worker = Worker::new(shared);
    worker.stream(stream, &Provenance::stdin());
    worker.harvest
}

fn scan_path(path: &Path, shared: &Shared<'_>) -> Result<Harvest, Error> {
    // A link that was named is followed: whoever types its name means what it leads to.
    let about = fs::metadata(path).map_err(|error| Error::Unreadable(path.to_owned(), error))?;
    if about.is_dir() {
        let (mut harvest, repositories) = tree::scan(path, shared);
        history::scan(path, &repositories, shared, &mut harvest);
        return Ok(harvest);
    }
    let mut worker = Worker::new(shared);
    if about.is_file() {
        worker.file(path);
    } else if is_pipe(&about) {
        // `stanch scan <(command)` is a stream with a name.
        let mut file = fs::File::open(path).map_err(|error| Error::Unreadable(path.to_owned(), error))?;
        worker.stream(&mut file, &Provenance::file(super::read::slashed(path)));
    } else {
        return Err(Error::NotReadable(path.to_owned()));
    }
    Ok(worker.harvest)
}

#[cfg(unix)]
fn is_pipe(about: &fs::Metadata) -> bool {
    std::os::unix::fs::FileTypeExt::is_fifo(&about.file_type())
}

#[cfg(not(unix))]
fn is_pipe(_: &fs::Metadata) -> bool {
    false
}

/// Puts the findings in order and takes out the known ones.
fn settle(all: Harvest, shared: &Shared<'_>, began: Instant) -> Outcome {
    let plan = shared.plan;
    let mut suppressed = Suppressed { inline: all.inline, ..Suppressed::default() };
    let mut findings = all.findings;
    findings.sort_by(Finding::order);
    // The name of a folder is met by every thread that reads a file in it.
    findings.dedup_by(|one, two| {
        one.spot == Spot::Name && two.spot == Spot::Name && one.id == two.id && one.provenance == two.provenance
    });
    findings.retain(|finding| {
        let path = finding.provenance.path.trim_start_matches("./");
        let applies = plan.rule_paths.apply(&finding.kind, path);
        suppressed.rules += u64::from(applies == Applies::Excepted);
        applies == Applies::Yes
    });
    let is_told = |id: &FindingId| findings.iter().any(|finding| finding.id == *id);
    suppressed.earlier = all.earlier.iter().filter(|id| !is_told(id)).count() as u64;
    let mut used = Vec::new();
    findings.retain(|finding| {
        if let Some(entry) = plan.ignore_file.entry(finding) {
            used.push(entry);
            suppressed.ignore_file += 1;
            return false;
        }
        let known = plan.baseline.knows(finding);
        suppressed.baseline += u64::from(known);
        !known
    });
    let told = findings.iter().map(|finding| &finding.id).collect();
    let state = plan.state.as_ref().map(|state| state.after(all.pending, &told));
    let unused_entries = plan.ignore_file.unused(&used).map(str::to_owned).collect();
    let mut coverage = all.coverage;
    withhold(&mut findings, &mut coverage, shared.scanner);
    Outcome { findings, coverage, suppressed, took: Some(began.elapsed()), unused_entries, state }
}

/// Takes tokens out of every path that is told. Until here a path is what the file is called.
fn withhold(findings: &mut [Finding], coverage: &mut Coverage, scanner: &TextScanner) {
    let mut scratch = scanner.scratch();
    for finding in findings {
        let Provenance { path, members, .. } = &mut finding.provenance;
        for name in members.iter_mut().chain([path]) {
            if let Cow::Owned(shown) = scanner.withheld(name, &mut scratch) {
                *name = shown;
            }
        }
    }
    for gaps in [&mut coverage.gaps, &mut coverage.skipped] {
        gaps.reword(|example| inert(&scanner.withheld(example, &mut scratch), 300));
    }
}
