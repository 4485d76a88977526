//! Configuration: from what an operator wrote to values that are right.
//!
//! Layers, each overriding the one before: defaults, the file, the environment, the flags. A key that nobody knows is
//! refused, as is an option that only makes sense with another that is missing: a setting that is silently ignored is
//! worse than a service that does not start. Credentials never stand in the file itself, which names a file or a
//! variable that holds them; so the effective configuration can be shown to anybody.
//!
//! Every key is described in `docs/configuration.md`.

mod brake;
mod dashboard;
mod database;
mod environment;
mod human;
mod issuer;
mod keyring;
mod keys;
mod kind;
mod layers;
mod locate;
mod log;
mod mail;
mod oidc;
mod origin;
mod problem;
mod proxy;
mod secret;
mod server;
mod show;
mod unknown;
mod work;

use std::fs;
use std::path::{Path, PathBuf};

pub use brake::Brake;
pub use dashboard::Dashboard;
pub use database::{Database, DatabaseUrl};
pub use environment::{Environment, Variable};
pub use human::{Listen, Size, Span, Unreadable};
pub use issuer::{Authentication, Builtin, Elsewhere, Fields, Http, Inactive, Issuers, Method, Preset, Revoke, Verify};
pub use keyring::{KeyFile, KeyFolder, Keyring, Role};
pub use keys::Keys;
pub use kind::{Checksum, Kind, Kinds};
pub use layers::Source;
use layers::{Layers, Section};
use locate::{Locations, line_of};
pub use log::{Log, LogFormat};
pub use mail::{Encryption, Mail, Smtp};
pub use oidc::Oidc;
pub use origin::{Base64, Feedback, Origin, Origins};
pub use problem::{Place, Problem, Refused};
pub use proxy::{MagicApiProxy, Minting, Proxy, ProxyGrant, ProxyScope, ProxyUpstream};
use serde::{Deserialize, Serialize};
pub use server::Server;
use unknown::Unknown;
pub use work::Work;

use crate::token::catalogue;

/// The configuration file that is read if none is named and it is there.
pub const DEFAULT_FILE: &str = "stanch.toml";

/// The configuration with every key in it, all commented out: what it says is what holds without it.
pub const TEMPLATE: &str = include_str!("stanch.toml");

/// The configuration file. Effect: as the flag `--config`.
pub const CONFIG: Variable = Variable { name: "STANCH_CONFIG", key: "" };

/// The data folder. Default: `stanch-data`. Effect: database, keys and mail go there unless they are sent elsewhere.
pub const DATA: Variable = Variable { name: "STANCH_DATA", key: "data" };

/// Every variable that is read, in the order in which the documentation describes them.
pub const VARIABLES: &[&Variable] = &[
    &CONFIG,
    &DATA,
    &server::LISTEN,
    &server::ADMIN_LISTEN,
    &dashboard::URL,
    &database::URL,
    &database::URL_FILE,
    &keys::FOLDER,
    &origin::GITHUB_TOKEN,
    &origin::GITHUB_TOKEN_FILE,
    &origin::GITHUB_FEEDBACK,
    &issuer::PREFIX,
    &issuer::API_KEYS,
    &issuer::API_KEYS_FILE,
    &proxy::LISTEN,
    &mail::FROM,
    &mail::PRODUCT,
    &mail::CONTACT,
    &mail::DIRECTORY,
    &mail::SMTP_HOST,
    &mail::SMTP_PORT,
    &mail::SMTP_ENCRYPTION,
    &mail::SMTP_USERNAME,
    &mail::SMTP_PASSWORD,
    &mail::SMTP_PASSWORD_FILE,
    &work::NODE,
    &work::CONCURRENCY,
    &work::DRY_RUN,
    &log::FORMAT,
    &log::LEVEL,
];

/// The whole configuration, complete and checked.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub data: PathBuf,
    pub server: Server,
    pub dashboard: Dashboard,
    pub oidc: Oidc,
    pub database: Database,
    pub keys: Keys,
    pub origin: Origins,
    pub issuer: Issuers,
    pub kind: Kinds,
    pub proxy: Proxy,
    pub mail: Mail,
    pub work: Work,
    pub brake: Brake,
    pub log: Log,
    #[serde(skip)]
    layers: Layers,
}

/// Where the configuration comes from, besides the defaults.
#[derive(Clone, Default)]
pub struct Sources {
    /// The file that was asked for. Without one, [`DEFAULT_FILE`] is read if it exists.
    pub file: Option<PathBuf>,
    pub environment: Environment,
    pub flags: Flags,
}

/// Settings given on the command line; they win over everything else.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    pub data: Option<PathBuf>,
    pub listen: Option<Listen>,
    pub admin_listen: Option<Listen>,
}

impl Config {
    /// Reads and checks the configuration. Credentials are not opened yet; each is when it is needed.
    ///
    /// # Errors
    /// Names everything that is wrong with it, not only the first thing.
    pub fn load(sources: Sources) -> Result<Self, Refused> {
        let (mut config, mut layers) = match file_of(&sources) {
            Some(path) => Self::read(&path)?,
            None => (Self::default(), Layers::default()),
        };
        layers.environment = sources.environment;
        layers.set(&DATA, &mut config.data);
        config.sections().into_iter().for_each(|section| section.read_environment(&mut layers));
        config.read_flags(sources.flags, &mut layers);
        config.complete();
        config.sections().into_iter().for_each(|section| section.check(&mut layers));
        config.check_claims(&mut layers);
        config.check_brake(&mut layers);
        Refused::unless_empty(std::mem::take(&mut layers.problems))?;
        config.layers = layers;
        Ok(config)
    }

