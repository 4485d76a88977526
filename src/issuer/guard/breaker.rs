//! When an issuer is left alone: after failures, after it refused us, when it asked for a pause.
//!
//! Pure but for the clock that is passed in. Closed: calls pass. After enough failures in a row, or one refusal of our
//! credential, it opens: no call passes until the pause is over. Then one call at a time probes; its success closes,
//! its failure opens again for twice as long, up to a cap. A probe that is dropped unanswered frees its place.

use std::time::Duration;

use crate::clock::Timestamp;

/// When to stop calling, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct BreakerSettings {
    /// Failures in a row that open the breaker.
    pub failures: u32,
    /// The first pause; it doubles with every probe that fails.
    pub pause: Duration,
    pub pause_cap: Duration,
    /// The pause after the issuer refused our credential: only a person can help.
    pub misconfigured_pause: Duration,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            failures: 5,
            pause: Duration::from_secs(1),
            pause_cap: Duration::from_mins(1),
            misconfigured_pause: Duration::from_mins(5),
        }
    }
}

/// What a call showed about the issuer, whatever it said about the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Answered,
    Failed(String),
    Refused(String),
    Throttled(Duration),
}

/// Leave for one call. It goes back by [`Breaker::settle`], or by [`Breaker::give_up`] if the call was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pass {
    probe: bool,
    round: u64,
}

/// Why there is no leave, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Resting {
    pub why: String,
    pub until: Timestamp,
    /// Only a person can end it for good: the issuer refuses our credential.
    pub misconfigured: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BreakerState {
    #[default]
    Closed,
    /// One call at a time finds out whether the issuer is back.
    HalfOpen,
    Open,
    /// Open because the issuer refuses our credential.
    Misconfigured,
}

impl BreakerState {
    pub fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Misconfigured => "misconfigured",
            Self::Open => "open",
        }
    }
}

/// A change of state that somebody should hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Closed,
    Misconfigured { why: String, pause: Duration },
    Opened { why: String, pause: Duration },
}

pub(super) struct Breaker {
    settings: BreakerSettings,
    phase: Phase,
    failures: u32,
    /// The pause that the next failing probe earns.
    next_pause: Duration,
    /// Counts changes of phase: what an earlier phase let out says nothing about this one.
    round: u64,
    /// Asked for by the issuer. Independent of the phase.
    asked_pause: Option<Rest>,
}

enum Phase {
    Closed,
    Open { rest: Rest, why: String, misconfigured: bool },
    Probing { why: String, misconfigured: bool },
}

/// A span in which nothing is called. It also ends when the clock is set back to before it began, because a rest must
/// not outlive its length by the size of the step.
#[derive(Clone, Copy)]
struct Rest {
    since: Timestamp,
    until: Timestamp,
}

impl Breaker {
    pub fn new(settings: BreakerSettings) -> Self {
        Self { settings, phase: Phase::Closed, failures: 0, next_pause: settings.pause, round: 0, asked_pause: None }
    }

    /// Why and until when no call may pass now.
    pub fn resting(&self, now: Timestamp) -> Option<Resting> {
        if let Some(rest) = self.asked_pause.filter(|rest| rest.holds(now)) {
            let why = "the issuer asked for a pause".into();
            return Some(Resting { why, until: rest.until, misconfigured: false });
        }
        match &self.phase {
            Phase::Open { rest, why, misconfigured } if rest.holds(now) => {
                Some(Resting { why: why.clone(), until: rest.until, misconfigured: *misconfigured })
            }
            // The probe's answer decides; that takes as long as one call does.
            Phase::Probing { why, misconfigured } => {
                Some(Resting { why: why.clone(), until: now.plus(PROBE_WAIT), misconfigured: *misconfigured })
            }
            Phase::Closed | Phase::Open { .. } => None,
        }
    }

    pub fn admit(&mut self, now: Timestamp) -> Result<Pass, Resting> {
        if let Some(resting) = self.resting(now) {
            return Err(resting);
        }
        if let Phase::Open { why, misconfigured, .. } = &self.phase {
            self.phase = Phase::Probing { why: why.clone(), misconfigured: *misconfigured };
            self.round += 1;
            return Ok(Pass { probe: true, round: self.round });
        }
        Ok(Pass { probe: false, round: self.round })
    }

