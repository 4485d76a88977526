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

/// Every name of a metric in a text; those of a histogram's series without their ending.
fn metrics_in(text: &str) -> Vec<String> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let names = words.filter(|word| word.starts_with("stanch_"));
    let plain = |name: &str| {
        let base = ["_bucket", "_count", "_sum"].iter().find_map(|ending| name.strip_suffix(ending));
        base.unwrap_or(name).to_owned()
    };
    names.map(plain).collect()
}

#[test]
fn alerts_and_dashboard_ask_for_metrics_that_there_are_and_each_alert_has_its_chapter() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let declared: Vec<&str> = stanch::telemetry::metric::ALL.iter().map(|(_, name, _)| *name).collect();
    for path in ["deploy/alerts.yml", "deploy/grafana.json"] {
        let asked = metrics_in(&read(path));
        assert!(asked.len() > 10, "{path} asks for metrics");
        for name in asked {
            assert!(declared.contains(&name.as_str()), "{path} asks for {name}, which the program does not have");
        }
    }
    let dashboard: serde_json::Value = serde_json::from_str(&read("deploy/grafana.json")).expect("JSON");
    assert!(dashboard["panels"].as_array().is_some_and(|panels| panels.len() > 10));

    let (rules, manual) = (read("deploy/alerts.yml"), read("docs/operating.md"));
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 10);
    for alert in &alerts {
        assert!(
            manual.lines().any(|line| line == format!("#### {alert}")),
            "{alert} has no chapter in docs/operating.md"
        );
        let link = format!("runbook: \"docs/operating.md#{}\"", alert.to_lowercase());
        assert_eq!(rules.matches(&link).count(), 1, "{alert} leads to its chapter");
    }
    let count = |key: &str| rules.lines().filter(|line| line.trim().starts_with(key)).count();
    assert_eq!([count("expr:"), count("for:"), count("severity:"), count("summary:")], [alerts.len(); 4]);
    let chapters = manual.lines().filter_map(|line| line.strip_prefix("#### Stanch"));
    assert!(
        chapters.clone().all(|name| alerts.contains(&format!("Stanch{name}").as_str())),
        "a chapter without its alert"
    );
    for (_, name, _) in stanch::telemetry::metric::ALL {
        assert!(!name.is_empty());
    }
}
