//! `stanch hook`: git asks before it commits or pushes.
//!
//! A hook that someone else wrote is never lost: it is left alone, or with `--force` set aside and run after ours. What
//! is written is a plain script that anybody can read, and the same one each time.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};

use crate::cli::{HintExt as _, Usage, out};
use crate::scan::hooks::{self, HooksFolder, Settings};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Have git search what is about to be committed, or pushed
    Install {
        #[command(flatten)]
        place: Place,
        /// If there is another hook already, keep it and run it after ours
        #[arg(long)]
        force: bool,
    },
    /// Take the hook away, and put back the one that was there before
    Uninstall {
        #[command(flatten)]
        place: Place,
    },
    /// Write the script to standard output, for those who manage hooks themselves
    Show {
        /// When git asks
        #[arg(value_enum, default_value_t = When::PreCommit)]
        when: When,
    },
}

#[derive(Args, Debug)]
pub struct Place {
    /// The repository, or a folder of it
    #[arg(value_name = "REPOSITORY", default_value = ".")]
    repository: PathBuf,
    /// Before a push, instead of before a commit
    #[arg(long)]
    pre_push: bool,
    /// The folder that git looks for hooks in, where the configuration names another one than usual
    #[arg(long, value_name = "FOLDER")]
    hooks_path: Option<PathBuf>,
    #[arg(long, hide = true, env = "HOME", hide_env = true)]
    home: Option<PathBuf>,
    #[arg(long, hide = true, env = "XDG_CONFIG_HOME", hide_env = true)]
    config_home: Option<PathBuf>,
    #[arg(long, hide = true, env = "GIT_CONFIG_GLOBAL", hide_env = true)]
    git_config: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum When {
    PreCommit,
    PrePush,
}

/// By this line a hook is known as ours.
const OURS: &str = "# Written by `stanch hook install`; `stanch hook uninstall` takes it away.";

/// Behind the name of a hook that was there before.
const ASIDE: &str = ".before-stanch";

impl Command {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Install { place, force } => install(&place, force),
            Self::Uninstall { place } => uninstall(&place),
            Self::Show { when } => {
                out::data(script(when).trim_end())?;
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

impl Place {
    fn when(&self) -> When {
        if self.pre_push { When::PrePush } else { When::PreCommit }
    }

    fn folder(&self) -> anyhow::Result<PathBuf> {
        if let Some(folder) = &self.hooks_path {
            return Ok(folder.clone());
        }
        let config_home = self.config_home.clone().or_else(|| Some(self.home.as_ref()?.join(".config")));
        let usual =
            [self.home.as_ref().map(|home| home.join(".gitconfig")), config_home.map(|home| home.join("git/config"))];
        // Git reads the named one in place of the usual ones.
        let named = self.git_config.clone().map(|file| vec![file]);
        let mut files = named.unwrap_or_else(|| usual.into_iter().flatten().collect());
        files.push(PathBuf::from("/etc/gitconfig"));
        let settings = Settings { files, home: self.home.clone() };
        let found = hooks::find(&self.repository, &settings).map_err(|error| Usage(super::with_causes(&error)))?;
        match found {
            HooksFolder { path, set_by: None } => Ok(path),
            HooksFolder { path, set_by: Some(file) } => {
                let told = format!(
                    "git looks for hooks in `{}`, because `core.hooksPath` in `{}` says so",
                    path.display(),
                    file.display()
                );
                Err(anyhow::Error::from(Usage(told))).hint(format!(
                    "if the hook may be written there, say so: --hooks-path {}; else call `stanch scan --staged` from a \
                     hook of yours",
                    path.display()
                ))
            }
        }
    }
}

impl When {
    fn name(self) -> &'static str {
        match self {
            Self::PreCommit => "pre-commit",
            Self::PrePush => "pre-push",
        }
    }
}

fn install(place: &Place, force: bool) -> anyhow::Result<ExitCode> {
    let folder = place.folder()?;
    let when = place.when();
    let path = folder.join(when.name());
    let aside = folder.join(format!("{}{ASIDE}", when.name()));
    let shown = path.display();
    let wanted = script(when);
    match found(&path)? {
        Found::Nothing => {}
        Found::Ours(text) if text == wanted => {
            out::talk(format!("The hook `{shown}` is there already"));
            return Ok(ExitCode::SUCCESS);
        }
        Found::Ours(_) => fs::remove_file(&path).with_context(|| format!("`{shown}` cannot be replaced"))?,
        Found::Foreign if !force => {
            return Err(anyhow::Error::from(Usage(format!("there is another hook at `{shown}`")))).hint(
                "--force keeps it and runs it after ours; `stanch hook show` writes the script for your own hook",
            );
        }
        Found::Foreign => {
            if fs::symlink_metadata(&aside).is_ok() {
                let told = format!("another hook was set aside as `{}` already", aside.display());
                return Err(anyhow::Error::from(Usage(told)))
                    .hint("look which of the two is needed, and remove the other");
            }
            fs::rename(&path, &aside).with_context(|| format!("`{shown}` cannot be set aside"))?;
            out::talk(format!("Kept the hook that was there as `{}`; it runs after ours", aside.display()));
        }
    }
    fs::create_dir_all(&folder).with_context(|| format!("`{}` cannot be made", folder.display()))?;
    write(&path, &wanted).with_context(|| format!("the hook `{shown}` cannot be written"))?;
    let before = if place.pre_push { "pushes" } else { "commits" };
    out::talk(format!("Wrote the hook `{shown}`: before git {before}, it searches what is new for tokens"));
    Ok(ExitCode::SUCCESS)
}

fn uninstall(place: &Place) -> anyhow::Result<ExitCode> {
    let folder = place.folder()?;
    let name = place.when().name();
    let path = folder.join(name);
    let aside = folder.join(format!("{name}{ASIDE}"));
    match found(&path)? {
        Found::Ours(_) => {
            fs::remove_file(&path).with_context(|| format!("`{}` cannot be removed", path.display()))?;
            out::talk(format!("Removed the hook `{}`", path.display()));
        }
        Found::Nothing => out::talk(format!("There is no hook at `{}`", path.display())),
        Found::Foreign => {
            out::talk(format!("The hook `{}` is not ours and stays", path.display()));
            return Ok(ExitCode::SUCCESS);
        }
    }
    if fs::symlink_metadata(&aside).is_ok() {
        fs::rename(&aside, &path).with_context(|| format!("`{}` cannot be put back", aside.display()))?;
        out::talk(format!("Put back the hook that was there before, `{}`", path.display()));
    }
    Ok(ExitCode::SUCCESS)
}

/// What lies in a hook's place.
enum Found {
    Foreign,
    Nothing,
    Ours(String),
}

fn found(path: &Path) -> anyhow::Result<Found> {
    let Ok(about) = fs::symlink_metadata(path) else { return Ok(Found::Nothing) };
    // A link leads to what other repositories may use too.
    if !about.is_file() {
        return Ok(Found::Foreign);
    }
    let bytes = fs::read(path).with_context(|| format!("`{}` cannot be read", path.display()))?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(if text.lines().any(|line| line == OURS) { Found::Ours(text) } else { Found::Foreign })
}

/// Writes a new file that may be run.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o755);
    options.open(path)?.write_all(text.as_bytes())
}

/// The script of a hook. It finds the program as a person would, else where it is now.
fn script(when: When) -> String {
    let own = std::env::current_exe().unwrap_or_default();
    let own = own.display().to_string().replace('\'', r"'\''");
    let body = match when {
        When::PreCommit => PRE_COMMIT,
        When::PrePush => PRE_PUSH,
    };
    let head = HEAD.replace("{name}", when.name()).replace("{own}", &own);
    format!("#!/bin/sh\n{OURS}\n{head}{body}{TAIL}").replace("{name}", when.name())
}

const HEAD: &str = r#"before="$(dirname "$0")/{name}.before-stanch"
stanch=$(command -v stanch) || stanch='{own}'
if ! [ -x "$stanch" ]; then
  echo "stanch is not there, so nothing was searched for tokens." >&2
  echo "hint: install it, or remove the hook $0" >&2
  exit 1
fi
refuse() {
  echo >&2
  echo "Nothing was $1: there is a new token in it." >&2
  echo "hint: take it out of the file. If it was ever on another machine, revoke it first." >&2
  echo "hint: if it is none, write \`stanch:ignore\` behind it, or its id (stanch scan --staged -v) into .stanchignore" >&2
  exit 1
}
"#;

/// What was not read is told, and does not stand in the way: a person who commits cannot open an encrypted archive.
const PRE_COMMIT: &str = r#""$stanch" scan --staged --quiet --allow-partial
case $? in
  0) ;;
  1) refuse committed ;;
  *) exit 1 ;;
esac
input=
"#;

/// git says on standard input which references it pushes: local name, local id, remote name, remote id.
const PRE_PUSH: &str = r#"input=$(cat)
printf '%s\n' "$input" | while read -r _ id _; do
  # Only zeros: a branch is deleted, and nothing is pushed.
  case $id in *[!0]*) ;; *) continue ;; esac
  "$stanch" scan --quiet --allow-partial --log-opts="$id --not --remotes=$1" </dev/null || exit $?
done
case $? in
  0) ;;
  1) refuse pushed ;;
  *) exit 1 ;;
esac
"#;

const TAIL: &str = r#"if [ -x "$before" ]; then
  printf '%s\n' "$input" | "$before" "$@"
fi
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_filled_in() {
        for when in [When::PreCommit, When::PrePush] {
            let script = script(when);
            assert!(script.starts_with("#!/bin/sh\n") && script.contains(OURS));
            assert!(!script.contains("{name}") && !script.contains("{own}"), "{script}");
        }
    }
}
