//! Policies: which requests a magic token opens.
//!
//! An entry is `METHOD /path`: the whole path, from its first to its last segment, where `*` is one segment and `**` at
//! the end is all the rest. What no entry allows is refused. The legacy form, a regular expression in place of the path,
//! is read if the upstream's configuration says so, and then it must fit the whole path as well: in the system it comes
//! from `GET /user` also opened `/users/alice/keys`.

use std::str::FromStr;

use regex_automata::meta::Regex;
use regex_automata::util::syntax;

use super::path::{Ambiguous, Canonical, decode};

/// One entry: a method and a pattern of paths.
#[derive(Clone, Debug)]
pub struct Rule {
    method: Method,
    pattern: Pattern,
    text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Method {
    Any,
    /// In upper case.
    Named(String),
}

#[derive(Clone, Debug)]
enum Pattern {
    Legacy(Regex),
    Segments(Segments),
}

/// A path with holes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segments {
    parts: Vec<Part>,
    /// Whether anything may follow, at least a slash.
    rest: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Any,
    Named(String),
}

/// How the path of an entry is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As a regular expression that the whole path must fit.
    Legacy,
    Segments,
}

/// Why an entry is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRule {
    #[error("the method is not a word of letters, or `*`")]
    Method,
    #[error("there is no path after the method: write `GET /path`")]
    NoPath,
    #[error(transparent)]
    Path(#[from] Ambiguous),
    #[error("the regular expression cannot be read")]
    Regex,
    #[error("`**` stands elsewhere than at the end, or beside other text")]
    Rest,
    #[error("`*` stands for a whole segment, not for a part of one")]
    Star,
    #[error("the entry is too long")]
    TooLong,
}

const MAX_LEN: usize = 1_024;

impl Rule {
    /// Reads an entry.
    ///
    /// # Errors
    /// When it is not `METHOD /path`, or could be read in two ways.
    pub fn parse(text: &str, form: Form) -> Result<Self, BadRule> {
        if text.len() > MAX_LEN {
            return Err(BadRule::TooLong);
        }
        let (method, path) = text.trim().split_once(' ').ok_or(BadRule::NoPath)?;
        let (method, path) = (method.parse()?, path.trim());
        let pattern = match form {
            Form::Legacy => Pattern::Legacy(legacy(path)?),
            Form::Segments => Pattern::Segments(path.parse()?),
        };
        Ok(Self { method, pattern, text: text.trim().to_owned() })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the rule opens this request. `HEAD` is a `GET` that tells less.
    pub fn allows(&self, method: &str, path: &Canonical) -> bool {
        self.method.is(method) && self.pattern.fits(path)
    }

    /// What stood in the place of each `*`, if the rule fits.
    pub fn holes<'p>(&self, method: &str, path: &'p Canonical) -> Option<Vec<&'p str>> {
        match &self.pattern {
            Pattern::Segments(segments) if self.method.is(method) => segments.holes(path),
            Pattern::Legacy(_) | Pattern::Segments(_) => None,
        }
    }
}

impl Method {
    fn is(&self, method: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Named(name) => name == method || (method == "HEAD" && name == "GET"),
        }
    }
}

impl FromStr for Method {
    type Err = BadRule;

    fn from_str(text: &str) -> Result<Self, BadRule> {
        match text {
            "*" => Ok(Self::Any),
            _ if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
                Ok(Self::Named(text.to_ascii_uppercase()))
            }
            _ => Err(BadRule::Method),
        }
    }
}

impl Pattern {
    fn fits(&self, path: &Canonical) -> bool {
        match self {
            Self::Legacy(regex) => regex.is_match(&path.decoded()),
            Self::Segments(segments) => segments.holes(path).is_some(),
        }
    }
}

impl Segments {
    fn holes<'p>(&self, path: &'p Canonical) -> Option<Vec<&'p str>> {
        let segments = path.segments();
        let fits = if self.rest { segments.len() > self.parts.len() } else { segments.len() == self.parts.len() };
        if !fits {
            return None;
        }
        let mut holes = Vec::new();
        for (part, segment) in self.parts.iter().zip(segments) {
            match part {
                Part::Any if segment.is_empty() => return None,
                Part::Any => holes.push(segment.as_str()),
                Part::Named(name) if name == segment => {}
                Part::Named(_) => return None,
            }
        }
        Some(holes)
    }
}

impl FromStr for Segments {
    type Err = BadRule;

    fn from_str(path: &str) -> Result<Self, BadRule> {
        let body = path.strip_prefix('/').ok_or(Ambiguous::Relative)?;
        let mut texts: Vec<&str> = body.split('/').collect();
        let rest = texts.last() == Some(&"**");
        if rest {
            texts.pop();
        }
        let count = texts.len();
        let part = |(index, text): (usize, &str)| match text {
            "*" => Ok(Part::Any),
            _ if text.contains("**") => Err(BadRule::Rest),
            _ if text.contains('*') => Err(BadRule::Star),
            // Only the last segment of a path is empty, and before `**` none is the last.
            "" if rest || index + 1 < count => Err(Ambiguous::Empty.into()),
            _ => Ok(Part::Named(decode(text)?)),
        };
        let parts = texts.into_iter().enumerate().map(part).collect::<Result<_, _>>()?;
        Ok(Self { parts, rest })
    }
}

