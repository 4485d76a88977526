//! What may be asked for: a method and a path, anchored at both ends.
//!
//! `GET /repos/*/issues`: `*` is one segment, `**` at the end is the rest, the method is a name or `*`. Nothing else is
//! special, no part of a path is ever matched by accident, and a path that another program might read differently
//! (dot segments, empty segments, an escaped slash, a backslash) fits no route at all.

use std::fmt;
use std::str::FromStr;

/// A method and a path with holes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    method: String,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    /// `*`
    Any,
    /// `**`, at the end only: any number of segments, none as well.
    Rest,
    Text(String),
}

/// Why a text is no route.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRoute {
    #[error("a route is a method, one space and a path: `GET /projects/*`")]
    Form,
    #[error("a method is a name in capitals such as `GET`, or `*`")]
    Method,
    #[error("`*` stands for a whole segment of a path, and `**` for all that follows, at the end only")]
    Star,
    #[error("a path has no empty and no dot segments, no `?`, `#`, `\\` or `%`, and only visible ASCII characters")]
    Path,
}

impl Route {
    /// Whether the request is one that the route allows. `path` is without query.
    pub fn allows(&self, method: &str, path: &str) -> bool {
        if self.method != "*" && self.method != method {
            return false;
        }
        let Some(rest) = path.strip_prefix('/') else { return false };
        if !is_plain(rest) {
            return false;
        }
        let asked: Vec<&str> = if rest.is_empty() { Vec::new() } else { rest.split('/').collect() };
        let mut asked = asked.into_iter();
        for segment in &self.segments {
            match segment {
                Segment::Rest => return true,
                Segment::Any if asked.next().is_some() => {}
                Segment::Text(text) if asked.next() == Some(text) => {}
                Segment::Any | Segment::Text(_) => return false,
            }
        }
        asked.next().is_none()
    }
}

/// Whether every program reads the path in the same way: its segments are what they look like.
fn is_plain(path: &str) -> bool {
    let segments = path.is_empty() || path.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    segments && path.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'\\' | b'%'))
}

impl FromStr for Route {
    type Err = BadRoute;

    fn from_str(text: &str) -> Result<Self, BadRoute> {
        let (method, path) = text.split_once(' ').ok_or(BadRoute::Form)?;
        let named = !method.is_empty() && method.len() <= 32 && method.bytes().all(|byte| byte.is_ascii_uppercase());
        if !named && method != "*" {
            return Err(BadRoute::Method);
        }
        let rest = path.strip_prefix('/').ok_or(BadRoute::Form)?;
        if !is_plain(rest) {
            return Err(BadRoute::Path);
        }
        let parts: Vec<&str> = if rest.is_empty() { Vec::new() } else { rest.split('/').collect() };
        let mut segments = Vec::with_capacity(parts.len());
        for (at, part) in parts.iter().enumerate() {
            segments.push(match *part {
                "*" => Segment::Any,
                "**" if at + 1 == parts.len() => Segment::Rest,
                text if text.contains('*') => return Err(BadRoute::Star),
                text => Segment::Text(text.to_owned()),
            });
        }
        Ok(Self { method: method.to_owned(), segments })
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} /", self.method)?;
        for (at, segment) in self.segments.iter().enumerate() {
            let between = if at > 0 { "/" } else { "" };
            match segment {
                Segment::Any => write!(f, "{between}*")?,
                Segment::Rest => write!(f, "{between}**")?,
                Segment::Text(text) => write!(f, "{between}{text}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(text: &str) -> Route {
        text.parse().expect(text)
    }

    #[test]
    fn a_route_is_anchored_at_both_ends() {
        // The holes of a proxy whose patterns were not.
        let user = route("GET /user");
        assert!(user.allows("GET", "/user"));
        for path in ["/users/alice/keys", "/USER", "/user/", "/user/emails", "/x/user", "user", "/", "/user?x"] {
            assert!(!user.allows("GET", path), "{path}");
        }
        assert!(!user.allows("get", "/user") && !user.allows("POST", "/user"));
        let issues = route("GET /repos/o/*/issues");
        assert!(issues.allows("GET", "/repos/o/r/issues"));
        for path in ["/repos/o/r/issues/1/lock", "/repos/o/../../orgs/x/issues", "/repos/o/issues", "/repos/o//issues"]
        {
            assert!(!issues.allows("GET", path), "{path}");
        }
    }

    #[test]
    fn two_stars_are_the_rest() {
        let all = route("* /**");
        for path in ["/", "/a", "/a/b/c"] {
            assert!(all.allows("DELETE", path), "{path}");
        }
        for path in ["/a/../b", "/a%2fb", "/a\\b", "//a", "/a/./b", "", "a", "/a b", "/é"] {
            assert!(!all.allows("GET", path), "{path}");
        }
        let below = route("PUT /a/**");
        assert!(below.allows("PUT", "/a") && below.allows("PUT", "/a/b/c") && !below.allows("PUT", "/ab"));
    }

    #[test]
    fn what_is_no_route_is_refused_and_what_is_one_is_written_back() {
        for text in ["GET /", "* /**", "GET /a/*/b", "PATCH /x/y.z~1/**"] {
            assert_eq!(route(text).to_string(), text);
        }
        let bad =
            ["GET", "/a", "get /a", "GET  /a", "GET a", "GET /a/../b", "GET /a*", "GET /**/a", "GET /a//b", "", " /a"];
        for text in bad {
            assert!(text.parse::<Route>().is_err(), "{text}");
        }
    }
}
