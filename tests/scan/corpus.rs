//! A planted corpus, the same every time: how many tokens are named, and how many that are none.
//!
//! The bars are those of the project: 95 of 100 tokens named in plain contexts, 90 in archives, no wrong checksum told
//! as good, and at most 3 of 100 decoys told at all.

use stanch::token::catalogue::{self, Group, Kind, Proof};
use stanch::token::checksum::Algorithm;
use stanch::token::generate;

use super::archives::{gz, tar, zip};
use super::support::{Folder, found, random};

const SEED: u64 = 20_240_601;
const EACH: u64 = 3;

/// Kinds of registries and development platforms that need no word nearby.
fn planted() -> impl Iterator<Item = &'static Kind> {
    catalogue::builtin()
        .iter()
        .filter(|kind| matches!(kind.group, Group::Registry | Group::DevPlatform) && !kind.needs_context())
}

fn tokens() -> Vec<(&'static Kind, String)> {
    let mut random = random(SEED);
    let mut all = Vec::new();
    for kind in planted() {
        for _ in 0..EACH {
            let token = generate(kind, &mut random).expect("every kind can be made up");
            all.push((kind, String::from_utf8(token).expect("tokens are ASCII")));
        }
    }
    all
}

fn contexts(token: &str) -> [String; 8] {
    [
        format!("TOKEN={token}\n"),
        format!("[registry]\r\ntoken = \"{token}\"\r\n"),
        format!("env:\n  TOKEN: {token}\n"),
        format!("{{\"source\": [\"t = '{token}'\\n\", \"x\"]}}\n"),
        format!("2024-01-01T00:00:00Z \u{1b}[33mWARN\u{1b}[0m sent {token}, retrying\n"),
        format!("var a=1,t=\"{token}\";f(t)\n"),
        format!("https://a.example/?token={token}&x=1\n"),
        format!("<t>{token}</t>\n"),
    ]
}

/// How many of the planted places are told, by their kind or by the one that is more specific.
fn named(folder: &Folder, planted: &[(String, &Kind)]) -> usize {
    let told = found(&folder.scan(&[]));
    let is_told = |place: &str, kind: &Kind| {
        let issuer =
            |id: &str| catalogue::builtin().iter().find(|other| other.id == id).map(|other| other.issuer.clone());
        told.iter().any(|(id, at)| at == place && issuer(id).as_deref() == Some(kind.issuer.as_ref()))
    };
    planted.iter().filter(|(place, kind)| is_told(place, kind)).count()
}

#[test]
fn the_tokens_of_a_planted_corpus_are_named() {
    let mut folder = Folder::new();
    let mut plain = Vec::new();
    let mut packed = Vec::new();
    for (number, (kind, token)) in tokens().iter().enumerate() {
        for (nth, content) in contexts(token).iter().enumerate() {
            let path = format!("plain/{number}/{nth}");
            folder = folder.with(&path, content);
            plain.push((path, *kind));
        }
        let content = format!("TOKEN={token}\n");
        for (name, member, archive) in [
            ("a.whl", "p/x", zip(&[("p/x", content.as_bytes())])),
            ("a.crate", "p/x", gz(&tar(&[("p/x", content.as_bytes())]))),
            ("a.gem", "data.tar.gz!/x", tar(&[("data.tar.gz", &gz(&tar(&[("x", content.as_bytes())])))])),
        ] {
            let path = format!("packed/{number}/{name}");
            folder = folder.with(&path, archive);
            packed.push((format!("{path}!/{member}"), *kind));
        }
    }
    let (in_plain, in_packed) = (named(&folder, &plain), named(&folder, &packed));
    assert!(in_plain * 100 >= plain.len() * 95, "{in_plain} of {} in plain contexts", plain.len());
    assert!(in_packed * 100 >= packed.len() * 90, "{in_packed} of {} in archives", packed.len());
}

/// Whether the kind has a checksum, and not only a structure that a changed signature leaves as it is.
fn covers_all(kind: &Kind) -> bool {
    kind.check.is_some_and(|check| {
        check.proof == Proof::Proved && !matches!(check.algorithm, Algorithm::Jwt { .. } | Algorithm::MacaroonV2 { .. })
    })
}

#[test]
fn decoys_are_not_told_and_no_wrong_checksum_is_good() {
    let mut folder = Folder::new();
    let mut decoys = 0;
    for (number, (kind, token)) in tokens().iter().enumerate() {
        let mut wrong = token.clone().into_bytes();
        // Not the last character: in base32 some of its bits may mean nothing.
        let at = wrong.len() - 2;
        if covers_all(kind) {
            wrong[at] = if wrong[at] == b'a' { b'b' } else { b'a' };
            folder = folder.with(&format!("checksum/{number}"), [b"TOKEN=", wrong.as_slice(), b"\n"].concat());
            decoys += 1;
        }
        // Inside of a longer run of the same characters, and cut in the middle.
        let inner = format!("x = aaaaaaaaaaaaaaaa{token}aaaaaaaaaaaaaaaa\n");
        let cut = format!("TOKEN={}…\n", &token[..token.len() / 2]);
        folder = folder.with(&format!("longer/{number}"), inner).with(&format!("cut/{number}"), cut);
        decoys += 2;
    }
    let report = folder.scan(&[]);
    let told = report["findings"].as_array().expect("a list");
    let good = told.iter().filter(|one| one["path"].as_str().is_some_and(|path| path.starts_with("checksum/")));
    let good: Vec<_> = good.filter(|one| one["checksum"] == "good").collect();
    assert!(good.is_empty(), "{good:?}");
    let places: Vec<_> = told.iter().map(|one| format!("{} {}", one["kind"], one["path"])).collect();
    assert!(told.len() * 100 <= decoys * 3, "{} of {decoys} decoys: {places:?}", told.len());
}
