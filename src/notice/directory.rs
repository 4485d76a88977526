//! The directory transport: one `.eml` file per notice.
//!
//! A file appears whole or not at all, is named by its notice so that a repeat replaces it, and is on the disk before
//! the notice counts as sent. Mails name people, so only the owner of the process can read them.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{SendError, SettingsError};

pub(super) struct Directory {
    path: PathBuf,
}

impl Directory {
    /// Makes the directory if it is missing, for this user alone.
    pub(super) fn open(path: PathBuf) -> Result<Self, SettingsError> {
        create(&path).map_err(|error| SettingsError::io("directory", "cannot be made or is no directory", error))?;
        Ok(Self { path })
    }

    pub(super) async fn write(&self, id: &str, mail: Vec<u8>) -> Result<(), SendError> {
        let (path, name) = (self.path.clone(), format!("{id}.eml"));
        let written = tokio::task::spawn_blocking(move || replace(&path, &name, &mail)).await;
        match written.unwrap_or_else(|_| Err(io::Error::other("the writing task ended early"))) {
            Ok(()) => Ok(()),
            Err(error) => Err(failed(&error)),
        }
    }

    pub(super) async fn check(&self) -> Result<String, String> {
        let path = self.path.clone();
        let tried = tokio::task::spawn_blocking(move || tempfile::tempfile_in(path)).await;
        match tried.unwrap_or_else(|_| Err(io::Error::other("the writing task ended early"))) {
            Ok(_) => Ok(format!("mail is written to the directory `{}`", self.path.display())),
            Err(error) => Err(format!("mail cannot be written to the directory `{}`: {error}", self.path.display())),
        }
    }
}

fn create(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;

    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// The temporary file is made with mode 0600 and keeps it.
fn replace(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".notice-").tempfile_in(directory)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(directory.join(name)).map_err(|error| error.error)?;
    // The name is part of the promise too.
    File::open(directory)?.sync_all()
}

fn failed(error: &io::Error) -> SendError {
    let why = format!("the mail directory cannot be written: {}", error.kind());
    match error.kind() {
        io::ErrorKind::NotADirectory
        | io::ErrorKind::NotFound
        | io::ErrorKind::PermissionDenied
        | io::ErrorKind::ReadOnlyFilesystem => SendError::Misconfigured { why },
        _ => SendError::Retry { why },
    }
}
