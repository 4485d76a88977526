//! The plan: by what each kind is first noticed.
//!
//! A kind is noticed, in this order of preference, by a literal inside a long run ([`Noticed::InRun`]); by the length
//! and alphabet of a piece of a run, if it has no literal worth looking for ([`Noticed::Bare`]); by a word anywhere, if
//! it has no long run ([`Noticed::ByWord`]).

use std::borrow::Cow;

use crate::token::catalogue::{Form, Kind};
use crate::token::charset::{self, Set};
use crate::token::shape::Part;

use super::runs::MIN_RUN;

/// How a kind is first noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Noticed {
    /// One of the texts stands in a run, `before` bytes behind the start of the token.
    /// The run has `run` characters at least.
    InRun { texts: Vec<String>, before: (usize, usize), run: usize },
    /// A whole piece of a run in this alphabet has a length that fits.
    Bare { alphabet: usize, min: usize, max: usize },
    /// As `InRun`, anywhere.
    ByWord { texts: Vec<String>, before: (usize, usize) },
    /// Blocks: the first and the last markers, in pairs.
    Block { begin: &'static [&'static str], end: &'static [&'static str] },
    /// The token is somewhere behind one of the context words: it has neither a literal nor a long run.
    NearWord,
}

/// The alphabets that runs are cut into pieces by.
pub const ALPHABETS: [Set; 4] = [charset::ALNUM, charset::BASE64_URL, charset::BASE64_STANDARD, charset::DOTTED];

/// A literal this long is worth looking for; a shorter one is in every other word.
const MIN_TEXT: usize = 3;
/// With fewer variants than this, a literal with alternatives is spelled out.
const MAX_TEXTS: usize = 64;
/// Starts that are tried for one hit.
const MAX_STARTS: usize = 8;

/// Decides how a kind is noticed. `None` if nothing about it can be looked for.
pub fn notice(kind: &Kind) -> Option<Noticed> {
    let parts = match &kind.form {
        Form::Block { begin, end } => return Some(Noticed::Block { begin, end }),
        Form::Pattern(_) => return None,
        Form::Shape(parts) => parts.as_ref(),
    };
    let texts = literals(parts);
    let best = |in_run: bool| {
        texts
            .iter()
            .filter(|found| found.before.1 - found.before.0 < MAX_STARTS)
            .filter(|found| !in_run || found.run >= MIN_RUN)
            .filter(|found| {
                found.len() >= MIN_TEXT || found.len() == 2 && found.before == (0, 0) && !kind.needs_context()
            })
            // Of the long enough ones the first: the start of a token is where the boundary is known.
            .max_by_key(|found| (found.len().min(4), usize::MAX - found.before.1, found.len()))
    };
    if let Some(found) = best(true) {
        return Some(Noticed::InRun { texts: found.texts.clone(), before: found.before, run: found.run });
    }
    let (min, max) = (parts.iter().map(Part::min_len).sum(), parts.iter().map(Part::max_len).sum());
    let alphabet = ALPHABETS.iter().position(|alphabet| parts.iter().all(|part| part.is_within(*alphabet)));
    if let Some(alphabet) = alphabet.filter(|_| min >= MIN_RUN) {
        return Some(Noticed::Bare { alphabet, min, max });
    }
    if let Some(found) = best(false) {
        return Some(Noticed::ByWord { texts: found.texts.clone(), before: found.before });
    }
    kind.needs_context().then_some(Noticed::NearWord)
}

/// Texts of which exactly one is in every token, at a known distance from its start.
struct Literals {
    texts: Vec<String>,
    before: (usize, usize),
    /// The run that every token has around it, at least.
    run: usize,
}

impl Literals {
    fn len(&self) -> usize {
        self.texts.iter().map(String::len).min().unwrap_or(0)
    }
}

