//! `JUnit` XML: every finding is a failed test, every reason for not reading something an error.

use std::io::{self, Write};

use super::super::run::Outcome;
use super::xml::escape;
use super::{place, said, severity, spot};

pub fn write(outcome: &Outcome, out: &mut dyn Write) -> io::Result<()> {
    let (failures, errors) = (outcome.findings.len(), outcome.coverage.gaps.iter().count());
    // A suite without a test is taken for one that did not run.
    let tests = (failures + errors).max(1);
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(out, "<testsuites>")?;
    writeln!(out, "  <testsuite name=\"stanch\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\">")?;
    for finding in &outcome.findings {
        let place = format!("{}:{}", place(finding), spot(finding));
        let said = said(finding).map(|said| format!(", {said}")).unwrap_or_default();
        let message = format!("{} of {}{said}", finding.name, finding.issuer);
        writeln!(out, "    <testcase classname=\"{}\" name=\"{}\">", escape(finding.kind.as_str()), escape(&place))?;
        writeln!(
            out,
            "      <failure message=\"{}\" type=\"{}\">{} {}</failure>",
            escape(&message),
            severity(finding.severity),
            escape(finding.masked.as_str()),
            escape(finding.id.as_str())
        )?;
        writeln!(out, "    </testcase>")?;
    }
    for (reason, gap) in outcome.coverage.gaps.iter() {
        writeln!(out, "    <testcase classname=\"coverage\" name=\"{}\">", escape(reason))?;
        writeln!(out, "      <error message=\"{} not read\">{}</error>", gap.count, escape(&gap.examples.join(", ")))?;
        writeln!(out, "    </testcase>")?;
    }
    if failures + errors == 0 {
        writeln!(out, "    <testcase classname=\"stanch\" name=\"no token found\"/>")?;
    }
    writeln!(out, "  </testsuite>")?;
    writeln!(out, "</testsuites>")
}
