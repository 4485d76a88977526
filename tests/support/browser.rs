//! A real browser: Chromium, driven by chromedriver over `WebDriver` (<https://www.w3.org/TR/webdriver2/>).

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::process::{PATIENCE, within};

/// One chromedriver process; its browsers end with it.
pub struct Driver {
    child: Child,
    url: String,
    client: reqwest::Client,
    profiles: tempfile::TempDir,
}

/// One browser with a profile of its own.
pub struct Browser<'d> {
    driver: &'d Driver,
    id: String,
}

/// How a browser looks at a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    pub width: u32,
    pub height: u32,
    pub dark: bool,
}

pub const DESKTOP: Look = Look { width: 1280, height: 900, dark: false };
pub const PHONE: Look = Look { width: 390, height: 844, dark: false };

/// How long an element of a page that is still being opened is waited for.
const ELEMENT_WAIT_MS: u64 = 2_000;

/// The key under which `WebDriver` names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

impl Driver {
    pub fn start() -> Self {
        let mut child = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("chromedriver is installed: tests/run does it");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let port = lines.find_map(|line| {
            let rest = line.split("started successfully on port ").nth(1)?;
            rest.trim_end_matches('.').parse::<u16>().ok()
        });
        std::thread::spawn(move || lines.for_each(drop));
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().timeout(Duration::from_mins(1)).build().expect("a client");
        let url = format!("http://127.0.0.1:{}", port.expect("it says its port"));
        Self { child, url, client, profiles: tempfile::tempdir().expect("a folder for profiles") }
    }

    pub async fn browser(&self, look: Look, script: Script) -> Browser<'_> {
        let profile = tempfile::Builder::new().tempdir_in(&self.profiles).expect("a folder").keep();
        let flags = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--force-prefers-reduced-motion",
            // A bar beside the page would be cut out of its pictures.
            "--hide-scrollbars",
        ];
        let mut arguments: Vec<String> = flags.map(str::to_owned).into();
        arguments.push(format!("--user-data-dir={}", profile.display()));
        let mut options = json!({ "args": arguments });
        if script == Script::Off {
            options["prefs"] = json!({ "profile.managed_default_content_settings.javascript": 2 });
        }
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": options, "unhandledPromptBehavior": "accept",
            // An element of a page that is still being opened is waited for.
            "timeouts": { "implicit": ELEMENT_WAIT_MS },
        } } });
        let session = self.call("POST", "/session", Some(wanted)).await;
        let browser = Browser { driver: self, id: session["sessionId"].as_str().expect("an id").to_owned() };
        browser.look(look).await;
        browser
    }

    async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let value = self.ask(method, path, body).await;
        assert!(value.get("error").is_none(), "{path}: {value:#}");
        value
    }

    /// As [`call`](Self::call), with an error as the driver told it.
    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let method = method.parse().expect("a method");
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let mut answer: Value = request.send().await.expect("an answer").json().await.expect("JSON");
        answer["value"].take()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Browsers are in its group. They outlive it, and a test that failed has not ended its own.
        let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", self.child.id())]).status();
        let _ = self.child.wait();
    }
}

/// Whether pages may run scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    Off,
    On,
}

