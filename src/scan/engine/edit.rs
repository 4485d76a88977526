//! Edits: how a text is made from another one, as git's deltas say it.

/// A part of the new text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where it begins in the new text.
    pub at: usize,
    pub len: usize,
    pub from: From,
}

/// Where a part of the new text is taken from, and from which place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    Base(usize),
    Inserted(usize),
}

/// A new text in terms of its base: parts that lie side by side, each inside of what it is taken from.
#[derive(Debug, Default)]
pub struct Edit {
    parts: Vec<Part>,
    len: usize,
}

impl Edit {
    pub fn clear(&mut self) {
        self.parts.clear();
        self.len = 0;
    }

    /// Length of the new text.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Adds a part at the end. Ranges of the base that go on where the last one ended become one.
    pub fn push(&mut self, from: From, len: usize) {
        if len == 0 {
            return;
        }
        match (self.parts.last_mut(), from) {
            (Some(Part { from: From::Base(start), len: before, .. }), From::Base(more)) if *start + *before == more => {
                *before += len;
            }
            _ => self.parts.push(Part { at: self.len, len, from }),
        }
        self.len += len;
    }

    /// Appends the bytes `from..to` of the new text.
    pub fn copy_range(&self, base: &[u8], inserted: &[u8], from: usize, to: usize, out: &mut Vec<u8>) {
        let first = self.parts.partition_point(|part| part.at + part.len <= from);
        for part in self.parts[first..].iter().take_while(|part| part.at < to) {
            let skip = from.saturating_sub(part.at);
            let end = part.len.min(to - part.at);
            out.extend_from_slice(&part.bytes(base, inserted)[skip..end]);
        }
    }

    /// Appends the whole new text.
    pub fn apply(&self, base: &[u8], inserted: &[u8], out: &mut Vec<u8>) {
        out.reserve(self.len);
        for part in &self.parts {
            out.extend_from_slice(part.bytes(base, inserted));
        }
    }
}

impl Part {
    pub fn bytes<'a>(&self, base: &'a [u8], inserted: &'a [u8]) -> &'a [u8] {
        match self.from {
            From::Base(start) => &base[start..start + self.len],
            From::Inserted(start) => &inserted[start..start + self.len],
        }
    }
}
