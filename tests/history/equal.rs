//! What is found by looking at differences is what is in each object as a whole.

use std::fmt::Write as _;
use std::path::Path;

use stanch::scan::git::{Coverage, Options, Selection};
use stanch::token::encoding::{Alphabet, to_base64};

use crate::repo::{Repo, found_in_whole_objects, lines, scan, token};

/// A history of files that grow, shrink, move blocks around, and have tokens come, stay, move and go.
fn busy_history(repo: &Repo) {
    let mut seed = 7_u64;
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        seed >> 33
    };
    let mut files: Vec<Vec<String>> =
        (0..4).map(|file| lines(file, 120).lines().map(str::to_owned).collect()).collect();
    for commit in 0..40 {
        for (number, file) in files.iter_mut().enumerate() {
            let at = usize::try_from(next()).unwrap() % (file.len() + 1);
            match next() % 14 {
                0 => file.insert(at, format!("token = \"{}\"", token(next() % 5))),
                1 => file.insert(at, format!("url = https://user:{}@host.example/", &token(next() % 5)[10..40])),
                2 => {
                    file.remove(at.min(file.len() - 1));
                }
                3 => {
                    let block: Vec<String> = file.drain(at.min(file.len() / 2)..file.len() / 2).collect();
                    file.extend(block);
                }
                4 => file.insert(at, format!("SNYK_TOKEN\nother {}", next())),
                5 => file.insert(at, format!("0b1c2d3e-{0}{0}{0}{0}-4222-a333-abcdefabcdef", next() % 10)),
                6 => {
                    let kept = at.min(file.len() - 1);
                    let cut = file[kept].len() / 2;
                    file[kept].truncate(cut);
                }
                // Encoded: in one line, wrapped, escaped, in each other.
                9 => file.insert(at, format!("data: {}", base64(&format!("key = {}", token(next() % 5))))),
                10 => {
                    let text = base64(&format!("the key of today is {} and no other", token(next() % 5)));
                    let lines: Vec<String> = text.as_bytes().chunks(36).map(lossy).collect();
                    file.insert(at, format!("  {}", lines.join("\n  ")));
                }
                11 => file.insert(at, format!("?key={}", token(next() % 5).replace('_', "%5f"))),
                12 => {
                    let json = format!("{{\\\"key\\\": \\\"{}\\\"}}", token(next() % 5).replace('_', "\\u005f"));
                    file.insert(at, base64(&json));
                }
                13 => file.insert(
                    at,
                    token(next() % 5).bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat(),
                ),
                7 => {
                    let mut copied = file[..at.min(20)].to_vec();
                    file.append(&mut copied);
                }
                _ => file.insert(
                    at,
                    format!(
                        "-----{} RSA {} KEY-----",
                        ["BEGIN", "END"][usize::try_from(next() % 2).unwrap()],
                        "PRIVATE"
                    ),
                ),
            }
            repo.write(&format!("dir{}/file{number}", commit % 3), file.join("\n"));
        }
        let mut message = format!("commit {commit}\n\n");
        if commit % 5 == 0 {
            writeln!(message, "forgot {}", token(100 + commit)).unwrap();
        }
        repo.commit(&message);
    }
    repo.git(&["tag", "-a", "v1", "-m", &format!("signed with {}", token(200))]);
    repo.git(&["notes", "add", "-m", &format!("note {}", token(201))]);
}

