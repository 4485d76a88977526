//! The brake: how many live tokens may be revoked in a window of time, and which are held for a person instead.
//!
//! Pure: a [`Ledger`] of what was let pass, a [`Policy`], and a ruling for one token after the other. Only tokens that
//! their issuer called live are counted, so that a flood of dead ones spends nothing. One origin gets a share of each
//! budget, so that it cannot use up what the others need; tokens of high impact have a lower budget of their own. What
//! is over a budget is held, never dropped, and once a brake is on it stays on until a person lets go or its time is
//! over.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::time::Duration;

use super::words::words;
use super::{Incident, IssuerName};
use crate::clock::Timestamp;
use crate::token::KindId;

/// How much may be revoked without a person.
#[derive(Clone, Debug)]
pub struct Policy {
    pub mode: Mode,
    /// Over which tokens are counted.
    pub window: Duration,
    /// Live tokens of one issuer in a window.
    pub per_issuer: u64,
    /// Issuers with a budget of their own instead.
    pub of_issuer: BTreeMap<IssuerName, u64>,
    /// Live tokens of all issuers in a window.
    pub all: u64,
    /// Live tokens of high impact of one issuer in a window.
    pub high_impact: u64,
    pub impact: HighImpact,
    /// A budget is also this many times the busiest hour of the past week, if that is more. Zero: it is not.
    pub peak_factor: u64,
    /// Nothing that the past week saw raises a budget above this.
    pub peak_ceiling: u64,
    /// Per cent of a budget that one origin may use.
    pub origin_share: u64,
    pub reset: Reset,
    /// How long a token may be held before it is somebody's fault.
    pub hold_at_most: Duration,
    pub after_hold: AfterHold,
    pub release_by: ReleaseBy,
}

/// Whether tokens are revoked at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Nothing is revoked and nobody is mailed: every live token is held.
    DryRun,
    /// Within the budgets.
    Limited,
    /// Without any budget.
    Unlimited,
}

/// When a brake that is on lets pass again by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// This long after it went on, with a fresh budget. What it held stays held.
    After(Duration),
    /// Never: a person releases or dismisses what it held.
    ByPerson,
}

/// What happens to a token that was held for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterHold {
    /// It stays held, and the alarm is raised.
    Alarm,
    /// It is revoked, and the alarm is raised.
    Revoke,
}

/// How many people a release takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleaseBy {
    OnePerson,
    /// One asks, another approves.
    TwoPersons,
}

/// Which tokens are of high impact.
#[derive(Clone, Debug, Default)]
pub struct HighImpact {
    pub kinds: BTreeSet<KindId>,
    /// Scopes, as the issuer names them; a `*` at the end of a longer text stands for anything.
    pub scopes: Vec<String>,
}

/// How bad the revocation of the wrong token would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Impact {
    High,
    Normal,
}

/// Why a token is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// The budget of all issuers.
    All,
    /// The whole service revokes nothing.
    DryRun,
    /// The budget of its issuer's tokens of high impact.
    HighImpact,
    /// The budget of its issuer.
    Issuer,
    /// The share of its origin.
    Origin,
}

words!(Mode { DryRun = "dry_run", Limited = "limited", Unlimited = "unlimited" });
words!(Impact { High = "high", Normal = "normal" });
words!(Cause {
    All = "all",
    DryRun = "dry_run",
    HighImpact = "high_impact",
    Issuer = "issuer",
    Origin = "origin",
});

/// One budget, and the brake that goes on when it is spent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    All,
    HighImpact(IssuerName),
    Issuer(IssuerName),
    /// An origin's share of an issuer's budget, or of that of all.
    Origin {
        origin: String,
        issuer: Option<IssuerName>,
    },
}

/// A live token that is about to be revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub issuer: IssuerName,
    pub origin: String,
    pub impact: Impact,
}

/// What becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    Hold {
        cause: Cause,
        reason: String,
        /// The brake that went on because of this very token.
        trips: Option<Scope>,
    },
    Pass,
}

/// Tokens let pass in the window, of one issuer, origin and impact.
#[derive(Clone, Debug)]
pub struct Spent {
    pub issuer: IssuerName,
    pub origin: String,
    pub impact: Impact,
    pub tokens: u64,
}

