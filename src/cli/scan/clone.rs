//! Git URLs as targets: a bare copy in a folder of its own, read as a history and removed. And what a repository on this
//! disk has left at such an address, if a person asks for it.
//!
//! This is the one place where `stanch scan` runs another program, because a person named an address. The git that runs
//! knows nobody's configuration: neither the machine's nor the person's (which could name programs to run, or send the
//! request elsewhere), and of the repository only its objects come. It may use the one protocol that was typed, asks
//! nobody for a password, runs no hook and follows no submodule. The scan then reads the copy in process, as any other.
//!
//! What a person needs of their own configuration is named: `--git-credentials` lets git ask their credential helpers.
//! A password in the address is taken out of it, reaches git through the environment of that one process, and is
//! shown nowhere.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::cli::{HintExt as _, Usage};
use crate::redact::inert;
use crate::scan::git::{HashKind, ObjectId};

/// An address of a repository.
#[derive(Debug, PartialEq, Eq)]
pub struct Address {
    /// Without user and password.
    url: String,
    protocol: &'static str,
    user: Option<String>,
    password: Option<String>,
    /// The repository's own name.
    pub name: String,
}

/// A copy that is removed when it is dropped.
pub struct Clone {
    folder: TempDir,
    pub name: String,
}

/// Where a person's helpers are asked for passwords.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credentials {
    Helpers,
    InAddress,
}

/// Answers git's question for a password from the variables of its own process.
const HELPER: &str = "!f() { test \"$1\" = get && printf 'username=%s\\npassword=%s\\n' \
                      \"$STANCH_CLONE_USER\" \"$STANCH_CLONE_PASSWORD\"; }; f";

impl Address {
    /// Whether what was typed is an address of a repository; `Some(Err)` if it is one that is not fetched.
    pub fn parse(typed: &str) -> Option<Result<Self, Usage>> {
        let name = |path: &str| {
            let last = path.trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or_default();
            last.strip_suffix(".git").unwrap_or(last).to_owned()
        };
        if let Some((scheme, rest)) = typed.split_once("://") {
            let protocol = match scheme {
                "file" => "file",
                "https" => "https",
                "ssh" | "git+ssh" => "ssh",
                "git" | "http" => {
                    let told =
                        format!("`{scheme}://` is not fetched: nobody could tell whose content it is; use https");
                    return Some(Err(Usage(told)));
                }
                _ => return Some(Err(Usage(format!("`{}` is no protocol that is fetched", inert(scheme, 40))))),
            };
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            let (account, host) = host.rsplit_once('@').map_or((None, host), |(account, host)| (Some(account), host));
            let (user, password) = match account.map(|account| account.split_once(':').unwrap_or((account, ""))) {
                Some((user, password)) => {
                    (Some(unescape(user)), Some(unescape(password)).filter(|one| !one.is_empty()))
                }
                None => (None, None),
            };
            if host.starts_with('-') || path.starts_with('-') {
                return Some(Err(Usage("the address begins like an option".into())));
            }
            // A token alone may stand for the user or the password; forges take either.
            let keeps_user = protocol == "ssh";
            let account = user.as_ref().filter(|_| keeps_user).map(|user| format!("{user}@")).unwrap_or_default();
            let url = format!("{protocol}://{account}{host}/{path}");
            let name = if path.is_empty() { name(host) } else { name(path) };
            return Some(Ok(Self { url, protocol, user, password, name }));
        }
        // `git@host:path`, as ssh is usually written.
        let (account, path) = typed.split_once(':')?;
        let (user, host) = account.split_once('@')?;
        let plain = |text: &str| !text.is_empty() && !text.contains('/') && !text.starts_with('-');
        if !plain(user) || !plain(host) || path.is_empty() || Path::new(typed).exists() {
            return None;
        }
        let user = Some(user.to_owned());
        Some(Ok(Self { url: typed.to_owned(), protocol: "ssh", user, password: None, name: name(path) }))
    }

    /// As it may be shown.
    pub fn shown(&self) -> String {
        inert(&self.url, 200)
    }

    /// Fetches the repository.
    pub fn fetch(&self, credentials: Credentials) -> anyhow::Result<Clone> {
        let copy = Clone::nothing(&self.name)?;
        let mut git = self.git(copy.folder.path(), credentials);
        git.args(["clone", "--quiet", "--bare", "--no-recurse-submodules", "--template=", "--"])
            .arg(&self.url)
            .arg(copy.path());
        self.run(git, &[])?;
        Ok(copy)
    }