    /// The file that was read, if one was.
    pub fn file(&self) -> Option<&Path> {
        self.layers.file.as_deref()
    }

    /// The variables the process was started with; credentials may be among them.
    pub fn environment(&self) -> &Environment {
        &self.layers.environment
    }

    /// A problem with the value of a key, at the place where it was set.
    pub fn problem_at(&self, key: &str, message: impl Into<String>, hint: impl Into<String>) -> Problem {
        Problem::new(self.layers.place(key), message, hint)
    }

    /// Variables named like ours that nothing reads; most likely a spelling mistake.
    pub fn unread_variables(&self) -> Vec<&str> {
        let known = |name: &str| VARIABLES.iter().any(|variable| variable.name == name);
        self.layers.environment.ours().filter(|name| !known(name)).collect()
    }

    fn read(path: &Path) -> Result<(Self, Layers), Refused> {
        let text = fs::read_to_string(path).map_err(|error| {
            let place = Place::File { path: path.to_owned(), line: None, key: None };
            let message = format!("the configuration file cannot be read ({})", error.kind());
            Problem::new(place, message, "check the path, or run `stanch init` to write one")
        })?;
        let mut config: Self = toml::from_str(&text).map_err(|error| parse_problem(path, &text, &error))?;
        // What a file says is relative to the file, so that it means the same wherever stanch is started from.
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            config.data = folder.join(&config.data);
            config.sections().into_iter().for_each(|section| section.rebase(folder));
        }
        Ok((config, Layers::of_file(path, &Locations::of(&text))))
    }

    fn read_flags(&mut self, flags: Flags, layers: &mut Layers) {
        if let Some(data) = flags.data {
            self.data = data;
            layers.note("data", Source::Flag("--data"));
        }
        if let Some(listen) = flags.listen {
            self.server.listen = listen;
            layers.note("server.listen", Source::Flag("--listen"));
        }
        if let Some(listen) = flags.admin_listen {
            self.server.admin_listen = Some(listen);
            layers.note("server.admin_listen", Source::Flag("--admin-listen"));
        }
    }

    /// Fills in what depends on other settings.
    fn complete(&mut self) {
        self.origin.complete();
        let data = &self.data;
        if self.database.url.is_none() && self.database.url_file.is_none() {
            self.database.url = Some(DatabaseUrl::sqlite(&data.join("stanch.db")));
        }
        self.keys.folder.get_or_insert_with(|| data.join("keys"));
        if self.mail.smtp.is_none() {
            self.mail.directory.get_or_insert_with(|| data.join("mail"));
        }
    }

    /// Issuers can only claim kinds that can be recognized.
    fn check_claims(&self, layers: &mut Layers) {
        for (name, issuer) in &self.issuer.elsewhere {
            for kind in &issuer.kinds {
                let mut known = catalogue::builtin().iter().map(|known| known.id.as_ref());
                if self.kind.has(kind) || known.clone().any(|known| known == kind) {
                    continue;
                }
                let hint = match unknown::nearest(kind, &mut known) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("describe a kind of your own in `[kind.{kind}]`"),
                };
                layers.refuse(&format!("issuer.{name}.kinds"), format!("no kind of token is called `{kind}`"), hint);
            }
        }
    }

    fn sections(&mut self) -> [&mut dyn Section; 13] {
        [
            &mut self.server,
            &mut self.dashboard,
            &mut self.oidc,
            &mut self.database,
            &mut self.keys,
            &mut self.origin,
            &mut self.issuer,
            &mut self.kind,
            &mut self.proxy,
            &mut self.mail,
            &mut self.work,
            &mut self.brake,
            &mut self.log,
        ]
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: PathBuf::from("stanch-data"),
            server: Server::default(),
            dashboard: Dashboard::default(),
            oidc: Oidc::default(),
            database: Database::default(),
            keys: Keys::default(),
            origin: Origins::default(),
            issuer: Issuers::default(),
            kind: Kinds::default(),
            proxy: Proxy::default(),
            mail: Mail::default(),
            work: Work::default(),
            brake: Brake::default(),
            log: Log::default(),
            layers: Layers::default(),
        }
    }
}

fn file_of(sources: &Sources) -> Option<PathBuf> {
    let named = sources.file.clone().or_else(|| sources.environment.get(CONFIG.name).map(PathBuf::from));
    named.or_else(|| Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.exists()))
}

/// Turns what the TOML reader refused into a problem. Its own display is not used: it quotes the line, and on the line
/// may stand the very credential that is refused.
fn parse_problem(path: &Path, text: &str, error: &toml::de::Error) -> Problem {
    let locations = Locations::of(text);
    let key = error.span().and_then(|span| locations.key_at(&span).map(str::to_owned));
    let line = error.span().map(|span| line_of(text, span.start));
    let place = Place::File { path: path.to_owned(), line, key };
    match Unknown::of(error.message()) {
        Some(unknown) => unknown.problem(place),
        None => Problem::new(
            place,
            without_value(error.message()),
            "see docs/configuration.md for every key and what it takes",
        ),
    }
}

/// The reader's sentence without the text that it refuses, which may be a credential at the wrong key.
fn without_value(message: &str) -> String {
    let quoted = ["invalid type: string", "invalid value: string", "unknown variant"];
    match message.rsplit_once(", expected ") {
        Some((refused, expected)) if quoted.iter().any(|start| refused.starts_with(start)) => {
            format!("expected {expected}")
        }
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod documented;
#[cfg(test)]
mod tests;
