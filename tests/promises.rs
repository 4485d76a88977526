//! Holds the README to its word: every promise names its test, and that test is there and is run.

use std::path::Path;

const README: &str = include_str!("../README.md");

/// A promise of the list: its number, its name, and the paths it names.
struct Promise {
    number: usize,
    name: String,
    tests: Vec<String>,
}

fn promises() -> Vec<Promise> {
    let chapter = README.split("\n## Promises\n").nth(1).expect("the README has promises");
    let chapter = chapter.split("\n## ").next().unwrap_or_default();
    let mut promises: Vec<(usize, String)> = Vec::new();
    for line in chapter.lines() {
        let numbered = line.split_once(". **").and_then(|(number, rest)| Some((number.parse().ok()?, rest)));
        match (numbered, promises.last_mut()) {
            (Some((number, rest)), _) => promises.push((number, rest.to_owned())),
            (None, Some((_, text))) if line.starts_with("   ") => text.push_str(line),
            _ => {}
        }
    }
    let read = |(number, text): (usize, String)| {
        let (name, rest) = text.split_once(".**").unwrap_or_else(|| panic!("promise {number} has a name"));
        let quoted = rest.split('`').skip(1).step_by(2).map(str::to_owned);
        Promise { number, name: name.to_owned(), tests: quoted.filter(|text| text.starts_with("tests/")).collect() }
    };
    promises.into_iter().map(read).collect()
}

#[test]
fn every_promise_has_a_test_of_its_name_that_is_run() {
    let promises = promises();
    assert!(promises.len() >= 6, "the list is read");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (index, Promise { number, name, tests }) in promises.iter().enumerate() {
        assert_eq!(*number, index + 1, "{name}");
        let [path] = tests.as_slice() else { panic!("promise {number} names one test, not {tests:?}") };
        let (folder, file) = path.rsplit_once('/').expect("a path");
        let module = file.strip_suffix(".rs").expect("a Rust file");
        // `unknown_is_not_dead` for "Unknown is not dead": the file may leave out words, but not change them.
        let words: Vec<String> = name.to_lowercase().split([' ', ',']).map(str::to_owned).collect();
        for word in module.split('_') {
            assert!(words.iter().any(|each| each == word), "{path} has another name than `{name}`");
        }
        let text = std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        let marks = ["#[test]", "#[tokio::test", "on_both_databases! {"];
        assert!(marks.iter().any(|mark| text.contains(mark)), "{path} tests something");
        let target = std::fs::read_to_string(root.join(folder).join("main.rs")).expect("a test target");
        assert!(target.lines().any(|line| line == format!("mod {module};")), "{path} is not a part of its target");
    }
}

#[test]
fn every_path_and_every_command_of_the_readme_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let quoted = README.split('`').skip(1).step_by(2);
    let paths = quoted.filter(|text| {
        ["src/", "tests/", "docs/", "deploy/"].iter().any(|folder| text.starts_with(folder)) && !text.contains(' ')
    });
    let linked = README.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    for path in paths.chain(linked.filter(|link| !link.contains("://"))) {
        assert!(root.join(path).exists(), "{path} is not there");
    }
}
