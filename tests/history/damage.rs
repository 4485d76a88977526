//! Damaged and oversized objects are reported with their reason, and everything else is read.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use stanch::recognize::Recognizer;
use stanch::scan::TextScanner;
use stanch::scan::engine::Texts;
use stanch::scan::git::{Closed, Gap, Options, scan_repository};

use crate::repo::{Repo, lines, scan, token};

fn packed() -> (Repo, PathBuf) {
    let repo = Repo::new();
    for commit in 0..12 {
        repo.write("a", format!("{}{}\n{}", lines(1, 40 + commit), token(commit), lines(2, 40)));
        repo.write("b", format!("{}\n{}", token(50 + commit), lines(commit, 10)));
        repo.commit("more");
    }
    repo.pack();
    let pack = fs::read_dir(repo.path.join(".git/objects/pack"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "pack"))
        .unwrap();
    for extension in ["pack", "idx"] {
        let path = pack.with_extension(extension);
        let mut permissions = fs::metadata(&path).unwrap().permissions();
        #[expect(clippy::permissions_set_readonly_false, reason = "the file is the test's own")]
        permissions.set_readonly(false);
        fs::set_permissions(&path, permissions).unwrap();
    }
    (repo, pack)
}

#[test]
fn a_changed_byte_of_a_pack_costs_what_depends_on_it_and_is_said() {
    let (repo, pack) = packed();
    let good = fs::read(&pack).unwrap();
    let all = repo.scan_all().places();
    assert_eq!(all.len(), 24);
    let mut hurt = 0;
    for at in (12..good.len() - 20).step_by(good.len() / 97) {
        let mut bad = good.clone();
        bad[at] ^= 0x55;
        fs::write(&pack, &bad).unwrap();
        let scanned = repo.scan_all();
        let places = scanned.places();
        if places != all {
            hurt += 1;
            assert!(!scanned.coverage.is_complete(), "byte {at}");
        }
        assert!(scanned.coverage.blobs.objects > 0 || !scanned.coverage.is_complete());
    }
    assert!(hurt > 5, "{hurt}");
}

#[test]
fn a_changed_byte_of_an_index_is_never_silent_loss() {
    let (repo, pack) = packed();
    let index = pack.with_extension("idx");
    let good = fs::read(&index).unwrap();
    let count = repo.scan_all().findings.len();
    for at in (0..good.len() - 40).step_by(41) {
        let mut bad = good.clone();
        bad[at] ^= 0x15;
        fs::write(&index, &bad).unwrap();
        let scanned = repo.scan_all();
        assert!(scanned.findings.len() == count || !scanned.coverage.is_complete(), "byte {at}");
    }
}

#[test]
fn a_pack_cut_short_or_without_its_index_is_said_to_be_unread() {
    let (repo, pack) = packed();
    let good = fs::read(&pack).unwrap();
    for len in [0, 8, 12, 40, good.len() / 2, good.len() - 1] {
        fs::write(&pack, &good[..len]).unwrap();
        assert!(!repo.scan_all().coverage.is_complete(), "{len} bytes");
    }
    fs::write(&pack, &good).unwrap();
    fs::remove_file(pack.with_extension("idx")).unwrap();
    assert_eq!(repo.scan_all().gaps(), [(Gap::Pack, 1)]);
}

#[test]
fn a_damaged_object_is_read_from_where_it_is_stored_a_second_time() {
    let (repo, pack) = packed();
    let all = repo.scan_all().places();
    let good = fs::read(&pack).unwrap();
    // Every object once more, loose.
    fs::rename(&pack, repo.beside("aside")).unwrap();
    repo.git_with(&repo.path, &["unpack-objects", "-q"], &good);
    let mut bad = good.clone();
    for at in (200..good.len() - 40).step_by(300) {
        bad[at] ^= 0xff;
    }
    fs::write(&pack, bad).unwrap();
    let scanned = repo.scan_all();
    assert_eq!(scanned.places(), all);
    assert!(scanned.coverage.is_complete(), "{:?}", scanned.coverage);
}

#[test]
fn an_object_over_the_limit_is_named_and_the_rest_is_read() {
    let repo = Repo::new();
    repo.write("small", token(1));
    repo.write("large", format!("{}{}", lines(1, 4000), token(2)));
    repo.commit("both");
    let options = Options { max_object_bytes: 50_000, ..Options::default() };
    for _ in 0..2 {
        let scanned = scan(&repo.path, &options);
        assert_eq!(scanned.paths(), ["small"]);
        assert_eq!(scanned.gaps(), [(Gap::TooLarge, 1)]);
        repo.pack();
    }
}

#[test]
fn a_loose_object_that_is_damaged_is_named() {
    let repo = Repo::new();
    repo.write("a", token(1));
    repo.write("b", token(2));
    repo.commit("both");
    let blob = repo.git(&["rev-parse", "HEAD:a"]);
    let file = repo.path.join(".git/objects").join(&blob[..2]).join(&blob[2..]);
    fs::remove_file(&file).unwrap();
    fs::write(&file, "not zlib").unwrap();
    let scanned = repo.scan();
    assert_eq!((scanned.paths(), scanned.gaps()), (vec!["b".to_owned()], vec![(Gap::Damaged, 1)]));
}

#[test]
fn a_scan_that_is_stopped_says_so() {
    let (repo, _) = packed();
    let scanner = TextScanner::new(Recognizer::builtin().into(), 3);
    let stop = AtomicBool::new(true);
    let options = Options::default();
    let coverage = scan_repository(&repo.path, &Texts::new(&scanner), &Closed, &options, &stop).unwrap().coverage;
    assert!(coverage.gaps.count(Gap::Stopped) > 30, "{coverage:?}");
}
