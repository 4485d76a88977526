//! From the configuration to ready values: what `serve`, `work` and the operator's commands are made of.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;

use super::HintExt as _;
use crate::clock::Clock;
use crate::config::{Config, Elsewhere, Place, Problem, Refused};
use crate::intake::Origin;
use crate::issuer::builtin::Builtin;
use crate::issuer::http::HttpIssuer;
use crate::issuer::{Guard, Issuers};
use crate::notice::Mailer;
use crate::recognize::Recognizer;
use crate::store::{OpenError, Store};
use crate::token::catalogue::Kind;
use crate::token::{FingerprintRing, KindId, catalogue, pat};

/// Opens every key and credential once, to tell all that is wrong with them at the same time.
pub fn credentials(config: &Config) -> Result<(), Refused> {
    let clock = Clock::system();
    let mut problems: Vec<Problem> = [
        config.keys.open().err(),
        config.database.settings(config.work.keep_reports.0).err(),
        config.origin.settings(config.environment()).err(),
        config.mail.settings(config.environment(), BTreeMap::new()).err(),
    ]
    .into_iter()
    .flatten()
    .collect();
    for (name, elsewhere) in &config.issuer.elsewhere {
        problems.extend(issuer(config, name, elsewhere, &clock).err());
    }
    Refused::unless_empty(problems)
}

/// Opens the database with the sealing keys, and refuses fingerprint keys it was not written with.
pub async fn open_store(config: &Config, clock: &Clock) -> anyhow::Result<Store> {
    let settings = config.database.settings(config.work.keep_reports.0)?;
    let keys = config.keys.open()?;
    let opened = async {
        let store = Store::open(&settings, keys.seal, clock.clone()).await?;
        store.check_fingerprint_keys(&keys.fingerprint).await?;
        Ok::<_, OpenError>(store)
    };
    opened.await.context("the database cannot be used").hint("run `stanch doctor` to see what is wrong")
}

/// The keys under which tokens are named in the database.
pub fn fingerprint_ring(config: &Config) -> anyhow::Result<FingerprintRing> {
    Ok(config.keys.open()?.fingerprint)
}

/// Who may report.
pub fn origins(config: &Config) -> anyhow::Result<Vec<Origin>> {
    Ok(config.origin.settings(config.environment())?)
}

/// Finds the tokens of the catalogue, of this installation, and of the built-in issuer.
pub fn recognizer(config: &Config) -> anyhow::Result<Recognizer> {
    let claimed: Vec<KindId> = config.issuer.elsewhere.values().flat_map(Elsewhere::kinds).collect();
    let mut builder = Recognizer::builder().accept_context_kinds(&claimed);
    for kind in own_kinds(config)? {
        builder = builder.with_kind(kind);
    }
    builder.build().context("the kinds of token cannot be searched for").hint("correct `[kind.…]` in the configuration")
}

/// The kinds of the built-in issuer, and those that this installation names itself.
pub fn own_kinds(config: &Config) -> anyhow::Result<Vec<Kind>> {
    let mut kinds = Vec::new();
    if config.issuer.builtin.enabled {
        let kind = pat::kind(&config.issuer.builtin.prefix);
        kinds.push(kind.map_err(|bad| anyhow::anyhow!("the token prefix is not usable: {}", bad.0))?);
    }
    kinds.extend(config.kind.all());
    Ok(kinds)
}

/// The kinds that only our own database knows about.
pub fn builtin_kinds(config: &Config) -> Vec<KindId> {
    if config.issuer.builtin.enabled { vec![KindId::new(pat::KIND)] } else { Vec::new() }
}

/// Refuses to go on where opening the database would make one.
pub fn require_database(config: &Config) -> anyhow::Result<()> {
    let settings = config.database.settings(config.work.keep_reports.0)?;
    let file = settings.url.strip_prefix("sqlite:").map(|path| Path::new(path.trim_start_matches("//")));
    match file {
        Some(file) if !file.exists() => Err(anyhow::anyhow!("there is no database at `{}`", file.display()))
            .hint("run this where the service's data folder is, or name it with `--data`"),
        _ => Ok(()),
    }
}

/// The issuers by the kinds they claim: the built-in one, and those elsewhere, each behind its guard.
pub fn issuers(config: &Config, store: &Store, clock: &Clock) -> anyhow::Result<Issuers> {
    let mut issuers = Issuers::default();
    if config.issuer.builtin.enabled {
        issuers.add(Arc::new(Builtin::new(store.clone(), clock.clone())), [KindId::new(pat::KIND)]);
    }
    add_elsewhere(&mut issuers, config, clock)?;
    Ok(issuers)
}

/// The issuers elsewhere alone: no database is opened for them.
pub fn issuers_elsewhere(config: &Config, clock: &Clock) -> anyhow::Result<Issuers> {
    let mut issuers = Issuers::default();
    add_elsewhere(&mut issuers, config, clock)?;
    Ok(issuers)
}

fn add_elsewhere(issuers: &mut Issuers, config: &Config, clock: &Clock) -> anyhow::Result<()> {
    for (name, elsewhere) in &config.issuer.elsewhere {
        let inner = Arc::new(issuer(config, name, elsewhere, clock)?);
        issuers.add(Arc::new(Guard::new(inner, elsewhere.guard(), clock.clone())), elsewhere.kinds());
    }
    Ok(())
}

/// What carries mail to the owners.
pub fn mailer(config: &Config) -> anyhow::Result<Mailer> {
    let settings = config.mail.settings(config.environment(), kind_names(config))?;
    Mailer::new(settings).context("mail cannot be sent").hint("correct `[mail]` in the configuration")
}

fn issuer(config: &Config, name: &str, elsewhere: &Elsewhere, clock: &Clock) -> Result<HttpIssuer, Problem> {
    let key = format!("issuer.{name}.http");
    let http = elsewhere.http.as_ref().ok_or_else(|| {
        let hint = format!("add `[{key}]`");
        Problem::new(Place::Key(key.clone()), "says nothing about how the issuer is reached", hint)
    })?;
    HttpIssuer::new(http.settings(name, config.environment())?, clock.clone()).map_err(|error| {
        // Statuses stand beside their request in the configuration, certificates in a file.
        let word = match error.key {
            "certificates" => "ca_file",
            "revoke_answers" => "revoke",
            "verify_answers" => "verify",
            other => other,
        };
        config.problem_at(&format!("{key}.{word}"), error.problem, "docs/configuration.md tells what it takes")
    })
}

/// What owners call the kinds: without the remarks that the catalogue keeps in brackets.
fn kind_names(config: &Config) -> BTreeMap<String, String> {
    let plain = |name: &str| name.split(" (").next().unwrap_or(name).to_owned();
    let mut names: BTreeMap<String, String> =
        catalogue::builtin().iter().map(|kind| (kind.id.to_string(), plain(&kind.name))).collect();
    names.extend(config.kind.all().map(|kind| (kind.id.to_string(), kind.name.to_string())));
    names.insert(pat::KIND.to_owned(), format!("{} access token", config.mail.product));
    names
}
