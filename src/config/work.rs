//! `[work]`: how the worker works, and how long it keeps what was reported.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::environment::Variable;
use super::human::Span;
use super::layers::{Layers, Section};
use crate::work;

/// The node's name in leases and in the audit trail. Default: the machine's name. Effect: `work.node`.
pub const NODE: Variable = Variable { name: "STANCH_NODE", key: "work.node" };

/// Jobs worked on at the same time. Default: 64. Effect: `work.concurrency`.
pub const CONCURRENCY: Variable = Variable { name: "STANCH_CONCURRENCY", key: "work.concurrency" };

/// `true`: nothing is revoked and nobody is mailed. Default: `false`. Effect: `work.dry_run`.
pub const DRY_RUN: Variable = Variable { name: "STANCH_DRY_RUN", key: "work.dry_run" };

/// How the worker works.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Work {
    pub node: Option<String>,
    pub dry_run: bool,
    pub concurrency: u32,
    pub lease: Span,
    pub poll_every: Span,
    pub sweep_every: Span,
    pub gather: Span,
    pub keep_reports: Span,
    pub backoff_cap: Span,
    pub mail_tries: Span,
}

impl Default for Work {
    fn default() -> Self {
        let settings = work::Settings::default();
        Self {
            node: None,
            dry_run: false,
            concurrency: settings.concurrency,
            lease: Span(settings.lease_for),
            poll_every: Span(settings.poll_every),
            sweep_every: Span(settings.sweep_every),
            gather: Span(settings.gather_for),
            keep_reports: Span(settings.keep_reports_for),
            backoff_cap: Span(settings.backoff_cap),
            mail_tries: Span(settings.mail_tries_for),
        }
    }
}

impl Work {
    pub fn settings(&self) -> work::Settings {
        work::Settings {
            node: self.node.clone().unwrap_or_else(machine_name),
            concurrency: self.concurrency,
            lease_for: self.lease.0,
            poll_every: self.poll_every.0,
            sweep_every: self.sweep_every.0,
            gather_for: self.gather.0,
            keep_reports_for: self.keep_reports.0,
            backoff_cap: self.backoff_cap.0,
            mail_tries_for: self.mail_tries.0,
        }
    }
}

impl Section for Work {
    fn rebase(&mut self, _folder: &Path) {}

    fn read_environment(&mut self, layers: &mut Layers) {
        layers.set_some(&NODE, &mut self.node);
        layers.set(&CONCURRENCY, &mut self.concurrency);
        layers.set(&DRY_RUN, &mut self.dry_run);
    }

    fn check(&self, layers: &mut Layers) {
        if let Some(node) = &self.node
            && (node.is_empty()
                || node.len() > 64
                || !node.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)))
        {
            let hint = "use up to 64 letters, digits, `-`, `_` and `.`, such as the machine's name";
            layers.refuse("work.node", "not a name for a node", hint);
        }
        if !(1..=1_024).contains(&self.concurrency) {
            layers.refuse("work.concurrency", "not between 1 and 1024", "64 jobs at once are enough for most");
        }
        let limits = [
            // A killed worker's jobs wait for the end of its lease, so a long one delays revocations.
            ("work.lease", self.lease, Span::seconds(3), Span::seconds(300)),
            ("work.poll_every", self.poll_every, Span(std::time::Duration::from_millis(50)), Span::seconds(60)),
            ("work.sweep_every", self.sweep_every, Span::seconds(1), Span::days(1)),
            ("work.gather", self.gather, Span::seconds(0), Span::seconds(300)),
            // GitHub's agreement: what came with a report is deleted after at most 30 days.
            ("work.keep_reports", self.keep_reports, Span::seconds(0), Span::days(30)),
            ("work.backoff_cap", self.backoff_cap, Span::seconds(1), Span::days(1)),
            ("work.mail_tries", self.mail_tries, Span::seconds(60), Span::days(30)),
        ];
        for (key, span, least, most) in limits {
            layers.check_span(key, span, least, most);
        }
    }
}

fn machine_name() -> String {
    rustix::system::uname().nodename().to_str().ok().filter(|name| !name.is_empty()).unwrap_or("stanch").to_owned()
}
