//! What can be seen on this machine: configuration, clock, folders, keys, addresses, database.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use super::super::when;
use super::finding::Finding;
use crate::clock::Timestamp;
use crate::config::{Config, Role};
use crate::incident::brake::Mode;
use crate::mint::OldKey;
use crate::store::{self, IncidentFilter, PageRequest, Paused, Store};

/// 2026-01-01: this program did not exist before.
const BUILT_AFTER_MILLIS: i64 = 1_767_225_600_000;

/// A job that is due for longer waits for a worker that is not there.
const IDLE_FOR: Duration = Duration::from_mins(1);

pub fn configuration(config: &Config) -> Vec<Finding> {
    let says = config.file().map_or("the defaults, without a file".into(), |path| path.display().to_string());
    let mut findings = vec![Finding::ok("configuration", says)];
    for name in config.unread_variables() {
        let hint = "correct its name, or unset it; docs/configuration.md lists the variables";
        findings.push(Finding::warn("configuration", format!("nothing reads the variable `{name}`"), hint));
    }
    findings
}

pub fn clock(now: Timestamp) -> Vec<Finding> {
    let says = format!("it is {}", when::absolute(now));
    if now.as_millis() < BUILT_AFTER_MILLIS {
        let hint = "set the clock and keep it set (NTP): leases, purge dates and certificates depend on it";
        return vec![Finding::fail("clock", format!("{says}, which is before this program was made"), hint)];
    }
    vec![Finding::ok("clock", says)]
}

pub fn folders(config: &Config) -> Vec<Finding> {
    let keys = config.keys.folder();
    let mut folders = vec![("data folder", config.data.as_path())];
    if config.keys.files.is_empty() && !keys.path().starts_with(&config.data) {
        folders.push(("key folder", keys.path()));
    }
    folders.into_iter().map(|(part, path)| folder(part, path)).collect()
}

fn folder(part: &str, path: &Path) -> Finding {
    let shown = path.display();
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Finding::ok(part, format!("{shown} will be made")),
        Err(error) => {
            let says = format!("{shown} cannot be looked at ({})", error.kind());
            Finding::fail(part, says, "check the path and who owns it")
        }
        Ok(about) if !about.is_dir() => Finding::fail(part, format!("{shown} is no folder"), "choose another path"),
        Ok(about) if about.permissions().mode() & 0o077 != 0 => {
            let mode = about.permissions().mode() & 0o777;
            let says = format!("others can look into {shown} (mode {mode:04o})");
            Finding::warn(part, says, format!("run `chmod 700 {shown}`"))
        }
        Ok(_) => Finding::ok(part, format!("{shown} is ours alone")),
    }
}

pub fn keys(config: &Config, now: Timestamp) -> Vec<Finding> {
    let ring = match config.keys.open() {
        Ok(ring) => ring,
        Err(problem) => return vec![Finding::of("keys", &problem)],
    };
    let of_role = |role: Role| {
        let files: Vec<_> = ring.files.iter().filter(|file| file.role == role).collect();
        let current = files.first().map(|file| {
            let age = file.made_at().map_or("of unknown age".into(), |at| format!("made {}", when::relative(at, now)));
            format!("`{}`, {age}", file.id)
        });
        let older = if files.len() > 1 { format!(", older: {}", files.len() - 1) } else { String::new() };
        Finding::ok("keys", format!("{role} key {}{older}", current.unwrap_or_default()))
    };
    Role::ALL.map(of_role).into()
}

/// The keys with which another program's tokens are read.
pub fn old_keys(config: &Config) -> Vec<Finding> {
    let keys = match config.proxy.old_keys() {
        Ok(keys) => keys,
        Err(problem) => return vec![Finding::of("proxy", &problem)],
    };
    let says = |key: &OldKey| {
        format!(
            "tokens of magic-api-proxy for upstream {} are read with an RSA key of {} bits",
            key.upstream(),
            key.bits()
        )
    };
    keys.iter().map(|key| Finding::ok("proxy", says(key))).collect()
}

pub fn listening(config: &Config) -> Vec<Finding> {
    let addresses = [Some(config.server.listen), config.server.admin_listen, config.proxy.listen];
    addresses
        .into_iter()
        .flatten()
        .map(|address| match TcpListener::bind(address.0) {
            Ok(_) if address.0.ip().is_loopback() => {
                Finding::ok("address", format!("{address} is free; only this machine reaches it"))
            }
            Ok(_) => Finding::ok("address", format!("{address} is free; a proxy in front of it must speak TLS")),
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                let says = format!("{address} is taken, by a running stanch or by something else");
                Finding::warn("address", says, "nothing to do if stanch runs; else choose another in `[server]`")
            }
            Err(error) => {
                let says = format!("{address} cannot be listened on ({})", error.kind());
                Finding::fail("address", says, "choose another in `[server]`")
            }
        })
        .collect()
}

