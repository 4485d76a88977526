//! Fire drills: a token that is made to be reported, and what became of it at each stage, with times.
//!
//! A drill goes the whole way that a leaked token goes, and is known by its origin everywhere. It is no figure of any
//! statistics and spends no budget of the brake.

use serde::{Deserialize, Serialize};

use super::words::{UnknownWord, words};
use crate::clock::Timestamp;
use crate::id::{DrillId, IncidentId};

/// The origin that reports drills; no reporter can be configured under this name.
pub const ORIGIN: &str = "drill";

/// One drill. What is not over yet waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drill {
    pub id: DrillId,
    /// `operator:ada`.
    pub started_by: String,
    pub started_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    pub reach: Reach,
    pub incident_id: Option<IncidentId>,
    pub stages: Vec<DrillStage>,
}

/// How much a drill can prove here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// There is no built-in issuer to make a token: that a signed report is stored, and that a mail leaves.
    IntakeAndMail,
    /// Everything, from the report to the refusal of the dead token.
    Whole,
}

/// One stage of a drill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillStage {
    pub stage: Stage,
    pub result: StageResult,
    /// From the moment the report was sent; of the stages before it, how long they took. In milliseconds.
    pub took_ms: Option<i64>,
    /// What is slower than this is told as slow. In milliseconds.
    pub goal_ms: i64,
    /// What happened, or why it did not, in our words.
    pub note: String,
}

/// Where a drill stands, in the order of a token's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// A token was made, and it opens our own API.
    Mint,
    /// A signed report of it was answered with success.
    Report,
    /// The issuer said that it lives.
    Verify,
    /// The issuer confirmed that it is dead.
    Revoke,
    /// Our own API refuses it, at its next use.
    Refuse,
    /// The mail about it was handed over.
    Notify,
    /// What was sealed of it is erased.
    Close,
}

/// What became of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StageResult {
    Failed,
    Passed,
    /// An earlier stage failed.
    Skipped,
    /// Passed, and later than it should have.
    Slow,
    Waiting,
}

/// What a drill tells as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DrillVerdict {
    Failed,
    Passed,
    Running,
    /// Everything happened, something of it too late.
    Slow,
}

words!(Reach { IntakeAndMail = "intake_and_mail", Whole = "whole" });
words!(Stage {
    Mint = "mint",
    Report = "report",
    Verify = "verify",
    Revoke = "revoke",
    Refuse = "refuse",
    Notify = "notify",
    Close = "close",
});
words!(StageResult {
    Failed = "failed",
    Passed = "passed",
    Skipped = "skipped",
    Slow = "slow",
    Waiting = "waiting",
});
words!(DrillVerdict { Failed = "failed", Passed = "passed", Running = "running", Slow = "slow" });

/// Words instead of names, in JSON as everywhere.
macro_rules! by_word {
    ($($type:ident),*) => {$(
        impl Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.word())
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                word.parse().map_err(|unknown: UnknownWord| serde::de::Error::custom(unknown))
            }
        }
    )*};
}
by_word!(Reach, Stage, StageResult);

/// A drill that was not heard of for this long after its start has lost its process.
pub const AT_MOST_MILLIS: i64 = 150_000;

impl Stage {
    /// What it should not take longer than, in milliseconds: the reporter's limit for the answer, our own goals for the
    /// rest.
    pub fn goal_ms(self) -> i64 {
        match self {
            Self::Mint => 1_000,
            Self::Report => 10_000,
            Self::Verify | Self::Revoke => 2_000,
            Self::Refuse => 3_000,
            Self::Notify | Self::Close => 30_000,
        }
    }

    /// For people: what is proved by it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Mint => "A token was made and is accepted",
            Self::Report => "Its signed report was stored",
            Self::Verify => "The issuer called it live",
            Self::Revoke => "The issuer confirmed its revocation",
            Self::Refuse => "It is refused at its next use",
            Self::Notify => "Its owner's mail was handed over",
            Self::Close => "What was sealed of it is erased",
        }
    }
}

impl Reach {
    pub fn stages(self) -> &'static [Stage] {
        match self {
            Self::IntakeAndMail => &[Stage::Report, Stage::Notify],
            Self::Whole => Stage::ALL,
        }
    }
}

