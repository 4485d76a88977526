//! Work trees: what is read of them, and what is never touched.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use super::support::{Folder, found, kinds, token};

#[test]
fn an_ignored_file_is_read_unless_asked_otherwise() {
    let folder = Folder::new()
        .with(".git/HEAD", "ref: refs/heads/main\n")
        .with(".gitignore", ".env\n")
        .with(".env", token("npm-access-token", 1));
    assert_eq!(found(&folder.scan(&[])), [("npm-access-token".into(), ".env".into())]);
    assert!(found(&folder.scan(&["--respect-gitignore"])).is_empty());
}

#[test]
fn the_configuration_of_a_checkout_is_read_and_its_objects_are_not() {
    let secret = token("github-pat-classic", 2);
    let folder = Folder::new()
        .with(".git/HEAD", "ref: refs/heads/main\n")
        .with(".git/refs/heads/main", "")
        .with(".git/config", format!("url = https://x:{secret}@host.example/a.git\n"))
        .with(".git/objects/ab/cdef", &secret)
        .with("objects/a", &secret);
    let places: Vec<_> = found(&folder.scan(&[])).into_iter().map(|(_, place)| place).collect();
    assert_eq!(places, [".git/config", "objects/a"]);
}

#[test]
fn no_link_is_followed_and_no_pipe_is_opened() {
    let outside = Folder::new().with("secret", token("npm-access-token", 3));
    let folder = Folder::new().with("a", "nothing");
    symlink(outside.path().join("secret"), folder.path().join("file")).expect("the folder is ours");
    symlink(outside.path(), folder.path().join("folder")).expect("the folder is ours");
    symlink(folder.path(), folder.path().join("loop")).expect("the folder is ours");
    let made = Command::new("mkfifo").arg(folder.path().join("pipe")).status().expect("coreutils are there");
    assert!(made.success());
    let ran = folder.run(&["scan", "--json"]);
    assert_eq!(ran.code(), 0, "{}", ran.out());
    let report = ran.json();
    assert_eq!(report["coverage"]["files"], 1);
    assert_eq!(report["coverage"]["skipped"][0]["reason"], "not a regular file");
    assert_eq!(report["coverage"]["skipped"][1]["count"], 3, "{report}");
}

#[test]
fn what_cannot_be_read_is_told_and_the_exit_code_says_so() {
    let folder = Folder::new().with("a", "nothing").with("large", vec![b'x'; 3000]);
    let ran = folder.run(&["scan", "--json", "--max-file-size", "2K"]);
    assert_eq!(ran.code(), 3);
    assert_eq!(ran.json()["coverage"]["not_read"][0]["examples"][0], "large");
    // A superuser reads everything.
    let locked = folder.path().join("a");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).expect("the file is ours");
    if fs::read(&locked).is_err() {
        assert_eq!(folder.run(&["scan"]).code(), 3);
    }
}

#[test]
fn a_token_is_found_once_wherever_the_chunks_of_a_large_file_meet() {
    let secret = token("pypi-api-token", 4);
    let mut content = Vec::new();
    let mut wanted = Vec::new();
    // Every 40 kilobytes, so that many stand across the places where chunks begin and end.
    for number in 0..260_u64 {
        content.extend(b"filling\n".repeat(5000 + usize::try_from(number % 7).expect("small")));
        wanted.push(content.len() as u64);
        content.extend(secret.as_bytes());
        content.extend(b"\n");
    }
    let folder = Folder::new().with("large", &content);
    let report = folder.scan(&[]);
    let offsets: Vec<_> = report["findings"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| one["offset"].as_u64().expect("a number"))
        .collect();
    assert_eq!(offsets, wanted);
    let last = &report["findings"][259];
    let line = content[..usize::try_from(wanted[259]).expect("small")].split(|byte| *byte == b'\n').count();
    assert_eq!(last["line"], line);
    assert_eq!(last["column"], 1);
}

#[test]
fn the_order_of_findings_does_not_depend_on_the_threads() {
    let mut folder = Folder::new();
    for number in 0..80 {
        folder = folder.with(&format!("{}/{number}", number % 7), format!("x {}\n", token("npm-access-token", number)));
    }
    let one = folder.run(&["scan", "--json", "-j", "1"]).out();
    assert_eq!(kinds(&serde_json::from_str(&one).expect("it is JSON")).len(), 80);
    for _ in 0..5 {
        assert_eq!(folder.run(&["scan", "--json", "-j", "8"]).out(), one);
    }
}

#[test]
fn patterns_choose_what_is_read() {
    let secret = token("npm-access-token", 5);
    let folder = Folder::new().with("src/a.js", &secret).with("src/b.py", &secret).with("vendor/c.js", &secret);
    let places = |args: &[&str]| -> Vec<_> { found(&folder.scan(args)).into_iter().map(|(_, place)| place).collect() };
    assert_eq!(places(&["--include", "*.js"]), ["src/a.js", "vendor/c.js"]);
    assert_eq!(places(&["--exclude", "vendor"]), ["src/a.js", "src/b.py"]);
    assert_eq!(places(&["vendor", "src/a.js"]), ["src/a.js", "vendor/c.js"]);
}

#[test]
fn a_token_in_a_name_is_told_and_shown_in_no_path() {
    let secrets: Vec<_> = (90..95).map(|seed| token("npm-access-token", seed)).collect();
    let tar = super::archives::tar(&[(&format!("pkg/{}/inner.txt", secrets[2]), b"nothing")]);
    let folder = Folder::new()
        .with(&format!("{}/plain.txt", secrets[0]), "nothing")
        .with(&format!("{}/other.zip", secrets[0]), b"PK\x03\x04 damaged")
        .with(&format!("sub/{}.env", secrets[1]), format!("key={}\n", secrets[3]))
        .with("a.tar", tar);
    symlink("nowhere", folder.path().join(&secrets[4])).expect("the folder is ours");
    for format in [
        "human",
        "json",
        "jsonl",
        "sarif",
        "csv",
        "junit",
        "html",
        "github-actions",
        "gitleaks-json",
        "trufflehog-json",
    ] {
        let ran = folder.run(&["scan", "-v", "--format", format]);
        for secret in &secrets {
            assert!(
                !ran.out().contains(&secret[..30]) && !ran.err().contains(&secret[..30]),
                "{format}: {}",
                ran.out()
            );
        }
    }
    let report = folder.scan(&[]);
    let spots: Vec<_> =
        report["findings"].as_array().expect("a list").iter().map(|one| one["spot"].as_str().expect("text")).collect();
    assert_eq!(spots.iter().filter(|spot| **spot == "name").count(), 4, "{report}");
    assert_eq!(spots.len(), 5, "{report}");
    // Patterns still mean the real names.
    let excluded = folder.scan(&["--exclude", &format!("{}.env", secrets[1])]);
    assert_eq!(excluded["findings"].as_array().expect("a list").len(), 3);
}
