//! One run of the program: what it was given, and what it said.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A folder in which the program is run.
pub struct Folder(tempfile::TempDir);

/// What the program said, and how it ended.
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    /// A folder after `stanch init`, whose reporter is switched off: nothing outside of this machine is asked.
    pub fn set_up() -> Self {
        let folder = Self::new();
        folder.run(&["init"]).expect_code(0);
        folder.configure("");
        folder
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("writable");
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("readable")
    }

    /// Writes a configuration. GitHub is switched off unless the text speaks of it.
    pub fn configure(&self, text: &str) {
        let github = if text.contains("[origin.github]") { "" } else { "[origin.github]\nenabled = false\n" };
        self.write("stanch.toml", &format!("{github}{text}"));
    }

    pub fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.path(name)).expect("it is there").permissions().mode() & 0o777
    }

    pub fn chmod(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).expect("ours");
    }

    /// The only file of the key folder whose name begins so, relative to this folder.
    pub fn key_file(&self, begins: &str) -> String {
        let names = names_in(&self.path("stanch-data/keys"));
        let mut fitting = names.into_iter().filter(|name| name.starts_with(begins));
        let name = fitting.next().expect("a key of this role");
        assert_eq!(fitting.next(), None, "only one");
        format!("stanch-data/keys/{name}")
    }

    pub fn run(&self, args: &[&str]) -> Said {
        self.run_with(args, &[])
    }

    /// Runs with this text on standard input.
    pub fn run_fed(&self, args: &[&str], input: &str) -> Said {
        let mut child = Command::new(env!("CARGO_BIN_EXE_stanch"))
            .args(args)
            .current_dir(self.0.path())
            .env_clear()
            .env("USER", "tester")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program was built");
        std::io::Write::write_all(&mut child.stdin.take().expect("piped"), input.as_bytes()).expect("it reads");
        said(child.wait_with_output().expect("it ends"))
    }

    /// Runs until standard error has this text, then asks it to stop.
    pub fn run_until(&self, text: &str, args: &[&str]) -> Said {
        let mut child = Command::new(env!("CARGO_BIN_EXE_stanch"))
            .args(args)
            .current_dir(self.0.path())
            .env_clear()
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program was built");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let mut err = String::new();
        for line in lines.by_ref().map_while(Result::ok) {
            let is_there = line.contains(text);
            err = err + &line + "\n";
            if is_there {
                let id = child.id().to_string();
                assert!(Command::new("kill").args(["-TERM", &id]).status().expect("kill is there").success());
                break;
            }
        }
        err.extend(lines.map_while(Result::ok).map(|line| line + "\n"));
        Said { code: child.wait().expect("it ends").code().unwrap_or(-1), out: String::new(), err }
    }

    pub fn run_with(&self, args: &[&str], environment: &[(&str, &str)]) -> Said {
        let output = Command::new(env!("CARGO_BIN_EXE_stanch"))
            .args(args)
            .current_dir(self.0.path())
            .env_clear()
            .env("USER", "tester")
            .envs(environment.iter().copied())
            .output()
            .expect("the program was built");
        said(output)
    }
}

fn said(output: std::process::Output) -> Said {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Said { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

impl Said {
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).expect("standard output is JSON")
    }
}

pub fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
