//! `stanch init`: a commented configuration and the keys. Overwrites nothing, however often it is run.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use super::{Context, HintExt as _, keys, out};
use crate::config::{Config, DEFAULT_FILE, Sources, TEMPLATE};

#[derive(Args)]
#[command(after_help = "Files that exist are named and left as they are.\n\n\
                        Examples:\n  stanch init\n  stanch init --dir /etc/stanch")]
pub struct Init {
    /// Folder to write into; made if it is not there
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    dir: PathBuf,
}

impl Init {
    pub fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        fs::create_dir_all(&self.dir)
            .with_context(|| format!("the folder {} cannot be made", self.dir.display()))
            .hint("choose another with `--dir`")?;
        let here = self.dir == Path::new(".");
        let path = if here { PathBuf::from(DEFAULT_FILE) } else { self.dir.join(DEFAULT_FILE) };
        let written = write_new(&path, TEMPLATE)
            .with_context(|| format!("{} cannot be written", path.display()))
            .hint("check who owns the folder and how much room is left")?;
        out::talk(if written {
            format!("wrote {}", path.display())
        } else {
            format!("{} exists and was left as it is", path.display())
        });
        // What the file says, not what the template says: it may have been there before.
        let config = Config::load(Sources {
            file: Some(path.clone()),
            environment: context.environment.clone(),
            flags: context.flags(),
        })?;
        if config.keys.files.is_empty() {
            let before = config.keys.folder().files()?;
            let made = keys::generate_missing(context, &config.keys.folder())?;
            for file in before {
                out::talk(format!("{} exists and was left as it is", file.display()));
            }
            keys::tell(&made);
        }
        tell_next_steps(&path, &config);
        Ok(ExitCode::SUCCESS)
    }
}

/// Writes the file unless it exists; says whether it did.
fn write_new(path: &Path, content: &str) -> std::io::Result<bool> {
    match fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(path) {
        Ok(mut file) => file.write_all(content.as_bytes()).and_then(|()| file.sync_all()).map(|()| true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

fn tell_next_steps(path: &Path, config: &Config) {
    // The default file is found without being named.
    let flag = if path == Path::new(DEFAULT_FILE) { String::new() } else { format!(" --config {}", path.display()) };
    out::talk(format!(
        "\nnext:\n  1. back up {}: whoever loses a key loses what it sealed\n  \
         2. edit {}\n  3. stanch doctor{flag}\n  4. stanch serve{flag}",
        config.keys.folder().path().display(),
        path.display(),
    ));
}
