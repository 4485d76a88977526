//! `[mail]`: how owners are told, and in whose name.
//!
//! Mail goes to an SMTP server (`[mail.smtp]`) or into a folder (`directory`), never to both. Without either it goes
//! into the data folder, so that nothing is mailed by accident.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::environment::{Environment, Variable};
use super::human::Span;
use super::layers::{Layers, Section, rebase};
use super::problem::{Place, Problem};
use super::secret;
use crate::incident::EmailAddress;
use crate::notice;

/// `From` of every mail. Effect: `mail.from`.
pub const FROM: Variable = Variable { name: "STANCH_MAIL_FROM", key: "mail.from" };

/// What the issuer is called in the mail. Effect: `mail.product`.
pub const PRODUCT: Variable = Variable { name: "STANCH_MAIL_PRODUCT", key: "mail.product" };

/// Where an owner can ask back. Effect: `mail.contact`.
pub const CONTACT: Variable = Variable { name: "STANCH_MAIL_CONTACT", key: "mail.contact" };

/// A folder that mail is written into instead of being sent. Effect: `mail.directory`.
pub const DIRECTORY: Variable = Variable { name: "STANCH_MAIL_DIRECTORY", key: "mail.directory" };

/// The SMTP server. Default: none, mail goes into a folder. Effect: `mail.smtp.host`.
pub const SMTP_HOST: Variable = Variable { name: "STANCH_SMTP_HOST", key: "mail.smtp.host" };

/// Default: 587, 465 or 25, by the encryption. Effect: `mail.smtp.port`.
pub const SMTP_PORT: Variable = Variable { name: "STANCH_SMTP_PORT", key: "mail.smtp.port" };

/// `starttls`, `tls` or `none`. Default: `starttls`. Effect: `mail.smtp.encryption`.
pub const SMTP_ENCRYPTION: Variable = Variable { name: "STANCH_SMTP_ENCRYPTION", key: "mail.smtp.encryption" };

/// Effect: `mail.smtp.username`.
pub const SMTP_USERNAME: Variable = Variable { name: "STANCH_SMTP_USERNAME", key: "mail.smtp.username" };

/// The password itself. Effect: as `mail.smtp.password_env` naming this variable.
pub const SMTP_PASSWORD: Variable = Variable { name: "STANCH_SMTP_PASSWORD", key: "mail.smtp.password_env" };

/// A file that holds the password. Effect: `mail.smtp.password_file`.
pub const SMTP_PASSWORD_FILE: Variable = Variable { name: "STANCH_SMTP_PASSWORD_FILE", key: "mail.smtp.password_file" };

/// How owners are told.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mail {
    pub from: String,
    pub product: String,
    pub contact: String,
    pub message_id_domain: Option<String>,
    pub tokens_url: Option<String>,
    pub directory: Option<PathBuf>,
    pub smtp: Option<Smtp>,
}

/// The SMTP server that mail is given to.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Smtp {
    pub host: String,
    pub port: Option<u16>,
    pub encryption: Encryption,
    pub username: Option<String>,
    pub password_file: Option<PathBuf>,
    pub password_env: Option<String>,
    pub ca_file: Option<PathBuf>,
    pub pool_size: u32,
    pub timeout: Span,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encryption {
    None,
    #[default]
    StartTls,
    Tls,
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            from: "stanch <stanch@localhost>".into(),
            product: "stanch".into(),
            contact: "stanch@localhost".into(),
            message_id_domain: None,
            tokens_url: None,
            directory: None,
            smtp: None,
        }
    }
}

impl Default for Smtp {
    fn default() -> Self {
        Self {
            host: String::new(),
            port: None,
            encryption: Encryption::default(),
            username: None,
            password_file: None,
            password_env: None,
            ca_file: None,
            pool_size: 4,
            timeout: Span::seconds(30),
        }
    }
}

