//! Histories: what was committed is found, told once, and what of it was not read is said.

use std::fs;
use std::process::Command;

use serde_json::Value;

use super::repo::Repo;
use super::support::{Folder, found, token};

fn only(report: &Value) -> &Value {
    assert_eq!(report["findings"].as_array().expect("a list").len(), 1, "{report}");
    &report["findings"][0]
}

#[test]
fn a_token_of_an_old_commit_is_found_with_its_commit_path_author_and_date() {
    let secret = token("npm-access-token", 1);
    let repo = Repo::new();
    repo.commit("readme", Some("nothing"));
    let leaked = repo.commit("src/config.js", Some(&format!("one\n  token = \"{secret}\"\n")));
    repo.commit("src/config.js", None);
    for pack in [false, true] {
        if pack {
            repo.git(&["repack", "-q", "-a", "-d", "-f"]);
        }
        let ran = repo.folder.run(&["scan", "--format", "json"]);
        assert_eq!(ran.code(), 1, "{}", ran.err());
        let report = ran.json();
        let finding = only(&report);
        assert_eq!(finding["path"], "src/config.js");
        assert_eq!((&finding["line"], &finding["column"]), (&2.into(), &12.into()));
        assert_eq!(finding["source"], "git");
        assert_eq!(finding["commit"]["id"], leaked);
        assert_eq!(finding["commit"]["author"], "Ada");
        assert_eq!(finding["commit"]["email"], "ada@example.org");
        assert_eq!(finding["commit"]["authored_at"], 1_700_000_120);
        assert_eq!(finding["commit"]["summary"], "Change src/config.js");
        assert_eq!(report["complete"], true);
        assert!(report["coverage"]["objects"].as_u64() >= Some(8), "{report}");
    }
    assert_eq!(repo.folder.run(&["scan", "--history", "none"]).code(), 0);
    assert_eq!(repo.folder.run(&["scan", "--no-git"]).code(), 0);
    assert!(repo.folder.run(&["scan"]).out().contains(&format!("commit {}", &leaked[..10])));
}

#[test]
fn a_token_in_a_message_a_tag_or_a_merge_is_found() {
    let repo = Repo::new();
    repo.commit("a", Some("1"));
    repo.git(&["checkout", "-q", "-b", "side"]);
    repo.commit("b", Some("2"));
    repo.git(&["checkout", "-q", "main"]);
    let message = repo.save(&format!("Oops {}", token("npm-access-token", 2)));
    repo.git(&["merge", "-q", "--no-commit", "--no-ff", "side"]);
    let merge = repo.commit("evil", Some(&token("npm-access-token", 3)));
    repo.commit("evil", None);
    repo.git(&["tag", "-a", "v1", "-m", &token("npm-access-token", 4)]);
    let ran = repo.folder.run(&["scan", "--format", "json"]);
    let report = ran.json();
    // The log of references holds the messages too, as a file.
    let all = report["findings"].as_array().expect("a list").iter();
    let told: Vec<_> = all.filter(|one| one["source"] == "git").collect();
    let place = |kind: &str| {
        let one = told.iter().find(|one| one["commit"]["object_kind"] == kind).expect("it is told");
        (one["path"].as_str().expect("text"), one["commit"]["id"].as_str().expect("text"))
    };
    assert_eq!(told.len(), 3, "{report}");
    assert_eq!(place("commit"), (".git", message.as_str()));
    assert_eq!(place("blob"), ("evil", merge.as_str()));
    assert_eq!(place("tag"), (".git", ""));
    let tag = told.iter().find(|one| one["commit"]["object_kind"] == "tag").expect("it is told");
    assert_eq!((&tag["commit"]["author"], &tag["commit"]["summary"]), (&"Bob".into(), &"(holds a token)".into()));
    // The subject of a commit is told beside a finding, but not if it holds the token itself.
    assert!(!ran.out().contains(&token("npm-access-token", 2)));
}

