//! Templates: texts with holes for a leaked token, filled in so that what is put in cannot leave its place.
//!
//! A token is a stranger's text. In a path, a query or a form every byte that is not unreserved (RFC 3986 section 2.3)
//! is percent-encoded; in a JSON body it is one string; in a header a control character makes the request fail.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::id::IncidentId;
use crate::token::Secret;

/// A text that was taken apart into literal parts and holes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Hole(Hole),
    Text(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hole {
    Id,
    IncidentId,
    Token,
    TokenSha256,
}

/// What holes are filled with.
#[derive(Clone, Copy)]
pub(super) struct Filling<'a> {
    pub secret: &'a Secret,
    /// The issuer's own id of the token.
    pub id: Option<&'a str>,
    pub incident_id: Option<IncidentId>,
}

/// How what is filled in is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Percent,
    Plain,
}

/// The template cannot be filled for this token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfilled {
    /// An empty place could mean "all of them" to the issuer.
    #[error("the request would be sent with nothing filled in")]
    Empty,
    #[error("the request needs {0}, which is not known")]
    Missing(&'static str),
    #[error("the token is not text, so it cannot be put in the request")]
    NotText,
}

impl Template {
    /// # Errors
    /// A sentence for the operator when a brace opens something else than a known hole.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, tail) = rest.split_at(at);
            literal.push_str(before);
            if let Some(after) = tail.strip_prefix("{{") {
                literal.push('{');
                rest = after;
            } else if let Some(after) = tail.strip_prefix("}}") {
                literal.push('}');
                rest = after;
            } else {
                let (hole, after) = tail
                    .strip_prefix('{')
                    .and_then(|tail| tail.split_once('}'))
                    .and_then(|(name, after)| Some((Hole::named(name)?, after)))
                    .ok_or_else(|| UNKNOWN_HOLE.to_owned())?;
                if !literal.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut literal)));
                }
                parts.push(Part::Hole(hole));
                rest = after;
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Self(parts))
    }

    pub fn has(&self, hole: Hole) -> bool {
        self.0.contains(&Part::Hole(hole))
    }

    pub fn fill(&self, filling: Filling<'_>, encoding: Encoding) -> Result<Zeroizing<String>, Unfilled> {
        let mut text = Zeroizing::new(String::new());
        for part in &self.0 {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Hole(hole) => {
                    let before = text.len();
                    hole.fill(filling, encoding, &mut text)?;
                    if text.len() == before {
                        return Err(Unfilled::Empty);
                    }
                }
            }
        }
        Ok(text)
    }
}

impl Hole {
    fn named(name: &str) -> Option<Self> {
        match name {
            "id" => Some(Self::Id),
            "incident_id" => Some(Self::IncidentId),
            "token" => Some(Self::Token),
            "token_sha256" => Some(Self::TokenSha256),
            _ => None,
        }
    }

    fn fill(self, filling: Filling<'_>, encoding: Encoding, text: &mut String) -> Result<(), Unfilled> {
        match self {
            Self::Id => put(filling.id.ok_or(Unfilled::Missing("the issuer's id of the token"))?, encoding, text),
            Self::IncidentId => {
                let id = filling.incident_id.ok_or(Unfilled::Missing("an incident"))?;
                put(&id.to_string(), encoding, text);
            }
            Self::Token => match encoding {
                Encoding::Percent => percent_encode(filling.secret.expose(), text),
                Encoding::Plain => {
                    text.push_str(std::str::from_utf8(filling.secret.expose()).map_err(|_| Unfilled::NotText)?);
                }
            },
            Self::TokenSha256 => {
                for byte in Sha256::digest(filling.secret.expose()) {
                    let _ = write!(text, "{byte:02x}");
                }
            }
        }
        Ok(())
    }
}

fn put(value: &str, encoding: Encoding, text: &mut String) {
    match encoding {
        Encoding::Percent => percent_encode(value.as_bytes(), text),
        Encoding::Plain => text.push_str(value),
    }
}

/// Percent-encodes every byte outside the unreserved set, which is right in a path segment, a query and a form alike.
pub(super) fn percent_encode(bytes: &[u8], text: &mut String) {
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            text.push(char::from(*byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
}

const UNKNOWN_HOLE: &str = "only `{token}`, `{token_sha256}`, `{id}` and `{incident_id}` can be filled in; \
                            write a literal brace twice";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::Timestamp;

    fn fill(template: &str, token: &[u8], encoding: Encoding) -> Result<String, Unfilled> {
        let secret = Secret::new(token.to_vec());
        let filling = Filling {
            secret: &secret,
            id: Some("a/b"),
            incident_id: Some(IncidentId::generate(Timestamp::from_millis(5))),
        };
        Template::parse(template).expect(template).fill(filling, encoding).map(|text| text.to_string())
    }

    #[test]
    fn holes_are_filled_and_doubled_braces_are_literal() {
        assert_eq!(fill("/t/{token}?x={{1}}", b"a b", Encoding::Percent).as_deref(), Ok("/t/a%20b?x={1}"));
        assert_eq!(fill("Bearer {token}", b"abc", Encoding::Plain).as_deref(), Ok("Bearer abc"));
        assert_eq!(fill("/by-id/{id}", b"x", Encoding::Percent).as_deref(), Ok("/by-id/a%2Fb"));
        assert!(fill("{incident_id}", b"x", Encoding::Plain).is_ok_and(|id| id.starts_with("inc_")));
        // SHA-256 of "abc", FIPS 180-2 appendix B.1.
        assert_eq!(
            fill("{token_sha256}", b"abc", Encoding::Plain).as_deref(),
            Ok("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        );
    }

    #[test]
    fn an_unknown_or_unclosed_hole_is_refused() {
        for text in ["{tokn}", "{token", "token}", "{}", "{ token }", "{{{tokn}"] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_token_that_is_not_text_is_not_put_where_text_must_stand() {
        assert_eq!(fill("{token}", b"\xff", Encoding::Plain), Err(Unfilled::NotText));
        assert_eq!(fill("{token}", b"\xff", Encoding::Percent).as_deref(), Ok("%FF"));
    }

    #[test]
    fn nothing_is_never_asked_about() {
        for template in ["/tokens/{token}", "{token}"] {
            assert_eq!(fill(template, b"", Encoding::Percent), Err(Unfilled::Empty));
        }
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        let secret = Secret::new(b"t".to_vec());
        let filling = Filling { secret: &secret, id: None, incident_id: None };
        let template = Template::parse("/x/{id}").expect("known hole");
        assert!(matches!(template.fill(filling, Encoding::Percent), Err(Unfilled::Missing(_))));
    }

    proptest! {
        #[test]
        fn a_filled_in_token_never_adds_syntax(token in proptest::collection::vec(any::<u8>(), 1..64)) {
            let filled = fill("{token}", &token, Encoding::Percent).expect("bytes can be percent-encoded");
            prop_assert!(filled.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b)));
        }

        #[test]
        fn no_template_makes_the_parser_panic(text in ".*") {
            let _ = Template::parse(&text);
        }
    }
}
