//! The SMTP transport: submission to the operator's mail server (RFC 5321, RFC 6409).
//!
//! The conversation is driven step by step because the answer alone does not say whose fault it is: `550` to our sender
//! is a broken setting that stops every mail, `550` to a recipient concerns one owner. A connection goes back to the
//! pool only after a mail was taken on it; one that failed, timed out or was abandoned half-way is dropped, for its next
//! answer could belong to the last question.

use std::fs;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lettre::address::Envelope;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters, TlsParametersBuilder,
};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::{SendError, SettingsError, SmtpEncryption, SmtpSettings};

/// A parked connection answers a NOOP at once or is not worth waiting for.
const NOOP_WAIT: Duration = Duration::from_secs(5);
const MECHANISMS: &[Mechanism] = &[Mechanism::Plain, Mechanism::Login];

pub(super) struct Smtp {
    host: String,
    port: u16,
    security: Security,
    credentials: Option<Credentials>,
    hello: ClientId,
    timeout: Duration,
    /// One permit for each connection that may be open.
    slots: Semaphore,
    parked: Mutex<Vec<AsyncSmtpConnection>>,
}

enum Security {
    None,
    StartTls(TlsParameters),
    Tls(TlsParameters),
}

/// Where in the conversation a failure happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Connecting,
    LoggingIn,
    Sender,
    Recipient,
    Content,
}

impl Smtp {
    pub(super) fn new(settings: SmtpSettings) -> Result<Self, SettingsError> {
        if settings.host.is_empty() {
            return Err(SettingsError::new("host", "is empty"));
        }
        if settings.pool_size == 0 {
            return Err(SettingsError::new("pool_size", "must be at least 1"));
        }
        if settings.timeout.is_zero() {
            return Err(SettingsError::new("timeout", "must be more than nothing"));
        }
        let security = match settings.encryption {
            SmtpEncryption::None => Security::None,
            SmtpEncryption::StartTls => Security::StartTls(tls(&settings)?),
            SmtpEncryption::Tls => Security::Tls(tls(&settings)?),
        };
        Ok(Self {
            credentials: credentials(&settings)?,
            security,
            hello: ClientId::default(),
            timeout: settings.timeout,
            slots: Semaphore::new(usize::try_from(settings.pool_size).unwrap_or(usize::MAX).min(1024)),
            parked: Mutex::new(Vec::new()),
            host: settings.host,
            port: settings.port,
        })
    }