/// What is known when a ruling is asked for.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    pub spent: Vec<Spent>,
    /// The brakes that are on, by [`Scope`] in words.
    pub on: HashMap<String, Option<Timestamp>>,
    /// Tokens let pass in the busiest hour of the past week, by issuer; under no name, of all.
    pub peaks: HashMap<Option<IssuerName>, u64>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            mode: Mode::Limited,
            window: Duration::from_mins(5),
            per_issuer: 50,
            of_issuer: BTreeMap::new(),
            all: 200,
            high_impact: 10,
            impact: HighImpact {
                kinds: BTreeSet::new(),
                scopes: ["*", "admin*", "owner*"].map(str::to_owned).to_vec(),
            },
            peak_factor: 10,
            peak_ceiling: 1_000,
            origin_share: 100,
            reset: Reset::After(Duration::from_hours(1)),
            hold_at_most: Duration::from_hours(24),
            after_hold: AfterHold::Alarm,
            release_by: ReleaseBy::OnePerson,
        }
    }
}

impl Policy {
    pub fn impact_of(&self, incident: &Incident) -> Impact {
        let scopes = incident.token.iter().flat_map(|token| &token.scopes);
        let high = self.impact.kinds.contains(&incident.kind)
            || scopes.into_iter().any(|scope| self.impact.scopes.iter().any(|pattern| covers(pattern, scope)));
        if high { Impact::High } else { Impact::Normal }
    }

    /// How many tokens the scope may let pass in a window.
    pub fn budget(&self, scope: &Scope, peaks: &HashMap<Option<IssuerName>, u64>) -> u64 {
        let raised = |least: u64, whose: Option<&IssuerName>| {
            let peak = peaks.get(&whose.cloned()).copied().unwrap_or(0);
            least.max(peak.saturating_mul(self.peak_factor).min(self.peak_ceiling))
        };
        let whole = |issuer: Option<&IssuerName>| match issuer {
            None => raised(self.all, None),
            Some(name) => raised(self.of_issuer.get(name).copied().unwrap_or(self.per_issuer), Some(name)),
        };
        match scope {
            Scope::All => whole(None),
            Scope::HighImpact(_) => self.high_impact,
            Scope::Issuer(issuer) => whole(Some(issuer)),
            // Never nothing: a budget of one must not shut every origin out.
            Scope::Origin { issuer, .. } => (whole(issuer.as_ref()).saturating_mul(self.origin_share) / 100).max(1),
        }
    }

    /// Until when a brake that goes on now stays on; none if a person decides.
    pub fn on_until(&self, now: Timestamp) -> Option<Timestamp> {
        match self.reset {
            Reset::After(span) => Some(now.plus(span)),
            Reset::ByPerson => None,
        }
    }
}

impl Ledger {
    /// Rules on one token after the other; what passes is counted.
    pub fn rule(&mut self, policy: &Policy, candidate: &Candidate, now: Timestamp) -> Ruling {
        match policy.mode {
            Mode::DryRun => {
                let reason = "dry run: the token lives and was not revoked".into();
                return Ruling::Hold { cause: Cause::DryRun, reason, trips: None };
            }
            Mode::Unlimited => return Ruling::Pass,
            Mode::Limited => {}
        }
        let scopes = scopes_of(candidate, policy);
        if let Some(scope) = scopes.iter().find(|scope| self.is_on(scope, now)) {
            return hold(scope, policy.budget(scope, &self.peaks), policy, None);
        }
        for scope in scopes {
            let budget = policy.budget(&scope, &self.peaks);
            if self.spent(&scope) >= budget {
                self.on.insert(scope.to_string(), policy.on_until(now));
                return hold(&scope, budget, policy, Some(scope.clone()));
            }
        }
        self.count(candidate);
        Ruling::Pass
    }

    /// How many tokens the scope let pass in the window.
    pub fn spent(&self, scope: &Scope) -> u64 {
        self.spent.iter().filter(|spent| scope.covers(spent)).map(|spent| spent.tokens).sum()
    }

    pub fn is_on(&self, scope: &Scope, now: Timestamp) -> bool {
        self.on.get(&scope.to_string()).is_some_and(|until| until.is_none_or(|until| until > now))
    }

