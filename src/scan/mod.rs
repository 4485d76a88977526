//! Scan: finds tokens in work trees, histories, archives, staged changes and streams, and says what it did not read.
//!
//! ```text
//!   Plan ── source: tree, file, stdin, index ──┐
//!                                              ├─> text (recognize + decode) ─> Finding ─> suppress ─> Outcome ─> report
//!           archive: zip, tar, gz, xz, …  ─────┤
//!           git: objects in delta order ───────┘
//! ```
//!
//! Three things must stay true. A scan never lies: whatever was not read is in its [`Coverage`], with the reason. A scan
//! never tells: a [`Finding`] holds no token, only its masked form and its id, unless it was asked to keep them. And a scan of the same bytes gives the
//! same findings in the same order, however many threads took part.

mod absent;
mod archive;
mod asked;
mod authorship;
mod blobs;
mod changes;
mod coverage;
mod decode;
pub mod engine;
mod facts;
mod fill;
mod finding;
pub mod git;
mod history;
pub mod hooks;
mod incremental;
mod lfs;
mod lines;
mod log_opts;
mod names;
mod once;
mod plan;
mod progress;
mod provenance;
mod range;
mod read;
pub mod report;
mod repository;
pub mod rules;
mod run;
mod staged;
mod suppress;
mod text;
mod time_out;
mod tree;
mod view;

pub use absent::{Absent, Here, Lent, remote};
pub use asked::{Asked, Revocation, Verdict};
pub use coverage::{Coverage, Gap, GapCount, Gaps};
pub use decode::Encoding;
pub use facts::{Checksum, Fact};
pub use finding::{Finding, Masked, Secrets, Spot};
pub use incremental::{BadState, State};
pub use lfs::Lfs;
pub use lines::Position;
pub use log_opts::{BadWanted, Wanted};
pub use plan::{ArchiveLimits, Choice, History, Ignored, Plan, Submodules, Target, Unreachable};
pub use progress::{Moment, Progress};
pub use provenance::{Commit, Provenance, Source};
pub use run::{Error, Outcome, Suppressed, run, run_on_stream};
pub use staged::Staged;
pub use suppress::{BadBaseline, BadPattern, Baseline, IgnoreFile, Inline};
pub use text::{Sighting, TextScanner};
pub use view::{BadReport, View};
