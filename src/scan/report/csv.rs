//! CSV (RFC 4180). A cell that a spreadsheet would take for a formula is quoted with an apostrophe.

use std::io::{self, Write};

use super::super::run::Outcome;
use super::{confidence, place, severity};

pub fn write(outcome: &Outcome, out: &mut dyn Write) -> io::Result<()> {
    write!(
        out,
        "id,kind,issuer,severity,confidence,checksum,masked,path,line,column,offset,commit,author,verified\r\n"
    )?;
    for finding in &outcome.findings {
        let commit = finding.commit();
        let cells = [
            finding.id.to_string(),
            finding.kind.to_string(),
            finding.issuer.clone(),
            severity(finding.severity).into(),
            confidence(finding.confidence).into(),
            finding.checksum.name().into(),
            crate::redact::inert(finding.masked.as_str(), 80),
            place(finding),
            finding.position.line.to_string(),
            finding.position.column.to_string(),
            finding.offset.to_string(),
            commit.map(|commit| commit.id.clone()).unwrap_or_default(),
            commit.map(|commit| crate::redact::inert(&commit.author, 120)).unwrap_or_default(),
            finding.verdict().map(|verdict| verdict.name().to_owned()).unwrap_or_default(),
        ];
        let row: Vec<_> = cells.iter().map(|cell| escape(cell)).collect();
        write!(out, "{}\r\n", row.join(","))?;
    }
    Ok(())
}

fn escape(cell: &str) -> String {
    let formula = cell.starts_with(['=', '+', '-', '@']);
    let cell = if formula { format!("'{cell}") } else { cell.to_owned() };
    if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_never_a_formula_or_two() {
        assert_eq!(escape("=cmd|x"), "'=cmd|x");
        assert_eq!(escape("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(escape("plain"), "plain");
    }
}
