//! Where a token comes from: standard input, a file, or the environment.

use std::io::Read as _;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use clap::Args;

use crate::cli::failure::Usage;
use crate::cli::{Context, HintExt as _};
use crate::token::Secret;

/// The variable that may hold the token.
pub const VARIABLE: &str = "STANCH_TOKEN";
const MAX_BYTES: u64 = 64 * 1_024;

#[derive(Args)]
pub struct Source {
    /// `-` for standard input, which is also what is read if nothing else is named
    #[arg(value_name = "-", value_parser = ["-"])]
    stdin: Option<String>,
    /// Read the token from this file
    #[arg(long, value_name = "FILE", conflicts_with = "stdin")]
    token_file: Option<PathBuf>,
}

impl Source {
    /// Reads the token: a named file, else standard input if it is asked for, else `STANCH_TOKEN`, else standard input.
    pub fn read(&self, context: &Context) -> anyhow::Result<Secret> {
        let mut bytes = Vec::new();
        match (&self.token_file, context.environment.get(VARIABLE)) {
            (Some(path), _) => {
                let file = std::fs::File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
                file.take(MAX_BYTES).read_to_end(&mut bytes)?;
            }
            (None, Some(value)) if self.stdin.is_none() => bytes = value.as_bytes().to_vec(),
            (None, _) => {
                std::io::stdin().lock().take(MAX_BYTES).read_to_end(&mut bytes)?;
            }
        }
        trimmed(bytes)
    }
}

/// What is pasted often has a line end, and never a blank, of its own.
pub fn trimmed(bytes: Vec<u8>) -> anyhow::Result<Secret> {
    let secret = Secret::new(bytes.trim_ascii().to_vec());
    drop(Secret::new(bytes));
    if secret.is_empty() {
        return Err(anyhow!(Usage("no token was given".into())))
            .hint(format!("pipe it in, name a file with `--token-file`, or set `{VARIABLE}`"));
    }
    Ok(secret)
}
