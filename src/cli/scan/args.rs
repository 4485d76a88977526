//! What can be typed behind `stanch scan`, and the plan that comes of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::{Args, ValueEnum};
use ignore::overrides::OverrideBuilder;

use super::ask::AskArgs;
use super::choose::Choose;
use super::form::Form;
use super::kinds::recognizer_with;
use super::remember::Remember;
use super::targets::Targets;
use super::{Access, Writing};
use crate::cli::{HintExt as _, Usage};
use crate::clock::Clock;
use crate::scan::report::Format;
use crate::scan::{ArchiveLimits, Baseline, History, IgnoreFile, Ignored, Inline, Plan, Unreachable};
use crate::token::{Confidence, catalogue};

// Each paragraph is a line, which the terminal breaks where it ends.
pub const AFTER_HELP: &str = "\
Exit codes: 0 clean and complete, 1 tokens found, 2 wrong usage, 3 nothing found but something was not read, \
4 an issuer or a receiver that was to be asked or told did not answer.

Comments that suppress a finding on their line: stanch:ignore, gitleaks:allow, betterleaks:allow, trufflehog:ignore, \
kingfisher:ignore, pragma: allowlist secret. On the next line: stanch:ignore-next-line.

Files: .stanchignore and .gitleaksignore in the working folder hold finding ids, or patterns as in .gitignore.";

/// Where the report goes if no file is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stdout {
    Elsewhere,
    Terminal,
}

/// Ignore files that are read where they are found.
const IGNORE_FILES: &[&str] = &[".stanchignore", ".gitleaksignore"];

#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that is typed; the plan has enums")]
pub struct ScanArgs {
    /// Folders, files, archives or addresses of git repositories; `-` is standard input [default: this folder]
    #[arg(value_name = "TARGET")]
    targets: Vec<PathBuf>,

