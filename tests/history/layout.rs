//! Repositories of every layout are read; links and configurations lead nowhere.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use stanch::scan::git::{Error, Gap, Options};

use crate::repo::{Repo, lines, scan, token, try_scan};

fn one_token(options: &[&str]) -> Repo {
    let repo = Repo::init(options);
    repo.write("a/b.txt", format!("{}key {}\n", lines(1, 50), token(1)));
    repo.commit("first");
    repo
}

#[test]
fn a_repository_named_by_sha_256_is_read() {
    let repo = one_token(&["--object-format=sha256"]);
    repo.write("a/b.txt", format!("{}more\nkey {}\n", lines(1, 50), token(1)));
    repo.commit("second");
    for _ in 0..2 {
        let scanned = repo.scan();
        assert_eq!(scanned.paths(), ["a/b.txt", "a/b.txt"]);
        assert_eq!(scanned.findings[0].object.to_string().len(), 64);
        assert!(scanned.coverage.is_complete(), "{:?}", scanned.coverage);
        repo.pack();
    }
}

#[test]
fn a_bare_repository_is_read() {
    let repo = one_token(&[]);
    repo.git_in(&repo.beside(""), &["clone", "-q", "--bare", "repo", "bare.git"]);
    assert_eq!(scan(&repo.beside("bare.git"), &Options::default()).paths(), ["a/b.txt"]);
}

#[test]
fn a_worktree_is_the_repository_it_belongs_to() {
    let repo = one_token(&[]);
    repo.git(&["worktree", "add", "-q", "--detach", "../tree"]);
    let tree = repo.beside("tree");
    fs::write(tree.join("c"), token(2)).unwrap();
    repo.git_in(&tree, &["add", "c"]);
    repo.git_in(&tree, &["commit", "-q", "-m", "on no branch"]);
    for path in [&tree, &repo.path] {
        let mut paths = scan(path, &Options::default()).paths();
        paths.sort();
        assert_eq!(paths, ["a/b.txt", "c"]);
    }
}

#[test]
fn objects_of_alternates_are_read_and_a_circle_of_them_ends() {
    let repo = one_token(&[]);
    let home = repo.beside("");
    repo.git_in(&home, &["clone", "-q", "--shared", "repo", "second"]);
    repo.git_in(&home, &["clone", "-q", "--shared", "second", "third"]);
    let alternates = home.join("repo/.git/objects/info/alternates");
    fs::write(&alternates, format!("# a comment\n{}\n", home.join("third/.git/objects").display())).unwrap();
    let scanned = scan(&home.join("third"), &Options::default());
    assert_eq!(scanned.paths(), ["a/b.txt"]);
    assert!(scanned.coverage.is_complete(), "{:?}", scanned.coverage);
    fs::write(&alternates, "/nowhere/objects\n").unwrap();
    assert_eq!(scan(&home.join("third"), &Options::default()).gaps(), [(Gap::Alternate, 1)]);
}

#[test]
fn an_index_of_version_one_and_other_files_beside_packs_are_no_obstacle() {
    let repo = one_token(&[]);
    repo.git(&["-c", "pack.indexVersion=1", "repack", "-q", "-a", "-d", "-f"]);
    fs::write(repo.path.join(".git/objects/pack/tmp_pack_x"), "no pack").unwrap();
    let scanned = repo.scan();
    assert_eq!(scanned.paths(), ["a/b.txt"]);
    assert!(scanned.coverage.is_complete(), "{:?}", scanned.coverage);
}

#[test]
fn a_shallow_clone_says_that_it_is_one() {
    let repo = one_token(&[]);
    repo.write("c", token(3));
    repo.commit("second");
    let source = format!("file://{}", repo.path.display());
    repo.git_in(&repo.beside(""), &["clone", "-q", "--depth=1", &source, "shallow"]);
    let scanned = scan(&repo.beside("shallow"), &Options::default());
    assert_eq!(scanned.findings.len(), 2);
    assert_eq!(scanned.gaps(), [(Gap::Shallow, 1)]);
}

