//! Holds the source to the rules of the house: who may import whom, where SQL may stand, where a secret may be
//! exposed, how long a file may be.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Each module and the modules it may import. Lower levels first; a module not named here fails the test.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    // level 0
    ("address", &[]),
    ("clock", &[]),
    ("crash", &[]),
    ("id", &["clock"]),
    ("redact", &["clock", "id"]),
    ("telemetry", &["clock", "id", "redact"]),
    // level 1
    ("token", &["clock", "id", "redact", "telemetry"]),
    // level 2
    ("recognize", &["clock", "id", "redact", "telemetry", "token"]),
    ("incident", &["clock", "id", "redact", "telemetry", "token"]),
    ("operator", &[]),
    // level 3
    ("store", &["clock", "crash", "id", "incident", "operator", "redact", "telemetry", "token"]),
    ("scan", &["clock", "id", "recognize", "redact", "telemetry", "token"]),
    // level 4
    ("mint", &["clock", "id", "incident", "redact", "store", "telemetry", "token"]),
    ("notice", &["clock", "id", "incident", "redact", "telemetry", "token"]),
    // level 5
    ("issuer", &["address", "clock", "id", "incident", "mint", "redact", "store", "telemetry", "token"]),
    ("proxy", &["address", "clock", "id", "mint", "redact", "store", "telemetry", "token"]),
    // level 6
    ("intake", &["clock", "crash", "id", "incident", "issuer", "recognize", "redact", "store", "telemetry", "token"]),
    ("drill", &["clock", "id", "incident", "mint", "notice", "store", "telemetry", "token"]),
    ("work", &["clock", "crash", "id", "incident", "issuer", "notice", "redact", "store", "telemetry", "token"]),
    // level 7
    (
        "http",
        &[
            "clock",
            "crash",
            "drill",
            "id",
            "incident",
            "intake",
            "issuer",
            "mint",
            "notice",
            "operator",
            "proxy",
            "recognize",
            "redact",
            "store",
            "telemetry",
            "token",
            "work",
        ],
    ),
    (
        "dashboard",
        &[
            "clock",
            "http",
            "id",
            "incident",
            "mint",
            "notice",
            "operator",
            "recognize",
            "redact",
            "store",
            "telemetry",
            "token",
        ],
    ),
    // level 8
    ("send", &["clock", "id", "recognize", "redact", "telemetry", "token"]),
    (
        "config",
        &[
            "clock",
            "dashboard",
            "http",
            "id",
            "incident",
            "intake",
            "issuer",
            "mint",
            "notice",
            "operator",
            "proxy",
            "recognize",
            "redact",
            "scan",
            "store",
            "telemetry",
            "token",
            "work",
        ],
    ),
    // level 9
    (
        "cli",
        &[
            "clock",
            "config",
            "crash",
            "dashboard",
            "drill",
            "http",
            "id",
            "incident",
            "intake",
            "issuer",
            "mint",
            "notice",
            "operator",
            "proxy",
            "recognize",
            "redact",
            "scan",
            "send",
            "store",
            "telemetry",
            "token",
            "work",
        ],
    ),
];

