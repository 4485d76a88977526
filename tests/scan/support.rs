//! Folders, made-up tokens and the command itself.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::{fs, io::Write as _};

use serde_json::Value;
use stanch::token::catalogue::{self, Kind};
use stanch::token::generate;
use tempfile::TempDir;

/// Numbers that look random, the same each time.
pub fn random(mut seed: u64) -> impl FnMut() -> u64 {
    move || {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (seed ^ seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}

pub fn kind(id: &str) -> &'static Kind {
    catalogue::builtin().iter().find(|kind| kind.id == id).expect("the kind is in the catalogue")
}

pub fn token(id: &str, seed: u64) -> String {
    let token = generate(kind(id), &mut random(seed)).expect("every kind can be made up");
    String::from_utf8(token).expect("tokens are ASCII")
}

/// A folder of its own for one test.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("there is a place for temporary files"))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn with(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("it has one")).expect("the folder is ours");
        fs::write(path, content).expect("the folder is ours");
        self
    }

    /// Runs `stanch` in the folder.
    pub fn run(&self, args: &[&str]) -> Ran {
        self.run_with(args, b"")
    }

    pub fn run_with(&self, args: &[&str], input: &[u8]) -> Ran {
        let mut child = Command::new(PathBuf::from(env!("CARGO_BIN_EXE_stanch")))
            .args(args)
            .current_dir(self.path())
            .env_remove("NO_COLOR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program was built");
        // A program that ends before it has read everything is one that said what is wrong.
        let _ = child.stdin.take().expect("it is piped").write_all(input);
        Ran(child.wait_with_output().expect("it ends"))
    }

    /// Scans the folder and reads the report.
    pub fn scan(&self, args: &[&str]) -> Value {
        self.run(&[&["scan", "--json"], args].concat()).json()
    }
}

pub struct Ran(Output);

impl Ran {
    pub fn code(&self) -> i32 {
        self.0.status.code().expect("no signal ended it")
    }

    pub fn out(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).expect("reports are UTF-8")
    }

    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.0.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.err()))
    }
}

/// Kinds and places of a report's findings.
pub fn found(report: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("it is text").to_owned();
    let all = report["findings"].as_array().expect("a report has findings");
    all.iter()
        .map(|finding| {
            let mut place = text(&finding["path"]);
            for member in finding["members"].as_array().expect("a list") {
                place.push_str("!/");
                place.push_str(&text(member));
            }
            (text(&finding["kind"]), place)
        })
        .collect()
}

pub fn kinds(report: &Value) -> Vec<String> {
    found(report).into_iter().map(|(kind, _)| kind).collect()
}

/// In hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;

    use sha2::Digest as _;

    sha2::Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
