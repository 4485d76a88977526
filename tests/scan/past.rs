//! What histories hold beside plain text: encodings, archives, large files, names, other repositories.

use std::fs;

use stanch::token::encoding::{Alphabet, to_base64};

use super::archives::{gz, tar, zip};
use super::repo::Repo;
use super::support::{Folder, found, random, token};

fn write(repo: &Repo, name: &str, content: &[u8]) {
    let path = repo.path(name);
    fs::create_dir_all(path.parent().expect("it has one")).expect("the folder is ours");
    fs::write(path, content).expect("the folder is ours");
}

fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut next = random(seed);
    std::iter::repeat_with(|| next().to_le_bytes()).flatten().take(len).collect()
}

#[test]
fn whatever_a_work_tree_hides_a_token_in_a_history_does_not_hide_either() {
    let repo = Repo::new();
    let secret = token("npm-access-token", 1);
    let line = format!("the token of today is {secret}, and no other\n");
    let base64 = String::from_utf8(to_base64(line.as_bytes(), Alphabet::Standard)).expect("it is text");
    let wrapped = base64.as_bytes().chunks(30).map(String::from_utf8_lossy).collect::<Vec<_>>().join("\n  ");
    let hex: String = line.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let wide: Vec<u8> = line.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let package = zip(&[("readme", &noise(1, 3000)), ("a/b.js", line.as_bytes())]);
    let image = tar(&[("layer.tar", &tar(&[("etc/npmrc", line.as_bytes())]))]);
    let files: [(&str, Vec<u8>); 10] = [
        ("base64", base64.clone().into_bytes()),
        ("crate.crate", gz(&tar(&[("src/lib.rs", line.as_bytes())]))),
        ("escaped.json", line.replace('_', "\\u005f").into_bytes()),
        ("hex", hex.into_bytes()),
        ("image.tar", image),
        ("packed.gz", gz(line.as_bytes())),
        ("percent", line.replace('_', "%5F").into_bytes()),
        ("pkg.whl", package),
        ("wide.reg", wide),
        ("wrapped.yaml", format!("data: |\n  {wrapped}\n").into_bytes()),
    ];
    for (name, content) in &files {
        write(&repo, &format!("dir/{name}"), content);
    }
    let here = repo.folder.scan(&["--history", "none"]);
    assert_eq!(found(&here).len(), files.len(), "{here}");
    let leaked = repo.save("Everything");
    repo.git(&["rm", "-q", "-r", "dir"]);
    repo.save("Nothing");
    for _ in 0..2 {
        let past = repo.folder.scan(&["--history", "full"]);
        assert_eq!(found(&past), found(&here));
        assert!(past["findings"].as_array().is_some_and(|all| all.iter().all(|one| one["commit"]["id"] == leaked)));
        assert_eq!((&past["complete"], &past["coverage"]["archives"]), (&true.into(), &6.into()), "{past}");
        let lines = |report: &serde_json::Value| -> Vec<_> {
            let all = report["findings"].as_array().expect("a list").iter();
            all.map(|one| (one["line"].clone(), one["encodings"].clone(), one["id"].clone())).collect()
        };
        assert_eq!(lines(&past), lines(&here));
        repo.git(&["repack", "-q", "-a", "-d", "-f"]);
    }
    // Members that are not packed stand in the archive as they are.
    let plain = found(&repo.folder.scan(&["--max-archive-depth", "0", "--max-decode-depth", "0"]));
    assert_eq!(plain.into_iter().map(|(_, path)| path).collect::<Vec<_>>(), ["dir/image.tar", "dir/pkg.whl"]);
}

