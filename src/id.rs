//! Typed identifiers: a prefix that says what it names, then a UUIDv7 in 26 characters.
//!
//! The text form is TypeID 0.3 (<https://github.com/jetify-com/typeid/tree/main/spec>): it sorts by creation time,
//! survives being read aloud or pasted into a mail, and cannot be mistaken for the id of another noun. The UUID is
//! version 7 (RFC 9562 section 5.7).

use std::fmt;
use std::str::FromStr;

use uuid::{NoContext, Uuid};

use crate::clock::Timestamp;

/// Crockford's base32, lower case, as TypeID prescribes.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const ENCODED_LEN: usize = 26;

/// The text is not an identifier of the noun that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an id of this kind, which looks like `{prefix}_` and 26 characters")]
pub struct ParseIdError {
    prefix: &'static str,
    text: String,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            pub const PREFIX: &'static str = $prefix;

            /// A fresh id that sorts after those made at an earlier `now`.
            pub fn generate(now: Timestamp) -> Self {
                Self(fresh(now))
            }

            /// The UUID behind the text, for formats that want one.
            pub fn uuid(self) -> Uuid {
                self.0
            }

            /// The id of a UUID that [`Self::uuid`] gave out.
            pub fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_id(f, Self::PREFIX, self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                parse(Self::PREFIX, text).map(Self)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// One fire drill.
    DrillId = "drl";
    /// One line of the audit trail.
    EventId = "evt";
    /// One signed message of a reporter.
    DeliveryId = "dlv";
    /// One leaked token.
    IncidentId = "inc";
    /// One piece of work that is due.
    JobId = "job";
    /// Proof of holding a lease; a new one at every claim.
    LeaseToken = "lse";
    /// One mail about one or more incidents.
    NoticeId = "ntc";
    /// One place where a token was seen.
    OccurrenceId = "occ";
    /// A person who runs the service.
    OperatorId = "opr";
    /// An owner known to the built-in issuer.
    OwnerId = "own";
    /// A release of held tokens that takes a second person.
    ReleaseId = "rel";
    /// One record of a delivery.
    ReportId = "rep";
    /// One request to the HTTP server.
    RequestId = "req";
    /// A token of the built-in issuer.
    TokenId = "tok";
}

fn fresh(now: Timestamp) -> Uuid {
    let millis = u64::try_from(now.as_millis()).unwrap_or(0);
    let nanos = u32::try_from(millis % 1_000).unwrap_or(0) * 1_000_000;
    Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, millis / 1_000, nanos))
}

fn write_id(f: &mut fmt::Formatter<'_>, prefix: &str, id: Uuid) -> fmt::Result {
    let value = id.as_u128();
    let mut text = [0_u8; ENCODED_LEN];
    for (place, letter) in text.iter_mut().enumerate() {
        let index = usize::try_from((value >> (5 * (ENCODED_LEN - 1 - place))) & 31).unwrap_or(0);
        *letter = ALPHABET[index];
    }
    write!(f, "{prefix}_{}", String::from_utf8_lossy(&text))
}

fn parse(prefix: &'static str, text: &str) -> Result<Uuid, ParseIdError> {
    let refused = || ParseIdError { prefix, text: text.chars().take(64).collect() };
    let encoded = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_')).ok_or_else(refused)?;
    // 26 letters carry 130 bits; the first may only use three of its five, or the value would not fit a UUID.
    if encoded.len() != ENCODED_LEN || encoded.as_bytes()[0] > b'7' {
        return Err(refused());
    }
    let mut value = 0_u128;
    for letter in encoded.bytes() {
        let digit = ALPHABET.iter().position(|known| *known == letter).ok_or_else(refused)?;
        value = (value << 5) | u128::try_from(digit).unwrap_or(0);
    }
    Ok(Uuid::from_u128(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_text_and_keeps_its_noun() {
        let id = IncidentId::generate(Timestamp::from_millis(1_795_395_604_123));
        let text = id.to_string();
        assert_eq!(text.parse::<IncidentId>(), Ok(id));
        assert!(text.parse::<JobId>().is_err());
        assert!(text.to_uppercase().parse::<IncidentId>().is_err());
    }

    #[test]
    fn ids_sort_by_the_time_they_were_made() {
        let early = JobId::generate(Timestamp::from_millis(1_000));
        let late = JobId::generate(Timestamp::from_millis(2_000));
        assert!(early < late);
        assert!(early.to_string() < late.to_string());
    }

    #[test]
    fn the_published_example_of_typeid_is_read() {
        // From the specification's list of valid encodings.
        let id = parse("prefix", "prefix_01h455vb4pex5vsknk084sn02q").expect("valid by the specification");
        assert_eq!(id.to_string(), "01890a5d-ac96-774b-bcce-b302099a8057");
        assert!(parse("prefix", "prefix_81h455vb4pex5vsknk084sn02q").is_err(), "129 bits do not fit");
    }
}
