//! What a repository has left elsewhere: fetched only if that was asked for, and never by its own configuration.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::repo::Repo;
use super::support::{Folder, found, token};

fn npm(path: &str) -> (String, String) {
    ("npm-access-token".to_owned(), path.to_owned())
}

/// A repository with tokens in its past and its present.
fn source() -> Repo {
    let repo = Repo::new();
    repo.git(&["config", "uploadpack.allowFilter", "true"]);
    repo.commit("old.env", Some(&token("npm-access-token", 41)));
    repo.commit("old.env", None);
    repo.commit("deep/er/new.env", Some(&token("npm-access-token", 42)));
    repo
}

fn clone(source: &Repo, arguments: &[&str]) -> Folder {
    let folder = Folder::new();
    let url = format!("file://{}", source.folder.path().display());
    let copy = folder.path().join("copy").display().to_string();
    source.git(&[&["clone", "-q"], arguments, &[&url, &copy]].concat());
    folder
}

fn scan(folder: &Folder, args: &[&str]) -> (i32, String, String) {
    let ran = Command::new(env!("CARGO_BIN_EXE_stanch"))
        .args(["scan", "--json"])
        .args(args)
        .current_dir(folder.path().join("copy"))
        .env("TMPDIR", folder.path())
        .output()
        .expect("the program was built");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (ran.status.code().expect("no signal"), text(&ran.stdout), text(&ran.stderr))
}

fn places(report: &str) -> Vec<(String, String)> {
    found(&serde_json::from_str(report).expect("it is JSON"))
}

/// Every file of a folder with its size and time.
fn contents(folder: &Path) -> Vec<(String, u64)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let about = entry.metadata().expect("it is there");
        if about.is_dir() {
            all.extend(contents(&entry.path()));
        } else {
            all.push((entry.path().display().to_string(), about.len()));
        }
    }
    all.sort();
    all
}

#[test]
fn objects_of_a_partial_clone_are_fetched_if_that_is_asked_for() {
    let source = source();
    for filter in ["--filter=blob:none", "--filter=tree:0"] {
        let folder = clone(&source, &["--no-checkout", filter]);
        let before = contents(&folder.path().join("copy"));
        let (code, told, error) = scan(&folder, &[]);
        assert_eq!((code, places(&told)), (3, vec![]), "{filter}: {error}");
        assert!(told.contains("object of a partial clone not fetched"), "{told}");
        let (code, told, error) = scan(&folder, &["--fetch-missing"]);
        assert_eq!(code, 1, "{filter}: {told}{error}");
        assert_eq!(places(&told), [npm("deep/er/new.env"), npm("old.env")], "{filter}");
        assert!(told.contains("\"complete\": true"), "{filter}: {told}");
        assert!(error.contains("Fetching ") && error.contains(" from file://"), "{error}");
        // A part of the history, and what is staged.
        let (_, told, error) = scan(&folder, &["--fetch-missing", "--since-commit", "HEAD~1"]);
        assert_eq!(places(&told), [npm("deep/er/new.env")], "{filter}: {error}");
        // The repository is as it was, and no copy stays.
        assert_eq!(contents(&folder.path().join("copy")), before, "{filter}");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "{filter}");
    }
}

#[test]
fn nothing_of_the_repositorys_configuration_takes_part_but_the_address() {
    let source = source();
    let folder = clone(&source, &["--no-checkout", "--filter=blob:none"]);
    let mark = folder.path().join("copy/pwned");
    let touch = format!("touch {}", mark.display());
    let config = folder.path().join("copy/.git/config");
    let own = fs::read_to_string(&config).expect("it is there");
    let armed = format!(
        "[core]\n\tsshCommand = {touch}\n\tfsmonitor = {touch}\n\thooksPath = /nowhere\n[credential]\n\thelper = !{touch}\n\
         [uploadpack]\n\tpackObjectsHook = {touch}\n[remote \"origin\"]\n\tuploadpack = {touch}; git-upload-pack\n\tvcs = x\n\
         [url \"file:///nowhere\"]\n\tinsteadOf = file://\n[lfs]\n\tstandalonetransferagent = x\n\
         [lfs \"customtransfer.x\"]\n\tpath = {touch}\n"
    );
    fs::write(&config, own.clone() + &armed).expect("the file is ours");
    let (code, told, error) = scan(&folder, &["--fetch-missing"]);
    assert_eq!(places(&told), [npm("deep/er/new.env"), npm("old.env")], "{code} {error}");
    assert!(!mark.exists());
    // An address that names a program, or a path of this machine, is none.
    for address in ["ext::sh -c true", "/etc", "--upload-pack=x", "http://host.example/x"] {
        fs::write(&config, own.replace(&format!("file://{}", source.folder.path().display()), address)).expect("ours");
        let (code, told, error) = scan(&folder, &["--fetch-missing"]);
        assert_eq!((code, places(&told)), (3, vec![]), "{address}");
        assert!(error.contains("cannot be fetched"), "{address}: {error}");
    }
    // A person may name a better one; what they name must be one.
    let url = format!("--fetch-missing=file://{}", source.folder.path().display());
    assert_eq!(scan(&folder, &[&url]).0, 1);
    assert_eq!(scan(&folder, &["--fetch-missing=nonsense"]).0, 2);
    assert_eq!(scan(&folder, &["--fetch-missing", "-"]).0, 2);
}

#[test]
fn the_content_of_lfs_files_is_fetched_if_that_is_asked_for() {
    let source = Repo::new();
    let secret = format!("key = {}\n", token("npm-access-token", 43));
    let oid = super::support::sha256(secret.as_bytes());
    let pointer = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {}\n", secret.len());
    source.commit("big.bin", Some(&pointer));
    let store = source.path(&format!(".git/lfs/objects/{}/{}", &oid[..2], &oid[2..4]));
    fs::create_dir_all(&store).expect("the folder is ours");
    fs::write(store.join(&oid), &secret).expect("the folder is ours");
    let folder = clone(&source, &[]);
    let before = contents(&folder.path().join("copy"));
    let (code, told, _) = scan(&folder, &[]);
    assert_eq!((code, places(&told)), (3, vec![]), "{told}");
    let (code, told, error) = scan(&folder, &["--lfs", "fetch"]);
    assert_eq!((code, places(&told)), (1, vec![npm("big.bin")]), "{told}{error}");
    assert!(error.contains("Fetching 1 LFS file from file://"), "{error}");
    assert_eq!(contents(&folder.path().join("copy")), before);
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
}
