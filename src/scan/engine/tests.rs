//! The proof that looking at edits finds what reading whole texts finds.

use std::ops::Range;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::recognize::Recognizer;
use crate::scan::text::TextScanner;
use crate::token::encoding::{Alphabet, to_base64};

/// A detector with everything that makes locality hard, in an alphabet so small that all of it collides.
struct Toy(Locality);

/// `xab`: a token, as long as it goes on; `yab`: one that needs a `#` near; `[...]`: a block that covers what is in it;
/// lines of `a` and `b`: wrapped text, which depends on all of it; `%a`: an escape, which depends on its neighbourhood.
const BLOCK: usize = 16;
const BACK: usize = 7;
const AHEAD: usize = 4;
const INDENT: usize = 2;
const ESCAPED: Escaped = Escaped { reach: 5, widest: 2, leads: [b'%'; 3], is_escape: |text| text.starts_with(b"%a") };

impl Toy {
    fn new() -> Self {
        let reach = |bytes, lines| Reach { bytes, lines };
        let locality = Locality::new(ByteClass::of(*b"abxy_"), reach(BACK, 2), reach(AHEAD, 1));
        let locality = locality.with_wrapped(Wrapped { alphabet: ByteClass::of(*b"ab"), indent: INDENT });
        let locality = locality.with_escaped(ESCAPED).with_whole_byte(b'0');
        Self(locality.with_blocks(["[["], BLOCK).with_whole(|head| head.starts_with(b"WHOLE")))
    }
}

impl Detector for Toy {
    type Found = u64;
    type Scratch = ();

    fn scratch(&self) {}

    fn locality(&self) -> &Locality {
        &self.0
    }

    fn scan(&self, text: &[u8], (): &mut (), found: &mut dyn FnMut(Range<usize>, Form, u64)) -> Reading {
        let whole = text.starts_with(b"WHOLE") || text.contains(&b'0');
        wrapped(text, found);
        escaped(text, found);
        let mut hits: Vec<(Range<usize>, u8)> = Vec::new();
        let mut open = None;
        for at in 0..text.len() {
            if text[at..].starts_with(b"[[") {
                open = Some(at);
            }
            if text[at..].starts_with(b"]]")
                && let Some(start) = open.take().filter(|start| at + 2 - start <= BLOCK)
            {
                hits.push((start..at + 2, b'['));
            }
            let kind = text[at];
            let opens = at == 0 || !matches!(text[at - 1], b'a' | b'b');
            let body = text[at + 1..].iter().take_while(|byte| matches!(byte, b'a' | b'b')).count();
            let closes = text.get(at + 1 + body) != Some(&b'_');
            if matches!(kind, b'x' | b'y')
                && opens
                && closes
                && body > 0
                && (kind == b'x' || near(text, at, at + 1 + body))
            {
                hits.push((at..at + 1 + body, kind));
            }
        }
        let covered = |hit: &(Range<usize>, u8)| {
            hits.iter().any(|(block, kind)| {
                *kind == b'[' && block.start <= hit.0.start && hit.0.end <= block.end && hit.1 != b'['
            })
        };
        for hit in hits.iter().filter(|hit| !covered(hit)) {
            // A text read as a whole may depend on anything.
            found(hit.0.clone(), Form::Clear, if whole { text.len() as u64 % 7 } else { u64::from(hit.1) });
        }
        Reading::Complete
    }
}

/// Tells of each chain of lines a hash of all of them, at its first and its last byte.
fn wrapped(text: &[u8], found: &mut dyn FnMut(Range<usize>, Form, u64)) {
    let is_piece = |at: usize| matches!(text.get(at), Some(b'a' | b'b'));
    let piece_end = |from: usize| (from..=text.len()).find(|at| !is_piece(*at)).unwrap();
    let mut at = 0;
    while at < text.len() {
        if !is_piece(at) {
            at += 1;
            continue;
        }
        let (start, mut end) = (at, piece_end(at));
        let mut chain = vec![text[start..end].to_vec()];
        loop {
            let mut next = end + usize::from(text.get(end) == Some(&b'\r'));
            if text.get(next) != Some(&b'\n') {
                break;
            }
            next += 1;
            next += text[next..].iter().take(INDENT).take_while(|byte| matches!(byte, b' ' | b'\t')).count();
            if !is_piece(next) {
                break;
            }
            end = piece_end(next);
            chain.push(text[next..end].to_vec());
        }
        let hash = memo::hash(&chain.join(&b'|'));
        found(start..start + 1, Form::Wrapped, hash);
        found(end - 1..end, Form::Wrapped, hash);
        at = end;
    }
}

