//! `stanch hook`: a commit or a push with a new token in it is refused, and nobody's own hook is lost.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use super::repo::Repo;
use super::support::{Folder, token};

fn npm(seed: u64) -> String {
    token("npm-access-token", seed)
}

/// A repository whose hooks find the program that was built, and git's answers to commands.
fn run(repo: &Repo, args: &[&str]) -> (bool, String) {
    let built = Path::new(env!("CARGO_BIN_EXE_stanch")).parent().expect("it has one").display().to_string();
    let path = format!("{built}:/usr/local/bin:/usr/bin:/bin");
    let ran = repo.try_git(args, &[("PATH", &path)]);
    let told = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
    (ran.status.success(), told)
}

fn executable(path: &Path, script: &str) {
    fs::create_dir_all(path.parent().expect("it has one")).expect("the folder is ours");
    fs::write(path, script).expect("the folder is ours");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("the file is ours");
}

/// As a person's git configuration would have it, which tests do not read.
fn hook(repo: &Repo, args: &[&str]) -> (i32, String) {
    let ran = Command::new(env!("CARGO_BIN_EXE_stanch"))
        .arg("hook")
        .args(args)
        .current_dir(repo.folder.path())
        .env("GIT_CONFIG_GLOBAL", repo.path("global"))
        .output()
        .expect("the program was built");
    (ran.status.code().expect("no signal"), String::from_utf8_lossy(&ran.stderr).into_owned())
}

#[test]
fn a_commit_with_a_new_token_is_refused_and_a_clean_one_passes() {
    let repo = Repo::new();
    assert_eq!(hook(&repo, &["install"]).0, 0);
    repo.write("a", Some("nothing"));
    repo.git(&["add", "-A"]);
    let (fine, told) = run(&repo, &["commit", "-q", "-m", "First"]);
    assert!(fine && told.is_empty(), "{told}");
    repo.write("src/leak", Some(&format!("\nkey = {}\n", npm(1))));
    repo.git(&["add", "-A"]);
    let (fine, told) = run(&repo, &["commit", "-q", "-m", "Leak"]);
    assert!(!fine);
    for words in ["src/leak", "2:7", "npm access token", "Nothing was committed", "stanch:ignore", "revoke"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert!(!told.contains(&npm(1)[8..30]));
    assert_eq!(repo.git(&["rev-list", "--count", "HEAD"]), "1");
    repo.write("src/leak", Some(&format!("\nkey = {} # stanch:ignore\n", npm(1))));
    // `git commit -a` has the hook look at another index.
    let (fine, told) = run(&repo, &["commit", "-q", "-a", "-m", "Known"]);
    assert!(fine, "{told}");
    repo.write("src/leak", Some(&npm(2)));
    assert!(!run(&repo, &["commit", "-q", "-a", "-m", "Leak"]).0);
    assert!(!run(&repo, &["commit", "-q", "-m", "Leak", "src/leak"]).0);
    assert!(run(&repo, &["commit", "-q", "-a", "-m", "Leak", "--no-verify"]).0);
    // In a linked worktree the hook is the same, and the index another one.
    repo.git(&["worktree", "add", "-q", "-b", "side", "tree"]);
    repo.write("tree/b", Some(&npm(3)));
    run(&repo, &["-C", "tree", "add", "b"]);
    assert!(!run(&repo, &["-C", "tree", "commit", "-q", "-m", "Leak"]).0);
}

#[test]
fn a_push_with_a_new_token_is_refused() {
    let repo = Repo::new();
    let other = Folder::new();
    let bare = other.path().join("bare.git").display().to_string();
    repo.git(&["init", "-q", "--bare", &bare]);
    repo.git(&["remote", "add", "origin", &bare]);
    repo.commit("old", Some(&npm(1)));
    repo.git(&["push", "-q", "origin", "main"]);
    repo.git(&["fetch", "-q", "origin"]);
    assert_eq!(hook(&repo, &["install", "--pre-push"]).0, 0);
    repo.commit("a", Some("clean"));
    let (fine, told) = run(&repo, &["push", "-q", "origin", "main"]);
    assert!(fine, "{told}");
    // It left the tip again, and would be pushed all the same.
    repo.commit("b", Some(&npm(2)));
    repo.commit("b", None);
    let (fine, told) = run(&repo, &["push", "-q", "origin", "main"]);
    assert!(!fine && told.contains("Nothing was pushed"), "{told}");
    assert!(!run(&repo, &["push", "-q", "origin", "HEAD:refs/heads/other"]).0);
    repo.git(&["reset", "-q", "--hard", "HEAD~2"]);
    repo.git(&["push", "-q", "--no-verify", "origin", "main:gone"]);
    let (fine, told) = run(&repo, &["push", "-q", "origin", ":gone"]);
    assert!(fine, "{told}");
}

#[test]
fn a_foreign_hook_is_kept_and_run_and_put_back() {
    let repo = Repo::new();
    let path = repo.path(".git/hooks/pre-commit");
    let theirs = "#!/bin/sh\necho theirs >> ran\n";
    executable(&path, theirs);
    let (code, told) = hook(&repo, &["install"]);
    assert_eq!(code, 2);
    assert!(told.contains("there is another hook") && told.contains("--force"), "{told}");
    assert_eq!(fs::read_to_string(&path).expect("it is there"), theirs);
    assert_eq!(hook(&repo, &["install", "--force"]).0, 0);
    let ours = fs::read_to_string(&path).expect("it is there");
    // Again is the same as once.
    let (code, told) = hook(&repo, &["install", "--force"]);
    assert!(code == 0 && told.contains("there already"), "{told}");
    assert_eq!(fs::read_to_string(&path).expect("it is there"), ours);
    repo.write("a", Some("clean"));
    repo.git(&["add", "a"]);
    let (fine, told) = run(&repo, &["commit", "-q", "-m", "First"]);
    assert!(fine, "{told}");
    assert_eq!(fs::read_to_string(repo.path("ran")).expect("it ran"), "theirs\n");
    assert_eq!(hook(&repo, &["uninstall"]).0, 0);
    assert_eq!(fs::read_to_string(&path).expect("it is there"), theirs);
    // What is not ours stays.
    assert_eq!(hook(&repo, &["uninstall"]).0, 0);
    assert_eq!(fs::read_to_string(&path).expect("it is there"), theirs);
}

#[test]
fn another_folder_of_hooks_is_told_before_it_is_written_to() {
    let repo = Repo::new();
    repo.git(&["config", "core.hooksPath", ".husky"]);
    let (code, told) = hook(&repo, &["install"]);
    assert_eq!(code, 2);
    assert!(told.contains("core.hooksPath") && told.contains("--hooks-path"), "{told}");
    assert!(!repo.path(".husky").exists() && !repo.path(".git/hooks/pre-commit").exists());
    let folder = repo.path(".husky").display().to_string();
    assert_eq!(hook(&repo, &["install", "--hooks-path", &folder]).0, 0);
    repo.write("leak", Some(&npm(1)));
    repo.git(&["add", "leak"]);
    assert!(!run(&repo, &["commit", "-q", "-m", "Leak"]).0);
    assert_eq!(hook(&repo, &["uninstall", "--hooks-path", &folder]).0, 0);
    // A person's own configuration says it for all their repositories.
    repo.git(&["config", "--unset", "core.hooksPath"]);
    fs::write(repo.path("global"), "[core]\n\thooksPath = ~/Hooks\n").expect("the folder is ours");
    let (code, told) = hook(&repo, &["install"]);
    assert!(code == 2 && told.contains("/Hooks"), "{told}");
    let outside = Folder::new();
    assert_eq!(outside.run(&["hook", "install"]).code(), 2);
}

#[test]
fn the_hooks_of_the_pre_commit_framework_do_what_they_say() {
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(".pre-commit-hooks.yaml")).expect("it is there");
    let entries: Vec<_> = text.lines().filter_map(|line| line.trim().strip_prefix("entry: stanch ")).collect();
    assert_eq!(entries.len(), 4, "{text}");
    let repo = Repo::new();
    repo.commit("old", Some(&npm(1)));
    repo.write("new", Some("clean"));
    repo.git(&["add", "new"]);
    for entry in entries {
        let args: Vec<_> = entry.split(' ').collect();
        // With files, the framework names those that are staged.
        let files: &[&str] = if args.contains(&"--staged") || args.contains(&"full") { &[] } else { &["new"] };
        let clean = repo.folder.run(&[&args, files].concat());
        let told = clean.out() + &clean.err();
        assert_eq!(clean.code(), i32::from(args.contains(&"full")), "{entry}: {told}");
        repo.write("new", Some(&npm(2)));
        repo.git(&["add", "new"]);
        assert_eq!(repo.folder.run(&[&args, files].concat()).code(), 1, "{entry}");
        repo.write("new", Some("clean"));
        repo.git(&["add", "new"]);
    }
}

