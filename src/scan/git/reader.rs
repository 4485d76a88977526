//! Single reads: one object by its id or slot, with a memory of the last ones.

use std::sync::Arc;

use super::inflate::{Inflated, Inflater};
use super::loose::{self, Loose};
use super::pack::{EntryKind, Pack, most_stored};
use super::recent::Recent;
use super::store::{Place, Store};
use super::{Gap, ObjectId, ObjectKind, delta};
use crate::scan::engine::Edit;

/// An object read for itself.
#[derive(Debug)]
pub struct Object {
    pub kind: ObjectKind,
    pub text: Vec<u8>,
}

/// Reads single objects, with a memory of the last ones: neighbours share bases.
pub struct Reader<'s> {
    store: &'s Store,
    limit: u64,
    inflater: Inflater,
    stored: Vec<u8>,
    delta: Vec<u8>,
    edit: Edit,
    recent: Recent<u32>,
}

/// What an object is.
#[derive(Clone, Copy, Debug)]
pub struct About {
    pub kind: ObjectKind,
    pub size: u64,
    /// Not as a difference from another object.
    pub is_whole: bool,
}

/// No chain of deltas that git writes is nearly as long; a circle is endless.
const MAX_CHAIN: usize = 10_000;

impl<'s> Reader<'s> {
    /// A reader that refuses objects of more than `limit` bytes.
    pub fn new(store: &'s Store, limit: u64) -> Self {
        Self {
            store,
            limit,
            inflater: Inflater::new(),
            stored: Vec::new(),
            delta: Vec::new(),
            edit: Edit::default(),
            recent: Recent::new(),
        }
    }

    /// Reads an object from any of the places it is stored at.
    ///
    /// # Errors
    /// The reason why the first of them could not be read.
    pub fn read(&mut self, id: &ObjectId) -> Result<Arc<Object>, Gap> {
        let mut first = None;
        for slot in self.store.slots(id.as_bytes()) {
            match self.read_slot(slot) {
                Ok(object) => return Ok(object),
                Err(gap) => first = first.or(Some(gap)),
            }
        }
        Err(first.unwrap_or(if self.store.is_partial { Gap::Promised } else { Gap::Missing }))
    }

    /// Reads the object of a slot.
    pub fn read_slot(&mut self, slot: u32) -> Result<Arc<Object>, Gap> {
        let mut chain = Vec::new();
        let mut here = slot;
        let mut object = loop {
            if let Some(object) = self.recent.get(here) {
                break object;
            }
            match self.store.place(here) {
                Place::Loose(at) => break self.read_loose(here, at)?,
                Place::Packed(pack, position) => match self.base_of(pack, position)? {
                    Some(base) if chain.len() < MAX_CHAIN => {
                        chain.push(here);
                        here = base;
                    }
                    Some(_) => return Err(Gap::Damaged),
                    None => break self.read_packed(here, pack, position)?,
                },
            }
        };
        while let Some(next) = chain.pop() {
            object = self.read_delta(next, &object)?;
        }
        Ok(object)
    }

    /// What an object is, without reading all of it.
    pub fn about(&mut self, slot: u32) -> Result<About, Gap> {
        let mut here = slot;
        let mut size = None;
        for _ in 0..MAX_CHAIN {
            let (pack, position) = match self.store.place(here) {
                Place::Loose(at) => {
                    let path = self.store.loose_path(at);
                    let (kind, own) = loose::about(&path, &mut self.inflater).ok_or(Gap::Damaged)?;
                    return Ok(About { kind, size: size.unwrap_or(own), is_whole: size.is_none() });
                }
                Place::Packed(pack, position) => (pack, position),
            };
            let packed = &self.store.packs[pack];
            let stored = packed.read(nth(packed, position)?, 256, &mut self.stored).map_err(|_| Gap::File)?;
            let entry = packed.entry(stored).map_err(|_| Gap::Damaged)?;
            if let EntryKind::Whole(kind) = entry.kind {
                return Ok(About { kind, size: size.unwrap_or(entry.size), is_whole: size.is_none() });
            }
            if size.is_none() {
                let mut head = [0; 32];
                let seen = self.inflater.peek(&stored[entry.header_len..], &mut head).map_err(|_| Gap::Damaged)?;
                size = Some(delta::result_len(&head[..seen]).map_err(|_| Gap::Damaged)? as u64);
            }
            here = self.base_of(pack, position)?.ok_or(Gap::Damaged)?;
        }
        Err(Gap::Damaged)
    }

