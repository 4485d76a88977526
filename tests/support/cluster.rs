//! A PostgreSQL server that belongs to one test, to be crashed and brought back.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use reqwest::Url;
use tokio::net::TcpSocket;

use super::issuer::reserve;

/// The server. It is gone with everything in it when this value is dropped.
pub struct Cluster {
    folder: tempfile::TempDir,
    url: String,
    /// Holds the server's address while it is down.
    reserved: Option<TcpSocket>,
}

impl Cluster {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the cluster");
        let url = support(&["start", &folder.path().to_string_lossy()]).trim().to_owned();
        Self { folder, url, reserved: None }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// The server dies as in a crash; its data stay.
    pub fn crash(&mut self) {
        support(&["crash", &self.folder.path().to_string_lossy()]);
        let url = Url::parse(&self.url).expect("the script printed one");
        let port = url.port().expect("the script chose one");
        self.reserved = Some(reserve(SocketAddr::from(([127, 0, 0, 1], port))));
    }

    /// It comes back at its address, and answers when this returns.
    pub fn resume(&mut self) {
        support(&["resume", &self.folder.path().to_string_lossy()]);
        self.reserved = None;
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        support(&["stop", &self.folder.path().to_string_lossy()]);
    }
}

fn support(arguments: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/postgres");
    let done = Command::new(script).args(arguments).output().expect("the script starts");
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).expect("text")
}
