//! The text part: the letter laid out in lines of at most 80 columns.
//!
//! The template writes one line per paragraph; [`fill`] breaks them. Only a word that is longer than a line, an address,
//! stands out.

use askama::Template;

use super::inert::columns;
use super::letter::Letter;

/// Below 77, so that a part of plain ASCII needs no quoted-printable (RFC 2045 section 6.7) and the raw mail reads well.
const WIDTH: usize = 76;
/// Where the values of a token's facts begin.
const VALUES_AT: usize = 14;

pub(super) fn render(letter: &Letter) -> Result<String, askama::Error> {
    Page { letter }.render().map(|page| fill(&page))
}

#[derive(Template)]
#[template(path = "notice.txt", config = "src/notice/askama.toml")]
struct Page<'a> {
    letter: &'a Letter,
}

impl Page<'_> {
    fn padded(label: &str) -> String {
        format!("{:width$}", format!("  {label}:"), width = VALUES_AT)
    }

    fn rule(title: &str) -> String {
        "-".repeat(columns(title).min(WIDTH))
    }
}

/// Breaks every line at its blanks. What follows hangs under the column of the line's tab, or else under its first
/// letter. Values cannot carry a tab: they were cleaned.
fn fill(page: &str) -> String {
    let mut filled = String::with_capacity(page.len() + page.len() / 8);
    for line in page.lines() {
        let (lead, words) = line.split_once('\t').unwrap_or_else(|| {
            let indent = line.len() - line.trim_start_matches(' ').len();
            line.split_at(indent)
        });
        let hang = columns(lead);
        let mut used = hang;
        filled.push_str(lead);
        for (place, word) in words.split(' ').filter(|word| !word.is_empty()).enumerate() {
            let wide = columns(word);
            if place > 0 && used + 1 + wide > WIDTH {
                filled.push('\n');
                filled.push_str(&" ".repeat(hang));
                used = hang;
            } else if place > 0 {
                filled.push(' ');
                used += 1;
            }
            filled.push_str(word);
            used += wide;
        }
        filled.truncate(filled.trim_end_matches(' ').len());
        filled.push('\n');
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_hang_under_their_beginning() {
        let words = "word ".repeat(30);
        let filled = fill(&format!("  Label:      \t{words}\n\n  {words}\n"));
        let lines: Vec<&str> = filled.lines().collect();
        assert!(lines[0].starts_with("  Label:      word word"));
        assert!(lines[1].starts_with("              word") && !lines[1].starts_with("               "));
        assert!(lines.iter().any(|line| line.starts_with("  word")));
        assert!(lines.iter().all(|line| columns(line) <= WIDTH && !line.ends_with(' ')));
        assert_eq!(filled.split_whitespace().filter(|word| *word == "word").count(), 60);
    }

    #[test]
    fn a_word_longer_than_a_line_stays_whole() {
        let long = "x".repeat(200);
        assert_eq!(fill(&format!("see {long} there")), format!("see\n{long}\nthere\n"));
    }
}
