//! Carry: the hits of a new text from those of its base and the edit between them.

use std::ops::Range;

use super::memo::{self, Memo};
use super::{Detector, Edit, Field, Form, From, HEAD, Locality, Part, Reading};

/// Something found in a text, with the bytes that decided about it.
#[derive(Clone, Debug)]
pub struct Hit<F> {
    pub start: usize,
    pub end: usize,
    pub field: Field,
    pub found: F,
}

impl<F> Hit<F> {
    /// A hit that is never carried to another text.
    pub fn alone(start: usize, end: usize, found: F) -> Self {
        Self { start, end, field: NOWHERE, found }
    }
}

/// What is remembered of a text for the texts made from it.
#[derive(Clone, Debug)]
pub struct Marks<F> {
    pub hits: Vec<Hit<F>>,
    /// Places of block markers.
    markers: Vec<usize>,
    /// Looked at as a whole only: fields mean nothing here.
    whole: bool,
    /// The detector has left something of the text out.
    pub is_limited: bool,
}

impl<F> Default for Marks<F> {
    fn default() -> Self {
        Self { hits: Vec::new(), markers: Vec::new(), whole: false, is_limited: false }
    }
}

/// Whether an edit could be looked at in parts.
#[derive(Debug)]
pub enum Outcome<F> {
    Done(Marks<F>),
    /// The new text has to be put together and read from end to end.
    NeedsWhole,
}

impl<F: Clone> Marks<F> {
    /// Of a text that nothing is carried from, since it was not looked at.
    pub fn unread() -> Self {
        Self { whole: true, ..Self::default() }
    }

    /// Reads a text from end to end.
    pub fn of_whole<D: Detector<Found = F>>(detector: &D, text: &[u8], scratch: &mut D::Scratch) -> Self {
        let locality = detector.locality();
        let mut marks = Self { whole: locality.is_whole(text) || locality.makes_whole(text), ..Self::default() };
        let mut fields = Fields::default();
        let reading = detector.scan(text, scratch, &mut |range, form, found| {
            let field = if marks.whole { NOWHERE } else { fields.of(locality, text, range.start, range.end, form) };
            marks.hits.push(Hit { start: range.start, end: range.end, field, found });
        });
        // What was left out of a text can be left out of one made from it as well.
        marks.is_limited = reading == Reading::Limited;
        marks.whole |= marks.is_limited;
        marks.hits.sort_by_key(|hit| (hit.start, hit.end));
        locality.markers(text, |at| marks.markers.push(at));
        marks
    }
}

/// The field of a hit that is never carried.
const NOWHERE: Field = Field { lo: i64::MIN, hi: i64::MAX };

/// Working memory for looking at edits, and how much was looked at.
pub struct Windows {
    list: Vec<Window>,
    bytes: Vec<u8>,
    memo: Memo,
    /// Bytes of windows handed to the detector so far.
    pub scanned: u64,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    from: usize,
    to: usize,
    /// Where it begins in the gathered bytes.
    gathered: usize,
    hash: u64,
    has_hits: bool,
}

/// Two windows nearer than this become one: a call costs more than these bytes.
const JOIN: usize = 48;

/// More markers times parts than this are not worth comparing: the text is read whole.
const MAX_MARKER_WORK: usize = 1 << 16;

impl Default for Windows {
    fn default() -> Self {
        Self { list: Vec::new(), bytes: Vec::new(), memo: Memo::new(), scanned: 0 }
    }
}

impl Windows {
    /// Looks at a new text where it differs from its base.
    pub fn scan<D: Detector>(
        &mut self,
        detector: &D,
        scratch: &mut D::Scratch,
        base: (&[u8], &Marks<D::Found>),
        (edit, inserted): (&Edit, &[u8]),
    ) -> Outcome<D::Found> {
        let locality = detector.locality();
        let (base, base_marks) = base;
        if base_marks.whole || self.begins_whole(locality, base, edit, inserted) {
            return Outcome::NeedsWhole;
        }
        self.find_windows(locality, base, edit);
        let Some(markers) = self.carry_markers(locality, base.len(), &base_marks.markers, edit) else {
            return Outcome::NeedsWhole;
        };
        let mut marks = Marks { markers, ..Marks::default() };
        carry_hits(base.len(), &base_marks.hits, edit, &mut marks.hits);
        self.gather(locality, base, edit, inserted);
        let mut blocks = 0;
        locality.markers(&self.bytes, |_| blocks += 1);
        // Whatever was inserted is in a window, and windows that were empty before have nothing that makes a text whole.
        if blocks > 0 || locality.makes_whole(&self.bytes) {
            return Outcome::NeedsWhole;
        }
        self.scanned += self.bytes.len() as u64;
        let mut fields = Fields::default();
        let reading = detector.scan(&self.bytes, scratch, &mut |range, form, found| {
            let field = fields.of(locality, &self.bytes, range.start, range.end, form);
            let after = self.list.partition_point(|window| window.gathered <= range.start);
            let Some(window) = after.checked_sub(1).and_then(|index| self.list.get_mut(index)) else { return };
            window.has_hits = true;
            if !is_carried(window.place(field, edit.len()), base.len(), edit) {
                let by = |at: usize| at - window.gathered + window.from;
                let (start, end) = (by(range.start), by(range.end));
                let field = window.place(field, edit.len());
                marks.hits.push(Hit { start, end, field, found });
            }
        });
        if reading == Reading::Limited {
            return Outcome::NeedsWhole;
        }
        self.remember_empty();
        marks.hits.sort_by_key(|hit| (hit.start, hit.end));
        Outcome::Done(marks)
    }