#[test]
fn an_archive_that_is_stored_as_a_difference_is_rebuilt_and_opened() {
    let repo = Repo::new();
    let filler = noise(2, 200_000);
    for number in 0..6 {
        // Stored, so that versions differ in a few bytes and git makes deltas of them.
        let secret = token("npm-access-token", 30 + number);
        let archive = zip(&[("note", b"".as_slice()), ("data", &filler), ("x", b""), ("config", secret.as_bytes())]);
        write(&repo, "app.jar", &archive);
        repo.save("One more");
    }
    fs::remove_file(repo.path("app.jar")).expect("it was written");
    repo.save("Gone");
    repo.git(&["repack", "-q", "-a", "-d", "-f"]);
    let size: u64 = fs::read_dir(repo.path(".git/objects/pack"))
        .expect("there are packs")
        .map(|file| file.expect("it is readable").metadata().expect("it is readable").len())
        .sum();
    assert!(size < 2 * 200_000 + 20_000, "they are no differences: {size}");
    let report = repo.folder.scan(&[]);
    assert_eq!(found(&report), vec![("npm-access-token".to_owned(), "app.jar!/config".to_owned()); 6]);
}

#[test]
fn a_bad_archive_of_the_past_is_named_by_its_path_unless_it_is_left_out() {
    let repo = Repo::new();
    let mut damaged = gz(&noise(3, 5000));
    damaged.truncate(2000);
    write(&repo, "fixtures/cut.gz", &damaged);
    repo.save("Cut");
    fs::remove_dir_all(repo.path("fixtures")).expect("it was written");
    repo.save("Gone");
    let ran = repo.folder.run(&["scan", "--json"]);
    assert_eq!(ran.code(), 3, "{}", ran.out());
    let gap = &ran.json()["coverage"]["not_read"][0];
    assert_eq!((&gap["reason"], &gap["examples"][0]), (&"damaged archive".into(), &"fixtures/cut.gz".into()));
    assert_eq!(repo.folder.run(&["scan", "--exclude", "fixtures"]).code(), 0);
}

#[test]
fn a_bomb_of_the_past_is_bounded() {
    let repo = Repo::new();
    write(&repo, "bomb.gz", &gz(&vec![0; 200 << 20]));
    repo.save("Bomb");
    fs::remove_file(repo.path("bomb.gz")).expect("it was written");
    repo.save("Gone");
    let ran = repo.folder.run(&["scan", "--json"]);
    assert_eq!(ran.code(), 3);
    assert_eq!(ran.json()["coverage"]["not_read"][0]["reason"], "archive over its limit");
}

#[test]
fn a_file_larger_than_may_be_held_is_read_as_a_stream() {
    let repo = Repo::new();
    // 66 MiB: over the 64 that a walk holds. Zeros are quick to compress; what is sought stands at the far end.
    let mut large = vec![b'\n'; 66 << 20];
    large.extend(token("npm-access-token", 40).as_bytes());
    write(&repo, "large.log", &large);
    repo.save("Large");
    fs::remove_file(repo.path("large.log")).expect("it was written");
    repo.save("Gone");
    let place = [("npm-access-token".to_owned(), "large.log".to_owned())];
    for _ in 0..2 {
        let report = repo.folder.scan(&[]);
        assert_eq!(found(&report), place);
        assert_eq!((&report["findings"][0]["line"], &report["complete"]), (&((66 << 20) + 1).into(), &true.into()));
        repo.git(&["repack", "-q", "-a", "-d"]);
    }
    let ran = repo.folder.run(&["scan", "--json", "--max-file-size", "1000000"]);
    assert_eq!((ran.code(), ran.json()["coverage"]["not_read"][0]["reason"].as_str()), (3, Some("too large")));
}

#[test]
fn a_token_in_a_name_is_found_and_not_shown() {
    let repo = Repo::new();
    let secret = token("npm-access-token", 50);
    repo.write(&format!("notes/{secret}.txt"), Some("nothing"));
    repo.save("Add a note");
    for number in 0..4 {
        repo.commit("notes/other", Some(&number.to_string()));
    }
    repo.git(&["rm", "-q", &format!("notes/{secret}.txt")]);
    repo.save("Gone");
    for _ in 0..2 {
        let ran = repo.folder.run(&["scan", "--json"]);
        assert!(!ran.out().contains(&secret));
        let told = found(&ran.json());
        assert_eq!(told.len(), 1, "{}", ran.out());
        assert!(told[0].1.starts_with("notes/"), "{told:?}");
        repo.git(&["repack", "-q", "-a", "-d", "-f"]);
    }
}

