//! Reports of other scanners, and SARIF of anybody: what they have in common, in our words.
//!
//! gitleaks writes a list of objects with capital names, betterleaks and kingfisher an object with `findings`, trufflehog
//! an object a line. A token is taken from where each of them puts it, recognized, masked, and let go.

use serde_json::Value;
use zeroize::Zeroizing;

use super::View;
use crate::redact::inert;
use crate::scan::asked::{Asked, Verdict};
use crate::scan::facts::Checksum;
use crate::scan::finding::{Finding, Masked, Secrets, Spot};
use crate::scan::lines::Position;
use crate::scan::provenance::{Commit, Provenance, Source};
use crate::scan::text::Scratch;
use crate::token::catalogue::Severity;
use crate::token::{Confidence, FindingId, KindId, Secret};

/// A finding of another scanner.
#[derive(Default)]
pub struct Row {
    rule: String,
    name: String,
    severity: Option<Severity>,
    secret: Zeroizing<String>,
    path: String,
    line: u64,
    column: u64,
    commit: Option<Commit>,
    /// Who asked, what the answer was, and why there was none.
    asked: Option<(&'static str, Verdict, String)>,
}

/// `None` if the documents are of no scanner that is known.
pub fn rows(documents: &[Value]) -> Option<Vec<Row>> {
    match documents {
        [Value::Array(all)] if all.iter().all(|one| one["RuleID"].is_string()) => {
            Some(all.iter().map(gitleaks).collect())
        }
        [one] if one["version"] == "2.1.0" && one["runs"].is_array() => Some(sarif(one)),
        [one] if one["findings"].is_array() => one["findings"].as_array()?.iter().map(nested).collect(),
        all => all.iter().map(|one| nested(one).or_else(|| trufflehog(one))).collect(),
    }
}

/// The text at a path of names; empty if there is none.
fn text<'v>(value: &'v Value, names: &[&str]) -> &'v str {
    names.iter().fold(value, |inner, name| &inner[name]).as_str().unwrap_or_default()
}

fn seconds(date: &str) -> Option<i64> {
    use time::format_description::well_known::Rfc3339;
    time::OffsetDateTime::parse(date, &Rfc3339).ok().map(time::OffsetDateTime::unix_timestamp)
}

fn commit(id: &str, author: &str, email: &str, date: &str, message: &str) -> Option<Commit> {
    (!id.is_empty()).then(|| Commit {
        id: inert(id, 80),
        author: author.to_owned(),
        email: email.to_owned(),
        authored_at: seconds(date),
        summary: message.lines().next().unwrap_or_default().to_owned(),
        ..Commit::default()
    })
}

fn gitleaks(one: &Value) -> Row {
    let text = |name| text(one, &[name]);
    Row {
        rule: text("RuleID").to_owned(),
        name: text("RuleID").to_owned(),
        secret: Zeroizing::new(text("Secret").to_owned()),
        path: text("File").to_owned(),
        line: one["StartLine"].as_u64().unwrap_or(1),
        column: one["StartColumn"].as_u64().unwrap_or(1),
        commit: commit(text("Commit"), text("Author"), text("Email"), text("Date"), text("Message")),
        ..Row::default()
    }
}

/// betterleaks and kingfisher.
fn nested(one: &Value) -> Option<Row> {
    if one["rule_id"].is_string() && one["location"].is_object() {
        let about = |name| text(one, &["attributes", name]);
        return Some(Row {
            rule: text(one, &["rule_id"]).to_owned(),
            name: text(one, &["rule_id"]).to_owned(),
            secret: Zeroizing::new(text(one, &["match", "value"]).to_owned()),
            path: text(one, &["location", "path"]).to_owned(),
            line: one["location"]["start_line"].as_u64().unwrap_or(1),
            column: one["location"]["start_column"].as_u64().unwrap_or(1),
            commit: commit(
                about("git.sha"),
                about("git.author_name"),
                about("git.author_email"),
                about("git.date"),
                about("git.message"),
            ),
            ..Row::default()
        });
    }
    let (rule, finding) = (&one["rule"], &one["finding"]);
    if !(rule["id"].is_string() && finding.is_object()) {
        return None;
    }
    let about = &finding["git_metadata"]["commit"];
    let asked = match text(finding, &["validation", "status"]) {
        status if status.starts_with("Active") => Some(Verdict::Live),
        status if status.starts_with("Inactive") => Some(Verdict::Dead),
        _ => None,
    };
    Some(Row {
        rule: text(rule, &["id"]).to_owned(),
        name: text(rule, &["name"]).to_owned(),
        secret: Zeroizing::new(text(finding, &["snippet"]).to_owned()),
        path: text(finding, &["path"]).to_owned(),
        line: finding["line"].as_u64().unwrap_or(1),
        // It counts columns from 0.
        column: finding["column_start"].as_u64().unwrap_or(0).saturating_add(1),
        commit: commit(
            text(about, &["id"]),
            text(about, &["author", "name"]),
            text(about, &["author", "email"]),
            text(about, &["date"]),
            "",
        ),
        asked: asked.map(|verdict| ("kingfisher", verdict, String::new())),
        ..Row::default()
    })
}