fn base64(text: &str) -> String {
    lossy(&to_base64(text.as_bytes(), Alphabet::Standard))
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

#[test]
fn a_scan_of_differences_finds_what_whole_objects_have() {
    let repo = Repo::new();
    busy_history(&repo);
    let whole = repo.found_in_whole_objects();
    assert!(whole.len() > 100, "{}", whole.len());
    for encoding in [" ", " base64", " hex", " percent", " base64 in escape"] {
        assert!(whole.iter().any(|(.., what)| what.ends_with(encoding)), "{encoding}");
    }
    // Loose, then as offset deltas, then as deltas of named objects, then in many packs.
    assert_eq!(repo.scan_all().places(), whole);
    repo.pack();
    let deltas = repo.git(&["verify-pack", "-s", &pack_of(&repo)]);
    assert!(deltas.contains("chain length = 5"), "{deltas}");
    for threads in [1, 2, 5] {
        let packed = scan(&repo.path, &Options { threads, ..Options::default() });
        assert_eq!(packed.places(), whole);
        assert!(packed.coverage.is_complete(), "{:?}", packed.coverage);
    }
    repo.git(&["-c", "repack.useDeltaBaseOffset=false", "repack", "-q", "-a", "-d", "-f"]);
    assert_eq!(repo.scan_all().places(), whole);
    repo.git(&["-c", "pack.packSizeLimit=1m", "repack", "-q", "-a", "-d", "-f", "--max-pack-size=1m"]);
    assert_eq!(repo.scan_all().places(), whole);
}

/// Of our own repository, or of the one that `STANCH_HISTORY` names: `tests/equal-history` is for that.
#[test]
#[expect(clippy::print_stdout, reason = "whoever names a repository wants to know how much was compared")]
fn the_differences_of_a_real_history_have_what_its_whole_objects_have() {
    let named = std::env::var_os("STANCH_HISTORY");
    let path = Path::new(named.as_deref().unwrap_or(env!("CARGO_MANIFEST_DIR").as_ref()));
    if named.is_none() && !path.join(".git").exists() {
        println!("the sources are no repository here: nothing to compare");
        return;
    }
    let whole = found_in_whole_objects(path);
    let scanned = scan(path, &Options { selection: Selection::All, ..Options::default() });
    let places = scanned.places();
    let differing: Vec<_> = whole.iter().filter(|one| places.binary_search(one).is_err()).take(5).collect();
    let added: Vec<_> = places.iter().filter(|one| whole.binary_search(one).is_err()).take(5).collect();
    assert_eq!(places.len(), whole.len(), "not found: {differing:?}; only found in differences: {added:?}");
    assert_eq!(places, whole);
    let Coverage { blobs, detector_bytes, .. } = &scanned.coverage;
    println!(
        "{} hits in {} blobs of {} MB are the same; {} MB were looked at for them",
        whole.len(),
        blobs.objects,
        blobs.bytes / 1_000_000,
        detector_bytes / 1_000_000,
    );
}

#[test]
fn text_that_objects_share_is_looked_at_once() {
    let repo = Repo::new();
    for commit in 0..30 {
        let changed = format!("this line is of commit {commit}\n");
        repo.write("a", format!("{}{changed}{}\n{}", lines(1, 200 + commit), token(commit / 10), lines(2, 300)));
        repo.commit("one more");
    }
    repo.pack();
    let read = repo.scan();
    assert_eq!(read.findings.len(), 30);
    assert!(read.coverage.detector_bytes < read.coverage.blobs.bytes / 8, "{:?}", read.coverage);
}

fn pack_of(repo: &Repo) -> String {
    let mut packs = std::fs::read_dir(repo.path.join(".git/objects/pack")).unwrap();
    let pack = packs.find_map(|entry| {
        let path = entry.unwrap().path();
        (path.extension()? == "pack").then_some(path)
    });
    pack.expect("the repository was packed").to_string_lossy().into_owned()
}

#[test]
fn every_object_is_counted_once_wherever_it_is_stored() {
    let repo = Repo::new();
    busy_history(&repo);
    let loose = repo.scan_all();
    let count = repo.git(&["cat-file", "--batch-all-objects", "--batch-check"]).lines().count() as u64;
    let all = |coverage: &stanch::scan::git::Coverage| {
        [coverage.blobs, coverage.commits, coverage.tags, coverage.trees].iter().map(|tally| tally.objects).sum::<u64>()
    };
    assert_eq!(all(&loose.coverage), count);
    // Packed, and loose as well, and in a second pack.
    repo.git(&["repack", "-q", "-a"]);
    let half = repo.git(&["rev-list", "--objects", "--no-object-names", "HEAD~20"]);
    repo.git_with(&repo.path, &["pack-objects", "-q", ".git/objects/pack/pack"], half.as_bytes());
    repo.git(&["multi-pack-index", "write"]);
    let thrice = repo.scan_all();
    assert_eq!(all(&thrice.coverage), count);
    assert_eq!(thrice.places(), loose.places());
    assert!(thrice.coverage.is_complete(), "{:?}", thrice.coverage);
}

#[test]
fn findings_come_in_the_same_order_every_time() {
    let repo = Repo::new();
    busy_history(&repo);
    repo.pack();
    let order = |threads| {
        let scanned = scan(&repo.path, &Options { threads, ..Options::default() });
        scanned.findings.iter().map(|found| (found.object, found.start, found.provenance.clone())).collect::<Vec<_>>()
    };
    let first = order(1);
    for threads in [2, 3, 4] {
        assert_eq!(order(threads), first);
    }
}