#[test]
fn a_submodule_is_a_gap_only_if_its_commits_are_nowhere() {
    let (repo, other) = (Repo::new(), Repo::new());
    other.commit("a", Some(&token("npm-access-token", 60)));
    other.commit("a", None);
    let from = other.folder.path().to_str().expect("it is text").to_owned();
    repo.commit("readme", Some("nothing"));
    repo.git(&["submodule", "--quiet", "add", &from, "vendored"]);
    repo.save("Vendor");
    let ran = repo.folder.run(&["scan", "--json"]);
    assert_eq!(ran.json()["complete"], true, "{}", ran.out());
    assert_eq!(found(&ran.json()), [("npm-access-token".to_owned(), ".git/modules/vendored/a".to_owned())]);
    let folder = Folder::new();
    let clone = folder.path().join("clone");
    repo.git(&["clone", "-q", ".", clone.to_str().expect("it is text")]);
    let ran = folder.run(&["scan", "--json", "clone"]);
    assert_eq!(ran.code(), 3, "{}", ran.out());
    let gap = &ran.json()["coverage"]["not_read"][0];
    assert_eq!((&gap["reason"], &gap["examples"][0]), (&"submodule not scanned".into(), &"vendored".into()));
}

#[test]
fn of_commits_of_one_second_the_parent_is_the_first() {
    for attempt in 0..6 {
        let repo = Repo::new();
        let secret = token("npm-access-token", 70 + attempt);
        let same = [("GIT_AUTHOR_DATE", "1700000000 +0000"), ("GIT_COMMITTER_DATE", "1700000000 +0000")];
        let mut first = String::new();
        for number in 0..4 {
            repo.write("a", Some(&format!("{number} of {attempt}\n{secret}\n")));
            repo.git(&["add", "-A"]);
            let ran = repo.try_git(&["commit", "-q", "-m", &number.to_string()], &same);
            assert!(ran.status.success());
            if number == 0 {
                first = repo.git(&["rev-parse", "HEAD"]);
            }
        }
        repo.commit("a", None);
        let report = repo.folder.scan(&[]);
        assert_eq!(report["findings"][0]["commit"]["id"], first, "{report}");
    }
}

#[test]
fn the_content_of_lfs_files_is_read_for_its_pointers_and_once() {
    let repo = Repo::new();
    let store = |text: &str| {
        let oid = super::support::sha256(text.as_bytes());
        repo.write(&format!(".git/lfs/objects/{}/{}/{oid}", &oid[..2], &oid[2..4]), Some(text));
        format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {}\n", text.len())
    };
    let npm = |seed| token("npm-access-token", seed);
    repo.commit("models/first.bin", Some(&store(&npm(70))));
    repo.commit("models/first.bin", Some(&store("clean")));
    // As git stores it, a pointer may be a difference from a text.
    repo.commit("text", Some(&format!("{}{}", store(&npm(71)), "x\n".repeat(600))));
    repo.commit("text", Some(&store(&npm(71))));
    // Nothing points to it any more, or not yet.
    store(&npm(72));
    for _ in 0..2 {
        let report = repo.folder.scan(&[]);
        let mut places: Vec<_> = found(&report).into_iter().map(|(_, place)| place).collect();
        places.sort();
        assert_eq!(report["complete"], true, "{report}");
        assert!(places[0].starts_with(".git/lfs/objects/"), "{places:?}");
        assert_eq!(places[1..], ["models/first.bin", "text"]);
        repo.git(&["repack", "-q", "-a", "-d", "-f"]);
    }
    // A pointer in the place of a file is a gap where no history tells of it.
    assert_eq!(repo.folder.run(&["scan", "--history", "none", "models"]).code(), 3);
    assert_eq!(repo.folder.run(&["scan", "--history", "none", "--lfs", "pointers", "models"]).code(), 0);
    let oid = super::support::sha256(npm(70).as_bytes());
    fs::write(repo.path(&format!(".git/lfs/objects/{}/{}/{oid}", &oid[..2], &oid[2..4])), "other").expect("it is ours");
    let report = repo.folder.scan(&[]);
    let gaps = &report["coverage"]["not_read"][0];
    assert_eq!((gaps["count"].as_u64(), gaps["examples"][0].as_str()), (Some(1), Some("models/first.bin")), "{report}");
}
