//! Every token that stanch issues dies the same way, whatever its kind: reported by a signed delivery to the real program
//! it is revoked, its owner hears of it, and its next use is refused.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Instant;

use sha2::{Digest as _, Sha256};

use crate::process::{Installation, Kind, eventually, record};

on_both_databases! {
    a_leak_of_each_kind_is_revoked_mailed_and_refused: each_kind_dies();
}

async fn each_kind_dies(kind: Kind) {
    let extra = "[issuer.builtin]\napi_keys_file = \"service-keys\"\napi_keys_owner = \"brought@example.org\"\n";
    let world = Installation::with(kind, extra).await;
    // A key without any shape, as a container's secret would hold it.
    let brought = "correct.Horse=battery/staple".repeat(2);
    std::fs::write(world.path("service-keys"), format!("{brought}\n")).expect("written");
    std::fs::set_permissions(world.path("service-keys"), Permissions::from_mode(0o600)).expect("its own");
    std::fs::write(world.path("credential"), "an upstream's own credential").expect("written");
    let credential = world.path("credential");
    let credential = credential.to_str().expect("UTF-8");
    let magic = ["--upstream", "dns", "--allow", "GET /zones/*", "--credential-file", credential];
    let kinds: [(&str, &[&str]); 4] = [("key", &[]), ("macaroon", &[]), ("magic", &magic), ("pat", &[])];
    let mut tokens: Vec<(String, String)> = kinds
        .iter()
        .map(|(kind, rest)| {
            let owner = format!("{kind}@example.org");
            let base = ["--kind", kind, "--owner", &owner, "--owner-name", "Ada", "--name", kind, "--no-mail"];
            ((*kind).to_owned(), world.create(&[&base, *rest].concat()))
        })
        .collect();
    tokens.push(("brought".into(), brought));
    let serving = world.serve();
    let client = {
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder().no_proxy().build().expect("a client")
    };
    let status = async |token: &str| {
        let asked = client.get(serving.url("/api/v1/self")).bearer_auth(token).send().await;
        asked.expect("an answer").status().as_u16()
    };
    for (kind, token) in &tokens {
        assert_eq!(status(token).await, 200, "{kind} opens the door");
    }
    let reported_as = |kind: &str, token: &str| match kind {
        "brought" => format!("curl -H 'X-API-Key: {token}'"),
        _ => token.to_owned(),
    };
    let records: Vec<_> = tokens
        .iter()
        .map(|(kind, token)| record(&reported_as(kind, token), &format!("https://example.org/{kind}")))
        .collect();
    let reported = Instant::now();
    assert_eq!(world.deliver(serving.addr(), &records).await.expect("an answer").status, 200);
    for (kind, token) in &tokens {
        eventually("the token is refused", async || status(token).await == 401).await;
        assert!(reported.elapsed().as_secs() < 2, "{kind} lived on for {:?}", reported.elapsed());
    }
    world.settle(&serving, 5).await;
    for (kind, token) in &tokens {
        let name = match kind.as_str() {
            // Whoever finds it leaked is told where it stands, by a name that shows nothing of it.
            "brought" => {
                let sha256 = Sha256::digest(token.as_bytes());
                format!("key {:02x}{:02x}{:02x}{:02x} of service-keys", sha256[0], sha256[1], sha256[2], sha256[3])
            }
            kind => kind.to_owned(),
        };
        let incident = world.incident_of(&name);
        assert!(incident["revoked_at"].is_string(), "{kind}: {incident}");
        assert_eq!(incident["token"]["last_used_from"], "127.0.0.0/24", "{kind}: {incident}");
        assert!(incident["token"]["used_after_report"].is_boolean(), "{kind}: {incident}");
        let mails = world.smtp.mails();
        let told = mails.iter().filter(|mail| mail.to == [format!("{kind}@example.org")]).count();
        assert_eq!(told, 1, "one mail about the {kind}");
        let of_it = mails.iter().find(|mail| mail.to == [format!("{kind}@example.org")]).expect("counted above");
        assert!(of_it.raw.contains("Exposure"), "whether it was used since: {}", of_it.raw);
        assert!(mails.iter().all(|mail| !mail.raw.contains(token.as_str())), "and no token in it");
    }
    // A second report finds it dead, and nobody is mailed again.
    assert_eq!(world.deliver(serving.addr(), &records[..1]).await.expect("an answer").status, 200);
    assert_eq!(world.smtp.mails().len(), 5);
    serving.stop().await;
}

/// Whoever comes from another program keeps its prefix, and its tokens.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_under_another_programs_prefix_are_made_taken_over_and_die() {
    let extra = "[issuer.builtin]\nprefix = \"ro\"\nforeign_shapes = [\"ro_pat_{b62:32}\"]\n";
    let world = Installation::with(Kind::Sqlite, extra).await;
    let ours = world.create(&["--owner", "new@example.org", "--owner-name", "Ada", "--name", "new", "--no-mail"]);
    assert!(ours.starts_with("ro_pat_") && ours.len() == "ro_pat_".len() + 38, "{} characters", ours.len());
    // As rushomon has them: no checksum, and kept as a hash that is taken over.
    let theirs = format!("ro_{}_{}", "pat", "0123456789ABCDEFGHIJKLMNOPQRSTUV");
    let sha256 = "fa4668d84157c13643afd7e098cbdab4cb9e7c0d8654066b38e24e5ed9825ba3";
    let import = ["token", "import", "--sha256", sha256, "--owner", "old@example.org", "--owner-name", "Bob", "--name"];
    assert!(world.stanch(&[&import[..], &["old"]].concat()).status.success());
    let serving = world.serve();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let status = async |token: &str| {
        let asked = client.get(serving.url("/api/v1/self")).bearer_auth(token).send().await;
        asked.expect("an answer").status().as_u16()
    };
    assert_eq!((status(&ours).await, status(&theirs).await, status(&ours[..44]).await), (200, 200, 401));
    let records = [record(&ours, "https://example.org/1"), record(&format!("key={theirs};"), "https://example.org/2")];
    let reported = Instant::now();
    assert_eq!(world.deliver(serving.addr(), &records).await.expect("an answer").status, 200);
    for token in [&ours, &theirs] {
        eventually("the token is refused", async || status(token).await == 401).await;
        assert!(reported.elapsed().as_secs() < 2, "it lived on for {:?}", reported.elapsed());
    }
    world.settle(&serving, 2).await;
    for (name, owner) in [("new", "new@example.org"), ("old", "old@example.org")] {
        assert!(world.incident_of(name)["revoked_at"].is_string(), "{name}");
        assert_eq!(world.smtp.mails().iter().filter(|mail| mail.to == [owner]).count(), 1, "{name}");
    }
    serving.stop().await;
}
