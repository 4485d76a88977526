//! `stanch view`: reports that were written before, for a person or in another form, and never a token in them.

use std::fs;

use serde_json::{Value, json};

use super::repo::Repo;
use super::support::{Folder, found, token};

const FORMATS: &[&str] =
    &["csv", "github-actions", "gitleaks-json", "html", "human", "json", "jsonl", "junit", "sarif", "trufflehog-json"];

#[test]
fn a_report_of_ours_is_shown_as_the_scan_would_have_shown_it() {
    let repo = Repo::new();
    repo.commit("old.env", Some(&token("npm-access-token", 1)));
    repo.commit("old.env", None);
    repo.write("a b.env", Some(&format!("\nKEY={}\n", token("pypi-api-token", 2))));
    fs::write(repo.path("p.7z"), b"7z\xbc\xaf\x27\x1c rest").expect("the folder is ours");
    let reports = Folder::new();
    let write = |format: &str| {
        let path = reports.path().join(format).display().to_string();
        assert_eq!(repo.folder.run(&["scan", "-f", format, "-o", &path]).code(), 1);
    };
    for format in FORMATS {
        write(format);
    }
    let read = |name: &str| fs::read_to_string(reports.path().join(name)).expect("it was written");
    for from in ["json", "jsonl"] {
        for format in FORMATS {
            let ran = reports.run(&["view", "-f", format, from]);
            assert_eq!(ran.code(), 0, "{from} to {format}: {}", ran.err());
            // Only how long it took is not in a report for programs.
            let told = read(format);
            let told = if *format == "human" { without_time(&told) } else { told };
            assert_eq!(ran.out(), told, "{from} to {format}");
        }
    }
    // SARIF has the findings whole; of what was read it has words.
    let ran = reports.run(&["view", "-f", "json", "sarif"]);
    let (told, own): (Value, Value) = (ran.json(), serde_json::from_str(&read("json")).expect("it is JSON"));
    assert_eq!(told["findings"], own["findings"]);
    assert_eq!(told["complete"], false);
    let shown = reports.run(&["view", "sarif"]);
    assert!(shown.out().contains("archive format not read"), "{}", shown.out());
    let two = reports.run_with(&["view", "-f", "json", "json", "-"], read("sarif").as_bytes()).json();
    assert_eq!(two["findings"].as_array().map(Vec::len), Some(4));
    let saved = reports.run(&["view", "-f", "sarif", "-o", "again.sarif", "json"]);
    assert_eq!((saved.code(), saved.out().as_str()), (0, ""));
    assert_eq!(read("again.sarif"), read("sarif"));
}

fn without_time(report: &str) -> String {
    let cut = |line: &str| match line.rsplit_once(" in ") {
        Some((start, end)) if end.ends_with(" s") => start.to_owned(),
        _ => line.to_owned(),
    };
    report.lines().map(|line| cut(line) + "\n").collect()
}

