//! What git can make of a repository beside the usual: all of it is read, or told not to be.

use std::fmt::Write as _;
use std::fs;

use stanch::scan::git::{Gap, Options};

use crate::repo::{Repo, lines, scan, token};

/// A stream for `git fast-import`, with one commit for each file that is written.
struct Stream(String, u64);

impl Stream {
    fn new() -> Self {
        Self(String::new(), 0)
    }

    fn commit(&mut self, files: &[(&str, &str)]) {
        self.1 += 1;
        let seconds = 1_700_000_000 + self.1;
        let _ = write!(self.0, "commit refs/heads/main\ncommitter A <a@example.com> {seconds} +0000\ndata 2\nc\n");
        for (path, text) in files {
            let _ = write!(self.0, "M 100644 inline {path}\ndata {}\n{text}\n", text.len());
        }
    }

    fn into(self, repo: &Repo) {
        repo.git_with(&repo.path, &["fast-import", "--quiet"], self.0.as_bytes());
    }
}

#[test]
fn a_history_of_a_hundred_thousand_commits_in_a_row_is_read() {
    let repo = Repo::new();
    let mut stream = Stream::new();
    let (early, late) = (token(1), token(2));
    for number in 0..100_000_u32 {
        let text = match number {
            3 => &early,
            99_998 => &late,
            _ => &format!("line {number}"),
        };
        stream.commit(&[("a/b/file", text)]);
    }
    stream.into(&repo);
    // Anything that is worse than linear does not end here.
    let scanned = repo.scan();
    assert_eq!(scanned.coverage.commits.objects, 100_000);
    assert!(scanned.coverage.is_complete(), "{:?}", scanned.coverage);
    assert_eq!(scanned.paths(), ["a/b/file", "a/b/file"]);
    let at: Vec<_> = scanned.findings.iter().map(|one| one.provenance.as_ref().unwrap().committed_at).collect();
    assert_eq!(at, [1_700_000_004, 1_700_099_999]);
}

#[test]
fn a_folder_of_a_hundred_thousand_files_is_read_in_each_of_its_versions() {
    let repo = Repo::new();
    let made = |args: &[&str], input: &[u8]| {
        String::from_utf8_lossy(&repo.git_with(&repo.path, args, input)).trim().to_owned()
    };
    let blob = |text: &str| made(&["hash-object", "-w", "--stdin"], text.as_bytes());
    let mut ids = vec![blob("nothing"); 100_000];
    let mut parent: Option<String> = None;
    let mut wanted = Vec::new();
    for version in 0..6 {
        let changed = version * 16_501;
        ids[changed] = blob(&token(version as u64));
        wanted.push(format!("flat/file-{changed:06}"));
        let rows = ids.iter().enumerate().fold(String::new(), |mut rows, (at, id)| {
            let _ = writeln!(rows, "100644 blob {id}\tfile-{at:06}");
            rows
        });
        let flat = made(&["mktree"], rows.as_bytes());
        let root = made(&["mktree"], format!("040000 tree {flat}\tflat\n").as_bytes());
        let mut args = vec!["commit-tree", root.as_str(), "-m", "more"];
        args.extend(parent.iter().flat_map(|parent| ["-p", parent.as_str()]));
        parent = Some(made(&args, b""));
    }
    repo.git(&["update-ref", "refs/heads/main", &parent.unwrap()]);
    // And one far below.
    let mut stream = Stream(String::new(), 100_000);
    stream.commit(&[(&("d/".repeat(800) + "deep"), &token(9))]);
    let deep = stream.0.replacen("refs/heads/main", "refs/heads/deep", 1);
    repo.git_with(&repo.path, &["fast-import", "--quiet"], deep.as_bytes());
    wanted.push("d/".repeat(800) + "deep");
    wanted.sort();
    for _ in 0..2 {
        let scanned = repo.scan();
        assert!(scanned.coverage.is_complete(), "{:?}", scanned.coverage);
        let mut paths = scanned.paths();
        paths.sort();
        assert_eq!(paths, wanted);
        repo.git(&["repack", "-q", "-a", "-d", "-f", "--window=2"]);
    }
}

