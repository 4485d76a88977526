//! The effective configuration as text, each value with where it comes from.

use std::fmt::Write as _;

use toml::{Table, Value};

use super::Config;

impl Config {
    /// The effective configuration as a file that would give the same, without any credential.
    pub fn show(&self) -> String {
        let mut text = String::new();
        if let Ok(table) = Table::try_from(self) {
            self.show_table(&mut text, "", &table);
        }
        text
    }

    fn show_table(&self, text: &mut String, path: &str, table: &Table) {
        let within = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        let values: Vec<_> = table.iter().filter(|(_, value)| !value.is_table()).collect();
        if !values.is_empty() && !path.is_empty() {
            let _ = writeln!(text, "\n[{path}]");
        }
        for (name, value) in values {
            let line = format!("{name} = {value}");
            let _ = writeln!(text, "{line:<50} # {}", self.layers.source(&within(name)));
        }
        for (name, value) in table {
            if let Value::Table(inner) = value {
                self.show_table(text, &within(name), inner);
            }
        }
    }
}
