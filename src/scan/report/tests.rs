//! Every report of one outcome, as it is written.

use std::time::Duration;

use super::*;
use crate::clock::Timestamp;
use crate::recognize::Recognizer;
use crate::scan::coverage::{Coverage, Gap};
use crate::scan::lines::Position;
use crate::scan::run::Suppressed;
use crate::scan::{Asked, Commit, Encoding, Finding, Provenance, Revocation, Secrets, Sighting, Source, Verdict};
use crate::token::{Confidence, KindId, generate};

const HOSTILE: &str = "src/<b>\u{1b}[2J,\"x\"\u{202e}.py";

fn finding(kind: &str, provenance: Provenance, line: u64, encodings: Vec<Encoding>) -> Finding {
    let recognizer = Recognizer::builtin();
    let id = KindId::new(kind);
    let mut seed = 11_u64;
    let mut random = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        seed >> 11
    };
    let token = generate(recognizer.kind(&id).expect("the kind is known"), &mut random).expect("it can be made up");
    let sighting = Sighting {
        kind: id,
        confidence: Confidence::Checksum,
        range: 5..5 + token.len(),
        encodings,
        text: zeroize::Zeroizing::new(token),
    };
    let position = Position { line, column: 6 };
    let now = Timestamp::from_millis(2_000_000_000_000);
    Finding::new(&sighting, 5, position, provenance, Secrets::Dropped, &recognizer, now).expect("the kind is known")
}

fn asked(verdict: Verdict, why: &str, revocation: Option<Revocation>) -> Asked {
    Asked { issuer: "acme".into(), verdict, why: why.into(), revocation }
}

fn outcome() -> Outcome {
    let commit = Commit {
        id: "0123456789abcdef0123456789abcdef01234567".into(),
        object: "89abcdef0123456789abcdef0123456789abcdef".into(),
        object_kind: "blob".into(),
        author: "=Ada\n".into(),
        email: "ada@example.org".into(),
        authored_at: Some(1_700_000_000),
        summary: "Add <key>".into(),
    };
    let git = Provenance { path: "old.env".into(), members: vec![], source: Source::Git(Box::new(commit)) };
    let wheel = Provenance::file("dist/a.whl".into()).member("a/b.py".into());
    let mut coverage =
        Coverage { files: 3, members: 12, archives: 1, objects: 0, bytes: 34_567, ..Coverage::default() };
    coverage.gaps.add(Gap::Encrypted, "b.zip!/x");
    coverage.skipped.add(Gap::Link, "link");
    let mut live = finding("npm-access-token", Provenance::file(HOSTILE.into()), 3, vec![]);
    live.answer(asked(Verdict::Live, "", Some(Revocation::Confirmed)));
    let mut silent = finding("pypi-api-token", wheel, 1, vec![Encoding::Base64, Encoding::Escape]);
    silent.answer(asked(Verdict::Unknown, "no <answer>\u{1b}", None));
    Outcome {
        findings: vec![live, silent, finding("npm-access-token", git, 9, vec![])],
        coverage,
        suppressed: Suppressed { inline: 1, ignore_file: 0, baseline: 2, earlier: 0, rules: 0, verdict: 1 },
        took: Some(Duration::from_millis(120)),
        unused_entries: vec!["gone/**".into()],
        state: None,
    }
}

fn written(format: Format, detail: Detail) -> String {
    written_in(None, format, detail)
}

fn written_in(width: Option<usize>, format: Format, detail: Detail) -> String {
    let mut out = Vec::new();
    let look = Look { detail, colour: Colour::Off, width };
    write(&outcome(), format, look, &mut out).expect("memory takes everything");
    String::from_utf8(out)
        .expect("reports are UTF-8")
        .replace(env!("CARGO_PKG_VERSION"), "[version]")
        // The sample's location, in two pieces: no registry is named where it need not be.
        .replace(concat!("pypi", ".org"), "[location]")
}

#[test]
fn people_are_told_by_file_and_what_was_not_read() {
    insta::assert_snapshot!("human", written(Format::Human, Detail::Brief));
    insta::assert_snapshot!("human_full", written(Format::Human, Detail::Full));
    insta::assert_snapshot!("human_narrow", written_in(Some(80), Format::Human, Detail::Brief));
    for width in [1, 40, 80, 120, 200] {
        let told = written_in(Some(width), Format::Human, Detail::Brief);
        let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(flat(&told), flat(&written(Format::Human, Detail::Brief)), "nothing is lost in {width} columns");
    }
}