#[test]
fn grafts_and_replacements_hide_nothing() {
    let repo = Repo::new();
    repo.write("a", token(1));
    let first = repo.commit("a token");
    repo.write("a", "clean");
    let second = repo.commit("taken away");
    repo.write("b", "more");
    repo.commit("more");
    // For git, history now begins behind the token.
    fs::write(repo.path.join(".git/info/grafts"), format!("{second}\n")).unwrap();
    assert!(!repo.git(&["-c", "advice.graftFileDeprecated=false", "rev-list", "HEAD"]).contains(&first));
    let seen = |repo: &Repo| {
        let scanned = repo.scan();
        assert!(scanned.coverage.is_complete(), "{:?}", scanned.coverage);
        assert_eq!(scanned.coverage.unreachable_hits, 0);
        let commits = scanned.findings.iter().map(|one| one.provenance.as_ref().unwrap().commit.unwrap().to_string());
        (scanned.paths(), commits.collect::<Vec<_>>())
    };
    assert_eq!(seen(&repo), (vec!["a".to_owned()], vec![first.clone()]));
    fs::remove_file(repo.path.join(".git/info/grafts")).unwrap();
    // The blob is another one for git, and so is the commit.
    let blob = repo.git(&["rev-parse", &format!("{first}:a")]);
    let harmless = repo.git_with(&repo.path, &["hash-object", "-w", "--stdin"], b"harmless");
    repo.git(&["replace", &blob, String::from_utf8_lossy(&harmless).trim()]);
    assert_eq!(repo.git(&["show", &format!("{first}:a")]), "harmless");
    repo.git(&["replace", "--graft", &second]);
    for _ in 0..2 {
        assert_eq!(seen(&repo), (vec!["a".to_owned()], vec![first.clone()]));
        repo.pack();
    }
    // And what something is replaced by is read as well.
    let token = repo.git_with(&repo.path, &["hash-object", "-w", "--stdin"], token(2).as_bytes());
    repo.git(&["replace", "-f", &blob, String::from_utf8_lossy(&token).trim()]);
    assert_eq!(repo.scan().findings.len(), 2);
}

#[test]
fn packs_under_one_index_geometric_and_cruft_packs_are_read_as_packs() {
    let repo = Repo::new();
    for seed in 0..6 {
        repo.write("a", format!("{}{}", lines(seed, 30), token(seed)));
        repo.commit("more");
        repo.git(&["repack", "-q", "-d"]);
    }
    repo.write("b", token(9));
    repo.commit("dropped");
    repo.git(&["reset", "-q", "--hard", "HEAD~1"]);
    fs::remove_file(repo.path.join(".git/ORIG_HEAD")).unwrap();
    repo.git(&["multi-pack-index", "write", "--bitmap"]);
    let seen = || {
        let scanned = repo.scan();
        assert!(scanned.coverage.is_complete(), "{:?}", scanned.coverage);
        (scanned.findings.len(), scanned.coverage.unreachable_hits)
    };
    assert_eq!(seen(), (6, 1));
    repo.git(&["repack", "-q", "-d", "--geometric=2", "--write-midx"]);
    assert_eq!(seen(), (6, 1));
    repo.git(&["reflog", "expire", "--expire=now", "--all"]);
    repo.git(&["repack", "-q", "-d", "--cruft", "--cruft-expiration=never"]);
    let ends = |ending: &str| {
        fs::read_dir(repo.path.join(".git/objects/pack"))
            .unwrap()
            .any(|entry| entry.unwrap().path().to_string_lossy().ends_with(ending))
    };
    assert!(ends(".mtimes"));
    assert_eq!(seen(), (6, 1));
    // Files that only make git faster are not needed, and not believed.
    repo.git(&["commit-graph", "write", "--reachable"]);
    fs::remove_file(repo.path.join(".git/objects/info/commit-graph")).unwrap();
    fs::write(repo.path.join(".git/objects/info/commit-graph"), "nonsense").unwrap();
    fs::write(repo.path.join(".git/objects/pack/multi-pack-index"), "nonsense").unwrap();
    assert_eq!(seen(), (6, 1));
}

