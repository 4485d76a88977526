//! For people: grouped by file, one line for each token, and at the end what was read and what was not.

use std::io::{self, Write};

use super::super::coverage::Gaps;
use super::super::facts::Checksum;
use super::super::finding::Finding;
use super::super::run::Outcome;
use super::{Colour, Detail, confidence, count, place, said, severity, spot};
use crate::redact::inert;
use crate::token::catalogue::Severity;

pub fn write(outcome: &Outcome, detail: Detail, colour: Colour, out: &mut dyn Write) -> io::Result<()> {
    let ink = Ink(colour);
    let mut file = String::new();
    let width = outcome.findings.iter().map(|finding| finding.name.chars().count()).max().unwrap_or(0);
    for finding in &outcome.findings {
        let here = place(finding);
        if here != file {
            if !file.is_empty() {
                writeln!(out)?;
            }
            writeln!(out, "{}", ink.bold(&here))?;
            file = here;
        }
        line(finding, width, ink, out)?;
        if detail == Detail::Full {
            details(finding, ink, out)?;
        }
    }
    if !outcome.findings.is_empty() {
        writeln!(out)?;
    }
    summary(outcome, detail, ink, out)
}

fn line(finding: &Finding, width: usize, ink: Ink, out: &mut dyn Write) -> io::Result<()> {
    let at = spot(finding);
    let grade = match finding.checksum {
        Checksum::Good => "checksum good",
        Checksum::Bad => "checksum bad",
        Checksum::None => "shape only",
    };
    let mut notes: Vec<_> = said(finding).into_iter().collect();
    notes.push(grade.to_owned());
    if !finding.encodings.is_empty() {
        let names: Vec<_> = finding.encodings.iter().map(|encoding| encoding.name()).collect();
        notes.push(format!("in {}", names.join(", ")));
    }
    let telling = ["account", "type", "expires", "location", "issuer", "owner", "user", "organization", "attenuated"];
    notes.extend(
        finding
            .facts
            .iter()
            .filter(|fact| telling.contains(&&*fact.name))
            .map(|fact| format!("{} {}", fact.name, fact.value)),
    );
    if let Some(commit) = finding.commit() {
        notes.push(match (commit.id.get(..10), commit.object.get(..10)) {
            (Some(id), _) => format!("commit {id}"),
            (None, object) => format!("in no commit, {} {}", commit.object_kind, object.unwrap_or_default()),
        });
    }
    let word = format!("{:<8}", severity(finding.severity));
    let word = match finding.severity {
        Severity::Critical | Severity::High => ink.red(&word),
        Severity::Medium => ink.yellow(&word),
        Severity::Info | Severity::Low => ink.dim(&word),
    };
    let masked = match &finding.in_clear {
        Some(token) => inert(token, usize::MAX),
        None => inert(finding.masked.as_str(), 80),
    };
    writeln!(
        out,
        "  {at:<9} {word} {name:<width$}  {masked}  {notes}",
        name = finding.name,
        notes = ink.dim(&notes.join(", "))
    )
}

fn details(finding: &Finding, ink: Ink, out: &mut dyn Write) -> io::Result<()> {
    let mut say = |name: &str, value: &str| writeln!(out, "            {}  {value}", ink.dim(&format!("{name:<12}")));
    say("id", finding.id.as_str())?;
    say("kind", &format!("{} ({})", finding.kind, finding.issuer))?;
    say("confidence", confidence(finding.confidence))?;
    if let Some(asked) = &finding.asked {
        say("asked", &inert(&asked.issuer, 80))?;
        if !asked.why.is_empty() {
            say("no answer", &inert(&asked.why, 200))?;
        }
    }
    for fact in &finding.facts {
        say(&fact.name, &fact.value)?;
    }
    if let Some(commit) = finding.commit() {
        say("commit", &commit.id)?;
        say("author", &inert(&format!("{} <{}>", commit.author, commit.email), 120))?;
        say("subject", &inert(&commit.summary, 120))?;
    }
    say("at byte", &format!("{}, {} long", finding.offset, finding.len))
}