/// What each of the others writes of an npm token that was committed, as their versions of 2026 do.
fn foreign(secret: &str) -> [(&'static str, String); 6] {
    let (id, date) = ("3c3c2fc159d9709410f1213903040dee3864e620", "2026-12-01T12:46:31Z");
    let gitleaks = json!([{
        "RuleID": "npm-access-token", "Description": "Uncovered an npm access token.", "StartLine": 2, "EndLine": 2,
        "StartColumn": 12, "EndColumn": 51, "Match": secret, "Secret": secret, "File": "src/a.env", "SymlinkFile": "",
        "Commit": id, "Entropy": 4.9, "Author": "Ada", "Email": "ada@example.org", "Date": date, "Message": "Add\n\nmore",
        "Tags": [], "Fingerprint": format!("{id}:src/a.env:npm-access-token:2"),
    }]);
    let betterleaks = json!({ "schema_version": "1", "findings": [{
        "rule_id": "npm-access-token", "description": "Uncovered an npm access token.", "confidence": "high",
        "match": { "full": secret, "value": secret, "fingerprint": "55" },
        "attributes": { "git.author_email": "ada@example.org", "git.author_name": "Ada", "git.date": date,
            "git.message": "Add", "git.sha": id, "resource": "git.patch_content" },
        "location": { "path": "src/a.env", "start_line": 2, "end_line": 2, "start_column": 11, "end_column": 50 },
    }], "scan": { "state": "complete" } });
    let one = json!({
        "rule": { "name": "secrets/npmjsaccesstoken", "id": "veles.secrets/npmjsaccesstoken", "description": "npm" },
        "finding": { "snippet": secret, "fingerprint": "27", "confidence": "medium",
            "validation": { "outcome": "active", "status": "Active Credential", "response": "" },
            "line": 2, "column_start": 10, "column_end": 49, "path": "src/a.env",
            "git_metadata": { "commit": { "id": id, "date": "2026-12-01",
                "author": { "name": "Ada", "email": "ada@example.org" } } },
            "validate_command": format!("kingfisher validate '{secret}'") },
    });
    let trufflehog = json!({
        "SourceMetadata": { "Data": { "Git": { "commit": id, "file": "src/a.env", "email": "Ada <ada@example.org>",
            "repository": "", "timestamp": "2026-12-01 12:46:31 +0000", "line": 2 } } },
        "SourceID": 1, "SourceType": 16, "SourceName": "trufflehog - git", "DetectorType": 53,
        "DetectorName": "NpmToken", "DecoderName": "PLAIN", "Verified": false, "VerificationError": "timeout",
        "Raw": secret, "RawV2": "", "Redacted": "", "ExtraData": null, "StructuredData": null,
    });
    let sarif = json!({ "version": "2.1.0", "runs": [{ "tool": { "driver": { "name": "gitleaks" } }, "results": [{
        "ruleId": "npm-access-token", "message": { "text": "npm-access-token has detected a secret" },
        "locations": [{ "physicalLocation": { "artifactLocation": { "uri": "src/a.env" },
            "region": { "startLine": 2, "startColumn": 12, "snippet": { "text": secret } } } }],
        "partialFingerprints": { "commitSha": id, "email": "ada@example.org", "author": "Ada", "date": date,
            "commitMessage": "Add" },
    }] }] });
    [
        ("gitleaks", gitleaks.to_string()),
        ("betterleaks", betterleaks.to_string()),
        ("kingfisher", json!({ "findings": [one], "audit": {} }).to_string()),
        ("kingfisher lines", format!("{one}\n{one}\n")),
        ("trufflehog", format!("{trufflehog}\n")),
        ("SARIF", sarif.to_string()),
    ]
}

#[test]
fn reports_of_other_scanners_are_shown_with_our_kinds_and_without_their_tokens() {
    let secret = token("npm-access-token", 7);
    let own = Folder::new().with("a", &secret).scan(&[])["findings"][0]["id"].clone();
    for (from, report) in foreign(&secret) {
        let folder = Folder::new().with("report", &report);
        let told = folder.run(&["view", "-f", "json", "report"]).json();
        assert_eq!(found(&told)[0], ("npm-access-token".to_owned(), "src/a.env".to_owned()), "{from}");
        let finding = &told["findings"][0];
        assert_eq!(
            (&finding["id"], &finding["line"]),
            (&own, &2.into()),
            "{from}: the finding is that of our own scan"
        );
        assert_eq!(finding["checksum"], "good", "{from}");
        assert_eq!(
            (&finding["commit"]["author"], &finding["commit"]["email"]),
            (&"Ada".into(), &"ada@example.org".into())
        );
        let answer = match from {
            "kingfisher" | "kingfisher lines" => json!("live"),
            "trufflehog" => json!("unknown"),
            _ => Value::Null,
        };
        assert_eq!(finding["verified"], answer, "{from}");
        assert_eq!(told["complete"], false, "{from} does not say what it has read");
        for format in FORMATS {
            let ran = folder.run(&["view", "-v", "-f", format, "report"]);
            assert!(ran.code() == 0 && !ran.out().contains(&secret[6..20]), "{from} to {format}");
        }
    }
}

#[test]
fn what_no_kind_fits_keeps_the_name_of_its_rule_and_is_masked() {
    let report = |secret: &str, rule: &str| {
        json!([{ "RuleID": rule, "Secret": secret, "Match": secret, "File": "\u{1b}[2Ja", "StartLine": 1 }]).to_string()
    };
    let folder = Folder::new()
        .with("one", report("correcthorsebatterystaple", "generic\u{7}-api-key"))
        .with("masked", report("REDACTED", "generic-api-key"))
        .with("nothing", "[]");
    let told = folder.run(&["view", "-f", "json", "one", "masked", "nothing"]);
    assert_eq!(told.json()["findings"].as_array().map(Vec::len), Some(2));
    for args in [&["view", "-v", "one"][..], &["view", "-f", "json", "one"]] {
        let out = folder.run(args).out();
        assert!(out.contains("generic") && !out.contains("horse"), "{out}");
        assert!(!out.chars().any(|letter| letter.is_control() && letter != '\n'), "{out:?}");
    }
    let nothing = folder.run(&["view", "nothing"]);
    assert!(nothing.out().contains("report that does not say what was read"), "{}", nothing.out());
}

#[test]
fn what_is_no_report_is_refused_by_name() {
    let folder = Folder::new().with("x", "hello").with("y", "{\"a\":1}");
    for (args, words) in [
        (&["view", "x"][..], "`x` cannot be shown: this is not JSON"),
        (&["view", "y"], "`y` cannot be shown: this is no report"),
        (&["view", "gone"], "`gone` cannot be read"),
        (&["view"], "FILE"),
    ] {
        let ran = folder.run(args);
        assert_eq!((ran.code(), ran.out().as_str()), (2, ""), "{args:?}");
        assert!(ran.err().contains(words), "{args:?}: {}", ran.err());
    }
}