    fn count(&mut self, candidate: &Candidate) {
        let Candidate { issuer, origin, impact } = candidate;
        let same = |it: &&mut Spent| it.issuer == *issuer && it.origin == *origin && it.impact == *impact;
        match self.spent.iter_mut().find(same) {
            Some(spent) => spent.tokens += 1,
            None => {
                self.spent.push(Spent { issuer: issuer.clone(), origin: origin.clone(), impact: *impact, tokens: 1 });
            }
        }
    }
}

impl Scope {
    pub fn cause(&self) -> Cause {
        match self {
            Self::All => Cause::All,
            Self::HighImpact(_) => Cause::HighImpact,
            Self::Issuer(_) => Cause::Issuer,
            Self::Origin { .. } => Cause::Origin,
        }
    }

    /// The one issuer it is about.
    pub fn issuer(&self) -> Option<&IssuerName> {
        match self {
            Self::All => None,
            Self::HighImpact(issuer) | Self::Issuer(issuer) => Some(issuer),
            Self::Origin { issuer, .. } => issuer.as_ref(),
        }
    }

    fn covers(&self, spent: &Spent) -> bool {
        match self {
            Self::All => true,
            Self::HighImpact(issuer) => spent.impact == Impact::High && spent.issuer == *issuer,
            Self::Issuer(issuer) => spent.issuer == *issuer,
            Self::Origin { origin, issuer } => {
                spent.origin == *origin && issuer.as_ref().is_none_or(|issuer| spent.issuer == *issuer)
            }
        }
    }

    /// Whose budget it is, in words.
    fn words(&self) -> String {
        match self {
            Self::All => "the budget of all issuers".into(),
            Self::HighImpact(issuer) => format!("the budget of tokens of high impact of issuer {issuer}"),
            Self::Issuer(issuer) => format!("the budget of issuer {issuer}"),
            Self::Origin { origin, issuer: None } => format!("the share of origin {origin} in the budget of all"),
            Self::Origin { origin, issuer: Some(issuer) } => {
                format!("the share of origin {origin} in the budget of issuer {issuer}")
            }
        }
    }
}

/// The word in the database and in metrics: `all`, `issuer:acme`, `high_impact:acme`, `origin:github`,
/// `origin:github@acme`.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::HighImpact(issuer) => write!(f, "high_impact:{issuer}"),
            Self::Issuer(issuer) => write!(f, "issuer:{issuer}"),
            Self::Origin { origin, issuer: None } => write!(f, "origin:{origin}"),
            Self::Origin { origin, issuer: Some(issuer) } => write!(f, "origin:{origin}@{issuer}"),
        }
    }
}

/// The budgets that a token spends, the most special first.
fn scopes_of(candidate: &Candidate, policy: &Policy) -> Vec<Scope> {
    let Candidate { issuer, origin, impact } = candidate;
    let mut scopes = Vec::with_capacity(5);
    if *impact == Impact::High {
        scopes.push(Scope::HighImpact(issuer.clone()));
    }
    if policy.origin_share < 100 {
        scopes.push(Scope::Origin { origin: origin.clone(), issuer: Some(issuer.clone()) });
        scopes.push(Scope::Origin { origin: origin.clone(), issuer: None });
    }
    scopes.extend([Scope::Issuer(issuer.clone()), Scope::All]);
    scopes
}

fn hold(scope: &Scope, budget: u64, policy: &Policy, trips: Option<Scope>) -> Ruling {
    let window = policy.window.as_secs();
    let reason = format!("{} is spent: {budget} tokens in {window} s", scope.words());
    Ruling::Hold { cause: scope.cause(), reason, trips }
}

