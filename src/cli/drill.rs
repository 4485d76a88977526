//! `stanch drill`: a honey token through the whole path of the running service, with times.

use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use reqwest::Url;
use serde_json::json;

use super::out::{Colour, Ink};
use super::{Context, HintExt as _, operator, out, ready, when};
use crate::drill::NotBegun;
use crate::incident::EmailAddress;
use crate::incident::drill::{Drill as Told, DrillVerdict, Reach, StageResult};

#[derive(Args)]
#[command(
    after_help = "A token of the built-in issuer is made, its signed report goes through the service's own door, and \
                  nothing else is done but to watch: is it verified, revoked, refused at its next use, and its owner \
                  mailed? Drills count in no statistics and spend no budget of the brake; a brake that is on stops \
                  them, as it stops real ones. Where tokens are issued elsewhere, it proves the door and the mail.\n\n\
                  Exit code 0 if everything passed, 1 if anything failed. Run it from a timer, and alert on \
                  `stanch_drill_last_passed_timestamp_seconds`.\n\n\
                  Examples:\n  stanch drill\n  stanch drill --to https://stanch.example --mail-to oncall@example.org"
)]
pub struct Drill {
    /// Where the service is reached, through its proxy if wanted [default: where it listens]
    #[arg(long, value_name = "URL")]
    to: Option<Url>,
    /// Whom the mail goes to [default: the contact of the configuration]
    #[arg(long, value_name = "ADDRESS")]
    mail_to: Option<String>,
    /// As JSON, at the end
    #[arg(long)]
    json: bool,
}

impl Drill {
    pub async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let config = context.config()?;
        let address = self.mail_to.as_deref().map(EmailAddress::parse).transpose();
        let address = address.context("`--mail-to` is no address")?;
        let to = match self.to {
            Some(to) => to,
            None => ready::url_of(config.server.settings().listen)?,
        };
        let store = ready::open_store(&config, &context.clock).await?;
        let drills = ready::drills(&config, &store, &context.clock, to)?;
        let begun = match drills.begin(operator(context), address).await {
            Ok(begun) => begun,
            Err(error) => {
                store.close().await;
                let hint = match &error {
                    NotBegun::NoAddress => "name one with `--mail-to`",
                    NotBegun::Running => "it takes two minutes at most; try again",
                    NotBegun::Nowhere | NotBegun::Store(_) => "`stanch doctor` tells what is wrong",
                };
                return Err(error).hint(hint);
            }
        };
        let colour = Colour::of(&context.environment);
        if !self.json && begun.drill.reach == Reach::IntakeAndMail {
            out::talk("there is no built-in issuer, so this proves that reports are stored and that mail leaves");
        }
        // Each stage is told once, as soon as it is over.
        let shown = Mutex::new(Vec::new());
        let tell = |drill: &Told| {
            let mut shown = shown.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            for stage in drill.stages.iter().filter(|stage| stage.result != StageResult::Waiting) {
                if !self.json && !shown.contains(&stage.stage) {
                    shown.push(stage.stage);
                    // Nobody may be reading any more; the drill goes on.
                    let _ = out::data(line(stage, colour));
                }
            }
        };
        let drill = drills.run(begun, tell).await;
        store.close().await;
        let verdict = drill.verdict(context.clock.now());
        if self.json {
            let mut told = json!(drill);
            told["verdict"] = json!(verdict.word());
            out::data(serde_json::to_string_pretty(&told)?)?;
        } else {
            let took = drill.finished_at.map_or(Duration::ZERO, |end| end.since(drill.started_at));
            let words = match verdict {
                DrillVerdict::Failed => "FAILED",
                DrillVerdict::Passed => "passed",
                DrillVerdict::Running => "is not over",
                DrillVerdict::Slow => "passed, and was slow",
            };
            out::talk(format!("fire drill {} {words}, after {}", drill.id, when::measured(took)));
            if let Some(id) = drill.incident_id {
                out::talk(format!("hint: `stanch incident show {id}` tells more"));
            }
        }
        Ok(if verdict == DrillVerdict::Failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

fn line(stage: &crate::incident::drill::DrillStage, colour: Colour) -> String {
    let (word, ink) = match stage.result {
        StageResult::Failed => ("FAILED", Ink::Red),
        StageResult::Passed => ("passed", Ink::Green),
        StageResult::Skipped => ("skipped", Ink::Dim),
        StageResult::Slow => ("slow", Ink::Yellow),
        StageResult::Waiting => ("waits", Ink::Dim),
    };
    let took = stage.took_ms.and_then(|ms| u64::try_from(ms).ok());
    let took = took.map_or_else(String::new, |ms| when::measured(Duration::from_millis(ms)));
    let word = colour.paint(ink, &format!("{word:<7}"));
    format!("{word}  {took:>8}  {:<35}  {}", stage.stage.title(), stage.note).trim_end().to_owned()
}
