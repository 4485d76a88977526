//! Tokens that magic-api-proxy gave out go on behind our proxy: made here by OpenSSL as that program made them, shown to
//! the real program in front of a real upstream, narrowed as theirs were not, and dead within two seconds of a leak.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use stanch::clock::Clock;

use crate::process::{Installation, Kind, Process, eventually, record};

on_both_databases! {
    old_tokens_open_what_they_name_and_die_of_a_leak: old_tokens_go_on();
}

const CREDENTIAL: &str = "the upstream's own credential";
const OWNER: &str = "proxy@example.org";

/// What the upstream was asked and with which credential.
type Heard = Arc<Mutex<Vec<(String, String)>>>;

async fn upstream() -> (Heard, String) {
    let heard = Heard::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let root = format!("http://{}/v3", listener.local_addr().expect("bound"));
    let answer = async |State(heard): State<Heard>, request: Request| {
        let authorization = request.headers()["authorization"].to_str().expect("text").to_owned();
        let asked = format!("{} {}", request.method(), request.uri());
        heard.lock().unwrap_or_else(PoisonError::into_inner).push((asked, authorization));
        "fine"
    };
    let routes = Router::new().fallback(answer).with_state(heard.clone());
    tokio::spawn(async move { axum::serve(listener, routes).await.expect("served") });
    (heard, root)
}

/// The program whose tokens go on.
struct OldProxy {
    key: PathBuf,
}

impl OldProxy {
    fn new(folder: &Path, name: &str) -> Self {
        let key = folder.join(name);
        openssl(&["genrsa", "-out", key.to_str().expect("UTF-8"), "2048"], b"");
        Self { key }
    }

    fn key(&self) -> &str {
        self.key.to_str().expect("UTF-8")
    }

    /// The credential as a claim: RSA-OAEP with SHA-256, in base64.
    fn sealed(&self) -> String {
        let padding = ["rsa_padding_mode:oaep", "rsa_oaep_md:sha256", "rsa_mgf1_md:sha256"];
        let mut arguments = vec!["pkeyutl", "-encrypt", "-inkey", self.key()];
        arguments.extend(padding.iter().flat_map(|option| ["-pkeyopt", option]));
        STANDARD.encode(openssl(&arguments, CREDENTIAL.as_bytes()))
    }