impl Mail {
    /// What mail is sent with; opens the password. `kind_names` is what people call each kind of token.
    ///
    /// # Errors
    /// When the password cannot be read.
    pub fn settings(
        &self,
        environment: &Environment,
        kind_names: BTreeMap<String, String>,
    ) -> Result<notice::Settings, Problem> {
        let transport = match &self.smtp {
            Some(smtp) => notice::Transport::Smtp(smtp.settings(environment)?),
            None => notice::Transport::Directory(self.directory.clone().unwrap_or_else(|| PathBuf::from("mail"))),
        };
        Ok(notice::Settings {
            transport,
            from: self.from.clone(),
            product: self.product.clone(),
            contact: self.contact.clone(),
            message_id_domain: self.message_id_domain.clone(),
            tokens_url: self.tokens_url.clone(),
            kind_names,
        })
    }
}

impl Smtp {
    fn settings(&self, environment: &Environment) -> Result<notice::SmtpSettings, Problem> {
        let password = secret::read(self.password_file.as_deref(), self.password_env.as_deref(), environment)?;
        Ok(notice::SmtpSettings {
            host: self.host.clone(),
            port: self.port.unwrap_or(self.encryption.port()),
            encryption: self.encryption.settings(),
            username: self.username.clone(),
            password,
            ca_file: self.ca_file.clone(),
            pool_size: self.pool_size,
            timeout: self.timeout.0,
        })
    }
}

impl Section for Mail {
    fn rebase(&mut self, folder: &Path) {
        rebase(self.directory.as_mut(), folder);
        if let Some(smtp) = &mut self.smtp {
            rebase(smtp.password_file.as_mut(), folder);
            rebase(smtp.ca_file.as_mut(), folder);
        }
    }

    fn read_environment(&mut self, layers: &mut Layers) {
        layers.set(&FROM, &mut self.from);
        layers.set(&PRODUCT, &mut self.product);
        layers.set(&CONTACT, &mut self.contact);
        // A variable that chooses one way of sending ends the other way that the file chose.
        let folder = layers.set_some(&DIRECTORY, &mut self.directory);
        let server = layers.is_set(&SMTP_HOST);
        if folder && !server {
            self.smtp = None;
        }
        if server {
            self.smtp.get_or_insert_default();
            self.directory = self.directory.take().filter(|_| folder);
        }
        match &mut self.smtp {
            Some(smtp) => smtp.read_environment(layers),
            None if folder => {}
            None => refuse_lonely_variables(layers),
        }
    }

    fn check(&self, layers: &mut Layers) {
        if address_in(&self.from).is_none() {
            layers.refuse("mail.from", "not an address", "write `Name <address>` or an address alone");
        }
        let page = |url: &str| url.strip_prefix("https://").is_some_and(|rest| !rest.is_empty() && inert(rest));
        if !page(&self.contact) && EmailAddress::parse(&self.contact).is_err() {
            layers.refuse(
                "mail.contact",
                "neither an address nor an https page",
                "name one that an owner can ask back at",
            );
        }
        if self.tokens_url.as_deref().is_some_and(|url| !page(url)) {
            layers.refuse("mail.tokens_url", "not an https page", "name the page where an owner makes a new token");
        }
        if self.product.trim().is_empty() || self.product.chars().any(char::is_control) {
            layers.refuse(
                "mail.product",
                "not a name",
                "write what owners call your service, such as `Example Registry`",
            );
        }
        let Some(smtp) = &self.smtp else { return };
        if self.directory.is_some() {
            let hint = "keep `directory` to write mail into a folder, or `[mail.smtp]` to send it";
            layers.refuse("mail.directory", "set beside `[mail.smtp]`", hint);
        }
        // The defaults do for a folder. Sent mail must come from, and lead back to, somebody.
        for (key, value) in [("mail.from", &self.from), ("mail.contact", &self.contact)] {
            if value.contains("@localhost") && smtp.is_remote() {
                layers.refuse(
                    key,
                    "missing, and mail is sent by `[mail.smtp]`",
                    "set it to an address of your service",
                );
            }
        }
        smtp.check(layers);
    }
}

