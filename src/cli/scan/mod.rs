//! `stanch scan` and its companions: from what was typed to a plan, from an outcome to an exit code.
//!
//! | code | means |
//! |---|---|
//! | 0 | no token was found, and everything was read |
//! | 1 | tokens were found |
//! | 2 | wrong usage, or a file of ours that makes no sense |
//! | 3 | no token was found, but something was not read |
//! | 4 | an issuer or a receiver that was to be asked or told did not answer; what was found is in the report |

mod args;
mod ask;
mod choose;
mod clone;
mod form;
mod hook;
mod kinds;
mod missing;
mod progress;
mod remember;
mod rules;
mod shell;
mod targets;
mod view;

use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use zeroize::Zeroizing;

#[cfg(feature = "server")]
use super::Context;
use super::{HintExt as _, out};
use crate::scan::report::{self, Colour, Detail, Format, Look};
use crate::scan::{Baseline, Outcome, Plan, Secrets, State, Target};
pub use args::ScanArgs;
use args::{Fail, Stdout, Tint};
use ask::{Answered, Ask};
use progress::Shown;

/// The commands that need no service.
#[derive(Subcommand)]
pub enum Command {
    /// Search files, archives and streams for leaked tokens
    #[command(after_long_help = args::AFTER_HELP)]
    Scan(Box<ScanArgs>),
    /// List, show and test the kinds of token that are known, or export them for other tools
    #[command(subcommand)]
    Rules(rules::Command),
    /// Have git search what is about to be committed or pushed
    #[command(subcommand)]
    Hook(hook::Command),
    /// Show reports of scans, ours and other scanners', or write them in another form
    #[command(after_long_help = view::AFTER_HELP)]
    View(view::ViewArgs),
    /// Write the completions of a shell
    Completions(shell::Completions),
    /// Write the manual page
    Man(shell::Man),
}

impl Command {
    pub fn run(self, #[cfg(feature = "server")] context: &Context) -> anyhow::Result<ExitCode> {
        match self {
            #[cfg(feature = "server")]
            Self::Scan(args) => scan(&args, Ask::ready(&args.ask, args.named(), args.least(), context)?),
            #[cfg(not(feature = "server"))]
            Self::Scan(args) => scan(&args, Ask::ready(&args.ask, args.least())?),
            Self::Rules(command) => command.run(),
            Self::Hook(command) => command.run(),
            Self::View(args) => args.run(),
            Self::Completions(command) => Ok(command.run()),
            Self::Man(command) => command.run(),
        }
    }
}

fn scan(args: &ScanArgs, ask: Ask) -> anyhow::Result<ExitCode> {
    let stdout = if io::stdout().is_terminal() { Stdout::Terminal } else { Stdout::Elsewhere };
    let shows_secrets = args.shows_secrets(stdout)?;
    if args.fail == Fail::Verified && !args.ask.is_verifying() {
        // Else every scan would pass.
        return Err(super::Usage("--fail verified needs --verify: nobody else can say what lives".into()).into());
    }
    let targets = args.targets()?;
    let mut plan = args.plan(&targets, ask.kinds()?)?;
    plan.secrets = if shows_secrets { Secrets::Kept } else { ask.secrets() };
    let remembered = args.remember.file()?;
    if let Some(file) = &remembered {
        plan.state = Some(remember::read(file, State::new(&plan, &args.deciding()?)));
    }
    let shown = if args.no_progress { Shown::Never } else { Shown::Auto };
    let line = progress::Line::start(shown, &plan.progress);
    let run = run(&mut plan, args);
    drop(line);
    let mut outcome = run?;
    if let (Some(file), Some(state)) = (&remembered, &outcome.state) {
        remember::write(file, state)?;
    }
    if shows_secrets {
        show_secrets(&mut outcome);
    }
    let answered = ask.answer(&mut outcome, &plan)?;
    if let Some(path) = &args.update_baseline {
        update_baseline(path, &outcome, &plan.baseline)?;
    }
    let is_silent = args.quiet && outcome.findings.is_empty() && outcome.coverage.is_complete();
    let told = if is_silent { Ok(()) } else { args.writing().tell(&outcome) };
    // Whoever read the report may have had enough of it; the exit code still says what was found.
    let is_left = told.as_ref().err().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
    if !is_left {
        told.context("the report cannot be written").hint("check that its folder exists and has room")?;
    }
    Ok(code(&outcome, answered, args))
}

