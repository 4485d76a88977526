//! Withholding: text that strangers wrote, with every token in it taken out.
//!
//! A token also leaks into what is said about it: the address of a page that carries it in its query, a clone URL with
//! it as a password. Kinds that need a word nearby stay: 40 hexadecimal digits in an address are nearly always a commit.

use std::borrow::Cow;

use super::engine::ContextKinds;
use super::{Recognizer, Scratch};
use crate::token::WITHHELD;

impl Recognizer {
    /// The text with [`WITHHELD`] in place of each token.
    pub fn withhold<'t>(&self, text: &'t str, scratch: &mut Scratch) -> Cow<'t, str> {
        self.engine.scan(&self.kinds, text.as_bytes(), ContextKinds::Skipped, scratch);
        if scratch.hits.is_empty() {
            return Cow::Borrowed(text);
        }
        let (mut shown, mut rest) = (String::with_capacity(text.len()), 0);
        for hit in &scratch.hits {
            // Widened to whole characters; a token is ASCII, so this only guards the slicing.
            let (start, end) = (text.floor_char_boundary(hit.start), text.ceil_char_boundary(hit.end));
            shown.push_str(text.get(rest..start).unwrap_or_default());
            shown.push_str(WITHHELD);
            rest = end;
        }
        shown.push_str(text.get(rest..).unwrap_or_default());
        Cow::Owned(shown)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::token::catalogue::Kind;

    fn recognizer() -> Recognizer {
        let kind = Kind::own("acme-token", "Acme", "Acme API token", "acme_{b62:32}", None).expect("a kind");
        Recognizer::builder().with_kind(kind).build().expect("a recognizer")
    }

    fn shown(text: &str) -> String {
        recognizer().withhold(text, &mut Scratch::new()).into_owned()
    }

    #[test]
    fn a_token_is_taken_out_wherever_it_stands() {
        let token = format!("acme_{}", "a1B2".repeat(8));
        assert_eq!(shown(&token), WITHHELD);
        assert_eq!(
            shown(&format!("https://x:{token}@example.org/a?k={token}&b=ä#{token}")),
            format!("https://x:{WITHHELD}@example.org/a?k={WITHHELD}&b=ä#{WITHHELD}")
        );
    }

    #[test]
    fn an_address_without_a_token_stays_as_it_is() {
        let commit = "3f2a9c1d".repeat(5);
        for text in ["", "content", " https://github.com/sentry/sentry/issues/41", "https://ä.example/漢字?q=acme_1"]
        {
            assert_eq!(shown(text), text);
        }
        let address = format!("https://github.com/sentry/datadog/blob/{commit}/.github/workflows/release.yml#L7");
        assert_eq!(shown(&address), address);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_no_token_survives(before in ".{0,40}", after in ".{0,40}") {
            let token = format!("acme_{}", "a1B2".repeat(8));
            let text = shown(&format!("{before} {token} {after}"));
            prop_assert!(!text.contains(&token));
        }
    }
}