impl Smtp {
    fn read_environment(&mut self, layers: &mut Layers) {
        layers.set(&SMTP_HOST, &mut self.host);
        layers.set_some(&SMTP_PORT, &mut self.port);
        layers.set(&SMTP_ENCRYPTION, &mut self.encryption);
        layers.set_some(&SMTP_USERNAME, &mut self.username);
        if layers.set_some(&SMTP_PASSWORD_FILE, &mut self.password_file) {
            self.password_env = None;
        }
        if layers.set_credential(&SMTP_PASSWORD, &mut self.password_env) && !layers.is_set(&SMTP_PASSWORD_FILE) {
            self.password_file = None;
        }
    }

    fn check(&self, layers: &mut Layers) {
        if self.host.is_empty() || !inert(&self.host) {
            layers.refuse("mail.smtp.host", "missing", "name the SMTP server, such as `smtp.example.org`");
        }
        let password = self.password_file.is_some() || self.password_env.is_some();
        if self.password_file.is_some() && self.password_env.is_some() {
            layers.refuse("mail.smtp.password_env", "set beside `password_file`", "keep one of the two");
        }
        if self.username.is_some() && !password {
            let hint = "name a file with the password in `password_file`, or set STANCH_SMTP_PASSWORD";
            layers.refuse("mail.smtp.username", "set without a password", hint);
        }
        if self.username.is_none() && password {
            let key = if self.password_file.is_some() { "mail.smtp.password_file" } else { "mail.smtp.password_env" };
            layers.refuse(key, "set without a `username`", "set both, or neither for a server that asks for none");
        }
        if password && self.encryption == Encryption::None && self.is_remote() {
            let hint = "choose `starttls` or `tls`; `none` is for a relay on this machine";
            layers.refuse("mail.smtp.encryption", "the password would cross the network in clear", hint);
        }
        layers.check_span("mail.smtp.timeout", self.timeout, Span::seconds(1), Span::seconds(300));
        if !(1..=64).contains(&self.pool_size) {
            layers.refuse("mail.smtp.pool_size", "not between 1 and 64", "4 connections are enough for most");
        }
    }

    fn is_remote(&self) -> bool {
        !["localhost", "127.0.0.1", "::1", "[::1]"].contains(&self.host.as_str())
    }
}

/// A server's option without the server is half a setting.
fn refuse_lonely_variables(layers: &mut Layers) {
    for variable in [&SMTP_PORT, &SMTP_ENCRYPTION, &SMTP_USERNAME, &SMTP_PASSWORD, &SMTP_PASSWORD_FILE] {
        if layers.is_set(variable) {
            let place = Place::Environment(variable.name.into());
            let hint = "set STANCH_SMTP_HOST as well, or `host` in `[mail.smtp]`";
            layers.problems.push(Problem::new(place, "set, but no SMTP server is", hint));
        }
    }
}

/// The address in `Name <address>` or in an address alone.
fn address_in(from: &str) -> Option<EmailAddress> {
    let address = match from.strip_suffix('>').and_then(|rest| rest.rsplit_once('<')) {
        Some((name, address)) if !name.chars().any(char::is_control) => address,
        Some(_) => return None,
        None => from,
    };
    EmailAddress::parse(address).ok()
}

fn inert(text: &str) -> bool {
    text.chars().all(|c| !c.is_control() && !c.is_whitespace() && !"<>\"".contains(c))
}

impl Encryption {
    fn port(self) -> u16 {
        match self {
            Self::None => 25,
            Self::StartTls => 587,
            Self::Tls => 465,
        }
    }

    fn settings(self) -> notice::SmtpEncryption {
        match self {
            Self::None => notice::SmtpEncryption::None,
            Self::StartTls => notice::SmtpEncryption::StartTls,
            Self::Tls => notice::SmtpEncryption::Tls,
        }
    }
}

/// No word for an encryption of SMTP.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is none of `starttls`, `tls` and `none`")]
pub struct UnknownEncryption(String);

impl FromStr for Encryption {
    type Err = UnknownEncryption;

    fn from_str(word: &str) -> Result<Self, UnknownEncryption> {
        match word {
            "none" => Ok(Self::None),
            "starttls" => Ok(Self::StartTls),
            "tls" => Ok(Self::Tls),
            other => Err(UnknownEncryption(other.chars().take(32).collect())),
        }
    }
}
