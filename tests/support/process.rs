//! The real program as its users run it: one installation with everything around it, and processes that can be killed.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use reqwest::Url;
use serde_json::{Value, json};
use stanch::send::{Answer, Courier, Failure, KeyPair, KeyServer, Signer};

use super::db::TestDb;
use super::issuer::{CREDENTIAL, FakeIssuer};
use super::smtp::SmtpServer;

/// Longest time that anything a test waits for may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Budgets that no test reaches by accident.
const WIDE_BRAKE: &str = "[brake]\nper_issuer = 100000\nall = 100000\nhigh_impact = 100000\n\n";

/// Which database an installation uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Postgres,
    Sqlite,
}

/// One installation: a folder with configuration and keys, a database, a mail server, an issuer elsewhere, and GitHub.
pub struct Installation {
    pub db: TestDb,
    pub folder: tempfile::TempDir,
    pub smtp: SmtpServer,
    pub issuer: FakeIssuer,
    pub keys: KeyServer,
    pub signer: Signer,
    /// Why work may be left when the test ends.
    may_leave: OnceLock<&'static str>,
}

impl Installation {
    pub async fn new(kind: Kind) -> Self {
        Self::with(kind, "").await
    }

    /// `extra` is appended to the configuration.
    pub async fn with(kind: Kind, extra: &str) -> Self {
        let db = match kind {
            Kind::Postgres => TestDb::postgres().await,
            Kind::Sqlite => TestDb::sqlite(),
        };
        Self::on(db, extra).await
    }

    /// On this database.
    pub async fn on(db: TestDb, extra: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the installation");
        let (smtp, issuer) = (SmtpServer::start(&["--security", "none"]), FakeIssuer::start().await);
        let signer = Signer::new(KeyPair::generate(&mut StdRng::seed_from_u64(1)).expect("a key"));
        let keys = KeyServer::start(loopback(), &signer.key_list()).await.expect("loopback has a free port");
        let installation = Self { db, folder, smtp, issuer, keys, signer, may_leave: OnceLock::new() };
        installation.write_config(extra);
        let made = installation.stanch(&["init", "--dir", &installation.path("").to_string_lossy()]);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        installation
    }

    /// Work may be left when this test ends: it is about the time before it is done.
    #[track_caller]
    pub fn may_leave_work(&self, because: &'static str) {
        assert!(!because.is_empty(), "say why");
        let _ = self.may_leave.set(because);
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write_config(&self, extra: &str) {
        let credential = self.path("issuer-credential");
        fs::write(&credential, CREDENTIAL).expect("a file");
        private(&credential);
        let text = format!(
            r#"data = "data"

[server]
listen = "127.0.0.1:0"
lame_duck = "0s"

[database]
url = "{database}"

[origin.github]
key_url = "{key_url}"
feedback = "hash"

[issuer.acme]
kinds = ["acme-token"]
[issuer.acme.http]
base_url = "http://{issuer}/api/"
authentication = "bearer"
credential_file = "issuer-credential"
allow_http = true
allow_private = true
[issuer.acme.http.verify]
method = "POST"
path = "/verify"
json = {{ token = "{{token}}" }}
fields = {{ token_id = "/token/id", token_name = "/token/name", owner_email = "/owner/email" }}
[issuer.acme.http.revoke]
method = "DELETE"
path = "/tokens/{{id}}"
headers = {{ idempotency-key = "{{incident_id}}" }}

[kind.acme-token]
name = "Acme API token"
issuer = "Acme"
shape = "acme_{{b62:32}}"

[mail]
product = "Example Registry"
from = "Example Registry <security@registry.example>"
contact = "security@registry.example"
[mail.smtp]
host = "127.0.0.1"
port = {smtp}
encryption = "none"

[work]
lease = "3s"
poll_every = "100ms"
backoff_cap = "2s"
gather = "1s"

{brake}[log]
format = "json"
level = "info,stanch=trace"
{extra}
"#,
            database = self.db.url(),
            key_url = self.keys.url(),
            issuer = self.issuer.address(),
            smtp = self.smtp.port(),
            // Tests that are not about the brake are not to meet it.
            brake = if extra.contains("[brake]") { "" } else { WIDE_BRAKE },
        );
        fs::write(self.path("stanch.toml"), text).expect("a file");
    }

    /// Changes the configuration of what is started from now on.
    pub fn configure(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.path("stanch.toml")).expect("written above");
        assert_eq!(text.matches(from).count(), 1, "`{from}` stands in the configuration once");
        fs::write(self.path("stanch.toml"), text.replace(from, to)).expect("a file");
    }

