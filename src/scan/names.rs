//! Names: what files, folders and members of archives are called is searched like what is in them.
//!
//! A token in a name must not be told by the path of its own finding, nor by that of anything else that lies there. So
//! paths stay as they are while a scan runs, and pass [`TextScanner::withheld`] once, before anybody sees them.

use std::borrow::Cow;
use std::ops::Range;

use super::text::{Scratch, TextScanner};
use crate::token::WITHHELD;

/// No shorter name holds a token.
pub const MIN_NAME: usize = 20;

/// The names that a path is made of and that may hold a token, by their places.
pub fn names(path: &str) -> impl Iterator<Item = Range<usize>> {
    let ends = memchr::memchr_iter(b'/', path.as_bytes()).chain([path.len()]);
    let mut start = 0;
    ends.filter_map(move |end| {
        let name = start..end;
        start = end + 1;
        (name.len() >= MIN_NAME).then_some(name)
    })
}

impl TextScanner {
    /// The path, with [`WITHHELD`] in place of every token in its names.
    pub fn withheld<'p>(&self, path: &'p str, scratch: &mut Scratch) -> Cow<'p, str> {
        let mut tokens: Vec<Range<usize>> = Vec::new();
        for name in names(path) {
            let (sightings, _) = self.scan(&path.as_bytes()[name.clone()], scratch);
            tokens.extend(sightings.iter().map(|one| name.start + one.range.start..name.start + one.range.end));
        }
        if tokens.is_empty() {
            return Cow::Borrowed(path);
        }
        tokens.sort_by_key(|token| token.start);
        let (mut shown, mut rest) = (String::with_capacity(path.len()), 0);
        for token in tokens {
            // Widened to whole characters; a token is ASCII, so this only guards the slicing.
            let (start, end) = (path.floor_char_boundary(token.start), path.ceil_char_boundary(token.end));
            if start >= rest {
                shown.push_str(path.get(rest..start).unwrap_or_default());
                shown.push_str(WITHHELD);
            }
            rest = rest.max(end);
        }
        shown.push_str(path.get(rest..).unwrap_or_default());
        Cow::Owned(shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recognize::Recognizer;
    use crate::token::catalogue::Kind;

    #[test]
    fn every_name_of_a_path_is_looked_at_by_itself() {
        let kind = Kind::own("acme-token", "Acme", "Acme API token", "acme_{b62:32}", None).expect("a kind");
        let recognizer = Recognizer::builder().with_kind(kind).build().expect("a recognizer");
        let scanner = TextScanner::new(recognizer.into(), 3);
        let mut scratch = scanner.scratch();
        let token = format!("acme_{}{}", "k7Qz9WvB3xLmT5cR", "8nYp2HdJ6sGfA4eU");
        let long = "x".repeat(20);
        for (path, shown) in [
            (String::new(), String::new()),
            ("a/b/c".into(), "a/b/c".into()),
            (format!("a/{token}.txt"), format!("a/{WITHHELD}.txt")),
            (format!("{token}/ä/{token}"), format!("{WITHHELD}/ä/{WITHHELD}")),
            (format!("x.zip!/{long}/{token} {token}"), format!("x.zip!/{long}/{WITHHELD} {WITHHELD}")),
        ] {
            assert_eq!(scanner.withheld(&path, &mut scratch), shown);
        }
    }
}
