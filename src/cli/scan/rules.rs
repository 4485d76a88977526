//! `stanch rules`: what is looked for.

use std::io::{self, Read as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};

use super::kinds::recognizer;
use crate::cli::{Usage, out};
use crate::scan::{Sighting, TextScanner, rules};
use crate::token::catalogue::Kind;
use crate::token::{Confidence, KindId};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write the kinds as rules of another tool
    Export {
        /// Whose rules
        #[arg(long, short, value_enum, default_value_t = Form::Github)]
        format: Form,
        /// Kinds, or what they begin with; all without one
        kinds: Vec<String>,
        #[arg(short, long, value_name = "FILE", help = "The kinds in this file as well")]
        config: Option<PathBuf>,
    },
    /// List the kinds, one a line: id, issuer, name
    List {
        /// Kinds, or what they begin with; all without one
        kinds: Vec<String>,
        #[arg(short, long, value_name = "FILE", help = "The kinds in this file as well")]
        config: Option<PathBuf>,
    },
    /// Say all that is known of a kind
    Show {
        kind: String,
        #[arg(short, long, value_name = "FILE", help = "The kinds in this file as well")]
        config: Option<PathBuf>,
    },
    /// Say what standard input is taken for, and exit with 1 if it is no token
    Test {
        /// Kinds, or what they begin with; all without one
        kinds: Vec<String>,
        #[arg(short, long, value_name = "FILE", help = "The kinds in this file as well")]
        config: Option<PathBuf>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// Id and regular expression, one a line
    Github,
    Gitleaks,
    Kingfisher,
    Trufflehog,
}

impl Command {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Export { format, kinds, config } => {
                let form = match format {
                    Form::Github => rules::Form::Github,
                    Form::Gitleaks => rules::Form::Gitleaks,
                    Form::Kingfisher => rules::Form::Kingfisher,
                    Form::Trufflehog => rules::Form::Trufflehog,
                };
                let recognizer = recognizer(&kinds, &[], config.as_deref())?;
                out::data(rules::export(recognizer.kinds(), form).trim_end())?;
            }
            Self::List { kinds, config } => {
                let recognizer = recognizer(&kinds, &[], config.as_deref())?;
                let width = recognizer.kinds().map(|kind| kind.id.len()).max().unwrap_or(0);
                for kind in recognizer.kinds() {
                    out::data(format_args!("{:<width$}  {}, {}", kind.id, kind.issuer, kind.name))?;
                }
            }
            Self::Show { kind, config } => {
                let recognizer = recognizer(std::slice::from_ref(&kind), &[], config.as_deref())?;
                let found = recognizer.kind(&KindId::new(&kind));
                show(found.ok_or_else(|| Usage(format!("no kind has the id `{kind}`")))?)?;
            }
            Self::Test { kinds, config } => return test(&kinds, config.as_deref()),
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn show(kind: &Kind) -> io::Result<()> {
    let say = |name: &str, value: &str| {
        if value.is_empty() { Ok(()) } else { out::data(format_args!("{name:<14}{value}")) }
    };
    say("id", &kind.id)?;
    say("issuer", &kind.issuer)?;
    say("name", &kind.name)?;
    say("severity", &format!("{:?}", kind.severity).to_lowercase())?;
    say("expression", &rules::regex(kind))?;
    say("needs near", &kind.context.join(", "))?;
    say("checksum", if kind.check.is_some() { "yes" } else { "no" })?;
    say("github type", kind.github_type)?;
    say("verify", kind.verify)?;
    say("revoke", kind.revoke_self)?;
    say("revoke, issuer", kind.revoke_issuer)?;
    say("owner", kind.owner)?;
    say("structure", kind.structure)?;
    say("notes", kind.notes)?;
    say("sources", &kind.sources.join("; "))
}

/// Tokens are read from standard input only: arguments are seen by everyone on the machine.
fn test(kinds: &[String], config: Option<&std::path::Path>) -> anyhow::Result<ExitCode> {
    const MAX: u64 = 16 << 20;
    let scanner = TextScanner::new(recognizer(kinds, &[], config)?.into(), 3);
    let mut text = Vec::new();
    io::stdin().lock().take(MAX).read_to_end(&mut text)?;
    let mut scratch = scanner.scratch();
    let (sightings, _) = scanner.scan(&text, &mut scratch);
    for sighting in sightings.iter() {
        out::data(line(sighting))?;
    }
    Ok(if sightings.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn line(sighting: &Sighting) -> String {
    let grade = match sighting.confidence {
        Confidence::Shape => "shape",
        Confidence::Checksum => "checksum",
        Confidence::Verified => "verified",
    };
    let place = format!("bytes {} to {}", sighting.range.start, sighting.range.end);
    format!("{}  {grade}  {place}", sighting.kind)
}
