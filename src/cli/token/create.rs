//! `stanch token create`.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use serde_json::json;

use super::shown::as_json;
use super::until::{Until, time};
use super::{operator, source};
use crate::cli::failure::Usage;
use crate::cli::{Context, HintExt as _, out, when};
use crate::clock::Timestamp;
use crate::id::OwnerId;
use crate::incident::EmailAddress;
use crate::mint::{Expires, Issued, Magic, Mint, Order, Refused};
use crate::redact::inert;
use crate::store::{NewOwner, OwnTokenKind, Store};
use crate::token::caveat::Caveat;
use crate::token::network::Network;
use crate::token::route::Route;

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    stanch token create --owner ada@example.org --name ci --expires 90d\n  \
    stanch token create --kind macaroon --owner ada@example.org --name upload --project engine > token.txt\n  \
    stanch token create --kind magic --owner ada@example.org --name dns --upstream dns --allow 'GET /zones/*' \\\n    \
    --credential-file upstream.txt")]
pub struct Create {
    /// `pat`, `macaroon`, `key` or `magic`
    #[arg(long, default_value = "pat")]
    kind: OwnTokenKind,
    /// Whose it is: where mail about it goes
    #[arg(long, alias = "owner-email", value_name = "ADDRESS")]
    owner: String,
    /// What its owner is called [default: as known, or the address without its domain]
    #[arg(long, value_name = "NAME")]
    owner_name: Option<String>,
    /// What the owner calls the token
    #[arg(long)]
    name: String,
    /// When it ends: after a span such as `90d`, at a time such as `2027-01-31T00:00:00Z`, or `never` [default: as
    /// configured]
    #[arg(long, value_name = "WHEN")]
    expires: Option<Until>,
    /// When it begins
    #[arg(long, value_name = "TIME", value_parser = time)]
    not_before: Option<Timestamp>,
    /// What it may do; can be given again
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// For this project only; can be given again
    #[arg(long = "project", value_name = "NAME")]
    projects: Vec<String>,
    /// Of a macaroon: for the project with this id only; can be given again
    #[arg(long = "project-id", value_name = "UUID")]
    project_ids: Vec<String>,
    /// For this organisation only; can be given again
    #[arg(long = "organisation", alias = "org", value_name = "NAME")]
    organisations: Vec<String>,
    /// Of a macaroon: from this network only; can be given again
    #[arg(long = "cidr", value_name = "NETWORK")]
    networks: Vec<Network>,
    /// Of a macaroon or a magic token: for this method and path only; can be given again
    #[arg(long = "allow", value_name = "METHOD /PATH")]
    routes: Vec<Route>,
    /// Of a macaroon: for this service only; can be given again
    #[arg(long = "audience", value_name = "NAME")]
    audience: Vec<String>,
    /// A trap: never accepted, and an alarm when it is shown
    #[arg(long)]
    canary: bool,
    /// Of a magic token: the upstream it stands for, as the configuration names it
    #[arg(long, value_name = "NAME")]
    upstream: Option<String>,
    /// Of a magic token: the file with the upstream's own credential [default: standard input]
    #[arg(long, value_name = "FILE")]
    credential_file: Option<PathBuf>,
    /// Tell its owner nothing
    #[arg(long)]
    no_mail: bool,
    /// The record as JSON on standard output, the token in it
    #[arg(long)]
    json: bool,
}

impl Create {
    pub async fn run(self, context: &Context, store: &Store, mint: &Mint) -> anyhow::Result<ExitCode> {
        let now = context.clock.now();
        let as_data = self.json;
        let order = self.order(store, now).await?;
        let name = order.name.clone();
        let issued = mint.create(order, &operator()).await.map_err(|refused| told(refused, &name))?;
        print(&issued, now, as_data)
    }

