//! A mail server as a child process: `smtp_server.py`, its mails and its moods.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// Debian's interpreter first: the package belongs to it. Another one may have aiosmtpd from PyPI.
const PYTHONS: &[&str] = &["/usr/bin/python3", "python3"];

/// A running server. It dies with this value.
pub struct SmtpServer {
    child: Child,
    directory: TempDir,
    port: u16,
}

/// A mail the server took.
#[derive(Clone, Debug)]
pub struct ReceivedMail {
    pub from: String,
    pub to: Vec<String>,
    pub tls: bool,
    pub login: Option<String>,
    /// Subject and parts, decoded by another program than the one that wrote them.
    pub subject: String,
    pub text: String,
    pub html: String,
    /// The mail as it arrived.
    pub raw: String,
}

impl SmtpServer {
    /// Options as `smtp_server.py --help` lists them.
    pub fn start(options: &[&str]) -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let (child, port) = launch(directory.path(), options);
        Self { child, directory, port }
    }

    /// Ends the server: connections to its port are refused from now on.
    pub fn go_away(&mut self) {
        self.child.kill().expect("our child");
        self.child.wait().expect("our child");
    }

    /// Starts it again at the same port, with the mails it had.
    pub fn come_back(&mut self, options: &[&str]) {
        let port = self.port.to_string();
        (self.child, self.port) = launch(self.directory.path(), &[&["--port", &port], options].concat());
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The certificate a client must trust. Missing for a server without encryption.
    pub fn ca_file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// From now on the server does this: lines as `smtp_server.py` describes them.
    pub fn misbehave(&self, control: &str) {
        let next = self.directory.path().join("control.next");
        fs::write(&next, control).expect("the temporary directory can be written");
        fs::rename(next, self.directory.path().join("control")).expect("the temporary directory can be written");
    }

    /// From now on the server takes everything again.
    pub fn behave(&self) {
        self.misbehave("");
    }

    /// How many connections were opened so far.
    pub fn connections(&self) -> usize {
        fs::read_to_string(self.directory.path().join("connections")).map_or(0, |lines| lines.lines().count())
    }

    /// Every mail taken so far, oldest first.
    pub fn mails(&self) -> Vec<ReceivedMail> {
        let mut paths: Vec<PathBuf> = fs::read_dir(self.directory.path().join("mail"))
            .expect("made before the port was told")
            .map(|entry| entry.expect("a readable directory").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
            .collect();
        paths.sort();
        paths.iter().map(|path| ReceivedMail::read(path)).collect()
    }
}

fn launch(directory: &Path, options: &[&str]) -> (Child, u16) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/smtp_server.py");
    let mut child = Command::new(python())
        .arg(script)
        .arg(directory)
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the interpreter ran a moment ago");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("piped above");
    BufReader::new(stdout).read_line(&mut line).expect("the script writes text");
    let port = line.trim().strip_prefix("port ").and_then(|port| port.parse().ok());
    (child, port.expect("the mail server did not start; its standard error says why"))
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl ReceivedMail {
    fn read(path: &Path) -> Self {
        let envelope = fs::read(path.with_extension("json")).expect("written before the mail");
        let envelope: serde_json::Value = serde_json::from_slice(&envelope).expect("written by the script");
        let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
        Self {
            from: text(&envelope["from"]).expect("a sender"),
            to: envelope["to"].as_array().expect("a list").iter().filter_map(text).collect(),
            tls: envelope["tls"] == true,
            login: text(&envelope["login"]),
            subject: text(&envelope["subject"]).unwrap_or_default(),
            text: text(&envelope["text"]).unwrap_or_default(),
            html: text(&envelope["html"]).unwrap_or_default(),
            raw: String::from_utf8(fs::read(path).expect("readable")).expect("our mails are ASCII"),
        }
    }

    /// The value of a header that stands on one line.
    pub fn header(&self, name: &str) -> Option<&str> {
        let head = self.raw.split("\r\n\r\n").next()?;
        head.split("\r\n").find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

fn python() -> &'static str {
    let knows_aiosmtpd = |python: &&&str| {
        let tried = Command::new(python).args(["-c", "import aiosmtpd.smtp"]).stderr(Stdio::null()).status();
        tried.is_ok_and(|status| status.success())
    };
    PYTHONS
        .iter()
        .find(knows_aiosmtpd)
        .expect("no python3 has the package aiosmtpd: run the tests by `tests/run`, which installs python3-aiosmtpd")
}
