//! Reports: an outcome in the words of a person or of a program.
//!
//! What must stay true: no report holds a token, but where a person asked for it in two of the forms; every text that comes from a scanned file is inert in the grammar it is
//! written into (terminal, JSON, XML, HTML, CSV, workflow command); and the same outcome gives the same bytes, whatever
//! the day, but for the time a scan took, which only the report for people tells.

mod csv;
mod foreign;
mod github;
mod html;
mod human;
mod json;
mod junit;
mod sarif;
mod xml;

use std::io::{self, Write};

use super::facts::Checksum;
use super::finding::Spot;
use super::run::Outcome;

/// How an outcome is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Csv,
    GithubActions,
    GitleaksJson,
    Html,
    Human,
    Json,
    Jsonl,
    Junit,
    Sarif,
    TrufflehogJson,
}

/// How much a person wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// One line for each finding, and the summary.
    Brief,
    /// What each token says about itself, its id, and examples of what was not read.
    Full,
}

/// Whether the report may be coloured. Colour never carries meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    Off,
    On,
}

/// How the report for people looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    pub detail: Detail,
    pub colour: Colour,
    /// Columns of the terminal; without one, a finding is one line.
    pub width: Option<usize>,
}

/// Writes the report.
pub fn write(outcome: &Outcome, format: Format, look: Look, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Csv => csv::write(outcome, out),
        Format::GithubActions => github::write(outcome, out),
        Format::GitleaksJson => foreign::gitleaks(outcome, out),
        Format::Html => html::write(outcome, out),
        Format::Human => human::write(outcome, look, out),
        Format::Json => json::write(outcome, out),
        Format::Jsonl => json::write_lines(outcome, out),
        Format::Junit => junit::write(outcome, out),
        Format::Sarif => sarif::write(outcome, out),
        Format::TrufflehogJson => foreign::trufflehog(outcome, out),
    }
}

/// Longest path that is shown.
const MAX_PATH: usize = 500;

/// A finding's place, safe for a terminal.
fn place(finding: &super::Finding) -> String {
    crate::redact::inert(&finding.provenance.shown(), MAX_PATH)
}

/// Where in that place: line and column, or that the name itself is meant.
fn spot(finding: &super::Finding) -> String {
    match finding.spot {
        Spot::Name => "name".into(),
        Spot::Text => format!("{}:{}", finding.position.line, finding.position.column),
    }
}

/// The findings by file, those first in which the worst stand; what lives is worse than what may.
fn by_file(outcome: &Outcome) -> Vec<Vec<&super::Finding>> {
    let mut files: Vec<Vec<&super::Finding>> = Vec::new();
    for finding in &outcome.findings {
        match files.last_mut() {
            Some(file) if place(file[0]) == place(finding) => file.push(finding),
            _ => files.push(vec![finding]),
        }
    }
    let worst = |file: &[&super::Finding]| {
        let rank = |finding: &&super::Finding| {
            let lives = finding.confidence == crate::token::Confidence::Verified;
            (lives, finding.severity, finding.confidence)
        };
        file.iter().map(rank).max()
    };
    files.sort_by_key(|file| std::cmp::Reverse(worst(file)));
    files
}

/// How many different tokens were found.
fn tokens(outcome: &Outcome) -> u64 {
    outcome.findings.iter().map(|finding| &finding.id).collect::<std::collections::BTreeSet<_>>().len() as u64
}

/// What the token's own arithmetic says, in words.
fn grade(finding: &super::Finding) -> &'static str {
    match finding.checksum {
        Checksum::Good => "checksum good",
        Checksum::Bad => "checksum bad",
        Checksum::None => "shape only",
    }
}

/// The commit that brought the token.
fn seen_in(finding: &super::Finding) -> Option<String> {
    let commit = finding.commit()?;
    Some(match (commit.id.get(..10), commit.object.get(..10)) {
        (Some(id), _) => format!("commit {id}"),
        (None, object) => format!("in no commit, {} {}", commit.object_kind, object.unwrap_or_default()),
    })
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

/// What the issuer said of the token and did to it, in words. `None` if nobody was asked.
fn said(finding: &super::Finding) -> Option<String> {
    let asked = finding.asked.as_ref()?;
    let verdict = asked.verdict.words();
    Some(asked.revocation.map_or_else(|| verdict.to_owned(), |done| format!("{verdict}, {}", done.words())))
}

/// `1 file`, `2 files`.
fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

pub(super) fn confidence(confidence: crate::token::Confidence) -> &'static str {
    match confidence {
        crate::token::Confidence::Shape => "shape",
        crate::token::Confidence::Checksum => "checksum",
        crate::token::Confidence::Verified => "verified",
    }
}

pub(super) fn severity(severity: crate::token::catalogue::Severity) -> &'static str {
    use crate::token::catalogue::Severity::{Critical, High, Info, Low, Medium};
    match severity {
        Info => "info",
        Low => "low",
        Medium => "medium",
        High => "high",
        Critical => "critical",
    }
}

#[cfg(test)]
mod tests;