#[test]
fn a_partial_clone_names_what_it_lacks_and_nothing_is_fetched() {
    let repo = one_token(&[]);
    repo.git(&["config", "uploadpack.allowFilter", "true"]);
    let source = format!("file://{}", repo.path.display());
    let home = repo.beside("");
    repo.git_in(&home, &["clone", "-q", "--no-checkout", "--filter=blob:none", &source, "partial"]);
    let scanned = scan(&home.join("partial"), &Options::default());
    assert_eq!(scanned.gaps(), [(Gap::Promised, 1)]);
    assert_eq!(scanned.coverage.blobs.objects, 0);
}

#[test]
fn submodules_and_lfs_pointers_are_named() {
    let repo = one_token(&[]);
    repo.git_in(&repo.beside(""), &["clone", "-q", "repo", "other"]);
    repo.git(&["submodule", "--quiet", "add", "../other", "vendored"]);
    repo.write(
        "big.bin",
        format!("version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 9\n", "0".repeat(64)),
    );
    repo.commit("second");
    for _ in 0..2 {
        let scanned = repo.scan();
        assert_eq!(scanned.gaps(), [(Gap::LfsPointer, 1)]);
        assert_eq!(scanned.coverage.submodules.values().collect::<Vec<_>>(), ["vendored"]);
        repo.pack();
    }
}

#[test]
fn no_link_leads_out_of_the_repository() {
    let repo = one_token(&[]);
    let home = repo.beside("");
    fs::create_dir(home.join("bait")).unwrap();
    symlink(repo.path.join(".git"), home.join("bait/.git")).unwrap();
    assert!(matches!(try_scan(&home.join("bait"), &Options::default()), Err(Error::Link)));

    let copy = home.join("copy/.git");
    fs::create_dir_all(copy.join("objects")).unwrap();
    fs::write(copy.join("HEAD"), "ref: refs/heads/main\n").unwrap();
    repo.pack();
    symlink(repo.path.join(".git/objects/pack"), copy.join("objects/pack")).unwrap();
    let scanned = scan(&home.join("copy"), &Options::default());
    assert_eq!((scanned.findings.len(), scanned.gaps()), (0, vec![(Gap::Link, 1)]));

    fs::remove_file(copy.join("objects/pack")).unwrap();
    fs::create_dir(copy.join("objects/pack")).unwrap();
    for file in fs::read_dir(repo.path.join(".git/objects/pack")).unwrap() {
        let file = file.unwrap();
        symlink(file.path(), copy.join("objects/pack").join(file.file_name())).unwrap();
    }
    let scanned = scan(&home.join("copy"), &Options::default());
    assert_eq!((scanned.findings.len(), scanned.gaps()), (0, vec![(Gap::Link, 1)]));
}

#[test]
fn a_pipe_in_place_of_a_file_is_not_waited_for() {
    let repo = one_token(&[]);
    for place in ["refs/heads/pipe", "objects/ab", "packed-refs", "shallow", "objects/info/alternates"] {
        let path = repo.path.join(".git").join(place);
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    }
    let scanned = repo.scan();
    assert_eq!(scanned.paths(), ["a/b.txt"]);
    assert!(!scanned.coverage.is_complete());
}

#[test]
fn nothing_in_the_repository_makes_anything_run() {
    let repo = one_token(&[]);
    let marker = repo.beside("marker");
    let touch = format!("touch {}", marker.display());
    for name in
        ["core.fsmonitor", "core.sshCommand", "core.pager", "diff.external", "filter.x.smudge", "filter.x.process"]
    {
        fs::write(
            repo.path.join(".git/config"),
            format!(
                "{}\n[{}]\n\t{} = {touch}\n",
                fs::read_to_string(repo.path.join(".git/config")).unwrap(),
                name.split('.').next().unwrap(),
                name.rsplit('.').next().unwrap()
            ),
        )
        .unwrap();
    }
    fs::write(repo.path.join(".git/info/attributes"), "* filter=x diff=x\n").unwrap();
    assert_eq!(repo.scan().findings.len(), 1);
    assert!(!marker.exists());
}

#[test]
fn what_is_no_repository_is_said_to_be_none() {
    let repo = Repo::new();
    fs::create_dir(repo.beside("plain")).unwrap();
    for path in ["plain", "nowhere", "repo/.git/refs"] {
        assert!(matches!(try_scan(&repo.beside(path), &Options::default()), Err(Error::NotARepository)));
    }
    assert_eq!(repo.scan().findings.len(), 0);
    assert!(repo.scan().coverage.is_complete());
}
