//! The shapes that other scanners' reports have, for programs that read those.
//!
//! Fields that would hold the token hold its masked form.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::super::finding::Finding;
use super::super::run::Outcome;
use super::{confidence, json};

/// An array of objects with capital names.
pub fn gitleaks(outcome: &Outcome, out: &mut dyn Write) -> io::Result<()> {
    let all: Vec<Value> = outcome.findings.iter().map(gitleaks_finding).collect();
    json::pretty(&all, out)
}

fn gitleaks_finding(finding: &Finding) -> Value {
    let commit = finding.commit().cloned().unwrap_or_default();
    let file = finding.provenance.shown();
    let place = format!("{file}:{}:{}", finding.kind, finding.position.line);
    let fingerprint = if commit.id.is_empty() { place } else { format!("{}:{place}", commit.id) };
    json!({
        "RuleID": finding.kind.as_str(),
        "Description": format!("{}: {}", finding.issuer, finding.name),
        "StartLine": finding.position.line,
        "EndLine": finding.position.line,
        "StartColumn": finding.position.column,
        // The last column that belongs to it.
        "EndColumn": (finding.position.column + finding.len as u64).saturating_sub(1),
        "Match": finding.masked.as_str(),
        "Secret": finding.masked.as_str(),
        "File": file,
        "SymlinkFile": "",
        "Commit": commit.id,
        "Entropy": 0,
        "Author": commit.author,
        "Email": commit.email,
        "Date": date(commit.authored_at),
        "Message": commit.summary,
        "Tags": finding.verdict().map(|verdict| format!("verified:{}", verdict.name())).into_iter().collect::<Vec<_>>(),
        "Fingerprint": fingerprint,
    })
}

/// One object a line.
pub fn trufflehog(outcome: &Outcome, out: &mut dyn Write) -> io::Result<()> {
    for finding in &outcome.findings {
        json::line(&trufflehog_finding(finding), out)?;
    }
    Ok(())
}

fn trufflehog_finding(finding: &Finding) -> Value {
    let file = finding.provenance.shown();
    let data = match finding.commit() {
        Some(commit) => json!({ "Git": {
            "commit": commit.id,
            "file": file,
            "email": format!("{} <{}>", commit.author, commit.email),
            "timestamp": date(commit.authored_at),
            "line": finding.position.line,
        } }),
        None => json!({ "Filesystem": { "file": file, "line": finding.position.line } }),
    };
    let mut extra: serde_json::Map<_, _> =
        finding.facts.iter().map(|fact| (fact.name.to_string(), json!(fact.value))).collect();
    extra.extend(finding.verdict().map(|verdict| ("verified".to_owned(), json!(verdict.name()))));
    json!({
        "SourceMetadata": { "Data": data },
        "SourceName": "stanch",
        "DetectorName": finding.kind.as_str(),
        "DecoderName": finding.encodings.last().map_or("PLAIN", |encoding| encoding.name()),
        "Verified": confidence(finding.confidence) == "verified",
        "Raw": finding.masked.as_str(),
        "Redacted": finding.masked.as_str(),
        "VerificationError": finding.asked.as_ref().map(|asked| &asked.why).filter(|why| !why.is_empty()),
        "ExtraData": extra,
    })
}

fn date(seconds: Option<i64>) -> String {
    use time::format_description::well_known::Rfc3339;
    let moment = seconds.and_then(|seconds| time::OffsetDateTime::from_unix_timestamp(seconds).ok());
    moment.and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_default()
}
