//! One token with junk around it, as reporters send it.

use proptest::prelude::*;
use stanch::recognize::{Identified, Recognized, Recognizer};
use stanch::token::catalogue::{Group, Kind};
use stanch::token::encoding::{self, Alphabet, to_base64};
use stanch::token::{Confidence, KindId};

use crate::{is_named_otherwise, made_up, shared, with_pat};

fn identified(recognizer: &Recognizer, sent: &str) -> Recognized {
    match recognizer.identify(sent) {
        Identified::Recognized(token) => token,
        Identified::TooLong => panic!("too long: {} bytes", sent.len()),
        Identified::Unrecognized => panic!("unrecognized: {sent}"),
    }
}

#[test]
fn a_reported_token_is_named_whatever_is_around_it() {
    let recognizer = with_pat();
    let whole = |kind: &&Kind| !kind.needs_context() && kind.group != Group::Generic;
    for (seed, kind) in (1..).zip(recognizer.kinds().filter(whole)) {
        let token = made_up(kind, seed);
        for sent in [
            token.clone(),
            format!("  {token}\n"),
            format!("\"{token}\""),
            format!("'{token}',"),
            format!("\u{feff}{token}\0"),
            format!("Bearer {token}"),
            format!("token {token}"),
            format!("Authorization: Bearer {token}\r\n"),
            format!("authorization: TOKEN {token}"),
        ] {
            let named = identified(&recognizer, &sent);
            assert!(is_named_otherwise(kind, named.kind.as_str()), "{}: {sent} as {}", kind.id, named.kind);
            assert_eq!(named.secret.expose(), token.as_bytes(), "{}: {sent}", kind.id);
        }
    }
}

#[test]
fn a_token_in_basic_credentials_is_taken_out() {
    let recognizer = with_pat();
    let token = made_up(recognizer.kind(&KindId::new("stanch-pat")).expect("it was added"), 3);
    for user in ["__token__", "someone", ""] {
        let basic = to_base64(format!("{user}:{token}").as_bytes(), Alphabet::Standard);
        let basic = String::from_utf8(basic).expect("base64 is ASCII");
        for sent in [format!("Basic {basic}"), format!("Authorization: basic {basic}==")] {
            assert_eq!(identified(&recognizer, &sent).secret.expose(), token.as_bytes(), "{sent}");
        }
    }
    let bare = String::from_utf8(to_base64(format!("__token__: {token} \n").as_bytes(), Alphabet::Url)).expect("ASCII");
    assert_eq!(identified(&recognizer, &bare).secret.expose(), token.as_bytes());
    assert_eq!(identified(&recognizer, &format!("__token__:{token}")).secret.expose(), token.as_bytes());
}

#[test]
fn the_best_token_inside_other_text_is_taken() {
    let recognizer = with_pat();
    let token = made_up(recognizer.kind(&KindId::new("npm-access-token")).expect("it is in the catalogue"), 5);
    let named = identified(&recognizer, &format!("//registry.example/:_authToken={token} # mine"));
    assert_eq!(named.kind.as_str(), "npm-access-token");
    assert_eq!(named.secret.expose(), token.as_bytes());
    assert_eq!(named.confidence, Confidence::Checksum);
}

#[test]
fn one_macaroon_is_one_token_in_every_spelling() {
    let recognizer = Recognizer::builtin();
    let kind = recognizer.kind(&KindId::new("pypi-api-token")).expect("it is in the catalogue");
    let token = made_up(kind, 11);
    let body = token.strip_prefix("pypi-").expect("its prefix");
    let first = identified(&recognizer, &token);
    let bytes = encoding::base64(body.as_bytes()).expect("it is base64");
    let respelled = |bytes: &[u8], alphabet| String::from_utf8(to_base64(bytes, alphabet)).expect("base64 is ASCII");
    let location = usize::from(bytes[2]);
    let without_location = [&bytes[..1], &bytes[3 + location..]].concat();
    let long_varint = [&bytes[..2], &[bytes[2] | 0x80, 0], &bytes[3..]].concat();
    let trailing = [&bytes[..], b"more"].concat();
    for sent in [
        format!("pypi-{body}=="),
        format!("pypi:{body}"),
        format!("pypi-{}", respelled(&bytes, Alphabet::Standard)),
        format!("pypi-{}", respelled(&without_location, Alphabet::Url)),
        format!("pypi-{}", respelled(&long_varint, Alphabet::Url)),
        format!("pypi-{}", respelled(&trailing, Alphabet::Url)),
    ] {
        let other = identified(&recognizer, &sent);
        assert_eq!(other.kind, first.kind, "{sent}");
        assert_eq!(other.canonical.expose(), first.canonical.expose(), "{sent}");
    }
    let other = identified(&recognizer, &made_up(kind, 12));
    assert_ne!(other.canonical.expose(), first.canonical.expose());
}

