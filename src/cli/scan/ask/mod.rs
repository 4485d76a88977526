//! Asking and telling: what a scan's findings are worth, by the word of those who issued them.
//!
//! A scan knows no issuer and no receiver; here the two are brought together, and only if that was asked for. Tokens are
//! kept for it in memory that is wiped, each is shown to the one issuer that claims its kind, and none reaches a report.
//! What an issuer does not answer is *unknown*, and the exit code says so.

mod args;
#[cfg(feature = "server")]
mod link;
#[cfg(feature = "server")]
mod service;
#[cfg(feature = "server")]
mod submit;
#[cfg(feature = "server")]
mod tokens;
#[cfg(feature = "server")]
mod verify;

use std::path::Path;

pub use args::AskArgs;
#[cfg(feature = "server")]
pub use service::Ask;

/// Whether the file is a configuration of the service and not one of kinds or rules, which are lists.
pub fn is_service(path: &Path) -> bool {
    let Ok(text) = std::fs::read_to_string(path) else { return false };
    let Ok(table) = text.parse::<toml::Table>() else { return false };
    !["kind", "rules"].iter().any(|key| table.get(*key).is_some_and(toml::Value::is_array))
        && ["issuer", "origin", "kind", "database", "server", "mail", "keys", "data", "work", "log"]
            .iter()
            .any(|key| table.contains_key(*key))
}

/// Whether everybody who was to be asked or told has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    All,
    /// Some did not.
    Some,
}

impl Answered {
    #[cfg(feature = "server")]
    fn and(self, other: Self) -> Self {
        if self == Self::All { other } else { self }
    }
}

/// In a build without the service nobody can be asked.
#[cfg(not(feature = "server"))]
pub struct Ask;

#[cfg(not(feature = "server"))]
use crate::cli::HintExt as _;

#[cfg(not(feature = "server"))]
impl Ask {
    pub fn ready(args: &AskArgs, least: crate::token::Confidence) -> anyhow::Result<Self> {
        let is_sure = least == crate::token::Confidence::Verified;
        if is_sure || args.is_verifying() || args.is_choosing() || args.issuers.is_some() || args.submit.is_some() {
            let why = "this build of stanch only scans: it knows no issuer and no receiver";
            return Err(anyhow::Error::from(crate::cli::Usage(why.into())))
                .hint("the default build has the service in it: cargo install without --no-default-features");
        }
        Ok(Self)
    }

    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "the build with the service can fail")]
    pub fn kinds(&self) -> anyhow::Result<Vec<crate::token::catalogue::Kind>> {
        Ok(Vec::new())
    }

    #[expect(clippy::unused_self, reason = "the build with the service decides")]
    pub fn secrets(&self) -> crate::scan::Secrets {
        crate::scan::Secrets::Dropped
    }

    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "the build with the service can fail")]
    pub fn answer(self, _: &mut crate::scan::Outcome, _: &crate::scan::Plan) -> anyhow::Result<Answered> {
        Ok(Answered::All)
    }
}
