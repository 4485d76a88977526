//! JSON pointers (RFC 6901): where in an issuer's answer a fact stands.

use std::str::FromStr;

use serde_json::Value;

/// A pointer that is well formed: empty, or `/` and reference tokens in which `~` is written `~0` and `/` is `~1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer(String);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a JSON pointer begins with `/` and writes `~` as `~0`, as in `/owner/email`")]
pub struct InvalidPointer;

impl Pointer {
    /// The pointer to a member of the outermost object.
    pub(super) fn member(name: &str) -> Self {
        Self(format!("/{}", name.replace('~', "~0").replace('/', "~1")))
    }

    pub fn find<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        value.pointer(&self.0)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Pointer {
    type Err = InvalidPointer;

    fn from_str(text: &str) -> Result<Self, InvalidPointer> {
        let escapes_fit = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        if (text.is_empty() || text.starts_with('/')) && escapes_fit {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidPointer)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_examples_of_the_rfc_are_found() {
        let document = json!({"foo": ["bar", "baz"], "": 0, "a/b": 1, "m~n": 8});
        for (pointer, value) in [
            ("/foo/0", json!("bar")),
            ("/", json!(0)),
            ("/a~1b", json!(1)),
            ("/m~0n", json!(8)),
            ("", document.clone()),
        ] {
            assert_eq!(pointer.parse::<Pointer>().expect(pointer).find(&document), Some(&value), "{pointer}");
        }
        assert_eq!(Pointer::member("a/b").find(&document), Some(&json!(1)));
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        for text in ["owner", "/a~", "/a~2b", "$.owner", "#/owner"] {
            assert_eq!(text.parse::<Pointer>(), Err(InvalidPointer), "{text}");
        }
    }
}
