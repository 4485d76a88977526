//! Finding the line of a key, so that a refusal can name it.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

/// Where every key of a configuration file stands.
#[derive(Default)]
pub(super) struct Locations(Vec<Location>);

struct Location {
    key: String,
    line: usize,
    /// From the key's first byte to its value's last.
    span: Range<usize>,
}

impl Locations {
    /// Nothing is found in text that is no TOML: its error carries its own place.
    pub(super) fn of(text: &str) -> Self {
        let mut found = Self::default();
        if let Ok(table) = DeTable::parse(text) {
            found.walk(text, "", table.get_ref());
        }
        found
    }

    /// Keys that hold a value, with their lines.
    pub(super) fn keys(&self) -> impl Iterator<Item = (&str, usize)> {
        self.0.iter().map(|location| (location.key.as_str(), location.line))
    }

    /// The innermost key whose text covers this place.
    pub(super) fn key_at(&self, place: &Range<usize>) -> Option<&str> {
        let covers = |location: &&Location| location.span.start <= place.start && place.end <= location.span.end;
        let innermost = self.0.iter().filter(covers).min_by_key(|location| location.span.len())?;
        Some(&innermost.key)
    }

    fn walk(&mut self, text: &str, parent: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let key =
                if parent.is_empty() { name.get_ref().to_string() } else { format!("{parent}.{}", name.get_ref()) };
            let start = name.span().start;
            // A table's own span may start before its key and ends with its header; only what holds a value is precise.
            self.0.push(Location {
                line: line_of(text, start),
                span: start..value.span().end.max(name.span().end),
                key: key.clone(),
            });
            match value.get_ref() {
                DeValue::Table(inner) => self.walk(text, &key, inner),
                DeValue::Array(items) => {
                    for (index, item) in items.iter().enumerate() {
                        if let DeValue::Table(inner) = item.get_ref() {
                            self.walk(text, &format!("{key}[{index}]"), inner);
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

/// The line, counted from one, on which the byte at `offset` stands.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_by_its_place_and_knows_its_line() {
        let text = "data = \"d\"\n\n[mail.smtp]\nhost = \"h\"\nport = 25\n";
        let locations = Locations::of(text);
        let lines: Vec<_> = locations.keys().collect();
        assert!(lines.contains(&("data", 1)) && lines.contains(&("mail.smtp.port", 5)), "{lines:?}");
        let place = text.find("25").map(|start| start..start + 2).expect("it is there");
        assert_eq!(locations.key_at(&place), Some("mail.smtp.port"));
    }
}
