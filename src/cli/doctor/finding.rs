//! What doctor found: one line, and what to do about it.

use serde::Serialize;

use super::super::out::{Colour, Ink};
use crate::config::Problem;

/// How well a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    Fail,
    Ok,
    Warn,
}

#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    pub part: String,
    pub health: Health,
    pub says: String,
    /// The next thing to do.
    pub hint: Option<String>,
}

impl Finding {
    pub fn ok(part: impl Into<String>, says: impl Into<String>) -> Self {
        Self { part: part.into(), health: Health::Ok, says: says.into(), hint: None }
    }

    pub fn warn(part: impl Into<String>, says: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { part: part.into(), health: Health::Warn, says: says.into(), hint: Some(hint.into()) }
    }

    pub fn fail(part: impl Into<String>, says: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { part: part.into(), health: Health::Fail, says: says.into(), hint: Some(hint.into()) }
    }

    /// A refused setting, as a failure of a part.
    pub fn of(part: &str, problem: &Problem) -> Self {
        Self::fail(part, problem.to_string(), problem.hint.clone())
    }

    /// The causes of an error, in one line.
    pub fn of_error(part: &str, error: &anyhow::Error, hint: &str) -> Self {
        if let Some(problem) = error.chain().find_map(|each| each.downcast_ref()) {
            return Self::of(part, problem);
        }
        let mut words: Vec<String> = error.chain().map(ToString::to_string).collect();
        words.dedup();
        Self::fail(part, words.join(": "), hint)
    }

    pub fn lines(&self, colour: Colour) -> Vec<String> {
        let (word, ink) = match self.health {
            Health::Fail => ("fail", Ink::Red),
            Health::Ok => ("ok  ", Ink::Green),
            Health::Warn => ("warn", Ink::Yellow),
        };
        let mut lines = vec![format!("{}  {:<16} {}", colour.paint(ink, word), self.part, self.says)];
        lines.extend(self.hint.as_ref().map(|hint| format!("{:>22} hint: {hint}", "")));
        lines
    }
}