    async fn order(self, store: &Store, now: Timestamp) -> anyhow::Result<Order> {
        let magic = self.magic()?;
        let owner_id = owner(store, &self.owner, self.owner_name.as_deref()).await?;
        let mut caveats = Vec::new();
        if !self.networks.is_empty() {
            caveats.push(Caveat::Networks(self.networks));
        }
        if !self.routes.is_empty() && self.kind != OwnTokenKind::Magic {
            caveats.push(Caveat::Routes(self.routes));
        }
        if !self.audience.is_empty() {
            caveats.push(Caveat::Audience(self.audience));
        }
        Ok(Order {
            scopes: self.scopes,
            projects: self.projects,
            project_ids: self.project_ids,
            organisations: self.organisations,
            caveats,
            not_before: self.not_before,
            expires: self.expires.map_or(Expires::ByDefault, |until| until.expires(now)),
            canary: self.canary,
            tell_owner: !self.no_mail,
            magic,
            ..Order::new(self.kind, owner_id, self.name)
        })
    }

    fn magic(&self) -> anyhow::Result<Option<Magic>> {
        if self.kind != OwnTokenKind::Magic {
            if self.upstream.is_some() || self.credential_file.is_some() {
                bail!(Usage("only `--kind magic` stands for an upstream".into()));
            }
            return Ok(None);
        }
        let Some(upstream) = self.upstream.clone() else {
            bail!(Usage("`--kind magic` needs `--upstream`".into()));
        };
        if self.routes.is_empty() {
            return Err(anyhow!(Usage("a magic token that allows nothing is of no use".into())))
                .hint("say what may be asked for: `--allow 'GET /path/*'`");
        }
        let bytes = if let Some(path) = &self.credential_file {
            std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?
        } else {
            let mut bytes = Vec::new();
            io::Read::read_to_end(&mut io::stdin().lock(), &mut bytes)?;
            bytes
        };
        let allow: Vec<String> = self.routes.iter().map(ToString::to_string).collect();
        Ok(Some(Magic { upstream, policy: json!({ "allow": allow }), credential: source::trimmed(bytes)? }))
    }
}

/// The owner with this address, who is made if there is none.
pub async fn owner(store: &Store, address: &str, name: Option<&str>) -> anyhow::Result<OwnerId> {
    let email = EmailAddress::parse(address).context("`--owner` cannot be used")?;
    let known = match name {
        None => store.owner_by_email(&email).await?,
        Some(_) => None,
    };
    if let Some(id) = known {
        return Ok(id);
    }
    let local = email.as_str().rsplit_once('@').map_or("", |(local, _)| local);
    let name = name.unwrap_or(local).to_owned();
    Ok(store.ensure_owner(NewOwner { name, email }).await?)
}

/// Shows a token to whoever asked for it to be made: once.
pub fn print(issued: &Issued, now: Timestamp, as_data: bool) -> anyhow::Result<ExitCode> {
    let Issued { token, secret } = issued;
    let mut stdout = io::stdout().lock();
    if as_data {
        let mut record = as_json(token, now);
        record["token"] = String::from_utf8_lossy(secret.expose()).into();
        serde_json::to_writer_pretty(&mut stdout, &record)?;
    } else {
        let end = token.expires_at.map_or("never".into(), |at| when::both(at, now));
        let hint = if token.hint.is_empty() { String::new() } else { format!(", ends in {}", token.hint) };
        out::talk(format!("{} {} of owner {}{hint}, expires: {end}", token.kind, token.id, token.owner_id));
        out::talk("it is shown once and kept nowhere:");
        stdout.write_all(secret.expose())?;
    }
    stdout.write_all(b"\n").and_then(|()| stdout.flush())?;
    Ok(ExitCode::SUCCESS)
}

pub fn told(refused: Refused, name: &str) -> anyhow::Error {
    let hint = match refused {
        Refused::NameTaken => {
            return Err::<(), _>(anyhow!("the owner has a token called `{}` already", inert(name, 100)))
                .hint("choose another `--name`, or revoke that one: `stanch token list`")
                .expect_err("made as one");
        }
        Refused::TooMany => "revoke some, or raise `max_per_owner` in `[issuer.builtin]`",
        Refused::RotatedBefore(_) => "rotate its successor; if its secret may be in other hands, revoke both",
        Refused::NotFound => "`stanch token list` shows the ids",
        _ => return refused.into(),
    };
    Err::<(), _>(refused).hint(hint).expect_err("made as one")
}