impl Browser<'_> {
    async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        self.driver.call(method, &format!("/session/{}{path}", self.id), body).await
    }

    async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.call("POST", "/goog/cdp/execute", Some(body)).await
    }

    pub async fn look(&self, look: Look) {
        let Look { width, height, dark } = look;
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", media).await;
    }

    pub async fn open(&self, url: &str) {
        self.call("POST", "/url", Some(json!({ "url": url }))).await;
    }

    pub async fn url(&self) -> String {
        self.call("GET", "/url", None).await.as_str().expect("a URL").to_owned()
    }

    pub async fn source(&self) -> String {
        self.call("GET", "/source", None).await.as_str().expect("text").to_owned()
    }

    /// The text that is seen.
    pub async fn text(&self, css: &str) -> String {
        self.with_element(css, "GET", "text", None).await.as_str().expect("text").to_owned()
    }

    /// Whether the page has such an element now. What is not there is not waited for.
    pub async fn has(&self, css: &str) -> bool {
        self.wait_for_elements(0).await;
        let found = self.call("POST", "/elements", Some(json!({ "using": "css selector", "value": css }))).await;
        self.wait_for_elements(ELEMENT_WAIT_MS).await;
        !found.as_array().expect("a list").is_empty()
    }

    async fn wait_for_elements(&self, at_most_ms: u64) {
        self.call("POST", "/timeouts", Some(json!({ "implicit": at_most_ms }))).await;
    }

    pub async fn click(&self, css: &str) {
        self.with_element(css, "POST", "click", Some(json!({}))).await;
    }

    /// Clicks on what leads to another page, and comes back when the old page is gone. A click alone may come back before
    /// that, and what is asked next would be answered by the old page.
    pub async fn follow(&self, css: &str) {
        let page = format!("/session/{}/element/{}/name", self.id, self.find("html").await);
        self.click(css).await;
        let gone = async || {
            let told = self.driver.ask("GET", &page, None).await;
            matches!(told.get("error").and_then(Value::as_str), Some("stale element reference" | "no such element"))
        };
        assert!(within(PATIENCE, gone).await, "{css} leads to another page");
    }

    pub async fn fill(&self, css: &str, text: &str) {
        self.with_element(css, "POST", "clear", Some(json!({}))).await;
        self.with_element(css, "POST", "value", Some(json!({ "text": text }))).await;
    }

    /// Chooses an option of a list by its value.
    pub async fn choose(&self, css: &str, value: &str) {
        self.click(&format!("{css} option[value='{value}']")).await;
    }

    /// Presses keys where the focus is.
    pub async fn press(&self, keys: &str) {
        let mut actions = Vec::new();
        for key in keys.chars().map(String::from) {
            actions.push(json!({ "type": "keyDown", "value": key }));
            actions.push(json!({ "type": "keyUp", "value": key }));
        }
        let body = json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": actions }] });
        self.call("POST", "/actions", Some(body)).await;
    }

    /// Runs a script in the page and gives what it returns.
    pub async fn run(&self, script: &str) -> Value {
        self.call("POST", "/execute/sync", Some(json!({ "script": script, "args": [] }))).await
    }

    /// Runs a script that calls its last argument when it is done.
    pub async fn run_async(&self, script: &str) -> Value {
        self.call("POST", "/execute/async", Some(json!({ "script": script, "args": [] }))).await
    }

    /// A picture of the whole page, for people.
    pub async fn picture(&self, path: &Path) {
        let layout = self.devtools("Page.getLayoutMetrics", json!({})).await;
        let size = &layout["cssContentSize"];
        let height = size["height"].as_f64().unwrap_or(900.0).min(3_000.0);
        self.clip(path, json!({ "x": 0, "y": 0, "width": size["width"], "height": height, "scale": 1 })).await;
    }

    /// A picture of the page's beginning, as large as the window.
    pub async fn picture_of_window(&self, path: &Path, (width, height): (u32, u32)) {
        self.clip(path, json!({ "x": 0, "y": 0, "width": width, "height": height, "scale": 1 })).await;
    }

    async fn clip(&self, path: &Path, clip: Value) {
        let shot = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let shot = self.devtools("Page.captureScreenshot", shot).await;
        let png = BASE64.decode(shot["data"].as_str().expect("a picture")).expect("base64");
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder for pictures");
        std::fs::write(path, png).expect("a file");
    }

    pub async fn quit(self) {
        self.call("DELETE", "", None).await;
    }

    /// Does something with an element. A live page may replace it between finding and doing: then it is found again.
    async fn with_element(&self, css: &str, method: &str, what: &str, body: Option<Value>) -> Value {
        for _ in 0..10 {
            let path = format!("/session/{}/element/{}/{what}", self.id, self.find(css).await);
            let value = self.driver.ask(method, &path, body.clone()).await;
            if value.get("error").and_then(Value::as_str) != Some("stale element reference") {
                assert!(value.get("error").is_none(), "{what} of {css}: {value:#}");
                return value;
            }
        }
        panic!("{css} never stays");
    }

    async fn find(&self, css: &str) -> String {
        let found = self.call("POST", "/element", Some(json!({ "using": "css selector", "value": css }))).await;
        found[ELEMENT].as_str().expect("an element").to_owned()
    }
}
