//! Tokens of every kind in running text, and the choice of kinds.

use proptest::prelude::*;
use stanch::recognize::{Recognizer, RecognizerBuilder, Scratch};
use stanch::token::KindId;
use stanch::token::catalogue::{Group, Kind};

use crate::{found, is_named_otherwise, made_up, shared, with_pat};

#[test]
fn a_made_up_token_of_any_kind_is_found_in_running_text() {
    let recognizer = with_pat();
    let surroundings =
        [("", ""), ("\"", "\","), ("x: ", "\n"), ("<a>", "</a>"), ("\\n", "\\n"), ("%3D", "%0A"), ("(", ").")];
    let mut wrong = Vec::new();
    for (seed, kind) in (1..).zip(recognizer.kinds()) {
        let (before, after) = surroundings[usize::try_from(seed).expect("few") % surroundings.len()];
        let token = made_up(kind, seed);
        let word = kind.context.first().map_or(String::new(), |word| format!("{word}\n"));
        let found = found(&recognizer, &format!("{word}{before}{token}{after}"));
        if !found.iter().any(|(id, _, text)| is_named_otherwise(kind, id) && *text == token) {
            wrong.push(format!("{}: {token} {found:?}", kind.id));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_choice_of_kinds_is_kept_and_mistakes_are_named() {
    let npm = KindId::new("npm-access-token");
    let chosen =
        Recognizer::builder().only(std::slice::from_ref(&npm)).with_pat_prefix("acme").build().expect("both exist");
    let names: Vec<_> = chosen.kinds().map(|kind| kind.id.to_string()).collect();
    assert_eq!(names, ["npm-access-token", "stanch-key", "stanch-magic-token", "stanch-pat"]);
    let without = Recognizer::builder().without(std::slice::from_ref(&npm)).build().expect("it exists");
    assert!(without.kind(&npm).is_none() && without.kinds().count() > 200);
    let error = |builder: RecognizerBuilder| builder.build().err().map(|error| error.to_string()).unwrap_or_default();
    assert_eq!(error(Recognizer::builder().only(&[KindId::new("nmp")])), "no kind has the id `nmp`");
    assert!(error(Recognizer::builder().with_pat_prefix("A")).starts_with("the token prefix is not usable"));
    let twin = Kind::own("npm-access-token", "x", "x", "x_{b62:30}", None).expect("the shape is right");
    assert_eq!(error(Recognizer::builder().with_kind(twin)), "two kinds have the id `npm-access-token`");
    let faint = Kind::own("faint", "x", "x", "{digit:6}", None).expect("the shape is right");
    assert!(error(Recognizer::builder().with_kind(faint)).starts_with("nothing in a token of the kind `faint`"));
}

proptest! {
    #[test]
    fn no_bytes_make_a_scan_panic_and_matches_are_apart(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut end = 0;
        shared().scan(&bytes, &mut Scratch::new(), |found| {
            assert!(found.start >= end && !found.text.is_empty());
            end = found.start + found.text.len();
        });
    }

    #[test]
    fn a_token_is_found_in_any_surroundings(
        before in "[ -~\n]{0,80}[ \n\"'=:,;(<>@&|]",
        after in "[ \n\"',;)<>@&|][ -~\n]{0,80}",
        seed in any::<u64>(),
        index in any::<proptest::sample::Index>(),
    ) {
        let recognizer = shared();
        let kinds: Vec<_> = recognizer.kinds().filter(|kind| !kind.needs_context() && kind.group != Group::Generic).collect();
        let kind = *index.get(&kinds);
        let token = made_up(kind, seed);
        let found = found(recognizer, &format!("{before}{token}{after}"));
        prop_assert!(found.iter().any(|(id, _, text)| *id == kind.id && *text == token), "{}: {token}: {found:?}", kind.id);
    }
}
