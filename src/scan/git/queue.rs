//! The queue of a walk: roots first, then branches of the trees that others are in.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::forest::Root;

/// Tasks of all workers.
pub struct Queue<'f, S> {
    roots: &'f [Root],
    next: AtomicUsize,
    hungry: AtomicUsize,
    shared: Mutex<Shared<S>>,
    wake: Condvar,
}

struct Shared<S> {
    branches: Vec<(Arc<Text<S>>, u32)>,
    workers: usize,
    waiting: usize,
}

/// An object that others are made from.
pub struct Text<S> {
    pub bytes: Vec<u8>,
    pub seen: S,
}

pub enum Task<S> {
    Branch(Arc<Text<S>>, u32),
    Root(Root),
}

impl<'f, S> Queue<'f, S> {
    pub fn new(roots: &'f [Root], workers: usize) -> Self {
        Self {
            roots,
            next: AtomicUsize::new(0),
            hungry: AtomicUsize::new(0),
            shared: Mutex::new(Shared { branches: Vec::new(), workers, waiting: 0 }),
            wake: Condvar::new(),
        }
    }

    /// The next task; `None` when nobody has any more to give.
    pub fn take(&self) -> Option<Task<S>> {
        if let Some(root) = self.roots.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            return Some(Task::Root(*root));
        }
        let mut shared = self.lock();
        loop {
            if let Some((text, nth)) = shared.branches.pop() {
                return Some(Task::Branch(text, nth));
            }
            shared.waiting += 1;
            if shared.waiting == shared.workers {
                self.wake.notify_all();
                return None;
            }
            self.hungry.fetch_add(1, Ordering::Relaxed);
            shared = self.wake.wait(shared).unwrap_or_else(PoisonError::into_inner);
            self.hungry.fetch_sub(1, Ordering::Relaxed);
            if shared.waiting == shared.workers {
                return None;
            }
            shared.waiting -= 1;
        }
    }

    pub fn is_hungry(&self) -> bool {
        self.hungry.load(Ordering::Relaxed) > 0
    }

    pub fn give(&self, text: &Arc<Text<S>>, branches: &[u32]) {
        self.lock().branches.extend(branches.iter().map(|nth| (Arc::clone(text), *nth)));
        self.wake.notify_all();
    }

    /// A worker that dies must not leave the others waiting.
    pub fn give_up(&self) {
        let mut shared = self.lock();
        shared.waiting = shared.workers;
        self.wake.notify_all();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shared<S>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
