//! How many calls an issuer gets in a span of time.
//!
//! The limiter counts what is refused as well: of a hundred calls that come at once each is told its own turn, so that
//! they do not all come back at the next free one.

use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::clock::{Clock, Timestamp};

pub(super) struct Limiter {
    calls: RateLimiter<NotKeyed, InMemoryState, Stopwatch, NoOpMiddleware<Duration>>,
    /// The time in which one call becomes free.
    period: Duration,
    queued: u32,
}

impl Limiter {
    pub fn new(per_second: NonZeroU32, burst: NonZeroU32, clock: Clock) -> Self {
        let quota = Quota::per_second(per_second).allow_burst(burst);
        let period = quota.replenish_interval();
        Self { calls: RateLimiter::direct_with_clock(quota, Stopwatch::new(clock)), period, queued: 0 }
    }

    /// Takes one call, or says how long to wait.
    pub fn take(&mut self) -> Result<(), Duration> {
        let Err(early) = self.calls.check() else {
            self.queued = 0;
            return Ok(());
        };
        let wait = early.wait_time_from(self.calls.clock().now()) + self.period * self.queued;
        self.queued = self.queued.saturating_add(1);
        Err(wait)
    }
}

/// Time that only runs forward: a clock that is set back neither stops the flow of calls nor grants extra ones.
struct Stopwatch {
    clock: Clock,
    seen: Mutex<(Timestamp, Duration)>,
}

impl Stopwatch {
    fn new(clock: Clock) -> Self {
        let seen = Mutex::new((clock.now(), Duration::ZERO));
        Self { clock, seen }
    }
}

impl governor::clock::Clock for Stopwatch {
    type Instant = Duration;

    fn now(&self) -> Duration {
        let mut seen = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let now = self.clock.now();
        let (last, elapsed) = *seen;
        *seen = (now, elapsed + now.since(last));
        seen.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(per_second: u32, burst: u32, clock: &Clock) -> Limiter {
        let positive = |number| NonZeroU32::new(number).expect("positive");
        Limiter::new(positive(per_second), positive(burst), clock.clone())
    }

    #[test]
    fn a_burst_passes_and_then_one_call_each_period() {
        let clock = Clock::manual(Timestamp::from_millis(0));
        let mut limiter = limiter(10, 3, &clock);
        assert!((0..3).all(|_| limiter.take().is_ok()));
        assert_eq!(limiter.take(), Err(Duration::from_millis(100)));
        clock.advance(Duration::from_millis(100));
        assert_eq!(limiter.take(), Ok(()));
        assert!(limiter.take().is_err());
    }

    #[test]
    fn each_that_is_refused_gets_a_turn_of_its_own() {
        let clock = Clock::manual(Timestamp::from_millis(0));
        let mut limiter = limiter(10, 1, &clock);
        assert_eq!(limiter.take(), Ok(()));
        let waits: Vec<_> = (0..3).map(|_| limiter.take().map_err(|wait| wait.as_millis())).collect();
        assert_eq!(waits, [Err(100), Err(200), Err(300)]);
    }
}
