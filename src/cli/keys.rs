//! `stanch keys`: the keys that seal tokens and name them. Never shows one.

use std::process::ExitCode;

use anyhow::bail;
use clap::{Subcommand, ValueEnum};

use super::out::Colour;
use super::table::Table;
use super::{Context, HintExt as _, entropy, out, ready, when};
use crate::config::{Config, KeyFile, KeyFolder, Role};

#[derive(Subcommand)]
pub enum Command {
    /// Check that every key can be read, by nobody else, and fits the database
    Check,
    /// Write the keys that are missing; none that exists is touched
    Generate,
    /// List the keys by id and age, the current one of each role first
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Seal every stored token again with the current sealing key
    #[command(after_help = "Once this is done, and no process runs with the older keys alone, an older \
                            sealing key file may be deleted.")]
    Rewrap,
    /// Write a new key, which is the current one from then on; older keys stay and stay readable
    #[command(after_help = "Restart stanch everywhere with the new file, then run `stanch keys rewrap`.")]
    Rotate { role: RoleWord },
}

/// What a key is for, as it is typed.
#[derive(Clone, Copy, ValueEnum)]
pub enum RoleWord {
    /// Names tokens in the database
    Fingerprint,
    /// Seals tokens at rest
    Seal,
}

impl From<RoleWord> for Role {
    fn from(word: RoleWord) -> Self {
        match word {
            RoleWord::Fingerprint => Self::Fingerprint,
            RoleWord::Seal => Self::Seal,
        }
    }
}

impl Command {
    pub async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let config = context.config()?;
        match self {
            Self::Check => check(context, &config).await?,
            Self::Generate => {
                let made = generate_missing(context, &config.keys.folder())?;
                if made.is_empty() {
                    out::talk("every key exists already; nothing was written");
                }
                tell(&made);
            }
            Self::List { json } => list(context, &config, json)?,
            Self::Rewrap => rewrap(context, &config).await?,
            Self::Rotate { role } => rotate(context, &config, role.into())?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Writes a key of each role that has none.
pub fn generate_missing(context: &Context, folder: &KeyFolder) -> anyhow::Result<Vec<KeyFile>> {
    let existing: Vec<Role> =
        folder.files()?.iter().filter_map(|path| KeyFile::of(path)).map(|file| file.role).collect();
    let mut made = Vec::new();
    for role in Role::ALL.into_iter().filter(|role| !existing.contains(role)) {
        made.push(folder.generate(role, &entropy::key()?, context.clock.now())?);
    }
    Ok(made)
}

/// Names the files that were written.
pub fn tell(made: &[KeyFile]) {
    for file in made {
        out::talk(format!("wrote {} (the current {} key)", file.path.display(), file.role));
    }
}

fn rotate(context: &Context, config: &Config, role: Role) -> anyhow::Result<()> {
    if !config.keys.files.is_empty() {
        return Err(anyhow::anyhow!("the configuration names its key files one by one"))
            .hint("write the new key where those files come from, and add it to `keys.files`");
    }
    // A new key beside one that is missing or unreadable would hide that.
    config.keys.open()?;
    let made = config.keys.folder().generate(role, &entropy::key()?, context.clock.now())?;
    tell(&[made]);
    out::talk("next: restart stanch everywhere with this file; keep the older ones");
    if role == Role::Seal {
        out::talk("      then run `stanch keys rewrap`");
    }
    Ok(())
}

async fn check(context: &Context, config: &Config) -> anyhow::Result<()> {
    let keys = config.keys.open()?;
    let store = ready::open_store(config, &context.clock).await?;
    store.close().await;
    out::talk(format!("{} keys can be read, by nobody else, and fit the database", keys.files.len()));
    Ok(())
}

async fn rewrap(context: &Context, config: &Config) -> anyhow::Result<()> {
    let store = ready::open_store(config, &context.clock).await?;
    let done = store.rewrap().await;
    store.close().await;
    out::talk(format!("sealed {} stored tokens again with the current key", done?));
    Ok(())
}

fn list(context: &Context, config: &Config, json: bool) -> anyhow::Result<()> {
    let files = config.keys.open()?.files;
    if files.is_empty() {
        bail!("there is no key");
    }
    let now = context.clock.now();
    let rows = files.iter().enumerate().map(|(index, file)| {
        let current = index == 0 || files[index - 1].role != file.role;
        (file, if current { "current" } else { "older" })
    });
    if json {
        let entries: Vec<_> = rows
            .map(|(file, status)| {
                let (role, id, made_at) = (file.role, &file.id, file.made_at());
                serde_json::json!({ "role": role, "id": id, "status": status, "made_at": made_at, "file": file.path })
            })
            .collect();
        out::data(serde_json::to_string_pretty(&entries)?)?;
        return Ok(());
    }
    let mut table = Table::new(Colour::of(&context.environment), &["role", "id", "status", "made", "file"]);
    for (file, status) in rows {
        let made = file.made_at().map_or("unknown".into(), |at| when::both(at, now));
        table.row([file.role.to_string(), file.id.clone(), status.into(), made, file.path.display().to_string()]);
    }
    table.lines().iter().try_for_each(out::data)?;
    Ok(())
}
