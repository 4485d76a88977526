//! How a worker works: counts and spans, with defaults that suit two cores.

use std::time::Duration;

/// How a worker works.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The node's name in leases and in the audit trail.
    pub node: String,
    /// Jobs worked on at the same time.
    pub concurrency: u32,
    pub lease_for: Duration,
    /// Longest pause between two looks at the queue.
    pub poll_every: Duration,
    pub sweep_every: Duration,
    /// Longest wait of a mail for other tokens of the same delivery.
    pub gather_for: Duration,
    /// How long what came with a report is kept after the end of its incident (GitHub's agreement: at most 30 days).
    pub keep_reports_for: Duration,
    /// Longest pause between two questions to an issuer that does not answer.
    pub backoff_cap: Duration,
    /// How long a refused mail is tried again before a person must look (RFC 5321 section 4.5.4.1 asks for 4 to 5 days).
    pub mail_tries_for: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            node: "stanch".into(),
            concurrency: 64,
            lease_for: Duration::from_secs(10),
            poll_every: Duration::from_secs(1),
            sweep_every: Duration::from_mins(1),
            gather_for: Duration::from_secs(5),
            // A day below the limit, so that a late sweep is still on time.
            keep_reports_for: Duration::from_hours(29 * 24),
            backoff_cap: Duration::from_mins(5),
            mail_tries_for: Duration::from_hours(5 * 24),
        }
    }
}
