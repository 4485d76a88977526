//! `[brake]`: how many live tokens may be revoked in a window, and who releases what is held.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::human::Span;
use super::layers::{Layers, Section};
use super::{Config, unknown};
use crate::incident::IssuerName;
use crate::incident::brake::{AfterHold, HighImpact, Mode, Policy, ReleaseBy, Reset};
use crate::token::{KindId, catalogue};

/// How much may be revoked without a person.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Brake {
    pub enabled: bool,
    pub window: Span,
    pub per_issuer: u64,
    pub issuers: BTreeMap<String, u64>,
    pub all: u64,
    pub high_impact: u64,
    pub high_impact_kinds: Vec<String>,
    pub high_impact_scopes: Vec<String>,
    pub high_impact_severity: Option<Severity>,
    pub peak_factor: u64,
    pub peak_ceiling: u64,
    pub origin_share: u64,
    pub reset: ResetBy,
    pub on_for: Span,
    pub hold_at_most: Span,
    pub after_hold: After,
    pub second_person: bool,
}

/// How bad a live token in public is, as the catalogue says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Low,
    Medium,
    High,
    Critical,
}

/// What lets a brake pass again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResetBy {
    Person,
    Time,
}

/// What becomes of what was held for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum After {
    Alarm,
    Revoke,
}

impl Default for Brake {
    fn default() -> Self {
        let policy = Policy::default();
        Self {
            enabled: true,
            window: Span(policy.window),
            per_issuer: policy.per_issuer,
            issuers: BTreeMap::new(),
            all: policy.all,
            high_impact: policy.high_impact,
            high_impact_kinds: Vec::new(),
            high_impact_scopes: policy.impact.scopes,
            high_impact_severity: None,
            peak_factor: policy.peak_factor,
            peak_ceiling: policy.peak_ceiling,
            origin_share: 80,
            reset: ResetBy::Time,
            on_for: Span::seconds(3_600),
            hold_at_most: Span(policy.hold_at_most),
            after_hold: After::Alarm,
            second_person: false,
        }
    }
}

impl Config {
    /// The brake's policy, and whether this is a dry run.
    pub fn brake_policy(&self) -> Policy {
        let brake = &self.brake;
        let mode = match (self.work.dry_run, brake.enabled) {
            (true, _) => Mode::DryRun,
            (false, true) => Mode::Limited,
            (false, false) => Mode::Unlimited,
        };
        let severe = catalogue::builtin()
            .iter()
            .filter(|kind| brake.high_impact_severity.is_some_and(|least| kind.severity >= least.of_catalogue()));
        let kinds = brake.high_impact_kinds.iter().map(|name| KindId::new(name));
        Policy {
            mode,
            window: brake.window.0,
            per_issuer: brake.per_issuer,
            of_issuer: brake.issuers.iter().map(|(name, budget)| (IssuerName::new(name), *budget)).collect(),
            all: brake.all,
            high_impact: brake.high_impact,
            impact: HighImpact {
                kinds: kinds.chain(severe.map(|kind| KindId::new(&kind.id))).collect(),
                scopes: brake.high_impact_scopes.clone(),
            },
            peak_factor: brake.peak_factor,
            peak_ceiling: brake.peak_ceiling,
            // Where only one reports, there is nobody to keep a share for.
            origin_share: if self.origin.enabled().count() > 1 { brake.origin_share } else { 100 },
            reset: match brake.reset {
                ResetBy::Person => Reset::ByPerson,
                ResetBy::Time => Reset::After(brake.on_for.0),
            },
            hold_at_most: brake.hold_at_most.0,
            after_hold: match brake.after_hold {
                After::Alarm => AfterHold::Alarm,
                After::Revoke => AfterHold::Revoke,
            },
            release_by: if brake.second_person { ReleaseBy::TwoPersons } else { ReleaseBy::OnePerson },
        }
    }

    /// Budgets and kinds must be those of somebody.
    pub(super) fn check_brake(&self, layers: &mut Layers) {
        let mut issuers: Vec<&str> = self.issuer.elsewhere.keys().map(String::as_str).collect();
        issuers.push("builtin");
        for name in self.brake.issuers.keys().filter(|name| !issuers.contains(&name.as_str())) {
            let hint = format!("configured are {}", issuers.join(", "));
            layers.refuse("brake.issuers", format!("no issuer is called `{name}`"), hint);
        }
        for kind in &self.brake.high_impact_kinds {
            let mut known = catalogue::builtin().iter().map(|known| known.id.as_ref());
            if self.kind.has(kind) || kind == crate::token::pat::KIND || known.clone().any(|known| known == kind) {
                continue;
            }
            let hint = match unknown::nearest(kind, &mut known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`stanch rules list` shows those that there are".into(),
            };
            layers.refuse("brake.high_impact_kinds", format!("no kind of token is called `{kind}`"), hint);
        }
    }
}

impl Severity {
    fn of_catalogue(self) -> catalogue::Severity {
        match self {
            Self::Low => catalogue::Severity::Low,
            Self::Medium => catalogue::Severity::Medium,
            Self::High => catalogue::Severity::High,
            Self::Critical => catalogue::Severity::Critical,
        }
    }
}

impl Section for Brake {
    fn rebase(&mut self, _folder: &Path) {}

    fn read_environment(&mut self, _layers: &mut Layers) {}

    fn check(&self, layers: &mut Layers) {
        let budgets = [
            ("brake.per_issuer", self.per_issuer),
            ("brake.all", self.all),
            ("brake.high_impact", self.high_impact),
            ("brake.issuers", self.issuers.values().copied().min().unwrap_or(1)),
        ];
        for (key, _) in budgets.into_iter().filter(|(_, budget)| *budget == 0) {
            let hint = "give at least 1; to revoke nothing at all, pause the issuer: `stanch issuer pause NAME`";
            layers.refuse(key, "a budget of nothing", hint);
        }
        if !(1..=100).contains(&self.origin_share) {
            layers.refuse("brake.origin_share", "not between 1 and 100", "it is a share in per cent");
        }
        let limits = [
            ("brake.window", self.window, Span::seconds(10), Span::days(1)),
            ("brake.on_for", self.on_for, Span::seconds(10), Span::days(30)),
            ("brake.hold_at_most", self.hold_at_most, Span::seconds(60), Span::days(30)),
        ];
        for (key, span, least, most) in limits {
            layers.check_span(key, span, least, most);
        }
    }
}
