//! The command: exit codes, suppression, and that no report tells a token.

use std::fs;

use stanch::token::{generate, macaroon, pat};

use super::repo::Repo;
use super::support::{Folder, found, kind, kinds, random, token};

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
    let unasked = leaky.run(&["scan", "--fail", "verified"]);
    assert!(unasked.code() == 2 && unasked.err().contains("needs --verify"), "{}", unasked.err());
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
fn rules_of_gitleaks_are_imported_and_what_is_not_kept_is_told() {
    let rules = r#"
        title = "acme"
        [extend]
        useDefault = true
        [[rules]]
        id = "acme-key"
        description = "key of the old shop"
        regex = '(?i)acme[_ ]?key\s*=\s*"([a-z0-9]{16})"'
        secretGroup = 1
        entropy = 3.0
        keywords = ["acme"]
        [[rules.allowlists]]
        stopwords = ["example"]
        paths = ["^docs/"]
        [[rules]]
        id = "look-behind"
        regex = "(?<=x)y"
    "#;
    let key = |value: &str| format!("ACME_KEY = \"{value}\"\n");
    let folder = Folder::new()
        .with("rules.toml", rules)
        .with("a.py", format!("x\n  {}", key("q8r3v7n1m5k2p9w4")))
        .with("plain.py", key("aaaaaaaaaaaaaaab"))
        .with("stop.py", key("exampleq8r3v7n1m"))
        .with("docs/a.md", key("q8r3v7n1m5k2p9w5"))
        .with("b.js", token("npm-access-token", 8));
    let ran = folder.run(&["scan", "--json", "-c", "rules.toml"]);
    let report = ran.json();
    assert_eq!(found(&report), [("acme-key".into(), "a.py".into()), ("npm-access-token".into(), "b.js".into())]);
    let finding = &report["findings"][0];
    assert_eq!((&finding["line"], &finding["column"]), (&2.into(), &15.into()));
    assert_eq!(finding["name"], "key of the old shop");
    assert!(!ran.out().contains("q8r3v7n1m"), "{}", ran.out());
    assert_eq!(report["suppressed"]["rules"], 1);
    assert!(ran.err().contains("rule `look-behind` was not kept"), "{}", ran.err());
    assert!(ran.err().contains("the catalogue stands in their place"), "{}", ran.err());
    assert_eq!(kinds(&folder.scan(&["-c", "rules.toml", "--rule", "acme"])), ["acme-key"]);
    assert_eq!(kinds(&folder.scan(&["-c", "rules.toml", "--exclude-rule", "acme"])), ["npm-access-token"]);
    let listed = folder.run(&["rules", "list", "-c", "rules.toml", "acme"]);
    assert_eq!(listed.out(), "acme-key  imported rule, key of the old shop\n");
    assert!(folder.run(&["rules", "show", "-c", "rules.toml", "acme-key"]).out().contains("[a-z0-9]{16}"));
    let tested = folder.run_with(&["rules", "test", "-c", "rules.toml", "acme"], key("q8r3v7n1m5k2p9w4").as_bytes());
    assert_eq!(tested.out(), "acme-key  shape  bytes 12 to 28\n");
    assert_eq!(folder.run(&["scan", "-c", "a.py"]).code(), 2);
}

#[test]
fn an_imported_rule_finds_in_histories_and_in_what_is_staged() {
    let repo = Repo::new();
    let rules = "[[rules]]\nid = \"acme\"\nregex = 'acme:[a-z]{8}\\n[a-z]{8}'\n";
    repo.commit("rules.toml", Some(rules));
    let text = |lines: usize| format!("{}acme:abcdefgh\nijklmnop\n", "line\n".repeat(lines));
    for lines in 0..30 {
        repo.commit("a", Some(&text(lines)));
    }
    repo.commit("a", Some(&text(30).replace("ijkl", "ij!l")));
    repo.git(&["repack", "-q", "-a", "-d", "-f"]);
    let report = repo.folder.scan(&["-c", "rules.toml"]);
    assert_eq!(found(&report), [("acme".into(), "a".into())]);
    assert_eq!(report["findings"][0]["line"], 1);
    repo.write("b", Some(&text(1)));
    repo.git(&["add", "b"]);
    assert_eq!(found(&repo.folder.scan(&["-c", "rules.toml", "--staged"])), [("acme".into(), "b".into())]);
    // A file of rules in what is scanned is not obeyed by itself.
    std::fs::rename(repo.path("rules.toml"), repo.path(".gitleaks.toml")).expect("the folder is ours");
    assert_eq!(repo.folder.run(&["scan"]).code(), 0);
}

#[test]
fn what_is_typed_for_other_scanners_is_understood() {
    let repo = Repo::new();
    repo.commit("old", Some(&token("npm-access-token", 9)));
    repo.commit("old", None);
    for (args, code) in [
        (&["detect", "--source", ".", "--no-banner", "--redact", "-v"][..], 1),
        (&["git", "-v", "--log-opts=-1"], 0),
        (&["dir", "."], 0),
        (&["detect", "--no-git", "-s", "."], 0),
        (&["protect", "--staged"], 0),
        (&["git", "--pre-commit", "--staged", "--redact=100"], 0),
        (&["filesystem", "--directory", ".", "--no-update", "--fail"], 0),
        (&["git", ".", "--since-commit", "HEAD~1", "--fail", "--no-verification"], 0),
        (&["scan", "--git-history", "none", "--no-validate", "--no-update-check", "."], 0),
        (&["detect", "-f", "json", "-r", "report.json", "--exit-code", "7"], 7),
        (&["stdin"], 0),
    ] {
        let ran = repo.folder.run(args);
        assert_eq!(ran.code(), code, "{args:?}: {}{}", ran.out(), ran.err());
    }
}

