//! Our macaroons against those of others: pymacaroons, and pypitoken's verdicts, on thousands of generated tokens.
//!
//! What is well formed is judged alike. What is not is never accepted here and refused there: the strict reader's tokens
//! are a subset. One Python process answers everything.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use stanch::clock::Timestamp;
use stanch::mint::macaroon::verify;
use stanch::token::Secret;
use stanch::token::caveat::{Caveat, Context, Project, violations};
use stanch::token::macaroon::{Macaroon, find, read_strictly};

const LOCATION: &str = "example.com";
const IDS: [&str; 3] = [
    "00000000-0000-0000-0000-000000000000",
    "00000000-0000-0000-0000-000000000001",
    "00000000-0000-0000-0000-000000000002",
];
const NAMES: [&str; 4] = ["a", "b", "a-b", "engine2"];

struct Case {
    token: String,
    key: String,
    contexts: Vec<Value>,
    /// Whether both sides know every caveat in it, as it is written.
    common: bool,
}

fn pick<'t>(rng: &mut StdRng, list: &[&'t str]) -> &'t str {
    list[rng.random_range(0..list.len())]
}

fn some<'t>(rng: &mut StdRng, list: &[&'t str]) -> Vec<&'t str> {
    (0..rng.random_range(1..=2_usize)).map(|_| pick(rng, list)).collect()
}

/// A caveat that both sides know, in one of its forms and with or without blanks.
fn common_caveat(rng: &mut StdRng) -> String {
    let (start, end) = (rng.random_range(0..60_i64), rng.random_range(40..100_i64));
    let value = match rng.random_range(0..7_u8) {
        0 => json!([0, end, start]),
        1 => json!([1, some(rng, &NAMES)]),
        2 => json!([2, some(rng, &IDS)]),
        3 => json!([3, pick(rng, &IDS)]),
        4 => json!({ "version": 1, "permissions": { "projects": some(rng, &NAMES) } }),
        5 => json!({ "version": 1, "permissions": "user" }),
        _ => json!({ "exp": end, "nbf": start }),
    };
    let text = value.to_string();
    if rng.random_bool(0.5) { text.replace(',', ", ").replace(':', ": ") } else { text }
}

/// A caveat with something odd about it.
fn odd_caveat(rng: &mut StdRng) -> String {
    const ODD: &[&str] = &[
        "[0,50,10,99]",
        "[0,50.0,10]",
        "[0,5e1,10]",
        "[0,true,10]",
        "[true,[\"a\"]]",
        "[false,50,10]",
        "[1.0,[\"a\"]]",
        "[1,[\"A\"]]",
        "[1,[\"a.b\"]]",
        "[2,[\"nope\"]]",
        "[3,\"x\"]",
        "[1,[]]",
        "[]",
        "{}",
        "null",
        "7",
        "[99,\"x\"]",
        "{\"exp\":90,\"nbf\":0,\"x\":1}",
        "{\"version\":2,\"exp\":90,\"nbf\":0}",
        "{\"version\":true,\"permissions\":\"user\"}",
        "{\"version\":1.0,\"permissions\":\"user\"}",
        "{\"exp\":1,\"exp\":90,\"nbf\":0}",
        "time < 5",
        "",
        "[0,90,-1]",
        "[0,\"90\",\"0\"]",
        "[1,\"a\"]",
        "[0]",
        "[3,\"x\",\"y\"]",
        "[0,99999999999999999999,0]",
        " [0,90,0]\n",
        "[0,90,0]x",
        "[0,90,0,]",
        "[0,NaN,0]",
        "[0,090,0]",
        "[\"0\",90,0]",
    ];
    let text = pick(rng, ODD).to_owned();
    if rng.random_bool(0.7) {
        return text;
    }
    // A good one with a character changed.
    let mut bytes = common_caveat(rng).into_bytes();
    let at = rng.random_range(0..bytes.len());
    bytes[at] = *b"[]{}\",:01 axE.-".get(rng.random_range(0..15_usize)).expect("one of fifteen");
    String::from_utf8(bytes).expect("ASCII")
}

