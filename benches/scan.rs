//! How fast texts and histories are searched, beside what nothing can be faster than.
//!
//! `cargo bench --bench scan`; `-- NAME` for some of it. The text is made up like source code, with no token in it: that is
//! what nearly all text is, and what decides how long a scan takes. Below it stand the floors: `memchr` for a byte that is
//! not there, an automaton for one literal and for all literals that tokens begin with. The history is that of a file that changes a line
//! a commit, packed by git: the floor is to put every version together and look at none.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use aho_corasick::AhoCorasick;
use memchr::memmem;
use stanch::recognize::{self, Recognizer};
use stanch::scan::TextScanner;
use stanch::scan::engine::Texts;
use stanch::scan::git::{Closed, Options, Selection, scan_repository};
use stanch::token::encoding::{Alphabet, to_base64};

const TEXT: usize = 16 << 20;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str()));
    if is_wanted("text") {
        texts();
    }
    if is_wanted("history") {
        histories();
    }
}

fn texts() {
    let recognizer = Arc::new(Recognizer::builtin());
    let scanner = TextScanner::new(Arc::clone(&recognizer), 3);
    let literals =
        ["npm_", "ghp_", "glpat-", "pypi-", "rubygems_", "oy2", "cio", "hf_", "AKIA", "eyJ", "xoxb-", "sk_live_"];
    let several = AhoCorasick::new(literals).expect("a dozen literals fit");
    let one = memmem::Finder::new("pypi-AgEIcHlwaS5vcmc");
    for (name, text) in [("source", source(TEXT)), ("lock file", lock_file(TEXT)), ("base64", encoded(TEXT))] {
        println!("text: {name}, {} MiB, GB/s", text.len() >> 20);
        rate("  memchr for a byte that is not there", text.len(), || {
            black_box(memchr::memchr(0, black_box(&text)));
        });
        rate("  memmem for one literal", text.len(), || {
            black_box(one.find(black_box(&text)));
        });
        rate("  aho-corasick for a dozen literals", text.len(), || {
            black_box(several.find_iter(black_box(&text)).count());
        });
        let mut scratch = recognize::Scratch::new();
        rate("  runs", text.len(), || {
            black_box(recognize::runs(black_box(&text)).len());
        });
        rate("  recognizer, all kinds", text.len(), || {
            recognizer.scan(black_box(&text), &mut scratch, |found| {
                black_box(found.start);
            });
        });
        let mut scratch = scanner.scratch();
        rate("  recognizer and decoders", text.len(), || {
            black_box(scanner.scan(black_box(&text), &mut scratch).0.len());
        });
    }
}

fn histories() {
    let dir = tempfile::tempdir().expect("a folder");
    let bytes = repository(dir.path());
    let scanner = TextScanner::new(Recognizer::builtin().into(), 3);
    println!("history: 400 versions of a file, {} MiB, GB/s", bytes >> 20);
    let git = || {
        let ran = Command::new("git")
            .arg("-C")
            .arg(dir.path())
            .args(["cat-file", "--batch-all-objects", "--batch", "--unordered"])
            .output();
        black_box(ran.expect("git is installed").stdout.len());
    };
    rate("  git cat-file, into a pipe", bytes, git);
    let never = AtomicBool::new(false);
    for threads in [1, 2] {
        let options = Options { threads, selection: Selection::All, ..Options::default() };
        let texts = Texts::new(&scanner);
        rate(&format!("  delta walk, {threads} thread(s)"), bytes, || {
            black_box(
                scan_repository(dir.path(), &texts, &Closed, &options, &never).expect("a repository").findings.len(),
            );
        });
    }
}