    /// Whether there is nothing in a text that is short and met again and again, as names are.
    pub fn is_empty<D: Detector>(&mut self, detector: &D, scratch: &mut D::Scratch, text: &[u8]) -> bool {
        let hash = memo::hash(text);
        if self.memo.is_empty(text, hash) {
            return true;
        }
        let mut is_empty = true;
        let reading = detector.scan(text, scratch, &mut |_, _, _| is_empty = false);
        if is_empty && reading == Reading::Complete && !detector.locality().makes_whole(text) {
            self.memo.remember(text, hash);
        }
        is_empty
    }

    fn begins_whole(&mut self, locality: &Locality, base: &[u8], edit: &Edit, inserted: &[u8]) -> bool {
        // Nearly always the base's own beginning, which was looked at.
        if edit.parts().first().is_some_and(|part| part.from == From::Base(0) && part.len >= HEAD) {
            return false;
        }
        self.bytes.clear();
        edit.copy_range(base, inserted, 0, edit.len().min(HEAD), &mut self.bytes);
        locality.is_whole(&self.bytes)
    }

    /// Widens every inserted range and every seam.
    fn find_windows(&mut self, locality: &Locality, base: &[u8], edit: &Edit) {
        self.list.clear();
        for part in edit.parts() {
            let From::Base(start) = part.from else {
                self.look_at(part.at, part.at + part.len);
                continue;
            };
            let bytes = &base[start..start + part.len];
            let kept = part.kept(base.len(), edit.len());
            let head = if kept.start { 0 } else { locality.after_change(bytes) };
            let tail = if kept.end || head == part.len { 0 } else { locality.before_change(bytes) };
            if head + tail + JOIN >= part.len && !(kept.start && kept.end) {
                self.look_at(part.at, part.at + part.len);
                continue;
            }
            if !kept.start {
                self.look_at(part.at, part.at + head);
            }
            if !kept.end {
                self.look_at(part.at + part.len - tail, part.at + part.len);
            }
        }
    }

    fn look_at(&mut self, from: usize, to: usize) {
        match self.list.last_mut() {
            Some(last) if last.to >= from => last.to = last.to.max(to),
            _ => self.list.push(Window { from, to, gathered: 0, hash: 0, has_hits: false }),
        }
    }

    /// Puts the windows together, one text for one call of the detector: between them are as many line breaks as it
    /// never looks across. Those known to have nothing in them are left out.
    fn gather(&mut self, locality: &Locality, base: &[u8], edit: &Edit, inserted: &[u8]) {
        let Self { list, bytes, memo, .. } = self;
        bytes.clear();
        let lines = locality.back.lines.max(locality.ahead.lines);
        list.retain_mut(|window| {
            let before = bytes.len();
            if before > 0 {
                bytes.resize(before + lines, b'\n');
            }
            window.gathered = bytes.len();
            edit.copy_range(base, inserted, window.from, window.to, bytes);
            let text = &bytes[window.gathered..];
            window.hash = memo::hash(text);
            let is_known = memo.is_empty(text, window.hash);
            if is_known {
                bytes.truncate(before);
            }
            !is_known
        });
    }

    fn remember_empty(&mut self) {
        for window in self.list.iter().filter(|window| !window.has_hits) {
            let text = &self.bytes[window.gathered..window.gathered + (window.to - window.from)];
            self.memo.remember(text, window.hash);
        }
    }

