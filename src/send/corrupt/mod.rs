//! Every form of a delivery that a receiver must refuse, and the odd ones it must not.
//!
//! A form differs from a good delivery in the one way its name says, and in nothing else, so that an answer tells which
//! check is missing. The statuses expected are those of `stanch serve`: a signature that does not hold is always one and
//! the same 401, and a body is judged only after it.

mod body;
mod header;
mod odd;
mod signature;

use axum::body::Bytes;
use axum::http::StatusCode;
use p256::ecdsa::Signature;
use rand::CryptoRng;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::{Answer, Failure, KeyList, KeyPair, Message, Record, SendError, Signer, body_of};

/// One form, with what it is for and what a receiver should answer.
pub struct Corruption {
    name: &'static str,
    about: &'static str,
    group: Group,
    expected: Expected,
    forge: Forge,
}

type Forge = fn(&mut Material) -> Result<Vec<Message>, SendError>;

impl Corruption {
    /// All forms, in the order in which they are best sent and shown.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        [signature::FORMS, header::FORMS, body::FORMS, odd::FORMS].into_iter().flatten()
    }

    /// The form with this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::all().find(|form| form.name == name)
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What is wrong with it, in a few words.
    pub fn about(&self) -> &'static str {
        self.about
    }

    pub fn group(&self) -> Group {
        self.group
    }

    pub fn expected(&self) -> Expected {
        self.expected
    }

    /// The messages to post, one after the other.
    pub fn forge(&self, material: &mut Material) -> Result<Vec<Message>, SendError> {
        (self.forge)(material)
    }
}

/// What a form is wrong about, in the order in which a receiver should check it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    Signature,
    Header,
    Body,
    /// Nothing is wrong: unusual, and to be accepted.
    Odd,
}

impl Group {
    pub fn title(self) -> &'static str {
        match self {
            Self::Signature => "Signature",
            Self::Header => "Headers",
            Self::Body => "Body, rightly signed",
            Self::Odd => "Unusual, and to be accepted",
        }
    }
}

/// What a receiver should answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Any 2xx.
    Accepted,
    /// Any 2xx, and the same answer to every message of the form.
    AcceptedAlike,
    /// 400.
    BadBody,
    /// 401, the same for every such form.
    BadSignature,
    /// 400, or 2xx from a receiver that counts the records that can be read; nothing else.
    Handled,
    /// 405.
    NotAllowed,
    /// 413, or the connection closed before all of it was sent.
    TooLarge,
    /// 401, or 404 from a receiver that knows no origin without these headers.
    Unsigned,
    /// 415 or 400.
    UnsupportedMedia,
}

impl Expected {
    /// For people: the statuses that will do.
    pub fn text(self) -> &'static str {
        match self {
            Self::Accepted => "2xx",
            Self::AcceptedAlike => "2xx, twice the same",
            Self::BadBody => "400",
            Self::BadSignature => "401",
            Self::Handled => "400 or 2xx",
            Self::NotAllowed => "405",
            Self::TooLarge => "413",
            Self::Unsigned => "401 or 404",
            Self::UnsupportedMedia => "415 or 400",
        }
    }

    /// Whether these answers, one for each message of the form, are what a receiver should give.
    pub fn allows(self, answers: &[Result<Answer, Failure>]) -> bool {
        let all = |test: fn(StatusCode) -> bool| {
            !answers.is_empty() && answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| test(answer.status)))
        };
        match self {
            Self::Accepted => all(|status| status.is_success()),
            Self::AcceptedAlike => all(|status| status.is_success()) && alike(answers),
            Self::BadBody => all(|status| status == 400),
            Self::BadSignature => all(|status| status == 401),
            Self::Handled => all(|status| status == 400 || status.is_success()),
            Self::NotAllowed => all(|status| status == 405),
            Self::TooLarge => {
                all(|status| status == 413) || answers.iter().all(|answer| matches!(answer, Err(Failure::Closed)))
            }
            Self::Unsigned => all(|status| status == 401 || status == 404),
            Self::UnsupportedMedia => all(|status| status == 415 || status == 400),
        }
    }

    /// The same question put to a receiver with statuses of its own: any 4xx refuses.
    pub fn allows_loosely(self, answers: &[Result<Answer, Failure>]) -> bool {
        let refused =
            || answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.status.is_client_error()));
        let to_be_refused = !matches!(self, Self::Accepted | Self::AcceptedAlike);
        self.allows(answers) || to_be_refused && !answers.is_empty() && refused()
    }
}