fn trufflehog(one: &Value) -> Option<Row> {
    let data = one["SourceMetadata"]["Data"].as_object()?;
    let place = data.values().next().unwrap_or(&Value::Null);
    let error = text(one, &["VerificationError"]);
    let asked = match one["Verified"].as_bool() {
        Some(true) => Some(Verdict::Live),
        _ if !error.is_empty() => Some(Verdict::Unknown),
        // Not tried and dead are the same to it.
        _ => None,
    };
    // `Ada <ada@example.org>`
    let author = text(place, &["email"]);
    let (author, email) = author.split_once(" <").unwrap_or(("", author));
    let when = text(place, &["timestamp"]).trim_end_matches(" +0000").replacen(' ', "T", 1);
    let when = if when.ends_with('Z') || when.contains('+') { when } else { format!("{when}Z") };
    Some(Row {
        rule: text(one, &["DetectorName"]).to_owned(),
        name: text(one, &["DetectorName"]).to_owned(),
        secret: Zeroizing::new(text(one, &["Raw"]).to_owned()),
        path: text(place, &["file"]).to_owned(),
        line: place["line"].as_u64().filter(|line| *line > 0).unwrap_or(1),
        column: 1,
        commit: commit(text(place, &["commit"]), author, email.trim_end_matches('>'), &when, ""),
        asked: asked.map(|verdict| ("trufflehog", verdict, error.to_owned())),
        ..Row::default()
    })
}

fn sarif(document: &Value) -> Vec<Row> {
    let mut rows = Vec::new();
    for run in document["runs"].as_array().into_iter().flatten() {
        for result in run["results"].as_array().into_iter().flatten() {
            let place = &result["locations"][0]["physicalLocation"];
            let about = &result["partialFingerprints"];
            let severity = match text(result, &["level"]) {
                "error" => Severity::High,
                "note" | "none" => Severity::Low,
                _ => Severity::Medium,
            };
            let rule = match text(result, &["ruleId"]) {
                "" => text(result, &["rule", "id"]),
                id => id,
            };
            rows.push(Row {
                rule: rule.to_owned(),
                name: rule.to_owned(),
                severity: Some(severity),
                secret: Zeroizing::new(text(place, &["region", "snippet", "text"]).to_owned()),
                path: text(place, &["artifactLocation", "uri"]).to_owned(),
                line: place["region"]["startLine"].as_u64().unwrap_or(1),
                column: place["region"]["startColumn"].as_u64().unwrap_or(1),
                commit: commit(
                    text(about, &["commitSha"]),
                    text(about, &["author"]),
                    text(about, &["email"]),
                    text(about, &["date"]),
                    text(about, &["commitMessage"]),
                ),
                ..Row::default()
            });
        }
    }
    rows
}

impl Row {
    /// As a finding of ours, with the token's own kind if the recognizer knows it.
    pub fn finding(self, view: &View<'_>, scratch: &mut Scratch) -> Finding {
        let source = self.commit.map_or(Source::File, |commit| Source::Git(Box::new(commit)));
        let place = Provenance { path: self.path, members: Vec::new(), source };
        let position = Position { line: self.line.max(1), column: self.column.max(1) };
        let recognizer = view.scanner.recognizer();
        let (sightings, _) = view.scanner.scan(self.secret.as_bytes(), scratch);
        // The other's match may be a line with the token in it.
        let known = sightings.iter().max_by_key(|sighting| sighting.range.len()).and_then(|sighting| {
            Finding::new(sighting, 0, position, place.clone(), Secrets::Dropped, recognizer, view.now)
        });
        let rule = KindId::new(&inert(if self.rule.is_empty() { "unnamed-rule" } else { &self.rule }, 100));
        let mut finding = known.unwrap_or_else(|| Finding {
            id: FindingId::of(&rule, &identity(&self.secret, &place.path, self.line)),
            kind: rule,
            name: self.name,
            issuer: "rule of another scanner".into(),
            severity: self.severity.unwrap_or(Severity::Medium),
            confidence: Confidence::Shape,
            checksum: Checksum::None,
            provenance: place,
            first_seen: None,
            spot: Spot::Text,
            position,
            offset: 0,
            len: self.secret.len(),
            encodings: Vec::new(),
            masked: Masked::told("…"),
            facts: Vec::new(),
            asked: None,
            secret: None,
            in_clear: None,
        });
        if let Some((who, verdict, why)) = self.asked {
            finding.answer(Asked { issuer: who.into(), verdict, why, revocation: None });
        }
        finding
    }
}

/// What a token is told apart by. One that the other scanner has masked is known by its place alone.
fn identity(secret: &str, path: &str, line: u64) -> Secret {
    let is_masked = secret.is_empty() || secret.contains("REDACTED") || secret.contains("...") || secret.contains('*');
    let text = if is_masked { format!("{path}\n{line}") } else { secret.to_owned() };
    Secret::new(text.into_bytes())
}