fn contexts(rng: &mut StdRng) -> Vec<Value> {
    let one = |rng: &mut StdRng| {
        let project = rng.random_bool(0.8).then(|| pick(rng, &NAMES));
        let project_id = project.filter(|_| rng.random_bool(0.8)).map(|_| pick(rng, &IDS));
        // Without a user pypitoken lets a token pass that says "its owner" and PyPI does not.
        json!({ "project": project, "project_id": project_id, "user": pick(rng, &IDS), "now": rng.random_range(0..110_i64) })
    };
    (0..3).map(|_| one(rng)).collect()
}

fn minted(key: &str, caveats: &[String]) -> Macaroon {
    let mut macaroon = Macaroon::mint(&Secret::new(key.into()), b"123foo", LOCATION.as_bytes());
    for caveat in caveats {
        macaroon.add(caveat.as_bytes());
    }
    macaroon
}

fn text(macaroon: &Macaroon) -> String {
    String::from_utf8(macaroon.text("pre").expose().to_vec()).expect("ASCII")
}

/// Another spelling of a token, or a token that is none any more.
fn damaged(rng: &mut StdRng, token: &str) -> String {
    let mut bytes = token.as_bytes().to_vec();
    let at = rng.random_range(4..bytes.len());
    match rng.random_range(0..6_u8) {
        0 => bytes.extend(b"=="),
        1 => bytes.extend(b"AAAA"),
        2 => bytes.truncate(at),
        3 => *bytes.last_mut().expect("not empty") = *b"Aw0_-p".get(rng.random_range(0..6_usize)).expect("one of six"),
        4 => bytes.iter_mut().filter(|byte| **byte == b'_').for_each(|byte| *byte = b'/'),
        _ => bytes[at] = b"ABCxyz012-_"[rng.random_range(0..11_usize)],
    }
    String::from_utf8(bytes).expect("ASCII")
}

fn we_accept(token: &str, key: &str, context: &Value) -> bool {
    let Some(read) = read_strictly("pre", token.as_bytes()) else { return false };
    // As the authenticator does: the location is not signed, and another one is another text of the same token.
    if read.location.as_ref().is_none_or(|location| location.as_slice() != LOCATION.as_bytes()) {
        return false;
    }
    let Some(verified) = verify(&Secret::new(key.into()), &read) else { return false };
    let project = context["project"].as_str().map(|name| Project { name, id: context["project_id"].as_str() });
    let now = Timestamp::from_millis(context["now"].as_i64().expect("a time") * 1_000);
    let about = Context { project, user: context["user"].as_str(), ..Context::at(now) };
    violations(&verified.caveats, &about).is_ok()
}

/// Whether a caveat can be read and would not be written.
fn has_unwritable(token: &str) -> bool {
    let read = read_strictly("pre", token.as_bytes()).expect("it was accepted");
    read.caveats.iter().any(|caveat| Caveat::read(&caveat.id).is_ok_and(|caveat| caveat.write().is_err()))
}

/// What the other implementations say.
fn ask(question: &Value) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/venv/bin/python");
    assert!(python.exists(), "pypitoken and pymacaroons are not installed: run the tests with `tests/run`");
    let mut child = Command::new(python)
        .arg(root.join("tests/issuer/differential.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python runs");
    child.stdin.take().expect("piped").write_all(question.to_string().as_bytes()).expect("it reads");
    let answered = child.wait_with_output().expect("it ends");
    assert!(answered.status.success(), "differential.py failed");
    serde_json::from_slice(&answered.stdout).expect("JSON")
}

