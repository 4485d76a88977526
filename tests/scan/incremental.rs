//! `--incremental`: what was read once is not read again, and nothing is lost by it.

use std::fs;

use serde_json::Value;

use super::repo::Repo;
use super::support::{found, token};

fn npm(seed: u64) -> String {
    token("npm-access-token", seed)
}

fn scan(repo: &Repo, args: &[&str]) -> (i32, Value, String) {
    let always = ["scan", "--json", "--exclude", "x", "--incremental=x/state.json"];
    let ran = repo.folder.run(&[&always[..], args].concat());
    (ran.code(), ran.json(), ran.err())
}

fn objects(report: &Value) -> u64 {
    report["coverage"]["objects"].as_u64().expect("a number")
}

#[test]
fn a_second_scan_reads_only_new_objects() {
    let repo = Repo::new();
    for number in 0..20 {
        repo.commit("a", Some(&number.to_string()));
    }
    let (code, report, _) = scan(&repo, &[]);
    assert_eq!((code, objects(&report)), (0, 60), "{report}");
    let (code, report, _) = scan(&repo, &[]);
    assert_eq!((code, objects(&report)), (0, 0), "{report}");
    assert!(report.to_string().contains("git history read before"), "{report}");
    // A commit, its file; a tag that is read for itself; a branch that begins in what was read before.
    repo.commit("b", Some(&npm(1)));
    repo.commit("b", None);
    repo.git(&["tag", "-a", "v1", "-m", &npm(2)]);
    repo.git(&["checkout", "-q", "-b", "side", "HEAD~5"]);
    repo.commit("c", Some(&npm(3)));
    repo.git(&["checkout", "-q", "main"]);
    let wanted = [
        ("npm-access-token".into(), ".git".into()),
        ("npm-access-token".into(), "b".into()),
        ("npm-access-token".into(), "c".into()),
    ];
    let (code, report, _) = scan(&repo, &[]);
    assert_eq!((code, found(&report).as_slice(), objects(&report)), (1, &wanted[..], 6), "{report}");
    // They were told, and are told until they are dealt with.
    let (code, report, _) = scan(&repo, &[]);
    assert_eq!((code, found(&report).as_slice()), (1, &wanted[..]));
    assert!(objects(&report) > 60, "a history with findings is read again: {report}");
    assert_eq!(repo.folder.run(&["scan", "--exclude", "x", "--update-baseline", "x/known"]).code(), 0);
    let known = ["-b", "x/known"];
    assert_eq!(scan(&repo, &known).0, 0);
    let (code, report, _) = scan(&repo, &known);
    assert_eq!((code, objects(&report)), (0, 0));
    // Without the baseline it is another scan.
    assert_eq!(scan(&repo, &[]).0, 1);
}

#[test]
fn other_kinds_or_limits_read_everything_again() {
    let repo = Repo::new();
    repo.commit("a", Some("1"));
    for args in
        [&[][..], &["--rule", "npm"], &["--max-decode-depth", "1"], &["--exclude", "y"], &["--max-file-size", "1M"]]
    {
        let (code, report, _) = scan(&repo, args);
        assert_eq!((code, objects(&report)), (0, 3), "{args:?}");
        assert_eq!(objects(&scan(&repo, args).1), 0, "{args:?}");
    }
    assert_eq!(repo.folder.run(&["scan", "--incremental", "--unreachable"]).code(), 2);
    assert_eq!(repo.folder.run(&["scan", "--incremental", "--staged"]).code(), 2);
}

#[test]
fn a_state_that_makes_no_sense_is_told_and_everything_is_read() {
    let repo = Repo::new();
    repo.commit("a", Some("1"));
    scan(&repo, &[]);
    fs::write(repo.path("x/state.json"), "nonsense").expect("it was written");
    let (code, report, told) = scan(&repo, &[]);
    assert_eq!((code, objects(&report)), (0, 3));
    assert!(told.contains("Everything is read"), "{told}");
    assert_eq!(objects(&scan(&repo, &[]).1), 0);
    let state = fs::read_to_string(repo.path("x/state.json")).expect("it was written");
    assert!(!state.contains(repo.folder.path().to_str().expect("it is text")), "{state}");
}

#[test]
fn what_was_not_read_or_cannot_be_is_not_forgotten() {
    let repo = Repo::new();
    let pointer = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 9\n", "ab".repeat(32));
    repo.commit("model", Some(&pointer));
    for _ in 0..3 {
        let (code, report, _) = scan(&repo, &[]);
        assert_eq!((code, &report["coverage"]["not_read"][0]["reason"]), (3, &"LFS pointer".into()), "{report}");
    }
    let always = ["scan", "--exclude", "x", "--incremental=x/state.json"];
    for args in [&always[..], &[&always[..], &["-v"]].concat()] {
        let told = repo.folder.run(args);
        assert!(told.code() == 3 && told.out().contains("Not read: 1, LFS pointer"), "{}{}", told.out(), told.err());
    }
    // A missing object makes every scan a whole one.
    let repo = Repo::new();
    repo.commit("a", Some("gone"));
    let id = repo.git(&["rev-parse", "HEAD:a"]);
    fs::remove_file(repo.path(".git/objects").join(&id[..2]).join(&id[2..])).expect("it is loose");
    assert_eq!(scan(&repo, &[]).0, 3);
    assert_eq!(scan(&repo, &[]).0, 3);
}

#[test]
fn the_state_lies_in_the_cache_of_the_user() {
    let repo = Repo::new();
    repo.commit("a", Some("1"));
    let home = super::support::Folder::new();
    let run = || {
        let ran = std::process::Command::new(env!("CARGO_BIN_EXE_stanch"))
            .args(["scan", "--json", "--incremental"])
            .current_dir(repo.folder.path())
            .env("HOME", home.path())
            .env_remove("XDG_CACHE_HOME")
            .output()
            .expect("the program was built");
        serde_json::from_slice::<Value>(&ran.stdout).expect("it is JSON")
    };
    assert_eq!(objects(&run()), 3);
    assert_eq!(objects(&run()), 0);
    assert!(home.path().join(".cache/stanch/scanned.json").is_file());
    assert_eq!(repo.git(&["status", "--porcelain", "--ignored"]), "");
}