#[test]
fn a_token_that_no_reference_leads_to_is_counted_and_told_on_demand() {
    let repo = Repo::new();
    repo.commit("a", Some("nothing"));
    repo.folder.path().join("lost").to_str().map(|path| fs::write(path, token("npm-access-token", 5)));
    repo.git(&["hash-object", "-w", "lost"]);
    fs::remove_file(repo.folder.path().join("lost")).expect("it was written");
    let ran = repo.folder.run(&["scan", "--json"]);
    assert_eq!(ran.code(), 0, "{}", ran.out());
    let report = ran.json();
    let skipped = report["coverage"]["skipped"].as_array().expect("a list").iter();
    let reasons: Vec<_> = skipped.map(|one| one["reason"].as_str().expect("text")).collect();
    assert!(reasons.len() == 1 && reasons[0].contains("unreachable"), "{reasons:?}");
    let report = repo.folder.scan(&["--unreachable"]);
    assert_eq!((&only(&report)["path"], &only(&report)["commit"]["id"]), (&".git".into(), &"".into()));
    assert!(repo.folder.run(&["scan", "--unreachable"]).out().contains("in no commit, blob "));
}

#[test]
fn a_token_in_the_tree_and_in_many_commits_is_told_once_with_both_places() {
    let secret = token("npm-access-token", 6);
    let repo = Repo::new();
    let first = repo.commit("a", Some(&secret));
    for number in 0..5 {
        repo.commit("a", Some(&format!("{}{secret}", "line\n".repeat(number + 1))));
    }
    let report = repo.folder.scan(&[]);
    let finding = only(&report);
    assert_eq!((&finding["source"], &finding["path"], &finding["line"]), (&"file".into(), &"a".into(), &6.into()));
    assert_eq!(finding["commit"]["id"], first);
    // Once it has left the tree, it is told once more: at the commit that brought it.
    repo.commit("a", Some("nothing"));
    repo.git(&["mv", "a", "b"]);
    repo.save("Move");
    let report = repo.folder.scan(&[]);
    assert_eq!((&only(&report)["source"], &only(&report)["line"]), (&"git".into(), &1.into()));
    assert_eq!(only(&report)["commit"]["id"], first);
}

#[test]
fn bare_repositories_git_folders_and_worktrees_are_read() {
    let repo = Repo::new();
    repo.commit("a", Some(&token("npm-access-token", 7)));
    repo.commit("a", None);
    let beside = Folder::new();
    let place = |name: &str| beside.path().join(name).to_str().expect("it is text").to_owned();
    repo.git(&["clone", "-q", "--bare", ".", &place("bare.git")]);
    repo.git(&["worktree", "add", "-q", "--detach", &place("worktree")]);
    for (folder, target, path) in [
        (&repo.folder, ".git", "a"),
        (&beside, "bare.git", "bare.git/a"),
        (&beside, "worktree", "worktree/a"),
        (&repo.folder, ".", "a"),
    ] {
        let report = folder.scan(&[target]);
        assert_eq!(found(&report), [("npm-access-token".into(), path.into())], "{target}");
        assert_eq!(report["complete"], true, "{report}");
    }
    let inside = Folder::new();
    fs::rename(beside.path().join("bare.git"), inside.path().join("x")).expect("the folder is ours");
    let ran = Command::new(env!("CARGO_BIN_EXE_stanch")).args(["scan"]).current_dir(inside.path().join("x")).status();
    assert_eq!(ran.expect("it was built").code(), Some(1));
}

#[test]
fn a_tree_does_not_lead_to_a_repository_outside_of_it() {
    let other = Repo::new();
    other.commit("a", Some(&token("npm-access-token", 8)));
    other.commit("a", None);
    let git = other.folder.path().join(".git");
    let folder = Folder::new().with("vendor/x/.git", format!("gitdir: {}\n", git.display()));
    std::os::unix::fs::symlink(&git, folder.path().join(".git")).expect("the folder is ours");
    let ran = folder.run(&["scan", "--json"]);
    assert_eq!(ran.code(), 3, "{}", ran.out());
    let gap = &ran.json()["coverage"]["not_read"][0];
    assert_eq!((&gap["reason"], &gap["count"]), (&"git history not read".into(), &2.into()));
    assert_eq!(folder.run(&["scan", "--allow-partial"]).code(), 0);
    assert_eq!(folder.run(&["scan", "--history", "none"]).code(), 0);
}