    pub fn settle(&mut self, pass: Pass, sign: Sign, now: Timestamp) -> Option<Change> {
        if let Sign::Throttled(pause) = sign {
            // A later, shorter wish does not cut an earlier, longer one.
            let until = now.plus(pause).max(self.asked_pause.map_or(now, |rest| rest.until));
            self.asked_pause = Some(Rest { since: now, until });
        }
        if pass.round != self.round {
            return None;
        }
        match sign {
            // Who asks for a pause is there.
            Sign::Answered | Sign::Throttled(_) => {
                self.failures = 0;
                pass.probe.then(|| self.close())
            }
            Sign::Failed(why) => {
                self.failures = self.failures.saturating_add(1);
                (pass.probe || self.failures >= self.settings.failures).then(|| {
                    let pause = self.next_pause;
                    self.next_pause = (pause * 2).min(self.settings.pause_cap);
                    self.open(now, pause, why.clone(), false);
                    Change::Opened { why, pause }
                })
            }
            Sign::Refused(why) => {
                let pause = self.settings.misconfigured_pause;
                self.open(now, pause, why.clone(), true);
                Some(Change::Misconfigured { why, pause })
            }
        }
    }

    /// The call was dropped before it was answered: nothing was learnt, somebody else may probe.
    pub fn give_up(&mut self, pass: Pass, now: Timestamp) {
        if pass.round == self.round
            && let Phase::Probing { why, misconfigured } = &self.phase
        {
            let (why, misconfigured) = (why.clone(), *misconfigured);
            self.open(now, Duration::ZERO, why, misconfigured);
        }
    }

    pub fn state(&self) -> BreakerState {
        match &self.phase {
            Phase::Closed => BreakerState::Closed,
            Phase::Open { misconfigured: true, .. } | Phase::Probing { misconfigured: true, .. } => {
                BreakerState::Misconfigured
            }
            Phase::Open { .. } => BreakerState::Open,
            Phase::Probing { .. } => BreakerState::HalfOpen,
        }
    }

    fn close(&mut self) -> Change {
        self.phase = Phase::Closed;
        self.next_pause = self.settings.pause;
        self.round += 1;
        Change::Closed
    }

    fn open(&mut self, now: Timestamp, pause: Duration, why: String, misconfigured: bool) {
        self.phase = Phase::Open { rest: Rest { since: now, until: now.plus(pause) }, why, misconfigured };
        self.round += 1;
    }
}

/// How long the others wait while one call probes.
const PROBE_WAIT: Duration = Duration::from_secs(1);

