//! Repositories that no git has made: packs written by hand to mislead the reader.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use proptest::prelude::*;
use tempfile::TempDir;

use super::{Closed, Coverage, Finding, Gap, Options, Selection, scan_repository};
use crate::recognize::Recognizer;
use crate::scan::TextScanner;
use crate::scan::engine::{Found, Texts};

const COMMIT: u8 = 1;
const BLOB: u8 = 3;
const OFFSET_DELTA: u8 = 6;
const REF_DELTA: u8 = 7;

/// A pack that is written entry by entry. Ids are made up: nothing checks that they are hashes.
#[derive(Default)]
struct HandMade {
    bytes: Vec<u8>,
    objects: BTreeMap<[u8; 20], u64>,
}

fn id(number: u8) -> [u8; 20] {
    [number; 20]
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn entry_header(kind: u8, size: u64) -> Vec<u8> {
    let mut bytes = vec![kind << 4 | u8::try_from(size & 15).unwrap()];
    let mut rest = size >> 4;
    while rest > 0 {
        *bytes.last_mut().unwrap() |= 0x80;
        bytes.push(u8::try_from(rest & 0x7f).unwrap());
        rest >>= 7;
    }
    bytes
}

fn varint(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        bytes.push(u8::try_from(value & 0x7f).unwrap() | if value > 0x7f { 0x80 } else { 0 });
        value >>= 7;
        if value == 0 {
            return bytes;
        }
    }
}

/// A delta that copies the whole base, of less than 64 KiB, and adds a text of less than 128 bytes.
fn appending(base_len: usize, text: &str) -> Vec<u8> {
    let mut delta = varint(base_len);
    delta.extend(varint(base_len + text.len()));
    delta.extend([0xb0, u8::try_from(base_len & 0xff).unwrap(), u8::try_from(base_len >> 8).unwrap()]);
    delta.push(u8::try_from(text.len()).unwrap());
    delta.extend(text.as_bytes());
    delta
}

impl HandMade {
    fn start(&mut self, id: [u8; 20]) {
        if self.bytes.is_empty() {
            self.bytes.extend(b"PACK\0\0\0\x02\0\0\0\0");
        }
        self.objects.insert(id, self.bytes.len() as u64);
    }

    fn whole(&mut self, id: [u8; 20], kind: u8, text: &[u8]) {
        self.claiming(id, kind, text.len() as u64, text);
    }

    /// An entry whose header says another size.
    fn claiming(&mut self, id: [u8; 20], kind: u8, size: u64, text: &[u8]) {
        self.start(id);
        self.bytes.extend(entry_header(kind, size));
        self.bytes.extend(deflated(text));
    }

    fn ref_delta(&mut self, id: [u8; 20], base: [u8; 20], delta: &[u8]) {
        self.start(id);
        self.bytes.extend(entry_header(REF_DELTA, delta.len() as u64));
        self.bytes.extend(base);
        self.bytes.extend(deflated(delta));
    }

    fn offset_delta(&mut self, id: [u8; 20], distance: u8, delta: &[u8]) {
        self.start(id);
        self.bytes.extend(entry_header(OFFSET_DELTA, delta.len() as u64));
        self.bytes.push(distance & 0x7f);
        self.bytes.extend(deflated(delta));
    }

    fn index(&self) -> Vec<u8> {
        let mut bytes = vec![0xff, b't', b'O', b'c', 0, 0, 0, 2];
        for first in 0..=255_u8 {
            let upto = self.objects.keys().filter(|id| id[0] <= first).count();
            bytes.extend(u32::try_from(upto).unwrap().to_be_bytes());
        }
        self.objects.keys().for_each(|id| bytes.extend(id));
        bytes.extend(vec![0; 4 * self.objects.len()]);
        self.objects.values().for_each(|offset| bytes.extend(u32::try_from(*offset).unwrap().to_be_bytes()));
        bytes.extend([0; 40]);
        bytes
    }

