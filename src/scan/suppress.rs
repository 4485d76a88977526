//! Suppression: findings that were looked at before and are not to be told again.
//!
//! Three ways, none of which hides anything silently: what they suppressed is counted, and an entry that suppressed
//! nothing is told. All three name a token or a place that a person chose. An entry by finding id survives a squash, a
//! rename and a merge, because the id knows of no commit, path or line.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::finding::Finding;
use super::lines::around;
use crate::token::FindingId;

/// Whether comments in the scanned text are obeyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inline {
    Ignored,
    Obeyed,
}

/// Comments on the token's own line: ours, and those that other scanners brought.
const ON_LINE: &[&[u8]] = &[
    b"stanch:ignore",
    b"gitleaks:allow",
    b"betterleaks:allow",
    b"trufflehog:ignore",
    b"kingfisher:ignore",
    b"pragma: allowlist secret",
    b"pragma: whitelist secret",
];

/// Comments on the line before.
const ON_LINE_BEFORE: &[&[u8]] =
    &[b"stanch:ignore-next-line", b"pragma: allowlist nextline secret", b"pragma: whitelist nextline secret"];

/// How far from the token a comment may stand: one at the end of a minified file does not speak for all of it.
const REACH: usize = 512;

impl Inline {
    /// Whether a comment says that the token in this range is known.
    pub fn suppresses(self, text: &[u8], start: usize, end: usize) -> bool {
        if self == Self::Ignored {
            return false;
        }
        let (first, before) = around(text, start);
        let (last, _) = around(text, end.saturating_sub(1).max(start));
        let near = |line: Range<usize>| line.start.max(start.saturating_sub(REACH))..line.end.min(end + REACH);
        let before = before.start.max(before.end.saturating_sub(REACH))..before.end;
        let has = |range: Range<usize>, marks: &[&[u8]]| {
            let line = text.get(range).unwrap_or_default();
            marks.iter().any(|mark| memchr::memmem::find_iter(line, mark).any(|at| is_whole(line, at + mark.len())))
        };
        has(near(first), ON_LINE) || has(near(last), ON_LINE) || has(before, ON_LINE_BEFORE)
    }
}

/// `stanch:ignore-next-line` speaks of another line than `stanch:ignore`.
fn is_whole(line: &[u8], end: usize) -> bool {
    !matches!(line.get(end), Some(b'-' | b'_'))
}

/// The entries of `.stanchignore` and `.gitleaksignore` files.
#[derive(Default)]
pub struct IgnoreFile {
    entries: Vec<Entry>,
}

struct Entry {
    /// As it stands in the file, to be told if it matched nothing.
    text: String,
    rule: Rule,
}

enum Rule {
    /// A finding of another scanner: it knows a place, and its rule has a name of its own.
    Foreign {
        commit: Option<String>,
        path: String,
        line: u64,
    },
    Id(FindingId),
    Path(Box<Gitignore>),
}

/// A line of an ignore file that is neither an id nor a pattern.
#[derive(Debug, thiserror::Error)]
#[error("line {line} of the ignore file is not a pattern")]
pub struct BadPattern {
    pub line: usize,
    #[source]
    pub why: ignore::Error,
}

impl IgnoreFile {
    /// Adds the lines of a file: finding ids, paths with wild cards as in `.gitignore`, lines of `.gitleaksignore`.
    pub fn add(&mut self, text: &str) -> Result<(), BadPattern> {
        for (number, line) in text.lines().enumerate() {
            let line = line.split(" #").next().unwrap_or_default().trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let rule = match FindingId::parse(line) {
                Some(id) => Rule::Id(id),
                None => foreign(line).map_or_else(
                    || {
                        let mut builder = GitignoreBuilder::new("");
                        let built = builder.add_line(None, line).and_then(|builder| builder.build());
                        built
                            .map(|built| Rule::Path(Box::new(built)))
                            .map_err(|why| BadPattern { line: number + 1, why })
                    },
                    Ok,
                )?,
            };
            self.entries.push(Entry { text: line.to_owned(), rule });
        }
        Ok(())
    }

    /// Which entry suppresses the finding.
    pub fn entry(&self, finding: &Finding) -> Option<usize> {
        self.entries.iter().position(|entry| entry.rule.fits(finding))
    }

    /// The entries, as they stand in the file.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.text.as_str())
    }

    /// The entries that suppressed nothing.
    pub fn unused(&self, used: &[usize]) -> impl Iterator<Item = &str> {
        let entries = self.entries.iter().enumerate();
        entries.filter(|(at, _)| !used.contains(at)).map(|(_, entry)| entry.text.as_str())
    }
}