    /// The content of an object that is stored as it is, to be read once.
    pub fn stream(&mut self, slot: u32) -> Result<Inflated, Gap> {
        match self.store.place(slot) {
            Place::Loose(at) => loose::stream(&self.store.loose_path(at)).map_err(|_| Gap::File),
            Place::Packed(pack, position) => {
                let packed = &self.store.packs[pack];
                let nth = nth(packed, position)?;
                let stored = packed.read(nth, 64, &mut self.stored).map_err(|_| Gap::File)?;
                let entry = packed.entry(stored).map_err(|_| Gap::Damaged)?;
                let bytes = packed.stored(nth, entry.header_len).map_err(|_| Gap::File)?;
                Ok(Inflated::new(bytes, entry.size))
            }
        }
    }

    /// The kind of a slot's object.
    pub fn kind(&mut self, slot: u32) -> Result<ObjectKind, Gap> {
        self.read_slot(slot).map(|object| object.kind)
    }

    fn base_of(&mut self, pack: usize, position: usize) -> Result<Option<u32>, Gap> {
        let packed = &self.store.packs[pack];
        let nth = nth(packed, position)?;
        let stored = packed.read(nth, 64, &mut self.stored).map_err(|_| Gap::File)?;
        let base = match packed.entry(stored).map_err(|_| Gap::Damaged)?.kind {
            EntryKind::Whole(_) => return Ok(None),
            EntryKind::OffsetDelta(distance) => {
                let offset = packed.offset(nth).checked_sub(distance).ok_or(Gap::Damaged)?;
                let base = packed.nth_at(offset).ok_or(Gap::Damaged)?;
                self.store.packed_slot(pack, packed.position(base))
            }
            EntryKind::RefDelta(id) => match packed.index.find(id.as_bytes()) {
                Some(position) => self.store.packed_slot(pack, position),
                None => self.store.slot(id.as_bytes()).ok_or(Gap::Missing)?,
            },
        };
        Ok(Some(base))
    }

    fn read_loose(&mut self, slot: u32, at: usize) -> Result<Arc<Object>, Gap> {
        let path = self.store.loose_path(at);
        match loose::read(&path, self.limit, &mut self.inflater) {
            Loose::Damaged => Err(Gap::Damaged),
            Loose::Object(kind, text) => Ok(self.recent.remember(slot, Object { kind, text })),
            Loose::TooLarge => Err(Gap::TooLarge),
            Loose::Unreadable => Err(Gap::File),
        }
    }

    fn read_packed(&mut self, slot: u32, pack: usize, position: usize) -> Result<Arc<Object>, Gap> {
        let mut text = Vec::new();
        let kind = self.inflate(pack, position, &mut text)?;
        let EntryKind::Whole(kind) = kind else { return Err(Gap::Damaged) };
        Ok(self.recent.remember(slot, Object { kind, text }))
    }

    fn read_delta(&mut self, slot: u32, base: &Object) -> Result<Arc<Object>, Gap> {
        let Place::Packed(pack, position) = self.store.place(slot) else { return Err(Gap::Damaged) };
        let mut bytes = std::mem::take(&mut self.delta);
        let kind = self.inflate(pack, position, &mut bytes);
        self.delta = bytes;
        kind?;
        if delta::result_len(&self.delta).map_err(|_| Gap::Damaged)? as u64 > self.limit {
            return Err(Gap::TooLarge);
        }
        delta::parse(&self.delta, base.text.len(), &mut self.edit).map_err(|_| Gap::Damaged)?;
        let mut text = Vec::new();
        self.edit.apply(&base.text, &self.delta, &mut text);
        Ok(self.recent.remember(slot, Object { kind: base.kind, text }))
    }

    fn inflate(&mut self, pack: usize, position: usize, out: &mut Vec<u8>) -> Result<EntryKind, Gap> {
        let packed = &self.store.packs[pack];
        let nth = nth(packed, position)?;
        let head = packed.read(nth, 64, &mut self.stored).map_err(|_| Gap::File)?;
        let entry = packed.entry(head).map_err(|_| Gap::Damaged)?;
        if entry.size > self.limit {
            return Err(Gap::TooLarge);
        }
        let size = usize::try_from(entry.size).map_err(|_| Gap::TooLarge)?;
        let stored = packed.read(nth, most_stored(entry.size), &mut self.stored).map_err(|_| Gap::File)?;
        self.inflater.inflate(&stored[entry.header_len..], size, out).map_err(|_| Gap::Damaged)?;
        Ok(entry.kind)
    }
}

fn nth(pack: &Pack, position: usize) -> Result<usize, Gap> {
    pack.index.offset(position).and_then(|offset| pack.nth_at(offset)).ok_or(Gap::Damaged)
}
