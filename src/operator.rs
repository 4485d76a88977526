//! Operators: what the people who run the service may do.
//!
//! Three roles, each of which may do all that the one before may. A role comes with a sign-in, or with the scope of an
//! API token; what a route demands is declared where the route is.

use std::fmt;
use std::str::FromStr;

/// What an operator may do, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Sees everything that may be seen.
    Viewer,
    /// Acts on incidents: retry, release, dismiss, pause.
    Responder,
    /// Manages operators, tokens and reporters.
    Admin,
}

/// No word for a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a role is `viewer`, `responder` or `admin`")]
pub struct UnknownRole;

impl Role {
    /// Every role, least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Responder, Self::Admin];

    pub fn word(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Responder => "responder",
            Self::Viewer => "viewer",
        }
    }

    /// The scope that gives a token this role.
    pub fn scope(self) -> &'static str {
        match self {
            Self::Admin => "operator:admin",
            Self::Responder => "operator:responder",
            Self::Viewer => "operator:viewer",
        }
    }

    /// Whether whoever has this role may do what `needed` may.
    pub fn allows(self, needed: Self) -> bool {
        self >= needed
    }

    /// The highest role among a token's scopes.
    pub fn of_scopes<S: AsRef<str>>(scopes: &[S]) -> Option<Self> {
        let held = |role: &Self| scopes.iter().any(|scope| scope.as_ref() == role.scope());
        Self::ALL.into_iter().rev().find(held)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(word: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.word() == word).ok_or(UnknownRole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_may_do_what_lesser_ones_may() {
        for (mine, needed, fine) in [
            (Role::Viewer, Role::Viewer, true),
            (Role::Viewer, Role::Responder, false),
            (Role::Responder, Role::Viewer, true),
            (Role::Responder, Role::Admin, false),
            (Role::Admin, Role::Responder, true),
        ] {
            assert_eq!(mine.allows(needed), fine, "{mine} for {needed}");
        }
    }

    #[test]
    fn the_highest_scope_counts_and_no_other_word_is_one() {
        assert_eq!(Role::of_scopes(&["operator:viewer", "upload", "operator:admin"]), Some(Role::Admin));
        assert_eq!(Role::of_scopes(&["operator", "admin", "operator:root", "operator:admin "]), None);
        assert_eq!(Role::of_scopes::<&str>(&[]), None);
    }

    #[test]
    fn words_are_read_as_they_are_written() {
        for role in Role::ALL {
            assert_eq!(role.word().parse(), Ok(role));
        }
        assert_eq!("Admin".parse::<Role>(), Err(UnknownRole));
    }
}
