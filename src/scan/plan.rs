//! The plan: everything a scan needs to know, ready before it starts.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ignore::overrides::Override;

use super::absent::Lent;
use super::finding::Secrets;
use super::git::{self, Places};
use super::incremental::State;
use super::lfs::Lfs;
use super::log_opts::Wanted;
use super::progress::Progress;
use super::rules::RulePaths;
use super::staged::Staged;
use super::suppress::{Baseline, IgnoreFile, Inline};
use crate::clock::Clock;
use crate::recognize::Recognizer;
use crate::token::Confidence;

/// What to scan, how, and what to leave out.
pub struct Plan {
    pub targets: Vec<Target>,
    pub choice: Choice,
    pub recognizer: Arc<Recognizer>,
    /// Where imported rules apply.
    pub rule_paths: RulePaths,
    pub min_confidence: Confidence,
    pub decode_depth: usize,
    pub archives: ArchiveLimits,
    /// Files larger than this are not read.
    pub max_file_size: Option<u64>,
    /// Included and excluded paths.
    pub paths: Override,
    pub ignored: Ignored,
    pub history: History,
    pub unreachable: Unreachable,
    pub lfs: Lfs,
    pub submodules: Submodules,
    /// Copies of what repositories lack.
    pub lent: Vec<Lent>,
    /// Bytes that may be in memory at once, as far as what is read decides about it.
    pub memory: Option<u64>,
    /// What earlier scans have read, if it is not to be read again.
    pub state: Option<State>,
    /// Where it is counted how far the scan is.
    pub progress: Arc<Progress>,
    pub inline: Inline,
    pub ignore_file: IgnoreFile,
    pub baseline: Baseline,
    pub secrets: Secrets,
    pub threads: usize,
    /// The scan ends after this time, incomplete.
    pub time_out: Option<Duration>,
    pub clock: Clock,
}

impl Plan {
    /// Everything that can be read of the targets, for all kinds that the recognizer knows.
    pub fn new(targets: Vec<Target>, recognizer: Arc<Recognizer>, clock: Clock) -> Self {
        Self {
            targets,
            choice: Choice::Everything,
            recognizer,
            rule_paths: RulePaths::default(),
            min_confidence: Confidence::Shape,
            decode_depth: DECODE_DEPTH,
            archives: ArchiveLimits::default(),
            max_file_size: None,
            paths: Override::empty(),
            ignored: Ignored::Read,
            history: History::Full,
            unreachable: Unreachable::Counted,
            lfs: Lfs::Content,
            submodules: Submodules::Required,
            lent: Vec::new(),
            memory: None,
            state: None,
            progress: Arc::default(),
            inline: Inline::Obeyed,
            ignore_file: IgnoreFile::default(),
            baseline: Baseline::default(),
            secrets: Secrets::Dropped,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            time_out: None,
            clock,
        }
    }
}

impl Plan {
    /// Objects larger than this are not held beside others: the scan of a whole history reads them afterwards, that of
    /// a range not at all. A worker may hold an object, its base, and theirs.
    pub fn max_object(&self) -> u64 {
        let share = self.memory.map(|bytes| (bytes / (HELD * self.workers() as u64)).max(MIN_OBJECT));
        self.max_file_size.unwrap_or(MAX_OBJECT).min(share.unwrap_or(u64::MAX))
    }

    /// The places of a repository, with what is lent to it.
    pub fn places(&self, path: &Path, gaps: &mut git::Gaps) -> Result<Places, git::Error> {
        let mut places = Places::find(path, gaps)?;
        places.borrow(&self.lent);
        Ok(places)
    }

    /// How many threads work.
    pub fn workers(&self) -> usize {
        let most = self.memory.map_or(u64::MAX, |bytes| bytes / (HELD * WORKER_BYTES));
        self.threads.min(usize::try_from(most).unwrap_or(usize::MAX)).max(1)
    }
}

/// Objects of a history larger than this are not read, if nothing else is said.
const MAX_OBJECT: u64 = 64 << 20;
const MIN_OBJECT: u64 = 1 << 20;

/// So many objects of the largest size a worker holds at once, and so much it should have for one.
const HELD: u64 = 4;
const WORKER_BYTES: u64 = 8 << 20;

/// Encodings in each other that people make: base64 in JSON in base64.
pub const DECODE_DEPTH: usize = 3;

/// One thing to scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Path(PathBuf),
    /// A bare repository that was fetched; its history is read, under this name.
    Repository {
        path: PathBuf,
        name: String,
    },
    Stdin,
}

/// What of the targets is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Files, and all that was ever committed.
    Everything,
    /// What some commits brought.
    Range(Wanted),
    /// What would be committed now.
    Staged(Staged),
}

/// What is done with files that `.gitignore` names.
///
/// They are read by default: an ignored `.env` is copied into images and packages, and an ignored build folder is what
/// is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ignored {
    Read,
    Skipped,
}

/// What is done with the git repositories that are met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum History {
    /// All that was ever committed belongs to the scan; if it is not read, the scan is incomplete.
    Full,
    /// Only the files as they stand.
    None,
}

/// What is done with tokens in objects that no reference leads to.
///
/// They are read in either case. A force-push leaves them behind, and whoever knows an id can still fetch it from a forge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreachable {
    Counted,
    Told,
}

/// What is done with submodules that are not checked out. Those that are, are read like any other repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submodules {
    CheckedOut,
    /// They are gaps.
    Required,
}

/// How far archives are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArchiveLimits {
    /// Archives in archives; 0 opens none.
    pub depth: usize,
    /// Bytes that one file may unpack to, all layers together.
    pub bytes: u64,
    /// How many times its own size one file may unpack to, once it is past [`FREE_BYTES`](Self::FREE_BYTES).
    pub ratio: u64,
    /// How long one file may be unpacked.
    pub time: Duration,
}

impl ArchiveLimits {
    /// A small file of zeros is harmless, however well it was packed.
    pub const FREE_BYTES: u64 = 64 << 20;
}

impl Default for ArchiveLimits {
    fn default() -> Self {
        Self { depth: 6, bytes: 4 << 30, ratio: 200, time: Duration::from_mins(2) }
    }
}
