//! `stanch doctor`.

use std::sync::mpsc;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use stanch::send::{Fault, KeyPair, KeyServer, Signer};

use crate::stanch::Folder;

/// Each finding's part and health.
fn health(said: &crate::stanch::Said) -> Vec<(String, String)> {
    let findings = said.json();
    let word = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    findings.as_array().expect("a list").iter().map(|each| (word(&each["part"]), word(&each["health"]))).collect()
}

#[test]
fn a_fresh_installation_is_well_or_warned_about_in_words() {
    let folder = Folder::set_up();
    let said = folder.run(&["doctor"]).expect_code(0);
    for line in said.out.lines() {
        assert!(["ok    ", "warn  ", "      "].iter().any(|start| line.starts_with(start)), "{line}");
    }
    for words in
        ["ours alone", "seal key", "opens, its schema is current", "issuer builtin", "nobody may report a leak"]
    {
        assert!(said.out.contains(words), "no `{words}` in\n{}", said.out);
    }
    assert!(said.err.starts_with("nothing is wrong; warnings: "), "{}", said.err);
}

#[test]
fn a_refused_configuration_is_a_finding() {
    let folder = Folder::set_up();
    folder.configure("[work]\nlease = \"1h\"\n");
    let said = folder.run(&["doctor", "--json"]).expect_code(1);
    assert_eq!(health(&said), [("configuration".into(), "fail".into())]);
}

#[test]
fn what_is_broken_fails_and_the_rest_is_still_looked_at() {
    let folder = Folder::set_up();
    folder.chmod("stanch-data", 0o755);
    folder.chmod(&folder.key_file("seal-"), 0o644);
    folder.configure("[issuer.registry]\nkinds = [\"npm-access-token\"]\n\
         [issuer.registry.http]\nbase_url = \"http://127.0.0.1:1\"\nallow_http = true\nallow_private = true\npreset = \"oauth\"\n",
    );
    let said = folder.run(&["doctor", "--json"]).expect_code(1);
    let health = health(&said);
    for (part, expected) in [("data folder", "warn"), ("keys", "fail"), ("database", "fail"), ("mail", "warn")] {
        assert!(health.contains(&(part.into(), expected.into())), "{part}: {health:?}");
    }
    folder.chmod(&folder.key_file("seal-"), 0o600);
    let said = folder.run(&["doctor"]).expect_code(1);
    assert!(said.out.contains("fail  issuer registry"), "{}", said.out);
    assert!(said.err.starts_with("wrong: 1, "), "{}", said.err);
}

#[test]
fn a_reporters_key_endpoint_is_asked() {
    let folder = Folder::set_up();
    let (ready, address) = mpsc::channel();
    let (ask, asked) = tokio::sync::mpsc::unbounded_channel::<Fault>();
    let server = std::thread::spawn(move || serve_keys(&ready, asked));
    let url = address.recv().expect("the server starts");
    folder.configure(&format!("[origin.github]\nkey_url = \"{url}\"\n"));
    let said = folder.run(&["doctor"]).expect_code(0);
    assert!(said.out.contains("ok    origin github"), "{}", said.out);
    assert!(said.out.contains("keys fetched: 1"), "{}", said.out);
    ask.send("500".parse().expect("a status")).expect("the server runs");
    let said = folder.run(&["doctor"]).expect_code(1);
    assert!(said.out.contains("fail  origin github"), "{}", said.out);
    assert!(said.out.contains("the endpoint answered with status 500"), "{}", said.out);
    drop(ask);
    server.join().expect("it ends");
}

/// Serves one key, until there is nothing more to be asked for.
fn serve_keys(ready: &mpsc::Sender<String>, mut asked: tokio::sync::mpsc::UnboundedReceiver<Fault>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads");
    runtime.block_on(async {
        let key = KeyPair::generate(&mut StdRng::seed_from_u64(7)).expect("a key");
        let server = KeyServer::start(([127, 0, 0, 1], 0).into(), &Signer::new(key).key_list()).await.expect("a port");
        ready.send(server.url()).expect("somebody waits");
        while let Some(fault) = asked.recv().await {
            server.fail(fault);
        }
    });
}
