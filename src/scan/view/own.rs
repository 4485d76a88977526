//! Our own reports: `json` and `jsonl`, and the SARIF whose results carry the same fields.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{BadReport, Part};
use crate::redact::inert;
use crate::scan::asked::{Asked, Revocation, Verdict};
use crate::scan::coverage::{Coverage, Gaps};
use crate::scan::decode::Encoding;
use crate::scan::facts::{Checksum, Fact};
use crate::scan::finding::{Finding, Masked, Spot};
use crate::scan::lines::Position;
use crate::scan::provenance::{Commit, Provenance, Source};
use crate::scan::report;
use crate::scan::run::Suppressed;
use crate::token::catalogue::Severity;
use crate::token::{Confidence, FindingId, KindId};

/// `None` if the documents are not ours.
pub fn read(documents: &[Value]) -> Option<Result<Part, BadReport>> {
    let rows: Vec<&Value> = match documents {
        [one] if one["tool"]["name"] == "stanch" && one["schema"].is_u64() => {
            one["findings"].as_array()?.iter().collect()
        }
        [one] if one["runs"][0]["tool"]["driver"]["name"] == "stanch" => {
            let runs = one["runs"].as_array()?.iter();
            runs.flat_map(|run| run["results"].as_array().into_iter().flatten()).map(|one| &one["properties"]).collect()
        }
        lines if lines.last().is_some_and(|last| last["type"] == "summary" && last["schema"].is_u64()) => {
            lines.iter().filter(|line| line["type"] == "finding").collect()
        }
        _ => return None,
    };
    let findings = rows.into_iter().enumerate().map(|(at, row)| {
        let told = Told::deserialize(row).map_err(|why| why.to_string());
        told.and_then(Told::finding).map_err(|why| BadReport::Finding { nth: at + 1, why: inert(&why, 200) })
    });
    let findings = match findings.collect::<Result<Vec<_>, _>>() {
        Ok(findings) => findings,
        Err(bad) => return Some(Err(bad)),
    };
    let last = documents.last()?;
    let (coverage, suppressed) = (read_coverage(&last["coverage"]), read_suppressed(&last["suppressed"]));
    let mut part = Part { findings, coverage, suppressed };
    if last["coverage"].is_null() {
        // SARIF has what was not read in words only.
        let notes = last["runs"][0]["invocations"][0]["toolExecutionNotifications"].as_array();
        for note in notes.into_iter().flatten().filter_map(|note| note["message"]["text"].as_str()) {
            let (count, reason) = note.split_once(" not read: ").unwrap_or(("1", note));
            part.coverage.gaps.add_many(inert(reason, 300), count.parse().unwrap_or(1), None);
        }
    }
    Some(Ok(part))
}

/// A finding, as `report::json` writes it.
#[derive(Deserialize)]
struct Told {
    id: String,
    kind: String,
    name: String,
    issuer: String,
    severity: String,
    confidence: String,
    checksum: String,
    masked: String,
    source: String,
    path: String,
    #[serde(default)]
    members: Vec<String>,
    spot: String,
    line: u64,
    column: u64,
    offset: u64,
    length: usize,
    #[serde(default)]
    encodings: Vec<String>,
    #[serde(default)]
    facts: Vec<ToldFact>,
    verified: Option<String>,
    verified_by: Option<String>,
    unknown_because: Option<String>,
    revoked: Option<String>,
    commit: Option<ToldCommit>,
}

#[derive(Deserialize)]
struct ToldFact {
    name: String,
    value: String,
}

#[derive(Deserialize)]
struct ToldCommit {
    id: String,
    object: String,
    object_kind: String,
    author: String,
    email: String,
    authored_at: Option<i64>,
    summary: String,
}

