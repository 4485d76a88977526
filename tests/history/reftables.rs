//! References in tables are the references that git sees in them.

use std::fs;
use std::path::Path;

use stanch::scan::git::{Gap, HashKind, Reftable, Target};

use crate::repo::{Repo, scan, token};

fn with_tables(more: &[&str]) -> Repo {
    let repo = Repo::init(&[&["--ref-format=reftable"], more].concat());
    repo.write("a", token(1));
    repo.commit("first");
    repo
}

/// What git says, and what is read, of all references.
fn both(repo: &Repo, hash: HashKind) -> (Vec<String>, Vec<String>) {
    let listed = repo.git(&["for-each-ref", "--format=%(refname) %(objectname) %(symref)"]);
    let mut read: Vec<_> = Reftable::read(&repo.path.join(".git"), hash)
        .unwrap()
        .references
        .into_iter()
        .filter(|(name, _)| name.starts_with("refs/"))
        .map(|(name, target)| match target {
            Target::Id(id) => format!("{name} {id}"),
            Target::Name(other) => format!("{name} {} {other}", repo.git(&["rev-parse", &other])),
        })
        .collect();
    read.sort();
    (listed.lines().map(|line| line.trim_end().to_owned()).collect(), read)
}

#[test]
fn a_table_says_what_git_says() {
    for (hash, options) in [(HashKind::Sha1, &[][..]), (HashKind::Sha256, &["--object-format=sha256"][..])] {
        let repo = with_tables(options);
        repo.git(&["tag", "-a", "v1", "-m", "a tag has two ids"]);
        repo.git(&["symbolic-ref", "refs/heads/other", "refs/heads/main"]);
        let id = repo.git(&["rev-parse", "HEAD"]);
        let names = |verb: &str, step: usize| {
            let line = |n: usize| format!("{verb} refs/heads/team/{}/branch-{n} {id}\n", n % 7);
            (0..3000).step_by(step).map(line).collect::<Vec<_>>().concat()
        };
        repo.git_with(&repo.path, &["update-ref", "--stdin"], names("create", 1).as_bytes());
        let (listed, read) = both(&repo, hash);
        assert_eq!(listed.len(), 3003);
        assert_eq!(read, listed);
        // Some go away, in a newer table and then in one that has all.
        repo.git_with(&repo.path, &["update-ref", "--stdin"], names("delete", 2).as_bytes());
        for _ in 0..2 {
            let (listed, read) = both(&repo, hash);
            assert_eq!(listed.len(), 1503);
            assert_eq!(read, listed);
            repo.git(&["pack-refs", "--all"]);
        }
    }
}

#[test]
fn what_a_table_leads_to_is_told_from_what_nothing_leads_to() {
    let repo = with_tables(&[]);
    repo.write("b", token(2));
    repo.commit("dropped");
    repo.git(&["reset", "-q", "--hard", "HEAD~1"]);
    repo.git(&["update-ref", "-d", "ORIG_HEAD"]);
    for seed in [3, 4] {
        repo.write("a", token(seed));
        repo.git(&["stash", "-q"]);
    }
    repo.git(&["worktree", "add", "-q", "--detach", "../tree"]);
    let tree = repo.beside("tree");
    fs::write(tree.join("c"), token(5)).unwrap();
    repo.git_in(&tree, &["add", "c"]);
    repo.git_in(&tree, &["commit", "-q", "-m", "on no branch"]);
    let paths = |path: &Path| {
        let scanned = scan(path, &stanch::scan::git::Options::default());
        assert!(scanned.coverage.is_complete(), "{:?}", scanned.coverage);
        let mut paths = scanned.paths();
        paths.sort();
        (paths, scanned.coverage.unreachable_hits)
    };
    for _ in 0..2 {
        for path in [&repo.path, &tree] {
            assert_eq!(paths(path), (["a", "a", "a", "c"].map(str::to_owned).to_vec(), 1));
        }
        repo.git(&["pack-refs", "--all"]);
    }
    repo.git(&["stash", "drop", "-q", "stash@{1}"]);
    assert_eq!(paths(&repo.path), (["a", "a", "c"].map(str::to_owned).to_vec(), 2));
}

#[test]
fn a_damaged_table_hides_no_finding_and_is_told() {
    let repo = with_tables(&[]);
    let folder = repo.path.join(".git/reftable");
    let list = fs::read_to_string(folder.join("tables.list")).unwrap();
    let table = folder.join(list.lines().last().unwrap());
    let good = fs::read(&table).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x15;
        let hurt = Reftable::default().add(&bad, HashKind::Sha1).is_err();
        // Bytes that only say where an index is are not needed, nor is what a log says beside the ids.
        if hurt && at % 7 == 0 {
            fs::remove_file(&table).unwrap();
            fs::write(&table, &bad).unwrap();
            let scanned = repo.scan();
            assert_eq!((scanned.findings.len(), scanned.gaps()), (1, vec![(Gap::Reftable, 1)]), "byte {at}");
        }
    }
    for text in ["../../config\n", "nothing-here.ref\n"] {
        fs::write(folder.join("tables.list"), text).unwrap();
        assert_eq!(repo.scan().gaps(), [(Gap::Reftable, 1)]);
    }
}
