//! `--staged`: what would be committed now, and nothing else.

use std::fs;

use super::repo::Repo;
use super::support::{Folder, found, token};

fn npm(seed: u64) -> String {
    token("npm-access-token", seed)
}

fn places(repo: &Repo, args: &[&str]) -> Vec<String> {
    let report = repo.folder.scan(&[&["--staged"], args].concat());
    found(&report).into_iter().map(|(_, place)| place).collect()
}

#[test]
fn only_what_is_staged_is_told_at_its_staged_line() {
    let repo = Repo::new();
    repo.commit("src/old", Some("x"));
    repo.write("src/new", Some(&format!("one\ntwo {}\n", npm(1))));
    repo.write("untracked", Some(&npm(2)));
    repo.git(&["add", "src/new"]);
    // What lies in the work tree by now is something else.
    repo.write("src/new", Some("nothing"));
    let ran = repo.folder.run(&["scan", "--staged", "--json"]);
    assert_eq!(ran.code(), 1, "{}", ran.err());
    let report = ran.json();
    assert_eq!(found(&report), [("npm-access-token".into(), "src/new".into())]);
    let finding = &report["findings"][0];
    assert_eq!((&finding["line"], &finding["column"], &finding["source"]), (&2.into(), &5.into(), &"staged".into()));
    assert_eq!(report["coverage"]["files"], 1);
    repo.git(&["reset", "-q"]);
    assert_eq!(repo.folder.run(&["scan", "--staged"]).code(), 0);
}

#[test]
fn before_the_first_commit_everything_staged_is_new() {
    let repo = Repo::new();
    assert_eq!(repo.folder.run(&["scan", "--staged"]).code(), 0);
    repo.write("a/b/c", Some(&npm(1)));
    repo.git(&["add", "-A"]);
    assert_eq!(places(&repo, &[]), ["a/b/c"]);
}

#[test]
fn a_token_that_head_has_is_counted_and_not_told() {
    let repo = Repo::new();
    repo.commit("a", Some(&npm(1)));
    repo.write("a", Some(&format!("# more\n{}\n", npm(1))));
    repo.git(&["add", "-A"]);
    let ran = repo.folder.run(&["scan", "--staged"]);
    assert_eq!(ran.code(), 0, "{}", ran.out());
    assert!(ran.out().contains("Known and not told: 1 there before"), "{}", ran.out());
    // A second token in the same file is new, and so is the first one in another file.
    repo.write("a", Some(&format!("{}\n{}\n", npm(1), npm(2))));
    repo.write("b", Some(&npm(1)));
    repo.git(&["add", "-A"]);
    let report = repo.folder.scan(&["--staged"]);
    assert_eq!(found(&report).len(), 2, "{report}");
    assert_eq!((&report["findings"][0]["path"], &report["findings"][0]["line"]), (&"a".into(), &2.into()));
    // A file that moves takes its tokens along.
    repo.git(&["reset", "-q", "--hard"]);
    fs::create_dir(repo.path("deep")).expect("the folder is ours");
    repo.git(&["mv", "a", "deep/b"]);
    repo.write("deep/b", Some(&format!("moved\n{}", npm(1))));
    repo.git(&["add", "-A"]);
    assert!(places(&repo, &[]).is_empty());
}

#[test]
fn a_comment_that_is_taken_away_brings_the_token_back() {
    let repo = Repo::new();
    repo.commit("a", Some(&format!("{} # stanch:ignore\n", npm(1))));
    repo.write("a", Some(&format!("{}\n", npm(1))));
    repo.git(&["add", "-A"]);
    assert_eq!(places(&repo, &[]), ["a"]);
}

