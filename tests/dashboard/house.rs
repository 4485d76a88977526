//! An installation with a dashboard: its first admin, and what happened in it.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::process::{Installation, Kind, PATIENCE, Process, acme_token, record, within};

pub const PASSWORD: &str = "correct horse battery staple";

/// A running installation.
pub struct House {
    pub installation: Installation,
    pub process: Process,
    /// `http://127.0.0.1:PORT`.
    pub base: String,
}

/// What strangers write: markup, schemes, writing direction, controls, and far too much of it.
pub const HOSTILE: &[&str] = &[
    "javascript:alert(document.domain)",
    "data:text/html,<script>alert(1)</script>",
    "https://github.com/\"><img src=x onerror=alert(1)>",
    "https://github.com@evil.example/\u{202e}gpj.exe",
    "</title></textarea><script src=//evil.example></script>",
    "=HYPERLINK(\"https://evil.example\")",
    "nul\u{0}bell\u{7}escape\u{1b}[31m\r\nSet-Cookie: a=b",
    "{{7*7}} ${7*7} <%= 7*7 %>",
];

impl House {
    pub async fn open() -> Self {
        Self::with("").await
    }

    /// `extra` is appended to the configuration.
    pub async fn with(extra: &str) -> Self {
        let installation = Installation::with(Kind::Sqlite, extra).await;
        let process = installation.serve();
        let base = format!("http://{}", process.addr.expect("it listens"));
        Self { installation, process, base }
    }

    /// The link that makes the first admin, as `serve` says it.
    pub async fn bootstrap_link(&self) -> String {
        let mut link = None;
        let said = within(PATIENCE, async || {
            let words = self.process.log().join(" ");
            link = words.split_whitespace().find(|word| word.contains("/dashboard/welcome/")).map(str::to_owned);
            link.is_some()
        });
        assert!(said.await, "serve says the link");
        link.expect("found above")
    }

    /// Adds an operator who has chosen [`PASSWORD`], without a browser.
    pub async fn operator(&self, name: &str, role: &str) {
        let added = self.installation.stanch(&["operator", "add", name, "--role", role]);
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
        let link = String::from_utf8(added.stdout).expect("text");
        let token = link.trim().rsplit('/').next().expect("a link");
        let url = format!("{}/dashboard/welcome/{token}", self.base);
        let form = [("name", name), ("password", PASSWORD), ("again", PASSWORD)];
        let chosen = client().post(url).header("sec-fetch-site", "same-origin").form(&form).send().await;
        assert_eq!(chosen.expect("an answer").status(), 303, "{name} chose a password");
    }

    /// Signs in with the form and gives `Cookie` and the session's token for forms.
    pub async fn sign_in(&self, name: &str) -> (String, String) {
        let form = [("name", name), ("password", PASSWORD), ("next", "/dashboard")];
        let request = client().post(format!("{}/dashboard/sign-in", self.base)).form(&form);
        let answer = request.header("sec-fetch-site", "same-origin").send().await.expect("an answer");
        assert_eq!(answer.status(), 303, "{name} signs in");
        let cookie =
            answer.headers()["set-cookie"].to_str().expect("text").split(';').next().expect("a pair").to_owned();
        let page = client().get(format!("{}/dashboard", self.base)).header("cookie", &cookie).send().await;
        let page = page.expect("an answer").text().await.expect("text");
        let csrf = page.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
        (cookie, csrf.expect("the page has a form").to_owned())
    }

    /// The first admin chooses a name and a password in the browser.
    pub async fn set_up(&self, browser: &Browser<'_>) {
        browser.open(&self.bootstrap_link().await).await;
        browser.fill("input[name=name]", "ada").await;
        browser.fill("input[name=password]", PASSWORD).await;
        browser.fill("input[name=again]", PASSWORD).await;
        browser.follow("form button").await;
        assert_eq!(browser.url().await, format!("{}/dashboard", self.base));
    }

    /// Reports tokens: `live` ones that are revoked and mailed, one that is dead, one nobody can be told about.
    pub async fn report_all(&self, live: u32) {
        let (installation, to) = (&self.installation, self.process.addr.expect("it listens"));
        let mut records = Vec::new();
        for seed in 0..live {
            let token = acme_token(seed);
            installation.issuer.issue(&token, &format!("token-{seed}"), "owner@example.org");
            let url = HOSTILE[seed as usize % HOSTILE.len()];
            records.push(record(&token, url));
        }
        records.push(record(&acme_token(900), "https://github.com/ada/engine/blob/main/ci.yml#L3"));
        records.push(record(&acme_token(901), &"long".repeat(2_560)));
        installation.issuer.issue(&acme_token(901), "token-901", "");
        let answer = installation.deliver(to, &records).await.expect("an answer");
        assert!(answer.status.is_success(), "{}", answer.status);
        let count = i64::from(live) + 1;
        let done = async || {
            let closed = "SELECT count(*) FROM incidents WHERE state = 'closed'";
            let stuck = "SELECT count(*) FROM incidents WHERE state = 'stuck'";
            installation.db.number(closed).await >= count && installation.db.number(stuck).await >= 1
        };
        assert!(within(PATIENCE, done).await, "all is done: {:#?}", installation.incidents());
    }

    /// Writes what strangers may have an issuer tell into every incident.
    pub async fn make_hostile(&self) {
        for (index, incident) in self.installation.incidents().iter().enumerate() {
            let Some(id) = incident["id"].as_str() else { continue };
            let text = HOSTILE[index % HOSTILE.len()].replace('\u{0}', "");
            let long = if index == 0 { "very long ".repeat(1_024) } else { String::new() };
            let token = json!({
                "id": text, "name": format!("{text}{long}"), "scopes": [text, "upload"], "created_at": null,
                "last_used_at": null, "expires_at": null,
                "owner": { "id": "1", "name": text, "email": "owner@example.org" },
            });
            let token = token.to_string().replace('\'', "''");
            let sql = format!("UPDATE incidents SET token = '{token}', reason = reason || '<b>x' WHERE id = '{id}'");
            self.installation.db.run(&sql).await;
        }
    }

    /// How many things browsers had to block.
    pub async fn blocked(&self) -> u64 {
        let metrics = client().get(format!("{}/metrics", self.base)).send().await.expect("an answer");
        let text = metrics.text().await.expect("text");
        let lines = text.lines().filter(|line| line.starts_with("stanch_csp_reports_total"));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }

    pub fn incident_of(&self, token_id: &str) -> String {
        self.installation.incident_of(token_id)["id"].as_str().expect("an id").to_owned()
    }

    pub fn newest_incident(&self) -> String {
        self.installation.incidents().first().and_then(|it| it["id"].as_str()).expect("there is one").to_owned()
    }

    pub fn incident_in(&self, state: &str) -> String {
        let incidents: Vec<Value> = self.installation.incidents_in(state);
        incidents.first().and_then(|it| it["id"].as_str()).unwrap_or_else(|| panic!("none is {state}")).to_owned()
    }
}

pub fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client")
}

/// Where pictures go, for people to look at.
pub fn picture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/screenshots").join(format!("{name}.png"))
}
