//! Shapes: what a token of a kind looks like, in a grammar of our own.
//!
//! | written | means |
//! |---|---|
//! | `npm_` | this text, case-sensitive |
//! | `{b62:30}` | 30 characters of the set `b62` |
//! | `{b64u:96-2000}` | 96 to 2000 of them |
//! | `{b62:6:checksum}` | the same with a role: `random` (the default), `key`, `checksum`, or the name of a field |
//! | `{=live\|test}` | one of these texts |
//! | `{uuid}` | 8-4-4-4-12 lower-case hexadecimal digits |
//!
//! A shape is plain: no nesting, no unbounded repetition, so the longest token of a kind is known and matching needs
//! bounded work. The file knows only [`Set`]: the build script reads the same source.

use std::borrow::Cow;

use super::charset::Set;

/// One part of a shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Literal(Cow<'static, str>),
    OneOf(Cow<'static, [Cow<'static, str>]>),
    Run { set: Set, min: u16, max: u16, role: Role },
}

/// What the characters of a run are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Computed from the rest.
    Checksum,
    /// Carries something readable: a payload, a length, an id.
    Field,
    /// The secret itself.
    Random,
}

/// Why a shape's text is not one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadShape(pub String);

/// No shape has more parts; the matcher's table of ends is this long.
pub const MAX_PARTS: usize = 24;

/// Reads a shape.
pub fn parse(text: &str) -> Result<Vec<Part>, BadShape> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let (literal, tail) = rest.split_at(open);
        push_literal(&mut parts, literal);
        let close = tail.find('}').ok_or_else(|| BadShape(format!("`{{` without `}}` in `{text}`")))?;
        parse_braces(&tail[1..close], &mut parts)?;
        rest = &tail[close + 1..];
    }
    push_literal(&mut parts, rest);
    if parts.is_empty() {
        return Err(BadShape("the shape is empty".into()));
    }
    if parts.len() > MAX_PARTS {
        return Err(BadShape(format!("`{text}` has more than {MAX_PARTS} parts")));
    }
    if !text.is_ascii() {
        return Err(BadShape(format!("`{text}` is not ASCII")));
    }
    Ok(parts)
}

fn push_literal(parts: &mut Vec<Part>, text: &str) {
    if !text.is_empty() {
        parts.push(Part::Literal(Cow::Owned(text.to_owned())));
    }
}

fn parse_braces(inner: &str, parts: &mut Vec<Part>) -> Result<(), BadShape> {
    if inner == "uuid" {
        let hex = Set::named("hexl").ok_or_else(|| BadShape("no set `hexl`".into()))?;
        for (at, len) in [8, 4, 4, 4, 12].into_iter().enumerate() {
            if at > 0 {
                push_literal(parts, "-");
            }
            parts.push(Part::Run { set: hex, min: len, max: len, role: Role::Random });
        }
        return Ok(());
    }
    if let Some(list) = inner.strip_prefix('=') {
        let texts: Vec<_> = list.split('|').map(|one| Cow::Owned(one.to_owned())).collect();
        if texts.iter().any(|one: &Cow<'_, str>| one.is_empty()) {
            return Err(BadShape(format!("`{{{inner}}}` has an empty alternative")));
        }
        parts.push(Part::OneOf(Cow::Owned(texts)));
        return Ok(());
    }
    let mut fields = inner.split(':');
    let (Some(set), Some(length), role) = (fields.next(), fields.next(), fields.next()) else {
        return Err(BadShape(format!("`{{{inner}}}` lacks a length")));
    };
    let set = Set::named(set).ok_or_else(|| BadShape(format!("no character set is named `{set}`")))?;
    let (min, max) = length.split_once('-').unwrap_or((length, length));
    let bad = |_| BadShape(format!("`{length}` is not a length"));
    let (min, max): (u16, u16) = (min.parse().map_err(bad)?, max.parse().map_err(bad)?);
    if min > max || max == 0 {
        return Err(BadShape(format!("`{length}` is not a length")));
    }
    let role = match role {
        None | Some("random" | "key") => Role::Random,
        Some("checksum") if min == max => Role::Checksum,
        Some("checksum") => return Err(BadShape("a checksum has one length".into())),
        Some(_) => Role::Field,
    };
    parts.push(Part::Run { set, min, max, role });
    Ok(())
}

impl Part {
    pub fn min_len(&self) -> usize {
        match self {
            Self::Literal(text) => text.len(),
            Self::OneOf(texts) => texts.iter().map(|text| text.len()).min().unwrap_or(0),
            Self::Run { min, .. } => usize::from(*min),
        }
    }

    pub fn max_len(&self) -> usize {
        match self {
            Self::Literal(text) => text.len(),
            Self::OneOf(texts) => texts.iter().map(|text| text.len()).max().unwrap_or(0),
            Self::Run { max, .. } => usize::from(*max),
        }
    }

    /// Whether the part may begin with `byte`.
    pub fn may_start_with(&self, byte: u8) -> bool {
        match self {
            Self::Literal(text) => text.as_bytes().first() == Some(&byte),
            Self::OneOf(texts) => texts.iter().any(|text| text.as_bytes().first() == Some(&byte)),
            Self::Run { set, .. } => set.has(byte),
        }
    }

    /// Whether the part may be empty, or begin with a member of the set.
    pub fn may_begin_in(&self, set: Set) -> bool {
        match self {
            Self::Literal(text) => text.bytes().next().is_none_or(|first| set.has(first)),
            Self::OneOf(texts) => texts.iter().any(|text| text.bytes().next().is_none_or(|first| set.has(first))),
            Self::Run { set: own, min, .. } => *min == 0 || own.members().iter().any(|first| set.has(*first)),
        }
    }

    /// Whether all the characters the part may have are in `set`.
    pub fn is_within(&self, set: Set) -> bool {
        match self {
            Self::Literal(text) => text.bytes().all(|byte| set.has(byte)),
            Self::OneOf(texts) => texts.iter().all(|text| text.bytes().all(|byte| set.has(byte))),
            Self::Run { set: own, .. } => own.is_within(set),
        }
    }
}
