//! JSON: one document, or one object a line.
//!
//! The fields are a promise: they are added to, and not renamed.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::super::asked::{Revocation, Verdict};
use super::super::coverage::{Coverage, Gaps};
use super::super::finding::Finding;
use super::super::provenance::{Commit, Source};
use super::super::run::Outcome;
use super::{confidence, severity};

/// Version of the form; a field that changes its meaning raises it.
const SCHEMA: u32 = 1;

pub fn write(outcome: &Outcome, out: &mut dyn Write) -> io::Result<()> {
    let document = json!({
        "schema": SCHEMA,
        "tool": { "name": "stanch", "version": env!("CARGO_PKG_VERSION") },
        "complete": outcome.coverage.is_complete(),
        "findings": outcome.findings.iter().map(finding).collect::<Vec<_>>(),
        "coverage": coverage(&outcome.coverage),
        "suppressed": suppressed(outcome),
    });
    pretty(&document, out)
}

/// Findings first, one a line; the last line is the summary.
pub fn write_lines(outcome: &Outcome, out: &mut dyn Write) -> io::Result<()> {
    for each in &outcome.findings {
        let mut object = Map::from_iter([("type".to_owned(), json!("finding"))]);
        if let Value::Object(fields) = finding(each) {
            object.extend(fields);
        }
        line(&object, out)?;
    }
    let summary = json!({
        "type": "summary",
        "schema": SCHEMA,
        "complete": outcome.coverage.is_complete(),
        "findings": outcome.findings.len(),
        "coverage": coverage(&outcome.coverage),
        "suppressed": suppressed(outcome),
    });
    line(&summary, out)
}

/// A document over several lines.
pub fn pretty(value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", visible(&serde_json::to_string_pretty(value)?))
}

/// A document in one line.
pub fn line(value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", visible(&serde_json::to_string(value)?))
}

/// JSON need not escape more than what is below the space; a terminal obeys more than that. Outside of its strings a
/// document is ASCII, so what is escaped here stands in one.
fn visible(text: &str) -> Cow<'_, str> {
    let is_hidden = |letter: char| matches!(letter, '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 64);
    for letter in text.chars() {
        if is_hidden(letter) {
            // Writing to a string cannot fail; all of them are below U+10000.
            let _ = write!(shown, "\\u{:04x}", u32::from(letter));
        } else {
            shown.push(letter);
        }
    }
    Cow::Owned(shown)
}

/// A finding, as every report in JSON tells it.
pub fn finding(finding: &Finding) -> Value {
    let facts: Vec<_> = finding.facts.iter().map(|fact| json!({ "name": fact.name, "value": fact.value })).collect();
    let encodings: Vec<_> = finding.encodings.iter().map(|encoding| encoding.name()).collect();
    let mut told = json!({
        "id": finding.id.as_str(),
        "kind": finding.kind.as_str(),
        "name": finding.name,
        "issuer": finding.issuer,
        "severity": severity(finding.severity),
        "confidence": confidence(finding.confidence),
        "checksum": finding.checksum.name(),
        "masked": finding.masked.as_str(),
        "source": source(&finding.provenance.source),
        "path": finding.provenance.path,
        "members": finding.provenance.members,
        "spot": finding.spot.name(),
        "line": finding.position.line,
        "column": finding.position.column,
        "offset": finding.offset,
        "length": finding.len,
        "encodings": encodings,
        "facts": facts,
        "verified": finding.verdict().map(Verdict::name),
        "verified_by": finding.asked.as_ref().map(|asked| &asked.issuer),
        "unknown_because": finding.asked.as_ref().map(|asked| &asked.why).filter(|why| !why.is_empty()),
        "revoked": finding.asked.as_ref().and_then(|asked| asked.revocation).map(Revocation::name),
        "commit": finding.commit().map(commit),
    });
    if let Some(token) = &finding.in_clear {
        told["secret"] = json!(**token);
    }
    told
}

fn source(source: &Source) -> &'static str {
    match source {
        Source::File => "file",
        Source::Git(_) => "git",
        Source::Staged => "staged",
        Source::Stdin => "stdin",
    }
}

fn commit(commit: &Commit) -> Value {
    json!({
        "id": commit.id,
        "object": commit.object,
        "object_kind": commit.object_kind,
        "author": commit.author,
        "email": commit.email,
        "authored_at": commit.authored_at,
        "summary": commit.summary,
    })
}

fn coverage(coverage: &Coverage) -> Value {
    json!({
        "files": coverage.files,
        "archives": coverage.archives,
        "archive_members": coverage.members,
        "objects": coverage.objects,
        "bytes": coverage.bytes,
        "not_read": gaps(&coverage.gaps),
        "skipped": gaps(&coverage.skipped),
    })
}

fn gaps(gaps: &Gaps) -> Value {
    let each =
        gaps.iter().map(|(reason, gap)| json!({ "reason": reason, "count": gap.count, "examples": gap.examples }));
    each.collect()
}

fn suppressed(outcome: &Outcome) -> Value {
    json!({
        "baseline": outcome.suppressed.baseline,
        "earlier": outcome.suppressed.earlier,
        "ignore_file": outcome.suppressed.ignore_file,
        "inline": outcome.suppressed.inline,
        "rules": outcome.suppressed.rules,
        "verdict": outcome.suppressed.verdict,
    })
}
