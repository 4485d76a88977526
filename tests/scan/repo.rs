//! Real repositories, made by git with nobody's configuration.

use std::cell::Cell;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use super::support::Folder;

/// A work tree with a repository.
pub struct Repo {
    pub folder: Folder,
    minutes: Cell<u32>,
}

impl Repo {
    pub fn new() -> Self {
        Self::with(&[])
    }

    /// Made with these arguments of `git init`.
    pub fn with(args: &[&str]) -> Self {
        let repo = Self { folder: Folder::new(), minutes: Cell::new(0) };
        repo.git(&[&["init", "-q", "-b", "main"], args, &["."]].concat());
        repo
    }

    pub fn git(&self, args: &[&str]) -> String {
        let ran = self.try_git(args, &[]);
        assert!(ran.status.success(), "{args:?}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8_lossy(&ran.stdout).trim().to_owned()
    }

    /// Runs git, which may fail, with these variables.
    pub fn try_git(&self, args: &[&str], variables: &[(&str, &str)]) -> Output {
        // A minute from one commit to the next.
        let date = format!("{} +0000", 1_700_000_000 + self.minutes.get() * 60);
        Command::new("git")
            .args(["-c", "protocol.file.allow=always", "-c", "gc.auto=0"])
            .args(args)
            .current_dir(self.folder.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .envs([("GIT_AUTHOR_NAME", "Ada"), ("GIT_AUTHOR_EMAIL", "ada@example.org")])
            .envs([("GIT_COMMITTER_NAME", "Bob"), ("GIT_COMMITTER_EMAIL", "bob@example.org")])
            .env("GIT_AUTHOR_DATE", &date)
            .env("GIT_COMMITTER_DATE", &date)
            .envs(variables.iter().copied())
            .output()
            .expect("git is there")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, or takes it away.
    pub fn write(&self, name: &str, content: Option<&str>) {
        let path = self.path(name);
        match content {
            Some(content) => {
                fs::create_dir_all(path.parent().expect("it has one")).expect("the folder is ours");
                fs::write(path, content).expect("the folder is ours");
            }
            None => fs::remove_file(path).expect("it was written"),
        }
    }

    /// Commits this content of a file, or its end.
    pub fn commit(&self, name: &str, content: Option<&str>) -> String {
        self.write(name, content);
        self.save(&format!("Change {name}"))
    }

    pub fn save(&self, message: &str) -> String {
        self.git(&["add", "-A"]);
        self.minutes.set(self.minutes.get() + 1);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }
}