/// Prints how many billion bytes a second are gone through: the best of the runs of about a second.
fn rate(name: &str, bytes: usize, mut work: impl FnMut()) {
    let mut best = Duration::MAX;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(1) {
        let from = Instant::now();
        work();
        best = best.min(from.elapsed());
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate has three digits")]
    let rate = bytes as f64 / best.as_secs_f64() / 1e9;
    println!("{name:<44} {rate:8.2}");
}

/// Numbers that are the same every time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or_default() % most
    }

    fn text(&mut self, alphabet: &[u8], len: usize) -> String {
        (0..len).map(|_| char::from(alphabet[self.below(alphabet.len())])).collect()
    }
}

const WORDS: [&str; 20] = [
    "fn",
    "let",
    "value",
    "self",
    "return",
    "if",
    "match",
    "buffer",
    "length",
    "impl",
    "Result",
    "error",
    "the",
    "a",
    "of",
    "connection_pool",
    "max_idle_per_host",
    "Configuration",
    "0x1f",
    "1024",
];

/// Lines of short words, with paths, names and calls of the length that source code has now and then.
fn source(len: usize) -> Vec<u8> {
    let mut numbers = Numbers(1);
    let mut text = String::with_capacity(len + 200);
    while text.len() < len {
        text.push_str(["", "    ", "        "][numbers.below(3)]);
        for _ in 0..numbers.below(9) {
            text.push_str(WORDS[numbers.below(WORDS.len())]);
            text.push_str([" ", "(", ", ", " = ", ".", ") ", "::"][numbers.below(7)]);
        }
        match numbers.below(12) {
            0 => text.push_str("use crate::connection::pool_of_connections::MAX_IDLE_CONNECTIONS_PER_HOST;"),
            1 => text.push_str("\"https://docs.example.org/en/latest/reference/configuration.html\""),
            _ => {}
        }
        text.push('\n');
    }
    text.into_bytes()
}

/// Names, versions and digests.
fn lock_file(len: usize) -> Vec<u8> {
    let mut numbers = Numbers(2);
    let mut text = String::with_capacity(len + 200);
    while text.len() < len {
        let name = numbers.text(b"abcdefghijklmnopqrstuvwxyz-", 12);
        let digest = numbers.text(b"0123456789abcdef", 64);
        text.push_str("[[package]]\nname = \"");
        text.push_str(&name);
        text.push_str(
            "\"\nversion = \"1.2.3\"\nsource = \"registry+https://registry.example.org/index\"\nchecksum = \"",
        );
        text.push_str(&digest);
        text.push_str("\"\n\n");
    }
    text.into_bytes()
}

/// Base64 of bytes that are no text, wrapped at 76 characters.
fn encoded(len: usize) -> Vec<u8> {
    let mut numbers = Numbers(3);
    let bytes: Vec<u8> = (0..len * 3 / 4).map(|_| u8::try_from(numbers.below(256)).unwrap_or_default()).collect();
    to_base64(&bytes, Alphabet::Standard).chunks(76).flat_map(|line| [line, b"\n"].concat()).collect()
}

/// Makes a repository of one file that changes a line in every commit; says how many bytes its objects have.
fn repository(dir: &Path) -> usize {
    let git = |arguments: &[&str]| {
        let settings = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org", "-c", "gc.auto=0"];
        let ran =
            Command::new("git").arg("-C").arg(dir).args(settings).args(arguments).output().expect("git is installed");
        assert!(ran.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
        ran.stdout.len()
    };
    git(&["init", "-q"]);
    let text = String::from_utf8(source(256 << 10)).expect("it is text");
    let mut lines: Vec<&str> = text.lines().collect();
    let mut numbers = Numbers(4);
    for _ in 0..400 {
        let (one, other) = (numbers.below(lines.len()), numbers.below(lines.len()));
        lines.swap(one, other);
        std::fs::write(dir.join("file"), lines.join("\n")).expect("it can be written");
        git(&["add", "file"]);
        // The two lines may be the same.
        git(&["commit", "-q", "--allow-empty", "-m", "Another version"]);
    }
    git(&["repack", "-q", "-a", "-d", "-f"]);
    git(&["cat-file", "--batch-all-objects", "--batch", "--unordered"])
}
