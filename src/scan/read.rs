//! Reading: from a stream of bytes to findings, in bounded memory.
//!
//! A file is read into a buffer that its worker uses again for the next one. One that does not fit is read in chunks
//! that overlap by twice [`OVERLAP`]: a token is taken from the chunk in which so many bytes stand on both sides of its
//! start, so that it is whole, its context is there, and it is taken once.

use std::collections::{BTreeSet, HashSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Instant;

use super::archive::{self, Budget, Bytes, Format, Left, Member};
use super::coverage::{Coverage, Gap};
use super::fill::{Input, More, fill};
use super::finding::Finding;
use super::git;
use super::incremental::Pending;
use super::lfs::{Lacking, Lfs, Pointer};
use super::lines::{Lines, Position};
use super::names::names;
use super::plan::{History, Plan};
use super::provenance::Provenance;
use super::text::{Decoding, Scratch, TextScanner};
use crate::clock::Timestamp;
use crate::token::FindingId;

const SMALL: usize = 256 << 10;

/// More than the longest token with its context, encoded twice.
const OVERLAP: usize = 64 << 10;

/// What is known and the same for all workers of a scan.
pub struct Shared<'p> {
    pub plan: &'p Plan,
    pub scanner: &'p TextScanner,
    pub now: Timestamp,
    pub until: Option<Instant>,
}

/// One thread's share of a scan.
pub struct Worker<'p> {
    shared: &'p Shared<'p>,
    scratch: Scratch,
    buffers: Vec<Vec<u8>>,
    /// Archives that were told to be damaged.
    damaged: u64,
    /// Tokens in names of folders, each of which many files have in their paths.
    named: HashSet<(FindingId, String)>,
    pub harvest: Harvest,
}

/// What a worker has found.
#[derive(Default)]
pub struct Harvest {
    pub findings: Vec<Finding>,
    pub coverage: Coverage,
    /// Findings that a comment in the text suppressed.
    pub inline: u64,
    /// Tokens that stood there before what was chosen to be read.
    pub earlier: BTreeSet<FindingId>,
    /// Histories that were read, to be remembered.
    pub pending: Vec<Pending>,
}