impl Told {
    /// # Errors
    /// In words, which value is none of those that we write.
    fn finding(self) -> Result<Finding, String> {
        let commit = self.commit.map(|commit| {
            Box::new(Commit {
                id: inert(&commit.id, 80),
                object: inert(&commit.object, 80),
                object_kind: inert(&commit.object_kind, 20),
                author: commit.author,
                email: commit.email,
                authored_at: commit.authored_at,
                summary: commit.summary,
            })
        });
        let mut first_seen = None;
        let source = match (self.source.as_str(), commit) {
            ("git", Some(commit)) => Source::Git(commit),
            ("staged", _) => Source::Staged,
            ("stdin", _) => Source::Stdin,
            (_, commit) => {
                first_seen = commit;
                Source::File
            }
        };
        let verdict = self.verified.map(|name| one_of(&VERDICTS, Verdict::name, &name)).transpose()?;
        let revocation = self.revoked.map(|name| one_of(&REVOCATIONS, Revocation::name, &name)).transpose()?;
        Ok(Finding {
            id: FindingId::parse(&self.id).ok_or_else(|| format!("`{}` is no finding id", self.id))?,
            kind: KindId::new(&inert(&self.kind, 100)),
            name: self.name,
            issuer: self.issuer,
            severity: one_of(&SEVERITIES, report::severity, &self.severity)?,
            confidence: one_of(&CONFIDENCES, report::confidence, &self.confidence)?,
            checksum: one_of(&[Checksum::Bad, Checksum::Good, Checksum::None], Checksum::name, &self.checksum)?,
            provenance: Provenance { path: self.path, members: self.members, source },
            first_seen,
            spot: one_of(&[Spot::Name, Spot::Text], Spot::name, &self.spot)?,
            position: Position { line: self.line, column: self.column },
            offset: self.offset,
            len: self.length,
            encodings: self
                .encodings
                .iter()
                .map(|name| one_of(&Encoding::ALL, Encoding::name, name))
                .collect::<Result<_, _>>()?,
            masked: Masked::told(&self.masked),
            facts: self.facts.into_iter().map(|fact| Fact { name: fact.name.into(), value: fact.value }).collect(),
            asked: verdict.map(|verdict| {
                let issuer = self.verified_by.unwrap_or_default();
                Box::new(Asked { issuer, verdict, why: self.unknown_because.unwrap_or_default(), revocation })
            }),
            secret: None,
            in_clear: None,
        })
    }
}

const CONFIDENCES: [Confidence; 3] = [Confidence::Shape, Confidence::Checksum, Confidence::Verified];
const REVOCATIONS: [Revocation; 4] =
    [Revocation::AlreadyDead, Revocation::Confirmed, Revocation::NotOurs, Revocation::Unknown];
const SEVERITIES: [Severity; 5] = [Severity::Info, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];
const VERDICTS: [Verdict; 4] = [Verdict::Dead, Verdict::Live, Verdict::NotOurs, Verdict::Unknown];

/// The value with this name.
fn one_of<T: Copy>(all: &[T], name_of: impl Fn(T) -> &'static str, name: &str) -> Result<T, String> {
    let found = all.iter().copied().find(|one| name_of(*one) == name);
    found.ok_or_else(|| format!("`{name}` is not known"))
}

fn read_coverage(told: &Value) -> Coverage {
    let number = |name: &str| told[name].as_u64().unwrap_or_default();
    Coverage {
        files: number("files"),
        archives: number("archives"),
        members: number("archive_members"),
        objects: number("objects"),
        bytes: number("bytes"),
        gaps: read_gaps(&told["not_read"]),
        skipped: read_gaps(&told["skipped"]),
        ..Coverage::default()
    }
}

fn read_gaps(told: &Value) -> Gaps {
    let mut gaps = Gaps::default();
    for gap in told.as_array().into_iter().flatten() {
        let examples = gap["examples"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let reason = inert(gap["reason"].as_str().unwrap_or_default(), 200);
        gaps.add_many(reason, gap["count"].as_u64().unwrap_or(1), examples.map(|example| inert(example, 300)));
    }
    gaps
}

fn read_suppressed(told: &Value) -> Suppressed {
    let all: BTreeMap<String, u64> = BTreeMap::deserialize(told).unwrap_or_default();
    let number = |name: &str| all.get(name).copied().unwrap_or_default();
    Suppressed {
        earlier: number("earlier"),
        inline: number("inline"),
        rules: number("rules"),
        ignore_file: number("ignore_file"),
        baseline: number("baseline"),
        verdict: number("verdict"),
    }
}
