//! Addresses of repositories: fetched, read, removed; and nobody's configuration takes part.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::Command;

use super::repo::Repo;
use super::support::{Folder, found, token};

fn stanch(temp: &Folder, args: &[&str], variables: &[(&str, &str)]) -> (i32, String, String) {
    let ran = Command::new(env!("CARGO_BIN_EXE_stanch"))
        .args(args)
        .current_dir(temp.path())
        .env("TMPDIR", temp.path())
        .envs(variables.iter().copied())
        .output()
        .expect("the program was built");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (ran.status.code().expect("no signal"), text(&ran.stdout), text(&ran.stderr))
}

#[test]
fn a_repository_is_fetched_read_under_its_name_and_removed() {
    let repo = Repo::new();
    let base = repo.commit("src/a", Some(&token("npm-access-token", 1)));
    repo.commit("src/a", None);
    repo.commit("b", Some(&token("npm-access-token", 2)));
    let url = format!("file://{}", repo.folder.path().display());
    let name = repo.folder.path().file_name().expect("it has one").to_string_lossy().into_owned();
    let temp = Folder::new();
    let (code, told, error) = stanch(&temp, &["scan", "--json", &url], &[]);
    assert_eq!(code, 1, "{error}");
    let report = serde_json::from_str(&told).expect("it is JSON");
    let npm = || "npm-access-token".to_owned();
    assert_eq!(found(&report), [(npm(), format!("{name}/b")), (npm(), format!("{name}/src/a"))]);
    assert_eq!(report["complete"], true, "{report}");
    // A part of it, as of any other.
    let (_, told, error) = stanch(&temp, &["scan", "--json", "--since-commit", &base, &url], &[]);
    let report = serde_json::from_str(&told).unwrap_or_else(|_| panic!("{error}"));
    assert_eq!(found(&report), [(npm(), format!("{name}/b"))]);
    assert_eq!(fs::read_dir(temp.path()).expect("it is ours").count(), 0, "a copy was left");
    assert_eq!(stanch(&temp, &["scan", "--history", "none", &url], &[]).0, 2);
}

#[test]
fn no_configuration_and_no_hook_takes_part_in_fetching() {
    let repo = Repo::new();
    repo.commit("a", Some("nothing"));
    let temp = Folder::new();
    let armed = Folder::new();
    let touch = format!("touch {}", armed.path().join("pwned").display());
    // Whatever the environment or the source's own configuration would have git run.
    for setting in
        ["core.fsmonitor", "core.sshCommand", "uploadpack.packObjectsHook", "core.pager", "credential.helper"]
    {
        repo.git(&["config", setting, &touch]);
    }
    let hooks = armed.path().join("hooks");
    fs::create_dir_all(&hooks).expect("it is ours");
    let config = armed.path().join("config");
    fs::write(
        &config,
        format!("[core]\n\thooksPath = {}\n[init]\n\ttemplateDir = {}\n", hooks.display(), hooks.display()),
    )
    .expect("it is ours");
    let config = config.display().to_string();
    let url = format!("file://{}", repo.folder.path().display());
    let (code, told, error) = stanch(
        &temp,
        &["scan", &url],
        &[
            ("GIT_CONFIG_GLOBAL", &config),
            ("GIT_CONFIG_COUNT", "1"),
            ("GIT_CONFIG_KEY_0", "core.sshCommand"),
            ("GIT_CONFIG_VALUE_0", &touch),
            ("GIT_DIR", "/nowhere"),
            ("GIT_SSH_COMMAND", &touch),
            ("GIT_PROXY_COMMAND", &touch),
            ("GIT_ASKPASS", &touch),
        ],
    );
    assert_eq!(code, 0, "{told}{error}");
    assert!(!armed.path().join("pwned").exists());
}

#[test]
fn what_cannot_be_fetched_is_told_without_its_password() {
    let temp = Folder::new();
    for url in ["http://host.example/a", "git://host.example/a", "ext::sh -c true", "file:///no/such/place"] {
        let (code, told, error) = stanch(&temp, &["scan", url], &[]);
        assert_eq!(code, 2, "{url}: {told}");
        assert!(error.starts_with("error: "), "{url}: {error}");
    }
    // A server that says no, and what it was asked.
    let server = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = server.local_addr().expect("it has one").port();
    let answering = std::thread::spawn(move || {
        // TLS is wanted, and there is none: it ends here.
        let (stream, _) = server.accept().expect("somebody comes");
        let mut line = Vec::new();
        let _ = BufReader::new(&stream).read_until(b'\n', &mut line);
        let _ = (&stream).write_all(b"HTTP/1.1 403 no\r\n\r\n");
    });
    let secret = "hunter2hunter2";
    let url = format!("https://me:{secret}@127.0.0.1:{port}/a/b.git");
    let (code, told, error) = stanch(&temp, &["scan", &url], &[]);
    answering.join().expect("it answered");
    assert_eq!(code, 2, "{told}");
    assert!(error.contains(&format!("https://127.0.0.1:{port}/a/b.git")) && !error.contains(secret), "{error}");
    assert_eq!(fs::read_dir(temp.path()).expect("it is ours").count(), 0, "a copy was left");
}