fn covers(pattern: &str, scope: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) if !start.is_empty() => scope.starts_with(start),
        _ => pattern == scope,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        Policy { per_issuer: 3, all: 5, high_impact: 1, peak_factor: 0, ..Policy::default() }
    }

    fn candidate(issuer: &str) -> Candidate {
        Candidate { issuer: IssuerName::new(issuer), origin: "github".into(), impact: Impact::Normal }
    }

    fn passes(ledger: &mut Ledger, policy: &Policy, candidate: &Candidate, at: i64) -> bool {
        ledger.rule(policy, candidate, Timestamp::from_millis(at)) == Ruling::Pass
    }

    #[test]
    fn exactly_the_budget_passes_and_the_brake_stays_on() {
        let (policy, mut ledger) = (policy(), Ledger::default());
        let passed = (0..10).filter(|_| passes(&mut ledger, &policy, &candidate("acme"), 1_000)).count();
        assert_eq!(passed, 3);
        // The window is over, and the brake is not.
        ledger.spent.clear();
        assert!(!passes(&mut ledger, &policy, &candidate("acme"), 400_000));
        assert!(passes(&mut ledger, &policy, &candidate("acme"), 3_700_000), "an hour later it lets pass again");
    }

    #[test]
    fn a_brake_that_waits_for_a_person_waits_for_ever() {
        let (policy, mut ledger) = (Policy { reset: Reset::ByPerson, ..policy() }, Ledger::default());
        (0..4).for_each(|_| drop(ledger.rule(&policy, &candidate("acme"), Timestamp::EPOCH)));
        ledger.spent.clear();
        assert!(!passes(&mut ledger, &policy, &candidate("acme"), i64::MAX / 2));
    }

    #[test]
    fn one_issuer_does_not_stop_another_until_the_budget_of_all_is_spent() {
        let (policy, mut ledger) = (policy(), Ledger::default());
        (0..9).for_each(|_| drop(ledger.rule(&policy, &candidate("acme"), Timestamp::EPOCH)));
        let passed = (0..9).filter(|_| passes(&mut ledger, &policy, &candidate("other"), 0)).count();
        assert_eq!(passed, 2, "five in all, three of them spent");
        let Ruling::Hold { cause, trips, .. } = ledger.rule(&policy, &candidate("third"), Timestamp::EPOCH) else {
            panic!("held")
        };
        assert_eq!((cause, trips), (Cause::All, None), "it is on already");
    }

    #[test]
    fn tokens_of_high_impact_have_a_lower_budget() {
        let (policy, mut ledger) = (policy(), Ledger::default());
        let high = Candidate { impact: Impact::High, ..candidate("acme") };
        assert!(passes(&mut ledger, &policy, &high, 0));
        assert!(!passes(&mut ledger, &policy, &high, 0));
        assert!(passes(&mut ledger, &policy, &candidate("acme"), 0), "the others are not stopped by it");
    }

    #[test]
    fn one_origin_cannot_use_up_what_the_others_need() {
        let (policy, mut ledger) =
            (Policy { per_issuer: 10, all: 100, origin_share: 70, ..policy() }, Ledger::default());
        let passed = (0..20).filter(|_| passes(&mut ledger, &policy, &candidate("acme"), 0)).count();
        assert_eq!(passed, 7);
        let other = Candidate { origin: "gitlab".into(), ..candidate("acme") };
        let passed = (0..20).filter(|_| passes(&mut ledger, &policy, &other, 0)).count();
        assert_eq!(passed, 3, "what is left of the issuer's budget");
    }

    #[test]
    fn a_busy_week_raises_the_budget_up_to_its_ceiling() {
        let policy = Policy { peak_factor: 10, peak_ceiling: 250, ..policy() };
        let acme = IssuerName::new("acme");
        let budget = |peak| {
            let peaks = HashMap::from([(Some(acme.clone()), peak)]);
            policy.budget(&Scope::Issuer(acme.clone()), &peaks)
        };
        assert_eq!([0, 20, 1_000].map(budget), [3, 200, 250]);
    }

    #[test]
    fn a_dry_run_holds_everything_and_trips_nothing() {
        let (policy, mut ledger) = (Policy { mode: Mode::DryRun, ..policy() }, Ledger::default());
        for _ in 0..10 {
            let ruling = ledger.rule(&policy, &candidate("acme"), Timestamp::EPOCH);
            assert!(matches!(ruling, Ruling::Hold { cause: Cause::DryRun, trips: None, .. }));
        }
        assert!(ledger.on.is_empty() && ledger.spent.is_empty());
    }

    #[test]
    fn a_star_alone_is_a_scope_and_at_the_end_it_stands_for_anything() {
        assert!(covers("*", "*") && !covers("*", "read"));
        assert!(covers("admin*", "admin:org") && covers("admin*", "admin") && !covers("admin*", "read:admin"));
    }
}