impl Rest {
    fn holds(self, now: Timestamp) -> bool {
        self.since <= now && now < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> BreakerSettings {
        BreakerSettings {
            failures: 3,
            pause: Duration::from_secs(1),
            pause_cap: Duration::from_secs(4),
            misconfigured_pause: Duration::from_mins(5),
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + seconds * 1_000)
    }

    fn failed() -> Sign {
        Sign::Failed("it failed".into())
    }

    /// A breaker that three failures opened at `at(0)`.
    fn opened() -> Breaker {
        let mut breaker = Breaker::new(settings());
        for _ in 0..3 {
            let pass = breaker.admit(at(0)).expect("closed");
            breaker.settle(pass, failed(), at(0));
        }
        assert_eq!(breaker.state(), BreakerState::Open);
        breaker
    }

    #[test]
    fn it_opens_after_failures_in_a_row_only() {
        let mut breaker = Breaker::new(settings());
        for sign in [failed(), failed(), Sign::Answered, failed(), failed()] {
            let pass = breaker.admit(at(0)).expect("closed");
            assert_eq!(breaker.settle(pass, sign, at(0)), None);
        }
        let pass = breaker.admit(at(0)).expect("closed");
        assert!(matches!(breaker.settle(pass, failed(), at(0)), Some(Change::Opened { .. })));
        assert_eq!(breaker.admit(at(0)).map_err(|resting| resting.until), Err(at(1)));
    }

    #[test]
    fn one_call_at_a_time_probes_and_its_success_closes() {
        let mut breaker = opened();
        let probe = breaker.admit(at(1)).expect("the pause is over");
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        assert!(breaker.admit(at(1)).is_err(), "a second probe");
        assert!(breaker.resting(at(1)).is_some(), "the worker leaves its jobs alone meanwhile");
        assert_eq!(breaker.settle(probe, Sign::Answered, at(1)), Some(Change::Closed));
        assert!(breaker.admit(at(1)).is_ok() && breaker.admit(at(1)).is_ok());
    }

    #[test]
    fn the_pause_doubles_up_to_its_cap_and_is_short_again_after_a_success() {
        let mut breaker = opened();
        let mut now = 1;
        for pause in [2, 4, 4, 4] {
            let probe = breaker.admit(at(now)).expect("the pause is over");
            breaker.settle(probe, failed(), at(now));
            assert_eq!(breaker.resting(at(now)).map(|resting| resting.until), Some(at(now + pause)));
            now += pause;
        }
        let probe = breaker.admit(at(now)).expect("the pause is over");
        breaker.settle(probe, Sign::Answered, at(now));
        for _ in 0..3 {
            let pass = breaker.admit(at(now)).expect("closed");
            breaker.settle(pass, failed(), at(now));
        }
        assert_eq!(breaker.resting(at(now)).map(|resting| resting.until), Some(at(now + 1)));
    }

    #[test]
    fn a_dropped_probe_frees_its_place() {
        let mut breaker = opened();
        let probe = breaker.admit(at(1)).expect("the pause is over");
        breaker.give_up(probe, at(1));
        assert!(breaker.admit(at(1)).is_ok());
    }

    #[test]
    fn a_late_answer_from_before_says_nothing_about_now() {
        let mut breaker = Breaker::new(settings());
        let late = breaker.admit(at(0)).expect("closed");
        for _ in 0..3 {
            let pass = breaker.admit(at(0)).expect("closed");
            breaker.settle(pass, failed(), at(0));
        }
        assert_eq!(breaker.settle(late, Sign::Answered, at(0)), None);
        assert_eq!(breaker.state(), BreakerState::Open);
        let probe = breaker.admit(at(1)).expect("the pause is over");
        breaker.give_up(late, at(1));
        assert_eq!(breaker.state(), BreakerState::HalfOpen, "only the probe itself gives its place up");
        assert_eq!(breaker.settle(probe, Sign::Answered, at(1)), Some(Change::Closed));
    }

    #[test]
    fn one_refusal_of_our_credential_opens_it_for_long() {
        let mut breaker = Breaker::new(settings());
        let pass = breaker.admit(at(0)).expect("closed");
        let change = breaker.settle(pass, Sign::Refused("401".into()), at(0));
        assert!(matches!(change, Some(Change::Misconfigured { .. })));
        assert_eq!(breaker.state(), BreakerState::Misconfigured);
        assert_eq!(breaker.resting(at(299)).map(|resting| resting.until), Some(at(300)));
        assert!(breaker.resting(at(300)).is_none());
    }

    #[test]
    fn an_asked_for_pause_holds_and_a_shorter_one_does_not_cut_it() {
        let mut breaker = Breaker::new(settings());
        let (first, second) = (breaker.admit(at(0)).expect("closed"), breaker.admit(at(0)).expect("closed"));
        breaker.settle(first, Sign::Throttled(Duration::from_mins(1)), at(0));
        breaker.settle(second, Sign::Throttled(Duration::from_secs(5)), at(0));
        assert_eq!(breaker.resting(at(10)).map(|resting| resting.until), Some(at(60)));
        assert_eq!(breaker.state(), BreakerState::Closed);
        assert!(breaker.admit(at(60)).is_ok());
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_lengthen_a_rest() {
        let breaker = opened();
        assert!(breaker.resting(at(-3_600)).is_none());
    }
}
