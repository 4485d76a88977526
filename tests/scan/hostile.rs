//! What is scanned may be made to harm whoever scans it: to start a program, to lead elsewhere, to write on the terminal,
//! to never end.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use stanch::token::encoding::{Alphabet, to_base64};

use super::archives::{gz, tar, zip};
use super::repo::Repo;
use super::support::{Folder, found, token};

/// A script that leaves a mark if anyone ever runs it.
fn tripwire(folder: &Path, name: &str) -> String {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("it has one")).expect("the folder is ours");
    fs::write(&path, format!("#!/bin/sh\necho $0 >> {}/tripped\n", folder.display())).expect("the folder is ours");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("the file is ours");
    path.display().to_string()
}

/// A repository whose every setting that can name a program names one, with a token in its past and one staged.
fn armed(trap: &Path) -> (Repo, String) {
    let repo = Repo::new();
    let secret = token("npm-access-token", 71);
    repo.commit("old.env", Some(&format!("TOKEN={secret}\n")));
    repo.commit("old.env", None);
    repo.write("new.env", Some(&format!("TOKEN={}\n", token("npm-access-token", 72))));
    repo.git(&["add", "-A"]);
    let run = tripwire(trap, "run");
    let config = format!(
        "[core]\n\tfsmonitor = {run}\n\thooksPath = {hooks}\n\tsshCommand = {run}\n\tpager = {run}\n\teditor = {run}\n\
         \taskPass = {run}\n\tgitProxy = {run}\n\talternateRefsCommand = {run}\n\tattributesFile = {trap}/attributes\n\
         [filter \"x\"]\n\tclean = {run}\n\tsmudge = {run}\n\tprocess = {run}\n\trequired = true\n\
         [diff]\n\texternal = {run}\n[diff \"x\"]\n\ttextconv = {run}\n\tcommand = {run}\n\
         [merge \"x\"]\n\tdriver = {run}\n[alias]\n\tlog = !{run}\n\trev-list = !{run}\n\tcat-file = !{run}\n\
         [credential]\n\thelper = !{run}\n[gpg]\n\tprogram = {run}\n[uploadpack]\n\tpackObjectsHook = {run}\n\
         [remote \"origin\"]\n\turl = ext::{run}\n\tpromisor = true\n\tuploadpack = {run}\n\tvcs = run\n\
         [extensions]\n\tpartialClone = origin\n[include]\n\tpath = {trap}/included\n",
        hooks = trap.join("hooks").display(),
        trap = trap.display(),
    );
    let path = repo.path(".git/config");
    let own = fs::read_to_string(&path).expect("it is there");
    fs::write(&path, own + &config).expect("the file is ours");
    fs::write(trap.join("included"), format!("[core]\n\tfsmonitor = {run}\n")).expect("the folder is ours");
    repo.write(".gitattributes", Some("* filter=x diff=x merge=x\n"));
    repo.write(".gitmodules", Some(&format!("[submodule \"s\"]\n\tpath = s\n\turl = ext::{run}\n\tupdate = !{run}\n")));
    for hook in ["post-checkout", "pre-commit", "post-index-change", "fsmonitor-watchman", "reference-transaction"] {
        tripwire(trap, &format!("hooks/{hook}"));
        fs::copy(trap.join("hooks").join(hook), repo.path(".git/hooks").join(hook)).expect("the folder is ours");
    }
    (repo, secret)
}

