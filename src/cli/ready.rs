//! From the configuration to ready values: what `serve`, `work` and the operator's commands are made of.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use reqwest::Url;

use super::HintExt as _;
use crate::clock::Clock;
use crate::config::{Config, Elsewhere, Place, Problem, Refused};
use crate::dashboard::ProviderSettings;
use crate::drill::{self, Drills};
use crate::incident::EmailAddress;
use crate::intake::{KeyId, Origin, PublicKey};
use crate::issuer::builtin::Builtin;
use crate::issuer::http::HttpIssuer;
use crate::issuer::{Guard, Issuers};
use crate::mint::{self, Mint, OldKeys, legacy};
use crate::notice::Mailer;
use crate::recognize::{KNOWN_KIND, Recognizer};
use crate::store::{NewOwner, OpenError, Store};
use crate::token::catalogue::Kind;
use crate::token::{FingerprintRing, KindId, catalogue, macaroon, pat};

/// Opens every key and credential once, to tell all that is wrong with them at the same time.
pub fn credentials(config: &Config) -> Result<(), Refused> {
    let clock = Clock::system();
    let mut problems: Vec<Problem> = [
        config.keys.open().err(),
        config.database.settings(config.work.keep_reports.0).err(),
        config.origin.settings(config.environment()).err(),
        config.mail.settings(config.environment(), BTreeMap::new()).err(),
        config.oidc.settings(config.environment()).err(),
        config.issuer.builtin.api_keys(config.environment()).err(),
        config.proxy.old_keys().err(),
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
        Ok::<_, OpenError>(store.with_brake(config.brake_policy()))
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
    let own = own_kinds(config)?;
    // Where the catalogue knows the same shape as somebody else's, it is ours here: rushomon's, after its tokens were taken
    // over. Otherwise they would be nobody's whom we could ask.
    let taken = catalogue::builtin().iter().filter(|known| own.iter().any(|kind| kind.has_shape_of(known)));
    let taken: Vec<KindId> = taken.map(|kind| KindId::new(&kind.id)).filter(|id| !claimed.contains(id)).collect();
    let mut builder = Recognizer::builder().accept_context_kinds(&claimed).without(&taken);
    for kind in own {
        builder = builder.with_kind(kind);
    }
    if config.issuer.builtin.enabled {
        let keys = config.issuer.builtin.api_keys(config.environment())?;
        builder = builder.with_known(keys.iter().map(|key| mint::text_sha256(&key.secret)));
    }
    builder.build().context("the kinds of token cannot be searched for").hint("correct `[kind.…]` in the configuration")
}

/// The kinds of the built-in issuer, and those that this installation names itself.
pub fn own_kinds(config: &Config) -> anyhow::Result<Vec<Kind>> {
    let mut kinds = Vec::new();
    let builtin = &config.issuer.builtin;
    if builtin.enabled {
        let marked = pat::Mark::ALL.into_iter().map(|mark| pat::kind_marked(&builtin.prefix, mark));
        let macaroons = macaroon::kind(builtin.macaroon_prefix(), builtin.location());
        for kind in marked.chain([macaroons]) {
            kinds.push(kind.map_err(|bad| anyhow::anyhow!("the token prefix is not usable: {}", bad.0))?);
        }
        kinds.extend(builtin.foreign_kinds());
        if !config.proxy.old_keys()?.is_empty() {
            kinds.extend(OldKeys::kinds().map_err(|bad| anyhow::anyhow!("{}", bad.0))?);
        }
    }
    kinds.extend(config.kind.all());
    Ok(kinds)
}

/// The kinds that only our own database knows about.
pub fn builtin_kinds(config: &Config) -> Vec<KindId> {
    let builtin = &config.issuer.builtin;
    if !builtin.enabled {
        return Vec::new();
    }
    let own = pat::Mark::ALL.into_iter().map(pat::Mark::kind_id).chain([macaroon::KIND, KNOWN_KIND]).map(KindId::new);
    let foreign = builtin.foreign_kinds();
    let has_old = config.proxy.upstream.values().any(|upstream| upstream.magic_api_proxy.is_some());
    let old = legacy::KINDS.into_iter().filter(|_| has_old).map(KindId::new);
    own.chain(foreign.iter().map(|kind| KindId::new(&kind.id))).chain(old).collect()
}

/// Refuses to go on where opening the database would make one.
pub fn require_database(config: &Config) -> anyhow::Result<()> {
    match (has_database(config)?, database_file(config)?) {
        (Some(false), Some(file)) => Err(anyhow::anyhow!("there is no database at `{}`", file.display()))
            .hint("run this where the service's data folder is, or name it with `--data`"),
        _ => Ok(()),
    }
}

/// Whether the database's file is there; nothing is known of one that a server keeps.
pub fn has_database(config: &Config) -> anyhow::Result<Option<bool>> {
    Ok(database_file(config)?.map(|file| file.exists()))
}

fn database_file(config: &Config) -> anyhow::Result<Option<PathBuf>> {
    let settings = config.database.settings(config.work.keep_reports.0)?;
    Ok(settings.url.strip_prefix("sqlite:").map(|path| PathBuf::from(path.trim_start_matches("//"))))
}

/// What the built-in issuer's tokens look like here.
pub fn mint_settings(config: &Config) -> anyhow::Result<mint::Settings> {
    let keys = config.issuer.builtin.api_keys(config.environment())?;
    let configured_keys = keys.iter().map(|key| mint::text_sha256(&key.secret)).collect();
    Ok(mint::Settings { configured_keys, old_keys: config.proxy.old_keys()?, ..config.issuer.builtin.settings()? })
}

/// The issuers by the kinds they claim: the built-in one, and those elsewhere, each behind its guard.
pub fn issuers(config: &Config, store: &Store, clock: &Clock) -> anyhow::Result<Issuers> {
    let mut issuers = Issuers::default();
    if config.issuer.builtin.enabled {
        let builtin = Builtin::new(store.clone(), clock.clone()).with_policy(config.issuer.builtin.policy());
        let builtin = builtin.with_old_keys(config.proxy.old_keys()?);
        issuers.add(Arc::new(builtin), builtin_kinds(config));
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

/// Gives the API keys that the configuration brings along a record each, so that they die like any other token.
pub async fn register_keys(config: &Config, store: &Store, clock: &Clock) -> anyhow::Result<()> {
    let builtin = &config.issuer.builtin;
    if !builtin.enabled {
        return Ok(());
    }
    let keys = builtin.api_keys(config.environment())?;
    if keys.is_empty() {
        return Ok(());
    }
    let email = builtin.api_keys_owner.as_ref().unwrap_or(&config.mail.contact);
    let email = EmailAddress::parse(email).context("`issuer.builtin.api_keys_owner` cannot be used")?;
    let owner = NewOwner { name: "API keys of the configuration".into(), email };
    let mint = Mint::new(store.clone(), mint_settings(config)?, clock.clone());
    mint.register_keys(&keys, owner).await.context("the API keys of the configuration cannot be registered")
}

/// The origin under which drills are reported.
pub fn drill_origin(store: &Store) -> anyhow::Result<Origin> {
    let signer = drill::Signer::of(store)?;
    let key = PublicKey::from_pem(signer.public_pem()).context("the key for drills cannot be read")?;
    let id = KeyId::parse(drill::KEY_ID).map_err(|_| anyhow::anyhow!("the id of the key for drills is no id"))?;
    Ok(Origin::drill(id, key))
}

/// What makes drills against the service at `to`.
pub fn drills(config: &Config, store: &Store, clock: &Clock, to: Url) -> anyhow::Result<Drills> {
    let mint = if config.issuer.builtin.enabled {
        Some(Mint::new(store.clone(), mint_settings(config)?, clock.clone()))
    } else {
        None
    };
    // A contact may be a page; then the address that mail comes from has to do.
    let from = config.mail.from.rsplit('<').next().unwrap_or_default().trim_end_matches('>');
    let address = [config.mail.contact.as_str(), from].iter().find_map(|text| EmailAddress::parse(text.trim()).ok());
    let mailer = Arc::new(mailer(config)?);
    let parts = drill::Parts { store: store.clone(), clock: clock.clone(), mint, mailer, to, address };
    Ok(Drills::new(parts)?)
}

/// Where this machine reaches a service that listens on an address.
pub fn url_of(listen: SocketAddr) -> anyhow::Result<Url> {
    let mut addr = listen;
    if addr.ip().is_unspecified() {
        addr.set_ip(if addr.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
    }
    Url::parse(&format!("http://{addr}")).context("the service's own address is no URL")
}

/// What carries mail to the owners.
pub fn mailer(config: &Config) -> anyhow::Result<Mailer> {
    let settings = config.mail.settings(config.environment(), kind_names(config))?;
    Mailer::new(settings).context("mail cannot be sent").hint("correct `[mail]` in the configuration")
}

/// The identity provider at which operators sign in, if there is one.
pub fn provider(config: &Config) -> anyhow::Result<Option<ProviderSettings>> {
    Ok(config.oidc.settings(config.environment())?)
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
    let product = &config.mail.product;
    names.extend(builtin_kinds(config).iter().map(|kind| (kind.to_string(), format!("{product} access token"))));
    for (kind, what) in [
        (pat::Mark::Key.kind_id(), "API key"),
        (KNOWN_KIND, "API key of the configuration"),
        (pat::Mark::Magic.kind_id(), "proxy token"),
        (legacy::KINDS[0], "proxy token"),
        (legacy::KINDS[1], "proxy token"),
        (macaroon::KIND, "API token"),
    ] {
        names.insert(kind.to_owned(), format!("{product} {what}"));
    }
    names
}
