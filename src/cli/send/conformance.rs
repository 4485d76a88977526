//! The bad forms, and a receiver's answers to them.

use std::process::ExitCode;

use rand::rngs::StdRng;
use serde_json::json;

use super::records::Reported;
use super::{ConformanceArgs, KeyArgs};
use crate::cli::out::{self, Colour, Ink};
use crate::send::{Answer, Attempt, Corruption, Courier, Failure, Group, Limits, Material, Signer, Strictness, Trial};

/// Which forms to send, and how to tell what came of them.
pub(super) struct Plan<'a> {
    pub(super) args: &'a ConformanceArgs,
    pub(super) json: bool,
    pub(super) colour: Colour,
}

/// One line of the table.
struct Row {
    form: &'static str,
    about: &'static str,
    expected: &'static str,
    got: String,
    as_expected: bool,
}

impl Plan<'_> {
    /// Sends a good delivery first: a receiver that refuses it proves nothing by refusing others.
    pub(super) async fn run(
        &self,
        courier: Courier,
        signer: Signer,
        mut reported: Reported,
        keys: &KeyArgs,
        rng: &mut StdRng,
    ) -> anyhow::Result<ExitCode> {
        let limits = Limits {
            body_bytes: usize::try_from(self.args.max_body.0).unwrap_or(usize::MAX),
            records: self.args.max_records,
        };
        let mut material = Material::new(signer, reported.one(), limits, rng)?;
        let server = keys.serve(&material.key_list()).await?;
        if server.is_none() {
            out::talk(
                "the key list is served elsewhere, so keys of other curves are refused as unknown, not for their curve",
            );
        }
        let strictness = if self.args.any_4xx { Strictness::AnyRefusal } else { Strictness::Exact };
        let mut trial = Trial::new(courier, strictness);

        let mut tally = Count::default();
        let good = trial.good(&material).await;
        let accepted = good.as_expected;
        self.tell(Row::new("good", "the delivery with nothing wrong", "2xx", &good), &mut tally)?;
        if !accepted {
            out::talk(
                "hint: refusals prove nothing before a good delivery is accepted; does the receiver use this key list?",
            );
            return Ok(ExitCode::FAILURE);
        }
        let mut group = None;
        for form in self.forms() {
            self.open(&mut group, form.group(), &trial, &mut tally)?;
            material.report(reported.one());
            let attempt = trial.attempt(form, &mut material).await?;
            self.tell(Row::new(form.name(), form.about(), form.expected().text(), &attempt), &mut tally)?;
        }
        self.close(group, &trial, &mut tally)?;
        out::talk(tally.words());
        Ok(if tally.unexpected == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn forms(&self) -> impl Iterator<Item = &'static Corruption> {
        let asked = |name: &str| self.args.forms.iter().any(|form| form == name || form == "all");
        Corruption::all().filter(move |form| asked(form.name()))
    }

    fn open(&self, last: &mut Option<Group>, next: Group, trial: &Trial, tally: &mut Count) -> anyhow::Result<()> {
        if *last != Some(next) {
            self.close(*last, trial, tally)?;
            if !self.json {
                out::data(format!("\n{}", self.colour.paint(Ink::Bold, next.title())))?;
            }
        }
        *last = Some(next);
        Ok(())
    }

    /// After the bad signatures comes the question whether they could be told apart from outside.
    fn close(&self, last: Option<Group>, trial: &Trial, tally: &mut Count) -> anyhow::Result<()> {
        if last != Some(Group::Signature) {
            return Ok(());
        }
        let Some(alike) = trial.refusals_alike() else { return Ok(()) };
        let row = Row {
            form: "one-refusal",
            about: "every bad signature gets the same answer, byte for byte",
            expected: "the same",
            got: if alike { "the same" } else { "different" }.to_owned(),
            as_expected: alike,
        };
        self.tell(row, tally)
    }

    fn tell(&self, row: Row, tally: &mut Count) -> anyhow::Result<()> {
        tally.forms += 1;
        tally.unexpected += u32::from(!row.as_expected);
        if self.json {
            let Row { form, about, expected, got, as_expected } = row;
            out::data(json!({"form": form, "about": about, "expected": expected, "got": got, "ok": as_expected}))?;
        } else {
            out::data(row.words(self.colour))?;
        }
        Ok(())
    }
}

impl Row {
    fn new(form: &'static str, about: &'static str, expected: &'static str, attempt: &Attempt) -> Self {
        let got = attempt.answers.iter().map(said).collect::<Vec<_>>().join(", ");
        Self { form, about, expected, got, as_expected: attempt.as_expected }
    }

    fn words(&self, colour: Colour) -> String {
        let (mark, ink) = if self.as_expected { ("ok", Ink::Green) } else { ("unexpected", Ink::Red) };
        let mark = colour.paint(ink, &format!("{mark:<10}"));
        let about = colour.paint(Ink::Dim, self.about);
        format!("  {mark}  {:<21}  {:<18}  {:<18}  {about}", self.form, self.expected, self.got)
    }
}

fn said(answer: &Result<Answer, Failure>) -> String {
    match answer {
        Ok(answer) => answer.status.as_u16().to_string(),
        Err(failure) => failure.to_string(),
    }
}

#[derive(Default)]
struct Count {
    forms: u32,
    unexpected: u32,
}

impl Count {
    fn words(&self) -> String {
        match self.unexpected {
            0 => format!("\n{} checks, all as expected", self.forms),
            some => format!("\n{} checks, {some} of them unexpected", self.forms),
        }
    }
}

/// The forms with what each is for.
pub(super) fn list(json: bool, colour: Colour) -> anyhow::Result<ExitCode> {
    let mut group = None;
    for form in Corruption::all() {
        let (name, about, expected) = (form.name(), form.about(), form.expected().text());
        if json {
            out::data(json!({"form": name, "about": about, "expected": expected}))?;
            continue;
        }
        let before = group.replace(form.group());
        if before != Some(form.group()) {
            let gap = if before.is_some() { "\n" } else { "" };
            out::data(format!("{gap}{}", colour.paint(Ink::Bold, form.group().title())))?;
        }
        out::data(format!("  {name:<21}  {expected:<18}  {}", colour.paint(Ink::Dim, about)))?;
    }
    Ok(ExitCode::SUCCESS)
}
