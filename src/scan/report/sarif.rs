//! SARIF 2.1.0, for code scanning services (OASIS).
//!
//! The finding id is the partial fingerprint, so that an alert stays one alert when its line moves. What was not read
//! is told as notifications of the invocation, and an incomplete scan as one that was not successful.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};

use serde_json::{Value, json};

use super::super::finding::{Finding, Spot};
use super::super::run::Outcome;
use super::{json, said, severity};
use crate::token::catalogue::Severity;

pub fn write(outcome: &Outcome, out: &mut dyn Write) -> io::Result<()> {
    let rules: BTreeMap<&str, &Finding> =
        outcome.findings.iter().map(|finding| (finding.kind.as_str(), finding)).collect();
    let gaps = outcome.coverage.gaps.iter().map(|(reason, gap)| {
        json!({
            "level": "warning",
            "message": { "text": format!("{} not read: {reason} ({})", gap.count, gap.examples.join(", ")) },
        })
    });
    let document = json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "stanch",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules.values().map(|finding| rule(finding)).collect::<Vec<_>>(),
            } },
            "columnKind": "unicodeCodePoints",
            "invocations": [{
                "executionSuccessful": outcome.coverage.is_complete(),
                "toolExecutionNotifications": gaps.collect::<Vec<_>>(),
            }],
            "results": outcome.findings.iter().map(result).collect::<Vec<_>>(),
        }],
    });
    json::pretty(&document, out)
}

fn rule(finding: &Finding) -> Value {
    let score = match finding.severity {
        Severity::Critical => "9.5",
        Severity::High => "8.0",
        Severity::Medium => "5.5",
        Severity::Low => "3.0",
        Severity::Info => "0.0",
    };
    json!({
        "id": finding.kind.as_str(),
        "name": finding.name,
        "shortDescription": { "text": format!("{}: {}", finding.issuer, finding.name) },
        "defaultConfiguration": { "level": level(finding) },
        "properties": { "security-severity": score, "tags": ["security", "secret"] },
    })
}

fn result(finding: &Finding) -> Value {
    let mut region = json!({ "startLine": finding.position.line, "startColumn": finding.position.column });
    // Columns of an encoded token, or of one in a binary file, are not those of an editor; its bytes are.
    if finding.spot == Spot::Text {
        region["byteOffset"] = finding.offset.into();
        region["byteLength"] = finding.len.into();
    }
    let text = format!(
        "{} of {} ({}), severity {}{}",
        finding.name,
        finding.issuer,
        finding.masked.as_str(),
        severity(finding.severity),
        said(finding).map(|said| format!(", {said}")).unwrap_or_default()
    );
    json!({
        "ruleId": finding.kind.as_str(),
        "level": level(finding),
        "message": { "text": text },
        "partialFingerprints": { "stanchFindingId/v1": finding.id.as_str() },
        "locations": [{ "physicalLocation": {
            "artifactLocation": { "uri": uri(&finding.provenance.path) },
            "region": region,
        } }],
        "properties": json::finding(finding),
    })
}

fn level(finding: &Finding) -> &'static str {
    match finding.severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Info | Severity::Low => "note",
    }
}

/// A relative reference (RFC 3986 section 4.2).
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => uri.push(char::from(byte)),
            other => {
                let _ = write!(uri, "%{other:02X}");
            }
        }
    }
    uri
}
