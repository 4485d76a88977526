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
//! never tells: a [`Finding`] holds no token, only its masked form and its id. And a scan of the same bytes gives the
//! same findings in the same order, however many threads took part.

mod archive;
mod coverage;
mod decode;
pub mod engine;
mod facts;
mod finding;
pub mod git;
mod history;
mod lines;
mod plan;
mod provenance;
mod read;
pub mod report;
pub mod rules;
mod run;
mod suppress;
mod text;
mod tree;

pub use coverage::{Coverage, Gap, GapCount, Gaps};
pub use decode::Encoding;
pub use facts::{Checksum, Fact};
pub use finding::{Finding, Masked, Secrets};
pub use lines::Position;
pub use plan::{ArchiveLimits, History, Ignored, Plan, Target, Unreachable};
pub use provenance::{Commit, Provenance, Source};
pub use run::{Error, Outcome, Suppressed, run, run_on_stream};
pub use suppress::{BadBaseline, BadPattern, Baseline, IgnoreFile, Inline};
pub use text::{Sighting, TextScanner};