#[test]
fn an_armed_repository_starts_no_process() {
    let trap = tempfile::tempdir().expect("a folder");
    let (repo, secret) = armed(trap.path());
    // Every program that a scanner might think of is a tripwire, too.
    for name in ["git", "sh", "bash", "ssh", "tar", "unzip", "gzip", "python3", "less", "file"] {
        tripwire(trap.path(), &format!("bin/{name}"));
    }
    let trace = trap.path().join("trace");
    for args in
        [&["scan", "--json", "."][..], &["scan", "--json", "--unreachable", "."], &["scan", "--json", "--staged"]]
    {
        let ran = Command::new("/usr/bin/strace")
            .args(["-f", "-qq", "-e", "trace=execve,execveat,fork,vfork", "-o"])
            .arg(&trace)
            .arg(env!("CARGO_BIN_EXE_stanch"))
            .args(args)
            .current_dir(repo.folder.path())
            .env("PATH", trap.path().join("bin"))
            .env("GIT_SSH_COMMAND", trap.path().join("run"))
            .env("PAGER", trap.path().join("run"))
            .output();
        let ran = match ran {
            Ok(ran) => ran,
            Err(error) => panic!("strace is installed by tests/run: {error}"),
        };
        let report: serde_json::Value = serde_json::from_slice(&ran.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&ran.stderr)));
        assert!(!report["findings"].as_array().expect("a list").is_empty(), "{args:?} finds the token: {report}");
        assert!(!String::from_utf8_lossy(&ran.stdout).contains(&secret));
        let calls = fs::read_to_string(&trace).expect("strace wrote it");
        let started: Vec<_> = calls.lines().filter(|line| line.contains("exec") || line.contains("fork(")).collect();
        assert_eq!(started.len(), 1, "only the scanner itself: {started:?}");
        assert!(!trap.path().join("tripped").exists(), "{args:?}");
    }
}

#[test]
fn a_repository_leads_to_no_other_place() {
    let secret = token("npm-access-token", 73);
    let other = Repo::new();
    other.commit("a", Some(&secret));
    other.commit("a", None);
    let folder =
        Folder::new().with("sub/readme", "x").with("sub/.git", format!("gitdir: {}\n", other.path(".git").display()));
    let ran = folder.run(&["scan", "--json"]);
    assert!(found(&ran.json()).is_empty(), "a pointer inside the folder is not followed: {}", ran.out());
    assert_eq!(ran.code(), 3, "and that is told");
    // A repository whose objects are links to those of another.
    let linked = Folder::new().with(".git/HEAD", "ref: refs/heads/main\n").with(".git/refs/heads/main", "");
    symlink(other.path(".git/objects"), linked.path().join(".git/objects")).expect("the folder is ours");
    let ran = linked.run(&["scan", "--json"]);
    assert!(found(&ran.json()).is_empty(), "{}", ran.out());
    assert_ne!(ran.code(), 0);
}

#[test]
fn alternates_lead_out_of_the_folder_only_if_it_is_the_repository_that_was_named() {
    let other = Repo::new();
    let tip = other.commit("a", Some(&token("npm-access-token", 77)));
    let borrowing = |folder: &Folder, name: &str| {
        let path = folder.path().join(name).display().to_string();
        other.git(&["init", "-q", "-b", "main", &path]);
        let own = folder.path().join(name).join(".git");
        let line = format!("{}\n", other.path(".git/objects").display());
        fs::write(own.join("objects/info/alternates"), line).expect("the folder is ours");
        fs::write(own.join("refs/heads/main"), format!("{tip}\n")).expect("the folder is ours");
    };
    let folder = Folder::new();
    borrowing(&folder, "in/met");
    let ran = folder.run(&["scan", "--json"]);
    assert!(found(&ran.json()).is_empty(), "{}", ran.out());
    assert_eq!(ran.code(), 3, "and that is told");
    assert!(ran.out().contains("alternate not read"), "{}", ran.out());
    // `git clone --shared` makes such a one, and whoever names it means all of it.
    let ran = folder.run(&["scan", "--json", "in/met"]);
    assert_eq!(found(&ran.json()), [("npm-access-token".into(), "in/met/a".into())], "{}", ran.err());
    // One that stays inside of what was named is no way out.
    let folder = Folder::new();
    borrowing(&folder, "met");
    let inside = folder.path().join("lender").display().to_string();
    other.git(&["clone", "-q", "--bare", &format!("file://{}", other.folder.path().display()), &inside]);
    fs::write(folder.path().join("met/.git/objects/info/alternates"), format!("{inside}/objects\n")).expect("ours");
    assert_eq!(found(&folder.scan(&["--exclude", "lender"])), [("npm-access-token".into(), "met/a".into())]);
}

