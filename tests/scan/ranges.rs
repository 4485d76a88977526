//! Ranges of commits: what they brought, and nothing from before.

use serde_json::Value;

use super::repo::Repo;
use super::support::{found, token};

fn npm(seed: u64) -> String {
    token("npm-access-token", seed)
}

fn places(repo: &Repo, args: &[&str]) -> Vec<String> {
    found(&repo.folder.scan(args)).into_iter().map(|(_, place)| place).collect()
}

/// Four commits, of which the middle two bring a token each, and a branch beside them.
fn history() -> (Repo, Vec<String>) {
    let repo = Repo::new();
    let mut ids = vec![repo.commit("base", Some(&npm(1)))];
    ids.push(repo.commit("one", Some(&npm(2))));
    ids.push(repo.commit("two", Some(&npm(3))));
    ids.push(repo.commit("three", Some("nothing")));
    repo.git(&["checkout", "-q", "-b", "side", &ids[0]]);
    ids.push(repo.commit("four", Some(&npm(4))));
    repo.git(&["checkout", "-q", "main"]);
    repo.git(&["tag", "-a", "v1", "-m", "first", &ids[1]]);
    repo.git(&["update-ref", "refs/remotes/origin/main", &ids[1]]);
    (repo, ids)
}

#[test]
fn a_range_tells_what_its_commits_brought() {
    let (repo, ids) = history();
    for pack in [false, true] {
        if pack {
            repo.git(&["repack", "-q", "-a", "-d", "-f"]);
            repo.git(&["pack-refs", "--all"]);
        }
        for (args, wanted) in [
            (vec!["--since-commit", &ids[0]], vec!["one", "two"]),
            (vec!["--since-commit", &ids[1][..9]], vec!["two"]),
            (vec!["--since-commit", "v1"], vec!["two"]),
            (vec!["--since-commit", "origin/main"], vec!["two"]),
            (vec!["--since-commit", "HEAD~2"], vec!["two"]),
            (vec!["--since-commit", "@^^{commit}~1"], vec!["two"]),
            (vec!["--since-commit", "HEAD"], vec![]),
            (vec!["--branch", "side"], vec!["base", "four"]),
            (vec!["--branch", "side", "--since-commit", "main"], vec!["four"]),
            (vec!["--max-depth", "2"], vec!["two"]),
            (vec!["--log-opts", "v1..main"], vec!["two"]),
            (vec!["--log-opts=--all"], vec!["base", "four", "one", "two"]),
            (vec!["--log-opts=--all --not --remotes=origin"], vec!["four", "two"]),
            (vec!["--log-opts", "side ^main"], vec!["four"]),
            (vec!["--log-opts=--since=@1700000180 HEAD"], vec!["two"]),
            (vec!["--log-opts=-p -n 3 --no-merges"], vec!["one", "two"]),
        ] {
            assert_eq!(places(&repo, &args), wanted, "{args:?}");
        }
    }
}

#[test]
fn a_finding_of_a_range_names_its_commit_author_and_line() {
    let (repo, ids) = history();
    let report = repo.folder.scan(&["--since-commit", &ids[1]]);
    let finding = &report["findings"][0];
    assert_eq!((&finding["source"], &finding["line"]), (&"git".into(), &1.into()));
    assert_eq!(finding["commit"]["id"], ids[2]);
    assert_eq!(finding["commit"]["author"], "Ada");
    assert_eq!(finding["commit"]["summary"], "Change two");
    assert_eq!(finding["commit"]["authored_at"], 1_700_000_180);
    // Two commits and their two files, and nothing else.
    assert_eq!(report["coverage"]["objects"], 4, "{report}");
}

#[test]
fn a_revision_that_is_not_there_is_wrong_usage_and_named() {
    let (repo, ids) = history();
    for wrong in ["nowhere", "HEAD~99", "0123abcd", "refs/heads/../../config", "HEAD^3"] {
        let ran = repo.folder.run(&["scan", "--since-commit", wrong]);
        assert_eq!(ran.code(), 2, "{wrong}: {}", ran.out());
        assert!(ran.err().contains(wrong), "{wrong}: {}", ran.err());
    }
    for unread in ["main@{yesterday}", "HEAD@{1}", ":/fix"] {
        let ran = repo.folder.run(&["scan", "--branch", unread]);
        assert_eq!(ran.code(), 2);
        assert!(ran.err().contains("is not understood here"), "{}", ran.err());
    }
    let tree = repo.git(&["rev-parse", &format!("{}^{{tree}}", ids[0])]);
    assert_eq!(repo.folder.run(&["scan", "--branch", &tree]).code(), 2);
}

#[test]
fn a_merge_tells_only_what_no_parent_has_and_messages_are_read() {
    let repo = Repo::new();
    let base = repo.commit("a", Some("1"));
    repo.git(&["checkout", "-q", "-b", "side"]);
    repo.commit("b", Some(&npm(1)));
    repo.git(&["checkout", "-q", "main"]);
    let main = repo.commit("c", Some("3"));
    repo.git(&["merge", "-q", "--no-commit", "--no-ff", "side"]);
    repo.write("evil", Some(&npm(2)));
    let merge = repo.save("Merge");
    assert_eq!(places(&repo, &["--log-opts", &format!("{merge} ^{main} ^side")]), ["evil"]);
    assert_eq!(places(&repo, &["--since-commit", &base]), ["b", "evil"]);
    repo.save(&format!("Oops {}", npm(3)));
    let report = repo.folder.scan(&["--since-commit", &merge]);
    assert_eq!(report["findings"][0]["commit"]["object_kind"], "commit");
    assert_eq!(report["findings"][0]["commit"]["summary"], "(holds a token)");
}