fn literals(parts: &[Part]) -> Vec<Literals> {
    let mut found = Vec::new();
    let mut before = (0, 0);
    let mut index = 0;
    while index < parts.len() {
        let first = index;
        let mut texts = vec![String::new()];
        while let Some(alternatives) = parts.get(index).and_then(alternatives) {
            if texts.len() * alternatives.len() > MAX_TEXTS {
                break;
            }
            texts =
                texts.iter().flat_map(|text| alternatives.iter().map(move |more| format!("{text}{more}"))).collect();
            index += 1;
        }
        if index == first {
            before = (before.0 + parts[index].min_len(), before.1 + parts[index].max_len());
            index += 1;
            continue;
        }
        let (head, tail) = (run_before(&parts[..first]), run_after(&parts[index..]));
        if let [only] = texts.as_slice() {
            found.extend(pieces(only, before, head, tail));
        } else {
            let whole = texts.iter().all(|text| text.bytes().all(|byte| charset::RUN.has(byte)));
            let len = texts.iter().map(String::len).min().unwrap_or(0);
            let run = if whole { head + len + tail } else { 0 };
            found.push(Literals { texts: texts.clone(), before, run });
        }
        let lens = || texts.iter().map(String::len);
        before = (before.0 + lens().min().unwrap_or(0), before.1 + lens().max().unwrap_or(0));
    }
    found
}

/// The whole literal, and its pieces that lie in a run.
fn pieces(text: &str, before: (usize, usize), head: usize, tail: usize) -> Vec<Literals> {
    let mut found = vec![Literals { texts: vec![text.to_owned()], before, run: 0 }];
    let mut at = 0;
    for piece in text.split(|char| !char::is_ascii(&char) || !charset::RUN.has(char as u8)) {
        if !piece.is_empty() {
            let mut run = piece.len();
            run += if at == 0 { head } else { 0 };
            run += if at + piece.len() == text.len() { tail } else { 0 };
            let before = (before.0 + at, before.1 + at);
            found.push(Literals { texts: vec![piece.to_owned()], before, run });
        }
        at += piece.len() + 1;
    }
    found
}

fn alternatives(part: &Part) -> Option<Vec<Cow<'static, str>>> {
    match part {
        Part::Literal(text) => Some(vec![text.clone()]),
        Part::OneOf(texts) => Some(texts.to_vec()),
        Part::Run { .. } => None,
    }
}

/// Length of the run that the parts end in, at least.
fn run_before(parts: &[Part]) -> usize {
    let mut len = 0;
    for part in parts.iter().rev() {
        if !part.is_within(charset::RUN) {
            let rest = |text: &str| text.bytes().rev().take_while(|byte| charset::RUN.has(*byte)).count();
            return len + if let Part::Literal(text) = part { rest(text) } else { 0 };
        }
        len += part.min_len();
    }
    len
}

/// Length of the run that the parts begin with, at least.
fn run_after(parts: &[Part]) -> usize {
    let mut len = 0;
    for part in parts {
        if !part.is_within(charset::RUN) {
            let rest = |text: &str| text.bytes().take_while(|byte| charset::RUN.has(*byte)).count();
            return len + if let Part::Literal(text) = part { rest(text) } else { 0 };
        }
        len += part.min_len();
    }
    len
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(shape: &str) -> Option<Noticed> {
        notice(&Kind::own("k", "i", "n", shape, None).expect("the shape is right"))
    }

    fn in_run(texts: &[&str], before: (usize, usize), run: usize) -> Noticed {
        Noticed::InRun { texts: texts.iter().map(|text| (*text).to_owned()).collect(), before, run }
    }

    #[test]
    fn a_start_worth_looking_for_is_preferred_to_an_inner_literal() {
        assert_eq!(of("npm_{b62:36}"), Some(in_run(&["npm_"], (0, 0), 40)));
        assert_eq!(of("dd{=p|w}_{b62:36}"), Some(in_run(&["ddp_", "ddw_"], (0, 0), 40)));
        assert_eq!(of("{b62:14}.atlasv1.{b62:67}"), Some(in_run(&[".atlasv1."], (14, 14), 90)));
        assert_eq!(of("{=sk|rk}_live_{b62:24}"), Some(in_run(&["sk_live_", "rk_live_"], (0, 0), 32)));
    }

    #[test]
    fn a_kind_without_a_literal_is_noticed_by_its_length() {
        assert_eq!(of("{b32l:52}"), Some(Noticed::Bare { alphabet: 0, min: 52, max: 52 }));
        assert_eq!(of("{uuid}"), Some(Noticed::Bare { alphabet: 1, min: 36, max: 36 }));
    }

    #[test]
    fn a_kind_without_a_long_run_is_noticed_by_a_word() {
        let by_word = |text: &str| Some(Noticed::ByWord { texts: vec![text.into()], before: (0, 0) });
        assert_eq!(of("machine {host:3-9} login {word:9}"), by_word("machine "));
        assert_eq!(of("{hexl:8}:{hexl:8}"), None);
    }
}