    /// A command line in this installation, ready to be added to.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stanch"));
        command.env_clear().env("PATH", "/usr/bin:/bin").current_dir(self.folder.path());
        command.arg("--config").arg(self.path("stanch.toml"));
        command
    }

    /// Runs a command to its end.
    pub fn stanch(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).output().expect("the program starts")
    }

    /// Starts `stanch serve` and waits until it listens.
    pub fn serve(&self) -> Process {
        self.start(&["serve"], None)
    }

    /// As [`Installation::serve`], but the process kills itself at this crash point.
    pub fn serve_until(&self, point: &str) -> Process {
        self.start(&["serve"], Some(point))
    }

    pub fn start(&self, arguments: &[&str], crash_at: Option<&str>) -> Process {
        // One job at a time, or another would be caught between its call and its commit by the same death.
        let doom = crash_at.map(|point| [("STANCH_CRASH_AT", point), ("STANCH_CONCURRENCY", "1")]);
        self.start_with(arguments, doom.as_ref().map_or(&[], |doom| doom))
    }

    /// Starts a command that listens or works, with these variables in its environment.
    pub fn start_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Process {
        let mut command = self.command();
        command.args(arguments).envs(variables.iter().copied());
        Process::start(command)
    }

    /// Mints a personal access token, of which its owner hears nothing; returns its text.
    pub fn mint(&self, name: &str, email: &str) -> String {
        self.create(&["--owner", email, "--owner-name", "Ada", "--name", name, "--no-mail"])
    }

    /// Makes a token of the built-in issuer; returns its text.
    pub fn create(&self, rest: &[&str]) -> String {
        let made = self.stanch(&[&["token", "create"], rest].concat());
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        String::from_utf8(made.stdout).expect("text").trim().to_owned()
    }

    /// Signs and posts records as GitHub would.
    pub async fn deliver(&self, to: SocketAddr, records: &[Value]) -> Result<Answer, Failure> {
        let body = serde_json::to_vec(records).expect("plain data");
        self.post(to, body).await
    }

    pub async fn post(&self, to: SocketAddr, body: Vec<u8>) -> Result<Answer, Failure> {
        let url = Url::parse(&format!("http://{to}/webhooks/github")).expect("a URL");
        let courier = Courier::new(url, Duration::from_secs(30)).expect("a client");
        courier.post(self.signer.message(body.into())).await
    }

    /// Signs and posts all bodies at the same time; the answers are in their order.
    pub async fn post_all(&self, to: SocketAddr, bodies: impl IntoIterator<Item = Vec<u8>>) -> Vec<Answer> {
        let url = Url::parse(&format!("http://{to}/webhooks/github")).expect("a URL");
        let courier = Arc::new(Courier::new(url, PATIENCE).expect("a client"));
        let posted = bodies.into_iter().map(|body| {
            let (courier, message) = (Arc::clone(&courier), self.signer.message(body.into()));
            tokio::spawn(async move { courier.post(message).await })
        });
        let mut answers = Vec::new();
        for answer in posted.collect::<Vec<_>>() {
            answers.push(answer.await.expect("no panic").expect("an answer"));
        }
        answers
    }

    /// The incidents as `stanch incident list --json` shows them, by the name of their token.
    pub fn incidents(&self) -> Vec<Value> {
        self.list(&[])
    }

    /// Those that are in this state.
    pub fn incidents_in(&self, state: &str) -> Vec<Value> {
        self.list(&["--state", state])
    }

    fn list(&self, filter: &[&str]) -> Vec<Value> {
        let listed = self.stanch(&[&["incident", "list", "--limit", "1000", "--json"], filter].concat());
        assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
        match serde_json::from_slice(&listed.stdout).expect("JSON") {
            Value::Array(incidents) => incidents,
            other => panic!("a list, not {other}"),
        }
    }

    /// All that `stanch incident show` tells about the incident of the token that its issuer calls so.
    pub fn incident_of(&self, token_id: &str) -> Value {
        let incidents = self.incidents();
        let of = |incident: &&Value| [&incident["token"]["id"], &incident["token"]["name"]].contains(&&json!(token_id));
        let incident = incidents.iter().find(of).unwrap_or_else(|| panic!("no incident of {token_id}: {incidents:#?}"));
        let shown = self.stanch(&["incident", "show", "--json", incident["id"].as_str().expect("text")]);
        assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
        serde_json::from_slice(&shown.stdout).expect("JSON")
    }

    /// How many rows of `jobs` and `secrets` are left, and how many incidents are in each state.
    pub async fn left(&self) -> (i64, i64) {
        (self.db.number("SELECT count(*) FROM jobs").await, self.db.number("SELECT count(*) FROM secrets").await)
    }

    /// Waits until every incident is over, `count` of them.
    pub async fn settle(&self, process: &Process, count: i64) {
        let open = "SELECT count(*) FROM incidents WHERE state <> 'closed'";
        let closed =
            async || self.db.number("SELECT count(*) FROM incidents").await == count && self.db.number(open).await == 0;
        if !within(PATIENCE, closed).await {
            let log = process.log().join("\n");
            panic!("{count} incidents should be closed: {:#?}\n{log}", self.incidents());
        }
    }

    /// Waits until every incident is over, except `count` of this state.
    pub async fn settle_but(&self, process: &Process, state: &str, count: i64) {
        let left = "SELECT count(*) FROM incidents WHERE state <> 'closed'";
        let of_state = format!("SELECT count(*) FROM incidents WHERE state = '{state}'");
        let settled = async || self.db.number(left).await == count && self.db.number(&of_state).await == count;
        let settled = within(PATIENCE, settled).await;
        assert!(settled, "all but {count} are closed: {:#?}\n{}", self.incidents(), process.log().join("\n"));
    }

    /// How many mails each address got, one entry for each Message-ID.
    pub fn mails(&self) -> BTreeMap<String, BTreeMap<String, usize>> {
        let mut mails: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
        for mail in self.smtp.mails() {
            let id = mail.header("Message-ID").expect("every mail has one").to_owned();
            for recipient in &mail.to {
                *mails.entry(recipient.clone()).or_default().entry(id.clone()).or_default() += 1;
            }
        }
        mails
    }
}