/// Scans; and if a person asked for what repositories lack, once more with what was fetched.
fn run(plan: &mut Plan, args: &ScanArgs) -> anyhow::Result<Outcome> {
    let missing = args.choose.missing();
    if !missing.is_nothing() && plan.targets.contains(&Target::Stdin) {
        let told = "what is missing is fetched after a first scan, and standard input can be read only once";
        return Err(super::Usage(told.into()).into());
    }
    // Removed when the scan is over.
    let mut copies = Vec::new();
    loop {
        let outcome = crate::scan::run(plan).map_err(|error| super::Usage(with_causes(&error)))?;
        let absent = &outcome.coverage.absent;
        if copies.len() == missing::ROUNDS || !missing.wants(absent) {
            return Ok(outcome);
        }
        let fetched = missing.fetch(absent, args.choose.credentials())?;
        if fetched.is_empty() {
            return Ok(outcome);
        }
        plan.lent.extend(fetched.iter().map(|(lent, _)| lent.clone()));
        copies.push(fetched);
    }
}

/// Puts the tokens themselves into the report, and says so to whoever is there.
fn show_secrets(outcome: &mut Outcome) {
    for finding in &mut outcome.findings {
        let token = finding.secret.as_ref().map(|secret| String::from_utf8_lossy(secret.expose()).into_owned());
        finding.in_clear = token.map(Zeroizing::new);
    }
    if !outcome.findings.is_empty() {
        out::talk("Warning: this report shows tokens in clear; whoever reads it can use those that live");
    }
}

/// The error and what caused it, in one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        words.push_str(": ");
        words.push_str(&cause.to_string());
        next = cause.source();
    }
    words
}

/// How and where a report is written.
struct Writing<'w> {
    format: Format,
    is_verbose: bool,
    tint: Tint,
    /// Standard output without one.
    output: Option<&'w Path>,
    access: Access,
}

impl Writing<'_> {
    fn tell(&self, outcome: &Outcome) -> io::Result<()> {
        let detail = if self.is_verbose { Detail::Full } else { Detail::Brief };
        let colour = match self.tint {
            Tint::Always => Colour::On,
            Tint::Auto if self.output.is_none() && io::stdout().is_terminal() => Colour::On,
            Tint::Auto | Tint::Never => Colour::Off,
        };
        let is_read_here = self.output.is_none() && io::stdout().is_terminal();
        let width = terminal_size::terminal_size().filter(|_| is_read_here).map(|(width, _)| usize::from(width.0));
        let look = Look { detail, colour, width };
        if let Some(path) = self.output {
            let mut file = BufWriter::new(create(path, self.access)?);
            report::write(outcome, self.format, look, &mut file)?;
            return file.flush();
        }
        let mut stdout = BufWriter::new(io::stdout().lock());
        report::write(outcome, self.format, look, &mut stdout)?;
        stdout.flush()
    }
}

/// Who may read a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// Its owner alone.
    Own,
    Usual,
}

/// A report goes to the file that was named, not to where a link in its place leads.
fn create(path: &Path, access: Access) -> io::Result<fs::File> {
    if fs::symlink_metadata(path).is_ok_and(|about| about.is_symlink()) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a symbolic link stands in its place"));
    }
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    if access == Access::Own {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    let file = options.write(true).create(true).truncate(true).open(path)?;
    #[cfg(unix)]
    if access == Access::Own {
        // One that was there before keeps the access that it had.
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    }
    Ok(file)
}

fn update_baseline(path: &Path, outcome: &Outcome, known: &Baseline) -> anyhow::Result<()> {
    let text = known.with(&outcome.findings).to_string();
    fs::write(path, text).with_context(|| format!("the baseline `{}` cannot be written", path.display()))?;
    out::talk(format!("Wrote the baseline `{}`; review and commit it", path.display()));
    Ok(())
}

fn code(outcome: &Outcome, answered: Answered, args: &ScanArgs) -> ExitCode {
    const INCOMPLETE: u8 = 3;
    const UNANSWERED: u8 = 4;
    if answered == Answered::Some {
        return ExitCode::from(UNANSWERED);
    }
    let counts = match args.fail {
        Fail::Any => !outcome.findings.is_empty(),
        Fail::Checksum => {
            outcome.findings.iter().any(|finding| finding.confidence >= crate::token::Confidence::Checksum)
        }
        Fail::Never => false,
        Fail::Verified => {
            outcome.findings.iter().any(|finding| finding.confidence == crate::token::Confidence::Verified)
        }
    };
    if counts && args.update_baseline.is_none() {
        ExitCode::from(args.exit_code)
    } else if !outcome.coverage.is_complete() && !args.allow_partial {
        ExitCode::from(INCOMPLETE)
    } else {
        ExitCode::SUCCESS
    }
}