    #[command(flatten)]
    pub(super) choose: Choose,
    #[command(flatten)]
    pub(super) remember: Remember,
    /// Search only paths that match this pattern (can be repeated)
    #[arg(long, value_name = "GLOB", help_heading = "What is read")]
    include: Vec<String>,
    /// Do not read paths that match this pattern (can be repeated)
    #[arg(long, value_name = "GLOB", help_heading = "What is read")]
    exclude: Vec<String>,
    /// Do not read what .gitignore names; it is read by default, because it is built, packed and copied like any file
    #[arg(long, help_heading = "What is read")]
    respect_gitignore: bool,
    /// Whether all that was ever committed is read, or only the files as they stand
    #[arg(
        long,
        alias = "git-history",
        value_enum,
        default_value_t = Past::Full,
        value_name = "HOW",
        help_heading = "What is read"
    )]
    history: Past,
    /// As another scanner names it
    #[arg(long, hide = true, conflicts_with = "history")]
    no_git: bool,
    /// Tell tokens in commits and files that no branch or tag leads to any more
    #[arg(long, help_heading = "What is read")]
    unreachable: bool,
    /// Do not read files larger than this, such as 50M
    #[arg(long, value_name = "SIZE", value_parser = size, help_heading = "What is read")]
    max_file_size: Option<u64>,
    /// As other scanners name it, in megabytes
    #[arg(long, value_name = "MB", hide = true, conflicts_with = "max_file_size")]
    max_target_megabytes: Option<u64>,
    /// How many archives in archives are opened; 0 opens none
    #[arg(long, value_name = "N", default_value_t = 6, help_heading = "What is read")]
    max_archive_depth: usize,
    /// How much one file may unpack to
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "4G", help_heading = "What is read")]
    max_archive_size: u64,
    /// How many encodings in each other are decoded; 0 decodes none
    #[arg(long, value_name = "N", default_value_t = 3, help_heading = "What is read")]
    max_decode_depth: usize,
    /// End the scan after so many seconds, incomplete
    #[arg(long, value_name = "SECONDS", help_heading = "What is read")]
    timeout: Option<u64>,
    /// Threads [default: one for each core]
    #[arg(short, long, alias = "concurrency", value_name = "N", help_heading = "What is read")]
    jobs: Option<usize>,
    /// Work with fewer threads and leave out larger objects, so that what is read needs no more memory than this
    #[arg(long, value_name = "SIZE", value_parser = size, help_heading = "What is read")]
    memory_limit: Option<u64>,

    /// Look for this kind only, or for those that begin with it and a dash (can be repeated)
    #[arg(long, value_name = "KIND", visible_alias = "enable-rule", help_heading = "What is looked for")]
    rule: Vec<String>,
    /// Do not look for this kind, or for those that begin with it and a dash (can be repeated)
    #[arg(long, value_name = "KIND", help_heading = "What is looked for")]
    exclude_rule: Vec<String>,
    /// Look for the kinds in this file as well
    #[arg(
        short,
        long,
        value_name = "FILE",
        help = "Look for the kinds in this file as well",
        help_heading = "What is looked for"
    )]
    config: Option<PathBuf>,
    /// How sure the token itself must make us
    #[arg(long, value_enum, default_value_t = MinConfidence::Shape, help_heading = "What is looked for")]
    min_confidence: MinConfidence,

    /// Do not tell the tokens that this file names
    #[arg(short, long, value_name = "FILE", visible_alias = "baseline-path", help_heading = "What is known")]
    baseline: Option<PathBuf>,
    /// Write what is found to this baseline, and succeed
    #[arg(long, value_name = "FILE", help_heading = "What is known")]
    pub(super) update_baseline: Option<PathBuf>,
    /// Read this ignore file (can be repeated)
    #[arg(long, value_name = "FILE", visible_alias = "gitleaks-ignore-path", help_heading = "What is known")]
    ignore_file: Vec<PathBuf>,
    /// Do not obey comments in the files
    #[arg(long, visible_alias = "ignore-gitleaks-allow", help_heading = "What is known")]
    no_inline_ignore: bool,

    /// Show the tokens themselves, on a terminal or, with `=yes`, anywhere; only in the forms human, json and jsonl
    #[arg(
        long,
        value_enum,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "terminal",
        value_name = "WHERE",
        help_heading = "Report"
    )]
    show_secrets: Option<Clear>,
    /// The form of the report
    #[arg(short, long, value_enum, default_value_t = Form::Human, visible_alias = "report-format", help_heading = "Report")]
    format: Form,
    /// The same as --format json
    #[arg(long, conflicts_with = "format", help_heading = "Report")]
    json: bool,
    /// Write the report to this file
    #[arg(short, long, value_name = "FILE", short_alias = 'r', visible_alias = "report-path", help_heading = "Report")]
    pub(super) output: Option<PathBuf>,
    /// Say all that is known about each token, and give examples of what was not read
    #[arg(short, long, help_heading = "Report")]
    pub(super) verbose: bool,
    /// Write no report if nothing was found and everything was read
    #[arg(short, long, conflicts_with = "verbose", help_heading = "Report")]
    pub(super) quiet: bool,
    /// Do not show on the terminal how far the scan is
    #[arg(long, help_heading = "Report")]
    pub(super) no_progress: bool,
    /// When to colour
    #[arg(long, value_enum, default_value_t = Tint::Auto, help_heading = "Report")]
    pub(super) color: Tint,
    #[arg(long, env = "NO_COLOR", hide = true, hide_env = true, value_parser = FalseyValueParser::new())]
    pub(super) no_color: bool,
    /// Which findings make the scan fail
    #[arg(long, value_enum, default_value_t = Fail::Any, help_heading = "Report")]
    pub(super) fail: Fail,
    /// Exit code if tokens are found
    #[arg(long, value_name = "CODE", default_value_t = 1, help_heading = "Report")]
    pub(super) exit_code: u8,
    /// Succeed even if something could not be read
    #[arg(long, help_heading = "Report")]
    pub(super) allow_partial: bool,

    #[command(flatten)]
    pub(super) ask: AskArgs,

    // What people type by habit, and what is so anyway: reports are masked, there is no banner, nobody is asked.
    #[arg(long, hide = true, num_args = 0.., require_equals = true, value_name = "PERCENT")]
    redact: Vec<u8>,
    #[arg(long, hide = true)]
    no_banner: bool,
    #[arg(long, hide = true, alias = "no-validate")]
    no_verification: bool,
    #[arg(long, hide = true, alias = "no-update-check")]
    no_update: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MinConfidence {
    /// It looks like one
    Shape,
    /// Its checksum or structure fits
    Checksum,
    /// Its issuer says that it is live; needs --verify
    Verified,
}

