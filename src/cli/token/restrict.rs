//! `stanch token restrict`: narrows a macaroon, offline, as every bearer can.
//!
//! Works on PyPI's tokens as well as on ours: the format and the first tags are the same. What a reader of the token
//! would not understand is not written, for it would make the token useless.

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::{anyhow, bail};
use clap::Args;

use super::source::Source;
use super::until::time;
use crate::cli::failure::Usage;
use crate::cli::{Context, HintExt as _, out};
use crate::clock::Timestamp;
use crate::config::Span;
use crate::token::caveat::Caveat;
use crate::token::macaroon::{self, MAX_STRICT_CAVEATS};
use crate::token::network::Network;
use crate::token::route::Route;

#[derive(Args)]
#[command(
    after_help = "A narrowed token cannot be widened again. Whoever revokes the token it was made of revokes it too.\n\n\
    Examples:\n  stanch token restrict --project engine --expires-in 15m < token.txt > upload.txt\n  \
    STANCH_TOKEN=$PYPI_TOKEN stanch token restrict --project engine | twine upload -u __token__ -p \"$(cat)\" dist/*"
)]
pub struct Restrict {
    #[command(flatten)]
    source: Source,
    /// For this project only; can be given again
    #[arg(long = "project", value_name = "NAME")]
    projects: Vec<String>,
    /// For the project with this id only; can be given again
    #[arg(long = "project-id", value_name = "UUID")]
    project_ids: Vec<String>,
    /// For this user only
    #[arg(long, value_name = "UUID")]
    user: Option<String>,
    /// Not before this time; with `--not-after` or `--expires-in`
    #[arg(long, value_name = "TIME", value_parser = time)]
    not_before: Option<Timestamp>,
    /// Not at or after this time
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "expires_in")]
    not_after: Option<Timestamp>,
    /// Not longer than this span from now
    #[arg(long, value_name = "SPAN")]
    expires_in: Option<Span>,
    /// From this network only; can be given again. Ours only
    #[arg(long = "cidr", value_name = "NETWORK")]
    networks: Vec<Network>,
    /// For this method and path only; can be given again. Ours only
    #[arg(long = "allow", value_name = "METHOD /PATH")]
    routes: Vec<Route>,
    /// For this service only; can be given again. Ours only
    #[arg(long = "audience", value_name = "NAME")]
    audience: Vec<String>,
    /// Once only: the nonce by which it is known, 16 to 128 characters. Ours only
    #[arg(long, value_name = "NONCE")]
    once: Option<String>,
}

impl Restrict {
    pub fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let now = context.clock.now();
        let caveats = self.caveats(now)?;
        let shown = self.source.read(context)?;
        let found = macaroon::find(shown.expose());
        let Some(found) = found.filter(|found| found.prefix_len > 0) else {
            bail!(Usage("this is no macaroon behind a prefix such as `pypi-`; other tokens cannot be narrowed".into()));
        };
        let prefix = shown.expose().get(..found.prefix_len - 1).and_then(|prefix| std::str::from_utf8(prefix).ok());
        let prefix = prefix.unwrap_or_default().to_owned();
        let mut macaroon = found.macaroon;
        if macaroon.caveats.iter().any(|caveat| caveat.verification.is_some()) {
            bail!("it has a caveat of a third party, which neither we nor PyPI accept");
        }
        if macaroon.caveats.len() + caveats.len() > MAX_STRICT_CAVEATS {
            bail!("it would have more caveats than are accepted");
        }
        let own = caveats.iter().any(|caveat| {
            matches!(caveat, Caveat::Audience(_) | Caveat::Networks(_) | Caveat::Once(_) | Caveat::Routes(_))
        });
        if own && prefix == "pypi" {
            return Err(anyhow!(Usage("PyPI knows no such restriction and would refuse the token".into())))
                .hint("use `--project`, `--project-id`, `--user`, `--not-after` or `--expires-in`");
        }
        for caveat in &caveats {
            let text = caveat.write().map_err(|bad| Usage(bad.to_string()))?;
            out::talk(format!("added {text}"));
            macaroon.add(text.as_bytes());
        }
        let narrowed = macaroon.text(&prefix);
        let mut stdout = io::stdout().lock();
        stdout.write_all(narrowed.expose()).and_then(|()| stdout.write_all(b"\n")).and_then(|()| stdout.flush())?;
        Ok(ExitCode::SUCCESS)
    }

    fn caveats(&self, now: Timestamp) -> anyhow::Result<Vec<Caveat>> {
        let mut caveats = Vec::new();
        let end = self.not_after.or_else(|| self.expires_in.map(|span| now.plus(span.0)));
        let seconds = |at: Timestamp| at.as_millis().div_euclid(1_000);
        match (self.not_before, end) {
            (Some(_), None) => bail!(Usage("half a window is none: say `--not-after` or `--expires-in` too".into())),
            (start, Some(end)) => {
                let not_before = start.map_or(0, seconds);
                caveats.push(Caveat::Expiration { expires_at: seconds(end), not_before });
            }
            (None, None) => {}
        }
        let mut add = |given: bool, caveat: Caveat| caveats.extend(given.then_some(caveat));
        add(!self.projects.is_empty(), Caveat::ProjectNames(self.projects.clone()));
        add(!self.project_ids.is_empty(), Caveat::ProjectIds(self.project_ids.clone()));
        add(!self.networks.is_empty(), Caveat::Networks(self.networks.clone()));
        add(!self.routes.is_empty(), Caveat::Routes(self.routes.clone()));
        add(!self.audience.is_empty(), Caveat::Audience(self.audience.clone()));
        caveats.extend(self.user.clone().map(Caveat::RequestUser));
        caveats.extend(self.once.clone().map(Caveat::Once));
        if caveats.is_empty() {
            bail!(Usage("no restriction was given: it would be the same token".into()));
        }
        Ok(caveats)
    }
}