    /// Hands over one mail.
    pub(super) async fn deliver(&self, envelope: &Envelope, mail: &[u8]) -> Result<(), SendError> {
        let Ok(_slot) = self.slots.acquire().await else {
            return Err(SendError::Retry { why: "the mail transport is closing".into() });
        };
        let mut connection = match self.take_parked().await {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        match timeout(self.timeout, converse(&mut connection, envelope, mail)).await {
            Ok(Ok(())) => {
                self.parked.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
                Ok(())
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(SendError::Retry { why: "the mail server took too long to take the mail".into() }),
        }
    }

    pub(super) async fn check(&self) -> Result<String, String> {
        match self.connect().await {
            Ok(mut connection) => {
                let _ = timeout(NOOP_WAIT, connection.quit()).await;
                let security = match self.security {
                    Security::None => "without encryption",
                    Security::StartTls(_) => "with STARTTLS",
                    Security::Tls(_) => "with TLS",
                };
                let login = if self.credentials.is_some() { " and takes our log-in" } else { "" };
                Ok(format!("the mail server at {}:{} answers {security}{login}", self.host, self.port))
            }
            Err(error) => Err(format!("mail server at {}:{}: {error}", self.host, self.port)),
        }
    }

    async fn take_parked(&self) -> Option<AsyncSmtpConnection> {
        loop {
            // In a statement of its own, so that the lock is not held while the server is asked.
            let parked = self.parked.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut connection = parked?;
            if timeout(NOOP_WAIT, connection.test_connected()).await == Ok(true) {
                return Some(connection);
            }
        }
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, SendError> {
        match timeout(self.timeout, self.open()).await {
            Ok(opened) => opened,
            Err(_) => Err(SendError::Retry { why: "the mail server took too long to answer".into() }),
        }
    }

    async fn open(&self) -> Result<AsyncSmtpConnection, SendError> {
        let at = |stage| move |error| judge(stage, &error);
        let wrapped = match &self.security {
            Security::Tls(tls) => Some(tls.clone()),
            Security::None | Security::StartTls(_) => None,
        };
        let address = (self.host.as_str(), self.port);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(address, Some(self.timeout), &self.hello, wrapped, None)
                .await
                .map_err(at(Stage::Connecting))?;
        if let Security::StartTls(tls) = &self.security {
            // Fails if the server does not offer it: never falls back to plain text.
            connection.starttls(tls.clone(), &self.hello).await.map_err(at(Stage::Connecting))?;
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(MECHANISMS, credentials).await.map_err(at(Stage::LoggingIn))?;
        }
        Ok(connection)
    }
}

async fn converse(connection: &mut AsyncSmtpConnection, envelope: &Envelope, mail: &[u8]) -> Result<(), SendError> {
    let at = |stage| move |error| judge(stage, &error);
    let mut parameters = Vec::new();
    if envelope.to().iter().chain(envelope.from()).any(|address| !AsRef::<str>::as_ref(address).is_ascii()) {
        if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            let why = "the mail server takes no addresses beyond ASCII".into();
            return Err(SendError::Undeliverable { why });
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    connection.command(Mail::new(envelope.from().cloned(), parameters)).await.map_err(at(Stage::Sender))?;
    for to in envelope.to() {
        connection.command(Rcpt::new(to.clone(), Vec::new())).await.map_err(at(Stage::Recipient))?;
    }
    connection.command(Data).await.map_err(at(Stage::Content))?;
    connection.message(mail).await.map_err(at(Stage::Content))?;
    Ok(())
}

/// What a failure means for this mail and for the others.
fn judge(stage: Stage, error: &Error) -> SendError {
    let to = match stage {
        Stage::Connecting => "to our greeting",
        Stage::LoggingIn => "to our log-in",
        Stage::Sender => "to our sender address",
        Stage::Recipient => "to the owner's address",
        Stage::Content => "to the mail itself",
    };
    if let Some(code) = error.status() {
        let why = format!("the mail server answered {code}{} {to}", enhanced(error));
        let code = u16::from(code);
        return match (stage, code) {
            (_, 400..500) => SendError::Retry { why },
            // These speak of our log-in wherever they are given (RFC 4954 section 6).
            (_, 530 | 534 | 535 | 538) => SendError::Misconfigured { why },
            // The size of one mail, told early.
            (Stage::Sender, 552) | (Stage::Recipient | Stage::Content, _) => SendError::Undeliverable { why },
            (Stage::Connecting | Stage::LoggingIn | Stage::Sender, _) => SendError::Misconfigured { why },
        };
    }
    match stage {
        // What lettre refuses by itself: nothing was sent to the server.
        Stage::Connecting if error.is_client() => {
            SendError::Misconfigured { why: "the mail server does not offer STARTTLS".into() }
        }
        Stage::LoggingIn if error.is_client() => {
            SendError::Misconfigured { why: "the mail server offers no way to log in that we know".into() }
        }
        Stage::Connecting if distrusted(error) => {
            SendError::Misconfigured { why: "the mail server's certificate is not trusted".into() }
        }
        Stage::Connecting => SendError::Retry { why: "the mail server cannot be reached".into() },
        _ => SendError::Retry { why: format!("the connection to the mail server broke, when it was to answer {to}") },
    }
}

/// The enhanced status code at the beginning of the server's text (RFC 3463), and nothing else of it: servers like to
/// repeat addresses.
fn enhanced(error: &Error) -> String {
    let text = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    let code = text.split_ascii_whitespace().next().unwrap_or_default();
    let parts: Vec<&str> = code.split('.').collect();
    let number = |part: &&str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    if parts.len() == 3 && parts.iter().all(number) { format!(" ({code})") } else { String::new() }
}

fn distrusted(error: &Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let found = inner
            .and_then(|inner| inner.downcast_ref::<rustls::Error>())
            .or_else(|| error.downcast_ref::<rustls::Error>());
        if matches!(found, Some(rustls::Error::InvalidCertificate(_))) {
            return true;
        }
        cause = error.source();
    }
    false
}

fn tls(settings: &SmtpSettings) -> Result<TlsParameters, SettingsError> {
    let mut builder = TlsParametersBuilder::new(settings.host.clone()).certificate_store(CertificateStore::WebpkiRoots);
    if let Some(path) = &settings.ca_file {
        let pem = fs::read(path).map_err(|error| SettingsError::io("ca_file", "cannot be read", error))?;
        let unusable = || SettingsError::new("ca_file", "holds no certificate in PEM form");
        // One file may hold several; lettre takes them one by one.
        let text = String::from_utf8(pem).map_err(|_| unusable())?;
        let certificates: Vec<&str> =
            text.split_inclusive("-----END CERTIFICATE-----").filter(|part| part.contains("-----BEGIN")).collect();
        if certificates.is_empty() {
            return Err(unusable());
        }
        for certificate in certificates {
            let certificate = Certificate::from_pem(certificate.as_bytes()).map_err(|_| unusable())?;
            builder = builder.add_root_certificate(certificate);
        }
    }
    builder.build().map_err(|_| SettingsError::new("ca_file", "holds a certificate that cannot be used"))
}

fn credentials(settings: &SmtpSettings) -> Result<Option<Credentials>, SettingsError> {
    let (username, password) = match (&settings.username, &settings.password) {
        (Some(username), Some(password)) => (username, password),
        (None, None) => return Ok(None),
        (Some(_), None) => return Err(SettingsError::new("password", "is missing beside `username`")),
        (None, Some(_)) => return Err(SettingsError::new("username", "is missing beside `password`")),
    };
    let loopback = ["localhost", "127.0.0.1", "::1"].contains(&settings.host.as_str());
    if settings.encryption == SmtpEncryption::None && !loopback {
        return Err(SettingsError::new("encryption", "must be `starttls` or `tls` if there is a password"));
    }
    // The mail server is the one party besides an issuer that must see a credential of ours.
    let password = String::from_utf8(password.expose().to_vec())
        .map_err(|_| SettingsError::new("password", "is not UTF-8 text"))?;
    Ok(Some(Credentials::new(username.clone(), password)))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::token::Secret;

    fn settings() -> SmtpSettings {
        SmtpSettings {
            host: "mail.example".into(),
            port: 587,
            encryption: SmtpEncryption::StartTls,
            ca_file: None,
            username: Some("stanch".into()),
            password: Some(Secret::new(b"pass".to_vec())),
            pool_size: 4,
            timeout: Duration::from_secs(30),
        }
    }

    fn refused(change: impl FnOnce(&mut SmtpSettings)) -> String {
        let mut settings = settings();
        change(&mut settings);
        Smtp::new(settings).err().expect("refused").to_string()
    }

    #[test]
    fn a_password_never_crosses_a_network_in_clear() {
        assert!(Smtp::new(settings()).is_ok());
        assert_eq!(
            refused(|settings| settings.encryption = SmtpEncryption::None),
            "`encryption` must be `starttls` or `tls` if there is a password"
        );
        let local = SmtpSettings { host: "localhost".into(), encryption: SmtpEncryption::None, ..settings() };
        assert!(Smtp::new(local).is_ok());
    }

    #[test]
    fn half_a_setting_is_refused_by_name() {
        assert_eq!(refused(|settings| settings.password = None), "`password` is missing beside `username`");
        assert_eq!(refused(|settings| settings.username = None), "`username` is missing beside `password`");
        assert_eq!(refused(|settings| settings.host = String::new()), "`host` is empty");
        assert_eq!(refused(|settings| settings.pool_size = 0), "`pool_size` must be at least 1");
        assert_eq!(refused(|settings| settings.timeout = Duration::ZERO), "`timeout` must be more than nothing");
    }

    #[test]
    fn a_file_without_certificates_is_refused() {
        assert_eq!(refused(|settings| settings.ca_file = Some("/nonexistent".into())), "`ca_file` cannot be read");
        for content in ["", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
            file.write_all(content.as_bytes()).expect("writable");
            let error = refused(|settings| settings.ca_file = Some(file.path().to_owned()));
            assert!(error.starts_with("`ca_file` holds "), "{error}");
        }
    }
}