    fn write(&self, dir: &Path, name: &str) {
        let mut pack = self.bytes.clone();
        pack[8..12].copy_from_slice(&u32::try_from(self.objects.len()).unwrap().to_be_bytes());
        pack.extend([0; 20]);
        let pack_dir = dir.join("objects/pack");
        fs::create_dir_all(&pack_dir).unwrap();
        fs::write(dir.join("HEAD"), "ref: refs/heads/main\n").unwrap();
        fs::write(pack_dir.join(format!("{name}.pack")), pack).unwrap();
        fs::write(pack_dir.join(format!("{name}.idx")), self.index()).unwrap();
    }
}

fn scan(dir: &Path) -> (Vec<Finding<Found>>, Coverage) {
    let recognizer = Recognizer::builder().only(&[crate::token::KindId::new("rubygems-api-key")]).build().unwrap();
    let options = Options { selection: Selection::All, max_object_bytes: 1 << 20, ..Options::default() };
    let never = AtomicBool::new(false);
    let scanner = TextScanner::new(recognizer.into(), 3);
    let all = scan_repository(dir, &Texts::new(&scanner), &Closed, &options, &never).unwrap();
    (all.findings, all.coverage)
}

fn gaps(coverage: &Coverage) -> Vec<(Gap, u64)> {
    coverage.gaps.iter().map(|(gap, count)| (gap, count.count)).collect()
}

fn token() -> String {
    format!("rubygems_{}", "07e1c9d25ab4f836".repeat(3))
}

#[test]
fn a_circle_of_deltas_ends_and_is_said() {
    let dir = TempDir::new().unwrap();
    let mut pack = HandMade::default();
    pack.whole(id(1), BLOB, token().as_bytes());
    pack.ref_delta(id(2), id(3), &appending(5, "a"));
    pack.ref_delta(id(3), id(2), &appending(5, "b"));
    pack.ref_delta(id(4), id(4), &appending(5, "c"));
    pack.write(dir.path(), "pack-a");
    let (findings, coverage) = scan(dir.path());
    assert_eq!((findings.len(), gaps(&coverage)), (1, vec![(Gap::Damaged, 3)]));
}

#[test]
fn a_circle_of_deltas_over_two_packs_ends_and_is_said() {
    let dir = TempDir::new().unwrap();
    for (name, own, base) in [("pack-a", 1, 2), ("pack-b", 2, 1)] {
        let mut pack = HandMade::default();
        pack.ref_delta(id(own), id(base), &appending(5, "a"));
        pack.write(dir.path(), name);
    }
    let (findings, coverage) = scan(dir.path());
    assert_eq!(findings.len(), 0);
    assert!(!coverage.is_complete());
}

#[test]
fn a_base_in_another_pack_or_nowhere_is_found_or_missed() {
    let dir = TempDir::new().unwrap();
    let base = "nothing here\n";
    let mut thin = HandMade::default();
    thin.ref_delta(id(1), id(9), &appending(base.len(), &token()));
    thin.ref_delta(id(2), id(1), &appending(base.len() + token().len(), "\n"));
    thin.ref_delta(id(3), id(8), &appending(7, "a"));
    thin.write(dir.path(), "pack-a");
    let mut other = HandMade::default();
    other.whole(id(9), BLOB, base.as_bytes());
    other.write(dir.path(), "pack-b");
    let (findings, coverage) = scan(dir.path());
    assert_eq!(findings.iter().map(|found| found.start).collect::<Vec<_>>(), [13, 13]);
    assert_eq!((coverage.blobs.objects, gaps(&coverage)), (3, vec![(Gap::Missing, 1)]));
}

#[test]
fn a_bomb_costs_no_more_than_the_limit() {
    let dir = TempDir::new().unwrap();
    let mut pack = HandMade::default();
    let big = vec![0; 3 << 20];
    pack.whole(id(1), BLOB, &big);
    // Says little and is much.
    pack.claiming(id(2), BLOB, 10, &big);
    // Says much and is little.
    pack.claiming(id(3), BLOB, 1 << 40, b"small");
    // A small delta of a large text: 64 KiB as often as it likes.
    let base = vec![b'a'; 0x1_0000];
    pack.whole(id(4), BLOB, &base);
    let mut delta = varint(base.len());
    delta.extend(varint(base.len() * 1000));
    delta.extend([0x80; 1000]);
    pack.ref_delta(id(5), id(4), &delta);
    // What is made from something too large cannot be read either.
    pack.ref_delta(id(6), id(5), &appending(9, "x"));
    pack.whole(id(7), BLOB, token().as_bytes());
    pack.write(dir.path(), "pack-a");
    let (findings, coverage) = scan(dir.path());
    assert_eq!((findings.len(), gaps(&coverage)), (1, vec![(Gap::Damaged, 1), (Gap::TooLarge, 4)]));
    assert!(coverage.blobs.bytes < 1 << 20);
}

