//! Promise 4, "no secret at rest in clear": marked tokens go through every path, good and bad, with the log at its
//! loudest, and the process is killed while tokens are sealed. Afterwards they are looked for wherever bytes stay.

use std::path::PathBuf;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::rngs::{StdRng, SysRng};
use rand::{RngExt as _, SeedableRng as _};
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue};
use serde_json::{Value, json};
use sqlx::Connection as _;
use stanch::send::{Courier, Generator, HeaderNames, KeyPair, Message, Signer};

use crate::issuer::Mood;
use crate::process::{Installation, Kind, PATIENCE, Process, eventually};
use crate::sentinel::Sentinel;

/// A second reporter that gets the tokens back, and headers of its own.
const EXTRA: &str = r#"
[origin.partner]
key_id_header = "partner-key-identifier"
signature_header = "partner-key-signature"
key_url = "{key_url}"
feedback = "raw"
"#;

const LOUD: (&str, &str) = ("STANCH_LOG", "trace");

/// The tokens of the test, made up anew for every run, and everything that anybody was told.
struct Trial {
    world: Installation,
    /// The random part of each token.
    secrets: Vec<String>,
    told: Vec<(String, Vec<u8>)>,
    rng: StdRng,
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_at_rest_on_sqlite() {
    no_secret_is_at_rest(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_at_rest_on_postgres() {
    no_secret_is_at_rest(Kind::Postgres).await;
}

async fn no_secret_is_at_rest(kind: Kind) {
    let mut trial = Trial::new(kind).await;
    let (first, here) = (trial.random(), trial.minted("ci-upload"));
    let (live, dead) = (trial.remote("t1"), trial.remote("t2"));
    trial.world.issuer.kill(&dead);

    // An issuer and a mail server that quote what they refuse.
    trial.world.issuer.behave(Mood::EchoesInItsErrors);
    trial.world.smtp.misbehave("message echo");
    let serving = trial.world.start_with(&["serve"], &[LOUD]);
    assert_no_core_is_ever_written(&serving);
    trial.report_everything(&serving, &here, &live, &dead, &first).await;
    trial.knock_at_every_door(&serving, &here, &live).await;
    eventually("the issuer quoted what it was asked", async || trial.world.issuer.asked().len() >= 3).await;
    trial.tell("log of the first process", serving.kill().await.join("\n"));
    trial.assert_nothing_on_disk("with tokens sealed and the process killed").await;
    assert!(trial.world.left().await.1 > 0, "tokens were sealed while it was looked for them");

    // From now on the issuer calls each token by its own text.
    trial.world.issuer.behave(Mood::NamesTheTokenByItsText);
    let doom = [LOUD, ("STANCH_CRASH_AT", "revoke.before_call"), ("STANCH_CONCURRENCY", "1")];
    let doomed = trial.world.start_with(&["serve"], &doom);
    trial.tell("log of the second process", doomed.crashed().await.join("\n"));
    trial.assert_nothing_on_disk("with a token opened and the process killed").await;

    let last = trial.world.start_with(&["serve"], &[LOUD]);
    let refused = async || last.log().iter().any(|line| line.contains("the mail server answered 451 (4.7.1)"));
    eventually("the mail server quoted the mail", refused).await;
    trial.world.smtp.behave();
    trial.world.settle(&last, 6).await;
    for path in ["/metrics", "/readyz", "/livez", "/startupz"] {
        trial.get(&last, path, &[]).await;
    }
    trial.ask_the_operators_questions();
    trial.tell("log of the last process", last.stop().await.join("\n"));

    let mails = trial.world.smtp.mails();
    assert!(mails.iter().any(|mail| mail.text.contains("[token withheld]")), "the issuer's name for it was the token");
    for mail in &mails {
        let decoded = [&mail.subject, &mail.text, &mail.html].map(String::as_str).join("\n");
        trial.tell("a mail", format!("{}\n{decoded}", mail.raw));
    }
    trial.assert_nothing_on_disk("in the end").await;
    trial.assert_nothing_was_told();
    assert_eq!(trial.world.left().await, (0, 0), "nothing waits, nothing is sealed");
}

/// Without it, everything above would hold for a search that looks in the wrong places.
async fn what_is_planted_is_found(kind: Kind) {
    let mut trial = Trial::new(kind).await;
    trial.world.may_leave_work("what is searched is the database of work that is under way");
    let serving = trial.world.serve();
    let (planted, token) = (trial.random(), trial.remote("t1"));
    trial.world.issuer.behave(Mood::StaysSilent);
    let record = json!([{ "token": token, "type": "acme_token", "url": format!("https://example.org/{planted}") }]);
    let accepted = trial.world.post(serving.addr(), record.to_string().into()).await.expect("an answer");
    assert_eq!(accepted.status, 200);
    trial.tell("a place that is searched", STANDARD.encode(&planted));
    serving.kill().await;
    assert_eq!(trial.sentinel().found_in("told", &trial.told[0].1).len(), 1);
    let found = trial.found_on_disk().await;
    assert!(!found.is_empty(), "an address is kept as it was sent, so it must be found");
    if kind == Kind::Postgres {
        assert!(found.iter().any(|place| place.starts_with("pg_dump")), "{found:?}");
        assert!(found.iter().any(|place| place.contains("/pg_wal/")), "{found:?}");
    } else {
        assert!(found.iter().any(|place| place.contains("stanch.db-wal")), "{found:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_planted_is_found_on_sqlite() {
    what_is_planted_is_found(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_planted_is_found_on_postgres() {
    what_is_planted_is_found(Kind::Postgres).await;
}

impl Trial {
    async fn new(kind: Kind) -> Self {
        let world = Installation::with(kind, "").await;
        let extra = EXTRA.replace("{key_url}", &world.keys.url());
        world.configure("[issuer.acme]\n", &format!("{extra}[issuer.acme]\n"));
        let rng = StdRng::try_from_rng(&mut SysRng).expect("randomness");
        Self { world, secrets: Vec::new(), told: Vec::new(), rng }
    }

    /// A secret of 32 letters and digits.
    fn random(&mut self) -> String {
        let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let secret: String = (0..32).map(|_| char::from(letters[self.rng.random_range(0..letters.len())])).collect();
        self.secrets.push(secret.clone());
        secret
    }

    /// A token that the issuer elsewhere issued; with an empty id, one that it did not.
    fn remote(&mut self, id: &str) -> String {
        let token = format!("acme_{}", self.random());
        if !id.is_empty() {
            self.world.issuer.issue(&token, id, "grace@example.org");
        }
        token
    }

    /// A token of the built-in issuer. What `token create` says beside it is kept for the search.
    fn minted(&mut self, name: &str) -> String {
        let arguments = ["token", "create", "--owner-email", "ada@example.org", "--owner-name", "Ada", "--name", name];
        let made = self.world.stanch(&arguments);
        self.told.push(("standard error of token create".into(), made.stderr));
        let token = String::from_utf8(made.stdout).expect("text").trim().to_owned();
        self.keep(&token);
        token
    }

    /// Remembers the random part of a token of the built-in form.
    fn keep(&mut self, token: &str) {
        let random = token.strip_prefix("stanch_pat_").expect("the usual prefix");
        self.secrets.push(random[..32].to_owned());
    }

    fn tell(&mut self, name: impl Into<String>, text: impl Into<Vec<u8>>) {
        self.told.push((name.into(), text.into()));
    }

    /// One delivery with everything in it that a record may carry.
    async fn report_everything(&mut self, to: &Process, here: &str, live: &str, dead: &str, odd: &str) {
        let old = self.minted("last-year");
        let listed = self.world.stanch(&["token", "list", "--json"]);
        let listed: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
        let named = |token: &&Value| token["name"] == "last-year";
        let id = listed.as_array().and_then(|all| all.iter().find(named)).expect("it was minted")["id"].clone();
        assert!(self.world.stanch(&["token", "revoke", id.as_str().expect("text")]).status.success());
        let unissued = Generator::new("stanch", "t", &mut self.rng).record().token;
        self.keep(&unissued);
        let (unknown, beside) = (self.remote(""), self.remote(""));
        let page = |query: &str| format!("https://ada:{query}@example.org/a?key={query}&again={query}#{query}");
        let record = |token: &str, about: &str| json!({ "token": token, "type": about, "url": page(about), "source": format!(" {about} ") });
        let body = json!([
            record(here, here),
            record(&format!("  'Authorization: Bearer {here}'\r\n"), live),
            record(&format!("Basic {}", STANDARD.encode(format!("__token__:{here}"))), &beside),
            record(&old, &old),
            record(&unissued, &unissued),
            record(live, live),
            record(&format!("token {live}"), &format!("{}{live}", "-".repeat(1_010))),
            record(dead, dead),
            record(&unknown, &beside),
            record(odd, odd),
            record(&format!("{odd} {}", "long ".repeat(4_000)), odd),
            { "type": odd, "url": odd, "source": odd, odd: odd },
            { "token": null, "url": odd },
            { "token": { odd: odd }, "type": odd },
            { "token": 7, "type": [odd], "url": { "a": odd } },
            [odd],
            odd,
        ]);
        let answer = self.world.post(to.addr(), body.to_string().into()).await.expect("an answer");
        assert_eq!(answer.status, 200);
        self.tell("answer with hashes", answer.body.to_vec());

        // The one answer that may hold a token: to a reporter that asked for it.
        let partner = HeaderNames {
            key_id: HeaderName::from_static("partner-key-identifier"),
            signature: HeaderName::from_static("partner-key-signature"),
        };
        let key = KeyPair::generate(&mut StdRng::seed_from_u64(1)).expect("a key");
        let message = Signer::new(key).with_headers(partner).message(json!([record(here, "t")]).to_string().into());
        let answer = self.post(to, message).await.expect("an answer");
        assert!(String::from_utf8_lossy(&answer).contains(here), "asked for, so given");
    }

    /// Everything that is refused, and everything that can be asked.
    async fn knock_at_every_door(&mut self, at: &Process, here: &str, live: &str) {
        let body = json!([{ "token": live, "type": "t" }]).to_string();
        let signed = |text: String| self.world.signer.message(text.into());
        let mut forged = signed(body.clone());
        forged.body = format!("{body} ").into();
        let mut compressed = signed(body.clone());
        compressed.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        let mut named = signed(body.clone());
        named.headers.insert(CONTENT_TYPE, HeaderValue::try_from(format!("text/{live}")).expect("a value"));
        let mut odd_key = signed(body.clone());
        let key_id = HeaderName::from_static("github-public-key-identifier");
        odd_key.headers.insert(key_id, HeaderValue::try_from(live).expect("a value"));
        let broken = signed(format!("[{{\"token\":\"{live}\",\"{live}\":"));
        let object = signed(json!({ "token": live, live: live }).to_string());
        let large = signed(format!("[{body}{}]", format!(",\"{live}\"").repeat(200_000)));
        let stranger = Message::post(body.into());
        for (name, message, expected) in [
            ("a forged body", forged, 401),
            ("a key id that is a token", odd_key, 401),
            ("a compressed body", compressed, 415),
            ("another type of content", named, 415),
            ("broken JSON", broken, 400),
            ("no array", object, 400),
            ("a large body", large, 413),
            ("no headers", stranger, 404),
        ] {
            let headers = message.headers.clone();
            let request = client().post(at.url("/webhooks/github")).headers(headers).body(message.body);
            // A server that refuses by the announced length need not wait for the body.
            let Ok(answer) = request.send().await else { continue };
            assert_eq!(answer.status().as_u16(), expected, "{name}");
            self.keep_answer(name, answer).await;
        }
        for token in [here.to_owned(), live.to_owned(), format!("{here}x"), STANDARD.encode(here)] {
            for scheme in ["Bearer", "token", "Basic"] {
                let value = format!("{scheme} {token}");
                self.get(at, "/api/v1/self", &[("authorization", &value), ("cookie", &value)]).await;
            }
            self.get(at, &format!("/{token}?{token}"), &[("x-request-id", &token), ("referer", &token)]).await;
            self.get(at, &format!("/webhooks/github?{token}"), &[("user-agent", &token)]).await;
        }
    }

    async fn post(&self, to: &Process, message: Message) -> Option<Vec<u8>> {
        let url = to.url("/webhooks/github").parse().expect("a URL");
        let answer = Courier::new(url, PATIENCE).expect("a client").post(message).await.ok()?;
        Some(answer.body.to_vec())
    }

    async fn get(&mut self, from: &Process, path: &str, headers: &[(&str, &str)]) {
        let mut request = client().get(from.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.keep_answer(path, request.send().await.expect("an answer")).await;
    }

    async fn keep_answer(&mut self, name: &str, answer: reqwest::Response) {
        let mut kept = format!("{:?}\n", answer.headers()).into_bytes();
        kept.extend(answer.bytes().await.expect("a body"));
        self.tell(format!("answer to {name}"), kept);
    }

    fn ask_the_operators_questions(&mut self) {
        let mut questions: Vec<Vec<String>> =
            ["doctor", "doctor --json", "config show", "config check", "keys list", "token list", "incident list"]
                .map(|line| line.split(' ').map(str::to_owned).collect())
                .into();
        for incident in self.world.incidents() {
            let id = incident["id"].as_str().expect("text").to_owned();
            questions.push(vec!["incident".into(), "show".into(), id.clone()]);
            questions.push(vec!["incident".into(), "show".into(), "--json".into(), id]);
        }
        for question in questions {
            let output = self.world.stanch(&question.iter().map(String::as_str).collect::<Vec<_>>());
            self.tell(question.join(" "), [output.stdout, output.stderr].concat());
        }
    }

    fn sentinel(&self) -> Sentinel {
        Sentinel::new(&self.secrets)
    }

    fn assert_nothing_was_told(&self) {
        let sentinel = self.sentinel();
        let found: Vec<String> = self.told.iter().flat_map(|(name, text)| sentinel.found_in(name, text)).collect();
        assert!(found.is_empty(), "{found:#?}");
    }

    async fn assert_nothing_on_disk(&self, when: &str) {
        let found = self.found_on_disk().await;
        assert!(found.is_empty(), "{when}: {found:#?}");
    }

    /// Searches the folder of the installation, and the database: SQLite's files, or what PostgreSQL dumps, its files of
    /// this database, and its log of writes.
    async fn found_on_disk(&self) -> Vec<String> {
        let sentinel = self.sentinel();
        let mut found = sentinel.found_below(self.world.folder.path());
        if let Some(file) = self.world.db.file() {
            found.extend(sentinel.found_below(file.parent().expect("a folder")));
            return found;
        }
        let mut connection = sqlx::PgConnection::connect(&self.world.db.url()).await.expect("the server answers");
        let mut one = async |sql: &'static str| {
            sqlx::query_scalar::<_, String>(sql).fetch_one(&mut connection).await.expect("a text")
        };
        let data = PathBuf::from(one("SELECT current_setting('data_directory')").await);
        let ours = one("SELECT oid::text FROM pg_database WHERE datname = current_database()").await;
        let programs = PathBuf::from(one("SELECT setting FROM pg_config WHERE name = 'BINDIR'").await);
        let dump = Command::new(programs.join("pg_dump")).arg(self.world.db.url()).output().expect("pg_dump starts");
        assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
        assert!(dump.stdout.len() > 1_000, "a dump of everything");
        found.extend(sentinel.found_in("pg_dump", &dump.stdout));
        for folder in [data.join("base").join(ours), data.join("pg_wal"), data.join("global"), data.join("log")] {
            found.extend(sentinel.found_below(&folder));
        }
        let log = std::fs::read(data.join("server.log")).unwrap_or_default();
        found.extend(sentinel.found_in("server.log", &log));
        found
    }
}

fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().expect("a client")
}

fn assert_no_core_is_ever_written(process: &Process) {
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", process.id())).expect("a process of ours");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("listed");
    let sizes: Vec<&str> = core.split_ascii_whitespace().skip(4).take(2).collect();
    assert_eq!(sizes, ["0", "0"], "{core}");
}
