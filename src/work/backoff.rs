//! How long to wait before the next try: full jitter under a doubling cap.
//!
//! Drawn from the whole interval, not added to it, so that a thousand jobs that failed in one outage do not come back
//! in one wave (Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015). The due time is stored
//! with the job: a restart forgets nothing.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

const BASE: Duration = Duration::from_secs(1);
/// A pause of zero would be a busy loop if chance drew it again and again.
const FLOOR: Duration = Duration::from_millis(100);

/// Draws pauses. The seed is passed in, so that a test can repeat a run.
pub struct Backoff {
    rng: Mutex<SmallRng>,
}

impl Backoff {
    pub fn new(seed: u64) -> Self {
        Self { rng: Mutex::new(SmallRng::seed_from_u64(seed)) }
    }

    /// The pause after `tries` failed tries, at most `cap`.
    pub fn pause(&self, tries: u32, cap: Duration) -> Duration {
        let ceiling = BASE.saturating_mul(2_u32.saturating_pow(tries.min(20))).min(cap).max(FLOOR);
        let millis = u64::try_from(ceiling.as_millis()).unwrap_or(u64::MAX);
        let floor = u64::try_from(FLOOR.as_millis()).unwrap_or(0);
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        Duration::from_millis(rng.random_range(floor..=millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_grows_with_the_tries_and_stays_under_the_cap() {
        let (backoff, cap) = (Backoff::new(7), Duration::from_mins(5));
        for tries in 0..64 {
            let pause = backoff.pause(tries, cap);
            assert!(pause >= FLOOR && pause <= cap, "{tries}: {pause:?}");
        }
        let longest_first = (0..200).map(|_| backoff.pause(0, cap)).max();
        let longest_later = (0..200).map(|_| backoff.pause(6, cap)).max();
        assert!(longest_first <= Some(BASE) && longest_later > Some(Duration::from_secs(30)));
    }

    #[test]
    fn pauses_are_spread_over_the_whole_interval() {
        let (backoff, cap) = (Backoff::new(7), Duration::from_secs(64));
        let pauses: Vec<_> = (0..400).map(|_| backoff.pause(6, cap)).collect();
        let early = pauses.iter().filter(|pause| **pause < cap / 4).count();
        assert!(
            (50..150).contains(&early),
            "a quarter of {} should lie in the first quarter, not {early}",
            pauses.len()
        );
    }
}