#[test]
fn a_chain_of_any_length_is_followed() {
    let dir = TempDir::new().unwrap();
    let mut pack = HandMade::default();
    let mut text = token();
    let mut ids = [0_u8; 20];
    pack.whole(ids, BLOB, text.as_bytes());
    let mut at = pack.bytes.len();
    let mut before = 12;
    for number in 1..3000_u32 {
        ids[..4].copy_from_slice(&number.to_be_bytes());
        let distance = u8::try_from(at - before).unwrap();
        assert!(distance < 128, "the distance is written in one byte");
        pack.offset_delta(ids, distance, &appending(text.len(), "\n"));
        text.push('\n');
        (before, at) = (at, pack.bytes.len());
    }
    pack.write(dir.path(), "pack-a");
    let (findings, coverage) = scan(dir.path());
    assert_eq!((findings.len(), coverage.blobs.objects), (3000, 3000));
    assert!(coverage.is_complete(), "{coverage:?}");
}

#[test]
fn a_tree_that_branches_at_every_step_is_read_by_all_workers() {
    let dir = TempDir::new().unwrap();
    let mut pack = HandMade::default();
    pack.whole(id(0), BLOB, token().as_bytes());
    for number in 1..=200_u8 {
        // A binary tree: n is made from n / 2.
        let depth = usize::try_from(number.ilog2()).unwrap();
        pack.ref_delta(id(number), id(number / 2), &appending(token().len() + depth, "\n"));
    }
    pack.write(dir.path(), "pack-a");
    let (findings, coverage) = scan(dir.path());
    assert_eq!((findings.len(), coverage.blobs.objects), (201, 201));
}

#[test]
fn two_names_for_one_place_and_places_outside_are_lost_names() {
    let dir = TempDir::new().unwrap();
    let mut pack = HandMade::default();
    pack.whole(id(1), BLOB, token().as_bytes());
    pack.objects.insert(id(2), 12);
    pack.objects.insert(id(3), 5);
    pack.objects.insert(id(4), 1 << 30);
    pack.write(dir.path(), "pack-a");
    let (findings, coverage) = scan(dir.path());
    assert_eq!((findings.len(), gaps(&coverage)), (1, vec![(Gap::Damaged, 3)]));
}

#[test]
fn a_commit_that_is_none_is_damaged() {
    let dir = TempDir::new().unwrap();
    let mut pack = HandMade::default();
    pack.whole(id(1), COMMIT, format!("tree of nothing\n{}", token()).as_bytes());
    pack.write(dir.path(), "pack-a");
    let (findings, coverage) = scan(dir.path());
    assert_eq!((findings.len(), gaps(&coverage)), (1, vec![(Gap::Damaged, 1)]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_pack_makes_the_scan_panic_or_hang(
        entries in prop::collection::vec((0..8_u8, 0..6_u8, 0..6_u8, 0..200_u64, prop::collection::vec(any::<u8>(), 0..40)), 0..12),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let dir = TempDir::new().unwrap();
        let mut pack = HandMade::default();
        pack.whole(id(0), BLOB, token().as_bytes());
        for (kind, own, base, size, bytes) in &entries {
            match *kind {
                OFFSET_DELTA => pack.offset_delta(id(*own), u8::try_from(*size & 0x7f).unwrap(), bytes),
                REF_DELTA => pack.ref_delta(id(*own), id(*base), bytes),
                kind if size % 2 == 0 => pack.whole(id(*own), kind, bytes),
                kind => pack.claiming(id(*own), kind, *size, bytes),
            }
        }
        for (place, bits) in &flips {
            let at = 12 + place.index(pack.bytes.len() - 12);
            pack.bytes[at] ^= bits;
        }
        pack.write(dir.path(), "pack-a");
        scan(dir.path());
    }
}