#[test]
fn a_module_imports_lower_levels_only() {
    let allowed: BTreeMap<&str, &[&str]> = MAY_IMPORT.iter().copied().collect();
    let mut wrong = BTreeSet::new();
    for (path, text) in sources() {
        let Some(module) = module_of(&path) else { continue };
        let Some(may) = allowed.get(module.as_str()) else {
            wrong.insert(format!("{}: module `{module}` is not in the table", path.display()));
            continue;
        };
        for imported in imports(before_tests(&text)) {
            if imported != module && !may.contains(&imported.as_str()) {
                wrong.insert(format!("{}: `{module}` may not know `{imported}`", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.into_iter().collect::<Vec<_>>().join("\n"));
}

#[test]
fn only_store_writes_sql() {
    let statements = ["\"SELECT ", "\"INSERT INTO ", "\"UPDATE ", "\"DELETE FROM ", "sqlx::"];
    let found: Vec<_> = sources()
        .into_iter()
        .filter(|(path, _)| module_of(path).as_deref() != Some("store"))
        .filter(|(_, text)| statements.iter().any(|statement| before_tests(text).contains(statement)))
        .map(|(path, _)| path)
        .collect();
    assert!(found.is_empty(), "SQL outside src/store: {found:?}");
}

#[test]
fn only_the_route_table_makes_routes() {
    let found: Vec<_> = sources()
        .into_iter()
        // `send` plays the reporter: its key server is no part of the service.
        .filter(|(path, _)| !path.ends_with("http/route.rs") && module_of(path).as_deref() != Some("send"))
        .filter(|(_, text)| {
            let code = before_tests(text);
            code.contains("Router::new()") || code.contains("axum::routing")
        })
        .map(|(path, _)| path)
        .collect();
    assert!(found.is_empty(), "routes that no table declares: {found:?}");
}

#[test]
fn a_secret_is_exposed_in_four_places_only() {
    // What each of the four uses is called, and the folders in which it may stand.
    let allowed = [
        ("fingerprint", vec!["src/token/fingerprint.rs"]),
        ("seal", vec!["src/store/seal.rs"]),
        ("issuer call", vec!["src/issuer/", "src/mint/"]),
        ("checksum", vec!["src/token/"]),
        // Not a reported token: the service's own credentials on their way to the mail server, the key endpoint and the identity
        // provider.
        ("own credential", vec!["src/notice/", "src/intake/", "src/dashboard/oidc/client.rs"]),
        // What a magic token stands for, on its way to its upstream.
        ("upstream's credential", vec!["src/proxy/"]),
    ];
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let name = path.to_string_lossy().replace('\\', "/");
        let fine = allowed.iter().any(|(_, places)| places.iter().any(|place| name.contains(place)));
        let shows = before_tests(&text).contains(".expose()");
        // The command line and one page show a freshly minted token once; that is their purpose.
        let mints = name.contains("src/cli/") || name == "src/dashboard/pages/tokens.rs";
        if shows && !fine && !mints {
            wrong.push(name);
        }
    }
    assert!(wrong.is_empty(), "`expose()` outside fingerprint, seal, issuer call and checksum: {wrong:?}");
}

#[test]
fn every_file_is_short_and_says_what_it_is_for() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let lines = before_tests(&text).lines().count();
        if lines > 400 {
            wrong.push(format!("{}: {lines} lines before its tests, split it by meaning", path.display()));
        }
        if !text.lines().take(3).any(|line| line.starts_with("//!")) {
            wrong.push(format!("{}: starts without a module doc", path.display()));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn no_test_is_ignored_or_sleeps() {
    // Written in two pieces, so that this file does not find itself.
    let forbidden = [concat!("#[ig", "nore"), concat!("thread::sl", "eep"), concat!("time::sl", "eep")];
    let mut wrong = Vec::new();
    for (path, text) in rust_files(&root().join("tests")) {
        for word in forbidden.iter().filter(|word| text.contains(**word)) {
            wrong.push(format!("{}: {word}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn both_databases_have_the_same_migrations() {
    let names = |folder: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(root().join("migrations").join(folder)).expect("the folder is part of the project");
        entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned()).collect()
    };
    assert_eq!(names("sqlite"), names("postgres"));
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<(PathBuf, String)> {
    rust_files(&root().join("src"))
}

fn rust_files(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder is part of the project") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("UTF-8");
            found.push((path.strip_prefix(root()).expect("below the root").to_owned(), text));
        }
    }
    found
}

/// `src/store/jobs.rs` and `src/store.rs` belong to `store`; the crate's two roots belong to nobody.
fn module_of(path: &Path) -> Option<String> {
    let below = path.strip_prefix("src").ok()?;
    let first = below.components().next()?.as_os_str().to_string_lossy().into_owned();
    match first.as_str() {
        "lib.rs" | "main.rs" => None,
        name => Some(name.trim_end_matches(".rs").to_owned()),
    }
}

fn before_tests(text: &str) -> &str {
    text.split("\n#[cfg(test)]").next().unwrap_or(text)
}

/// Every `x` of `crate::x` in the text, comments left out.
fn imports(text: &str) -> BTreeSet<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let mut found = BTreeSet::new();
    for line in code {
        for after in line.split("crate::").skip(1) {
            let name: String = after.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            if !name.is_empty() {
                found.insert(name);
            }
        }
    }
    found
}