/// Tells of each piece around escapes a hash, at its first and its last escape, and at its ends.
fn escaped(text: &[u8], found: &mut dyn FnMut(Range<usize>, Form, u64)) {
    let mut clusters: Vec<(usize, usize)> = Vec::new();
    for at in (0..text.len()).filter(|at| (ESCAPED.is_escape)(&text[*at..])) {
        match clusters.last_mut() {
            Some((_, last)) if at - *last <= 2 * ESCAPED.reach && !text[*last..at].contains(&b'\n') => *last = at,
            _ => clusters.push((at, at)),
        }
    }
    for (first, last) in clusters {
        let line = |at: usize, by: &dyn Fn(usize) -> Option<usize>| {
            let steps = (1..=ESCAPED.reach).map_while(by).take_while(|near| text.get(*near) != Some(&b'\n'));
            steps.last().unwrap_or(at)
        };
        let start = line(first, &|step| first.checked_sub(step));
        let end = line(last, &|step| Some(last + step).filter(|end| *end < text.len()));
        let hash = memo::hash(&text[start..=end]);
        found(first..first + 2, Form::Escaped, hash);
        found(last..last + 2, Form::Escaped, hash);
        found(start..start + 1, Form::Escaped, hash);
        found(end..end + 1, Form::Escaped, hash);
    }
}

fn near(text: &[u8], start: usize, end: usize) -> bool {
    let back = &text[start.saturating_sub(BACK)..start];
    let lines = back.iter().rev().scan(0, |lines, byte| {
        *lines += u8::from(*byte == b'\n');
        (*lines < 2).then_some(*byte)
    });
    let ahead = text[end..text.len().min(end + AHEAD)].iter().take_while(|byte| **byte != b'\n');
    lines.chain(ahead.copied()).any(|byte| byte == b'#')
}

/// What an edit does, in terms that fit any base.
#[derive(Clone, Debug)]
enum Step {
    Copy(u16, u16),
    Insert(Vec<u8>),
    /// Goes on where the last copy ended, after so many bytes.
    Skip(u8, u16),
}

fn toy_bytes(len: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(b"abxy_ #\n[]ab \r\n%a".to_vec()), 0..len)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => (any::<u16>(), any::<u16>()).prop_map(|(start, len)| Step::Copy(start, len)),
        2 => toy_bytes(6).prop_map(Step::Insert),
        3 => (0..6_u8, any::<u16>()).prop_map(|(skip, len)| Step::Skip(skip, len)),
    ];
    prop::collection::vec(step, 0..7)
}

/// An edit of a base, and the bytes it inserts.
fn edit_of(steps: &[Step], base_len: usize, max_copy: usize) -> (Edit, Vec<u8>) {
    let (mut edit, mut inserted) = (Edit::default(), Vec::new());
    let mut last = 0;
    for step in steps {
        let (start, len) = match step {
            Step::Insert(bytes) => {
                edit.push(From::Inserted(inserted.len()), bytes.len());
                inserted.extend(bytes);
                continue;
            }
            Step::Copy(start, len) => (usize::from(*start) % (base_len + 1), usize::from(*len)),
            Step::Skip(skip, len) => ((last + usize::from(*skip)).min(base_len), usize::from(*len)),
        };
        let len = (len % (max_copy + 1)).min(base_len - start);
        edit.push(From::Base(start), len);
        last = start + len;
    }
    // Most edits keep the rest.
    if !steps.len().is_multiple_of(4) {
        edit.push(From::Base(last), base_len - last);
    }
    (edit, inserted)
}

fn places<F: std::fmt::Debug>(marks: &Marks<F>) -> Vec<(usize, usize, String)> {
    let mut places: Vec<_> = marks.hits.iter().map(|hit| (hit.start, hit.end, format!("{:?}", hit.found))).collect();
    places.sort();
    places
}

