//! What can be typed of issuers and receivers; every build knows the words, the scan-only one refuses them.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[cfg(feature = "server")]
use crate::scan;

#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that is typed")]
#[command(next_help_heading = "Who is asked and told")]
pub struct AskArgs {
    /// Ask the configured issuers whether the tokens live: each token once, and only the issuer that claims its kind
    #[arg(long)]
    pub(super) verify: bool,
    /// The service's configuration, which names the issuers [default: stanch.toml, if it is there]
    #[arg(
        long,
        value_name = "FILE",
        help = "Configuration that names the issuers [default: stanch.toml, if it is there]"
    )]
    pub(super) issuers: Option<PathBuf>,
    /// Questions to an issuer a second
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) verify_rps: u32,
    /// How long an issuer may take for an answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(super) verify_timeout: u64,
    /// Tell only findings of which their issuer says this; several with commas between
    #[arg(long, value_enum, value_delimiter = ',', value_name = "ANSWER")]
    pub(super) results: Vec<Answer>,
    /// The same as --results live
    #[arg(long, alias = "only-valid", conflicts_with = "results")]
    pub(super) only_verified: bool,

    /// Report the findings to the receiver at this address, signed as GitHub signs; it verifies, revokes and tells owners
    #[arg(long, value_name = "URL", requires = "submit_key")]
    pub(super) submit: Option<String>,
    /// The key that signs, as `stanch send key generate` makes it
    #[arg(long, value_name = "FILE")]
    pub(super) submit_key: Option<PathBuf>,
    /// The two headers that carry key id and signature, as agreed with the receiver
    #[arg(long, value_name = "KEY-ID,SIGNATURE", value_delimiter = ',', num_args = 1)]
    pub(super) submit_headers: Vec<String>,
    /// How long a receiver that does not answer is tried again, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(0..=3600))]
    pub(super) submit_timeout: u64,
    /// Let the report leave this machine without TLS
    #[arg(long)]
    pub(super) submit_over_http: bool,

    /// Have the issuers revoke what they say is live; nobody is mailed
    #[arg(long, conflicts_with = "submit", requires = "yes")]
    pub(super) revoke: bool,
    /// Yes, revoke
    #[arg(long)]
    pub(super) yes: bool,
}

/// What an issuer says of a token, as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Answer {
    #[value(alias = "invalid")]
    Dead,
    #[value(alias = "verified", alias = "valid")]
    Live,
    NotOurs,
    /// Nobody claims its kind
    #[value(alias = "unverified")]
    Unasked,
    Unknown,
}

#[cfg(feature = "server")]
impl Answer {
    fn fits(self, verdict: Option<scan::Verdict>) -> bool {
        verdict
            == match self {
                Self::Dead => Some(scan::Verdict::Dead),
                Self::Live => Some(scan::Verdict::Live),
                Self::NotOurs => Some(scan::Verdict::NotOurs),
                Self::Unasked => None,
                Self::Unknown => Some(scan::Verdict::Unknown),
            }
    }
}

impl AskArgs {
    /// Whether an issuer is asked.
    pub fn is_verifying(&self) -> bool {
        self.verify || self.revoke
    }

    /// Whether the report leaves out findings by what their issuer says.
    pub(super) fn is_choosing(&self) -> bool {
        self.only_verified || !self.results.is_empty()
    }

    #[cfg(feature = "server")]
    pub(super) fn wants(&self, verdict: Option<scan::Verdict>) -> bool {
        if self.only_verified {
            return Answer::Live.fits(verdict);
        }
        self.results.is_empty() || self.results.iter().any(|answer| answer.fits(verdict))
    }
}
