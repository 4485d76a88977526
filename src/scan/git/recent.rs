//! Recent: the objects that a reader has put together last. Neighbours share bases.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::Arc;

use super::reader::Object;

/// The last objects by their place, within [`CACHE_BYTES`].
pub struct Recent<P> {
    objects: HashMap<P, Arc<Object>>,
    oldest: VecDeque<P>,
    bytes: usize,
}

/// How much a reader remembers.
const CACHE_BYTES: usize = 32 << 20;

impl<P: Copy + Eq + Hash> Recent<P> {
    pub fn new() -> Self {
        Self { objects: HashMap::new(), oldest: VecDeque::new(), bytes: 0 }
    }

    pub fn get(&self, place: P) -> Option<Arc<Object>> {
        self.objects.get(&place).map(Arc::clone)
    }

    /// Keeps an object, unless it would push out most others.
    pub fn remember(&mut self, place: P, object: Object) -> Arc<Object> {
        let object = Arc::new(object);
        let cost = cost(&object);
        if cost < CACHE_BYTES / 4 && self.objects.insert(place, Arc::clone(&object)).is_none() {
            self.oldest.push_back(place);
            self.bytes += cost;
        }
        while self.bytes > CACHE_BYTES {
            let Some(gone) = self.oldest.pop_front().and_then(|place| self.objects.remove(&place)) else { break };
            self.bytes -= self::cost(&gone);
        }
        object
    }
}

fn cost(object: &Object) -> usize {
    object.text.len() + 128
}
