//! Settings of the mail, and the checked form the rest of the module works with.
//!
//! Everything an owner can click comes from here, so a page that is not plain `https` is refused at start, not at the
//! first leak.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use lettre::message::Mailbox;

use crate::incident::EmailAddress;
use crate::token::Secret;

/// How mail leaves, and in whose name.
pub struct Settings {
    pub transport: Transport,
    /// `From`, as `Name <address>` or an address alone.
    pub from: String,
    /// What the issuer is called in the mail: `Example Registry`.
    pub product: String,
    /// Where an owner can ask back: an address or an https page of the operator.
    pub contact: String,
    /// Right part of the Message-ID; the domain of `from` if not set.
    pub message_id_domain: Option<String>,
    /// The operator's page, `https` only, on which an owner sees and makes tokens.
    pub tokens_url: Option<String>,
    /// What people call each kind, by its id: `pypi-api-token` is a `PyPI API token`. A kind without a name shows its id.
    pub kind_names: BTreeMap<String, String>,
}

pub enum Transport {
    /// One `.eml` file per mail, for development and for hand-over to another mailer.
    Directory(PathBuf),
    Smtp(SmtpSettings),
}

pub struct SmtpSettings {
    pub host: String,
    pub port: u16,
    pub encryption: SmtpEncryption,
    /// PEM certificates trusted beside the public ones: for a mail server with a certificate of one's own.
    pub ca_file: Option<PathBuf>,
    pub username: Option<String>,
    pub password: Option<Secret>,
    /// Most connections open at one time.
    pub pool_size: u32,
    /// Longest wait for one step: connecting with log-in, or handing over one mail.
    pub timeout: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpEncryption {
    /// No encryption; for a relay on the same machine.
    None,
    /// STARTTLS, required (RFC 3207).
    StartTls,
    /// TLS from the first byte (RFC 8314).
    Tls,
}

/// A setting of the mail that cannot work.
#[derive(Debug, thiserror::Error)]
#[error("`{setting}` {why}")]
pub struct SettingsError {
    /// The field of [`Settings`] or [`SmtpSettings`].
    pub setting: &'static str,
    pub why: &'static str,
    #[source]
    pub source: Option<io::Error>,
}

impl SettingsError {
    pub(super) fn new(setting: &'static str, why: &'static str) -> Self {
        Self { setting, why, source: None }
    }

    pub(super) fn io(setting: &'static str, why: &'static str, source: io::Error) -> Self {
        Self { setting, why, source: Some(source) }
    }
}

/// What every mail of this installation shares, checked.
pub(super) struct House {
    pub from: Mailbox,
    pub product: String,
    pub contact: Contact,
    pub message_id_domain: String,
    pub tokens_page: Option<Page>,
    pub kind_names: BTreeMap<String, String>,
}

/// Where an owner can ask back.
#[derive(Clone, Debug)]
pub(super) enum Contact {
    Address(EmailAddress),
    Page(Page),
}

/// A page of the operator: the only thing in a mail that can be clicked.
#[derive(Clone, Debug)]
pub(super) struct Page(String);

impl House {
    pub(super) fn new(settings: &Settings) -> Result<Self, SettingsError> {
        let from: Mailbox = settings
            .from
            .parse()
            .map_err(|_| SettingsError::new("from", "is not an address like `Name <name@example.org>`"))?;
        let product = settings.product.trim();
        if product.is_empty() || product.chars().count() > 60 || product.chars().any(char::is_control) {
            return Err(SettingsError::new("product", "must be a name of 1 to 60 characters"));
        }
        let domain = settings.message_id_domain.as_deref().unwrap_or_else(|| from.email.domain());
        if !is_domain(domain) {
            return Err(SettingsError::new("message_id_domain", "is not a domain name"));
        }
        Ok(Self {
            product: product.to_owned(),
            contact: Contact::parse(&settings.contact)?,
            message_id_domain: domain.to_owned(),
            tokens_page: settings.tokens_url.as_deref().map(|url| Page::parse("tokens_url", url)).transpose()?,
            kind_names: settings.kind_names.clone(),
            from,
        })
    }
}

impl Contact {
    fn parse(text: &str) -> Result<Self, SettingsError> {
        if text.contains("://") {
            return Page::parse("contact", text).map(Self::Page);
        }
        EmailAddress::parse(text)
            .map(Self::Address)
            .map_err(|_| SettingsError::new("contact", "is neither an e-mail address nor an https page"))
    }
}

impl Page {
    fn parse(setting: &'static str, text: &str) -> Result<Self, SettingsError> {
        let refused = |why| Err(SettingsError::new(setting, why));
        let Some(rest) = text.strip_prefix("https://") else { return refused("must begin with `https://`") };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return refused("must not carry a user name or a password");
        }
        let host = authority.rsplit_once(':').map_or(authority, |(host, _port)| host);
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"'<>\\^`{|}".contains(&byte));
        if !is_domain(host) || !plain || text.len() > 500 {
            return refused("is not a web address");
        }
        Ok(Self(text.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Letters, digits, hyphens and dots, as in DNS; enough to be safe inside a header and a link.
fn is_domain(text: &str) -> bool {
    let labels = |label: &str| {
        !label.is_empty() && label.len() <= 63 && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    text.len() <= 253 && text.split('.').all(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            transport: Transport::Directory(PathBuf::from("unused")),
            from: "Example Registry <security@registry.example>".into(),
            product: "Example Registry".into(),
            contact: "security@registry.example".into(),
            message_id_domain: None,
            tokens_url: Some("https://registry.example/me/tokens?from=mail#new".into()),
            kind_names: BTreeMap::new(),
        }
    }

    fn refused(change: impl FnOnce(&mut Settings)) -> String {
        let mut settings = settings();
        change(&mut settings);
        House::new(&settings).err().expect("refused").to_string()
    }

    #[test]
    fn the_domain_of_the_sender_stands_in_for_a_message_id_domain() {
        let house = House::new(&settings()).expect("well formed");
        assert_eq!(house.message_id_domain, "registry.example");
    }

    #[test]
    fn only_plain_https_pages_can_be_linked() {
        for bad in [
            "http://registry.example/",
            "javascript:alert(1)",
            "https://",
            "https://user:pw@registry.example/",
            "https://registry.example/\" onclick=\"x",
            "https://registry.example/a b",
            "https://registry.example/\r\nX: y",
            "https://reg\u{131}stry.example/",
        ] {
            assert!(refused(|settings| settings.tokens_url = Some(bad.into())).starts_with("`tokens_url` "), "{bad}");
        }
        assert_eq!(refused(|s| s.contact = "http://x.example".into()), "`contact` must begin with `https://`");
        assert_eq!(
            refused(|s| s.contact = "the front desk".into()),
            "`contact` is neither an e-mail address nor an https page"
        );
    }

    #[test]
    fn a_setting_that_could_break_a_header_is_refused() {
        assert!(refused(|s| s.from = "Evil\r\nBcc: x@example.org <a@example.org>".into()).starts_with("`from` "));
        assert!(refused(|s| s.product = "Example\r\nBcc: x".into()).starts_with("`product` "));
        assert!(refused(|s| s.product = "x".repeat(61)).starts_with("`product` "));
        assert!(refused(|s| s.message_id_domain = Some("a b".into())).starts_with("`message_id_domain` "));
    }
}
