//! View: reports that were written before, by us or by another scanner, made into an outcome again.
//!
//! What must stay true: a report of another scanner holds tokens in clear, and nothing that is made of it does. A token
//! that the recognizer knows gets our kind, id and checksum, so that it is the same finding as in a scan of ours; one that
//! it does not know keeps the name of the other's rule. And a report that does not say what was read is not read as one
//! that says everything was.

mod foreign;
mod own;

use serde_json::Value;

use super::coverage::{Coverage, Gap};
use super::finding::Finding;
use super::run::{Outcome, Suppressed};
use super::text::{Scratch, TextScanner};
use crate::clock::Timestamp;
use crate::redact::inert;

/// Why a text is no report.
#[derive(Debug, thiserror::Error)]
pub enum BadReport {
    #[error("finding {nth} of the report makes no sense: {why}")]
    Finding { nth: usize, why: String },
    #[error("this is not JSON, and not one JSON object a line")]
    Json(#[source] serde_json::Error),
    #[error("this is no report of stanch, gitleaks, betterleaks, trufflehog or kingfisher, and no SARIF")]
    Unknown,
}

/// What the reports of a view are read with.
pub struct View<'s> {
    pub scanner: &'s TextScanner,
    pub now: Timestamp,
}

impl View<'_> {
    /// Reads the reports, each a name and its text, as one outcome.
    ///
    /// # Errors
    /// With the name of the first text that is no report.
    pub fn read<'t>(&self, reports: &[(&'t str, &str)]) -> Result<Outcome, (&'t str, BadReport)> {
        let mut outcome = Outcome {
            findings: Vec::new(),
            coverage: Coverage::default(),
            suppressed: Suppressed::default(),
            took: None,
            unused_entries: Vec::new(),
            state: None,
        };
        let mut scratch = self.scanner.scratch();
        for (name, text) in reports {
            let mut part = self.read_one(name, text, &mut scratch).map_err(|bad| (*name, bad))?;
            for finding in &mut part.findings {
                self.cleanse(finding, &mut scratch);
            }
            outcome.findings.append(&mut part.findings);
            outcome.coverage.merge(part.coverage);
            outcome.suppressed.merge(part.suppressed);
        }
        outcome.findings.sort_by(Finding::order);
        Ok(outcome)
    }

    fn read_one(&self, name: &str, text: &str, scratch: &mut Scratch) -> Result<Part, BadReport> {
        let documents = match serde_json::from_str(text) {
            Ok(whole) => vec![whole],
            Err(error) => lines(text).ok_or(BadReport::Json(error))?,
        };
        if let Some(own) = own::read(&documents) {
            return own;
        }
        let rows = foreign::rows(&documents).ok_or(BadReport::Unknown)?;
        let findings = rows.into_iter().map(|row| row.finding(self, scratch)).collect();
        let mut part = Part { findings, ..Part::default() };
        part.coverage.gaps.add(Gap::Untold, &inert(name, 300));
        Ok(part)
    }

    /// Whoever wrote the report may have put a token where none belongs, or what moves a cursor.
    fn cleanse(&self, finding: &mut Finding, scratch: &mut Scratch) {
        const MAX: usize = 500;
        let mut clean = |text: &mut String| *text = inert(&self.scanner.withheld(text, scratch), MAX);
        clean(&mut finding.name);
        clean(&mut finding.issuer);
        clean(&mut finding.provenance.path);
        finding.provenance.members.iter_mut().for_each(&mut clean);
        finding.facts.iter_mut().for_each(|fact| clean(&mut fact.value));
        if let Some(commit) = finding.commit_mut() {
            for text in [&mut commit.author, &mut commit.email, &mut commit.summary] {
                clean(text);
            }
        }
    }
}

/// What one report brings.
#[derive(Default)]
struct Part {
    findings: Vec<Finding>,
    coverage: Coverage,
    suppressed: Suppressed,
}

/// One document a line. `None` if a line is none, or there is no line.
fn lines(text: &str) -> Option<Vec<Value>> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let all: Vec<Value> = lines.map(|line| serde_json::from_str(line).ok()).collect::<Option<_>>()?;
    (!all.is_empty()).then_some(all)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::recognize::Recognizer;

    fn read(text: &str) -> Result<Outcome, BadReport> {
        let scanner = TextScanner::new(Recognizer::builtin().into(), 1);
        let view = View { scanner: &scanner, now: Timestamp::from_millis(2_000_000_000_000) };
        view.read(&[("a", text)]).map_err(|(_, bad)| bad)
    }

    #[test]
    fn what_is_no_report_is_told() {
        for text in ["", "{", "not json", "<xml/>", "{}\n{"] {
            assert!(matches!(read(text), Err(BadReport::Json(_))), "{text}");
        }
        for text in ["{}", "1", "[1]", "[{}]", "{\"findings\":1}", "{\"runs\":[]}", "{\"schema\":1}", "{}\n{}"] {
            assert!(matches!(read(text), Err(BadReport::Unknown)), "{text}: {:?}", read(text).map(|_| ()));
        }
        let bad = "{\"schema\":1,\"tool\":{\"name\":\"stanch\"},\"findings\":[{\"id\":\"x\"}]}";
        assert!(matches!(read(bad), Err(BadReport::Finding { nth: 1, .. })));
        // gitleaks writes an empty list if it has found nothing.
        let nothing = read("[]").expect("a report");
        assert!(nothing.findings.is_empty() && !nothing.coverage.is_complete());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(\\{|\\}|\\[|\\]|\"|:|,|findings|RuleID|schema|stanch|1|\n){0,40}") {
            let _ = read(&text);
        }
    }
}
