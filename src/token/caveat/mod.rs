//! Caveats: the restrictions of a macaroon, in PyPI's language and a few words of our own.
//!
//! A caveat is a JSON list that begins with a tag. Tags 0 to 4 are PyPI's (pypi/warehouse, `warehouse/macaroons`), with
//! the object forms that came before them; ours begin at 100, out of the way of what PyPI may still add:
//!
//! | tag | form | holds when |
//! |---|---|---|
//! | 0 | `[0, expires_at, not_before]` | `not_before <= now < expires_at`, in seconds since 1970 |
//! | 1 | `[1, ["name", ...]]` | the request is about one of these projects |
//! | 2 | `[2, ["id", ...]]` | the request is about a project with one of these ids |
//! | 3 | `[3, "id"]` | the request is made for this user |
//! | 4 | `[4, "id"]` | the request is made by this trusted publisher, for a project it publishes |
//! | 100 | `[100, ["GET /path/*", ...]]` | one of these [routes](crate::token::route) allows method and path |
//! | 101 | `[101, ["192.0.2.0/24", ...]]` | the request comes from one of these networks |
//! | 102 | `[102, "nonce"]` | the nonce was not used with this token before; being accepted uses it up |
//! | 103 | `[103, ["name", ...]]` | the request is made to one of these services |
//!
//! What is not understood to the last character fails: an unknown tag, another type, a field too few or too many
//! ([`Caveat::read`]). Where two readers of the field differ, this one takes the side that refuses. Bytes are never
//! rewritten: a caveat is signed as its bearer wrote it.

mod check;
mod json;
mod read;

pub use check::{Context, Project, Publisher, Violation, violations};
pub use read::BadCaveat;

use crate::token::network::Network;
use crate::token::route::Route;

/// One restriction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caveat {
    /// Tag 103.
    Audience(Vec<String>),
    /// Tag 0. Seconds since 1970.
    Expiration { expires_at: i64, not_before: i64 },
    /// Tag 101.
    Networks(Vec<Network>),
    /// Tag 102.
    Once(String),
    /// The old form of "whatever its owner may": `{"version": 1, "permissions": "user"}`.
    Owner,
    /// Tag 2.
    ProjectIds(Vec<String>),
    /// Tag 1.
    ProjectNames(Vec<String>),
    /// Tag 4.
    Publisher(String),
    /// Tag 3.
    RequestUser(String),
    /// Tag 100.
    Routes(Vec<Route>),
}

/// Why a caveat is not written: its reader would refuse it, or no request could ever meet it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unwritable {
    #[error("a list in a caveat names at least one thing")]
    EmptyList,
    #[error("`{0}` is no id: use the form `01234567-89ab-cdef-0123-456789abcdef`")]
    Id(String),
    #[error("`{0}` is no name of a service: use up to 100 visible ASCII characters")]
    Name(String),
    #[error("a nonce has 16 to 128 letters, digits, `-` and `_`")]
    Nonce,
    #[error("`{0}` is no normalized project name: use small letters, digits and single `-` between them")]
    Project(String),
    #[error("a window begins before it ends")]
    Window,
}

impl Caveat {
    /// What it is about, in a word for metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Audience(_) => "audience",
            Self::Expiration { .. } => "expiration",
            Self::Networks(_) => "networks",
            Self::Once(_) => "once",
            Self::Owner => "owner",
            Self::ProjectIds(_) => "project_ids",
            Self::ProjectNames(_) => "project_names",
            Self::Publisher(_) => "publisher",
            Self::RequestUser(_) => "request_user",
            Self::Routes(_) => "routes",
        }
    }

    /// The caveat's text, compact as PyPI writes it.
    ///
    /// # Errors
    /// When it would restrict in a way that no reader understands, or that nothing can meet.
    pub fn write(&self) -> Result<String, Unwritable> {
        let listed = |tag: u8, items: Vec<String>| {
            if items.is_empty() {
                return Err(Unwritable::EmptyList);
            }
            Ok(serde_json::json!([tag, items]).to_string())
        };
        match self {
            Self::Audience(names) => {
                let name = |name: &&String| {
                    !(1..=100).contains(&name.len()) || !name.bytes().all(|byte| byte.is_ascii_graphic())
                };
                match names.iter().find(name) {
                    Some(bad) => Err(Unwritable::Name(shown(bad))),
                    None => listed(103, names.clone()),
                }
            }
            Self::Expiration { expires_at, not_before } if not_before < expires_at => {
                Ok(serde_json::json!([0, expires_at, not_before]).to_string())
            }
            Self::Expiration { .. } => Err(Unwritable::Window),
            Self::Networks(networks) => listed(101, networks.iter().map(ToString::to_string).collect()),
            Self::Once(nonce) if is_nonce(nonce) => Ok(serde_json::json!([102, nonce]).to_string()),
            Self::Once(_) => Err(Unwritable::Nonce),
            Self::Owner => Ok(r#"{"version":1,"permissions":"user"}"#.to_owned()),
            Self::ProjectIds(ids) => match ids.iter().find(|id| !is_uuid(id)) {
                Some(bad) => Err(Unwritable::Id(shown(bad))),
                None => listed(2, ids.clone()),
            },
            Self::ProjectNames(names) => match names.iter().find(|name| !is_project_name(name)) {
                Some(bad) => Err(Unwritable::Project(shown(bad))),
                None => listed(1, names.clone()),
            },
            Self::Publisher(id) | Self::RequestUser(id) if !is_uuid(id) => Err(Unwritable::Id(shown(id))),
            Self::Publisher(id) => Ok(serde_json::json!([4, id]).to_string()),
            Self::RequestUser(id) => Ok(serde_json::json!([3, id]).to_string()),
            Self::Routes(routes) => listed(100, routes.iter().map(ToString::to_string).collect()),
        }
    }
}