#[test]
fn nothing_is_said_of_nothing_if_one_asks_for_quiet() {
    let folder = Folder::new().with("a", "nothing");
    let quiet = folder.run(&["scan", "-q"]);
    assert_eq!((quiet.code(), quiet.out() + &quiet.err()), (0, String::new()));
    let folder = folder.with("b", token("npm-access-token", 1));
    assert!(folder.run(&["scan", "-q"]).out().contains("1 token"));
}

/// Runs a command on a terminal, and gives back all that it wrote there.
fn on_a_terminal(folder: &Folder, command: &str) -> String {
    let ran = std::process::Command::new("script")
        .args(["-q", "-e", "-c", command, "/dev/null"])
        .current_dir(folder.path())
        .env("TERM", "xterm")
        .output()
        .expect("util-linux is there");
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

#[test]
fn progress_is_drawn_on_a_terminal_and_gone_before_the_report() {
    // A pipe that says nothing for a while keeps the scan waiting, and the line is drawn.
    let folder = Folder::new();
    let stanch = env!("CARGO_BIN_EXE_stanch");
    let slow = format!("(echo one; timeout 1 tail -f /dev/null; echo two) | {stanch} scan -");
    let told = on_a_terminal(&folder, &slow);
    let (before, report) = told.rsplit_once("\r\u{1b}[K").expect("a line was drawn and cleared");
    assert!(before.contains("Searching: "), "{told:?}");
    assert!(report.contains("No token found") && !report.contains("Searching"), "{told:?}");
    let told = on_a_terminal(&folder, &format!("{slow} --no-progress"));
    assert!(!told.contains("Searching"), "{told:?}");
    // In pipes there is none, however long it takes.
    let told = on_a_terminal(&folder, &format!("{slow} 2>err | cat; cat err"));
    assert!(!told.contains("Searching") && told.contains("No token found"), "{told:?}");
}

#[test]
fn completions_and_manual_know_the_new_words() {
    let folder = Folder::new();
    let page = folder.run(&["man", "scan"]).out().replace('\\', "");
    let bash = folder.run(&["completions", "bash"]).out();
    for word in [
        "--staged",
        "--since-commit",
        "--branch",
        "--log-opts",
        "--max-depth",
        "--incremental",
        "--lfs",
        "--submodules",
        "--git-credentials",
        "--memory-limit",
        "--quiet",
        "--no-progress",
    ] {
        assert!(page.contains(word), "{word} is not in the manual");
        assert!(bash.contains(word), "{word} is not completed");
    }
    assert!(bash.contains("pre-push") && folder.run(&["man", "hook"]).out().contains("install"));
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
        .args(["scan", "--exclude", "target"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("the program was built");
    let told = String::from_utf8_lossy(&ran.stdout);
    // A copy without the whole history (an archive, a shallow clone) is incomplete, and cannot say what is unused.
    let whole = ran.status.code() == Some(0);
    assert!(whole || ran.status.code() == Some(3), "{told}");
    assert!(!whole || !told.contains("suppressed nothing"), "{told}");
}

#[test]
fn the_tokens_of_our_own_issuer_are_known_without_its_configuration() {
    let opaque = pat::Mark::ALL.into_iter().map(|mark| pat::kind_marked(pat::PREFIX, mark));
    for kind in opaque.chain([macaroon::kind(pat::PREFIX, pat::PREFIX)]) {
        let kind = kind.expect("a kind");
        let made = generate(&kind, &mut random(7)).expect("every kind can be made up");
        let folder = Folder::new().with("a", [b"TOKEN=".as_slice(), &made, b"\n"].concat());
        assert_eq!(found(&folder.scan(&[])), [(kind.id.to_string(), "a".to_owned())]);
    }
}

#[test]
fn tokens_are_shown_only_where_that_was_said() {
    let secret = token("npm-access-token", 77);
    let folder = Folder::new().with("a.env", format!("key={secret}\n"));
    let shown = |ran: &super::support::Ran| ran.out().contains(&secret);
    assert!(!shown(&folder.run(&["scan"])));
    // Not a terminal: it must be said a second time.
    let refused = folder.run(&["scan", "--show-secrets"]);
    assert_eq!((refused.code(), refused.out().as_str()), (2, ""));
    assert!(refused.err().contains("--show-secrets=yes"), "{}", refused.err());
    for format in ["human", "json", "jsonl"] {
        let ran = folder.run(&["scan", "--show-secrets=yes", "-f", format]);
        assert!(ran.code() == 1 && shown(&ran), "{format}: {}", ran.out());
        assert!(ran.err().contains("tokens in clear") && !ran.err().contains(&secret), "{}", ran.err());
    }
    assert_eq!(folder.run(&["scan", "--json", "--show-secrets=yes"]).json()["findings"][0]["secret"], secret);
    for format in ["sarif", "html", "csv", "junit", "github-actions", "gitleaks-json", "trufflehog-json"] {
        let ran = folder.run(&["scan", "--show-secrets=yes", "-f", format]);
        assert!(ran.code() == 2 && !shown(&ran), "{format}");
    }
    let on_terminal = on_a_terminal(&folder, &format!("{} scan --show-secrets", env!("CARGO_BIN_EXE_stanch")));
    assert!(on_terminal.contains(&secret), "{on_terminal}");
    let outside = Folder::new();
    let report = outside.path().join("report.json");
    fs::write(&report, "old").expect("the folder is ours");
    folder.run(&["scan", "--json", "--show-secrets=yes", "-o", report.to_str().expect("text")]);
    assert!(fs::read_to_string(&report).expect("it was written").contains(&secret));
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&report).expect("it is there").permissions());
    assert_eq!(mode & 0o777, 0o600);
}