fn alike(answers: &[Result<Answer, Failure>]) -> bool {
    let mut said = answers.iter().flatten().map(|answer| (answer.status, &answer.body));
    let first = said.next();
    said.all(|next| Some(next) == first)
}

/// How much a receiver takes at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub body_bytes: usize,
    pub records: usize,
}

impl Default for Limits {
    /// The defaults of `stanch serve`.
    fn default() -> Self {
        Self { body_bytes: 8 * 1024 * 1024, records: 10_000 }
    }
}

/// What forms are made from: a good delivery, and what it takes to spoil it.
pub struct Material {
    signer: Signer,
    /// Is listed nowhere.
    stranger: KeyPair,
    records: Vec<Record>,
    limits: Limits,
    rng: StdRng,
}

impl Material {
    pub fn new<R: CryptoRng + ?Sized>(
        signer: Signer,
        records: Vec<Record>,
        limits: Limits,
        rng: &mut R,
    ) -> Result<Self, SendError> {
        let stranger = KeyPair::generate(rng)?;
        Ok(Self { signer, stranger, records, limits, rng: StdRng::from_rng(rng) })
    }

    /// Reports `records` from now on.
    pub fn report(&mut self, records: Vec<Record>) {
        self.records = records;
    }

    /// The key list to serve, so that the forms with keys of other curves are refused for the curve and not as unknown.
    pub fn key_list(&self) -> KeyList {
        let mut list = self.signer.key_list();
        list.public_keys.extend(signature::other_curve_keys());
        list
    }

    /// The delivery without anything wrong.
    pub fn good(&self) -> Message {
        self.signer.message(self.body())
    }

    fn body(&self) -> Bytes {
        body_of(&self.records)
    }

    /// Signs the good body until `wanted` likes the signature.
    fn signature_where(&mut self, wanted: impl Fn(&Signature) -> bool) -> Result<Signature, SendError> {
        // The rarest form sought, an integer of 31 bytes, comes once in 256; missing it this often is beyond chance.
        const TRIES: u32 = 8_192;
        let body = self.body();
        (0..TRIES)
            .map(|_| self.signer.current().sign_anew(&body, &mut self.rng))
            .find(wanted)
            .ok_or(SendError::FormNotFound { tries: TRIES })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_form_has_a_name_of_its_own() {
        let mut names = HashSet::new();
        for form in Corruption::all() {
            assert!(names.insert(form.name()), "{} is there twice", form.name());
            assert!(std::ptr::eq(Corruption::named(form.name()).expect("found"), form));
            assert!(form.name().bytes().all(|byte| byte.is_ascii_lowercase() || b"-0123456789".contains(&byte)));
            assert!(!form.about().ends_with('.'));
        }
    }

    #[test]
    fn only_the_odd_forms_are_to_be_accepted() {
        for form in Corruption::all() {
            let accepted = matches!(form.expected(), Expected::Accepted | Expected::AcceptedAlike);
            assert_eq!(accepted, form.group() == Group::Odd, "{}", form.name());
        }
    }

    #[test]
    fn an_expectation_is_not_met_by_silence_or_by_the_wrong_class() {
        let said = |status: u16, body: &'static str| {
            Ok(Answer {
                status: StatusCode::from_u16(status).expect("a status"),
                body: Bytes::from_static(body.as_bytes()),
                retry_after: None,
                took: std::time::Duration::ZERO,
            })
        };
        assert!(Expected::BadSignature.allows(&[said(401, "")]));
        for wrong in [200, 400, 403, 500, 503] {
            assert!(!Expected::BadSignature.allows(&[said(wrong, "")]));
        }
        assert!(Expected::BadSignature.allows_loosely(&[said(400, "")]));
        assert!(!Expected::BadSignature.allows_loosely(&[said(503, "")]));
        assert!(!Expected::Accepted.allows_loosely(&[said(400, "")]));
        assert!(!Expected::Accepted.allows(&[]));
        assert!(!Expected::BadBody.allows(&[Err(Failure::Closed)]));
        assert!(Expected::Handled.allows(&[said(204, "")]) && !Expected::Handled.allows(&[said(500, "")]));
        assert!(Expected::TooLarge.allows(&[Err(Failure::Closed)]));
        assert!(Expected::AcceptedAlike.allows(&[said(204, ""), said(204, "")]));
        assert!(!Expected::AcceptedAlike.allows(&[said(200, "[1]"), said(200, "[]")]));
        assert!(!Expected::AcceptedAlike.allows(&[said(200, ""), said(204, "")]));
    }
}
