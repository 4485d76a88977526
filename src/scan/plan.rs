//! The plan: everything a scan needs to know, ready before it starts.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ignore::overrides::Override;

use super::finding::Secrets;
use super::suppress::{Baseline, IgnoreFile, Inline};
use crate::clock::Clock;
use crate::recognize::Recognizer;
use crate::token::Confidence;

/// What to scan, how, and what to leave out.
pub struct Plan {
    pub targets: Vec<Target>,
    pub recognizer: Arc<Recognizer>,
    pub min_confidence: Confidence,
    pub decode_depth: usize,
    pub archives: ArchiveLimits,
    /// Files larger than this are not read.
    pub max_file_size: Option<u64>,
    /// Included and excluded paths.
    pub paths: Override,
    pub ignored: Ignored,
    pub inline: Inline,
    pub ignore_file: IgnoreFile,
    pub baseline: Baseline,
    pub secrets: Secrets,
    pub threads: usize,
    /// The scan ends after this time, incomplete.
    pub time_out: Option<Duration>,
    pub clock: Clock,
}

/// One thing to scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Path(PathBuf),
    Stdin,
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
