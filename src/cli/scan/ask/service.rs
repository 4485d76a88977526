//! The service's side of a scan: its configuration read, its issuers opened, their answers written into the findings.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;

use super::tokens::{Tokens, facts};
use super::verify::{self, Pace};
use super::{Answered, AskArgs, is_service, submit};
use crate::cli::{Context, HintExt as _, Usage, command, out, ready};
use crate::config::{Config, Sources};
use crate::incident::{IssuerName, Verdict};
use crate::issuer::{Issuers, Revocation};
use crate::redact::inert;
use crate::scan::{self, Asked, Outcome, Plan, Secrets};
use crate::store::Store;
use crate::token::catalogue::Kind;
use crate::token::{Confidence, FindingId};

/// Everything that is needed to ask and to tell, ready before the scan starts.
pub struct Ask<'a> {
    args: &'a AskArgs,
    context: &'a Context,
    config: Option<Config>,
    submission: Option<submit::Submission>,
    least: Confidence,
}

impl<'a> Ask<'a> {
    /// `named` is a file that was named with `--config` and may be the service's; `least` is how sure a finding must be.
    pub fn ready(
        args: &'a AskArgs,
        named: Option<&Path>,
        least: Confidence,
        context: &'a Context,
    ) -> anyhow::Result<Self> {
        if (args.is_choosing() || least == Confidence::Verified) && !args.is_verifying() {
            let why = "`--results`, `--only-verified` and `--min-confidence verified` need the answers of issuers";
            return Err(Usage(why.into())).hint("add `--verify`");
        }
        let file = args.issuers.clone().or_else(|| named.filter(|path| is_service(path)).map(PathBuf::from));
        let config = if args.is_verifying() || file.is_some() { Some(load(file, context)?) } else { None };
        let submission = submit::Submission::ready(args)?;
        Ok(Self { args, context, config, submission, least })
    }

    /// The kinds that this installation issues or names itself.
    pub fn kinds(&self) -> anyhow::Result<Vec<Kind>> {
        self.config.as_ref().map_or_else(|| Ok(Vec::new()), ready::own_kinds)
    }

    /// Whether tokens must be kept until their issuers were asked.
    pub fn secrets(&self) -> Secrets {
        let kept = self.args.is_verifying() || self.submission.is_some();
        if kept { Secrets::Kept } else { Secrets::Dropped }
    }

    /// Asks the issuers, has them revoke, and tells the receiver, as far as that was asked for.
    pub fn answer(self, outcome: &mut Outcome, plan: &Plan) -> anyhow::Result<Answered> {
        if self.secrets() == Secrets::Dropped {
            return Ok(Answered::All);
        }
        command::wait_for(self.answer_all(outcome, plan))
    }

    async fn answer_all(self, outcome: &mut Outcome, plan: &Plan) -> anyhow::Result<Answered> {
        let tokens = Tokens::take(outcome);
        let mut answered = Answered::All;
        if self.args.is_verifying()
            && let Some(config) = &self.config
        {
            answered = self.verify(config, outcome, &tokens).await?;
            outcome.keep(|verdict| self.args.wants(verdict) && self.is_sure(verdict));
        }
        if let Some(submission) = &self.submission {
            answered = answered.and(submission.tell(outcome, &tokens, plan).await?);
        }
        Ok(answered)
    }

    async fn verify(&self, config: &Config, outcome: &mut Outcome, tokens: &Tokens) -> anyhow::Result<Answered> {
        let pace = Pace {
            per_second: NonZeroU32::new(self.args.verify_rps).unwrap_or(NonZeroU32::MIN),
            answer_within: Duration::from_secs(self.args.verify_timeout),
        };
        let (issuers, store) = self.issuers(config, tokens).await?;
        let said = verify::verify(tokens, &issuers, pace).await;
        let mut answered = Answered::All;
        let mut tally = [0_usize; 4];
        for (id, token) in tokens.iter() {
            let Some(said) = said.get(id) else { continue };
            let (verdict, why) = told(&said.verdict);
            tally[verdict as usize] += 1;
            if verdict == scan::Verdict::Unknown {
                answered = Answered::Some;
            }
            let revocation = match (&said.verdict, self.args.revoke) {
                (Verdict::Live(_), true) => {
                    let done = verify::revoke(said, token, &self.context.clock, pace).await;
                    Some(revoked(id, said.issuer.name(), &done))
                }
                _ => None,
            };
            if revocation == Some(scan::Revocation::Unknown) {
                answered = Answered::Some;
            }
            let why = token.secret.withheld_from(why).into_owned();
            for finding in outcome.findings.iter_mut().filter(|finding| finding.id == *id) {
                let issuer = said.issuer.name().to_string();
                finding.answer(Asked { issuer, verdict, why: why.clone(), revocation });
                finding.facts.extend(facts(&said.verdict));
            }
        }
        if let Some(store) = store {
            store.close().await;
        }
        say(tally, tokens.iter().count());
        Ok(answered)
    }

