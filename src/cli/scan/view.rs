//! `stanch view`: a report that was written before, for a person, or in another form.

use std::io::{self, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use clap::builder::FalseyValueParser;

use super::args::{Tint, read};
use super::form::Form;
use super::kinds::recognizer;
use super::{Access, Writing};
use crate::cli::{HintExt as _, Usage};
use crate::clock::Clock;
use crate::scan::{BadReport, TextScanner, View as Reports};

pub const AFTER_HELP: &str = "\
Reads what `stanch scan` writes as json, jsonl or sarif, the JSON of gitleaks, betterleaks, trufflehog and kingfisher, \
and SARIF. Tokens that those show in clear are masked here, and get our kinds, checksums and ids.

Exit codes: 0 shown, 2 not a report.";

#[derive(Args, Debug)]
pub struct ViewArgs {
    /// Reports, read as one; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The form in which they are shown
    #[arg(short, long, value_enum, default_value_t = Form::Human, visible_alias = "report-format")]
    format: Form,
    /// Write to this file
    #[arg(short, long, value_name = "FILE", short_alias = 'r', visible_alias = "report-path")]
    output: Option<PathBuf>,
    /// Say all that is known about each token, and give examples of what was not read
    #[arg(short, long)]
    verbose: bool,
    /// The kinds in this file as well
    #[arg(short, long, value_name = "FILE", help = "The kinds in this file as well")]
    config: Option<PathBuf>,
    /// When to colour
    #[arg(long, value_enum, default_value_t = Tint::Auto)]
    color: Tint,
    #[arg(long, env = "NO_COLOR", hide = true, hide_env = true, value_parser = FalseyValueParser::new())]
    no_color: bool,
}

impl ViewArgs {
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let scanner = TextScanner::new(recognizer(&[], &[], self.config.as_deref())?.into(), 1);
        let view = Reports { scanner: &scanner, now: Clock::system().now() };
        let mut texts = Vec::new();
        for path in &self.files {
            texts.push((path.display().to_string(), report(path)?));
        }
        let texts: Vec<_> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let outcome = view.read(&texts).map_err(|(name, bad)| {
            let hint = match &bad {
                BadReport::Finding { .. } => "the report may be of a newer version, or was changed by hand",
                BadReport::Json(_) | BadReport::Unknown => {
                    "have it written as JSON or SARIF; `stanch view --help` names what is read"
                }
            };
            Err::<(), _>(anyhow::Error::from(Usage(format!("`{name}` cannot be shown: {bad}")))).hint(hint)
        });
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(told) => return told.map(|()| ExitCode::SUCCESS),
        };
        let writing = Writing {
            format: self.format.into(),
            is_verbose: self.verbose,
            tint: if self.no_color && self.color == Tint::Auto { Tint::Never } else { self.color },
            output: self.output.as_deref(),
            access: Access::Usual,
        };
        match writing.tell(&outcome) {
            // Whoever read it had enough of it.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            told => told.context("the report cannot be written").hint("check that its folder exists and has room")?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn report(path: &Path) -> anyhow::Result<String> {
    if path != Path::new("-") {
        return read(path);
    }
    if io::stdin().is_terminal() {
        return Err(Usage("standard input is a terminal, and no report comes from there".into()).into());
    }
    let mut text = String::new();
    io::stdin()
        .lock()
        .read_to_string(&mut text)
        .map_err(|error| Usage(format!("standard input cannot be read: {error}")))?;
    Ok(text)
}
