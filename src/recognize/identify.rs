//! Identifying: the token in a text that a reporter says is one.
//!
//! Reporters send what their pattern matched, and what their users pasted: with quotes, a header's name, base64 around
//! a user and the token. What surrounds the token is taken off first; if the rest is not a token as a whole, the best
//! one inside it is taken. A kind whose form alone is no evidence (32 hexadecimal digits) is recognized only if the
//! recognizer was told that an issuer claims it, and only as the whole text.

use super::engine::ContextKinds;
use super::resolve::{Hit, Rank};
use super::{Identified, Recognized, Recognizer, Scratch};
use crate::token::catalogue::{Case, Kind};
use crate::token::checksum::Spans;
use crate::token::shape::Part;
use crate::token::{Confidence, Secret, encoding, macaroon};
use zeroize::Zeroizing;

use super::matcher::{self, Reach};

/// Longest text that is looked into. The longest token of any kind is shorter, and so is a header around it.
const MAX_SENT: usize = 12 * 1024;
/// Longest token.
const MAX_TOKEN: usize = 8 * 1024;

pub fn identify(recognizer: &Recognizer, sent: &str) -> Identified {
    if sent.len() > MAX_SENT {
        return Identified::TooLong;
    }
    let mut text = Zeroizing::new(sent.to_owned());
    // Twice: a header may hold base64 that holds a user and the token.
    for _ in 0..2 {
        text = unwrap(&text);
    }
    if text.len() > MAX_TOKEN {
        return Identified::TooLong;
    }
    if let Some(found) = recognizer.known.find(&text).or_else(|| recognizer.known.find(sent)) {
        return Identified::Recognized(found);
    }
    let mut scratch = Scratch::new();
    let found = lenient_macaroon(recognizer, &text)
        .or_else(|| best(recognizer, text.as_bytes(), &mut scratch))
        .or_else(|| folded(recognizer, &text, &mut scratch))
        .or_else(|| accepted(recognizer, text.as_bytes(), &mut scratch))
        // A header may itself be what was reported, or a block whose marker ends in a quote.
        .or_else(|| best(recognizer, sent.as_bytes(), &mut scratch));
    found.map_or(Identified::Unrecognized, Identified::Recognized)
}

/// The best token in the text: one that is all of it, else the most specific.
fn best(recognizer: &Recognizer, text: &[u8], scratch: &mut Scratch) -> Option<Recognized> {
    recognizer.engine.scan(&recognizer.kinds, text, ContextKinds::Skipped, scratch);
    let hit = scratch.hits.iter().max_by_key(|hit| (hit.end - hit.start == text.len(), hit.rank))?;
    Some(recognized(recognizer, hit, &text[hit.start..hit.end]))
}

/// Kinds whose issuer does not tell upper from lower case.
fn folded(recognizer: &Recognizer, text: &str, scratch: &mut Scratch) -> Option<Recognized> {
    if !recognizer.kinds.iter().any(|kind| kind.case == Case::Folded) {
        return None;
    }
    let lower = Zeroizing::new(text.to_ascii_lowercase());
    recognizer.engine.scan(&recognizer.kinds, lower.as_bytes(), ContextKinds::Skipped, scratch);
    let hit = scratch.hits.iter().find(|hit| recognizer.kinds[hit.kind].case == Case::Folded)?;
    Some(recognized(recognizer, hit, &text.as_bytes()[hit.start..hit.end]))
}

fn accepted(recognizer: &Recognizer, text: &[u8], scratch: &mut Scratch) -> Option<Recognized> {
    recognizer.accepted.iter().find_map(|kind| {
        let hit = recognizer.engine.is_whole(&recognizer.kinds, *kind, text, scratch)?;
        Some(recognized(recognizer, &hit, text))
    })
}

