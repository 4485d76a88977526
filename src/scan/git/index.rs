//! Pack indexes: which objects a pack holds, and where.
//!
//! Versions 1 and 2 of [the format](https://git-scm.com/docs/pack-format). The file is held in memory as it is; every
//! place in it is checked when it is read, so a hostile index costs a refusal and nothing else. A multi-pack index is
//! not needed: it says nothing that the packs' own indexes do not.

use super::oid::{HashKind, ObjectId};

/// The index of one pack.
pub struct Index {
    bytes: Vec<u8>,
    hash_len: usize,
    count: usize,
    version: Version,
    /// Where the ids begin whose first bits are so, and where the last of them ends.
    buckets: Vec<u32>,
    /// Which bits of an id's first eight bytes these are.
    shift: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// The index is not one, or not one of this repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pack's index is damaged")]
pub struct BadIndex;

const MAGIC: [u8; 8] = [0xff, b't', b'O', b'c', 0, 0, 0, 2];
const FANOUT: usize = 256 * 4;

impl Index {
    pub fn parse(bytes: Vec<u8>, hash: HashKind) -> Result<Self, BadIndex> {
        let version = if bytes.starts_with(&MAGIC[..4]) { Version::Two } else { Version::One };
        if version == Version::Two && !bytes.starts_with(&MAGIC) {
            return Err(BadIndex);
        }
        let hash_len = hash.id_len();
        let mut index = Self { bytes, hash_len, count: 0, version, buckets: Vec::new(), shift: 0 };
        let mut before = 0;
        for first in 0..=255 {
            let upto = index.fanout(first).ok_or(BadIndex)?;
            if upto < before {
                return Err(BadIndex);
            }
            before = upto;
        }
        index.count = before;
        let fixed = index.header() + FANOUT + 2 * hash_len;
        let len = index.bytes.len();
        let fits = match version {
            Version::One => index.count.checked_mul(4 + hash_len).and_then(|all| all.checked_add(fixed)) == Some(len),
            Version::Two => {
                let small = index.count.checked_mul(hash_len + 8).and_then(|all| all.checked_add(fixed));
                small
                    .and_then(|small| len.checked_sub(small))
                    .is_some_and(|large| large % 8 == 0 && large / 8 <= index.count)
            }
        };
        if !fits {
            return Err(BadIndex);
        }
        index.fill_buckets();
        Ok(index)
    }

    /// The format's own table of 256 leaves ten halvings, of which each is a miss of the cache; one with an entry for
    /// every other id leaves one or two.
    fn fill_buckets(&mut self) {
        let bits = self.count.max(1).ilog2().clamp(1, MAX_BUCKET_BITS);
        self.shift = u64::BITS - bits;
        let mut buckets = Vec::with_capacity((1 << bits) + 1);
        buckets.push(0);
        for position in 0..self.count {
            let bucket = self.bucket(spread(self.raw_id(position)));
            // In a hostile index ids are in no order; then some are not found, and nothing else.
            if let Ok(start) = u32::try_from(position) {
                buckets.resize(buckets.len().max(bucket + 1), start);
            }
        }
        buckets.resize((1 << bits) + 1, u32::try_from(self.count).unwrap_or(u32::MAX));
        self.buckets = buckets;
    }

    fn bucket(&self, first: u64) -> usize {
        // At most `MAX_BUCKET_BITS` bits are left.
        usize::try_from(first >> self.shift).unwrap_or_default()
    }

    /// How many objects the pack holds.
    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The raw id of the object at `position` of the index.
    pub fn raw_id(&self, position: usize) -> &[u8] {
        let start = match self.version {
            Version::One => self.header() + FANOUT + position * (4 + self.hash_len) + 4,
            Version::Two => self.header() + FANOUT + position * self.hash_len,
        };
        &self.bytes[start..start + self.hash_len]
    }

    pub fn id(&self, position: usize) -> ObjectId {
        ObjectId::from_raw(self.raw_id(position)).expect("the index was parsed with the length of an id")
    }