#[test]
fn every_form_of_the_index_is_read() {
    for format in ["sha1", "sha256"] {
        for version in ["2", "3", "4"] {
            let repo = Repo::with(&["--object-format", format]);
            repo.git(&["config", "index.version", version]);
            for name in ["lib/a", "lib/b", "src/deep/er/c", "z"] {
                repo.write(name, Some(name));
            }
            repo.save("First");
            repo.git(&["update-index", "--index-version", version]);
            // An extended entry, for which version 2 has no room.
            repo.write("later", Some("later"));
            repo.git(&["add", "-N", "later"]);
            repo.write("src/deep/er/c", Some(&npm(1)));
            repo.write("src/deep/first", Some(&npm(2)));
            repo.git(&["add", "src"]);
            assert_eq!(places(&repo, &[]), ["src/deep/er/c", "src/deep/first"], "{format}, version {version}");
        }
    }
}

#[test]
fn a_split_index_is_put_together() {
    let repo = Repo::new();
    for number in 0..200 {
        repo.write(&format!("d{}/f{number}", number % 7), Some(&number.to_string()));
    }
    repo.save("First");
    repo.git(&["update-index", "--split-index"]);
    repo.write("d3/f3", Some(&npm(1)));
    repo.write("d3/new", Some(&npm(2)));
    repo.write("d4/f4", None);
    repo.git(&["add", "-A"]);
    assert!(
        fs::read_dir(repo.path(".git"))
            .expect("it is there")
            .flatten()
            .any(|entry| { entry.file_name().to_string_lossy().starts_with("sharedindex.") })
    );
    assert_eq!(places(&repo, &[]), ["d3/f3", "d3/new"]);
    let report = repo.folder.scan(&["--staged"]);
    assert_eq!(report["coverage"]["files"], 2, "{report}");
}

#[test]
fn a_sparse_index_is_read() {
    let repo = Repo::new();
    for name in ["in/a", "out/deep/b", "out/c", "top"] {
        repo.write(name, Some(name));
    }
    repo.save("First");
    repo.git(&["sparse-checkout", "init", "--cone", "--sparse-index"]);
    repo.git(&["sparse-checkout", "set", "in"]);
    assert!(repo.git(&["ls-files", "--sparse", "--stage"]).contains("040000"));
    repo.write("in/a", Some(&npm(1)));
    repo.git(&["add", "in/a"]);
    let report = repo.folder.scan(&["--staged"]);
    assert_eq!(found(&report), [("npm-access-token".into(), "in/a".into())]);
    assert_eq!((&report["coverage"]["files"], &report["complete"]), (&1.into(), &true.into()));
}

#[test]
fn the_repository_is_found_from_a_folder_of_it_and_parts_can_be_named() {
    let repo = Repo::new();
    repo.write("src/deep/a", Some(&npm(1)));
    repo.write("lib/b", Some(&npm(2)));
    repo.git(&["add", "-A"]);
    let scan = |folder: &str, args: &[&str]| {
        let ran = std::process::Command::new(env!("CARGO_BIN_EXE_stanch"))
            .args(["scan", "--staged", "--json"])
            .args(args)
            .current_dir(repo.path(folder))
            .output()
            .expect("the program was built");
        let report = serde_json::from_slice(&ran.stdout).expect("it is JSON");
        found(&report).into_iter().map(|(_, place)| place).collect::<Vec<_>>()
    };
    assert_eq!(scan("src/deep", &[]), ["lib/b", "src/deep/a"]);
    assert_eq!(scan("src", &["deep"]), ["src/deep/a"]);
    assert_eq!(scan("src", &["deep/a", "../lib/b"]), ["lib/b", "src/deep/a"]);
    assert_eq!(scan("lib", &["--exclude", "src"]), ["lib/b"]);
    let outside = Folder::new();
    let ran = outside.run(&["scan", "--staged"]);
    assert_eq!(ran.code(), 2);
    assert!(ran.err().contains("in no git repository"), "{}", ran.err());
}

