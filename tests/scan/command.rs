//! The command: exit codes, suppression, and that no report tells a token.

use super::support::{Folder, found, kind, kinds, token};

const FORMATS: &[&str] =
    &["csv", "github-actions", "gitleaks-json", "html", "human", "json", "jsonl", "junit", "sarif", "trufflehog-json"];

#[test]
fn the_exit_code_tells_clean_found_wrong_and_incomplete() {
    let clean = Folder::new().with("a", "nothing");
    let leaky = Folder::new().with("a", token("npm-access-token", 1));
    assert_eq!(clean.run(&["scan"]).code(), 0);
    assert_eq!(leaky.run(&["scan"]).code(), 1);
    assert_eq!(leaky.run(&["scan", "--exit-code", "183"]).code(), 183);
    assert_eq!(leaky.run(&["scan", "--fail", "never"]).code(), 0);
    assert_eq!(clean.run(&["scan", "gone"]).code(), 2);
    assert_eq!(clean.run(&["scan", "--rule", "no-such-kind"]).code(), 2);
    assert_eq!(clean.run(&["scan", "--no-such-flag"]).code(), 2);
    let seven = Folder::new().with("a.7z", b"7z\xbc\xaf\x27\x1c rest");
    assert_eq!(seven.run(&["scan"]).code(), 3);
}

#[test]
fn no_report_tells_a_token() {
    let tokens: Vec<_> =
        ["npm-access-token", "pypi-api-token", "github-pat-classic"].iter().map(|kind| token(kind, 2)).collect();
    let folder = Folder::new().with("a", tokens.join("\n"));
    for format in FORMATS {
        for verbose in [&["-v"][..], &[]] {
            let ran = folder.run(&[&["scan", "-f", format], verbose].concat());
            assert_eq!(ran.code(), 1, "{format}: {}", ran.err());
            let told = ran.out() + &ran.err();
            assert!(told.contains("npm"), "{format} names what it found");
            for token in &tokens {
                assert!(!told.contains(&token[token.len() - 20..]), "{format} shows the end of a token");
                assert!(
                    !told.contains(&token[token.len() / 3..token.len() / 3 + 16]),
                    "{format} shows a part of a token"
                );
            }
        }
    }
}

#[test]
fn a_known_token_is_not_told_after_it_moved() {
    let secret = token("npm-access-token", 3);
    let folder = Folder::new().with("a", &secret);
    assert_eq!(folder.run(&["scan", "--update-baseline", "known"]).code(), 0);
    let moved = Folder::new()
        .with("known", std::fs::read(folder.path().join("known")).expect("it was written"))
        .with("deep/b", format!("\n\nx = {secret}\n"));
    assert_eq!(moved.run(&["scan", "-b", "known"]).code(), 0);
    let moved = moved.with("c", token("npm-access-token", 4));
    let report = moved.scan(&["-b", "known"]);
    assert_eq!(found(&report), [("npm-access-token".into(), "c".into())]);
    assert_eq!(report["suppressed"]["baseline"], 1);
    let baseline = std::fs::read_to_string(folder.path().join("known")).expect("it was written");
    assert!(!baseline.contains(&secret[8..20]));
    assert_eq!(moved.run(&["scan", "--update-baseline", "known"]).code(), 0);
    assert_eq!(std::fs::read_to_string(moved.path().join("known")).expect("it was written").lines().count(), 3);
}

#[test]
fn ignore_files_and_comments_are_obeyed_and_counted() {
    let secret = token("npm-access-token", 5);
    let folder = Folder::new()
        .with("a", format!("x = {secret} # gitleaks:allow\n"))
        .with("fixtures/b", &secret)
        .with("c", format!("\n{secret}\n"))
        .with(".stanchignore", "fixtures/**\nnowhere/**\n")
        .with(".gitleaksignore", "c:npm-access-token:2\n");
    let ran = folder.run(&["scan"]);
    assert_eq!(ran.code(), 0, "{}", ran.out());
    assert!(ran.out().contains("2 in the ignore file, 1 by a comment"), "{}", ran.out());
    assert!(ran.out().contains("`nowhere/**` in the ignore file suppressed nothing"), "{}", ran.out());
    assert_eq!(kinds(&folder.scan(&["--no-inline-ignore"])).len(), 1);
}

#[test]
fn own_kinds_are_found_and_exported() {
    let own = "[[kind]]\nid = \"acme-token\"\nissuer = \"Acme\"\nname = \"deploy token\"\nshape = \"acme_{b62:24}\"\n";
    let folder = Folder::new().with("kinds.toml", own).with("a", "key=acme_07e1kP9d25abQ4f836ZtuLxw;");
    assert_eq!(kinds(&folder.scan(&["-c", "kinds.toml", "a"])), ["acme-token"]);
    assert_eq!(kinds(&folder.scan(&["-c", "kinds.toml", "--rule", "acme", "a"])), ["acme-token"]);
    let exported = folder.run(&["rules", "export", "-f", "github", "-c", "kinds.toml", "acme-token"]);
    assert_eq!(exported.out(), "acme-token\tacme_[0-9A-Za-z]{24}\n");
    let tested = folder.run_with(&["rules", "test", "-c", "kinds.toml"], b"acme_07e1kP9d25abQ4f836ZtuLxw");
    assert_eq!((tested.code(), tested.out().as_str()), (0, "acme-token  shape  bytes 0 to 29\n"));
    assert_eq!(folder.run_with(&["rules", "test"], b"nothing").code(), 1);
    assert!(folder.run(&["rules", "show", "npm-access-token"]).out().contains("npm_"));
    assert!(!kind("npm-access-token").name.is_empty());
}

#[test]
fn shells_and_manuals_are_served() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish", "powershell"] {
        assert!(folder.run(&["completions", shell]).out().contains("stanch"), "{shell}");
    }
    assert!(folder.run(&["man", "scan"]).out().contains(".TH"));
    assert_eq!(folder.run(&["man", "nothing"]).code(), 2);
}

#[test]
fn a_report_is_written_to_a_file_and_not_through_a_link() {
    let folder = Folder::new().with("a", token("npm-access-token", 6)).with("victim", "kept");
    assert_eq!(folder.run(&["scan", "a", "-f", "sarif", "-o", "report.sarif"]).code(), 1);
    let report = std::fs::read(folder.path().join("report.sarif")).expect("it was written");
    let report: serde_json::Value = serde_json::from_slice(&report).expect("it is JSON");
    assert_eq!(report["runs"][0]["results"][0]["ruleId"], "npm-access-token");
    std::os::unix::fs::symlink("victim", folder.path().join("link")).expect("the folder is ours");
    assert_eq!(folder.run(&["scan", "a", "-o", "link"]).code(), 1);
    assert_eq!(std::fs::read_to_string(folder.path().join("victim")).expect("it is there"), "kept");
}

#[test]
fn our_own_repository_is_clean() {
    let ran = std::process::Command::new(env!("CARGO_BIN_EXE_stanch"))
        .args(["scan", "--exclude", "target", "--exclude", ".git"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("the program was built");
    let told = String::from_utf8_lossy(&ran.stdout);
    assert_eq!(ran.status.code(), Some(0), "{told}");
    assert!(!told.contains("suppressed nothing"), "{told}");
}
