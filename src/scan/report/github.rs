//! Workflow commands of GitHub Actions: each finding is an annotation at its line.

use std::io::{self, Write};

use super::super::run::Outcome;
use super::{count, place, said};
use crate::token::catalogue::Severity;

pub fn write(outcome: &Outcome, out: &mut dyn Write) -> io::Result<()> {
    for finding in &outcome.findings {
        let command = match finding.severity {
            Severity::Critical | Severity::High => "error",
            Severity::Medium => "warning",
            Severity::Info | Severity::Low => "notice",
        };
        let said = said(finding).map(|said| format!(", {said}")).unwrap_or_default();
        let message =
            format!("{} of {}: {} ({}){said}", finding.name, finding.issuer, finding.masked.as_str(), finding.id);
        writeln!(
            out,
            "::{command} file={},line={},col={},title={}::{}",
            property(&place(finding)),
            finding.position.line,
            finding.position.column,
            property("Leaked token"),
            data(&message)
        )?;
    }
    for (reason, gap) in outcome.coverage.gaps.iter() {
        let message = format!("{}: {reason} ({})", count(gap.count, "not read", "not read"), gap.examples.join(", "));
        writeln!(out, "::warning title=stanch::{}", data(&message))?;
    }
    Ok(())
}

/// What the runner turns back, in the text of a command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// And in its properties.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