    /// Fetches single objects of the repository, with all that they lead to.
    pub fn fetch_objects<'i>(
        &self,
        ids: impl IntoIterator<Item = &'i ObjectId>,
        credentials: Credentials,
    ) -> anyhow::Result<Clone> {
        let mut ids = ids.into_iter().peekable();
        let format = match ids.peek().map(|id| id.kind()) {
            Some(HashKind::Sha256) => "sha256",
            Some(HashKind::Sha1) | None => "sha1",
        };
        let mut wanted = String::new();
        for id in ids {
            let _ = writeln!(wanted, "{id}");
        }
        let copy = self.bare(format, credentials)?;
        let mut git = self.git(&copy.path(), credentials);
        // Ids can be asked for since protocol 2.
        git.args(["-c", "protocol.version=2", "fetch", "--quiet", "--no-tags", "--no-write-fetch-head"])
            .args(["--no-recurse-submodules", "--stdin"])
            .arg(&self.url);
        self.run(git, wanted.as_bytes())?;
        Ok(copy)
    }

    /// Fetches what LFS pointers stand for: they are put into a commit, and git-lfs is asked for what that needs.
    pub fn fetch_contents<'p>(
        &self,
        pointers: impl IntoIterator<Item = &'p String>,
        credentials: Credentials,
    ) -> anyhow::Result<Clone> {
        let copy = self.bare("sha1", credentials)?;
        let mut stream = String::from("commit refs/heads/main\ncommitter stanch <> 0 +0000\ndata 0\n");
        for (nth, pointer) in pointers.into_iter().enumerate() {
            let _ = write!(stream, "M 100644 inline {nth}\ndata {}\n{pointer}\n", pointer.len());
        }
        let mut git = self.git(&copy.path(), credentials);
        git.args(["fast-import", "--quiet"]);
        self.run(git, stream.as_bytes())?;
        let mut git = self.git(&copy.path(), credentials);
        git.args(["config", "remote.origin.url", &self.url]);
        self.run(git, &[])?;
        let mut git = self.git(&copy.path(), credentials);
        git.args(["lfs", "fetch", "origin", "refs/heads/main"]);
        self.run(git, &[]).hint("git-lfs must be installed, and the server must have LFS")?;
        Ok(copy)
    }

    fn bare(&self, format: &str, credentials: Credentials) -> anyhow::Result<Clone> {
        let copy = Clone::nothing(&self.name)?;
        let mut git = self.git(copy.folder.path(), credentials);
        git.args(["init", "--quiet", "--bare", "--template=", &format!("--object-format={format}"), "--"])
            .arg(copy.path());
        self.run(git, &[])?;
        Ok(copy)
    }

    /// git with no configuration but what this address needs.
    fn git(&self, folder: &Path, credentials: Credentials) -> Command {
        let helpers = match credentials {
            Credentials::Helpers => helpers(folder),
            Credentials::InAddress => Vec::new(),
        };
        let mut git = neutral(folder);
        for setting in [
            "protocol.allow=never",
            &format!("protocol.{}.allow=always", self.protocol),
            "core.hooksPath=/dev/null",
            "core.fsmonitor=false",
            "gc.auto=0",
            "maintenance.auto=false",
            "submodule.recurse=false",
            "transfer.bundleURI=false",
            "http.lowSpeedLimit=1000",
            "http.lowSpeedTime=60",
            "credential.helper=",
        ] {
            git.args(["-c", setting]);
        }
        if let Some(secret) = self.password.as_ref().or(self.user.as_ref()).filter(|_| self.protocol == "https") {
            git.env(
                "STANCH_CLONE_USER",
                self.user.as_deref().filter(|_| self.password.is_some()).unwrap_or("x-access-token"),
            );
            git.env("STANCH_CLONE_PASSWORD", secret);
            git.args(["-c", &format!("credential.helper={HELPER}")]);
        }
        for helper in helpers {
            let mut setting = OsString::from("credential.helper=");
            setting.push(helper);
            git.arg("-c").arg(setting);
        }
        git
    }

    /// Runs git to its end, with this as its input.
    fn run(&self, mut git: Command, input: &[u8]) -> anyhow::Result<()> {
        let cannot = |error| Usage(format!("git, which fetches repositories, cannot be run: {error}"));
        if !input.is_empty() {
            git.stdin(Stdio::piped());
        }
        let mut running = git.spawn().map_err(cannot)?;
        if let Some(mut stdin) = running.stdin.take() {
            // What it does not want to read any more, it complains about itself.
            let _ = stdin.write_all(input);
        }
        let ran = running.wait_with_output().map_err(cannot)?;
        if !ran.status.success() {
            let said = String::from_utf8_lossy(&ran.stderr);
            let said = said.lines().filter(|line| !line.trim().is_empty()).map(|line| inert(line, 300));
            let said = said.collect::<Vec<_>>().join("; ");
            return Err(anyhow::Error::from(Usage(format!("`{}` cannot be fetched: {said}", self.shown()))))
                .hint("for a private repository, put a token into the address or add --git-credentials");
        }
        Ok(())
    }
}