#[test]
fn an_object_that_only_a_lost_pack_had_is_missed() {
    let repo = Repo::new();
    repo.write("a", token(1));
    repo.commit("first");
    repo.git(&["repack", "-q", "-d"]);
    repo.write("b", token(2));
    repo.commit("second");
    let packs = repo.path.join(".git/objects/pack");
    for entry in fs::read_dir(packs).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let scanned = repo.scan();
    assert_eq!(scanned.paths(), ["b"]);
    // The first commit, and its file.
    assert_eq!(scanned.gaps(), [(Gap::Missing, 2)]);
}

#[test]
fn a_work_tree_apart_from_its_repository_and_one_inside_of_another_are_read() {
    let repo = Repo::new();
    repo.write("a", token(1));
    repo.commit("first");
    let home = repo.beside("");
    repo.git_in(&home, &["clone", "-q", "--separate-git-dir", "apart.git", "repo", "apart"]);
    assert_eq!(scan(&home.join("apart"), &Options::default()).paths(), ["a"]);
    assert_eq!(scan(&home.join("apart.git"), &Options::default()).paths(), ["a"]);
    repo.git(&["submodule", "--quiet", "add", "../apart", "inner"]);
    repo.commit("a submodule");
    // Its repository is in the outer one's folder.
    assert_eq!(scan(&repo.path.join("inner"), &Options::default()).paths(), ["a"]);
    assert_eq!(scan(&repo.path.join(".git/modules/inner"), &Options::default()).paths(), ["a"]);
}

#[test]
fn a_clone_without_trees_names_what_it_lacks() {
    let repo = Repo::new();
    repo.write("a/b", token(1));
    repo.commit("first");
    repo.git(&["config", "uploadpack.allowFilter", "true"]);
    let source = format!("file://{}", repo.path.display());
    repo.git_in(&repo.beside(""), &["clone", "-q", "--no-checkout", "--filter=tree:0", &source, "partial"]);
    let scanned = scan(&repo.beside("partial"), &Options::default());
    assert_eq!(scanned.gaps(), [(Gap::Promised, 1)]);
    assert_eq!((scanned.coverage.trees.objects, scanned.coverage.commits.objects), (0, 1));
}

#[test]
fn a_sparse_checkout_has_all_of_its_history() {
    let repo = Repo::new();
    repo.write("kept/a", "nothing");
    repo.write("left/b", token(1));
    repo.commit("both");
    repo.git(&["sparse-checkout", "set", "--sparse-index", "kept"]);
    assert!(!repo.path.join("left/b").exists());
    assert_eq!(repo.scan().paths(), ["left/b"]);
}

#[test]
fn names_that_are_no_text_and_objects_of_no_use_stop_nothing() {
    let repo = Repo::new();
    let mut stream = Stream::new();
    stream.commit(&[("a", &token(1)), ("\"\\377\\376\\001 x\"", &token(2)), ("empty", "")]);
    stream.into(&repo);
    let scanned = repo.scan();
    assert!(scanned.coverage.is_complete(), "{:?}", scanned.coverage);
    assert_eq!(scanned.findings.len(), 2);
    // A commit without an author, as a bad tool writes it.
    let tree = repo.git(&["rev-parse", "HEAD^{tree}"]);
    let text = format!("tree {tree}\ncommitter x <y> nonsense\n\n{}\n", token(3));
    let bad =
        repo.git_with(&repo.path, &["hash-object", "-w", "-t", "commit", "--literally", "--stdin"], text.as_bytes());
    repo.git(&["update-ref", "refs/heads/bad", String::from_utf8_lossy(&bad).trim()]);
    assert_eq!(repo.scan().findings.len(), 3);
}
