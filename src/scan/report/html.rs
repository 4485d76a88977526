//! HTML: one page without a script, a font or a request to anyone.

use std::io::{self, Write};

use super::super::finding::Finding;
use super::super::run::Outcome;
use super::xml::escape;
use super::{by_file, count, grade, place, said, seen_in, severity, size, spot, tokens};
use crate::redact::inert;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:76rem;padding:0 1rem;\
color:#1b1f24;background:#fff}table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.4rem .6rem;\
border-bottom:1px solid #d8dee4;vertical-align:top}code{font:13px ui-monospace,monospace;overflow-wrap:anywhere}\
.critical,.high{color:#b3261e;font-weight:600}.medium{color:#8a5300}small{color:#57606a}\
@media(max-width:48rem){table,tbody,tr,td{display:block}thead{display:none}td{border:0;padding:.1rem 0}\
tr{border-bottom:1px solid #d8dee4;padding:.7rem 0}}\
@media(prefers-color-scheme:dark){body{color:#e6e9ec;background:#14171a}th,td,tr{border-color:#3a4046}\
.critical,.high{color:#ff8a80}.medium{color:#f0b357}small{color:#9aa4ae}}";

pub fn write(outcome: &Outcome, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "<!doctype html>")?;
    writeln!(out, "<html lang=\"en\"><head><meta charset=\"utf-8\">")?;
    writeln!(
        out,
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    )?;
    writeln!(out, "<meta name=\"viewport\" content=\"width=device-width\">")?;
    writeln!(out, "<meta name=\"color-scheme\" content=\"light dark\">")?;
    writeln!(out, "<title>Leaked tokens</title><style>{STYLE}</style></head><body>")?;
    let places = count(outcome.findings.len() as u64, "place", "places");
    match tokens(outcome) {
        0 => writeln!(out, "<h1>No leaked token</h1>")?,
        found => writeln!(out, "<h1>{} in {places}</h1>", count(found, "leaked token", "leaked tokens"))?,
    }
    read(outcome, out)?;
    if !outcome.findings.is_empty() {
        table(outcome, out)?;
    }
    writeln!(out, "</body></html>")
}

/// What was read, and what was not.
fn read(outcome: &Outcome, out: &mut dyn Write) -> io::Result<()> {
    let coverage = &outcome.coverage;
    let state = if coverage.is_complete() { "Everything was read" } else { "Not everything was read" };
    let mut read = vec![count(coverage.files, "file", "files")];
    if coverage.archives > 0 {
        let members = count(coverage.members, "file", "files");
        read.push(format!("{members} in {}", count(coverage.archives, "archive", "archives")));
    }
    if coverage.objects > 0 {
        read.push(count(coverage.objects, "object of a history", "objects of histories"));
    }
    read.push(size(coverage.bytes));
    writeln!(out, "<p>{state}: {}.</p>", read.join(", "))?;
    let gaps = [(&coverage.gaps, "not read"), (&coverage.skipped, "left out")];
    if gaps.iter().any(|(gaps, _)| !gaps.is_empty()) {
        writeln!(out, "<ul>")?;
        for (reason, gap, how) in
            gaps.iter().flat_map(|(gaps, how)| gaps.iter().map(move |(reason, gap)| (reason, gap, how)))
        {
            let examples = escape(&gap.examples.join(", "));
            writeln!(out, "<li>{} {how}: {} <code>{examples}</code></li>", gap.count, escape(reason))?;
        }
        writeln!(out, "</ul>")?;
    }
    match outcome.suppressed.total() {
        0 => Ok(()),
        known => writeln!(out, "<p>{} known and not told.</p>", count(known, "more is", "more are")),
    }
}

fn table(outcome: &Outcome, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "<table><thead><tr><th>Severity</th><th>Token</th><th>Place</th><th>What it says</th></tr></thead><tbody>"
    )?;
    for finding in by_file(outcome).into_iter().flatten() {
        let word = severity(finding.severity);
        let asked: Vec<_> = said(finding).into_iter().collect();
        let facts: Vec<_> = finding.facts.iter().map(|fact| format!("{}: {}", fact.name, fact.value)).collect();
        let name = match finding.issuer.as_str() {
            "generic" => finding.name.clone(),
            issuer => format!("{issuer}, {}", finding.name),
        };
        writeln!(
            out,
            "<tr><td class=\"{word}\">{word}</td><td>{}<br><code>{}</code></td><td><code>{}:{}</code>{}</td><td>{}<br><small><code>{}</code></small></td></tr>",
            escape(&name),
            escape(finding.masked.as_str()),
            escape(&place(finding)),
            spot(finding),
            commit(finding),
            escape(&[asked, vec![grade(finding).to_owned()], facts].concat().join("; ")),
            finding.id
        )?;
    }
    writeln!(out, "</tbody></table>")
}

/// Which commit brought it, when, and whose that was.
fn commit(finding: &Finding) -> String {
    let (Some(seen), Some(commit)) = (seen_in(finding), finding.commit()) else { return String::new() };
    let day = commit.authored_at.and_then(|seconds| time::OffsetDateTime::from_unix_timestamp(seconds).ok());
    let mut words = vec![seen];
    words.extend(day.map(|day| day.date().to_string()));
    words.extend(Some(inert(&commit.author, 80)).filter(|author| !author.is_empty()));
    format!("<br><small>{}</small>", escape(&words.join(", ")))
}