/// A test that passes has done its work: nothing that was accepted still waits for a step, no mail is unsent.
impl Drop for Installation {
    fn drop(&mut self) {
        if std::thread::panicking() || self.may_leave.get().is_some() {
            return;
        }
        let left = std::thread::scope(|scope| scope.spawn(|| left_over(&self.db)).join());
        let left = left.expect("the database answers; a test that took it away says `may_leave_work`");
        assert_eq!(left, [0, 0, 0], "jobs, incidents that wait for a step, and unsent mails are left over");
    }
}

fn left_over(db: &TestDb) -> Vec<i64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    // A test that never started the program has no tables, and nothing left.
    let tables = match db.file() {
        Some(file) if !file.exists() => return vec![0; 3],
        Some(_) => "SELECT count(*) FROM sqlite_master WHERE name = 'jobs'",
        None => "SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tablename = 'jobs'",
    };
    runtime.block_on(async {
        if db.number(tables).await == 0 {
            return vec![0; 3];
        }
        db.numbers(&[
            "SELECT count(*) FROM jobs",
            "SELECT count(*) FROM incidents WHERE state NOT IN ('closed', 'held', 'stuck')",
            "SELECT count(*) FROM notices WHERE state = 'pending'",
        ])
        .await
    })
}

/// A running process of the program. It is killed when this value is dropped.
pub struct Process {
    child: Child,
    pub addr: Option<SocketAddr>,
    log: Arc<Mutex<Vec<String>>>,
}

