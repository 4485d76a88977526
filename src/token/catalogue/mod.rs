//! The catalogue: every token kind the recognizer knows by default, as data.
//!
//! The data are the `.toml` files beside this one, one a group; the build script checks them and writes them down as
//! constant tables, so that a start reads no file and parses nothing. Their fields are explained in `README.md` there.
//! A kind is in the catalogue when its format is documented, was read in the issuer's code, or is what independent
//! scanners look for; a format that is a guess stays out.

use std::borrow::Cow;

use super::charset::Set;
use super::checksum::{Algorithm, Identifier};
use super::shape::{self, BadShape, Part, Role};

/// A recognizable format of tokens.
#[derive(Clone, Debug)]
pub struct Kind {
    /// Stable name, kebab-case.
    pub id: Cow<'static, str>,
    /// Who issues it.
    pub issuer: Cow<'static, str>,
    /// What it is, in words.
    pub name: Cow<'static, str>,
    pub group: Group,
    /// The type string of GitHub's alerts, empty if none is known.
    pub github_type: &'static str,
    /// What GitHub does with that type, where this very shape is known to be meant.
    pub github_alerts: &'static [&'static str],
    pub evidence: Evidence,
    /// How bad a live one in public is.
    pub severity: Severity,
    pub form: Form,
    /// Words of which one must be near: the form alone is no evidence. Empty for most kinds.
    pub context: &'static [&'static str],
    pub case: Case,
    pub check: Option<Check>,
    /// A read-only request that tells whether such a token lives; empty if none is known.
    pub verify: &'static str,
    /// How the token itself can end itself.
    pub revoke_self: &'static str,
    /// How its issuer, or its owner, ends it.
    pub revoke_issuer: &'static str,
    /// Where the owner is found.
    pub owner: &'static str,
    /// How it is built and what it carries.
    pub structure: &'static str,
    pub notes: &'static str,
    /// Where the facts are from: `owner/repository:path`, or a document's title.
    pub sources: &'static [&'static str],
}

/// What the text of a token looks like.
#[derive(Clone, Debug)]
pub enum Form {
    /// From one of the `begin` markers to the `end` marker of the same place in the list.
    Block { begin: &'static [&'static str], end: &'static [&'static str] },
    /// A regular expression, of another scanner's rule.
    Pattern(Cow<'static, str>),
    /// One line of parts.
    Shape(Cow<'static, [Part]>),
}

/// Who the kind belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    Ai,
    Cloud,
    DevPlatform,
    /// Of no single issuer: keys, JWTs, headers, URLs. Any kind of another group is more specific.
    Generic,
    Registry,
    Saas,
}

/// How the format is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Evidence {
    Documented,
    IssuerCode,
    OneScanner,
    SeveralScanners,
}

/// How bad a live token in public is, from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    Info,
    Low,
    Medium,
    High,
    Critical,
}

/// Whether the issuer tells upper from lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// It does not: the canonical identity is in lower case.
    Folded,
    Kept,
}

/// The rule by which a token proves itself.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    pub algorithm: Algorithm,
    pub proof: Proof,
}

/// How far a rule can be trusted to say no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The issuer's code, document or published example says it: a failure drops the match.
    Proved,
    /// It fits the samples seen: a failure lowers the confidence.
    Unproved,
}

/// The kinds the build script found in the data.
pub fn builtin() -> &'static [Kind] {
    KINDS
}

include!(concat!(env!("OUT_DIR"), "/catalogue.rs"));

impl Kind {
    /// A kind of an issuer of this installation.
    ///
    /// # Errors
    /// [`BadShape`] says what the shape lacks.
    pub fn own(id: &str, issuer: &str, name: &str, shape: &str, check: Option<Check>) -> Result<Self, BadShape> {
        let form = Form::Shape(Cow::Owned(shape::parse(shape)?));
        Ok(Self { check, ..Self::with_form(id, issuer, name, form) })
    }

    /// A kind whose tokens a regular expression tells.
    pub fn pattern(id: &str, issuer: &str, name: &str, regex: &str) -> Self {
        let form = Form::Pattern(Cow::Owned(regex.to_owned()));
        let (group, evidence, severity) = (Group::Generic, Evidence::OneScanner, Severity::High);
        Self { group, evidence, severity, ..Self::with_form(id, issuer, name, form) }
    }

    fn with_form(id: &str, issuer: &str, name: &str, form: Form) -> Self {
        Self {
            id: Cow::Owned(id.to_owned()),
            issuer: Cow::Owned(issuer.to_owned()),
            name: Cow::Owned(name.to_owned()),
            group: Group::Registry,
            github_type: "",
            github_alerts: &[],
            evidence: Evidence::Documented,
            severity: Severity::Critical,
            form,
            context: &[],
            case: Case::Kept,
            check: None,
            verify: "",
            revoke_self: "",
            revoke_issuer: "",
            owner: "",
            structure: "",
            notes: "",
            sources: &[],
        }
    }

    /// Whether both have the same shape, so that nobody could tell one's tokens from the other's.
    pub fn has_shape_of(&self, other: &Self) -> bool {
        !self.parts().is_empty() && self.parts() == other.parts()
    }

    /// How its macaroons are named, if its tokens are macaroons.
    pub fn macaroon(&self) -> Option<Identifier> {
        match self.check {
            Some(Check { algorithm: Algorithm::MacaroonV2 { identifier }, .. }) => Some(identifier),
            _ => None,
        }
    }

    pub fn needs_context(&self) -> bool {
        !self.context.is_empty()
    }

    /// The parts of the shape; none for a block.
    pub fn parts(&self) -> &[Part] {
        match &self.form {
            Form::Block { .. } | Form::Pattern(_) => &[],
            Form::Shape(parts) => parts,
        }
    }

    /// Characters that every token of the kind has: the more, the more specific the kind.
    pub fn literal_len(&self) -> usize {
        match &self.form {
            Form::Block { begin, end } => {
                let shortest = |list: &[&str]| list.iter().map(|text| text.len()).min().unwrap_or(0);
                shortest(begin) + shortest(end)
            }
            Form::Pattern(_) => 0,
            Form::Shape(parts) => {
                parts.iter().filter(|part| !matches!(part, Part::Run { .. })).map(Part::min_len).sum()
            }
        }
    }

    /// Length of the longest token, in bytes; for a block the longest that is looked at.
    pub fn max_len(&self) -> usize {
        match &self.form {
            Form::Block { .. } | Form::Pattern(_) => MAX_BLOCK,
            Form::Shape(parts) => parts.iter().map(Part::max_len).sum(),
        }
    }
}

/// A block that has not ended by then is not one: the largest private keys are far below.
pub const MAX_BLOCK: usize = 32 * 1024;