    /// Where the object begins in the pack; `None` if the index is damaged there.
    pub fn offset(&self, position: usize) -> Option<u64> {
        match self.version {
            Version::One => self.u32_at(FANOUT + position * (4 + self.hash_len)).map(u64::from),
            Version::Two => {
                let offsets = self.header() + FANOUT + self.count * (self.hash_len + 4);
                let short = self.u32_at(offsets + position * 4)?;
                if short >> 31 == 0 {
                    return Some(u64::from(short));
                }
                let row = (short & 0x7fff_ffff) as usize;
                let at = offsets.checked_add(self.count * 4)?.checked_add(row.checked_mul(8)?)?;
                let trailer = self.bytes.len() - 2 * self.hash_len;
                (at + 8 <= trailer).then_some(())?;
                Some(u64::from(self.u32_at(at)?) << 32 | u64::from(self.u32_at(at + 4)?))
            }
        }
    }

    /// The position of an object.
    pub fn find(&self, raw: &[u8]) -> Option<usize> {
        if raw.len() != self.hash_len {
            return None;
        }
        let target = spread(raw);
        let bucket = self.bucket(target);
        let (mut low, mut high) = (self.buckets[bucket] as usize, self.buckets[bucket + 1] as usize);
        while low < high {
            let middle = low + (high - low) / 2;
            let id = self.raw_id(middle);
            // Eight bytes at once nearly always tell.
            match spread(id).cmp(&target).then_with(|| id.cmp(raw)) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    fn header(&self) -> usize {
        match self.version {
            Version::One => 0,
            Version::Two => MAGIC.len(),
        }
    }

    fn fanout(&self, first: usize) -> Option<usize> {
        self.u32_at(self.header() + first * 4).map(|count| count as usize)
    }

    fn u32_at(&self, at: usize) -> Option<u32> {
        let bytes = self.bytes.get(at..at.checked_add(4)?)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    }
}

/// So many buckets at most.
const MAX_BUCKET_BITS: u32 = 24;

/// The first bytes of an id as a number.
fn spread(raw: &[u8]) -> u64 {
    raw.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn version_one(ids: &[[u8; 20]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for first in 0..=255_u8 {
            let upto = ids.iter().filter(|id| id[0] <= first).count();
            bytes.extend(u32::try_from(upto).unwrap().to_be_bytes());
        }
        for (at, id) in ids.iter().enumerate() {
            bytes.extend(u32::try_from(at * 100).unwrap().to_be_bytes());
            bytes.extend(id);
        }
        bytes.extend([0; 40]);
        bytes
    }

    #[test]
    fn an_index_of_version_one_is_read() {
        let mut ids: Vec<[u8; 20]> = (0..40_u8).map(|n| [n.wrapping_mul(37); 20]).collect();
        ids.sort_unstable();
        let index = Index::parse(version_one(&ids), HashKind::Sha1).unwrap();
        assert_eq!(index.len(), 40);
        for (at, id) in ids.iter().enumerate() {
            assert_eq!(index.find(id), Some(at));
            assert_eq!(index.offset(at), Some(at as u64 * 100));
        }
        assert_eq!(index.find(&[0xfe; 20]), None);
    }

    #[test]
    fn an_index_of_another_size_is_refused() {
        let good = version_one(&[[7; 20]]);
        for wrong in [&good[..good.len() - 1], &good[..1000], &[]] {
            assert!(Index::parse(wrong.to_vec(), HashKind::Sha1).is_err());
        }
        assert!(Index::parse(good, HashKind::Sha256).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_index_panic(mut bytes: Vec<u8>, magic: bool, raw in prop::array::uniform20(0u8..)) {
            if magic {
                bytes.splice(..0, MAGIC);
            }
            bytes.resize(bytes.len().max(1200), 0);
            if let Ok(index) = Index::parse(bytes, HashKind::Sha1) {
                index.find(&raw);
                for at in 0..index.len() {
                    index.offset(at);
                    index.id(at);
                }
            }
        }
    }
}
