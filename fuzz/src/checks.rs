//! What must hold for any bytes at all: the bodies of the fuzz targets.
//!
//! Each takes bytes and panics if a promise is broken. The property tests of the main package call the same functions,
//! so that they stay right where no fuzzer is at hand.

use std::sync::LazyLock;

use stanch::clock::Clock;
use stanch::recognize::{Identified, Recognizer, Scratch};
use stanch::scan::{ArchiveLimits, Plan, TextScanner, run_on_stream};
use stanch::token::checksum::Spans;
use stanch::token::{jwt, macaroon, pat, shape};

static RECOGNIZER: LazyLock<Recognizer> =
    LazyLock::new(|| Recognizer::builder().with_pat_prefix("acme").build().expect("the prefix is one"));

/// Matches are in order, apart, inside the text, and the same when asked again with used memory.
pub fn recognize(bytes: &[u8]) {
    let mut scratch = Scratch::new();
    let mut found = Vec::new();
    RECOGNIZER.scan(bytes, &mut scratch, |one| found.push((one.kind, one.start, one.text.len())));
    let mut end = 0;
    for (_, start, len) in &found {
        assert!(*start >= end && *len > 0 && start + len <= bytes.len());
        end = start + len;
    }
    let mut again = Vec::new();
    RECOGNIZER.scan(bytes, &mut scratch, |one| again.push((one.kind, one.start, one.text.len())));
    assert_eq!(found, again);
}

/// What was recognized is recognized again, as the same token.
pub fn identify(bytes: &[u8]) {
    let sent = String::from_utf8_lossy(bytes);
    let Identified::Recognized(first) = RECOGNIZER.identify(&sent) else { return };
    assert!(first.hint.len() <= 4 && first.secret.len() <= sent.len());
    let token = std::str::from_utf8(first.secret.expose()).expect("tokens are ASCII");
    let Identified::Recognized(again) = RECOGNIZER.identify(token) else { panic!("a token is not itself a token") };
    assert_eq!(again.kind, first.kind);
    assert_eq!(again.canonical.expose(), first.canonical.expose());
}

/// A macaroon has the identity that its own bytes have alone, without what follows them.
pub fn macaroon(bytes: &[u8]) {
    if let Some((read, used)) = macaroon::parse(bytes) {
        assert!(used <= bytes.len() && read.caveats.len() <= macaroon::MAX_CAVEATS);
        let (again, all) = macaroon::parse(&bytes[..used]).expect("what was read is a macaroon");
        assert_eq!(all, used);
        assert_eq!(again.canonical(), read.canonical());
    }
    if let Some(found) = macaroon::find(bytes) {
        assert!(found.prefix_len < found.len && found.len <= bytes.len());
    }
}

/// No rule panics, whatever the token and wherever its parts are said to be; a completed token fits.
pub fn checksum(bytes: &[u8]) {
    let (head, token) = bytes.split_at(bytes.len().min(4));
    let at = |index: usize| head.get(index).copied().map_or(0, usize::from);
    let spans = Spans { random: at(0)..at(0) + at(1), checksum: at(2)..at(2) + at(3) };
    for check in RECOGNIZER.kinds().filter_map(|kind| kind.check) {
        check.algorithm.fits(token, &spans);
        check.algorithm.complete(&mut token.to_vec(), &spans);
    }
    jwt::parse(token);
    pat::check("acme", token);
}

/// Reading a shape ends, and what it says of its parts is consistent.
pub fn shape(bytes: &[u8]) {
    let Ok(parts) = shape::parse(&String::from_utf8_lossy(bytes)) else { return };
    assert!(!parts.is_empty() && parts.len() <= shape::MAX_PARTS);
    for part in parts {
        assert!(part.min_len() <= part.max_len());
    }
}

/// Whatever is encoded in whatever: sightings are in the text and in order, and the same when memory is used again.
pub fn decode(bytes: &[u8]) {
    static SCANNER: LazyLock<TextScanner> = LazyLock::new(|| TextScanner::new(Recognizer::builtin().into(), 3));
    let mut scratch = SCANNER.scratch();
    let mut once = || {
        let (sightings, _) = SCANNER.scan(bytes, &mut scratch);
        let all = sightings.iter().map(|one| (one.range.clone(), one.kind.clone(), one.encodings.clone()));
        all.collect::<Vec<_>>()
    };
    let first = once();
    assert!(first.iter().all(|(range, ..)| range.start < range.end && range.end <= bytes.len()));
    assert!(first.is_sorted_by_key(|(range, ..)| range.start));
    assert_eq!(first, once());
}

/// An archive, or what says that it is one, ends within its limits.
pub fn archive(bytes: &[u8]) {
    static PLAN: LazyLock<Plan> = LazyLock::new(|| {
        let archives = ArchiveLimits { bytes: 4 << 20, ..ArchiveLimits::default() };
        Plan { archives, ..Plan::new(Vec::new(), Recognizer::builtin().into(), Clock::system()) }
    });
    let outcome = run_on_stream(&PLAN, &mut &*bytes);
    assert!(outcome.coverage.bytes <= (5 << 20) + bytes.len() as u64);
}
