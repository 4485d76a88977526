//! What must hold for any bytes at all: the bodies of the fuzz targets.
//!
//! Each takes bytes and panics if a promise is broken. The property tests of the main package call the same functions,
//! so that they stay right where no fuzzer is at hand.

use std::fs;
use std::sync::LazyLock;
use std::sync::atomic::AtomicBool;

use stanch::clock::{Clock, Timestamp};
use stanch::recognize::{Identified, Recognizer, Scratch};
use stanch::scan::engine::{Detector, Edit, From, Marks, Outcome, Texts, Windows};
use stanch::scan::git::{Closed, HashKind, Options, Reftable, Selection, scan_repository};
use stanch::scan::report::{self, Colour, Detail, Format, Look};
use stanch::scan::{ArchiveLimits, Plan, Target, TextScanner, View, run_on_stream};
use stanch::token::caveat::{Caveat, Context, Project};
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

/// A file of rules is refused or read, and what was read finds tokens inside of any text.
pub fn import(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(rules) = stanch::scan::rules::read(&text) else { return };
    let mut builder = Recognizer::builder().only(&[]);
    for kind in rules.kinds {
        builder = builder.with_kind(kind);
    }
    for (kind, pattern) in rules.patterns {
        builder = builder.with_pattern(kind, pattern);
    }
    let Ok(recognizer) = builder.build() else { return };
    let mut end = 0;
    recognizer.scan(bytes, &mut Scratch::new(), |one| {
        assert!(one.start >= end && !one.text.is_empty() && one.start + one.text.len() <= bytes.len());
        end = one.start + one.text.len();
    });
}

/// A report is refused or shown, and what is shown of it is read again as the same.
pub fn view(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let view = View { scanner: &SCANNER, now: Timestamp::from_millis(0) };
    let Ok(outcome) = view.read(&[("report", &text)]) else { return };
    let written = |outcome: &stanch::scan::Outcome, format| {
        let mut out = Vec::new();
        let look = Look { detail: Detail::Full, colour: Colour::Off, width: Some(80) };
        report::write(outcome, format, look, &mut out).expect("memory takes everything");
        String::from_utf8(out).expect("reports are UTF-8")
    };
    let json = written(&outcome, Format::Json);
    let again = view.read(&[("report", &json)]).unwrap_or_else(|(_, bad)| panic!("{bad}: {json}"));
    assert_eq!(written(&again, Format::Json), json);
    for format in [Format::Human, Format::Html, Format::Sarif, Format::Csv, Format::GithubActions] {
        let told = written(&outcome, format);
        assert!(!told.chars().any(|letter| letter.is_control() && !"\r\n".contains(letter)), "{told:?}");
    }
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
    // What the strict reader takes is written back as it was, and found by the lenient one as the same macaroon.
    if let Some(read) = macaroon::read_strictly("acme", bytes) {
        assert_eq!(read.text("acme").expose(), bytes);
        let found = macaroon::find(bytes).expect("one spelling is one of all");
        assert_eq!(found.macaroon.canonical(), read.canonical());
    }
}