#[test]
fn programs_are_told_in_their_own_form() {
    for (name, format) in [
        ("csv", Format::Csv),
        ("github_actions", Format::GithubActions),
        ("gitleaks_json", Format::GitleaksJson),
        ("html", Format::Html),
        ("json", Format::Json),
        ("jsonl", Format::Jsonl),
        ("junit", Format::Junit),
        ("sarif", Format::Sarif),
        ("trufflehog_json", Format::TrufflehogJson),
    ] {
        insta::assert_snapshot!(name, written(format, Detail::Brief));
    }
}

/// What of the SARIF 2.1.0 schema concerns us, by hand: `tests/check-reports` holds reports against the schema itself.
#[test]
fn sarif_keeps_to_its_schema() {
    use serde_json::Value;

    let sarif: Value = serde_json::from_str(&written(Format::Sarif, Detail::Full)).expect("it is JSON");
    let names =
        |value: &Value| -> Vec<String> { value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>() };
    let within = |value: &Value, allowed: &[&str]| {
        let unknown: Vec<_> = names(value).into_iter().filter(|name| !allowed.contains(&name.as_str())).collect();
        assert_eq!(unknown, Vec::<String>::new(), "the schema has no such properties");
    };
    within(&sarif, &["$schema", "version", "runs"]);
    assert_eq!(sarif["version"], "2.1.0");
    let run = &sarif["runs"][0];
    within(run, &["tool", "columnKind", "invocations", "results"]);
    assert!(["utf16CodeUnits", "unicodeCodePoints"].contains(&run["columnKind"].as_str().expect("text")));
    let driver = &run["tool"]["driver"];
    within(driver, &["name", "semanticVersion", "rules"]);
    let mut rules = Vec::new();
    for rule in driver["rules"].as_array().expect("a list") {
        within(rule, &["id", "name", "shortDescription", "defaultConfiguration", "properties"]);
        assert!(rule["shortDescription"]["text"].is_string());
        rules.push(rule["id"].as_str().expect("text").to_owned());
    }
    rules.dedup();
    assert_eq!(rules.len(), driver["rules"].as_array().map_or(0, Vec::len), "each rule once");
    for note in run["invocations"][0]["toolExecutionNotifications"].as_array().expect("a list") {
        within(note, &["level", "message"]);
    }
    assert!(run["invocations"][0]["executionSuccessful"].is_boolean(), "it is required");
    for result in run["results"].as_array().expect("a list") {
        within(result, &["ruleId", "level", "message", "partialFingerprints", "locations", "properties"]);
        assert!(rules.contains(&result["ruleId"].as_str().expect("text").to_owned()));
        assert!(["none", "note", "warning", "error"].contains(&result["level"].as_str().expect("text")));
        assert!(result["message"]["text"].is_string());
        assert!(result["partialFingerprints"].as_object().expect("an object").values().all(Value::is_string));
        let place = &result["locations"][0]["physicalLocation"];
        let uri = place["artifactLocation"]["uri"].as_str().expect("text");
        assert!(uri.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"\\\\^`{|}".contains(&byte)), "{uri}");
        within(&place["region"], &["startLine", "startColumn", "byteOffset", "byteLength"]);
        assert!(place["region"]["startLine"].as_u64() >= Some(1) && place["region"]["startColumn"].as_u64() >= Some(1));
    }
}

#[test]
fn no_control_character_reaches_a_terminal() {
    for format in [Format::Human, Format::Csv, Format::GithubActions, Format::Html, Format::Junit, Format::Json] {
        let text = written(format, Detail::Full);
        assert!(text.chars().all(|letter| !letter.is_control() || "\n\r".contains(letter)), "{format:?}");
    }
}

#[test]
fn every_report_of_nothing_says_that_all_was_read() {
    let empty = Outcome {
        findings: vec![],
        coverage: Coverage { files: 1, ..Coverage::default() },
        suppressed: Suppressed::default(),
        took: Some(Duration::ZERO),
        unused_entries: vec![],
        state: None,
    };
    let mut out = Vec::new();
    let look = Look { detail: Detail::Brief, colour: Colour::Off, width: None };
    write(&empty, Format::Human, look, &mut out).expect("memory takes everything");
    assert_eq!(String::from_utf8_lossy(&out), "No token found; read 1 file, 0 bytes in 0.00 s\n");
}