#[test]
fn a_macaroon_of_the_test_registry_is_told_apart_by_its_location() {
    let recognizer = Recognizer::builtin();
    let kind = recognizer.kind(&KindId::new("testpypi-api-token")).expect("it is in the catalogue");
    assert_eq!(identified(&recognizer, &made_up(kind, 1)).kind.as_str(), "testpypi-api-token");
}

#[test]
fn a_macaroon_whose_identifier_is_no_uuid_is_unrecognized() {
    let body = "AgELZXhhbXBsZS5jb20CBjEyM2ZvbwAABiCK4TytWvy17_Up7TvhdVDhFx8cjU_ne_6wtOqxPUZmxw";
    assert!(matches!(Recognizer::builtin().identify(&format!("pypi-{body}")), Identified::Unrecognized));
}

#[test]
fn an_issuer_that_ignores_case_makes_one_token_of_both_spellings() {
    let recognizer = Recognizer::builtin();
    let token = made_up(recognizer.kind(&KindId::new("nuget-api-key-v4")).expect("it is in the catalogue"), 2);
    let upper = identified(&recognizer, &token.to_ascii_uppercase());
    assert_eq!(upper.kind.as_str(), "nuget-api-key-v4");
    assert_eq!(upper.canonical.expose(), identified(&recognizer, &token).canonical.expose());
    assert_eq!(upper.secret.expose(), token.to_ascii_uppercase().as_bytes());
}

#[test]
fn a_form_that_proves_nothing_is_taken_only_where_an_issuer_claims_it() {
    let id = KindId::new("hex-api-key");
    let recognizer = Recognizer::builtin();
    let token = made_up(recognizer.kind(&id).expect("it is in the catalogue"), 4);
    assert!(matches!(recognizer.identify(&token), Identified::Unrecognized));
    let recognizer = Recognizer::builder().accept_context_kinds(std::slice::from_ref(&id)).build().expect("it exists");
    assert_eq!(identified(&recognizer, &format!(" {token}\n")).kind, id);
    assert!(matches!(recognizer.identify(&format!("see {token}")), Identified::Unrecognized));
}

#[test]
fn a_hint_shows_four_characters_of_the_checksum_and_nothing_else() {
    let recognizer = with_pat();
    let hint = |id: &str| {
        let token = made_up(recognizer.kind(&KindId::new(id)).expect("it is known"), 9);
        (identified(&recognizer, &token).hint, token)
    };
    let (shown, token) = hint("stanch-pat");
    assert_eq!(shown, token[token.len() - 4..]);
    let (shown, token) = hint("azure-storage-account-key");
    assert_eq!(shown, token[token.len() - 6..token.len() - 2]);
    assert_eq!(hint("cratesio-trustpub-token").0.len(), 1);
    for id in ["cratesio-api-token", "pypi-api-token", "gitlab-pat", "openssh-private-key"] {
        assert_eq!(hint(id).0, "", "{id}");
    }
}

#[test]
fn a_text_longer_than_any_token_is_not_looked_into() {
    let recognizer = Recognizer::builtin();
    assert!(matches!(recognizer.identify(&"x".repeat(8 * 1024 + 1)), Identified::TooLong));
    assert!(matches!(recognizer.identify(&"x".repeat(8 * 1024)), Identified::Unrecognized));
    assert!(matches!(recognizer.identify(&" ".repeat(1 << 20)), Identified::TooLong));
    for empty in ["", " ", "\0", "\"\"", "Bearer ", "Basic ", "Basic ====", "\u{202e}"] {
        assert!(matches!(recognizer.identify(empty), Identified::Unrecognized), "{empty:?}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_identify_panic(sent in "\\PC{0,200}", junk in ".{0,40}") {
        let recognizer = shared();
        recognizer.identify(&sent);
        for start in ["Basic ", "pypi-", "pypi-AgE", "eyJ", "X190b2tlbl9fO", "glpat-"] {
            recognizer.identify(&format!("{start}{junk}{sent}"));
        }
    }

    #[test]
    fn what_is_recognized_is_recognized_again_as_the_same(seed in any::<u64>(), index in any::<proptest::sample::Index>()) {
        let recognizer = shared();
        let kinds: Vec<_> = recognizer.kinds().filter(|kind| !kind.needs_context()).collect();
        let kind = *index.get(&kinds);
        let first = identified(recognizer, &made_up(kind, seed));
        let text = std::str::from_utf8(first.secret.expose()).expect("tokens are ASCII");
        let again = identified(recognizer, text);
        prop_assert_eq!(&again.kind, &first.kind);
        prop_assert_eq!(again.canonical.expose(), first.canonical.expose());
        prop_assert_eq!(again.hint, first.hint);
    }
}