#[test]
fn the_script_of_the_action_annotates_and_fails() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("action.yml")).expect("it is there");
    let (_, script) = text.rsplit_once("run: |\n").expect("the last step is a script");
    let repo = Repo::new();
    let base = repo.commit("old", Some(&npm(1)));
    let temp = Folder::new();
    fs::create_dir_all(temp.path().join("stanch/bin")).expect("the folder is ours");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_stanch"), temp.path().join("stanch/bin/stanch"))
        .expect("it is ours");
    let run = |paths: &str, arguments: &str, since: &str| {
        let ran = Command::new("bash")
            .args(["-e", "-o", "pipefail", "-c", script])
            .current_dir(repo.folder.path())
            .env("RUNNER_TEMP", temp.path())
            .env("GITHUB_OUTPUT", temp.path().join("output"))
            .envs([("PATHS", paths), ("ARGUMENTS", arguments), ("SINCE", since)])
            .output()
            .expect("bash is there");
        (ran.status.code().expect("no signal"), String::from_utf8_lossy(&ran.stdout).into_owned())
    };
    let (code, told) = run(".", "--history none", "");
    assert_eq!(code, 1);
    assert!(told.contains("::error file=old,line=1"), "{told}");
    // Since the base of a pull request, nothing is new.
    assert_eq!(run(".", "", &base).0, 0);
    repo.commit("new", Some(&npm(2)));
    let (code, told) = run(".", "", &base);
    assert!(code == 1 && told.contains("file=new"), "{told}");
    let sarif = fs::read(temp.path().join("stanch.sarif")).expect("it was written");
    let sarif: serde_json::Value = serde_json::from_slice(&sarif).expect("it is JSON");
    assert_eq!(sarif["runs"][0]["results"].as_array().map(Vec::len), Some(1));
    assert!(fs::read_to_string(temp.path().join("output")).expect("it was written").contains("sarif="));
    // What was put into an input is an argument, and no command.
    let (_, told) = run("$(touch pwned) `touch pwned`", "", "");
    assert!(!repo.path("pwned").exists(), "{told}");
}