fn summary(outcome: &Outcome, detail: Detail, ink: Ink, out: &mut dyn Write) -> io::Result<()> {
    let coverage = &outcome.coverage;
    let mut tokens: Vec<_> = outcome.findings.iter().map(|finding| &finding.id).collect();
    tokens.sort_unstable();
    tokens.dedup();
    let verdict = if outcome.findings.is_empty() {
        let words = if coverage.is_complete() { "No token found" } else { "No token found in what was read" };
        ink.green(words)
    } else {
        let places = count(outcome.findings.len() as u64, "place", "places");
        ink.red(&format!("{} in {places}", count(tokens.len() as u64, "token", "tokens")))
    };
    let mut read = Vec::new();
    if coverage.files > 0 || coverage.objects == 0 {
        read.push(count(coverage.files, "file", "files"));
    }
    if coverage.archives > 0 {
        let members = count(coverage.members, "file", "files");
        read.push(format!("{members} in {}", count(coverage.archives, "archive", "archives")));
    }
    if coverage.objects > 0 {
        read.push(count(coverage.objects, "object", "objects"));
    }
    read.push(size(coverage.bytes));
    let took = outcome.took.map(|took| format!(" in {:.2} s", took.as_secs_f64())).unwrap_or_default();
    // A report of another scanner does not say what was read, which is told below.
    if outcome.took.is_some() || coverage.bytes > 0 {
        writeln!(out, "{verdict}; read {}{took}", read.join(", "))?;
    } else {
        writeln!(out, "{verdict}")?;
    }
    let suppressed = outcome.suppressed;
    if suppressed.total() > 0 {
        let each = [
            (suppressed.baseline, "in the baseline"),
            (suppressed.earlier, "there before"),
            (suppressed.rules, "in paths that the rules except"),
            (suppressed.ignore_file, "in the ignore file"),
            (suppressed.inline, "by a comment"),
            (suppressed.verdict, "by what their issuer said"),
        ];
        let told: Vec<_> =
            each.iter().filter(|(number, _)| *number > 0).map(|(number, who)| format!("{number} {who}")).collect();
        writeln!(out, "Known and not told: {}", told.join(", "))?;
    }
    for entry in &outcome.unused_entries {
        writeln!(out, "{} `{}` in the ignore file suppressed nothing", ink.yellow("Note:"), inert(entry, 200))?;
    }
    told_gaps(&coverage.gaps, &ink.yellow("Not read:"), detail, out)?;
    // What is left out on purpose is told as well: only the reader knows whether it matters.
    told_gaps(&coverage.skipped, "Skipped:", detail, out)
}

fn told_gaps(gaps: &Gaps, title: &str, detail: Detail, out: &mut dyn Write) -> io::Result<()> {
    for (reason, gap) in gaps.iter() {
        // What an earlier scan has counted comes without examples.
        let shown = if detail == Detail::Full { gap.examples.len() } else { gap.examples.len().min(1) };
        if shown == 0 {
            writeln!(out, "{title} {}, {reason}", gap.count)?;
            continue;
        }
        let more = if gap.count > shown as u64 { ", …" } else { "" };
        writeln!(out, "{title} {}, {reason} ({}{more})", gap.count, gap.examples[..shown].join(", "))?;
    }
    Ok(())
}

/// Bytes in the unit that a person reads.
fn size(bytes: u64) -> String {
    let units = ["bytes", "kB", "MB", "GB", "TB"];
    let mut unit = 0;
    let mut value = bytes;
    let mut rest = 0;
    while value >= 1000 && unit + 1 < units.len() {
        rest = value % 1000;
        value /= 1000;
        unit += 1;
    }
    let digit = if unit > 0 && value < 100 { format!(".{}", rest / 100) } else { String::new() };
    format!("{value}{digit} {}", units[unit])
}

#[derive(Clone, Copy)]
struct Ink(Colour);

impl Ink {
    fn paint(self, code: u8, words: &str) -> String {
        match self.0 {
            Colour::Off => words.to_owned(),
            Colour::On => format!("\u{1b}[{code}m{words}\u{1b}[0m"),
        }
    }

    fn bold(self, words: &str) -> String {
        self.paint(1, words)
    }

    fn dim(self, words: &str) -> String {
        self.paint(2, words)
    }

    fn green(self, words: &str) -> String {
        self.paint(32, words)
    }

    fn red(self, words: &str) -> String {
        self.paint(31, words)
    }

    fn yellow(self, words: &str) -> String {
        self.paint(33, words)
    }
}