impl Clone {
    /// A folder for a repository of this name.
    fn nothing(name: &str) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("stanch-clone-").tempdir();
        let folder = folder.hint("set TMPDIR to a folder with room for the repository")?;
        Ok(Self { folder, name: name.to_owned() })
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("repository.git")
    }
}

/// git, with no configuration and nobody to ask.
fn neutral(folder: &Path) -> Command {
    let mut git = Command::new("git");
    for (name, _) in std::env::vars_os() {
        // `GIT_SSH_COMMAND` and its like are a person's own, but hooks inherit what a repository's git was told.
        if name.to_string_lossy().starts_with("GIT_") {
            git.env_remove(name);
        }
    }
    git.current_dir(folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_ATTR_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ASKPASS", "")
        .env("SSH_ASKPASS", "")
        .env("GIT_SSH_COMMAND", "ssh -oBatchMode=yes")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    git
}

/// The credential helpers of the person's own configuration, and nothing else of it.
fn helpers(folder: &Path) -> Vec<OsString> {
    let mut git = neutral(folder);
    git.env_remove("GIT_CONFIG_GLOBAL").env_remove("GIT_CONFIG_NOSYSTEM").stdout(Stdio::piped());
    // In a folder of its own: there is no repository whose configuration could be read.
    git.env("GIT_CEILING_DIRECTORIES", folder).args(["config", "--get-all", "credential.helper"]);
    let said = git.output().map(|ran| ran.stdout).unwrap_or_default();
    String::from_utf8_lossy(&said).lines().filter(|line| !line.is_empty()).map(OsString::from).collect()
}

/// `%40` is an `@`.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = |at: usize| tail.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        if let (b'%', Some(high), Some(low)) = (first, hex(0), hex(1)) {
            bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_what_is_secret_in_it() {
        for (typed, url, name) in [
            ("https://host.example/a/b.git", "https://host.example/a/b.git", "b"),
            ("https://me:pa%40ss@host.example:8443/a/b", "https://host.example:8443/a/b", "b"),
            ("https://tok@host.example/b/", "https://host.example/b/", "b"),
            ("ssh://git@host.example:22/a/b.git", "ssh://git@host.example:22/a/b.git", "b"),
            ("git@host.example:a/b.git", "git@host.example:a/b.git", "b"),
            ("file:///srv/git/b.git", "file:///srv/git/b.git", "b"),
        ] {
            let address = Address::parse(typed).expect("it is one").expect("it is fetched");
            assert_eq!((address.shown().as_str(), address.name.as_str()), (url, name), "{typed}");
        }
        let address = Address::parse("https://me:pa%40ss@host.example/b").expect("it is one").expect("it is fetched");
        assert_eq!((address.user.as_deref(), address.password.as_deref()), (Some("me"), Some("pa@ss")));
    }

    #[test]
    fn what_is_no_address_is_a_path_and_what_is_unsafe_is_refused() {
        for path in ["a", "a/b:c", "C:/x", "-", "user@host", "a@b/c:d", "./x@y:z"] {
            assert!(Address::parse(path).is_none(), "{path}");
        }
        for refused in
            ["http://host.example/a", "git://host.example/a", "ext::sh://x", "ftp://h/a", "ssh://-oProxyCommand=x/a"]
        {
            assert!(Address::parse(refused).is_some_and(|parsed| parsed.is_err()), "{refused}");
        }
    }
}
