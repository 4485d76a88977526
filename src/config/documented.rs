//! Holds the documentation and the written configuration to what the sections know.

use std::collections::BTreeMap;

use super::unknown::Unknown;
use super::{Config, Sources, TEMPLATE, VARIABLES};

const DOCUMENT: &str = include_str!("../../docs/configuration.md");

/// Every table of the configuration, as it is written and as the documentation calls it.
const TABLES: &[(&str, &str)] = &[
    ("", "Top level"),
    ("server", "[server]"),
    ("dashboard", "[dashboard]"),
    ("oidc", "[oidc]"),
    ("database", "[database]"),
    ("keys", "[keys]"),
    ("origin.x", "[origin.NAME]"),
    ("issuer.builtin", "[issuer.builtin]"),
    ("issuer.x", "[issuer.NAME]"),
    ("issuer.x.http", "[issuer.NAME.http]"),
    ("issuer.x.http.verify", "[issuer.NAME.http.verify]"),
    ("issuer.x.http.verify.fields", "[issuer.NAME.http.verify.fields]"),
    ("issuer.x.http.revoke", "[issuer.NAME.http.revoke]"),
    ("kind.x", "[kind.NAME]"),
    ("proxy", "[proxy]"),
    ("proxy.upstream.x", "[proxy.upstream.NAME]"),
    ("proxy.upstream.x.magic_api_proxy", "[proxy.upstream.NAME.magic_api_proxy]"),
    ("proxy.upstream.x.scope.x", "[proxy.upstream.NAME.scope.NAME]"),
    ("mail", "[mail]"),
    ("mail.smtp", "[mail.smtp]"),
    ("work", "[work]"),
    ("brake", "[brake]"),
    ("log", "[log]"),
];

/// What the reader knows in a table; it says so when it is shown a key that it does not know.
fn known_in(table: &str) -> Vec<String> {
    let header = if table.is_empty() { String::new() } else { format!("[{table}]\n") };
    let error = toml::from_str::<Config>(&format!("{header}nobody-knows-this = 1")).err().expect("refused");
    let unknown = Unknown::of(error.message()).unwrap_or_else(|| panic!("{table}: {}", error.message()));
    unknown.known().map(str::to_owned).collect()
}

/// The part of the document under a heading.
fn chapter(title: &str) -> &'static str {
    let heading = if title.starts_with('[') { format!("\n## `{title}`\n") } else { format!("\n## {title}\n") };
    let start = DOCUMENT.find(&heading).unwrap_or_else(|| panic!("no chapter {title}")) + heading.len();
    DOCUMENT[start..].split("\n## ").next().unwrap_or_default()
}

/// The default in the table row of a key.
fn documented_default(chapter: &'static str, key: &str) -> Option<&'static str> {
    let row = chapter.lines().find_map(|line| line.strip_prefix(&format!("| `{key}` | ")))?;
    row.split(" | ").next()
}

#[test]
fn every_key_and_every_variable_is_documented() {
    for (table, title) in TABLES {
        for key in known_in(table) {
            let is_table = table.is_empty() && key != "data";
            let told = if is_table {
                chapter(title).contains(&format!("`[{key}]`"))
            } else {
                documented_default(chapter(title), &key).is_some()
            };
            assert!(told, "docs/configuration.md does not tell of `{key}` in {title}");
        }
    }
    for variable in VARIABLES {
        assert!(DOCUMENT.contains(&format!("`{}`", variable.name)), "{} is not documented", variable.name);
    }
}

#[test]
fn the_document_tells_of_nothing_else_and_the_defaults_are_right() {
    let shown = defaults();
    for (table, title) in TABLES {
        let known = known_in(table);
        let rows = chapter(title).lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
        for (key, rest) in rows {
            assert!(known.iter().any(|name| name == key), "{title} has no key `{key}`");
            let default = rest.split(" | ").next().unwrap_or_default().trim_matches('`');
            let path = if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") };
            if let Some(value) = shown.get(&path.replace("origin.x", "origin.github"))
                && !default.contains("<data>")
                && default != "GitHub's"
            {
                assert_eq!(value.trim_matches('"'), default, "the default of `{path}`");
            }
        }
    }
}

#[test]
fn the_written_configuration_says_what_holds_without_it() {
    assert!(toml::from_str::<Config>(TEMPLATE).is_ok(), "as it is written");
    let shown = defaults();
    let (mut table, mut compared) = (String::new(), 0);
    for line in TEMPLATE.lines().filter(|line| !line.starts_with("# ")) {
        let line = line.trim_start_matches('#');
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut table);
        }
        let Some((key, value)) = line.split_once(" = ") else { continue };
        let text = if table.is_empty() { line.to_owned() } else { format!("[{table}]\n{line}") };
        assert!(toml::from_str::<Config>(&text).is_ok(), "{text}");
        let path = if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") };
        if let Some(default) = shown.get(&path) {
            assert_eq!(default, value, "{path}");
            compared += 1;
        }
    }
    assert!(compared > 30, "only {compared} lines were compared");
    for (table, _) in TABLES.iter().filter(|(table, _)| !table.contains(".x")) {
        for key in known_in(table) {
            let told = TEMPLATE.contains(&format!("\n#{key} = ")) || TEMPLATE.contains(&format!("[{key}"));
            assert!(
                told || ["password_env", "smtp", "upstream"].contains(&key.as_str()),
                "`{key}` of [{table}] is not written"
            );
        }
    }
}

/// The defaults by path, as TOML.
fn defaults() -> BTreeMap<String, String> {
    let config = Config::load(Sources::default()).expect("the defaults are right");
    let shown: toml::Table = config.show().parse().expect("what is shown is TOML");
    let mut flat = BTreeMap::new();
    flatten("", &shown, &mut flat);
    flat
}

fn flatten(path: &str, table: &toml::Table, flat: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match value {
            toml::Value::Table(inner) => flatten(&path, inner, flat),
            value => drop(flat.insert(path, value.to_string())),
        }
    }
}