pub async fn database(config: &Config, store: &anyhow::Result<Store>, now: Timestamp) -> Vec<Finding> {
    let name = match (&config.database.url, &config.database.url_file) {
        (Some(url), _) => url.to_string(),
        (None, Some(path)) => format!("the database of {}", path.display()),
        (None, None) => "the database".into(),
    };
    let store = match store {
        Ok(store) => store,
        Err(error) => return vec![Finding::of_error("database", error, "correct `[database]` or `[keys]` as it says")],
    };
    let mut findings = vec![Finding::ok("database", format!("{name} opens, its schema is current, the keys fit"))];
    findings.extend(contents(store, now).await.unwrap_or_else(|error| {
        let hint = "look at the database's own log";
        vec![Finding::fail("database", format!("{name} opens, but cannot be read: {error}"), hint)]
    }));
    findings
}

/// What people switched off, and may have forgotten.
async fn switches(store: &Store, now: Timestamp) -> Result<Vec<Finding>, store::Error> {
    let mut findings = Vec::new();
    match store.brake().mode {
        Mode::DryRun => {
            let says = "this is a dry run: no token is revoked, nobody is mailed";
            findings.push(Finding::warn("brake", says, "set `work.dry_run` to false when you have seen enough"));
        }
        Mode::Limited => {}
        Mode::Unlimited => {
            let says = "the brake is off: a forged flood of reports could revoke every token";
            findings.push(Finding::warn("brake", says, "set `brake.enabled` to true, with budgets that fit"));
        }
    }
    for budget in store.budgets(&[]).await?.iter().filter(|budget| budget.on.is_some()) {
        let says = format!("the brake is on for {}: its live tokens are held", budget.scope);
        findings.push(Finding::warn(
            "brake",
            says,
            "see why with `stanch incident held`, then release or dismiss them",
        ));
    }
    for pause in store.pauses().await? {
        let what = match &pause.what {
            Paused::Everything => "everything is".to_owned(),
            Paused::Issuer(name) => format!("issuer {name} is"),
        };
        let says = format!("{what} paused since {}", when::both(pause.paused_at, now));
        findings.push(Finding::warn(
            "issuers",
            says,
            "see who and why with `stanch issuer list`; `stanch issuer resume`",
        ));
    }
    Ok(findings)
}

async fn contents(store: &Store, now: Timestamp) -> Result<Vec<Finding>, store::Error> {
    let counts = store.incident_counts().await?;
    let count = |state: &str| counts.iter().filter(|(word, _)| word == state).map(|(_, count)| count).sum::<i64>();
    let mut findings = Vec::new();
    let (stuck, held) = (count("stuck"), count("held"));
    if stuck > 0 {
        let hint = "look at them with `stanch incident list --state stuck`, then `stanch incident retry ID`";
        findings.push(Finding::warn("incidents", format!("stuck until a person looks: {stuck}"), hint));
    }
    if held > 0 {
        let hint = "see why with `stanch incident held`, then release or dismiss them";
        findings.push(Finding::warn("incidents", format!("held by the brake, tokens still alive: {held}"), hint));
    }
    findings.extend(switches(store, now).await?);
    let oldest = store.queue_depth().await?.iter().filter_map(|depth| depth.oldest_due_at).min();
    if let Some(due_at) = oldest.filter(|at| now.since(*at) > IDLE_FOR) {
        let says = format!("work is due since {}", when::both(due_at, now));
        findings.push(Finding::warn("work", says, "see that `stanch serve` or `stanch work` runs, and what it logs"));
    }
    let newest = store.incidents(&IncidentFilter::default(), &PageRequest::first(1)).await?.items;
    if let Some(ahead) = newest.first().map(|newest| newest.received_at.since(now)).filter(|ahead| *ahead > IDLE_FOR) {
        let says = format!("the newest incident lies {} in the future", when::coarse(ahead));
        findings.push(Finding::warn("clock", says, "compare this machine's clock with that of the others"));
    }
    if findings.is_empty() {
        let total: i64 = counts.iter().map(|(_, count)| count).sum();
        findings.push(Finding::ok("incidents", format!("in the database: {total}; none waits for a person")));
    }
    Ok(findings)
}
