//! The demo: one command, no preparation, the whole story, and nothing left behind.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use regex_automata::meta::Regex;

use crate::process::within;

/// What is different in every run, and what stands for it.
const REDACTED: &[(&str, &str)] = &[
    (r"(dlv|inc|ntc)_[0-9a-z]{26}", "${1}_ID"),
    (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
    (r"\S+/stanch-demo-\w+", "FOLDER"),
    (r"stanch_pat_…\w{4}", "stanch_pat_…HINT"),
    (r"Ends in:    \w{4}", "Ends in:    HINT"),
    (r"[0-9a-f]{16}…", "HASH…"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "DATE"),
    (r"Date: .*", "Date: DATE"),
    // How long it took decides where the line ends.
    (r"Revoked:    DATE, [^\n]*?after the\s+(\|\s+)?report", "Revoked:    DATE, N seconds after the report"),
    (r"(less than )?\d+(\.\d)? seconds", "N seconds"),
    (r"(?-u:\b)\d+(\.\d+)? (ms|s)(?-u:\b)", "SPAN"),
];

fn demo(folder: &std::path::Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stanch"));
    command.env_clear().env("PATH", "/usr/bin:/bin").env("TMPDIR", folder).current_dir(folder);
    command.arg("demo").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn the_demo_tells_the_story_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = demo(folder.path()).arg("--exit").output().expect("the program starts");
    let (said, complained) = (String::from_utf8(output.stdout), String::from_utf8(output.stderr));
    assert!(output.status.success(), "{}: {complained:?}", output.status);
    assert_eq!(complained.as_deref(), Ok(""), "no warning in a story that goes well");
    insta::assert_snapshot!(redacted(&said.expect("text")));
    assert_eq!(left_in(folder.path()), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_serves_on_until_it_is_told_to_stop() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut child = demo(folder.path()).spawn().expect("the program starts");
    let mut said = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
    let serves_on = said.by_ref().find_map(|line| Some(line.strip_prefix("  stanch serves on        ")?.to_owned()));
    let url = serves_on.expect("it says where");
    assert!(said.by_ref().any(|line| line.starts_with("Still serving")), "it says that it goes on");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let answer = client.get(format!("{url}/livez")).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);

    let sent = Command::new("/bin/kill").arg("-TERM").arg(child.id().to_string()).status();
    assert!(sent.expect("kill(1) is there").success());
    let mut status = None;
    let ended = within(Duration::from_secs(25), async || {
        status = child.try_wait().expect("our child");
        status.is_some()
    });
    assert!(ended.await, "it drains within 20 s");
    let mut complained = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut complained).expect("text");
    assert!(status.is_some_and(|status| status.success()), "{status:?}: {complained}");
    assert_eq!(left_in(folder.path()), Vec::<String>::new());
}

fn left_in(folder: &std::path::Path) -> Vec<String> {
    let entries = folder.read_dir().expect("ours").map(|entry| entry.expect("readable").file_name());
    entries.map(|name| name.to_string_lossy().into_owned()).collect()
}

fn redacted(said: &str) -> String {
    let mut text = said.to_owned();
    for (pattern, instead) in REDACTED {
        let pattern = Regex::new(pattern).expect("a pattern");
        let mut next = String::new();
        let mut end = 0;
        for found in pattern.captures_iter(&text) {
            let span = found.get_match().expect("it matched").span();
            next.push_str(&text[end..span.start]);
            found.interpolate_string_into(&text, instead, &mut next);
            end = span.end;
        }
        next.push_str(&text[end..]);
        text = next;
    }
    // Places that were reported in one millisecond are in no order.
    let lines: Vec<&str> = text.lines().collect();
    let mut places: Vec<String> =
        lines.windows(2).filter(|two| two[0].starts_with("  |   - ")).map(|two| two.join("\n")).collect();
    places.sort();
    let (mut sorted, mut skip) = (Vec::new(), 0);
    for line in lines {
        if line.starts_with("  |   - ") {
            sorted.push(places.remove(0));
            skip = 1;
        } else if skip > 0 {
            skip -= 1;
        } else {
            sorted.push(line.to_owned());
        }
    }
    sorted.join("\n")
}