    fn is_sure(&self, verdict: Option<scan::Verdict>) -> bool {
        self.least < Confidence::Verified || verdict == Some(scan::Verdict::Live)
    }

    /// The issuers that claim a kind of these tokens. Our own database is opened only if one of its kinds was found.
    async fn issuers(&self, config: &Config, tokens: &Tokens) -> anyhow::Result<(Issuers, Option<Store>)> {
        let clock = &self.context.clock;
        let own = ready::builtin_kinds(config);
        if !tokens.iter().any(|(_, token)| own.contains(&token.kind)) {
            return Ok((ready::issuers_elsewhere(config, clock)?, None));
        }
        // A database that is not there has issued nothing, and a scan makes none.
        ready::require_database(config)?;
        let store = ready::open_store(config, clock).await?;
        Ok((ready::issuers(config, &store, clock)?, Some(store)))
    }
}

fn load(file: Option<PathBuf>, context: &Context) -> anyhow::Result<Config> {
    let sources = Sources { file, environment: context.environment.clone(), flags: context.flags() };
    let config = Config::load(sources).context("the issuers cannot be read")?;
    if config.file().is_none() && context.environment.get("STANCH_DATABASE_URL").is_none() {
        let why = "no issuer is known: there is no configuration of the service here";
        return Err(Usage(why.into()))
            .hint("name it with `--issuers FILE`; docs/configuration.md tells how issuers are written");
    }
    Ok(config)
}

/// Says what became of a token, and gives it back in the words of a report.
fn revoked(id: &FindingId, issuer: &IssuerName, done: &Revocation) -> scan::Revocation {
    let (done, why) = match done {
        Revocation::AlreadyDead => (scan::Revocation::AlreadyDead, String::new()),
        Revocation::Confirmed => (scan::Revocation::Confirmed, String::new()),
        Revocation::NotOurs => (scan::Revocation::NotOurs, String::new()),
        Revocation::Unconfirmed(unknown) | Revocation::Unknown(unknown) => {
            (scan::Revocation::Unknown, format!(": {}", inert(unknown.why(), 200)))
        }
    };
    out::talk(format!("{id}: {} at {issuer}{why}", done.words()));
    done
}

/// The verdict in a scan's words, and why it is none.
fn told(verdict: &Verdict) -> (scan::Verdict, &str) {
    match verdict {
        Verdict::Dead(_) => (scan::Verdict::Dead, ""),
        Verdict::Live(_) => (scan::Verdict::Live, ""),
        // It names one of our tokens and is none.
        Verdict::Forged(_) | Verdict::NotOurs => (scan::Verdict::NotOurs, ""),
        Verdict::Unknown(unknown) => (scan::Verdict::Unknown, unknown.why()),
    }
}

fn say(tally: [usize; 4], tokens: usize) {
    let words = [scan::Verdict::Dead, scan::Verdict::Live, scan::Verdict::NotOurs, scan::Verdict::Unknown];
    let asked: usize = tally.iter().sum();
    let each = words.into_iter().filter(|verdict| tally[*verdict as usize] > 0);
    let each: Vec<_> = each.map(|verdict| format!("{} {}", tally[verdict as usize], verdict.words())).collect();
    let rest =
        if asked < tokens { format!("; nobody here claims the kinds of {}", tokens - asked) } else { String::new() };
    if tokens > 0 {
        let each = if each.is_empty() { "none".to_owned() } else { each.join(", ") };
        out::talk(format!("Asked about {asked} of {tokens} tokens: {each}{rest}"));
    }
}
