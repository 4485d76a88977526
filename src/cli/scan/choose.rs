//! What of the targets is read: everything, what is staged, or the commits of a range.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::clone::Credentials;
use super::missing::Missing;
use crate::cli::Usage;
use crate::scan::{Choice, Lfs, Staged, Submodules, Wanted};

#[derive(Args, Debug)]
pub struct Choose {
    /// Search only what is staged and not in HEAD: what `git commit` would commit now
    #[arg(long, help_heading = "What is read", conflicts_with_all = ["since_commit", "branch", "log_opts", "max_depth"])]
    staged: bool,
    /// Search only commits that came after this one, on the branch or on HEAD
    #[arg(long, value_name = "REV", help_heading = "What is read")]
    since_commit: Option<String>,
    /// Search only commits that this branch, tag or id leads to
    #[arg(long, value_name = "REF", help_heading = "What is read")]
    branch: Option<String>,
    /// Search only commits that these words name to `git log`, such as `main..HEAD` or `--all --since=2026-01-31`
    #[arg(
        long,
        value_name = "WORDS",
        allow_hyphen_values = true,
        conflicts_with_all = ["since_commit", "branch"],
        help_heading = "What is read"
    )]
    log_opts: Option<String>,
    /// Search only so many of the newest commits
    #[arg(long, value_name = "N", help_heading = "What is read")]
    max_depth: Option<usize>,
    /// Fetch the objects that a partial clone has left at its remote, or from ADDRESS, into a temporary folder
    #[arg(
        long,
        value_name = "ADDRESS",
        num_args = 0..=1,
        default_missing_value = "",
        require_equals = true,
        help_heading = "What is read"
    )]
    fetch_missing: Option<String>,
    /// What is read of files that LFS keeps
    #[arg(long, value_enum, default_value_t = LfsFiles::Content, value_name = "HOW", help_heading = "What is read")]
    lfs: LfsFiles,
    /// Whether a submodule that is not checked out makes the scan incomplete; one that is checked out is always read
    #[arg(long, value_enum, default_value_t = Modules::Required, value_name = "HOW", help_heading = "What is read")]
    submodules: Modules,
    /// Let git ask your own credential helpers when it fetches a repository that was named by its address
    #[arg(long, help_heading = "What is read")]
    git_credentials: bool,
    /// As another scanner names a target
    #[arg(short = 's', long, alias = "directory", hide = true, value_name = "TARGET")]
    pub(super) source: Vec<PathBuf>,
    /// As another scanner says it, beside --staged
    #[arg(long, hide = true)]
    pre_commit: bool,
    /// As git tells its hooks, which of them `git commit -a` runs on another index than the usual one
    #[arg(long, hide = true, env = "GIT_INDEX_FILE", hide_env = true)]
    index_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LfsFiles {
    /// The content that the repository has; what it lacks is a gap
    Content,
    /// The content; what the repository lacks comes from its remote, by git-lfs, into a temporary folder
    Fetch,
    /// Their pointers, which are enough
    #[value(alias = "no")]
    Pointers,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Modules {
    /// It is a gap
    Required,
    /// It is left out
    CheckedOut,
}

impl Choose {
    pub fn submodules(&self) -> Submodules {
        match self.submodules {
            Modules::CheckedOut => Submodules::CheckedOut,
            Modules::Required => Submodules::Required,
        }
    }

    pub fn credentials(&self) -> Credentials {
        if self.git_credentials { Credentials::Helpers } else { Credentials::InAddress }
    }

    pub fn choice(&self) -> anyhow::Result<Choice> {
        if self.staged || self.pre_commit {
            return Ok(Choice::Staged(Staged { index: self.index_file.clone() }));
        }
        if let Some(words) = &self.log_opts {
            let wanted = Wanted::of_log_opts(words).map_err(|bad| Usage(bad.to_string()))?;
            return Ok(Choice::Range(wanted.at_most(self.max_depth)));
        }
        if self.since_commit.is_none() && self.branch.is_none() && self.max_depth.is_none() {
            return Ok(Choice::Everything);
        }
        Ok(Choice::Range(Wanted::between(self.since_commit.as_deref(), self.branch.as_deref(), self.max_depth)))
    }

    /// What is fetched if a repository lacks it.
    pub fn missing(&self) -> Missing {
        Missing { objects: self.fetch_missing.clone(), contents: self.lfs == LfsFiles::Fetch }
    }

    pub fn lfs(&self) -> Lfs {
        match self.lfs {
            LfsFiles::Content | LfsFiles::Fetch => Lfs::Content,
            LfsFiles::Pointers => Lfs::Pointers,
        }
    }
}
