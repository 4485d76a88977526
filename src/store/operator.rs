//! An operator: a person who runs the service, by the name they sign in with, and what they may do.

use std::fmt;
use std::str::FromStr;

use super::Error;
use super::sql::Row;
use crate::clock::Timestamp;
use crate::id::OperatorId;
use crate::incident::Actor;
use crate::operator::Role;

/// The name an operator signs in with: 1 to 64 lower-case letters, digits and `. _ - @ +`, a letter or digit first.
/// Typed in any case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperatorName(String);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an operator's name is 1 to 64 letters, digits and `. _ - @ +`, a letter or digit first")]
pub struct InvalidOperatorName;

impl OperatorName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for OperatorName {
    type Err = InvalidOperatorName;

    fn from_str(text: &str) -> Result<Self, InvalidOperatorName> {
        let name = text.trim().to_ascii_lowercase();
        let fine = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-@+".contains(&byte));
        if fine && name.len() <= 64 && name.starts_with(|first: char| first.is_ascii_alphanumeric()) {
            Ok(Self(name))
        } else {
            Err(InvalidOperatorName)
        }
    }
}

impl fmt::Display for OperatorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A person who runs the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    pub id: OperatorId,
    pub name: OperatorName,
    pub role: Role,
    /// Whether they have chosen a password yet.
    pub has_password: bool,
    pub created_at: Timestamp,
    pub signed_in_at: Option<Timestamp>,
    pub disabled_at: Option<Timestamp>,
}

impl Operator {
    /// How the audit trail names them.
    pub fn actor(&self) -> Actor {
        Actor::Operator(self.name.0.clone())
    }
}

/// What `operators.*` in a statement must name for [`read`].
pub(super) fn read(row: &Row) -> Result<Operator, Error> {
    Ok(Operator {
        id: row.parsed("id")?,
        name: row.parsed("name")?,
        role: row.parsed("role")?,
        has_password: row.int("has_password")? == 1,
        created_at: row.time("created_at")?,
        signed_in_at: row.optional_time("signed_in_at")?,
        disabled_at: row.optional_time("disabled_at")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_same_in_any_case_and_never_markup() {
        assert_eq!("  Ada@Example.org ".parse(), Ok(OperatorName("ada@example.org".into())));
        for bad in ["", " ", "-ada", "ada lovelace", "<b>", "ädä", "a\u{202e}b", &"a".repeat(65)] {
            assert_eq!(bad.parse::<OperatorName>(), Err(InvalidOperatorName), "{bad:?}");
        }
    }
}
