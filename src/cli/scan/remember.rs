//! The file in which a scan remembers what it has read.
//!
//! It lies with the user's other caches, never in the repository that is scanned, unless another place is named. It is
//! replaced as a whole, so that a scan that is ended leaves the old one.

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use crate::cli::{Usage, out};
use crate::scan::State;

#[derive(Args, Debug)]
pub struct Remember {
    /// Read of a history only what is new since the last scan; STATE is where that is remembered
    #[arg(
        long,
        value_name = "STATE",
        num_args = 0..=1,
        default_missing_value = "",
        require_equals = true,
        conflicts_with_all = ["unreachable", "staged", "since_commit", "branch", "log_opts", "max_depth"],
        help_heading = "What is read"
    )]
    incremental: Option<OsString>,
    #[arg(long, hide = true, env = "XDG_CACHE_HOME", hide_env = true)]
    cache_home: Option<PathBuf>,
    #[arg(long, hide = true, env = "HOME", hide_env = true)]
    home: Option<PathBuf>,
}

/// Larger files are no state.
const MAX_BYTES: u64 = 64 << 20;

impl Remember {
    /// The file, if anything is to be remembered.
    pub fn file(&self) -> anyhow::Result<Option<PathBuf>> {
        let Some(named) = &self.incremental else { return Ok(None) };
        if !named.is_empty() {
            return Ok(Some(named.into()));
        }
        let absolute = |path: &&PathBuf| path.is_absolute();
        let cache = self.cache_home.as_ref().filter(absolute).cloned();
        let cache = cache.or_else(|| Some(self.home.as_ref().filter(absolute)?.join(".cache")));
        let cache =
            cache.ok_or_else(|| Usage("there is no folder for caches; name a file: --incremental=FILE".into()))?;
        Ok(Some(cache.join("stanch/scanned.json")))
    }
}

/// What the file remembers, as far as it makes sense.
pub fn read(path: &Path, now: State) -> State {
    let text = match fs::metadata(path) {
        Ok(about) if about.len() <= MAX_BYTES => fs::read_to_string(path),
        Ok(_) => Err(std::io::Error::other("it is too large")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return now,
        Err(error) => Err(error),
    };
    let read = text.map_err(|error| error.to_string());
    match read.and_then(|text| now.clone().with(&text).map_err(|bad| bad.to_string())) {
        Ok(state) => state,
        Err(why) => {
            out::talk(format!(
                "Everything is read: what earlier scans remembered in `{}` is of no use, {why}",
                path.display()
            ));
            now
        }
    }
}

/// Writes the file anew.
pub fn write(path: &Path, state: &State) -> anyhow::Result<()> {
    let told = || format!("what was read cannot be remembered in `{}`", path.display());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).with_context(told)?;
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(told)?;
    file.write_all(state.to_string().as_bytes()).with_context(told)?;
    file.persist(path).with_context(told)?;
    Ok(())
}
