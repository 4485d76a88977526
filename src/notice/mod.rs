//! Notices: what the owner of a leaked token is told, and how it gets there.
//!
//! The mail says first that the token is already revoked. Nothing in it that a stranger wrote can be clicked, and
//! nothing of the token is in it but the last characters of its checksum.

use std::path::PathBuf;

use crate::clock::Timestamp;
use crate::id::NoticeId;
use crate::incident::{EmailAddress, Incident, Occurrence};
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
    /// Pages of the operator, `https` only, that the mail may link to.
    pub tokens_url: Option<String>,
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
    pub username: Option<String>,
    pub password: Option<Secret>,
    pub pool_size: u32,
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

/// What one mail is about.
pub struct Content<'a> {
    pub notice_id: NoticeId,
    pub to: &'a EmailAddress,
    pub created_at: Timestamp,
    /// Never empty: the incidents of one owner in one delivery, with the places each token was seen.
    pub items: Vec<(&'a Incident, &'a [Occurrence])>,
}
