//! Notices: what the owner of a leaked token is told, and how it gets there.
//!
//! The mail says first that the token is already revoked. Nothing in it that a stranger wrote can be clicked, and
//! nothing of the token is in it but the last characters of its checksum. Whether a mail goes out never decides whether
//! a token dies: sending happens after the revocation and is repeated under one Message-ID until it succeeds or a
//! person must look.
//!
//! `letter` has the words, the templates lay them out twice (text and HTML), `message` wraps them in
//! MIME (RFC 5322, RFC 2046), and a transport hands them over.

mod card;
mod directory;
mod html;
mod inert;
mod letter;
mod message;
mod settings;
mod smtp;
mod text;
mod token;
mod words;

#[cfg(test)]
mod sample;

pub use settings::{Settings, SettingsError, SmtpEncryption, SmtpSettings, Transport};
pub use token::{Occasion, TokenContent};

use lettre::Message;

use self::directory::Directory;
use self::settings::House;
use self::smtp::Smtp;
use crate::clock::Timestamp;
use crate::id::NoticeId;
use crate::incident::{EmailAddress, Incident, Occurrence};
use crate::telemetry::metric;

/// What one mail is about.
pub struct Content<'a> {
    pub notice_id: NoticeId,
    /// One owner. Each gets a mail of their own, under a Message-ID of its own.
    pub to: &'a EmailAddress,
    pub created_at: Timestamp,
    /// Never empty: the incidents of one owner in one delivery, with the places each token was seen.
    pub items: Vec<(&'a Incident, &'a [Occurrence])>,
}

/// A notice as its owner reads it.
pub struct Preview {
    pub subject: String,
    pub text: String,
}

/// Renders notices and hands them over. One for the whole process: it keeps the connections to the mail server.
pub struct Mailer {
    house: House,
    route: Route,
}

enum Route {
    Directory(Directory),
    Smtp(Box<Smtp>),
}

/// Why a mail was not taken, by what to do about it. `why` names no address and quotes no server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Nothing about this mail is wrong: the way out of here is. Every mail waits until a person mends it.
    #[error("mail cannot leave: {why}")]
    Misconfigured { why: String },
    /// Time-out, broken connection, a 4xx answer: send the same mail again later.
    #[error("mail was not taken: {why}")]
    Retry { why: String },
    /// The mail server will never take this mail for this owner: a person must find another way.
    #[error("mail was refused: {why}")]
    Undeliverable { why: String },
}

impl Mailer {
    /// Checks the settings and prepares the way out, without a connection to anybody.
    ///
    /// # Errors
    /// When a setting cannot work; it is named.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let house = House::new(&settings)?;
        let route = match settings.transport {
            Transport::Directory(path) => Route::Directory(Directory::open(path)?),
            Transport::Smtp(settings) => Route::Smtp(Box::new(Smtp::new(settings)?)),
        };
        Ok(Self { house, route })
    }

    /// Sends one notice. Sent again, it is the same mail under the same Message-ID.
    ///
    /// # Errors
    /// When the mail was not taken. A mail server that took it and could not say so leads to [`SendError::Retry`], the
    /// one way in which an owner may get a notice twice.
    pub async fn send(&self, content: &Content<'_>, now: Timestamp) -> Result<(), SendError> {
        let composed = message::compose(&self.house, content, now);
        self.hand_over(message::id(content), composed).await
    }

    /// Sends one mail about a token that did not leak.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn send_about_token(&self, content: &TokenContent<'_>, now: Timestamp) -> Result<(), SendError> {
        let letter = token::write(&self.house, content, now);
        let id = content.notice_id.to_string();
        let composed = message::wrap(&self.house, &letter, content.to, &id, now);
        self.hand_over(id, composed).await
    }

    async fn hand_over(&self, id: String, composed: Result<Message, SendError>) -> Result<(), SendError> {
        let sent = match composed {
            Ok(message) => match &self.route {
                Route::Directory(directory) => directory.write(&id, message.formatted()).await,
                Route::Smtp(smtp) => smtp.deliver(message.envelope(), &message.formatted()).await,
            },
            Err(refused) => Err(refused),
        };
        let outcome = match &sent {
            Ok(()) => "sent",
            Err(SendError::Misconfigured { .. }) => "misconfigured",
            Err(SendError::Retry { .. }) => "retry",
            Err(SendError::Undeliverable { .. }) => "undeliverable",
        };
        metrics::counter!(metric::NOTICES_TOTAL, "outcome" => outcome).increment(1);
        sent
    }

    /// What the owner reads, without sending it.
    ///
    /// # Errors
    /// When it cannot be laid out.
    pub fn preview(&self, content: &Content<'_>) -> Result<Preview, SendError> {
        message::preview(&self.house, content)
    }

    /// Whether mail could leave now, for `stanch doctor`: what works, or what is wrong. Sends nothing.
    ///
    /// # Errors
    /// A sentence for a person.
    pub async fn check(&self) -> Result<String, String> {
        match &self.route {
            Route::Directory(directory) => directory.check().await,
            Route::Smtp(smtp) => smtp.check().await,
        }
    }
}