impl Drill {
    /// A drill of which everything is still to come.
    pub fn new(started_by: String, reach: Reach, now: Timestamp) -> Self {
        let waiting = |stage: &Stage| DrillStage {
            stage: *stage,
            result: StageResult::Waiting,
            took_ms: None,
            goal_ms: stage.goal_ms(),
            note: String::new(),
        };
        Self {
            id: DrillId::generate(now),
            started_by,
            started_at: now,
            finished_at: None,
            reach,
            incident_id: None,
            stages: reach.stages().iter().map(waiting).collect(),
        }
    }

    /// What it tells as a whole. One whose process is gone has failed.
    pub fn verdict(&self, now: Timestamp) -> DrillVerdict {
        let any = |result: StageResult| self.stages.iter().any(|stage| stage.result == result);
        let lost = now.as_millis() - self.started_at.as_millis() > AT_MOST_MILLIS;
        match self.finished_at {
            None if lost => DrillVerdict::Failed,
            None => DrillVerdict::Running,
            Some(_) if any(StageResult::Failed) || any(StageResult::Waiting) => DrillVerdict::Failed,
            Some(_) if any(StageResult::Slow) => DrillVerdict::Slow,
            Some(_) => DrillVerdict::Passed,
        }
    }

    pub fn is_waiting(&self, stage: Stage) -> bool {
        self.stages.iter().any(|it| it.stage == stage && it.result == StageResult::Waiting)
    }

    /// Notes that a stage was passed, after so many milliseconds.
    pub fn pass(&mut self, stage: Stage, took_ms: i64, note: impl Into<String>) {
        if let Some(it) = self.stages.iter_mut().find(|it| it.stage == stage) {
            it.result = if took_ms > it.goal_ms { StageResult::Slow } else { StageResult::Passed };
            (it.took_ms, it.note) = (Some(took_ms), note.into());
        }
    }

    /// Notes that a stage failed; those that still wait will not come.
    pub fn fail(&mut self, stage: Stage, why: impl Into<String>) {
        if let Some(it) = self.stages.iter_mut().find(|it| it.stage == stage) {
            (it.result, it.note) = (StageResult::Failed, why.into());
        }
        for it in self.stages.iter_mut().filter(|it| it.result == StageResult::Waiting) {
            it.result = StageResult::Skipped;
        }
    }

    /// Whether nothing waits any more.
    pub fn is_over(&self) -> bool {
        self.stages.iter().all(|stage| stage.result != StageResult::Waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drill(reach: Reach) -> (Drill, Timestamp) {
        let now = Timestamp::from_millis(1_000);
        (Drill::new("operator:ada".into(), reach, now), now)
    }

    #[test]
    fn a_drill_passes_when_every_stage_did() {
        let (mut drill, now) = drill(Reach::Whole);
        assert_eq!(drill.verdict(now), DrillVerdict::Running);
        for stage in Stage::ALL {
            assert!(!drill.is_over() && drill.is_waiting(*stage));
            drill.pass(*stage, 10, "");
        }
        drill.finished_at = Some(now);
        assert_eq!((drill.is_over(), drill.verdict(now)), (true, DrillVerdict::Passed));
        drill.pass(Stage::Revoke, 2_001, "");
        assert_eq!(drill.verdict(now), DrillVerdict::Slow);
    }

    #[test]
    fn what_follows_a_failure_is_skipped_and_not_failed() {
        let (mut drill, now) = drill(Reach::IntakeAndMail);
        drill.fail(Stage::Report, "no answer");
        drill.finished_at = Some(now);
        assert_eq!(drill.stages[1].result, StageResult::Skipped);
        assert_eq!(drill.verdict(now), DrillVerdict::Failed);
    }

    #[test]
    fn a_drill_whose_process_died_has_failed() {
        let (drill, now) = drill(Reach::Whole);
        assert_eq!(drill.verdict(now.plus(std::time::Duration::from_mins(3))), DrillVerdict::Failed);
    }

    #[test]
    fn a_drill_survives_its_json() {
        let (mut drill, _) = drill(Reach::Whole);
        drill.pass(Stage::Mint, 3, "made");
        let text = serde_json::to_string(&drill).expect("plain");
        assert!(text.contains("\"stage\":\"mint\",\"result\":\"passed\""), "{text}");
        assert_eq!(serde_json::from_str::<Drill>(&text).expect("read"), drill);
    }
}
