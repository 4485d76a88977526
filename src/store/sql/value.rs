//! Values: what is bound to a statement, with its type also when it is null.

use crate::clock::Timestamp;
use crate::id;

/// A value to be bound, with its type also when it is null.
pub(in crate::store) enum Value {
    Blob(Option<Vec<u8>>),
    Int(Option<i64>),
    Text(Option<String>),
}

/// `binds![id, now]`: the values of `$1`, `$2`, …
macro_rules! binds {
    ($($value:expr),* $(,)?) => { vec![$($crate::store::sql::Value::from($value)),*] };
}
pub(in crate::store) use binds;

impl Value {
    /// A JSON list, for `{in $n}`.
    pub(in crate::store) fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> Self {
        let items: Vec<serde_json::Value> = items.into_iter().map(|item| item.to_string().into()).collect();
        Self::Text(Some(serde_json::Value::from(items).to_string()))
    }

    /// Bytes in hexadecimal, for hashes that people compare with what they computed themselves.
    pub(in crate::store) fn hex(bytes: &[u8]) -> Self {
        Self::Text(Some(hex(bytes)))
    }

    /// A JSON list of lists, for `{pairs $n}`.
    pub(in crate::store) fn pairs<A: ToString, B: ToString>(items: impl IntoIterator<Item = (A, B)>) -> Self {
        let items = items.into_iter().map(|(a, b)| serde_json::json!([a.to_string(), b.to_string()]));
        Self::Text(Some(items.collect::<serde_json::Value>().to_string()))
    }
}

pub(in crate::store) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        // PostgreSQL's text cannot hold U+0000. A stranger's text may, and must not make its delivery unstorable.
        let text = if text.contains('\0') { text.replace('\0', "\u{FFFD}") } else { text };
        Self::Text(Some(text))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        text.map_or(Self::Text(None), Self::from)
    }
}

impl From<Option<&str>> for Value {
    fn from(text: Option<&str>) -> Self {
        text.map_or(Self::Text(None), Self::from)
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Blob(Some(bytes))
    }
}

impl From<Option<Vec<u8>>> for Value {
    fn from(bytes: Option<Vec<u8>>) -> Self {
        Self::Blob(bytes)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(Some(number))
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Int(Some(number.into()))
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Int(Some(i64::try_from(number).unwrap_or(i64::MAX)))
    }
}

impl From<Timestamp> for Value {
    fn from(at: Timestamp) -> Self {
        Self::Int(Some(at.as_millis()))
    }
}

impl From<Option<Timestamp>> for Value {
    fn from(at: Option<Timestamp>) -> Self {
        Self::Int(at.map(Timestamp::as_millis))
    }
}

macro_rules! bind_ids {
    ($($id:ident),*) => {$(
        impl From<id::$id> for Value {
            fn from(id: id::$id) -> Self {
                Self::Text(Some(id.to_string()))
            }
        }

        impl From<Option<id::$id>> for Value {
            fn from(id: Option<id::$id>) -> Self {
                Self::Text(id.map(|id| id.to_string()))
            }
        }
    )*};
}

bind_ids!(
    DeliveryId,
    DrillId,
    EventId,
    IncidentId,
    JobId,
    LeaseToken,
    NoticeId,
    OccurrenceId,
    OperatorId,
    OwnerId,
    ReleaseId,
    TokenId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_postgresql_cannot_hold_is_made_storable() {
        let Value::Text(Some(text)) = Value::from("a\0b") else { panic!("not a text") };
        assert_eq!(text, "a\u{FFFD}b");
    }
}
