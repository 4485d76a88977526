//! `stanch send` as it is typed.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use axum::Router;
use stanch::send::{KeyList, Limits};

use crate::receiver::Receiver;

/// A folder with a key in it, made by the command itself.
struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { folder: tempfile::tempdir().expect("a folder") };
        let made = desk.send(&["key", "generate", "--out", "sender.pem"], "");
        assert!(made.status.success(), "{}", talk(&made));
        desk
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("sender.pem")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stanch"));
        command.arg("send").current_dir(self.folder.path()).env_clear();
        command
    }

    fn send(&self, args: &[&str], input: &str) -> Output {
        let mut command = self.command();
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("started");
        // A command that refuses its arguments does not read its input.
        let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
        child.wait_with_output().expect("ended")
    }

    /// Sends away from the runtime, on which the receiver runs.
    fn send_to(&self, receiver: &Receiver, args: &[&str], input: &str) -> Output {
        let url = receiver.url().to_string();
        let args = [&["--to", &url, "--key", "sender.pem"], args].concat();
        tokio::task::block_in_place(|| self.send(&args, input))
    }

    fn key_list(&self) -> KeyList {
        let listed = self.send(&["key", "list", "sender.pem"], "");
        serde_json::from_slice(&listed.stdout).expect("a key list")
    }

    async fn receiver(&self) -> Receiver {
        Receiver::start(self.key_list(), Limits { body_bytes: 200_000, records: 20 }).await
    }
}

fn data(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn talk(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

#[test]
fn a_key_that_exists_is_never_overwritten() {
    let desk = Desk::new();
    let before = std::fs::read(desk.key()).expect("there");
    let again = desk.send(&["key", "generate", "--out", "sender.pem"], "");
    assert_eq!(again.status.code(), Some(1));
    assert!(talk(&again).contains("hint:"), "{}", talk(&again));
    assert_eq!(std::fs::read(desk.key()).expect("there"), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_from_standard_input_are_reported_and_not_repeated() {
    let desk = Desk::new();
    let receiver = desk.receiver().await;
    let sent = desk.send_to(&receiver, &["--from", "-"], "marked-one\nmarked-two\n");
    assert!(sent.status.success(), "{}", talk(&sent));
    assert!(talk(&sent).contains("2 records: 204 No Content"), "{}", talk(&sent));
    assert!(!talk(&sent).contains("marked") && !data(&sent).contains("marked"));
    assert_eq!((receiver.accepted(), receiver.records()), (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_fails_the_command_and_says_what_to_look_at() {
    let desk = Desk::new();
    let stranger = Receiver::start(KeyList::default(), Limits::default()).await;
    let refused = desk.send_to(&stranger, &["--token", "t"], "");
    assert_eq!(refused.status.code(), Some(1));
    assert!(talk(&refused).contains("hint: the receiver does not know this key"), "{}", talk(&refused));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_is_reported_for_machines() {
    let desk = Desk::new();
    let receiver = desk.receiver().await;
    let sent = desk.send_to(&receiver, &["--count", "20", "--records", "2", "--presign", "--json"], "");
    assert!(sent.status.success(), "{}", talk(&sent));
    let report: serde_json::Value = serde_json::from_slice(&sent.stdout).expect("JSON");
    assert_eq!((report["accepted"].as_u64(), report["accepted_records"].as_u64()), (Some(20), Some(40)));
    assert!(report["latency_ms"]["p99"].as_f64() > Some(0.0));
    assert_eq!(receiver.records(), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_on_another_machine_is_refused_before_anything_is_sent() {
    let desk = Desk::new();
    let args = ["--to", "http://192.0.2.1/", "--key", "sender.pem", "--count", "101"];
    let refused = tokio::task::block_in_place(|| desk.send(&args, ""));
    assert_eq!(refused.status.code(), Some(2));
    assert!(talk(&refused).contains("--allow-remote"), "{}", talk(&refused));
}

const CORRUPT_ALL: &[&str] = &["--corrupt", "all", "--max-body", "200000B", "--max-records", "20"];

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_receiver_passes_every_form() {
    let desk = Desk::new();
    let receiver = desk.receiver().await;
    let tried = desk.send_to(&receiver, CORRUPT_ALL, "");
    assert!(tried.status.success(), "{}\n{}", data(&tried), talk(&tried));
    assert!(talk(&tried).contains("checks, all as expected"), "{}", talk(&tried));
    assert!(!data(&tried).contains("unexpected"), "{}", data(&tried));
    let listed = desk.send(&["--list-forms", "--json"], "");
    let forms = data(&listed).lines().count();
    // The good delivery, and the question whether refusals differ.
    assert!(talk(&tried).contains(&format!("\n{} checks, ", forms + 2)), "{}", talk(&tried));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_takes_anything_is_found_out() {
    let desk = Desk::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let anything = Router::new().fallback(|| async { "thank you" });
    let task = tokio::spawn(async move { axum::serve(listener, anything).await });
    let args = [&["--to", &url, "--key", "sender.pem", "--json"], CORRUPT_ALL].concat();
    let tried = tokio::task::block_in_place(|| desk.send(&args, ""));
    task.abort();
    assert_eq!(tried.status.code(), Some(1));
    let rows = data(&tried);
    let unexpected = |form: &str| {
        let row = rows.lines().find(|row| row.contains(&format!("\"form\":\"{form}\""))).expect("a row");
        row.contains("\"ok\":false")
    };
    for form in ["bit-flip-body", "wrong-key", "p1363", "no-headers", "empty-body", "many-records"] {
        assert!(unexpected(form), "{form} was let through");
    }
    assert!(!unexpected("good") && !unexpected("high-s"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_refuses_the_good_delivery_ends_the_trial() {
    let desk = Desk::new();
    let stranger = Receiver::start(KeyList::default(), Limits::default()).await;
    let tried = desk.send_to(&stranger, CORRUPT_ALL, "");
    assert_eq!(tried.status.code(), Some(1));
    assert_eq!(data(&tried).lines().count(), 1, "refusals prove nothing then: {}", data(&tried));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_list_is_served_until_the_process_is_told_to_end() {
    let desk = Desk::new();
    let mut command = desk.command();
    command.args(["--serve-keys", "127.0.0.1:0", "--key", "sender.pem"]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("started");
    // Held open: a command whose output nobody reads any more ends.
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let url = lines.by_ref().map_while(Result::ok).find_map(|line| Some(line.split_once("= \"http")?.1.to_owned()));
    let url = format!("http{}", url.expect("the address").trim_end_matches('"'));
    let list: KeyList = reqwest_of().get(url).send().await.expect("an answer").json().await.expect("a list");
    assert_eq!(list, desk.key_list());
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("told");
    assert!(child.wait().expect("ended").success());
}

fn reqwest_of() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().build().expect("a client")
}

#[test]
fn half_a_command_is_refused_with_the_next_thing_to_do() {
    let desk = Desk::new();
    let keyless = desk.send(&["--to", "http://127.0.0.1:1/"], "");
    assert_eq!(keyless.status.code(), Some(2));
    assert!(talk(&keyless).contains("hint: give `--key FILE`"), "{}", talk(&keyless));
    let unknown = desk.send(&["--to", "http://127.0.0.1:1/", "--key", "sender.pem", "--corrupt", "bit-flop"], "");
    assert_eq!(unknown.status.code(), Some(2));
    assert!(!Path::new("sender.pem").exists(), "nothing is written beside the tests");
}
