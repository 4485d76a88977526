//! What the recognizer promises: every kind of the catalogue, in any surroundings, and nothing else.

mod catalogue;
mod identify;
mod promises;
mod scan;

use std::sync::LazyLock;

use stanch::recognize::{Recognizer, Scratch};
use stanch::token::catalogue::Kind;
use stanch::token::{Confidence, generate};

fn shared() -> &'static Recognizer {
    static SHARED: LazyLock<Recognizer> = LazyLock::new(Recognizer::builtin);
    &SHARED
}

/// Numbers that look random, the same each time.
fn random(mut seed: u64) -> impl FnMut() -> u64 {
    move || {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (seed ^ seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}

fn made_up(kind: &Kind, seed: u64) -> String {
    let token = generate(kind, &mut random(seed)).expect("every kind can be made up");
    String::from_utf8(token).expect("tokens are ASCII")
}

fn with_pat() -> Recognizer {
    Recognizer::builder().with_pat_prefix("acme").build().expect("the prefix is one")
}

fn found(recognizer: &Recognizer, text: &str) -> Vec<(String, Confidence, String)> {
    let mut found = Vec::new();
    recognizer.scan(text.as_bytes(), &mut Scratch::new(), |one| {
        found.push((one.kind.to_string(), one.confidence, String::from_utf8_lossy(one.text).into_owned()));
    });
    found
}

/// Kinds that another kind may rightly be found instead of: a JWT that says who issued it, a key of a service.
fn is_named_otherwise(kind: &Kind, found: &str) -> bool {
    kind.id == "jwt" && found != "jwt" || kind.id == found
}