#[test]
fn a_damaged_index_is_refused_and_a_missing_object_is_a_gap() {
    let repo = Repo::new();
    repo.write("a", Some("one of a kind"));
    repo.git(&["add", "-A"]);
    let id = repo.git(&["rev-parse", ":a"]);
    fs::remove_file(repo.path(".git/objects").join(&id[..2]).join(&id[2..])).expect("it is loose");
    let ran = repo.folder.run(&["scan", "--staged", "--json"]);
    assert_eq!(ran.code(), 3, "{}", ran.out());
    assert_eq!(ran.json()["coverage"]["not_read"][0]["reason"], "missing object");
    fs::write(repo.path(".git/index"), b"DIRC\0\0\0\x02\0\0\0\x09").expect("the folder is ours");
    let ran = repo.folder.run(&["scan", "--staged"]);
    assert_eq!(ran.code(), 2);
    assert!(ran.err().contains("the index is damaged"), "{}", ran.err());
}

#[test]
fn the_content_of_a_staged_lfs_file_is_read_where_it_lies() {
    let repo = Repo::new();
    let content = npm(1);
    let oid = super::support::sha256(content.as_bytes());
    let pointer = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 99\n");
    repo.write("model.bin", Some(&pointer));
    repo.git(&["add", "-A"]);
    assert_eq!(repo.folder.run(&["scan", "--staged"]).code(), 3);
    assert_eq!(repo.folder.run(&["scan", "--staged", "--lfs", "pointers"]).code(), 0);
    let place = format!(".git/lfs/objects/{}/{}/{oid}", &oid[..2], &oid[2..4]);
    // Something else lies there: it is not what was staged.
    repo.write(&place, Some(&npm(2)));
    assert_eq!(repo.folder.run(&["scan", "--staged"]).code(), 3);
    repo.write(&place, Some(&content));
    assert_eq!(places(&repo, &[]), ["model.bin"]);
}

#[test]
fn a_file_larger_than_may_be_held_is_read_where_it_is_staged_or_committed() {
    let repo = Repo::new();
    repo.commit("a", Some("nothing"));
    // 66 MiB: over the 64 that are held. Zeros are quick to compress.
    let mut large = vec![b'\n'; 66 << 20];
    large.extend(npm(7).as_bytes());
    std::fs::write(repo.path("large.log"), &large).expect("the folder is ours");
    repo.git(&["add", "-A"]);
    assert_eq!(places(&repo, &[]), ["large.log"]);
    let limited = repo.folder.run(&["scan", "--staged", "--json", "--max-file-size", "1000000"]);
    assert_eq!((limited.code(), limited.json()["coverage"]["not_read"][0]["reason"].as_str()), (3, Some("too large")));
    repo.save("Large");
    large.extend(format!("\n{}", npm(8)).bytes());
    std::fs::write(repo.path("large.log"), &large).expect("the folder is ours");
    repo.save("Larger");
    for _ in 0..2 {
        // Of two large versions only what is new is told.
        let report = repo.folder.scan(&["--since-commit", "HEAD~1"]);
        assert_eq!(found(&report).len(), 1, "{report}");
        assert_eq!((&report["complete"], &report["suppressed"]["earlier"]), (&true.into(), &1.into()));
        repo.git(&["-c", "core.bigFileThreshold=1g", "repack", "-q", "-a", "-d", "-f"]);
    }
}

#[test]
fn a_token_in_the_name_of_a_new_file_or_folder_is_told_and_not_shown() {
    let repo = Repo::new();
    repo.commit("a", Some("nothing"));
    let (file, folder) = (npm(3), npm(4));
    repo.write(&format!("{folder}/x/{file}.txt"), Some(&npm(5)));
    repo.write(&format!("{folder}/y"), Some("nothing"));
    repo.git(&["add", "-A"]);
    for args in [&["--staged"][..], &["--since-commit", "HEAD~1"]] {
        let ran = repo.folder.run(&[&["scan", "--json"], args].concat());
        assert!([&file, &folder].iter().all(|token| !ran.out().contains(token.as_str())), "{}", ran.out());
        let report = ran.json();
        let names = report["findings"].as_array().expect("a list").iter().filter(|one| one["spot"] == "name").count();
        assert_eq!((found(&report).len(), names), (3, 2), "{report}");
        repo.save("More");
    }
    // It is not new a second time.
    repo.write(&format!("{folder}/y"), Some("changed"));
    repo.git(&["add", "-A"]);
    assert_eq!(places(&repo, &[]), [""; 0]);
}