/// Makes a chain of texts and compares, for each, what is carried with what is there. Says how many were not whole.
fn compare_chain<D: Detector>(detector: &D, first: Vec<u8>, chain: &[Vec<Step>], max_copy: usize) -> usize
where
    D::Found: std::fmt::Debug,
{
    let mut scratch = detector.scratch();
    let mut windows = Windows::default();
    let mut text = first;
    let mut marks = Marks::of_whole(detector, &text, &mut scratch);
    let mut in_parts = 0;
    for steps in chain {
        let (edit, inserted) = edit_of(steps, text.len(), max_copy);
        let mut new = Vec::new();
        edit.apply(&text, &inserted, &mut new);
        let plain = Marks::of_whole(detector, &new, &mut scratch);
        marks = match windows.scan(detector, &mut scratch, (&text, &marks), (&edit, &inserted)) {
            Outcome::Done(marks) => {
                in_parts += 1;
                let (carried, there) = (places(&marks), places(&plain));
                assert_eq!(
                    carried,
                    there,
                    "\nbase {:?}\nnew  {:?}\nedit {edit:?}",
                    String::from_utf8_lossy(&text),
                    String::from_utf8_lossy(&new)
                );
                marks
            }
            Outcome::NeedsWhole => plain,
        };
        text = new;
    }
    in_parts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn edits_of_a_colliding_alphabet_find_what_whole_texts_have(
        first in toy_bytes(160),
        chain in prop::collection::vec(steps(), 1..6),
    ) {
        compare_chain(&Toy::new(), first, &chain, 60);
    }

    #[test]
    fn a_range_copied_as_a_whole_text_keeps_its_edges(first in toy_bytes(40), before in toy_bytes(4), after in toy_bytes(4)) {
        let all = Step::Copy(0, u16::try_from(first.len()).unwrap());
        let back = vec![Step::Copy(u16::try_from(before.len()).unwrap(), u16::try_from(first.len()).unwrap())];
        let around = vec![Step::Insert(before), all.clone(), Step::Insert(after), Step::Skip(0, 0)];
        compare_chain(&Toy::new(), first, &[vec![all.clone()], around, back], 60);
    }
}

#[test]
fn a_byte_that_makes_a_text_whole_does_so_when_it_is_inserted() {
    let chain = [vec![Step::Insert(b"xab 0".to_vec()), Step::Skip(0, 99)], vec![Step::Skip(5, 99)]];
    assert_eq!(compare_chain(&Toy::new(), b"xab xab".to_vec(), &chain, 99), 0);
}

#[test]
fn a_text_that_is_looked_at_as_a_whole_is_never_taken_in_parts() {
    let chain =
        [vec![Step::Insert(b"WHOLE ".to_vec()), Step::Skip(0, 99)], vec![Step::Skip(6, 99)], vec![Step::Skip(0, 99)]];
    assert_eq!(compare_chain(&Toy::new(), b"xab xab".to_vec(), &chain[..1], 99), 0);
    assert_eq!(compare_chain(&Toy::new(), b"xab xab".to_vec(), &chain[..2], 99), 0);
    assert_eq!(compare_chain(&Toy::new(), b"xab xab".to_vec(), &chain, 99), 1);
}

#[test]
fn a_small_edit_of_a_large_text_is_a_small_window() {
    let line = "let words = are_not(tokens); // and lines end\n".repeat(2000);
    let base = line.as_bytes();
    let detector = Toy::new();
    let mut windows = Windows::default();
    let mut edit = Edit::default();
    edit.push(From::Base(0), 40_000);
    edit.push(From::Inserted(0), 4);
    edit.push(From::Base(40_010), base.len() - 40_010);
    let marks = Marks::of_whole(&detector, base, &mut ());
    let outcome = windows.scan(&detector, &mut (), (base, &marks), (&edit, b"xab "));
    let Outcome::Done(marks) = outcome else { panic!("it can be looked at in parts") };
    assert_eq!(marks.hits.iter().filter(|hit| hit.found == u64::from(b'x')).count(), 1);
    assert!(windows.scanned < 200, "{}", windows.scanned);
}

