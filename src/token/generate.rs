//! Made-up tokens: right in shape and checksum, issued by nobody.
//!
//! For tests, demonstrations and load. The randomness is passed in; what comes out is as secret as what went in, so
//! nothing here mints a real token.

use std::fmt::Write as _;

use super::catalogue::{Form, Kind};
use super::checksum::{Algorithm, Spans};
use super::encoding::{Alphabet, to_base64};
use super::shape::Part;

/// A made-up token of the kind. `None` only for a shape that contradicts its own checksum.
pub fn generate(kind: &Kind, random: &mut dyn FnMut() -> u64) -> Option<Vec<u8>> {
    // A checksum may come out in characters that the shape does not allow; then another token is made.
    const TRIES: usize = 200;
    (0..TRIES).find_map(|_| match &kind.form {
        Form::Block { begin, end } => block(begin, end, random),
        Form::Pattern(_) => None,
        Form::Shape(parts) => match kind.check.map(|check| check.algorithm) {
            Some(Algorithm::Jwt { claims }) => jwt(parts, claims, random),
            Some(Algorithm::MacaroonV2 { .. }) => macaroon(parts, random),
            algorithm => plain(parts, algorithm, random),
        },
    })
}

fn pick<'t, T>(list: &'t [T], random: &mut dyn FnMut() -> u64) -> Option<&'t T> {
    let len = u64::try_from(list.len()).ok().filter(|len| *len > 0)?;
    list.get(usize::try_from(random() % len).ok()?)
}

/// One part, appended to the token. Long parts stay near their minimum.
fn write_part(part: &Part, token: &mut Vec<u8>, random: &mut dyn FnMut() -> u64) -> Option<()> {
    const MORE: u64 = 40;
    match part {
        Part::Literal(text) => token.extend_from_slice(text.as_bytes()),
        Part::OneOf(texts) => token.extend_from_slice(pick(texts, random)?.as_bytes()),
        Part::Run { set, min, max, .. } => {
            let more = random() % (u64::from(max - min).min(MORE) + 1);
            for _ in 0..u64::from(*min) + more {
                token.push(*pick(set.members(), random)?);
            }
        }
    }
    Some(())
}

fn plain(parts: &[Part], algorithm: Option<Algorithm>, random: &mut dyn FnMut() -> u64) -> Option<Vec<u8>> {
    let mut token = Vec::new();
    let mut ends = Vec::new();
    for part in parts {
        write_part(part, &mut token, random)?;
        ends.push(token.len());
    }
    let Some(algorithm) = algorithm else { return Some(token) };
    let spans = Spans::of(parts, &ends);
    if !algorithm.fits(&token, &spans) {
        algorithm.complete(&mut token, &spans);
    }
    (algorithm.fits(&token, &spans) && keeps(parts, &ends, &token)).then_some(token)
}

/// Whether the parts, whose ends are known, still are what the shape says.
fn keeps(parts: &[Part], ends: &[usize], token: &[u8]) -> bool {
    let mut start = 0;
    parts.iter().zip(ends).all(|(part, end)| {
        let text = &token[start..*end];
        start = *end;
        match part {
            Part::Literal(literal) => literal.as_bytes() == text,
            Part::OneOf(texts) => texts.iter().any(|one| one.as_bytes() == text),
            Part::Run { set, .. } => text.iter().all(|byte| set.has(*byte)),
        }
    })
}

fn block(begin: &[&str], end: &[&str], random: &mut dyn FnMut() -> u64) -> Option<Vec<u8>> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let pair = usize::try_from(random() % u64::try_from(begin.len()).ok()?).ok()?;
    let marker = begin.get(pair)?;
    let mut text = marker.as_bytes().to_vec();
    // What the body of every key of the form begins with.
    let first: &[u8] = if marker.contains("OPENSSH") { b"b3BlbnNzaC1rZXktdjEA" } else { b"MIIE" };
    for at in 0..4 * 65_usize {
        let fixed = at.checked_sub(1).and_then(|at| first.get(at));
        text.push(match fixed {
            Some(byte) => *byte,
            None if at % 65 == 0 => b'\n',
            None => *pick(LETTERS, random)?,
        });
    }
    text.push(b'\n');
    text.extend_from_slice(end.get(pair)?.as_bytes());
    Some(text)
}

/// The parts in front of the header by their shape, then a header, a payload and a signature.
fn jwt(parts: &[Part], claims: &[(&str, &str)], random: &mut dyn FnMut() -> u64) -> Option<Vec<u8>> {
    let (head, signature) = (parts.get(..parts.len().checked_sub(5)?)?, parts.last()?);
    let mut token = Vec::new();
    for part in head {
        write_part(part, &mut token, random)?;
    }
    let mut payload = serde_json::Map::new();
    for (name, value) in claims {
        payload.insert((*name).to_owned(), value.replace('*', "ac@made-up").into());
    }
    let mut id = String::new();
    for _ in 0..8 {
        let _ = write!(id, "{:016x}", random());
    }
    payload.insert("jti".to_owned(), id.into());
    let payload = serde_json::to_vec(&payload).ok()?;
    token.truncate(token.len().checked_sub(3).filter(|_| token.ends_with(b"eyJ")).unwrap_or(token.len()));
    token.extend(to_base64(br#"{"alg":"HS256","typ":"JWT"}"#, Alphabet::Url));
    token.push(b'.');
    token.extend(to_base64(&payload, Alphabet::Url));
    token.push(b'.');
    write_part(signature, &mut token, random)?;
    Some(token)
}

/// A macaroon of version 2 that begins with the literal of the shape: prefix, location, the start of the identifier.
fn macaroon(parts: &[Part], random: &mut dyn FnMut() -> u64) -> Option<Vec<u8>> {
    let Part::Literal(literal) = parts.first()? else { return None };
    let start = literal.find('-').map_or(0, |at| at + 1);
    let fixed = super::encoding::base64(literal[start..literal.len() - (literal.len() - start) % 4].as_bytes())?;
    let location = fixed.get(3..).unwrap_or_default();
    let location = location.get(..usize::from(fixed.get(2).copied().unwrap_or(0))).unwrap_or(b"made-up.example");
    let mut bytes = vec![2, 1, u8::try_from(location.len()).ok()?];
    bytes.extend_from_slice(location);
    bytes.extend([2, 36]);
    let digits: Vec<u8> = format!("{:016x}{:016x}", random(), random()).into_bytes();
    for (at, group) in [(0, 8), (8, 4), (12, 4), (16, 4), (20, 12)] {
        if at > 0 {
            bytes.push(b'-');
        }
        bytes.extend_from_slice(&digits[at..at + group]);
    }
    bytes.extend([0, 0, 6, 32]);
    for _ in 0..4 {
        bytes.extend(random().to_be_bytes());
    }
    let mut token = literal.as_bytes()[..start].to_vec();
    token.extend(to_base64(&bytes, Alphabet::Url));
    Some(token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::{catalogue, pat};

    #[test]
    fn a_made_up_token_of_the_built_in_issuer_has_the_right_checksum() {
        let kind = pat::kind("acme").expect("the prefix is one");
        let mut seed = 7_u64;
        let token = generate(&kind, &mut || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            seed >> 16
        });
        assert!(pat::check("acme", &token.expect("the kind contradicts nothing")));
    }

    #[test]
    fn every_kind_of_the_catalogue_can_be_made_up() {
        let mut seed = 1_u64;
        let mut random = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            seed >> 16
        };
        for kind in catalogue::builtin() {
            assert!(generate(kind, &mut random).is_some(), "{}", kind.id);
        }
    }
}