/// A pattern of the legacy form. A missing slash is put in front, as it was there; the anchors are ours.
fn legacy(pattern: &str) -> Result<Regex, BadRule> {
    let slash = if pattern.starts_with('/') { "" } else { "/" };
    let syntax = syntax::Config::new().nest_limit(32);
    let config = Regex::config().nfa_size_limit(Some(1 << 20)).hybrid(true);
    let whole = format!("^(?:{slash}{pattern})$");
    // On its own first: otherwise a pattern could close our bracket and leave the anchors.
    let mut builder = Regex::builder();
    builder.syntax(syntax).configure(config);
    builder.build(pattern).map_err(|_| BadRule::Regex)?;
    builder.build(&whole).map_err(|_| BadRule::Regex)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(rule: &str, form: Form, method: &str, path: &str) -> bool {
        let rule = Rule::parse(rule, form).expect(rule);
        Canonical::parse(path).is_ok_and(|path| rule.allows(method, &path))
    }

    #[test]
    fn a_rule_fits_whole_paths_only() {
        for (rule, method, path, fits) in [
            ("GET /user", "GET", "/user", true),
            ("GET /user", "HEAD", "/user", true),
            ("GET /user", "POST", "/user", false),
            ("get /user", "GET", "/user", true),
            ("GET /user", "get", "/user", false),
            ("* /user", "DELETE", "/user", true),
            // The holes of the system this comes from.
            ("GET /user", "GET", "/users/alice/keys", false),
            ("GET /user", "GET", "/USER/emails", false),
            ("GET /user", "GET", "/USER", false),
            ("GET /user", "GET", "/user/", false),
            ("GET /repos/o/*/issues", "GET", "/repos/o/r/issues", true),
            ("GET /repos/o/*/issues", "GET", "/repos/o/r/issues/1/lock", false),
            ("GET /repos/o/*/issues", "GET", "/repos/o/../../orgs/x/issues", false),
            ("GET /repos/o/*/issues", "GET", "/repos/o/%2e%2e/issues", false),
            ("GET /repos/o/*/issues", "GET", "/repos/o//issues", false),
            ("GET /repos/o/*/issues", "GET", "/repos/o/a%2fb/issues", false),
            ("GET /repos/o/*/issues", "GET", "/repos/o/a/b/issues", false),
            ("GET /repos/**", "GET", "/repos/o/r", true),
            ("GET /repos/**", "GET", "/repos/", true),
            ("GET /repos/**", "GET", "/repos", false),
            ("GET /repos/**", "GET", "/repositories", false),
            ("GET /**", "GET", "/", true),
            ("GET /", "GET", "/", true),
            ("GET /", "GET", "/a", false),
            ("GET /a/", "GET", "/a/", true),
            ("GET /a/", "GET", "/a", false),
            ("GET /*", "GET", "/", false),
            ("GET /caf%C3%A9", "GET", "/caf%c3%a9", true),
            ("POST /this", "GET", "/this", false),
            ("GET /this", "GET", "/that", false),
            ("* /subpath/*", "GET", "/subpath/works", true),
            ("GET /subpath/*", "GET", "/subpath/works/not", false),
        ] {
            assert_eq!(allows(rule, Form::Segments, method, path), fits, "{rule} at {method} {path}");
        }
    }

    #[test]
    fn a_legacy_pattern_must_fit_the_whole_path_in_its_own_case() {
        for (rule, path, fits) in [
            ("GET /this", "/this", true),
            ("GET this", "/this", true),
            ("GET /this", "/that", false),
            ("GET /subpath/.*", "/subpath/works", true),
            ("GET /this*", "/this", true),
            ("GET /this*", "/that", false),
            ("GET /user", "/users/alice/keys", false),
            ("GET /user", "/USER", false),
            ("GET /repos/o/.+?/issues", "/repos/o/r/issues", true),
            ("GET /repos/o/.+?/issues", "/repos/o/r/issues/1/lock", false),
            ("GET /repos/o/.+?/issues", "/repos/o/../../orgs/x/issues", false),
            ("GET /a|/b", "/b", true),
            ("GET /a|/b", "/a/more", false),
        ] {
            assert_eq!(allows(rule, Form::Legacy, "GET", path), fits, "{rule} at {path}");
        }
        assert_eq!(Rule::parse("GET /a)|(.*", Form::Legacy).expect_err("unbalanced"), BadRule::Regex);
        assert_eq!(Rule::parse("GET (", Form::Legacy).expect_err("unbalanced"), BadRule::Regex);
    }

    #[test]
    fn an_entry_that_could_mean_two_things_is_none() {
        for (text, why) in [
            ("/user", BadRule::NoPath),
            ("GET", BadRule::NoPath),
            ("GET user", BadRule::Path(Ambiguous::Relative)),
            ("G3T /a", BadRule::Method),
            ("GET /a*", BadRule::Star),
            ("GET /**/a", BadRule::Rest),
            ("GET /a**", BadRule::Rest),
            ("GET /a//b", BadRule::Path(Ambiguous::Empty)),
            ("GET //**", BadRule::Path(Ambiguous::Empty)),
            ("GET /../a", BadRule::Path(Ambiguous::Dots)),
            ("GET /a%2fb", BadRule::Path(Ambiguous::Forbidden)),
            ("GET /a?b", BadRule::Path(Ambiguous::Forbidden)),
        ] {
            assert_eq!(Rule::parse(text, Form::Segments).expect_err(text), why, "{text}");
        }
    }

    #[test]
    fn the_holes_are_told() {
        let rule = Rule::parse("POST /zones/*/records", Form::Segments).expect("a rule");
        let path = Canonical::parse("/zones/z%201/records").expect("a path");
        assert_eq!(rule.holes("POST", &path), Some(vec!["z 1"]));
        assert_eq!(rule.holes("GET", &path), None);
    }
}