#[test]
fn a_cut_or_damaged_history_is_incomplete() {
    let repo = Repo::new();
    for number in 0..20 {
        repo.commit("a", Some(&format!("{number}\n").repeat(100)));
    }
    let beside = Folder::new();
    let shallow = beside.path().join("shallow");
    let from = format!("file://{}", repo.folder.path().display());
    repo.git(&["clone", "-q", "--depth", "1", &from, shallow.to_str().expect("it is text")]);
    let ran = beside.run(&["scan", "--json", "shallow"]);
    assert_eq!(ran.code(), 3);
    assert_eq!(ran.json()["coverage"]["not_read"][0]["reason"], "shallow history");
    assert_eq!(beside.run(&["scan", "--allow-partial", "shallow"]).code(), 0);
    repo.git(&["repack", "-q", "-a", "-d"]);
    let packs = fs::read_dir(repo.folder.path().join(".git/objects/pack")).expect("there are packs");
    let pack = packs.flatten().map(|file| file.path()).find(|path| path.extension().is_some_and(|end| end == "pack"));
    let pack = pack.expect("one was written");
    let mut bytes = fs::read(&pack).expect("it is readable");
    let middle = bytes.len() / 2;
    bytes[middle..middle + 40].fill(0xff);
    fs::remove_file(&pack).and_then(|()| fs::write(&pack, bytes)).expect("the folder is ours");
    let ran = repo.folder.run(&["scan", "--json"]);
    assert_eq!(ran.code(), 3, "{}", ran.out());
}

#[test]
fn what_is_known_or_not_asked_for_is_not_told_of_a_history_either() {
    let repo = Repo::new();
    let secret = token("npm-access-token", 9);
    repo.commit("vendor/a", Some(&secret));
    repo.commit("vendor/a", None);
    assert_eq!(repo.folder.run(&["scan", "--exclude", "vendor"]).code(), 0);
    assert_eq!(repo.folder.run(&["scan", "--include", "*.js"]).code(), 0);
    assert_eq!(repo.folder.run(&["scan", "--include", "a"]).code(), 1);
    assert_eq!(repo.folder.run(&["scan", "--rule", "pypi"]).code(), 0);
    assert_eq!(repo.folder.run(&["scan", "--update-baseline", "known"]).code(), 0);
    assert_eq!(repo.folder.run(&["scan", "-b", "known"]).code(), 0);
    fs::write(repo.folder.path().join(".stanchignore"), "vendor/**\n").expect("the folder is ours");
    assert_eq!(repo.folder.run(&["scan"]).code(), 0);
    fs::remove_file(repo.folder.path().join(".stanchignore")).expect("it was written");
    repo.commit("b", Some(&format!("{} # stanch:ignore\n", token("npm-access-token", 10))));
    repo.commit("b", None);
    let report = repo.folder.scan(&[]);
    assert_eq!((found(&report).len(), &report["suppressed"]["inline"]), (1, &1.into()));
}

#[test]
fn the_report_of_a_history_is_the_same_for_any_number_of_threads() {
    let repo = Repo::new();
    for number in 0..40 {
        let content = format!("{}\n{}\n", "x\n".repeat(50), token("npm-access-token", 20 + number % 13));
        repo.commit(&format!("{}/{}", number % 5, number % 7), Some(&content));
    }
    repo.git(&["repack", "-q", "-a", "-d", "-f"]);
    let one = repo.folder.run(&["scan", "--json", "-j", "1"]).out();
    for _ in 0..4 {
        assert_eq!(repo.folder.run(&["scan", "--json", "-j", "8"]).out(), one);
    }
}