#[test]
fn our_tokens_and_verdicts_are_those_of_pymacaroons_and_pypitoken() {
    let mut rng = StdRng::seed_from_u64(0x5741_4e43);
    let mut cases: Vec<Case> = Vec::new();
    for number in 0..800 {
        let key = format!("root key {}", rng.next_u32());
        let common = number % 2 == 0;
        let mut caveats: Vec<String> = (0..rng.random_range(0..4)).map(|_| common_caveat(&mut rng)).collect();
        if !common {
            let at = rng.random_range(0..=caveats.len());
            caveats.insert(at, odd_caveat(&mut rng));
        }
        let token = text(&minted(&key, &caveats));
        cases.push(Case { token, key, contexts: contexts(&mut rng), common });
    }
    // Damaged spellings of good tokens without restrictions: what decides is the spelling and the signature.
    for _ in 0..400 {
        let key = format!("root key {}", rng.next_u32());
        let caveats: Vec<String> = (0..rng.random_range(0..2)).map(|_| "[0,200,0]".to_owned()).collect();
        let token = damaged(&mut rng, &text(&minted(&key, &caveats)));
        cases.push(Case {
            token,
            key,
            contexts: vec![json!({ "project": null, "project_id": null, "user": IDS[0], "now": 1 })],
            common: false,
        });
    }
    let make: Vec<Value> = (0..400)
        .map(|_| {
            let caveats: Vec<String> = (0..rng.random_range(0..5))
                .map(|_| if rng.random_bool(0.5) { common_caveat(&mut rng) } else { odd_caveat(&mut rng) })
                .collect();
            json!({ "location": LOCATION, "identifier": "123foo", "key": format!("key {}", rng.next_u32()), "caveats": caveats })
        })
        .collect();
    let restrict: Vec<Value> = (0..60)
        .map(|_| {
            let arguments = match rng.random_range(0..4_u8) {
                0 => json!({ "not_before": 1 + rng.random_range(0..50), "not_after": 60 + rng.random_range(0..50) }),
                1 => json!({ "project_names": some(&mut rng, &NAMES) }),
                2 => json!({ "project_ids": some(&mut rng, &IDS) }),
                _ => json!({ "user_id": pick(&mut rng, &IDS) }),
            };
            json!({ "location": LOCATION, "identifier": "123foo", "key": "k", "restrictions": [arguments] })
        })
        .collect();
    let checks: Vec<Value> =
        cases.iter().map(|case| json!({ "token": case.token, "key": case.key, "contexts": case.contexts })).collect();
    let answer = ask(&json!({ "checks": checks, "make": make, "restrict": restrict }));

    let mut tally: BTreeMap<(bool, bool, bool), usize> = BTreeMap::new();
    for (case, theirs) in cases.iter().zip(answer["checks"].as_array().expect("a list")) {
        for (context, theirs) in case.contexts.iter().zip(theirs.as_array().expect("a list")) {
            let (ours, theirs) = (we_accept(&case.token, &case.key, context), theirs.as_bool().expect("a verdict"));
            *tally.entry((case.common, ours, theirs)).or_default() += 1;
            let shown = || format!("{} in {context}: we {ours}, they {theirs}", case.token);
            // A list with a name or an id that nothing matches is read here as PyPI reads it; pypitoken refuses all of it.
            assert!(theirs || !ours || has_unwritable(&case.token), "accepted here and refused there: {}", shown());
            assert!(!case.common || ours == theirs, "well formed and judged otherwise: {}", shown());
            // What they accept in another spelling is found when it leaks.
            if theirs {
                let found = find(case.token.as_bytes()).expect("a live token is found in any spelling").macaroon;
                assert!(verify(&Secret::new(case.key.clone().into_bytes()), &found).is_some(), "{}", shown());
            }
        }
    }
    for (what, at_least) in
        [((true, true, true), 100), ((true, false, false), 300), ((false, false, true), 10), ((false, true, true), 10)]
    {
        assert!(tally.get(&what).copied().unwrap_or(0) >= at_least, "the cases are of every sort: {tally:?}");
    }

    for (parts, theirs) in make.iter().zip(answer["made"].as_array().expect("a list")) {
        let caveats: Vec<String> = serde_json::from_value(parts["caveats"].clone()).expect("a list");
        let ours = text(&minted(parts["key"].as_str().expect("a key"), &caveats));
        assert_eq!(Some(ours.as_str()), theirs.as_str(), "{parts}");
    }
    for (parts, theirs) in restrict.iter().zip(answer["restricted"].as_array().expect("a list")) {
        let theirs = theirs.as_str().expect("a token");
        let read = read_strictly("pre", theirs.as_bytes()).expect("what pypitoken writes is the one spelling");
        let verified = verify(&Secret::new(b"k".to_vec()), &read).expect("signed with the same key");
        let caveat = verified.caveats[0].as_ref().expect("a caveat that both know");
        // They write blanks and we do not: the bytes differ and the meaning is one.
        let again = Caveat::read(caveat.write().expect("writable").as_bytes()).expect("readable");
        assert_eq!((caveat, verified.caveats.len()), (&again, 1), "{parts}");
    }
}