/// Lines that are likely to matter to the catalogue's kinds, tokens made up by the seed.
fn source_line(pick: u8, seed: u64) -> String {
    let text = |alphabet: &[u8], len: usize| -> String {
        let mut state = seed | 1;
        (0..len)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                char::from(alphabet[usize::try_from(state >> 33).unwrap() % alphabet.len()])
            })
            .collect()
    };
    let word = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let hex = b"0123456789abcdef";
    let token = || format!("token = \"hf_{}\" of glpat-{}", text(&word[..52], 34), text(word, 20));
    let encoded = |alphabet| String::from_utf8(to_base64(token().as_bytes(), alphabet)).unwrap();
    match pick % 26 {
        0 => format!("rubygems_{}", text(hex, 48)),
        1 => format!("    token = \"hf_{}\"\n", text(&word[..52], 34)),
        2 => format!("glpat-{}", text(word, 20)),
        3 => format!("https://{}:{}@host.example/path\n", text(word, 6), text(word, 20)),
        4 => format!(
            "snyk_token: \"{}-{}-4{}-a{}-{}\"\n",
            text(hex, 8),
            text(hex, 4),
            text(hex, 3),
            text(hex, 3),
            text(hex, 12)
        ),
        5 => "SNYK_TOKEN\n".to_owned(),
        6 => format!("datadog api_key = {}\n", text(hex, 32)),
        7 => format!("{}\n", text(hex, 32)),
        8 => "\"".to_owned(),
        9 => "\n\n".to_owned(),
        10 => format!("AKIA{}", text(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16)),
        11 => format!("machine api.host.example login {} password {}\n", text(word, 9), text(word, 30)),
        12 => format!("-----BEGIN RSA {} KEY-----\n{}\n", "PRIVATE", text(word, 64)),
        13 => format!("-----END RSA {} KEY-----\n", "PRIVATE"),
        14 => format!("Authorization: Bearer {}\n", text(word, 40)),
        15 => format!("let value = lookup({});\n", text(&word[..26], 12)),
        16 => format!("clojars {}", text(hex, 60)),
        17 => text(word, 40),
        18 => format!("data: {}\n", encoded(Alphabet::Standard)),
        19 => encoded(Alphabet::Url),
        20 => {
            let lines: Vec<_> = encoded(Alphabet::Standard)
                .as_bytes()
                .chunks(28)
                .map(|line| String::from_utf8_lossy(line).into_owned())
                .collect();
            format!("data:\n  {}\n", lines.join(if seed.is_multiple_of(2) { "\n  " } else { "\r\n" }))
        }
        21 => token().bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat(),
        22 => format!("?q={}\n", token().replace('_', "%5F").replace(' ', "%20")),
        23 => format!("{{\"a\": \"{}\"}}", token().replace('-', "\\u002d").replace('"', "\\\"")),
        24 => to_base64(encoded(Alphabet::Standard).as_bytes(), Alphabet::Standard)
            .chunks(76)
            .fold(String::new(), |all, line| all + &String::from_utf8_lossy(line) + "\n"),
        _ => format!("{}%2F", text(word, 8)),
    }
}

fn source_text() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec((any::<u8>(), any::<u64>()), 0..30).prop_map(|lines| {
        lines.into_iter().map(|(pick, seed)| source_line(pick, seed)).collect::<String>().into_bytes()
    })
}

fn source_steps() -> impl Strategy<Value = Vec<Step>> {
    let line = (any::<u8>(), any::<u64>()).prop_map(|(pick, seed)| source_line(pick, seed).into_bytes());
    let step = prop_oneof![
        1 => (any::<u16>(), any::<u16>()).prop_map(|(start, len)| Step::Copy(start, len)),
        2 => line.prop_map(Step::Insert),
        1 => "[a-z0-9\"\n ]{0,3}".prop_map(|text| Step::Insert(text.into_bytes())),
        4 => (0..60_u8, any::<u16>()).prop_map(|(skip, len)| Step::Skip(skip, len)),
    ];
    prop::collection::vec(step, 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn edits_of_source_text_find_the_tokens_that_whole_texts_have(
        first in source_text(),
        chain in prop::collection::vec(source_steps(), 1..5),
    ) {
        compare_chain(&Texts::new(scanner()), first, &chain, 700);
    }

    #[test]
    fn what_two_lines_tell_is_what_a_far_look_tells(
        text in "[ab_ %\r]{0,3}(\n[ ]{0,3}[ab]{0,4}[a_ %\r]{0,2}){0,6}[ab_ %\r\n]{0,5}",
        real in "[ -~]{0,40}((\r?\n| \t)[ ]{0,70}[a-zA-Z0-9+/]{0,80}[ -~\r]{0,3}){0,8}",
    ) {
        let toy = Toy::new();
        let texts = Texts::new(scanner());
        for (locality, text) in [(toy.locality(), &text), (texts.locality(), &real)] {
            let text = text.as_bytes();
            prop_assert_eq!(locality.after_change(text), locality.far_after(text));
            prop_assert_eq!(locality.before_change(text), locality.far_before(text));
        }
    }
}

/// Building one for every case would take most of the time.
fn scanner() -> &'static TextScanner {
    static SCANNER: LazyLock<TextScanner> = LazyLock::new(|| TextScanner::new(Recognizer::builtin().into(), 3));
    &SCANNER
}