/// A caveat is read or refused; what is read and can be written is read again as the same, and checking it never panics.
pub fn caveat(bytes: &[u8]) {
    let Ok(read) = Caveat::read(bytes) else { return };
    if let Ok(text) = read.write() {
        assert_eq!(Caveat::read(text.as_bytes()).as_ref(), Ok(&read));
    }
    let context = Context {
        project: Some(Project { name: "A.b", id: Some("x") }),
        user: Some("u"),
        method: Some("GET"),
        path: Some("/a/b"),
        address: Some([192, 0, 2, 1].into()),
        ..Context::at(Timestamp::from_millis(1_795_395_604_000))
    };
    let _ = read.check(&context);
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

static SCANNER: LazyLock<TextScanner> = LazyLock::new(|| TextScanner::new(Recognizer::builtin().into(), 3));

/// Whatever is encoded in whatever: sightings are in the text and in order, and the same when memory is used again.
pub fn decode(bytes: &[u8]) {
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

/// Looking at an edit where it differs from its base finds what reading the whole text finds.
///
/// The first two bytes say how long the base is; what follows it is read as steps: a byte below 128 inserts so many of
/// the next bytes, any other copies, from the place and for the length that the next two say.
pub fn edit(bytes: &[u8]) {
    let [high, low, rest @ ..] = bytes else { return };
    let (base, mut steps) = rest.split_at(rest.len().min(usize::from(*high) << 8 | usize::from(*low)));
    let (mut edit, inserted) = (Edit::default(), steps);
    while let [step, tail @ ..] = steps {
        if *step < 128 {
            let len = usize::from(*step).min(tail.len());
            edit.push(From::Inserted(inserted.len() - tail.len()), len);
            steps = &tail[len..];
        } else {
            let [place, len, tail @ ..] = tail else { break };
            let start = usize::from(*place) * base.len() / 255;
            edit.push(From::Base(start), (usize::from(*len) * base.len() / 255).min(base.len() - start));
            steps = tail;
        }
    }
    let mut text = Vec::new();
    edit.apply(base, inserted, &mut text);
    let detector = Texts::new(&SCANNER);
    let mut scratch = detector.scratch();
    let of_base = Marks::of_whole(&detector, base, &mut scratch);
    let of_text = Marks::of_whole(&detector, &text, &mut scratch);
    let outcome = Windows::default().scan(&detector, &mut scratch, (base, &of_base), (&edit, inserted));
    if let Outcome::Done(carried) = outcome {
        let places = |marks: &Marks<_>| -> Vec<_> {
            let mut all: Vec<_> =
                marks.hits.iter().map(|hit| (hit.start, hit.end, format!("{:?}", hit.found))).collect();
            all.sort();
            all
        };
        // A text in which something was left out may have more in parts.
        assert!(of_text.is_limited || places(&carried) == places(&of_text), "{base:?} {text:?}");
    }
}

/// A repository of any bytes is read to its end. The first two bytes say where the pack ends and its index begins.
pub fn history(bytes: &[u8]) {
    let [high, low, rest @ ..] = bytes else { return };
    let (pack, index) = rest.split_at(rest.len().min(usize::from(*high) << 8 | usize::from(*low)));
    let dir = tempfile::tempdir().expect("there is a place for temporary files");
    let packs = dir.path().join("objects/pack");
    fs::create_dir_all(&packs).expect("the directory is new");
    let loose = dir.path().join("objects/00");
    fs::create_dir_all(&loose).expect("the directory is new");
    for (path, bytes) in [
        (dir.path().join("HEAD"), b"ref: refs/heads/main\n".as_slice()),
        (packs.join("pack-0.pack"), pack),
        (packs.join("pack-0.idx"), index),
        (loose.join("0".repeat(38)), pack),
    ] {
        fs::write(path, bytes).expect("the directory is writable");
    }
    let options = Options { max_object_bytes: 1 << 20, threads: 1, selection: Selection::All, ..Options::default() };
    let never = AtomicBool::new(false);
    let scanned = scan_repository(dir.path(), &Texts::new(&SCANNER), &Closed, &options, &never);
    assert!(scanned.is_ok_and(|all| all.findings.iter().all(|found| found.start < found.end)));
}

/// A blob of a repository that is an archive, or says so, ends within its limits and is told or left to be told.
pub fn past_archive(bytes: &[u8]) {
    let dir = tempfile::tempdir().expect("there is a place for temporary files");
    let id = "12".repeat(20);
    let object = dir.path().join("objects/12").join(&id[2..]);
    for folder in ["objects/12", "refs/tags"] {
        fs::create_dir_all(dir.path().join(folder)).expect("the directory is new");
    }
    let loose = stored(&[format!("blob {}\0", bytes.len()).as_bytes(), bytes].concat());
    for (path, bytes) in [
        (dir.path().join("HEAD"), b"ref: refs/heads/main\n".as_slice()),
        (dir.path().join("refs/tags/v1"), id.as_bytes()),
        (object, &loose),
    ] {
        fs::write(path, bytes).expect("the directory is writable");
    }
    let archives = ArchiveLimits { bytes: 4 << 20, ..ArchiveLimits::default() };
    let target = Target::Path(dir.path().to_owned());
    let plan = Plan { archives, threads: 1, ..Plan::new(vec![target], Recognizer::builtin().into(), Clock::system()) };
    let outcome = stanch::scan::run(&plan).expect("the folder is there");
    assert_eq!(outcome.coverage.objects, 1);
    assert!(outcome.coverage.bytes <= (6 << 20) + 2 * bytes.len() as u64);
}

/// Bytes as a zlib stream that compresses nothing.
fn stored(bytes: &[u8]) -> Vec<u8> {
    let mut stream = vec![0x78, 0x01];
    let mut parts = bytes.chunks(0xffff).peekable();
    while let Some(part) = parts.next() {
        let len = u16::try_from(part.len()).expect("parts are short");
        stream.push(u8::from(parts.peek().is_none()));
        stream.extend(len.to_le_bytes());
        stream.extend((!len).to_le_bytes());
        stream.extend(part);
    }
    let (mut low, mut high) = (1_u32, 0_u32);
    for byte in bytes {
        low = (low + u32::from(*byte)) % 65_521;
        high = (high + low) % 65_521;
    }
    stream.extend((high << 16 | low).to_be_bytes());
    stream
}

/// A table of references of any bytes is refused or read, and what is read twice says the same. The first bytes say how
/// long its blocks are and where its logs begin; its checksum is made right, so that what is behind it is reached.
pub fn reftable(bytes: &[u8]) {
    let _ = Reftable::default().add(bytes, HashKind::Sha1);
    let [size, logs, body @ ..] = bytes else { return };
    let mut table = b"REFT\x01\0".to_vec();
    table.extend([*size, 0]);
    table.extend([0; 16]);
    let header = table.clone();
    table.extend(body);
    let logs = body.len() as u64 * u64::from(*logs) / 255;
    let mut footer = header;
    footer.extend([0; 24]);
    footer.extend(logs.to_be_bytes());
    footer.extend([0; 8]);
    footer.extend(crc32(&footer).to_be_bytes());
    table.extend(footer);
    let mut first = Reftable::default();
    if first.add(&table, HashKind::Sha1).is_ok() {
        assert!(first.references.keys().all(|name| name.len() <= 3 * 4096));
        assert!(first.ids().count() <= table.len() / 20);
        let again = first.clone();
        first.add(&table, HashKind::Sha1).expect("it was read before");
        assert_eq!(first, again);
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 })
    })
}
