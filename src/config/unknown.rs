//! Keys that nobody knows: a spelling mistake, or a credential that was about to be written down.

use super::problem::{Place, Problem};

/// What the TOML reader said about a key it does not know.
pub(super) struct Unknown<'a> {
    name: &'a str,
    known: Vec<&'a str>,
}

impl<'a> Unknown<'a> {
    /// Reads serde's sentence: ``unknown field `a`, expected one of `b`, `c` ``, or ``… expected `b` or `c` ``.
    pub(super) fn of(message: &'a str) -> Option<Self> {
        let mut quoted = message.strip_prefix("unknown field ")?.split('`').skip(1).step_by(2);
        Some(Self { name: quoted.next()?, known: quoted.collect() })
    }

    #[cfg(test)]
    pub(super) fn known(&self) -> impl Iterator<Item = &str> {
        self.known.iter().copied()
    }

    pub(super) fn problem(&self, place: Place) -> Problem {
        let name = self.name;
        // A key that exists with `_file` behind it is a credential; its value must never be in this file.
        if let Some(file) = self.known.iter().find(|known| known.strip_suffix("_file") == Some(name)) {
            let message = format!("`{name}` must not stand in the configuration itself");
            let hint = format!(
                "put it into a file of mode 0600 and name that file with `{file}`, or a variable with `{name}_env`"
            );
            return Problem::new(place, message, hint);
        }
        let hint = match nearest(name, &mut self.known.iter().copied()) {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!("known here: {}", self.known.join(", ")),
        };
        Problem::new(place, format!("nothing is called `{name}` here"), hint)
    }
}

/// The name that was most likely meant.
pub(super) fn nearest<'a>(name: &str, known: &mut dyn Iterator<Item = &'a str>) -> Option<&'a str> {
    let nearest = known.map(|known| (distance(name, known), known)).min();
    nearest.filter(|(distance, _)| *distance <= 2).map(|(_, known)| known)
}

/// Levenshtein's distance: how many letters must be added, dropped or changed.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in other.iter().enumerate() {
            let changed = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_counted_in_letters() {
        assert_eq!((distance("lsten", "listen"), distance("", "ab"), distance("kitten", "sitting")), (1, 2, 3));
    }

    #[test]
    fn a_misspelt_key_is_answered_with_the_right_one() {
        let hint = |message| Unknown::of(message).map(|unknown| unknown.problem(Place::Key("k".into())).hint);
        assert_eq!(
            hint("unknown field `lsten`, expected `listen` or `max_body`").as_deref(),
            Some("did you mean `listen`?")
        );
        assert_eq!(
            hint("unknown field `x`, expected one of `listen`, `max_body`, `other`").as_deref(),
            Some("known here: listen, max_body, other")
        );
        assert_eq!(hint("invalid type: integer `1`, expected a string"), None);
    }
}
