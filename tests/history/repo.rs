//! Repositories made by the git binary, each in its own directory, with nobody's configuration.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;

use stanch::recognize::Recognizer;
use stanch::scan::TextScanner;
use stanch::scan::engine::{Detector as _, Found, Texts};
use stanch::scan::git::{Closed, Coverage, Error, Finding, Options, Selection, scan_repository};
use tempfile::TempDir;

pub struct Repo {
    _home: TempDir,
    home: PathBuf,
    pub path: PathBuf,
}

impl Repo {
    pub fn new() -> Self {
        Self::init(&[])
    }

    pub fn init(options: &[&str]) -> Self {
        let home = TempDir::new().unwrap();
        let path = home.path().join("repo");
        let repo = Self { home: home.path().to_owned(), path, _home: home };
        let mut arguments = vec!["init", "-q", "-b", "main"];
        arguments.extend(options);
        arguments.push("repo");
        repo.git_in(&repo.home, &arguments);
        repo
    }

    /// Another place beside the repository.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }

    pub fn git(&self, arguments: &[&str]) -> String {
        self.git_in(&self.path, arguments)
    }

    pub fn git_in(&self, dir: &Path, arguments: &[&str]) -> String {
        String::from_utf8_lossy(&self.git_with(dir, arguments, b"")).trim().to_owned()
    }

    pub fn git_with(&self, dir: &Path, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let mut child = Command::new("git")
            .args(["-c", "protocol.file.allow=always", "-c", "gc.auto=0", "-c", "maintenance.auto=false"])
            .args(arguments)
            .current_dir(dir)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", &self.home)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_NAME", "An Author")
            .env("GIT_AUTHOR_EMAIL", "author@example.com")
            .env("GIT_COMMITTER_NAME", "A Committer")
            .env("GIT_COMMITTER_EMAIL", "committer@example.com")
            .env("GIT_AUTHOR_DATE", self.date())
            .env("GIT_COMMITTER_DATE", self.date())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("git is installed");
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let writer = std::thread::spawn(move || stdin.write_all(&input));
        let output = child.wait_with_output().unwrap();
        let _ = writer.join().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// Each commit is an hour after the one before.
    fn date(&self) -> String {
        let counter = self.home.join("commits");
        let hours: u64 = fs::read_to_string(&counter).ok().and_then(|text| text.parse().ok()).unwrap_or_default();
        format!("{} +0000", 1_700_000_000 + hours * 3600)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn commit(&self, message: &str) -> String {
        let counter = self.home.join("commits");
        let hours: u64 = fs::read_to_string(&counter).ok().and_then(|text| text.parse().ok()).unwrap_or_default();
        fs::write(counter, (hours + 1).to_string()).unwrap();
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// All objects in one pack.
    pub fn pack(&self) {
        self.git(&["repack", "-q", "-a", "-d", "-f", "--depth=50", "--window=50"]);
    }

    pub fn scan(&self) -> Scanned {
        scan(&self.path, &Options::default())
    }

    pub fn scan_all(&self) -> Scanned {
        scan(&self.path, &Options { selection: Selection::All, ..Options::default() })
    }

    /// What the detector finds in each object by itself, as git gives it out.
    pub fn found_in_whole_objects(&self) -> Vec<(String, usize, usize, String)> {
        found_in_whole_objects(&self.path)
    }
}

/// As the method of a [`Repo`], of any repository; its objects are held one at a time.
pub fn found_in_whole_objects(path: &Path) -> Vec<(String, usize, usize, String)> {
    let mut child = Command::new("git")
        .args(["-c", "safe.directory=*", "cat-file", "--batch-all-objects", "--batch"])
        .current_dir(path)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .stdout(Stdio::piped())
        .spawn()
        .expect("git is installed");
    let mut objects = BufReader::new(child.stdout.take().unwrap());
    let scanner = scanner();
    let detector = Texts::new(&scanner);
    let mut scratch = detector.scratch();
    let mut found = Vec::new();
    let (mut header, mut text) = (String::new(), Vec::new());
    while objects.read_line(&mut header).unwrap() > 0 {
        let [id, kind, size] = header.trim_end().split(' ').collect::<Vec<_>>()[..] else { panic!("{header}") };
        // With the line break behind it.
        text.resize(size.parse::<usize>().unwrap() + 1, 0);
        objects.read_exact(&mut text).unwrap();
        text.pop();
        if kind != "tree" {
            detector.scan(&text, &mut scratch, &mut |range, _, hit| {
                found.push((id.to_owned(), range.start, range.end, what(&hit)));
            });
        }
        header.clear();
    }
    assert!(child.wait().unwrap().success(), "git cat-file");
    found.sort();
    found
}

fn scanner() -> TextScanner {
    TextScanner::new(Recognizer::builtin().into(), 3)
}

/// Kind, and how it is written.
fn what(found: &Found) -> String {
    let encodings: Vec<_> = found.encodings.iter().map(|encoding| encoding.name()).collect();
    format!("{} {}", found.kind, encodings.join(" in "))
}

pub struct Scanned {
    pub findings: Vec<Finding<Found>>,
    pub coverage: Coverage,
}

impl Scanned {
    /// Where things were found: object, range, kind.
    pub fn places(&self) -> Vec<(String, usize, usize, String)> {
        let place =
            |finding: &Finding<Found>| (finding.object.to_string(), finding.start, finding.end, what(&finding.found));
        let mut places: Vec<_> = self.findings.iter().map(place).collect();
        places.sort();
        places
    }

    /// Paths of findings, in the order in which they were handed over.
    pub fn paths(&self) -> Vec<String> {
        let path = |finding: &Finding<Found>| finding.provenance.as_ref()?.path.clone();
        self.findings.iter().map(|finding| path(finding).unwrap_or_default()).collect()
    }

    pub fn gaps(&self) -> Vec<(stanch::scan::git::Gap, u64)> {
        self.coverage.gaps.iter().map(|(gap, count)| (gap, count.count)).collect()
    }
}

pub fn try_scan(path: &Path, options: &Options) -> Result<Scanned, Error> {
    let scanner = scanner();
    let never = AtomicBool::new(false);
    let all = scan_repository(path, &Texts::new(&scanner), &Closed, options, &never)?;
    Ok(Scanned { findings: all.findings, coverage: all.coverage })
}

pub fn scan(path: &Path, options: &Options) -> Scanned {
    try_scan(path, options).unwrap()
}

/// A token of a registry, made up from a number.
pub fn token(seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let body: String = (0..48)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b"0123456789abcdef"[(state >> 60) as usize])
        })
        .collect();
    format!("rubygems_{body}")
}

/// Lines that differ from each other and do not compress to nothing.
pub fn lines(seed: u64, count: u64) -> String {
    (0..count).fold(String::new(), |mut text, line| {
        let noise = (line * 31 + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        writeln!(text, "line {line} of {seed}: {noise:016x}").unwrap();
        text
    })
}