/// `path:rule:line`, or the same behind a commit.
fn foreign(line: &str) -> Option<Rule> {
    let (rest, number) = line.rsplit_once(':')?;
    let number = number.parse().ok()?;
    let (place, _rule) = rest.rsplit_once(':')?;
    let (commit, path) = match place.split_once(':') {
        Some((commit, path)) if commit.len() >= 7 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            (Some(commit.to_owned()), path)
        }
        _ => (None, place),
    };
    Some(Rule::Foreign { commit, path: path.replace('\\', "/"), line: number })
}

impl Rule {
    fn fits(&self, finding: &Finding) -> bool {
        let path = finding.provenance.path.trim_start_matches("./");
        match self {
            Self::Foreign { commit, path: named, line } => {
                let same_commit = commit
                    .as_ref()
                    .is_none_or(|commit| finding.commit().is_some_and(|found| found.id.starts_with(commit.as_str())));
                let same_path = path == named || path.ends_with(&format!("/{named}"));
                same_commit && same_path && finding.position.line == *line
            }
            Self::Id(id) => finding.id == *id,
            Self::Path(pattern) => {
                let path = std::path::Path::new(path.trim_start_matches('/'));
                pattern.matched_path_or_any_parents(path, false).is_ignore()
            }
        }
    }
}

/// The tokens that were there before: only new ones are told.
#[derive(Default)]
pub struct Baseline(BTreeMap<FindingId, String>);

/// A line of a baseline that does not begin with a finding id.
#[derive(Debug, thiserror::Error)]
#[error("line {0} of the baseline does not begin with a finding id")]
pub struct BadBaseline(pub usize);

impl Baseline {
    /// Reads what was written before. What follows the id is for people.
    pub fn parse(text: &str) -> Result<Self, BadBaseline> {
        let mut known = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (id, place) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            let id = FindingId::parse(id).ok_or(BadBaseline(number + 1))?;
            known.insert(id, place.trim().to_owned());
        }
        Ok(Self(known))
    }

    pub fn knows(&self, finding: &Finding) -> bool {
        self.0.contains_key(&finding.id)
    }

    /// What is known together with what was found now.
    pub fn with<'f>(&self, findings: impl IntoIterator<Item = &'f Finding>) -> Self {
        let mut known = self.0.clone();
        for finding in findings {
            known
                .entry(finding.id.clone())
                .or_insert_with(|| crate::redact::inert(&finding.provenance.shown(), MAX_PLACE));
        }
        Self(known)
    }
}

/// Longest place that is written behind an id.
const MAX_PLACE: usize = 300;

/// One line for each token, in the order of the ids: no date, no line number and no secret, so that two branches merge.
impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# Tokens that were found before and dealt with: one a line, and where it was first seen.")?;
        self.0.iter().try_for_each(|(id, place)| writeln!(f, "{id}  {place}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_speaks_for_its_line_or_the_next_one() {
        let suppressed = |text: &str| {
            let at = text.find("TOKEN").expect("the text has one");
            Inline::Obeyed.suppresses(text.as_bytes(), at, at + 5)
        };
        assert!(suppressed("a = TOKEN # stanch:ignore"));
        assert!(suppressed("x\na = TOKEN // gitleaks:allow\ny"));
        assert!(suppressed("# stanch:ignore-next-line\na = TOKEN"));
        assert!(suppressed("# pragma: allowlist nextline secret\r\na = TOKEN"));
        assert!(!suppressed("# stanch:ignore\na = TOKEN"));
        assert!(!suppressed("a = TOKEN # stanch:ignore-next-line"));
        assert!(!suppressed("a = TOKEN\n# stanch:ignore"));
        assert!(!suppressed(&format!("a = TOKEN{}stanch:ignore", ";".repeat(2 * REACH))));
        assert!(!Inline::Ignored.suppresses(b"TOKEN stanch:ignore", 0, 5));
    }

    #[test]
    fn lines_of_other_tools_and_patterns_are_read() {
        let mut file = IgnoreFile::default();
        file.add("# known\n\ntests/**  # fixtures\nsrc/a.py:pypi-upload-token:3\nabcdef0123:src/a.py:x:4\n")
            .expect("fine");
        assert_eq!(file.entries.len(), 3);
        assert!(matches!(file.entries[1].rule, Rule::Foreign { commit: None, line: 3, .. }));
        assert!(matches!(file.entries[2].rule, Rule::Foreign { commit: Some(_), line: 4, .. }));
        assert!(file.add("a[z-a]").is_err());
    }

    #[test]
    fn a_baseline_names_the_line_that_is_wrong() {
        assert!(Baseline::parse("# comment\n\nst1:npm:0123456789abcdef0123  some/path\n").is_ok());
        assert_eq!(Baseline::parse("# comment\nnonsense").err().map(|bad| bad.0), Some(2));
    }
}
