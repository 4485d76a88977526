//! Rate limits: how often somebody may fail, create or report.
//!
//! One bucket a key, filled evenly (GCRA): a burst at first, then one at a time. A bucket can be looked at without taking
//! from it, so that whoever fails too often is stopped before the next try is even looked up. Memory is bounded: what is
//! full again is forgotten, and if everybody hammers at once, the keys share one bucket.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, Timestamp};

/// So many at once, and then so many in a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub burst: u32,
    pub per: Duration,
}

/// One bucket a key.
pub struct Limiter<K> {
    rate: Rate,
    clock: Clock,
    /// When each key's bucket is full again; a key that is not here has a full one.
    full_at: Mutex<HashMap<Option<K>, Timestamp>>,
}

/// Most keys that are told apart at one time.
const MAX_KEYS: usize = 100_000;

impl<K: Clone + Eq + Hash> Limiter<K> {
    pub fn new(rate: Rate, clock: Clock) -> Self {
        Self { rate, clock, full_at: Mutex::default() }
    }

    /// Whether one more would pass now; takes nothing.
    ///
    /// # Errors
    /// How long to wait if it would not.
    pub fn look(&self, key: &K) -> Result<(), Duration> {
        let (now, full_at) = (self.clock.now(), self.lock());
        let at = full_at.get(&Some(key.clone())).or_else(|| full_at.get(&None).filter(|_| full_at.len() >= MAX_KEYS));
        self.judge(at.copied(), now, 1).map(drop)
    }

    /// Takes `count` from the key's bucket.
    ///
    /// # Errors
    /// How long to wait if there are not so many in it; then nothing is taken.
    pub fn take(&self, key: &K, count: u32) -> Result<(), Duration> {
        let now = self.clock.now();
        let mut full_at = self.lock();
        if full_at.len() >= MAX_KEYS {
            full_at.retain(|_, at| *at > now);
        }
        // Strangers share a bucket once there are too many of them: memory is not theirs to take.
        let crowded = full_at.len() >= MAX_KEYS && !full_at.contains_key(&Some(key.clone()));
        let key = if crowded { None } else { Some(key.clone()) };
        let next = self.judge(full_at.get(&key).copied(), now, count)?;
        full_at.insert(key, next);
        Ok(())
    }

    /// When the bucket is full again after taking `count`, or how long to wait.
    fn judge(&self, full_at: Option<Timestamp>, now: Timestamp, count: u32) -> Result<Timestamp, Duration> {
        let Rate { burst, per } = self.rate;
        let each = per / burst.max(1);
        let room = now.plus(per);
        // No bucket is emptier than empty, and after the clock was set back it must not seem to be.
        let base = full_at.filter(|at| *at > now).map_or(now, |at| at.min(room));
        let next = base.plus(each * count.min(burst));
        if next > room { Err(next.since(room)) } else { Ok(next) }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Option<K>, Timestamp>> {
        self.full_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who counts as one caller: an IPv4 address, or an IPv6 network of the size that one customer gets (RFC 6177).
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter() -> (Limiter<u8>, Clock) {
        let clock = Clock::manual(Timestamp::from_millis(1_000_000));
        (Limiter::new(Rate { burst: 3, per: Duration::from_secs(30) }, clock.clone()), clock)
    }

    #[test]
    fn a_burst_passes_and_then_one_at_a_time() {
        let (limiter, clock) = limiter();
        for _ in 0..3 {
            assert_eq!(limiter.look(&1), Ok(()));
            assert_eq!(limiter.take(&1, 1), Ok(()));
        }
        assert_eq!(limiter.look(&1), Err(Duration::from_secs(10)));
        assert_eq!(limiter.take(&1, 1), Err(Duration::from_secs(10)));
        assert_eq!(limiter.take(&2, 1), Ok(()), "another key has a bucket of its own");
        clock.advance(Duration::from_secs(10));
        assert_eq!(limiter.take(&1, 1), Ok(()));
        assert!(limiter.take(&1, 1).is_err());
        clock.advance(Duration::from_secs(30));
        assert_eq!(limiter.take(&1, 3), Ok(()), "full again");
    }

    #[test]
    fn what_does_not_fit_takes_nothing() {
        let (limiter, _) = limiter();
        assert_eq!(limiter.take(&1, 2), Ok(()));
        assert!(limiter.take(&1, 2).is_err());
        assert_eq!(limiter.take(&1, 1), Ok(()));
        assert_eq!(limiter.take(&2, 1_000), Ok(()), "more than a burst counts as one burst");
    }

    #[test]
    fn a_clock_that_is_set_back_shuts_nobody_out_for_long() {
        let (limiter, clock) = limiter();
        let full_at = clock.now().plus(Duration::from_hours(1));
        let wait = limiter.judge(Some(full_at), clock.now(), 1).expect_err("as good as empty");
        assert_eq!(wait, Duration::from_secs(10), "one place comes free as always");
    }

    #[test]
    fn one_customer_is_one_caller() {
        let of = |text: &str| network(text.parse().expect(text));
        assert_eq!(of("2001:db8:1:2:3::4"), of("2001:db8:1:2:ffff::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.7"), of("192.0.2.7"));
        assert_ne!(of("192.0.2.7"), of("192.0.2.8"));
    }
}
