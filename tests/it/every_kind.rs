//! Every token that stanch issues dies the same way, whatever its kind: reported by a signed delivery to the real program
//! it is revoked, its owner hears of it, and its next use is refused.

use std::time::Instant;

use crate::process::{Installation, Kind, eventually, record};

on_both_databases! {
    a_leak_of_each_kind_is_revoked_mailed_and_refused: each_kind_dies();
}

async fn each_kind_dies(kind: Kind) {
    let world = Installation::new(kind).await;
    std::fs::write(world.path("credential"), "an upstream's own credential").expect("written");
    let credential = world.path("credential");
    let credential = credential.to_str().expect("UTF-8");
    let magic = ["--upstream", "dns", "--allow", "GET /zones/*", "--credential-file", credential];
    let kinds: [(&str, &[&str]); 4] = [("key", &[]), ("macaroon", &[]), ("magic", &magic), ("pat", &[])];
    let tokens: Vec<(String, String)> = kinds
        .iter()
        .map(|(kind, rest)| {
            let owner = format!("{kind}@example.org");
            let base = ["--kind", kind, "--owner", &owner, "--owner-name", "Ada", "--name", kind, "--no-mail"];
            ((*kind).to_owned(), world.create(&[&base, *rest].concat()))
        })
        .collect();
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
    let records: Vec<_> =
        tokens.iter().map(|(kind, token)| record(token, &format!("https://example.org/{kind}"))).collect();
    let reported = Instant::now();
    assert_eq!(world.deliver(serving.addr(), &records).await.expect("an answer").status, 200);
    for (kind, token) in &tokens {
        eventually("the token is refused", async || status(token).await == 401).await;
        assert!(reported.elapsed().as_secs() < 2, "{kind} lived on for {:?}", reported.elapsed());
    }
    world.settle(&serving, 4).await;
    for (kind, token) in &tokens {
        let incident = world.incident_of(kind);
        assert!(incident["revoked_at"].is_string(), "{kind}: {incident}");
        let mails = world.smtp.mails();
        let told = mails.iter().filter(|mail| mail.to == [format!("{kind}@example.org")]).count();
        assert_eq!(told, 1, "one mail about the {kind}");
        assert!(mails.iter().all(|mail| !mail.raw.contains(token.as_str())), "and no token in it");
    }
    // A second report finds it dead, and nobody is mailed again.
    assert_eq!(world.deliver(serving.addr(), &records[..1]).await.expect("an answer").status, 200);
    assert_eq!(world.smtp.mails().len(), 4);
    serving.stop().await;
}
