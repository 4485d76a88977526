//! `stanch send key`: keys for the sender.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use rand::rngs::StdRng;
use zeroize::Zeroizing;

use crate::cli::{HintExt as _, out};
use crate::send::{KeyPair, Signer};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Write a new P-256 key (PKCS#8 PEM) that only you can read, and print its id
    Generate {
        /// File to write; one that exists is never overwritten
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Print the key list as it would be published
    List {
        /// Private keys, the current one first
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
}

impl Command {
    pub(super) fn run(self, rng: &mut StdRng) -> anyhow::Result<ExitCode> {
        match self {
            Self::Generate { out } => generate(&out, rng)?,
            Self::List { files } => list(&files)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Reads a private key.
pub fn read(file: &Path) -> anyhow::Result<KeyPair> {
    let shown = file.display();
    let pem = std::fs::read_to_string(file)
        .map(Zeroizing::new)
        .with_context(|| format!("the key file `{shown}` cannot be read"))
        .hint(format!("make one with `stanch send key generate --out {shown}`"))?;
    KeyPair::from_pem(&pem)
        .with_context(|| format!("the key file `{shown}` cannot be used"))
        .hint("a key from elsewhere is converted with `openssl pkcs8 -topk8 -nocrypt`")
}

fn generate(file: &Path, rng: &mut StdRng) -> anyhow::Result<()> {
    let key = KeyPair::generate(rng)?;
    let pem = key.private_pem()?;
    let mut options = OpenOptions::new();
    let mut opened = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .with_context(|| format!("the key file `{}` cannot be written", file.display()))
        .hint("choose another name: a key that exists is never overwritten")?;
    opened.write_all(pem.as_bytes()).context("the key could not be written")?;
    opened.sync_all().context("the key could not be written")?;
    out::talk(format!("wrote a private key to {}", file.display()));
    out::data(key.id())?;
    Ok(())
}

fn list(files: &[PathBuf]) -> anyhow::Result<()> {
    let mut keys = files.iter().rev().map(|file| read(file));
    let mut signer = Signer::new(keys.next().context("no key was named")??);
    keys.try_for_each(|key| key.map(|key| signer.rotate(key)))?;
    out::data(serde_json::to_string_pretty(&signer.key_list())?)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn a_key_is_written_for_its_owner_alone_and_never_overwritten() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("sender.pem");
        let rng = &mut StdRng::seed_from_u64(1);
        generate(&file, rng).expect("written");
        let mode = std::fs::metadata(&file).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let id = read(&file).expect("readable").id().to_owned();
        generate(&file, rng).expect_err("not again");
        assert_eq!(read(&file).expect("readable").id(), id);
    }

    #[test]
    fn a_file_that_is_no_key_is_told_by_its_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("notes.txt");
        let missing = read(&file).err().expect("missing");
        assert!(missing.to_string().contains("notes.txt"), "{missing}");
        std::fs::write(&file, "hello").expect("written");
        let refused = read(&file).err().expect("no key");
        assert!(refused.to_string().contains("notes.txt"), "{refused}");
    }
}