/// A macaroon behind the prefix of a kind, in any spelling its issuer would accept.
fn lenient_macaroon(recognizer: &Recognizer, text: &str) -> Option<Recognized> {
    let mut fitting = recognizer.kinds.iter().enumerate().filter(|(_, kind)| {
        kind.macaroon().is_some()
            && macaroon_prefix(kind).is_some_and(|prefix| {
                // The colon is how the tokens of an early PyPI were written; the body opens the same door.
                text.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(['-', ':']))
            })
    });
    let (first, _) = fitting.next()?;
    let found = macaroon::find(text.as_bytes())?;
    let location = found.macaroon.location.as_ref().map(|location| location.as_slice());
    let named = |index: &usize| location.is_some() && fixed_location(&recognizer.kinds[*index]).as_deref() == location;
    let kind = std::iter::once(first).chain(fitting.map(|(index, _)| index)).find(named).unwrap_or(first);
    if !recognizer.kinds[kind].macaroon()?.allows(&found.macaroon.identifier) {
        return None;
    }
    let rank = Rank { specific: true, fits: true, literal_len: 0, nearness: 0, len: found.len };
    let hit = Hit { start: 0, end: found.len, kind, confidence: Confidence::Checksum, rank };
    Some(recognized(recognizer, &hit, &text.as_bytes()[..found.len]))
}

/// What stands before the `-` in front of the base64 of every token of the kind.
fn macaroon_prefix(kind: &Kind) -> Option<&str> {
    match kind.parts().first() {
        Some(Part::Literal(text)) => text.split_once('-').map(|(prefix, _)| prefix),
        _ => None,
    }
}

/// The location that every token of the kind has, read off its fixed characters.
fn fixed_location(kind: &Kind) -> Option<Vec<u8>> {
    let Some(Part::Literal(text)) = kind.parts().first() else { return None };
    let (_, body) = text.split_once('-')?;
    let whole = body.len() - body.len() % 4;
    let bytes = encoding::base64(body.get(..whole)?.as_bytes())?;
    let len = usize::from(*bytes.get(2)?);
    bytes.get(3..3 + len).map(<[u8]>::to_vec)
}

fn recognized(recognizer: &Recognizer, hit: &Hit, text: &[u8]) -> Recognized {
    let kind = &recognizer.kinds[hit.kind];
    Recognized {
        kind: recognizer.ids[hit.kind].clone(),
        confidence: hit.confidence,
        secret: Secret::new(text.to_vec()),
        canonical: canonical(kind, text),
        hint: hint(kind, text),
    }
}

pub fn canonical(kind: &Kind, text: &[u8]) -> Secret {
    if kind.macaroon().is_some()
        && let Some(found) = macaroon::find(text)
    {
        return Secret::new(found.macaroon.canonical().to_vec());
    }
    match kind.case {
        Case::Folded => Secret::new(text.to_ascii_lowercase()),
        Case::Kept => Secret::new(text.to_vec()),
    }
}

/// Tokens shorter than this have too little secret left beside four shown characters.
const MIN_HINTED: usize = 24;

fn hint(kind: &Kind, text: &[u8]) -> String {
    if text.len() < MIN_HINTED {
        return String::new();
    }
    let Some(ends) = matcher::match_at(kind.parts(), text, 0, &mut Reach::new()) else { return String::new() };
    let sum = text.get(Spans::of(kind.parts(), ends.as_slice()).checksum).unwrap_or_default();
    String::from_utf8_lossy(&sum[sum.len().saturating_sub(4)..]).into_owned()
}

/// Takes off white space, quotes, a header's name and scheme, and decodes Basic credentials.
fn unwrap(text: &str) -> Zeroizing<String> {
    let mut text = trim(text);
    let mut basic = false;
    for name in ["authorization:", "proxy-authorization:", "private-token:", "x-api-key:"] {
        text = trim(strip_ignoring_case(text, name).unwrap_or(text));
    }
    for scheme in ["bearer ", "token ", "basic "] {
        if let Some(rest) = strip_ignoring_case(text, scheme) {
            text = trim(rest);
            basic = scheme == "basic ";
            break;
        }
    }
    // A user and a colon in base64 begin like this whoever the user is; `__token__` is the one registries ask for.
    if (basic || text.starts_with("X190b2tlbl9fO"))
        && let Some(decoded) = encoding::base64(text.as_bytes())
        && let Ok(decoded) = std::str::from_utf8(&decoded)
        && let Some((_, password)) = decoded.split_once(':')
    {
        return Zeroizing::new(trim(password).to_owned());
    }
    Zeroizing::new(trim(text.strip_prefix("__token__:").unwrap_or(text)).to_owned())
}

/// Without the characters at either end that no token has there.
fn trim(text: &str) -> &str {
    text.trim_matches(|char: char| !char.is_ascii_graphic() || matches!(char, '"' | '\'' | '`' | ',' | ';' | '<' | '>'))
}

fn strip_ignoring_case<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}
