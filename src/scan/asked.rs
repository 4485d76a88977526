//! Asked: what an issuer said about a found token, in the words of a report.
//!
//! A scan asks nobody. Whoever ran it may ask, and writes the answer here; what stays unknown is told as unknown and
//! never as dead.

use super::finding::Finding;
use super::run::Outcome;
use crate::redact;
use crate::token::Confidence;

/// An issuer's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The issuer's name in the configuration.
    pub issuer: String,
    pub verdict: Verdict,
    /// Why it could not tell. Empty if it could.
    pub why: String,
    /// What became of it, if it was to be revoked.
    pub revocation: Option<Revocation>,
}

/// Whether the token lives, as its issuer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It knows the token and takes it no more.
    Dead,
    /// It would take the token now.
    Live,
    /// It never issued this token.
    NotOurs,
    /// There is no answer.
    Unknown,
}

/// What the issuer did when it was asked to revoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// Another hand was faster.
    AlreadyDead,
    /// It killed the token and, asked again, says that it is dead.
    Confirmed,
    NotOurs,
    /// No answer, or one that the issuer contradicts itself.
    Unknown,
}

impl Verdict {
    /// The word of reports for programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dead => "dead",
            Self::Live => "live",
            Self::NotOurs => "not_ours",
            Self::Unknown => "unknown",
        }
    }

    /// The words of reports for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Dead => "dead",
            Self::Live => "live",
            Self::NotOurs => "not of this issuer",
            Self::Unknown => "could not tell whether it lives",
        }
    }
}

impl Revocation {
    pub fn name(self) -> &'static str {
        match self {
            Self::AlreadyDead => "already_dead",
            Self::Confirmed => "confirmed",
            Self::NotOurs => "not_ours",
            Self::Unknown => "unknown",
        }
    }

    pub fn words(self) -> &'static str {
        match self {
            Self::AlreadyDead => "was dead already",
            Self::Confirmed => "revoked",
            Self::NotOurs => "not of this issuer",
            Self::Unknown => "revocation not confirmed",
        }
    }
}

/// Longest reason that is shown.
const MAX_WHY: usize = 200;

impl Finding {
    /// Notes what an issuer said. Only a token that lives is verified: that is the one answer nobody gives by mistake.
    pub fn answer(&mut self, mut asked: Asked) {
        asked.why = redact::inert(&asked.why, MAX_WHY);
        if asked.verdict == Verdict::Live {
            self.confidence = Confidence::Verified;
        }
        self.asked = Some(Box::new(asked));
    }

    /// What its issuer said. `None` if nobody was asked.
    pub fn verdict(&self) -> Option<Verdict> {
        self.asked.as_ref().map(|asked| asked.verdict)
    }
}

impl Outcome {
    /// Leaves out the findings that nobody wants to hear of by what their issuer said, and counts them.
    pub fn keep(&mut self, is_wanted: impl Fn(Option<Verdict>) -> bool) {
        let before = self.findings.len();
        self.findings.retain(|finding| is_wanted(finding.verdict()));
        self.suppressed.verdict += (before - self.findings.len()) as u64;
    }
}