#[test]
fn names_that_climb_out_are_names_and_nothing_is_written() {
    let secret = format!("TOKEN={}\n", token("npm-access-token", 74));
    let members: &[(&str, &[u8])] = &[("../../../escaped", secret.as_bytes()), ("/etc/escaped", secret.as_bytes())];
    let folder = Folder::new().with("in/a.zip", zip(members)).with("in/b.tgz", gz(&tar(members)));
    let places: Vec<_> = found(&folder.scan(&["in"])).into_iter().map(|(_, place)| place).collect();
    assert_eq!(places.len(), 4, "{places:?}");
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "a scan unpacks to memory only");
    assert!(!folder.path().join("../escaped").exists());
}

const FORMATS: &[&str] =
    &["csv", "github-actions", "gitleaks-json", "html", "human", "json", "jsonl", "junit", "sarif", "trufflehog-json"];

/// Sets a title, clears the screen, opens a link, turns the writing direction, ends the line and begins a command.
const HOSTILE: &str = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{1b}]8;;http://x\u{7}\u{202e}\r\n::error::x\u{9b}31m";

#[test]
fn nothing_that_was_scanned_moves_the_cursor_in_any_report() {
    let repo = Repo::new();
    let own = token("npm-access-token", 75);
    let part = |text: &str| String::from_utf8(to_base64(text.as_bytes(), Alphabet::Url)).expect("ASCII");
    let claims = serde_json::json!({ "iss": HOSTILE, "aud": HOSTILE, "exp": 1_900_000_000, "sub": HOSTILE });
    let jwt = format!("{}.{}.{}", part("{\"alg\":\"HS256\"}"), part(&claims.to_string()), "c2lnbmF0dXJlMTIzNDU2Nzg5");
    let name = format!("a{}b", HOSTILE.replace('/', "_"));
    repo.write(&name, Some(&format!("{HOSTILE}{own}{HOSTILE}\n{jwt}\n")));
    repo.git(&["add", "-A"]);
    let variables = [("GIT_AUTHOR_NAME", HOSTILE), ("GIT_AUTHOR_EMAIL", "\u{1b}[31mx@example.org")];
    let made = repo.try_git(&["commit", "-q", "-m", &format!("{HOSTILE} subject")], &variables);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    fs::remove_file(repo.path(&name)).expect("ours");
    let inner = zip(&[(name.as_str(), own.as_bytes())]);
    fs::write(repo.path("pkg.zip"), inner).expect("ours");
    for format in FORMATS {
        for detail in [&["-v"][..], &[]] {
            let ran = repo.folder.run(&[&["scan", "-f", format], detail].concat());
            assert_eq!(ran.code(), 1, "{format}: {}", ran.err());
            for told in [ran.out(), ran.err()] {
                let bad = told.chars().find(|letter| letter.is_control() && !matches!(letter, '\n' | '\r'));
                assert_eq!(bad, None, "{format}: {told}");
                assert!(*format == "json" || !told.lines().any(|line| line.starts_with("::error::x")), "{format}");
                assert!(!told.contains(&own[8..24]), "{format} tells a token");
            }
        }
    }
}

#[test]
fn a_line_that_never_ends_is_read_once() {
    // The beginnings of many kinds, over and over, without a line break; the token is at the end.
    let secret = token("npm-access-token", 76);
    let mut content = "eyJhbGciOiJ-ghp_-pypi-AgE-glpat--AKIA-npm_-https://a:b-".repeat(200_000);
    content.push(' ');
    content.push_str(&secret);
    let folder = Folder::new().with("line", &content);
    let report = folder.scan(&["--timeout", "120"]);
    assert_eq!(found(&report), [("npm-access-token".into(), "line".into())]);
    assert_eq!((report["complete"].clone(), report["findings"][0]["line"].clone()), (true.into(), 1.into()));
}