    /// The markers of the base that are markers of the new text, unless a block of the base may be another one now.
    fn carry_markers(
        &self,
        locality: &Locality,
        base_len: usize,
        markers: &[usize],
        edit: &Edit,
    ) -> Option<Vec<usize>> {
        if markers.len().saturating_mul(edit.parts().len()) > MAX_MARKER_WORK {
            return None;
        }
        let mut carried = Vec::new();
        for marker in markers {
            let zone = locality.zone(*marker, base_len);
            for part in edit.parts() {
                let Some(copied) = part.copied(base_len, edit.len()) else { continue };
                if zone.hi <= copied.lo || zone.lo >= copied.hi {
                    continue;
                }
                let moved = zone.moved(part);
                // So is the window at the end of a range that holds a part of the zone only.
                let near = |window: &Window| signed(window.from) < moved.hi && moved.lo < signed(window.to);
                if self.list.iter().any(near) {
                    return None;
                }
                carried.push(usize::try_from(moved.lo + 1).ok()?);
            }
        }
        Some(carried)
    }
}

impl Window {
    /// A field among the gathered bytes as one of the text.
    ///
    /// At an edge that only the window has it is cut short, and lies in a copied range on that side: a change that
    /// mattered to the hit would have made the window wider.
    fn place(&self, field: Field, text_len: usize) -> Field {
        let (from, to, gathered) = (signed(self.from), signed(self.to), signed(self.gathered));
        let (lo, hi) = (field.lo - gathered + from, field.hi - gathered + from);
        Field {
            lo: if lo >= from { lo } else { from - i64::from(self.from == 0) },
            hi: if hi <= to { hi } else { to + i64::from(self.to == text_len) },
        }
    }
}

/// Which ends of a copied range are an end of both texts.
struct Kept {
    start: bool,
    end: bool,
}

impl Part {
    fn kept(&self, base_len: usize, len: usize) -> Kept {
        let From::Base(start) = self.from else { return Kept { start: false, end: false } };
        Kept { start: start == 0 && self.at == 0, end: start + self.len == base_len && self.at + self.len == len }
    }

    /// The bytes of the base that are here, with an edge where it is one of both texts.
    fn copied(&self, base_len: usize, len: usize) -> Option<Field> {
        let From::Base(start) = self.from else { return None };
        let kept = self.kept(base_len, len);
        Some(Field { lo: signed(start) - i64::from(kept.start), hi: signed(start + self.len) + i64::from(kept.end) })
    }
}

impl Field {
    fn is_within(self, other: Self) -> bool {
        self.lo >= other.lo && self.hi <= other.hi
    }

    /// The field of the base, moved to where `part` has put it.
    fn moved(self, part: &Part) -> Self {
        let From::Base(start) = part.from else { return self };
        let by = signed(part.at) - signed(start);
        Self { lo: self.lo + by, hi: self.hi + by }
    }
}

/// Fields of hits of one text. All hits of a run share one, so that a run full of hits is walked once.
#[derive(Default)]
struct Fields {
    last: Option<(Range<usize>, Field)>,
}

impl Fields {
    fn of(&mut self, locality: &Locality, text: &[u8], start: usize, end: usize, form: Form) -> Field {
        match &self.last {
            _ if form != Form::Clear => locality.field(text, start, end, form),
            Some((run, field)) if run.start <= start && end <= run.end => *field,
            _ => {
                let field = locality.field(text, start, end, form);
                self.last = locality.run_around(text, start, end).map(|run| (run, field));
                field
            }
        }
    }
}

fn carry_hits<F: Clone>(base_len: usize, hits: &[Hit<F>], edit: &Edit, carried: &mut Vec<Hit<F>>) {
    if hits.is_empty() {
        return;
    }
    for part in edit.parts() {
        let Some(copied) = part.copied(base_len, edit.len()) else { continue };
        let first = hits.partition_point(|hit| signed(hit.start) < copied.lo);
        for hit in hits[first..].iter().take_while(|hit| signed(hit.start) < copied.hi) {
            if let From::Base(start) = part.from
                && hit.field.is_within(copied)
            {
                let (start, end) = (hit.start - start + part.at, hit.end - start + part.at);
                carried.push(Hit { start, end, field: hit.field.moved(part), found: hit.found.clone() });
            }
        }
    }
}

/// Whether the field of a hit of the new text lies in one copied range.
fn is_carried(field: Field, base_len: usize, edit: &Edit) -> bool {
    let parts = edit.parts();
    let after = parts.partition_point(|part| signed(part.at) <= field.lo.max(0));
    let Some(part) = after.checked_sub(1).and_then(|index| parts.get(index)) else { return false };
    part.copied(base_len, edit.len()).is_some_and(|copied| field.is_within(copied.moved(part)))
}

fn signed(at: usize) -> i64 {
    i64::try_from(at).unwrap_or(i64::MAX)
}
