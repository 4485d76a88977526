//! Tries one receiver with many forms and judges its answers.

use axum::body::Bytes;

use super::{Answer, Corruption, Courier, Expected, Failure, Material, SendError};

/// How exact the statuses must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// Those of `stanch serve`.
    Exact,
    /// Any 4xx refuses, as the protocol has it: it names no statuses.
    AnyRefusal,
}

/// A receiver on trial.
pub struct Trial {
    courier: Courier,
    strictness: Strictness,
    /// What the first bad signature was answered with, and whether all others were answered alike.
    refusal: Option<(Bytes, bool)>,
}

/// What came of one form.
pub struct Attempt {
    /// One for each message of the form.
    pub answers: Vec<Result<Answer, Failure>>,
    pub as_expected: bool,
}

impl Trial {
    pub fn new(courier: Courier, strictness: Strictness) -> Self {
        Self { courier, strictness, refusal: None }
    }

    /// Sends the delivery without anything wrong. A receiver that refuses this one proves nothing by refusing others.
    pub async fn good(&self, material: &Material) -> Attempt {
        let answers = vec![self.courier.post(material.good()).await];
        let as_expected = Expected::Accepted.allows(&answers);
        Attempt { answers, as_expected }
    }

    /// # Errors
    /// Only when the form could not be made.
    pub async fn attempt(&mut self, form: &Corruption, material: &mut Material) -> Result<Attempt, SendError> {
        let mut answers = Vec::new();
        for message in form.forge(material)? {
            answers.push(self.courier.post(message).await);
        }
        let expected = form.expected();
        let as_expected = match self.strictness {
            Strictness::AnyRefusal => expected.allows_loosely(&answers),
            Strictness::Exact => expected.allows(&answers),
        };
        if expected == Expected::BadSignature {
            answers.iter().flatten().for_each(|answer| self.compare(&answer.body));
        }
        Ok(Attempt { answers, as_expected })
    }

    /// Whether all bad signatures were answered with the same bytes; none before two of them were.
    ///
    /// A receiver that says what was wrong with a signature helps whoever forges the next one.
    pub fn refusals_alike(&self) -> Option<bool> {
        self.refusal.as_ref().map(|(_, alike)| *alike)
    }

    fn compare(&mut self, body: &Bytes) {
        match &mut self.refusal {
            Some((first, alike)) => *alike &= first == body,
            first @ None => *first = Some((body.clone(), true)),
        }
    }
}
