//! Verdicts: what an issuer says about a token.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// An issuer's answer to "does this token live?".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The issuer knows the token and would accept it no more: revoked or expired before we asked.
    Dead(Option<IssuedToken>),
    /// The text names a token of the issuer's and was not made by it: what leaked is the name, which opens nothing.
    Forged(IssuedToken),
    /// The issuer would accept the token now.
    Live(IssuedToken),
    /// The issuer answered that it never issued this token.
    NotOurs,
    /// There is no answer. Never to be read as dead.
    Unknown(Unknown),
}

impl Verdict {
    /// The word used in the database, in metrics and in the audit trail.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Dead(_) => "dead",
            Self::Forged(_) => "forged",
            Self::Live(_) => "live",
            Self::NotOurs => "not_ours",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// Why an issuer could not answer, and what that means for the next try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// The issuer said one thing and did another: it confirmed a revocation, and the token still lives.
    Contradictory { why: String },
    /// The issuer refuses *us* (401, 403, a broken setting): a person must look, and trying again soon is useless.
    Misconfigured { why: String },
    /// The issuer asked us to come back later (429, 503 with `Retry-After`, our own limiter): not a failed attempt.
    Throttled { why: String, retry_after: Duration },
    /// Time-out, reset, 5xx, an answer that made no sense.
    Unavailable { why: String },
    /// The issuer refuses this one question (4xx) by a status that nobody declared.
    Undeclared { why: String },
}

impl Unknown {
    pub fn why(&self) -> &str {
        match self {
            Self::Contradictory { why }
            | Self::Misconfigured { why }
            | Self::Throttled { why, .. }
            | Self::Unavailable { why }
            | Self::Undeclared { why } => why,
        }
    }
}

/// What an issuer told us about a token of its own. Never the token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedToken {
    /// The issuer's own name for the issued token. Many spellings of one token (an attenuated macaroon, say) share it.
    pub id: String,
    /// The name its owner gave it.
    pub name: Option<String>,
    pub owner: Option<Owner>,
    #[serde(default, with = "millis")]
    pub created_at: Option<Timestamp>,
    #[serde(default, with = "millis")]
    pub last_used_at: Option<Timestamp>,
    /// The network that the last use came from, if the issuer notes it. Where it does, asking it is no use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_from: Option<String>,
    #[serde(default, with = "millis")]
    pub expires_at: Option<Timestamp>,
    pub scopes: Vec<String>,
}

/// Who holds a token, as its issuer says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The issuer's id of the owner.
    pub id: Option<String>,
    pub name: Option<String>,
    pub email: Option<EmailAddress>,
    /// Who is told besides: the other owners of an organization's token.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<EmailAddress>,
}

impl Owner {
    /// Everybody who is told, each once.
    pub fn addresses(&self) -> impl Iterator<Item = &EmailAddress> {
        self.email.iter().chain(&self.others)
    }

    /// Whom mail goes to, for people: the domain only, for an address is personal, and lists are pasted into chats.
    pub fn shown_address(&self) -> Option<String> {
        let email = self.email.as_ref()?;
        Some(match self.others.len() {
            0 => format!("{email:?}"),
            others => format!("{email:?} and {others} more"),
        })
    }
}

/// An e-mail address that can stand in a header: one `@`, no white space, no control characters, at most 254 bytes
/// (RFC 5321 section 4.5.3.1.3).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EmailAddress(String);

/// The text is not an address that mail could be sent to. The text itself is withheld: it is personal data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an e-mail address that mail can be sent to")]
pub struct InvalidEmailAddress;

impl EmailAddress {
    /// # Errors
    /// When the text could not be the address of one mailbox.
    pub fn parse(text: &str) -> Result<Self, InvalidEmailAddress> {
        let text = text.trim();
        let (local, domain) = text.rsplit_once('@').ok_or(InvalidEmailAddress)?;
        let inert = text.chars().all(|c| !c.is_control() && !c.is_whitespace() && !"<>,;:\"\\()[]".contains(c));
        if local.is_empty() || domain.is_empty() || local.contains('@') || text.len() > 254 || !inert {
            return Err(InvalidEmailAddress);
        }
        Ok(Self(text.to_owned()))
    }

    /// The address, for the envelope and for the database; never for a log line.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for EmailAddress {
    type Error = InvalidEmailAddress;

    fn try_from(text: String) -> Result<Self, InvalidEmailAddress> {
        Self::parse(&text)
    }
}

impl From<EmailAddress> for String {
    fn from(address: EmailAddress) -> Self {
        address.0
    }
}

/// Shows the domain only: addresses do not belong in logs.
impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let domain = self.0.rsplit_once('@').map_or("", |(_, domain)| domain);
        write!(f, "…@{domain}")
    }
}

/// The name of a configured issuer: `builtin`, or what the operator called it. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IssuerName(Arc<str>);

impl IssuerName {
    pub fn new(name: &str) -> Self {
        Self(Arc::from(name))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IssuerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for IssuerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Instants inside the stored JSON are milliseconds, as everywhere in the database.
mod millis {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::clock::Timestamp;

    #[expect(clippy::ref_option, reason = "the signature serde asks for")]
    pub fn serialize<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        at.map(Timestamp::as_millis).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        Ok(Option::<i64>::deserialize(deserializer)?.map(Timestamp::from_millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_could_break_a_header_is_refused() {
        assert!(EmailAddress::parse(" ada@example.org ").is_ok());
        for bad in ["", "ada", "@example.org", "ada@", "a@b@c", "ada@example.org\r\nBcc: x@y", "a b@c", "<a@b>"] {
            assert_eq!(EmailAddress::parse(bad), Err(InvalidEmailAddress), "{bad:?}");
        }
        assert!(EmailAddress::parse(&format!("{}@example.org", "a".repeat(260))).is_err());
    }

    #[test]
    fn an_address_does_not_show_its_person() {
        let address = EmailAddress::parse("ada@example.org").expect("well formed");
        assert_eq!(format!("{address:?}"), "…@example.org");
    }

    #[test]
    fn an_issued_token_survives_json() {
        let token = IssuedToken {
            id: "t1".into(),
            name: Some("ci".into()),
            owner: Some(Owner {
                id: None,
                name: None,
                email: EmailAddress::parse("a@b.example").ok(),
                others: Vec::new(),
            }),
            created_at: Some(Timestamp::from_millis(5)),
            last_used_at: None,
            last_used_from: None,
            expires_at: None,
            scopes: vec!["upload".into()],
        };
        let json = serde_json::to_string(&token).expect("plain data");
        assert_eq!(serde_json::from_str::<IssuedToken>(&json).expect("what was written"), token);
    }
}
