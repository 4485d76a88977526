//! How a failure is told: what happened, why, and the next thing to do.

use std::fmt;
use std::io;
use std::process::ExitCode;

use super::out;
#[cfg(feature = "server")]
use crate::config::{Problem, Refused};

/// Wrong usage, or a configuration that is refused.
const REFUSED: u8 = 2;

/// Attaches the next thing to do to an error.
pub trait HintExt<T> {
    /// `hint` is a sentence without its full stop.
    fn hint(self, hint: impl fmt::Display) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> HintExt<T> for Result<T, E> {
    fn hint(self, hint: impl fmt::Display) -> anyhow::Result<T> {
        self.map_err(|error| Hinted { error: error.into(), hint: hint.to_string() }.into())
    }
}

/// An error with the next thing to do. Reads like the error it carries.
#[derive(Debug)]
struct Hinted {
    error: anyhow::Error,
    hint: String,
}

impl fmt::Display for Hinted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Hinted {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The error itself comes first, under its own text; `chain` leaves out the repetition.
        Some(self.error.as_ref())
    }
}

/// What was typed makes no sense, in a way the parser cannot see.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// Tells an error to the person at the terminal and says how the process ends.
pub fn tell(error: &anyhow::Error) -> ExitCode {
    // Whoever read our output had enough of it, as `head` does.
    if error.chain().filter_map(<dyn std::error::Error>::downcast_ref).any(is_broken_pipe) {
        return ExitCode::SUCCESS;
    }
    out::talk(text(error));
    code(error)
}

fn is_broken_pipe(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

fn code(error: &anyhow::Error) -> ExitCode {
    let refused = error.chain().any(|each| each.is::<Usage>() || is_refusal(each));
    if refused { ExitCode::from(REFUSED) } else { ExitCode::FAILURE }
}

#[cfg(feature = "server")]
fn is_refusal(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<Problem>() || error.is::<Refused>()
}

#[cfg(not(feature = "server"))]
fn is_refusal(_: &(dyn std::error::Error + 'static)) -> bool {
    false
}

fn text(error: &anyhow::Error) -> String {
    #[cfg(feature = "server")]
    if let Some(refused) = error.chain().find_map(|each| each.downcast_ref::<Refused>()) {
        let told: Vec<_> =
            refused.problems().iter().map(|each| format!("error: {each}\nhint: {}", each.hint)).collect();
        return told.join("\n");
    }
    let mut lines = Vec::new();
    let mut last = String::new();
    for each in error.chain() {
        let words = each.to_string();
        if words != last {
            lines.push(if lines.is_empty() { format!("error: {words}") } else { format!("  because: {words}") });
        }
        last = words;
    }
    lines.extend(hint_in(error).map(|hint| format!("hint: {hint}")));
    lines.join("\n")
}

/// The outermost hint: whoever is nearest to the person knows best what they can do.
fn hint_in(error: &anyhow::Error) -> Option<&str> {
    error.chain().find_map(|each| {
        let hinted = each.downcast_ref::<Hinted>().map(|hinted| hinted.hint.as_str());
        #[cfg(feature = "server")]
        let hinted = hinted.or_else(|| each.downcast_ref::<Problem>().map(|problem| problem.hint.as_str()));
        hinted
    })
}

#[cfg(all(test, feature = "server"))]
mod tests {
    use anyhow::Context as _;

    use super::*;
    use crate::config::Place;

    #[test]
    fn an_error_is_told_with_its_causes_and_the_next_thing_to_do() {
        let cause = io::Error::new(io::ErrorKind::PermissionDenied, "permission denied");
        let error = Err::<(), _>(cause)
            .context("the file cannot be read")
            .hint("check who owns it")
            .context("the keys cannot be opened")
            .expect_err("it failed");
        assert_eq!(
            text(&error),
            "error: the keys cannot be opened\n  because: the file cannot be read\n  because: permission denied\n\
             hint: check who owns it"
        );
        assert_eq!(code(&error), ExitCode::FAILURE);
    }

    #[test]
    fn a_refused_setting_ends_with_two_and_tells_all_that_is_wrong() {
        let problem = |key: &str| Problem::new(Place::Key(key.into()), "wrong", "right it");
        let refused = Refused::unless_empty(vec![problem("a"), problem("b")]).expect_err("two");
        let error = anyhow::Error::from(refused).context("cannot start");
        assert_eq!(
            text(&error),
            "error: setting `a`: wrong\nhint: right it\nerror: setting `b`: wrong\nhint: right it"
        );
        assert_eq!(code(&error), ExitCode::from(2));
        let single = anyhow::Error::from(problem("c"));
        assert_eq!(text(&single), "error: setting `c`: wrong\nhint: right it");
    }
}