    fn signed(&self, claims: &Value) -> String {
        let header = URL_SAFE_NO_PAD.encode(r#"{"typ": "JWT", "alg": "RS256"}"#);
        let text = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = openssl(&["dgst", "-sha256", "-sign", self.key()], text.as_bytes());
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// A token issued `age` seconds ago, with these claims beside.
    fn token(&self, age: i64, claims: Value) -> String {
        let iat = Clock::system().now().as_millis() / 1_000 - age;
        let mut all = json!({ "iat": iat, "exp": iat + 157_680_000, "token": self.sealed(), "scopes": null });
        let Value::Object(claims) = claims else { panic!("an object") };
        all.as_object_mut().expect("an object").extend(claims);
        all.as_object_mut().expect("an object").retain(|_, value| *value != json!("none"));
        self.signed(&all)
    }
}

fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut command = Command::new("openssl");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("openssl is there; `tests/run` installs it");
    child.stdin.take().expect("piped").write_all(input).expect("taken");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// What the record of such a token is called.
fn name_of(token: &str) -> String {
    let sha256 = Sha256::digest(token.as_bytes());
    sha256.iter().take(6).fold("magic-api-proxy ".to_owned(), |name, byte| name + &format!("{byte:02x}"))
}

/// Where the proxy listens by itself.
async fn proxy_of(serving: &Process) -> String {
    let mut found = None;
    eventually("the proxy listens", async || {
        let line = serving.log().into_iter().find(|line| line.contains("the magic proxy on http"));
        let event = line.and_then(|line| serde_json::from_str::<Value>(&line).ok());
        found = event.and_then(|event| event["addr"].as_str().map(str::to_owned));
        found.is_some()
    })
    .await;
    format!("http://{}", found.expect("found above"))
}

async fn ask(client: &Client, method: Method, url: String, token: &str) -> u16 {
    // Without a scheme before it, as clients of that program may show it.
    client.request(method, url).header("authorization", token).send().await.expect("an answer").status().as_u16()
}

/// Tokens that are not to be accepted, and why.
fn unacceptable(old: &OldProxy, stranger: &OldProxy, good: &str) -> Vec<(&'static str, String)> {
    let all = || json!({ "allowed": ["* .*"] });
    let (signed, signature) = good.rsplit_once('.').expect("three parts");
    let other_claims = old.token(0, all());
    let unsigned = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"none"}"#);
    let (_, claims) = signed.split_once('.').expect("three parts");
    vec![
        ("another key", stranger.token(0, all())),
        ("over for five seconds", old.token(157_680_005, all())),
        ("issued in a minute", old.token(-60, all())),
        ("another token's signature", format!("{}.{signature}", other_claims.rsplit_once('.').expect("parts").0)),
        ("no signature", format!("{unsigned}.{claims}.")),
        ("padded", format!("{good}==")),
        ("sealed for another key", old.token(0, json!({ "token": stranger.sealed(), "allowed": ["* .*"] }))),
        ("no end", old.token(0, json!({ "exp": "none", "allowed": ["* .*"] }))),
    ]
}

async fn old_tokens_go_on(kind: Kind) {
    let (heard, root) = upstream().await;
    let extra = format!(
        "[proxy]\nlisten = \"127.0.0.1:0\"\nmount = \"api\"\n\
         [proxy.upstream.api]\nroot = \"{root}\"\nallow_http = true\nallow_private = true\n\
         [proxy.upstream.api.scope.issues]\nallow = [\"GET /repos/*/*/issues\"]\n\
         [proxy.upstream.api.magic_api_proxy]\nkey_file = \"private_key.pem\"\nowner = \"{OWNER}\"\n"
    );
    let world = Installation::with(kind, &extra).await;
    let old = OldProxy::new(world.folder.path(), "private_key.pem");
    let stranger = OldProxy::new(world.folder.path(), "another.pem");
    let doctor = world.stanch(&["doctor"]);
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(
        said.contains("tokens of magic-api-proxy for upstream api are read with an RSA key of 2048 bits"),
        "{said}"
    );

    let serving = world.serve();
    let proxy = proxy_of(&serving).await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder().no_proxy().build().expect("a client");
    let get = async |path: &str, token: &str| ask(&client, Method::GET, format!("{proxy}{path}"), token).await;

    // What the tokens name is open, and nothing that their patterns also opened there.
    let used = old.token(100, json!({ "allowed": ["GET /user", "GET /repos/o/.+?/issues", "PUT (unreadable"] }));
    let scoped = old.token(100, json!({ "scopes": ["issues", "taken-away"] }));
    let parents = old.token(100, json!({ "token": "none", "github_token": old.sealed(), "scopes": ["GET /user"] }));
    assert_eq!((get("/user?page=2", &used).await, get("/user", &format!("Bearer {used}")).await), (200, 200));
    assert_eq!(
        heard.lock().unwrap_or_else(PoisonError::into_inner).first(),
        Some(&("GET /v3/user?page=2".to_owned(), format!("Bearer {CREDENTIAL}")))
    );
    assert_eq!((get("/repos/o/r/issues", &used).await, get("/repos/o/r/issues", &scoped).await), (200, 200));
    assert_eq!((get("/user", &parents).await, get("/user", &scoped).await), (200, 403));
    for path in ["/users/alice/keys", "/USER", "/repos/o/r/issues/1/lock", "/"] {
        assert_eq!(get(path, &used).await, 403, "{path}");
    }
    assert_eq!(ask(&client, Method::POST, format!("{proxy}/user"), &used).await, 403);
    // Beside the API there is no proxy any more, and in the proxy no API.
    assert_eq!(ask(&client, Method::GET, serving.url("/proxy/api/user"), &used).await, 404);
    assert_eq!(get("/proxy/api/user", &used).await, 200, "and under its name it is there as well");
    assert_eq!(get("/api/v1/self", &used).await, 403, "a path of the upstream that the token does not name");

    // What is not signed by the key, has ended, has not begun, or is spelled otherwise opens nothing.
    let heard_before = heard.lock().unwrap_or_else(PoisonError::into_inner).len();
    for (what, token) in unacceptable(&old, &stranger, &used) {
        assert_eq!(get("/user", &token).await, 401, "{what}");
    }
    assert_eq!(heard.lock().unwrap_or_else(PoisonError::into_inner).len(), heard_before, "nothing of it was sent on");

    // From the first use on it is a token like any other: listed, counted, and rotated into one of ours.
    let listed = world.stanch(&["token", "list", "--json", "--kind", "magic"]);
    let text = String::from_utf8(listed.stdout).expect("text");
    assert!(!text.contains(CREDENTIAL), "no credential in a list");
    let listed: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    let find = |token: &str| listed.iter().find(|it| it["name"] == name_of(token)).cloned();
    let record_of_it = find(&used).unwrap_or_else(|| panic!("not listed: {text}"));
    assert_eq!((&record_of_it["upstream"], &record_of_it["created_by"]), (&json!("api"), &json!("magic-api-proxy")));
    let id = find(&scoped).expect("listed")["id"].as_str().expect("text").to_owned();
    let rotated = world.stanch(&["token", "rotate", &id]);
    let ours = String::from_utf8(rotated.stdout).expect("text").trim().to_owned();
    assert!(ours.starts_with("stanch_mgc_"), "{}", String::from_utf8_lossy(&rotated.stderr));
    assert_eq!((get("/repos/o/r/issues", &ours).await, get("/user", &ours).await), (200, 403));

    let (_, signature) = used.rsplit_once('.').expect("three parts");
    // A leak kills one that was used and one that nobody has shown here yet, however the reporter spells it.
    let never_shown = old.token(50, json!({ "allowed": ["GET /user"] }));
    let records = [
        record(&format!("Authorization: Bearer {used}"), "https://example.org/1"),
        record(&format!("{never_shown}=="), "https://example.org/2"),
        record(&stranger.token(0, json!({ "allowed": ["* .*"] })), "https://example.org/3"),
    ];
    let reported = Instant::now();
    assert_eq!(world.deliver(serving.addr(), &records).await.expect("an answer").status, 200);
    for token in [&used, &never_shown] {
        eventually("the token is refused", async || get("/user", token).await == 401).await;
        assert!(reported.elapsed().as_secs() < 2, "it lived on for {:?}", reported.elapsed());
    }
    world.settle(&serving, 3).await;
    for token in [&used, &never_shown] {
        let incident = world.incident_of(&name_of(token));
        assert!(incident["revoked_at"].is_string(), "{incident}");
    }
    let mails = world.smtp.mails();
    // In one mail or in two: that depends on how soon one is revoked after the other.
    for token in [&used, &never_shown] {
        let told = mails.iter().filter(|mail| mail.to == [OWNER] && mail.text.contains(&name_of(token)));
        assert_eq!(told.count(), 1, "{}", name_of(token));
    }
    assert!(mails.iter().all(|mail| !mail.raw.contains(signature)), "no token in a mail");
    assert_eq!(get("/user", &parents).await, 200, "its neighbours live");
    let log = serving.stop().await.join("\n");
    assert!(!log.contains(CREDENTIAL) && !log.contains(signature), "neither is in the log, at its loudest");

    // Whoever takes the key away takes its tokens away; what was made of them here stays.
    let table = format!("[proxy.upstream.api.magic_api_proxy]\nkey_file = \"private_key.pem\"\nowner = \"{OWNER}\"\n");
    world.configure(&table, "");
    let serving = world.serve();
    let proxy = proxy_of(&serving).await;
    let get = async |path: &str, token: &str| ask(&client, Method::GET, format!("{proxy}{path}"), token).await;
    assert_eq!((get("/user", &parents).await, get("/repos/o/r/issues", &ours).await), (401, 200));
    serving.stop().await;
}
