//! Tables of text: columns as wide as their widest cell, two spaces apart, nothing at the end of a line.

use super::out::{Colour, Ink};

/// Rows under their headings.
pub struct Table {
    colour: Colour,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(colour: Colour, headings: &[&str]) -> Self {
        Self { colour, rows: vec![headings.iter().map(|heading| heading.to_uppercase()).collect()] }
    }

    /// Cells must be inert: what a stranger wrote goes through [`inert`](crate::redact::inert) first.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub fn lines(&self) -> Vec<String> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width =
            |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        let line = |row: &Vec<String>| {
            let padded: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            padded.join("  ").trim_end().to_owned()
        };
        let mut lines: Vec<String> = self.rows.iter().map(line).collect();
        if let Some(headings) = lines.first_mut() {
            *headings = self.colour.paint(Ink::Bold, headings);
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_end_with_their_text() {
        let mut table = Table::new(Colour::Off, &["id", "name", "note"]);
        table.row(["1".into(), "élan".into(), String::new()]);
        table.row(["22".into(), "b".into(), "x".into()]);
        assert_eq!(table.lines(), ["ID  NAME  NOTE", "1   élan", "22  b     x"]);
    }
}
