//! HTML: one page without a script, a font or a request to anyone.

use std::io::{self, Write};

use super::super::run::Outcome;
use super::xml::escape;
use super::{confidence, count, place, said, severity, spot};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:76rem;padding:0 1rem;\
color:#1b1f24;background:#fff}table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.4rem .6rem;\
border-bottom:1px solid #d8dee4;vertical-align:top}code{font:13px ui-monospace,monospace;overflow-wrap:anywhere}\
.critical,.high{color:#b3261e;font-weight:600}.medium{color:#8a5300}\
@media(prefers-color-scheme:dark){body{color:#e6e9ec;background:#14171a}th,td{border-color:#3a4046}\
.critical,.high{color:#ff8a80}.medium{color:#f0b357}}";

pub fn write(outcome: &Outcome, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "<!doctype html>")?;
    writeln!(out, "<html lang=\"en\"><head><meta charset=\"utf-8\">")?;
    writeln!(
        out,
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    )?;
    writeln!(out, "<meta name=\"viewport\" content=\"width=device-width\">")?;
    writeln!(out, "<title>Leaked tokens</title><style>{STYLE}</style></head><body>")?;
    let found = count(outcome.findings.len() as u64, "leaked token", "leaked tokens");
    writeln!(out, "<h1>{found}</h1>")?;
    let coverage = &outcome.coverage;
    let state = if coverage.is_complete() { "Everything was read" } else { "Not everything was read" };
    writeln!(
        out,
        "<p>{state}: {}, {} in archives, {} bytes.</p>",
        count(coverage.files, "file", "files"),
        coverage.members,
        coverage.bytes
    )?;
    if !coverage.is_complete() {
        writeln!(out, "<ul>")?;
        for (reason, gap) in coverage.gaps.iter() {
            writeln!(
                out,
                "<li>{}: {} <code>{}</code></li>",
                gap.count,
                escape(reason),
                escape(&gap.examples.join(", "))
            )?;
        }
        writeln!(out, "</ul>")?;
    }
    if !outcome.findings.is_empty() {
        table(outcome, out)?;
    }
    writeln!(out, "</body></html>")
}

fn table(outcome: &Outcome, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "<table><thead><tr><th>Severity</th><th>Token</th><th>Place</th><th>What it says</th></tr></thead><tbody>"
    )?;
    for finding in &outcome.findings {
        let word = severity(finding.severity);
        let asked: Vec<_> = said(finding).into_iter().collect();
        let facts: Vec<_> = finding.facts.iter().map(|fact| format!("{}: {}", fact.name, fact.value)).collect();
        writeln!(
            out,
            "<tr><td class=\"{word}\">{word}</td><td>{}<br><code>{}</code></td><td><code>{}:{}</code></td><td>{}<br><code>{}</code></td></tr>",
            escape(&format!("{}, {}", finding.issuer, finding.name)),
            escape(finding.masked.as_str()),
            escape(&place(finding)),
            spot(finding),
            escape(&[vec![confidence(finding.confidence).to_owned()], asked, facts].concat().join("; ")),
            finding.id
        )?;
    }
    writeln!(out, "</tbody></table>")
}
