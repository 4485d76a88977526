//! `stanch send`: plays the reporter towards a receiver, for staging, load tests and conformance.
//!
//! What it does is chosen by what is asked for: a plain delivery, a load (`--count`, `--rate`, `--duration`), the bad
//! forms (`--corrupt`), or nothing but the key list (`--serve-keys` alone). It never sends without a bound in count and
//! in time, and a load leaves this machine only if told to.

mod conformance;
mod deliver;
mod key;
mod load;
mod records;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use rand::SeedableRng as _;
use rand::rngs::{StdRng, SysRng};
use reqwest::Url;
use reqwest::header::HeaderName;

pub use key::read as read_key;

use super::{Context as Started, HintExt as _, Usage, out};
use crate::config::{Size, Span};
use crate::send::{Corruption, Courier, Fault, HeaderNames, KeyList, KeyPair, KeyServer, Signer};

/// Play the reporter: sign and post leaked-token reports, well-formed or not
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true, after_help = EXAMPLES)]
pub struct SendArgs {
    #[command(subcommand)]
    command: Option<Command>,
    /// Address of the receiver to post to
    #[arg(long, value_name = "URL", required_unless_present_any = ["serve_keys", "list_forms"])]
    to: Option<Url>,
    /// Longest wait for an answer, connecting included
    #[arg(long, value_name = "SPAN", default_value = "30s")]
    answer_within: Span,
    /// Print results as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    keys: KeyArgs,
    #[command(flatten)]
    records: records::RecordArgs,
    #[command(flatten)]
    load: load::LoadArgs,
    #[command(flatten)]
    conformance: ConformanceArgs,
}

const EXAMPLES: &str = "\
Examples:
  stanch send key generate --out sender.pem
  stanch send --serve-keys 127.0.0.1:8099 --key sender.pem

  with --to http://127.0.0.1:8080/webhooks/github --key sender.pem
  stanch send ... --from tokens.txt                       One delivery
  stanch send ... --records 100 --rate 50 --duration 30s  A load
  stanch send ... --corrupt all                           Every bad form";

#[derive(Subcommand)]
enum Command {
    /// Make keys to sign with, and show what is published of them
    #[command(subcommand)]
    Key(key::Command),
}

#[derive(Args)]
#[command(next_help_heading = "Keys")]
struct KeyArgs {
    /// Private key (PKCS#8 PEM) to sign with; of several, the first signs and the others are listed as no longer current
    #[arg(long = "key", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Serve the key list here while sending, or until interrupted if there is nothing to send
    #[arg(long, value_name = "ADDR")]
    serve_keys: Option<SocketAddr>,
    /// Let the key list fail: drip, hang, huge, malformed, not-json, redirect, or a status
    #[arg(long, value_name = "FAULT", requires = "serve_keys")]
    key_fault: Option<Fault>,
    /// Header that names the key
    #[arg(long, value_name = "NAME", default_value_t = HeaderNames::GITHUB.key_id)]
    key_id_header: HeaderName,
    /// Header that carries the signature
    #[arg(long, value_name = "NAME", default_value_t = HeaderNames::GITHUB.signature)]
    signature_header: HeaderName,
}

#[derive(Args)]
#[command(next_help_heading = "Bad forms")]
struct ConformanceArgs {
    /// Send this form, or `all`, and judge the answer; can be repeated
    #[arg(long = "corrupt", value_name = "FORM", value_parser = forms(), hide_possible_values = true)]
    forms: Vec<String>,
    /// List the forms with what each is for, and send nothing
    #[arg(long, conflicts_with_all = ["to", "serve_keys"])]
    list_forms: bool,
    /// Largest body the receiver takes
    #[arg(long, value_name = "SIZE", default_value = "8MiB")]
    max_body: Size,
    /// Most records the receiver takes in one body
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    max_records: usize,
    /// Let any 4xx refuse, for receivers whose statuses are not those of `stanch serve`
    #[arg(long)]
    any_4xx: bool,
}

fn forms() -> PossibleValuesParser {
    PossibleValuesParser::new(std::iter::once("all").chain(Corruption::all().map(Corruption::name)))
}

