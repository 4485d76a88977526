//! The vectors: what pymacaroons writes is what we write, and what PyPI's readers say of it is what we say.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use stanch::clock::Timestamp;
use stanch::mint::macaroon::verify;
use stanch::recognize::{Identified, Recognizer};
use stanch::token::caveat::{Caveat, Context, Project, Publisher, violations};
use stanch::token::macaroon::{Chain, Macaroon, find, read_strictly};
use stanch::token::{Confidence, Secret, pat};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    chain: Points,
    token: Vec<Vector>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Points {
    derived: String,
    s0: String,
    s1: String,
    s2: String,
    denied: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    name: String,
    body: String,
    caveats: Vec<String>,
    #[serde(default)]
    lenient: bool,
    checks: Vec<Check>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Check {
    project: Option<String>,
    project_id: Option<String>,
    user: Option<String>,
    publisher: Option<String>,
    #[serde(default)]
    now: i64,
    verdict: String,
}

fn vectors() -> Vectors {
    toml::from_str(include_str!("../../fixtures/issuer/vectors.toml")).expect("the fixture is TOML")
}

fn key() -> Secret {
    Secret::new(b"ohsosecret".to_vec())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn named(name: &str) -> (Vector, Macaroon) {
    let vector = vectors().token.into_iter().find(|vector| vector.name == name).expect("a vector of that name");
    let macaroon = find(format!("pre-{}", vector.body).as_bytes()).expect("a macaroon").macaroon;
    (vector, macaroon)
}

impl Check {
    /// `ok`, or why not.
    fn judged(&self, macaroon: &Macaroon, key: &Secret) -> String {
        let Some(verified) = verify(key, macaroon) else { return "signatures do not match".into() };
        let context = Context {
            project: self.project.as_deref().map(|name| Project { name, id: self.project_id.as_deref() }),
            user: self.user.as_deref(),
            publisher: self.publisher.as_deref().map(|id| Publisher { id, publishes_project: true }),
            ..Context::at(Timestamp::from_millis(self.now * 1_000))
        };
        violations(&verified.caveats, &context).map_or_else(|why| why.to_string(), |_| "ok".into())
    }
}

#[test]
fn every_vector_is_read_written_and_judged_as_by_its_makers() {
    for vector in vectors().token {
        let (name, text) = (&vector.name, format!("pre-{}", vector.body));
        let found = find(text.as_bytes()).expect(name).macaroon;
        let caveats: Vec<String> =
            found.caveats.iter().map(|caveat| String::from_utf8_lossy(&caveat.id).into_owned()).collect();
        assert_eq!(caveats, vector.caveats, "{name}");
        assert_eq!(read_strictly("pre", text.as_bytes()).is_some(), !vector.lenient, "{name}");
        assert!(read_strictly("pypi", text.as_bytes()).is_none(), "{name}: another prefix");
        let mut ours = Macaroon::mint(&key(), b"123foo", b"example.com");
        vector.caveats.iter().for_each(|caveat| ours.add(caveat.as_bytes()));
        assert_eq!(ours.signature, found.signature, "{name}");
        if !vector.lenient && name != "T-NOLOC" {
            assert_eq!(ours.text("pre").expose(), text.as_bytes(), "{name}: byte for byte");
        }
        for check in &vector.checks {
            assert_eq!(
                check.judged(&found, &key()),
                check.verdict,
                "{name} for project {:?} at {}",
                check.project,
                check.now
            );
            let other = Secret::new(b"notthatsecret".to_vec());
            assert_eq!(check.judged(&found, &other), "signatures do not match", "{name}");
        }
    }
}

#[test]
fn the_chain_passes_the_points_that_others_compute() {
    let points = vectors().chain;
    let mut chain = Chain::start(&key(), b"123foo");
    assert_eq!(hex(chain.signature()), points.s0);
    chain.extend(br#"[1,["a","b"]]"#);
    assert_eq!((hex(chain.signature()), &hex(&chain.point())[..16]), (points.s1.clone(), points.denied.as_str()));
    chain.extend(br#"[1,["b","c"]]"#);
    assert_eq!(hex(chain.signature()), points.s2);
    let mut derive = Hmac::<Sha256>::new_from_slice(b"macaroons-key-generator").expect("any length");
    derive.update(b"ohsosecret");
    let mut first = Hmac::<Sha256>::new_from_slice(&derive.clone().finalize().into_bytes()).expect("any length");
    first.update(b"123foo");
    assert_eq!(
        (hex(&derive.finalize().into_bytes()), hex(&first.finalize().into_bytes())),
        (points.derived, points.s0.clone())
    );
    for (name, signature) in
        [("T-NAMES", &points.s1), ("T-V1", &points.s1), ("T-TWO", &points.s2), ("T-NOLOC", &points.s0)]
    {
        assert_eq!(hex(&*named(name).1.signature), *signature, "{name}");
    }
    // T-TWO was made of T-NAMES: denying the point of the one is the end of both, and not of T0.
    let passes = |name| {
        verify(&key(), &named(name).1)
            .expect("signed")
            .points
            .iter()
            .any(|point| hex(point).starts_with(&points.denied))
    };
    assert_eq!(["T0", "T-NAMES", "T-TWO"].map(passes), [false, true, true]);
}

#[test]
fn what_was_changed_is_refused_and_what_is_only_spelled_otherwise_is_found() {
    let (vector, mut names) = named("T-NAMES");
    names.caveats.clear();
    assert!(verify(&key(), &names).is_none(), "the caveat taken away");
    let (_, mut moved) = named("T-NAMES");
    moved.location = None;
    assert!(verify(&key(), &moved).is_some(), "the location is not signed");
    let stray = format!("pre-{}p", vector.body.strip_suffix('o').expect("it ends so"));
    assert!(read_strictly("pre", stray.as_bytes()).is_none(), "one spelling opens something");
    assert_eq!(find(stray.as_bytes()).expect("found").macaroon.canonical(), named("T-NAMES").1.canonical());
}

#[test]
fn what_is_no_macaroon_is_none_for_either_reader() {
    let t0 = named("T0").0.body;
    let raw = named("T0").1.bytes();
    let encoded = |bytes: &[u8]| {
        use base64::Engine as _;
        format!("pre-{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes))
    };
    let with = |at: usize, byte: u8| {
        let mut bytes = raw.to_vec();
        bytes[at] = byte;
        bytes
    };
    let before_location = [&raw[..1], &raw[14..22], &raw[1..14], &raw[22..]].concat();
    let short = [&raw[..raw.len() - 33], &[31], &raw[raw.len() - 32..raw.len() - 1]].concat();
    for text in [
        String::new(),
        "foobar".into(),
        "foobar-baz".into(),
        "pypi-aaaa".into(),
        encoded(&with(0, 3)),
        encoded(&[2]),
        encoded(&raw[..raw.len() - 1]),
        encoded(&before_location),
        encoded(&short),
        encoded(br#"{"v":2,"l":"example.com","i":"123foo","s64":"iuE8rVr8te_1Ke074XVQ4RcfHI1P53v-sLTqsT1GZsc"}"#),
    ] {
        assert!(read_strictly("pre", text.as_bytes()).is_none() && find(text.as_bytes()).is_none(), "{text}");
    }
    for junk in ['\n', ' ', '!'] {
        let text = format!("pre-{}{junk}{}", &t0[..20], &t0[20..]);
        assert!(read_strictly("pre", text.as_bytes()).is_none(), "{text}");
    }
}

#[test]
fn a_caveat_that_fails_says_so_in_warehouses_words() {
    let context = Context::at(Timestamp::from_millis(60_000));
    let why = |caveats: &[&str]| {
        let read: Vec<_> = caveats.iter().map(|text| Caveat::read(text.as_bytes())).collect();
        violations(&read, &context).expect_err("refused").to_string()
    };
    let (expired, outside) = ("token is expired", "project-scoped token used outside of a project context");
    for (caveats, words) in [
        (&[r#""x""#][..], "caveat must be an array"),
        (&["1"], "caveat must be an array"),
        (&["null"], "caveat must be an array"),
        (&[r#"{"a":1}"#], "caveat must be an array"),
        (&[r#"[1,"a"]"#], "invalid values for fields"),
        (&["[0,1]"], "invalid values for fields"),
        (&["[99]"], "caveat has unknown tag: 99"),
        (&["[]"], "caveat array cannot be empty"),
        (&["time < 5"], "unknown error"),
        (&["[0,50,10]"], expired),
        (&["[0,70,65]"], expired),
    ] {
        assert_eq!(why(caveats), words, "{caveats:?}");
    }
    assert_eq!(why(&["[0,50,10]", r#"[1,["a"]]"#]), format!("{expired}, {outside}"), "both reasons");
    assert_eq!(why(&["[0,50,10]", "[0,50,10]"]), expired, "and one of them once");
}

#[test]
fn caveats_are_written_as_warehouse_writes_them_and_its_refusals_are_ours() {
    for (caveat, text) in [
        (Caveat::Expiration { expires_at: 50, not_before: 10 }, "[0,50,10]"),
        (Caveat::ProjectNames(vec!["foo".into(), "bar".into()]), r#"[1,["foo","bar"]]"#),
        (
            Caveat::RequestUser("00000000-0000-0000-0000-000000000003".into()),
            r#"[3,"00000000-0000-0000-0000-000000000003"]"#,
        ),
    ] {
        assert_eq!(caveat.write().expect("written"), text);
    }
    for refused in [
        r#"{"version":2,"permissions":"user"}"#,
        r#"{"permissions":"user"}"#,
        r#"{"version":1}"#,
        r#"{"version":1,"permissions":"something"}"#,
        r#"{"version":1,"permissions":"user","x":1}"#,
        r#"{"version":1,"permissions":{"projects":"a"}}"#,
        r#"{"version":1,"permissions":{"projects":[1]}}"#,
        r#"{"version":1,"permissions":{"projects":["a"]},"x":1}"#,
        r#"{"version":1,"permissions":{"projects":["a"],"x":1}}"#,
        "[0]",
        "[0,1]",
        "[0,1,2,3]",
        r#"[0,"a","b"]"#,
        r#"[1,["a"],3]"#,
        r#"[1,"a"]"#,
        "[1,[1]]",
        r#"[2,"a"]"#,
        "[2,[1]]",
        "[3]",
        r#"[3,"a","b"]"#,
    ] {
        assert!(Caveat::read(refused.as_bytes()).is_err(), "{refused}");
    }
    for read in ["[1,[]]", r#"[1,["a"]]"#, r#"[1,["aa"]]"#, r#"[1,["a-a"]]"#, r#"[1,["aaa--aaa"]]"#] {
        assert!(Caveat::read(read.as_bytes()).is_ok(), "{read}");
    }
    // Read and never met; nobody writes them.
    for (text, written) in [
        (r#"[2,["nope"]]"#, Caveat::ProjectIds(vec!["nope".into()])),
        (r#"[1,["A_b"]]"#, Caveat::ProjectNames(vec!["A_b".into()])),
        (r#"[3,"aaaaa"]"#, Caveat::RequestUser("aaaaa".into())),
    ] {
        assert_eq!(Caveat::read(text.as_bytes()).ok(), Some(written.clone()));
        assert!(written.write().is_err(), "{text}");
    }
    assert!(Caveat::Expiration { expires_at: 0, not_before: 0 }.write().is_err(), "nothing is left out silently");
    assert!(Caveat::Expiration { expires_at: 5, not_before: 0 }.write().is_ok());
}

#[test]
fn other_tokens_are_hashed_and_summed_as_their_makers_do() {
    let rushomon = format!("ro_{}_{}", "pat", "0123456789ABCDEFGHIJKLMNOPQRSTUV");
    assert_eq!(
        hex(&Sha256::digest(rushomon.as_bytes())),
        "fa4668d84157c13643afd7e098cbdab4cb9e7c0d8654066b38e24e5ed9825ba3"
    );
    assert_eq!(pat::checksum(&[b'A'; 30]), *b"0uCPlr");
    let recognizer = Recognizer::builtin();
    for (random, sum) in [("a".repeat(31), 'j'), ("0123456789abcdefghijklmnopqrstu".into(), 'i')] {
        let confidence = |sum: char| match recognizer.identify(&format!("cio_{}_{random}{sum}", "tp")) {
            Identified::Recognized(found) => Some(found.confidence),
            Identified::TooLong | Identified::Unrecognized => None,
        };
        assert_eq!(confidence(sum), Some(Confidence::Checksum), "{random}");
        assert_ne!(confidence('X'), Some(Confidence::Checksum), "{random}");
    }
}
