//! For people: grouped by file, one line for each token, and at the end what was read and what was not.

use std::io::{self, Write};

use super::super::coverage::Gaps;
use super::super::finding::Finding;
use super::super::run::Outcome;
use super::{
    Colour, Detail, Look, by_file, confidence, count, grade, place, said, seen_in, severity, size, spot, tokens,
};
use crate::redact::inert;
use crate::token::catalogue::Severity;

pub fn write(outcome: &Outcome, look: Look, out: &mut dyn Write) -> io::Result<()> {
    let ink = Ink(look.colour);
    let width = outcome.findings.iter().map(|finding| finding.name.chars().count()).max().unwrap_or(0);
    for (nth, file) in by_file(outcome).into_iter().enumerate() {
        if nth > 0 {
            writeln!(out)?;
        }
        writeln!(out, "{}", ink.bold(&place(file[0])))?;
        for finding in file {
            line(finding, width, look, out)?;
            if look.detail == Detail::Full {
                details(finding, ink, out)?;
            }
        }
    }
    if !outcome.findings.is_empty() {
        writeln!(out)?;
    }
    summary(outcome, look.detail, ink, out)
}

/// Behind what the lines of a finding begin that do not fit beside it.
const INDENT: &str = "            ";

fn line(finding: &Finding, width: usize, look: Look, out: &mut dyn Write) -> io::Result<()> {
    let ink = Ink(look.colour);
    let at = spot(finding);
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
    let room = look.width.unwrap_or(usize::MAX);
    write!(out, "  {at:<9} {word} {}", finding.name)?;
    let len = finding.name.chars().count();
    let gap = " ".repeat(width.saturating_sub(len) + 2);
    // What a terminal has no room for goes below, not into the middle of a word.
    let mut used = 2 + at.len().max(9) + 1 + 8 + 1 + len;
    let mut put = |text: &str, between: &str, shown: &str, out: &mut dyn Write| {
        let len = text.chars().count();
        if used + between.len() + len > room && used > INDENT.len() {
            used = INDENT.len() + len;
            return write!(out, "{}\n{INDENT}{shown}", between.trim_end());
        }
        used += between.len() + len;
        write!(out, "{between}{shown}")
    };
    put(&masked, &gap, &masked, out)?;
    let notes = notes(finding);
    // On a line of their own if they are not to be torn apart.
    let all: usize = notes.iter().map(|note| note.chars().count() + 2).sum();
    let mut between = if all <= room.saturating_sub(INDENT.len()) { "" } else { "  " };
    if between.is_empty() {
        let joined = notes.join(", ");
        put(&joined, "  ", &ink.dim(&joined), out)?;
    } else {
        for note in &notes {
            put(note, between, &ink.dim(note), out)?;
            between = ", ";
        }
    }
    writeln!(out)
}

/// What is told of a token beside its name.
fn notes(finding: &Finding) -> Vec<String> {
    let mut notes: Vec<_> = said(finding).into_iter().collect();
    notes.push(grade(finding).to_owned());
    if !finding.encodings.is_empty() {
        let names: Vec<_> = finding.encodings.iter().map(|encoding| encoding.name()).collect();
        notes.push(format!("in {}", names.join(", ")));
    }
    let telling = ["account", "type", "expires", "location", "issuer", "owner", "user", "organization", "attenuated"];
    let facts = finding.facts.iter().filter(|fact| telling.contains(&&*fact.name));
    notes.extend(facts.map(|fact| format!("{} {}", fact.name, fact.value)));
    notes.extend(seen_in(finding));
    notes
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
    let verdict = if outcome.findings.is_empty() {
        let words = if coverage.is_complete() { "No token found" } else { "No token found in what was read" };
        ink.green(words)
    } else {
        let places = count(outcome.findings.len() as u64, "place", "places");
        ink.red(&format!("{} in {places}", count(tokens(outcome), "token", "tokens")))
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