#[test]
fn archives_and_encodings_of_a_range_are_read() {
    let repo = Repo::new();
    let base = repo.commit("a", Some("1"));
    let hex = npm(1).bytes().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    repo.write("encoded", Some(&format!("key = \"{hex}\"\n")));
    repo.write("inner", Some(&npm(2)));
    repo.git(&["add", "inner"]);
    repo.git(&["commit", "-q", "-m", "inner"]);
    repo.git(&["archive", "-o", "packed.tar.gz", "HEAD", "inner"]);
    repo.git(&["reset", "-q", "--hard", &base]);
    repo.save("Both");
    assert_eq!(places(&repo, &["--since-commit", &base]), ["encoded", "packed.tar.gz!/inner"]);
}

#[test]
fn a_moved_file_and_a_token_from_before_are_not_told_again() {
    let repo = Repo::new();
    let base = repo.commit("deep/a", Some(&npm(1)));
    repo.git(&["mv", "deep", "other"]);
    repo.save("Move");
    repo.commit("other/a", Some(&format!("# changed\n{}", npm(1))));
    let report = repo.folder.scan(&["--since-commit", &base]);
    assert!(found(&report).is_empty(), "{report}");
    assert_eq!(report["suppressed"]["earlier"], 1);
    // What comes and goes within the range is told once.
    repo.commit("new", Some(&npm(2)));
    repo.commit("new", None);
    repo.commit("new", Some(&format!("again {}", npm(2))));
    assert_eq!(places(&repo, &["--since-commit", &base]), ["new"]);
}

#[test]
fn references_in_tables_name_what_references_in_files_name() {
    for args in [&["--ref-format=reftable"][..], &["--ref-format=reftable", "--object-format=sha256"]] {
        let repo = Repo::with(args);
        repo.commit("a", Some(&npm(1)));
        repo.git(&["tag", "-a", "v1", "-m", "first"]);
        repo.git(&["switch", "-q", "-c", "team/side"]);
        repo.commit("b", Some(&npm(2)));
        for args in [
            ["--since-commit", "v1"],
            ["--since-commit", "main"],
            ["--log-opts", "main..team/side"],
            ["--log-opts", "--all --not main"],
        ] {
            assert_eq!(places(&repo, &args), ["b"], "{args:?}");
        }
        repo.write("c", Some(&npm(3)));
        repo.git(&["add", "c"]);
        assert_eq!(places(&repo, &["--staged"]), ["c"]);
        let ran = repo.folder.run(&["scan", "--since-commit", "gone"]);
        assert_eq!(ran.code(), 2);
        assert!(ran.err().contains("no commit, branch or tag is named `gone`"), "{}", ran.err());
        let tables = std::fs::read_to_string(repo.path(".git/reftable/tables.list")).expect("it is there");
        let table = repo.path(".git/reftable").join(tables.lines().last().expect("there is one"));
        std::fs::remove_file(table).expect("it is ours");
        let ran = repo.folder.run(&["scan", "--since-commit", "main"]);
        assert_eq!(ran.code(), 2);
        assert!(ran.err().contains("the table of the references is damaged"), "{}", ran.err());
    }
}

#[test]
fn what_one_of_two_branches_has_and_what_an_upstream_lacks_are_told() {
    let repo = Repo::new();
    repo.commit("base", Some(&npm(1)));
    repo.git(&["switch", "-q", "-c", "left"]);
    repo.commit("left", Some(&npm(2)));
    repo.git(&["switch", "-q", "-c", "right", "main"]);
    repo.commit("right", Some(&npm(3)));
    assert_eq!(places(&repo, &["--log-opts", "left...right"]), ["left", "right"]);
    // After a merge, what both have is left out.
    repo.git(&["merge", "-q", "--no-edit", "left"]);
    repo.commit("later", Some(&npm(4)));
    assert_eq!(places(&repo, &["--log-opts", "left..."]), ["later", "right"]);
    assert_eq!(places(&repo, &["--log-opts", "left...left"]), [""; 0]);
    // A branch that follows another of this repository.
    repo.git(&["branch", "-q", "--set-upstream-to=left", "right"]);
    for upstream in ["@{u}", "@{UPSTREAM}", "HEAD@{u}", "right@{upstream}"] {
        assert_eq!(places(&repo, &["--since-commit", upstream]), ["later", "right"], "{upstream}");
        assert_eq!(places(&repo, &["--log-opts", &format!("{upstream}..")]), ["later", "right"], "{upstream}");
    }
    // One that follows a branch elsewhere, under another name here.
    let home = repo.folder.path().join("clone");
    repo.git(&["clone", "-q", "-o", "up.stream", ".", "clone"]);
    let clone = |args: &[&str]| repo.git(&[&["-C", "clone"], args].concat());
    clone(&["-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "-q", "--allow-empty", "-m", &npm(5)]);
    let ran = std::process::Command::new(env!("CARGO_BIN_EXE_stanch"))
        .args(["scan", "--json", "--since-commit", "@{u}"])
        .current_dir(&home)
        .output()
        .expect("it runs");
    let report: Value = serde_json::from_slice(&ran.stdout).expect("a report");
    assert_eq!(report["findings"].as_array().expect("a list").len(), 1);
    assert_eq!(report["findings"][0]["commit"]["object_kind"], "commit");
    let ran = repo.folder.run(&["scan", "--since-commit", "main@{u}"]);
    assert_eq!(ran.code(), 2);
    assert!(ran.err().contains("`main@{u}` follows no other branch"), "{}", ran.err());
    for refused in ["@{1}", "main@{yesterday}", ":/fix", "main:base"] {
        assert_eq!(repo.folder.run(&["scan", "--since-commit", refused]).code(), 2, "{refused}");
    }
}
