//! Where a finding was seen first, and whether anything leads to it.

use stanch::scan::git::ObjectKind;

use crate::repo::{Repo, lines, token};

#[test]
fn a_finding_names_the_first_commit_that_has_it_and_the_path_there() {
    let repo = Repo::new();
    repo.write("docs/readme", lines(1, 30));
    repo.commit("nothing yet");
    repo.write("src/deep/er/config", format!("{}{}\n", lines(2, 30), token(1)));
    let first = repo.commit("the leak");
    repo.git(&["mv", "src/deep/er/config", "moved"]);
    repo.commit("moved");
    repo.git(&["rm", "-q", "moved"]);
    repo.commit("gone");
    for _ in 0..2 {
        let scanned = repo.scan();
        assert_eq!(scanned.paths(), ["src/deep/er/config"]);
        let seen = scanned.findings[0].provenance.clone().unwrap();
        assert_eq!(seen.commit.unwrap().to_string(), first);
        assert_eq!(seen.committed_at, 1_700_003_600 + 3600);
        let author = seen.author.unwrap();
        assert_eq!((author.name.as_str(), author.email.as_str()), ("An Author", "author@example.com"));
        repo.pack();
    }
}

#[test]
fn a_merge_that_brings_its_own_change_is_seen() {
    let repo = Repo::new();
    repo.write("a", "1");
    repo.commit("base");
    repo.git(&["checkout", "-q", "-b", "side"]);
    repo.write("b", "2");
    repo.commit("side");
    repo.git(&["checkout", "-q", "main"]);
    repo.write("c", "3");
    repo.commit("main");
    repo.git(&["merge", "-q", "--no-commit", "--no-ff", "side"]);
    repo.write("evil", token(9));
    let merge = repo.commit("merge");
    let scanned = repo.scan();
    assert_eq!(scanned.paths(), ["evil"]);
    assert_eq!(scanned.findings[0].provenance.as_ref().unwrap().commit.unwrap().to_string(), merge);
}

#[test]
fn messages_of_commits_tags_and_notes_are_searched() {
    let repo = Repo::new();
    let commit = repo.commit(&format!("oops {}", token(1)));
    repo.git(&["tag", "-a", "v1", "-m", &format!("oops {}", token(2))]);
    repo.git(&["tag", "-a", "v2", "v1", "-m", &format!("a tag of a tag {}", token(3))]);
    repo.git(&["notes", "add", "-m", &format!("oops {}", token(4))]);
    let blob = repo.git_with(&repo.path, &["hash-object", "-w", "--stdin"], token(5).as_bytes());
    repo.git(&["tag", "of-a-blob", String::from_utf8(blob).unwrap().trim()]);
    for _ in 0..2 {
        let scanned = repo.scan();
        let mut kinds: Vec<_> = scanned.findings.iter().map(|finding| finding.kind).collect();
        kinds.sort_unstable();
        assert_eq!(kinds, [ObjectKind::Blob, ObjectKind::Blob, ObjectKind::Commit, ObjectKind::Tag, ObjectKind::Tag]);
        let of_commit = scanned.findings.iter().find(|finding| finding.kind == ObjectKind::Commit).unwrap();
        assert_eq!(of_commit.provenance.as_ref().unwrap().commit.unwrap().to_string(), commit);
        repo.pack();
    }
}

#[test]
fn what_no_reference_leads_to_is_counted_and_reported_on_demand() {
    let repo = Repo::new();
    repo.write("a", "kept");
    repo.commit("kept");
    repo.write("b", token(1));
    repo.commit("dropped");
    repo.git(&["reset", "-q", "--hard", "HEAD~1"]);
    std::fs::remove_file(repo.path.join(".git/ORIG_HEAD")).unwrap();
    let scanned = repo.scan();
    assert_eq!((scanned.findings.len(), scanned.coverage.unreachable_hits), (0, 1));
    assert!(scanned.coverage.is_complete());
    let all = repo.scan_all();
    assert_eq!((all.findings.len(), all.coverage.unreachable_hits), (1, 1));
    assert_eq!(all.findings[0].provenance, None);
}

#[test]
fn older_stashes_are_history_too() {
    let repo = Repo::new();
    repo.write("a", "kept");
    repo.commit("kept");
    for seed in [1, 2] {
        repo.write("a", token(seed));
        repo.git(&["stash", "-q"]);
    }
    assert_eq!(repo.scan().findings.len(), 2);
}

#[test]
fn an_object_that_is_lost_is_missed_only_if_something_leads_to_it() {
    let repo = Repo::new();
    repo.write("a", "kept");
    repo.commit("kept");
    repo.write("b", "lost soon");
    repo.commit("next");
    let blob = repo.git(&["rev-parse", "HEAD:b"]);
    let file = repo.path.join(".git/objects").join(&blob[..2]).join(&blob[2..]);
    std::fs::remove_file(file).unwrap();
    let scanned = repo.scan();
    let examples: Vec<_> = scanned.coverage.gaps.iter().flat_map(|(_, gap)| gap.examples.clone()).collect();
    assert_eq!((scanned.gaps(), examples), (vec![(stanch::scan::git::Gap::Missing, 1)], vec![blob]));
    repo.git(&["update-ref", "refs/heads/main", "HEAD~1"]);
    assert!(repo.scan().coverage.is_complete());
}
