//! Grants: what a token may do because of what it did.
//!
//! "Who created this DNS record may delete it": a rule of the upstream's configuration names a request, the status and
//! the place of an id in its answer, and a second request that the id completes. When an answer fits, the second request
//! is allowed to this token, exactly that one, until it has succeeded or its time is over.

use std::time::Duration;

use serde_json::Value;

use super::path::{Canonical, encode_into};
use super::policy::{BadRule, Form, Rule};

/// A rule of the configuration.
#[derive(Clone, Debug)]
pub struct GrantRule {
    on: Rule,
    status: u16,
    /// JSON Pointer (RFC 6901) to the id in the answer.
    pointer: String,
    method: String,
    path: Vec<Piece>,
    /// How long what was granted may be done.
    pub lasts: Duration,
}

/// A rule as the configuration has it.
#[derive(Clone, Debug)]
pub struct GrantText<'t> {
    pub on: &'t str,
    pub status: u16,
    pub pointer: &'t str,
    /// `DELETE /zones/{1}/records/{id}`: `{1}` is what the first `*` of `on` stood for, `{id}` what the pointer found.
    pub allow: &'t str,
    pub lasts: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Hole(usize),
    Id,
    Text(String),
}

/// What a rule grants: one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    pub method: String,
    pub path: Canonical,
}

/// Why a grant rule is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadGrant {
    #[error("`allow` cannot be read: {0}")]
    Allow(#[source] BadRule),
    #[error("`allow` names no `{{id}}`: it would be granted by any answer")]
    NoId,
    #[error("`allow` names a `{{{0}}}` that `on` has no `*` for")]
    NoHole(usize),
    #[error("`on` cannot be read: {0}")]
    On(#[source] BadRule),
    #[error("`pointer` is not a JSON Pointer: it begins with `/`")]
    Pointer,
    #[error("`allow` has a brace that is not `{{id}}` or `{{1}}`, alone in its segment")]
    Piece,
}

impl GrantRule {
    /// # Errors
    /// When the rule can never grant anything, or grants too much.
    pub fn parse(text: &GrantText<'_>) -> Result<Self, BadGrant> {
        let on = Rule::parse(text.on, Form::Segments).map_err(BadGrant::On)?;
        if !text.pointer.starts_with('/') {
            return Err(BadGrant::Pointer);
        }
        let (method, path) = text.allow.trim().split_once(' ').ok_or(BadGrant::Allow(BadRule::NoPath))?;
        let is_method = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_alphabetic());
        let path = path.trim().strip_prefix('/').filter(|_| is_method).ok_or(BadGrant::Allow(BadRule::NoPath))?;
        let holes = text.on.split('/').filter(|segment| *segment == "*").count();
        let path: Vec<Piece> = path.split('/').map(|segment| piece(segment, holes)).collect::<Result<_, _>>()?;
        if !path.contains(&Piece::Id) {
            return Err(BadGrant::NoId);
        }
        let (pointer, method) = (text.pointer.to_owned(), method.to_ascii_uppercase());
        Ok(Self { on, status: text.status, pointer, method, path, lasts: text.lasts })
    }

    /// Whether an answer to this request can grant anything, so that its body must be read.
    pub fn concerns(&self, method: &str, path: &Canonical, status: u16) -> bool {
        self.status == status && self.on.allows(method, path)
    }

    /// What this answer grants, if it names an id that can stand in a path.
    pub fn grants(&self, method: &str, path: &Canonical, answer: &Value) -> Option<Granted> {
        let holes = self.on.holes(method, path)?;
        let id = match answer.pointer(&self.pointer)? {
            Value::String(text) => text.clone(),
            Value::Number(number) if number.is_u64() || number.is_i64() => number.to_string(),
            _ => return None,
        };
        let mut text = String::new();
        for piece in &self.path {
            text.push('/');
            match piece {
                Piece::Hole(index) => encode_into(&mut text, holes.get(*index)?),
                // Nothing that the upstream says makes more of this than one segment.
                Piece::Id if id.is_empty() => return None,
                Piece::Id => encode_into(&mut text, &id),
                Piece::Text(segment) => text.push_str(segment),
            }
        }
        Some(Granted { method: self.method.clone(), path: Canonical::parse(&text).ok()? })
    }
}

fn piece(segment: &str, holes: usize) -> Result<Piece, BadGrant> {
    match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        Some("id") => Ok(Piece::Id),
        Some(number) => match number.parse::<usize>() {
            Ok(number) if (1..=holes).contains(&number) => Ok(Piece::Hole(number - 1)),
            Ok(number) => Err(BadGrant::NoHole(number)),
            Err(_) => Err(BadGrant::Piece),
        },
        None if segment.contains(['{', '}', '*']) => Err(BadGrant::Piece),
        None => {
            super::path::decode(segment).map_err(|why| BadGrant::Allow(why.into()))?;
            Ok(Piece::Text(segment.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rule(on: &str, pointer: &str, allow: &str) -> Result<GrantRule, BadGrant> {
        GrantRule::parse(&GrantText { on, status: 201, pointer, allow, lasts: Duration::from_hours(1) })
    }

    fn granted(answer: &Value) -> Option<String> {
        let rule = rule("POST /zones/*/records", "/result/id", "DELETE /zones/{1}/records/{id}").expect("a rule");
        let path = Canonical::parse("/zones/z1/records").expect("a path");
        assert!(rule.concerns("POST", &path, 201) && !rule.concerns("POST", &path, 200));
        rule.grants("POST", &path, answer).map(|it| format!("{} {}", it.method, it.path.encoded()))
    }

    #[test]
    fn the_id_of_the_answer_completes_the_grant() {
        let found = granted(&json!({ "result": { "id": "r 7" } }));
        assert_eq!(found.as_deref(), Some("DELETE /zones/z1/records/r%207"));
        assert_eq!(granted(&json!({ "result": { "id": 7 } })).as_deref(), Some("DELETE /zones/z1/records/7"));
    }

    #[test]
    fn an_id_that_is_more_than_a_segment_grants_nothing() {
        for id in [
            json!(""),
            json!("."),
            json!(".."),
            json!("a/../b"),
            json!("a/b"),
            json!("a\\b"),
            json!("%2e%2e"),
            json!("a\u{0}"),
            json!("..;x"),
            json!(null),
            json!(1.5),
            json!(["a"]),
            json!({ "a": 1 }),
        ] {
            assert_eq!(granted(&json!({ "result": { "id": id } })), None, "{id}");
        }
        assert_eq!(granted(&json!({ "id": "elsewhere" })), None);
    }

    #[test]
    fn a_rule_that_grants_nothing_or_too_much_is_none() {
        for (on, pointer, allow, why) in [
            ("POST /a", "/id", "DELETE /a", BadGrant::NoId),
            ("POST /a", "/id", "DELETE /a/{1}/{id}", BadGrant::NoHole(1)),
            ("POST /a/*", "/id", "DELETE /a/{2}/{id}", BadGrant::NoHole(2)),
            ("POST /a", "id", "DELETE /a/{id}", BadGrant::Pointer),
            ("POST /a", "/id", "DELETE /a/x{id}", BadGrant::Piece),
            ("POST /a", "/id", "DELETE /a/*/{id}", BadGrant::Piece),
            ("POST /a", "/id", "* /a/{id}", BadGrant::Allow(BadRule::NoPath)),
            ("POST a", "/id", "DELETE /a/{id}", BadGrant::On(BadRule::Path(super::super::path::Ambiguous::Relative))),
        ] {
            assert_eq!(rule(on, pointer, allow).expect_err(allow), why);
        }
    }
}