/// A project's name as registries compare it (PEP 503): small letters, every run of `-`, `_` and `.` one `-`.
pub fn normalized(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut gap = false;
    for letter in name.chars() {
        if matches!(letter, '-' | '_' | '.') {
            gap = true;
            continue;
        }
        if std::mem::take(&mut gap) {
            out.push('-');
        }
        out.extend(letter.to_lowercase());
    }
    if gap {
        out.push('-');
    }
    out
}

/// Whether a name is what [`normalized`] makes of one that a registry accepts.
pub fn is_project_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    name.len() <= 200
        && bytes.first().is_some_and(|byte| plain(*byte))
        && bytes.last().is_some_and(|byte| plain(*byte))
        && bytes.iter().all(|byte| plain(*byte) || *byte == b'-')
}

/// 8-4-4-4-12 hexadecimal digits in small letters.
pub fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

fn is_nonce(text: &str) -> bool {
    (16..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

fn shown(text: &str) -> String {
    text.chars().take(60).map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caveat_is_written_as_pypi_writes_it() {
        let id = "00000000-0000-0000-0000-000000000003";
        let written = [
            (Caveat::Expiration { expires_at: 50, not_before: 10 }, "[0,50,10]".to_owned()),
            (Caveat::ProjectNames(vec!["foo".into(), "bar".into()]), r#"[1,["foo","bar"]]"#.into()),
            (Caveat::ProjectIds(vec![id.into()]), format!(r#"[2,["{id}"]]"#)),
            (Caveat::RequestUser(id.into()), format!(r#"[3,"{id}"]"#)),
            (Caveat::Publisher(id.into()), format!(r#"[4,"{id}"]"#)),
            (Caveat::Owner, r#"{"version":1,"permissions":"user"}"#.into()),
            (Caveat::Routes(vec!["GET /a/*".parse().expect("a route")]), r#"[100,["GET /a/*"]]"#.into()),
            (Caveat::Networks(vec!["192.0.2.0/24".parse().expect("one")]), r#"[101,["192.0.2.0/24"]]"#.into()),
            (Caveat::Once("0123456789abcdef".into()), r#"[102,"0123456789abcdef"]"#.into()),
            (Caveat::Audience(vec!["upload".into()]), r#"[103,["upload"]]"#.into()),
        ];
        for (caveat, text) in written {
            assert_eq!(caveat.write().as_deref(), Ok(text.as_str()));
            assert_eq!(Caveat::read(text.as_bytes()), Ok(caveat), "{text}");
        }
    }

    #[test]
    fn what_no_reader_would_take_is_not_written() {
        for name in ["A", "a.b", "a_b", "", "-a", "a-", "é", "a b"] {
            assert!(Caveat::ProjectNames(vec![name.into()]).write().is_err(), "{name}");
        }
        for name in ["a", "aa", "a-a", "aaa--aaa", "0"] {
            assert!(Caveat::ProjectNames(vec![name.into()]).write().is_ok(), "{name}");
        }
        for id in ["nope", "", "00000000-0000-0000-0000-00000000000G", "00000000-0000-0000-0000-0000000000ZZ"] {
            assert!(Caveat::ProjectIds(vec![id.into()]).write().is_err(), "{id}");
            assert!(Caveat::RequestUser(id.into()).write().is_err(), "{id}");
        }
        assert!(Caveat::ProjectNames(Vec::new()).write().is_err(), "nothing could meet it");
        // A window that is empty, or ends before it begins. One that begins at zero is a window.
        for (not_before, expires_at) in [(0, 0), (5, 5), (6, 5)] {
            assert!(Caveat::Expiration { expires_at, not_before }.write().is_err());
        }
        assert!(Caveat::Expiration { expires_at: 5, not_before: 0 }.write().is_ok());
        assert!(Caveat::Once("short".into()).write().is_err());
    }

    #[test]
    fn names_are_compared_as_registries_do() {
        for (name, expected) in [("Foo.Bar__baz", "foo-bar-baz"), ("a", "a"), ("A-_.b", "a-b"), ("_x_", "-x-")] {
            assert_eq!(normalized(name), expected);
        }
    }
}