/// Where the bytes come from; made into a [`Provenance`] only for a finding.
#[derive(Clone, Copy)]
pub enum Place<'p> {
    Member { outer: &'p Place<'p>, name: &'p str },
    Path(&'p Path),
    Root(&'p Provenance),
}

impl Place<'_> {
    fn provenance(&self) -> Provenance {
        match self {
            Self::Member { outer, name } => outer.provenance().member((*name).to_owned()),
            Self::Path(path) => Provenance::file(slashed(path)),
            Self::Root(provenance) => (*provenance).clone(),
        }
    }

    fn shown(&self) -> String {
        self.provenance().shown()
    }
}

/// The path with `/`, as it is written in ignore files on every system.
pub fn slashed(path: &Path) -> String {
    let text = path.to_string_lossy();
    let text = if std::path::MAIN_SEPARATOR == '\\' { text.replace('\\', "/").into() } else { text };
    text.strip_prefix("./").unwrap_or(&text).to_owned()
}

impl Harvest {
    pub fn merge(&mut self, other: Self) {
        self.findings.extend(other.findings);
        self.coverage.merge(other.coverage);
        self.inline += other.inline;
        self.earlier.extend(other.earlier);
        self.pending.extend(other.pending);
    }
}

impl<'p> Worker<'p> {
    pub fn new(shared: &'p Shared<'p>) -> Self {
        let (scratch, harvest) = (shared.scanner.scratch(), Harvest::default());
        Self { shared, scratch, buffers: Vec::new(), damaged: 0, named: HashSet::new(), harvest }
    }

    /// Whether the scan's time is over.
    pub fn is_late(&self) -> bool {
        self.shared.until.is_some_and(|until| Instant::now() > until)
    }

    /// Scans a regular file.
    pub fn file(&mut self, path: &Path) {
        self.name(path);
        self.file_at(path, Place::Path(path));
    }

    /// Scans a regular file that has another name in the report.
    pub fn file_as(&mut self, path: &Path, provenance: &Provenance) {
        self.file_at(path, Place::Root(provenance));
    }

    fn file_at(&mut self, path: &Path, place: Place<'_>) {
        match File::open(path) {
            Ok(mut file) => {
                if self.is_too_large(&file) {
                    return self.gap(Gap::TooLarge, &place);
                }
                self.harvest.coverage.files += 1;
                self.shared.plan.progress.file();
                self.input(Input::File(&mut file), place, 0, None);
            }
            Err(_) => self.gap(Gap::Unreadable, &place),
        }
    }

    /// Scans what a stream has in it.
    pub fn stream(&mut self, stream: &mut dyn Read, provenance: &Provenance) {
        self.harvest.coverage.files += 1;
        self.input(Input::Stream(stream), Place::Root(provenance), 0, None);
    }

    /// Scans a blob of a repository.
    pub fn object(&mut self, bytes: &mut dyn Read, size: u64, provenance: &Provenance) {
        self.input(Input::Sized(bytes, size), Place::Root(provenance), 0, None);
    }

    /// Scans what an LFS pointer stands for.
    pub fn lfs(&mut self, pointer: &Pointer, common_dir: &Path, provenance: &Provenance) {
        let place = Place::Root(provenance);
        let lent = self.shared.plan.lent.iter().filter(|lent| lent.to == common_dir).map(|lent| lent.from.as_path());
        let mut opened = pointer.open(common_dir);
        for copy in lent {
            opened = opened.or_else(|_| pointer.open(copy));
        }
        match opened {
            Ok(file) if self.is_too_large(&file) => self.gap(Gap::TooLarge, &place),
            Ok(mut file) => {
                self.harvest.coverage.files += 1;
                self.input(Input::File(&mut file), place, 0, None);
            }
            Err(Lacking::Damaged) => self.gap(Gap::LfsDamaged, &place),
            Err(Lacking::Missing) => {
                self.lfs_gap(&place);
                self.harvest.coverage.absent.content(common_dir, pointer.to_string());
            }
        }
    }

    fn lfs_gap(&mut self, place: &Place<'_>) {
        let shown = self.shown(&place.shown());
        self.harvest.coverage.gaps.add_many(git::Gap::LfsPointer.name(), 1, [shown]);
    }

    fn is_too_large(&self, file: &File) -> bool {
        let limit = self.shared.plan.max_file_size;
        limit.is_some_and(|limit| file.metadata().is_ok_and(|about| about.len() > limit))
    }

    /// Searches what a file or a folder is called.
    pub fn name(&mut self, path: &Path) {
        let Some(name) = path.file_name() else { return };
        self.search_names(&name.to_string_lossy(), &|_| Provenance::file(slashed(path)));
    }

    /// Searches every name of a path in a repository; folders are told at their own paths.
    pub fn path_names(&mut self, whole: &Provenance) {
        self.search_names(&whole.path, &|part| Provenance { path: part.to_owned(), ..whole.clone() });
    }

    fn search_names(&mut self, path: &str, place: &dyn Fn(&str) -> Provenance) {
        let Shared { plan, scanner, now, .. } = *self.shared;
        for name in names(path) {
            let (sightings, _) = scanner.scan(&path.as_bytes()[name.clone()], &mut self.scratch);
            for sighting in sightings.drain(..).filter(|one| one.confidence >= plan.min_confidence) {
                let (provenance, start) = (place(&path[..name.end]), Position { line: 1, column: 1 });
                let finding = Finding::new(&sighting, 0, start, provenance, plan.secrets, scanner.recognizer(), now);
                let Some(finding) = finding.map(Finding::in_name) else { continue };
                if self.named.insert((finding.id.clone(), finding.provenance.shown())) {
                    self.harvest.findings.push(finding);
                }
            }
        }
    }

    pub fn gap(&mut self, gap: Gap, place: &Place<'_>) {
        let shown = self.shown(&place.shown());
        self.harvest.coverage.gaps.add(gap, &shown);
    }

    pub fn skip(&mut self, gap: Gap, path: &Path) {
        let shown = self.shown(&slashed(path));
        self.harvest.coverage.skipped.add(gap, &shown);
    }

    fn shown(&mut self, path: &str) -> String {
        crate::redact::inert(&self.shared.scanner.withheld(path, &mut self.scratch), 300)
    }

    fn input(&mut self, input: Input<'_>, place: Place<'_>, depth: usize, budget: Option<&Budget>) {
        let mut buffer = self.buffers.pop().unwrap_or_else(|| vec![0; SMALL]);
        self.chunks(input, place, depth, budget, &mut buffer);
        self.buffers.push(buffer);
    }

    fn chunks(
        &mut self,
        mut input: Input<'_>,
        place: Place<'_>,
        depth: usize,
        budget: Option<&Budget>,
        buffer: &mut Vec<u8>,
    ) {
        let (mut filled, mut more) = fill(&mut input, buffer, 0);
        if let Some(format) = Format::of(&buffer[..filled])
            && self.shared.plan.archives.depth > 0
        {
            if depth >= self.shared.plan.archives.depth {
                self.gap(Gap::ArchiveDepth, &place);
            } else if self.archive(format, &mut input, &buffer[..filled], more.is_end(), place, depth, budget) {
                return;
            }
        }
        // With the history, pointers are followed there.
        if let (History::None, Place::Path(path)) = (self.shared.plan.history, place)
            && more.is_end()
            && Pointer::parse(&buffer[..filled]).is_some()
        {
            match self.shared.plan.lfs {
                Lfs::Content => self.lfs_gap(&place),
                Lfs::Pointers => self.skip(Gap::LfsPointer, path),
            }
        }
        let mut lines = Lines::default();
        let mut base = 0;
        loop {
            if more == More::Unreadable && budget.is_none() {
                self.gap(Gap::Unreadable, &place);
            }
            let own = if base == 0 { 0 } else { OVERLAP }..if more == More::Yes { filled - OVERLAP } else { filled };
            self.chunk(&buffer[..filled], own, base, place, &mut lines);
            self.shared.plan.progress.bytes(filled as u64);
            if more != More::Yes {
                self.harvest.coverage.bytes += base + filled as u64;
                return;
            }
            if self.is_late() {
                return self.gap(Gap::TimeOut, &place);
            }
            let cut = filled - 2 * OVERLAP;
            lines.advance(&buffer[..filled], cut);
            buffer.copy_within(cut..filled, 0);
            base += cut as u64;
            (filled, more) = fill(&mut input, buffer, 2 * OVERLAP);
        }
    }

    fn chunk(&mut self, text: &[u8], own: std::ops::Range<usize>, base: u64, place: Place<'_>, lines: &mut Lines) {
        let (sightings, decoding) = self.shared.scanner.scan(text, &mut self.scratch);
        for sighting in sightings.drain(..) {
            let (start, end) = (sighting.range.start, sighting.range.end);
            if !own.contains(&start) || sighting.confidence < self.shared.plan.min_confidence {
                continue;
            }
            if self.shared.plan.inline.suppresses(text, start, end) {
                self.harvest.inline += 1;
                continue;
            }
            self.harvest.findings.extend(Finding::new(
                &sighting,
                base + start as u64,
                lines.position(text, start),
                place.provenance(),
                self.shared.plan.secrets,
                self.shared.scanner.recognizer(),
                self.shared.now,
            ));
        }
        if decoding == Decoding::Limited {
            self.gap(Gap::Decoding, &place);
        }
    }

    /// Opens an archive. `false` if it is none after all, and its bytes are to be read as they are.
    #[expect(clippy::too_many_arguments, reason = "the arguments of its one caller, of which most are passed on")]
    fn archive(
        &mut self,
        format: Format,
        input: &mut Input<'_>,
        head: &[u8],
        all: bool,
        place: Place<'_>,
        depth: usize,
        budget: Option<&Budget>,
    ) -> bool {
        let own;
        let budget = if let Some(shared) = budget {
            shared
        } else {
            let size = match input {
                Input::File(file) => file.metadata().ok().map(|about| about.len()).filter(|len| *len > 0),
                Input::Sized(_, size) => Some(*size),
                Input::Stream(_) => None,
            };
            own = Budget::new(&self.shared.plan.archives, size);
            &own
        };
        if format == Format::Unread {
            self.gap(Gap::ArchiveFormat, &place);
            return false;
        }
        let bytes = match input {
            _ if all => Bytes::Memory(head),
            Input::File(file) if format == Format::Zip => Bytes::Seekable(*file),
            Input::File(file) => Bytes::Stream(head, *file),
            Input::Sized(stream, _) | Input::Stream(stream) => Bytes::Stream(head, *stream),
        };
        let mut members = 0;
        let damaged = self.damaged;
        let told = archive::open(format, bytes, budget, &mut |member| {
            members += 1;
            if let Member::Named(name, _) | Member::Unread(name, _) = &member {
                self.search_names(name, &|part| place.provenance().member(part.to_owned()));
            }
            match member {
                // A compressed file is its content: `x.tar.gz!/a` says all that `x.tar.gz!/x.tar!/a` does.
                Member::Content(stream) => self.input(Input::Stream(stream), place, depth + 1, Some(budget)),
                Member::Named(name, stream) => {
                    self.harvest.coverage.members += 1;
                    let place = Place::Member { outer: &place, name };
                    self.input(Input::Stream(stream), place, depth + 1, Some(budget));
                }
                Member::Unread(name, gap) => self.gap(gap, &Place::Member { outer: &place, name }),
            }
        });
        self.harvest.coverage.archives += 1;
        match told {
            // The limit belongs to the file on the outside: one gap, not one for each layer.
            Err(Left::Limit(gap)) if depth == 0 => self.gap(gap, &place),
            Ok(()) | Err(Left::Limit(_)) => {}
            Err(Left::Damaged) => {
                // A cut file is one gap, although each layer of it ends too early.
                if self.damaged == damaged {
                    self.gap(Gap::ArchiveDamaged, &place);
                    self.damaged += 1;
                }
                return members > 0;
            }
        }
        true
    }
}