/// Where tokens may be shown in clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Clear {
    /// Where a person reads it and it is not kept
    Terminal,
    /// Wherever the report goes
    Yes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Past {
    Full,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Fail {
    Any,
    Checksum,
    Never,
    /// Those whose issuer says that they live; needs --verify
    Verified,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Tint {
    Always,
    Auto,
    Never,
}

impl ScanArgs {
    pub(super) fn format(&self) -> Format {
        if self.json { Format::Json } else { self.format.into() }
    }

    /// Whether the tokens themselves are to be shown.
    ///
    /// # Errors
    /// They would be kept somewhere, or leave the machine, by accident.
    pub(super) fn shows_secrets(&self, stdout: Stdout) -> anyhow::Result<bool> {
        let Some(place) = self.show_secrets else { return Ok(false) };
        if !matches!(self.format(), Format::Human | Format::Json | Format::Jsonl) {
            return Err(Usage("tokens are shown in the forms human, json and jsonl only".into()).into());
        }
        if place == Clear::Terminal && (self.output.is_some() || stdout == Stdout::Elsewhere) {
            let told = "the report goes to no terminal, so tokens in it would be kept or sent on";
            return Err(anyhow::Error::from(Usage(told.into()))).hint("`--show-secrets=yes` says that this is meant");
        }
        Ok(true)
    }

    /// How and where the report is written.
    pub(super) fn writing(&self) -> Writing<'_> {
        let shows = self.shows_secrets(Stdout::Elsewhere).unwrap_or(false);
        Writing {
            format: self.format(),
            is_verbose: self.verbose,
            tint: if self.no_color && self.color == Tint::Auto { Tint::Never } else { self.color },
            output: self.output.as_deref(),
            access: if shows { Access::Own } else { Access::Usual },
        }
    }

    /// What was typed, with repositories fetched.
    pub(super) fn targets(&self) -> anyhow::Result<Targets> {
        let mut typed: Vec<_> = self.targets.iter().chain(&self.choose.source).cloned().collect();
        if typed.is_empty() {
            typed.push(PathBuf::from("."));
        }
        Targets::ready(&typed, self.history(), self.choose.credentials())
    }

    fn history(&self) -> History {
        if self.no_git || self.history == Past::None { History::None } else { History::Full }
    }

    /// What decides about findings, beside the plan's values: a state of another scan is of no use then.
    pub(super) fn deciding(&self) -> anyhow::Result<String> {
        let entries = self.known_entries()?;
        Ok(format!("{:?} {:?} {:?}", self.include, self.exclude, entries.texts().collect::<Vec<_>>()))
    }

    /// Everything a scan needs, or what is wrong with what was typed.
    /// `own` are kinds of this installation.
    pub(super) fn plan(&self, targets: &Targets, own: Vec<catalogue::Kind>) -> anyhow::Result<Plan> {
        let targets = targets.list.clone();
        let archives =
            ArchiveLimits { depth: self.max_archive_depth, bytes: self.max_archive_size, ..ArchiveLimits::default() };
        let (recognizer, rule_paths) = recognizer_with(own, &self.rule, &self.exclude_rule, self.config.as_deref())?;
        let defaults = Plan::new(targets, Arc::new(recognizer), Clock::system());
        Ok(Plan {
            rule_paths,
            choice: self.choose.choice()?,
            lfs: self.choose.lfs(),
            min_confidence: match self.min_confidence {
                MinConfidence::Checksum => Confidence::Checksum,
                // What an issuer says is known after the scan.
                MinConfidence::Shape | MinConfidence::Verified => Confidence::Shape,
            },
            decode_depth: self.max_decode_depth,
            archives,
            max_file_size: self.max_file_size.or(self.max_target_megabytes.map(|megabytes| megabytes << 20)),
            paths: self.paths()?,
            ignored: if self.respect_gitignore { Ignored::Skipped } else { Ignored::Read },
            history: self.history(),
            submodules: self.choose.submodules(),
            memory: self.memory_limit,
            unreachable: if self.unreachable { Unreachable::Told } else { Unreachable::Counted },
            inline: if self.no_inline_ignore { Inline::Ignored } else { Inline::Obeyed },
            ignore_file: self.known_entries()?,
            baseline: self.known_tokens()?,
            threads: self.jobs.unwrap_or(defaults.threads).max(1),
            time_out: self.timeout.map(Duration::from_secs),
            ..defaults
        })
    }

    /// How sure a finding must be to be told.
    pub(super) fn least(&self) -> Confidence {
        match self.min_confidence {
            MinConfidence::Shape => Confidence::Shape,
            MinConfidence::Checksum => Confidence::Checksum,
            MinConfidence::Verified => Confidence::Verified,
        }
    }

    /// The file named with `--config`.
    #[cfg(feature = "server")]
    pub(super) fn named(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    fn paths(&self) -> anyhow::Result<ignore::overrides::Override> {
        let mut paths = OverrideBuilder::new("");
        let excluded: Vec<_> = self.exclude.iter().map(|glob| format!("!{glob}")).collect();
        for glob in self.include.iter().chain(&excluded) {
            paths.add(glob).map_err(|error| Usage(format!("`{glob}` is not a pattern: {error}")))?;
        }
        Ok(paths.build()?)
    }

    fn known_entries(&self) -> anyhow::Result<IgnoreFile> {
        let mut entries = IgnoreFile::default();
        let found = IGNORE_FILES.iter().map(PathBuf::from).filter(|path| path.is_file());
        for path in found.chain(self.ignore_file.iter().cloned()) {
            let text = read(&path)?;
            entries.add(&text).map_err(|bad| Usage(format!("{bad}: `{}`", path.display())))?;
        }
        Ok(entries)
    }

    fn known_tokens(&self) -> anyhow::Result<Baseline> {
        // A baseline that is to be written is read first: what is known stays known.
        let updated = self.update_baseline.as_ref().filter(|path| path.is_file());
        let Some(path) = self.baseline.as_ref().or(updated) else { return Ok(Baseline::default()) };
        let text = read(path)?;
        Ok(Baseline::parse(&text).map_err(|bad| Usage(format!("{bad}: `{}`", path.display())))?)
    }
}

pub(super) fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).map_err(|error| Usage(format!("`{}` cannot be read: {error}", path.display())).into())
}

/// `50M`, `4G`, `1000`.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| format!("`{text}` is not a size"))?;
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        _ => return Err(format!("`{text}` is not a size; write 50M or 4G")),
    };
    number.checked_mul(1 << shift).ok_or_else(|| format!("`{text}` is too large"))
}