/// Does what was asked for.
pub async fn run(args: SendArgs, context: &Started) -> anyhow::Result<ExitCode> {
    let mut rng = StdRng::try_from_rng(&mut SysRng).context("the operating system gave no random bytes")?;
    let colour = out::Colour::of(&context.environment);
    if let Some(Command::Key(command)) = args.command {
        return command.run(&mut rng);
    }
    if args.conformance.list_forms {
        return conformance::list(args.json, colour);
    }
    let signer = args.keys.signer(&mut rng)?;
    let Some(url) = args.to else {
        let server = args.keys.serve(&signer.key_list()).await?;
        return serve_only(&args.keys, server).await;
    };
    let courier = Courier::new(url, args.answer_within.0)?;
    let reported = records::Reported::read(&args.records, &mut rng)?;
    if !args.conformance.forms.is_empty() {
        let trial = conformance::Plan { args: &args.conformance, json: args.json, colour };
        return trial.run(courier, signer, reported, &args.keys, &mut rng).await;
    }
    let _server = args.keys.serve(&signer.key_list()).await?;
    if args.load.is_asked_for() || reported.deliveries() > Some(1) {
        return args.load.run(&courier, &signer, reported, args.json, colour, rng).await;
    }
    deliver::once(&courier, &signer, reported, args.json).await
}

impl KeyArgs {
    fn signer(&self, rng: &mut StdRng) -> anyhow::Result<Signer> {
        let names = HeaderNames { key_id: self.key_id_header.clone(), signature: self.signature_header.clone() };
        let mut keys = self.files.iter().map(|file| key::read(file)).collect::<anyhow::Result<Vec<_>>>()?;
        if keys.is_empty() {
            if self.serve_keys.is_none() {
                return Err(Usage("nothing to sign with".into()))
                    .hint("give `--key FILE`, or `--serve-keys ADDR` to publish a key made for this run");
            }
            let made = KeyPair::generate(rng)?;
            out::talk(format!("signing with a key made for this run: {}", made.id()));
            keys.push(made);
        }
        // The first of the list signs, and rotating makes the last one current.
        let mut keys = keys.into_iter().rev();
        let oldest = keys.next().context("no key")?;
        let mut signer = Signer::new(oldest).with_headers(names);
        keys.for_each(|key| signer.rotate(key));
        Ok(signer)
    }

    /// The key list server, if one was asked for.
    async fn serve(&self, list: &KeyList) -> anyhow::Result<Option<KeyServer>> {
        let Some(addr) = self.serve_keys else { return Ok(None) };
        let server = KeyServer::start(addr, list).await.hint("choose another address with `--serve-keys`")?;
        if let Some(fault) = self.key_fault {
            server.fail(fault);
        }
        out::talk(format!("serving the key list at {}", server.url()));
        Ok(Some(server))
    }
}

/// Serves the key list until the person has had enough.
async fn serve_only(args: &KeyArgs, server: Option<KeyServer>) -> anyhow::Result<ExitCode> {
    let server = server.context("no address to serve the key list at")?;
    let interruption = interruption()?;
    out::talk("put this into the receiver's configuration; ctrl-c ends");
    out::data(config_lines(args, &server.url()))?;
    interruption.await;
    let (requests, unchanged) = (server.requests(), server.not_modified());
    out::talk(format!("answered {requests} requests, {unchanged} of them with 304"));
    Ok(ExitCode::SUCCESS)
}

/// Resolves at ctrl-c, or when the process is told to end. It listens from the call on, not from the first poll, so that
/// nothing announced after the call can be too early to be ended.
fn interruption() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// The origin as the receiver's configuration names it. GitHub's headers are known there.
fn config_lines(args: &KeyArgs, url: &str) -> String {
    let (key_id, signature) = (&args.key_id_header, &args.signature_header);
    if *key_id == HeaderNames::GITHUB.key_id && *signature == HeaderNames::GITHUB.signature {
        return format!("[origin.github]\nkey_url = \"{url}\"");
    }
    format!("[origin.other]\nkey_url = \"{url}\"\nkey_id_header = \"{key_id}\"\nsignature_header = \"{signature}\"")
}