impl Process {
    /// Starts a command of [`Installation::command`] and waits until it listens or works.
    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let log = Arc::new(Mutex::new(Vec::new()));
        let (said, keep) = (child.stderr.take().expect("piped"), Arc::clone(&log));
        // Read to the end, or a full pipe would stop the process.
        std::thread::spawn(move || {
            for line in BufReader::new(said).lines().map_while(Result::ok) {
                keep.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        let mut process = Self { child, addr: None, log };
        process.wait_for_start();
        process
    }

    fn wait_for_start(&mut self) {
        let end = Instant::now() + PATIENCE;
        loop {
            for line in self.log() {
                let Ok(event) = serde_json::from_str::<Value>(&line) else { continue };
                let message = event["message"].as_str().unwrap_or_default();
                if message.starts_with("listening on") {
                    self.addr = event["addr"].as_str().and_then(|addr| addr.parse().ok());
                    return;
                }
                if message == "working" {
                    return;
                }
            }
            let ended = self.child.try_wait().expect("our child");
            assert!(ended.is_none(), "ended with {ended:?}:\n{}", self.log().join("\n"));
            assert!(Instant::now() < end, "did not start:\n{}", self.log().join("\n"));
            std::thread::yield_now();
        }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr.expect("it serves")
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr())
    }

    /// Asks for a page such as `/readyz`.
    pub async fn get(&self, path: &str) -> (u16, String) {
        self.try_get(path).await.expect("an answer")
    }

    pub async fn try_get(&self, path: &str) -> Option<(u16, String)> {
        // The client wants one even where no TLS is spoken; refused if there is one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().expect("a client");
        let response = client.get(self.url(path)).send().await.ok()?;
        Some((response.status().as_u16(), response.text().await.ok()?))
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether a line of this level with this text was logged.
    pub fn said(&self, level: &str, text: &str) -> bool {
        self.log().iter().any(|line| line.contains(&format!("\"level\":\"{level}\"")) && line.contains(text))
    }

    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until the process has killed itself at its crash point.
    pub async fn crashed(mut self) -> Vec<String> {
        let status = self.ended().await;
        assert_eq!(status.signal(), Some(9), "killed at its crash point:\n{}", self.log().join("\n"));
        self.log()
    }

    /// `kill -9`.
    pub async fn kill(mut self) -> Vec<String> {
        self.child.kill().expect("our child");
        self.ended().await;
        self.log()
    }

    /// Sends a signal: `TERM`, `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("/bin/kill").arg(format!("-{name}")).arg(self.id().to_string()).status();
        assert!(sent.expect("kill(1) is there").success());
    }

    /// SIGTERM, and the wait for a good end.
    pub async fn stop(self) -> Vec<String> {
        self.signal("TERM");
        self.ended_well().await
    }

    /// The wait for a good end.
    pub async fn ended_well(mut self) -> Vec<String> {
        let status = self.ended().await;
        assert!(status.success(), "ended with {status}:\n{}", self.log().join("\n"));
        self.log()
    }

    async fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        let child = &mut self.child;
        eventually("the process ends", async || {
            status = child.try_wait().expect("our child");
            status.is_some()
        })
        .await;
        status.expect("it ended")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until `holds` does; there is no clock to move in another process.
pub async fn eventually(what: &str, holds: impl AsyncFnMut() -> bool) {
    assert!(within(PATIENCE, holds).await, "within {} s: {what}", PATIENCE.as_secs());
}

/// Whether `holds` becomes true in this time.
pub async fn within(span: Duration, mut holds: impl AsyncFnMut() -> bool) -> bool {
    let end = Instant::now() + span;
    let mut looks = tokio::time::interval(Duration::from_millis(50));
    while Instant::now() < end {
        looks.tick().await;
        if holds().await {
            return true;
        }
    }
    false
}

/// A record as GitHub sends it.
pub fn record(token: &str, url: &str) -> Value {
    json!({ "token": token, "type": "acme_token", "url": url, "source": "commit" })
}

/// A token of the issuer elsewhere, different for every `seed` and made at run time.
pub fn acme_token(seed: u32) -> String {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut state = u64::from(seed).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut text = String::from("acme_");
    for _ in 0..32 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push(char::from(letters[usize::try_from(state >> 33).expect("31 bits") % letters.len()]));
    }
    text
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn private(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("our file");
}
