//! What stanch says about itself: the names of its metrics, the recorder behind them, and the log.
//!
//! Labels are words of ours, never text that came with a request, so that their number stays bounded and nothing secret
//! can become one. Log lines carry ids; a panic is told by its place, never by its message, which may quote a token.

use std::io::{self, IsTerminal};
use std::panic;

use tracing_subscriber::EnvFilter;

/// The names of all metrics, each with what it counts. Labels stand in braces in the description.
pub mod metric {
    macro_rules! metrics {
        ($($(#[doc = $doc:literal])+ $name:ident: $kind:ident = $text:literal;)*) => {
            $($(#[doc = $doc])+ pub const $name: &str = $text;)*

            /// Every metric: kind, name, description.
            pub const ALL: &[(Kind, &str, &str)] = &[$((Kind::$kind, $text, concat!($($doc),+))),*];
        };
    }

    /// How a metric behaves.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Kind {
        Counter,
        Gauge,
        Histogram,
    }

    metrics! {
        /// Caveats that bearers added to macaroons that were accepted {caveat}.
        ADDED_CAVEATS_TOTAL: Counter = "stanch_added_caveats_total";
        /// Whether the audit trail is as it was written, as far as it was looked at: 1 yes, 0 no.
        AUDIT_CHAIN_OK: Gauge = "stanch_audit_chain_ok";
        /// Events of the audit trail that are sealed; never falls.
        AUDIT_EVENTS_SEALED: Gauge = "stanch_audit_events_sealed";
        /// Tokens that may still be revoked before the brake holds; of issuer `all`, those of all {issuer}.
        BRAKE_BUDGET_REMAINING: Gauge = "stanch_brake_budget_remaining";
        /// 1 while the brake holds every live token of the issuer; of issuer `all`, of everybody {issuer}.
        BRAKE_ON: Gauge = "stanch_brake_on";
        /// Brakes that went on {issuer, cause}.
        BRAKE_TRIPS_TOTAL: Counter = "stanch_brake_trips_total";
        /// Always 1; says which build runs {version}.
        BUILD_INFO: Gauge = "stanch_build_info";
        /// What browsers blocked on a page of the dashboard {directive}.
        CSP_REPORTS_TOTAL: Counter = "stanch_csp_reports_total";
        /// Deliveries by how they were answered {origin, outcome}.
        DELIVERIES_TOTAL: Counter = "stanch_deliveries_total";
        /// Seconds from the first byte of a delivery to its answer {origin}.
        DELIVERY_DURATION_SECONDS: Histogram = "stanch_delivery_duration_seconds";
        /// When a fire drill was last passed, in seconds since 1970; 0 if none ever was.
        DRILL_LAST_PASSED_TIMESTAMP_SECONDS: Gauge = "stanch_drill_last_passed_timestamp_seconds";
        /// 1 if nothing is revoked and nobody is mailed.
        DRY_RUN: Gauge = "stanch_dry_run";
        /// Revocations that wait for a person {issuer}.
        HELD_TOKENS: Gauge = "stanch_held_tokens";
        /// Revocations that wait for a person for longer than the policy allows.
        HOLDS_OVERDUE: Gauge = "stanch_holds_overdue";
        /// Answers of the HTTP server {route, status}.
        HTTP_RESPONSES_TOTAL: Counter = "stanch_http_responses_total";
        /// Incidents by state {state}.
        INCIDENTS: Gauge = "stanch_incidents";
        /// 1 while a person keeps the issuer from being called; of issuer `all`, everything {issuer}.
        ISSUER_PAUSED: Gauge = "stanch_issuer_paused";
        /// Whether calls to an issuer are let through: 0 yes, 1 one at a time, 2 no, 3 no, for it refuses us {issuer}.
        ISSUER_BREAKER_STATE: Gauge = "stanch_issuer_breaker_state";
        /// Seconds that an operation of an issuer took {issuer, operation, outcome}.
        ISSUER_REQUEST_DURATION_SECONDS: Histogram = "stanch_issuer_request_duration_seconds";
        /// Tries of a step {step, outcome}.
        JOB_ATTEMPTS_TOTAL: Counter = "stanch_job_attempts_total";
        /// Seconds that a try of a step took {step, outcome}.
        JOB_DURATION_SECONDS: Histogram = "stanch_job_duration_seconds";
        /// Age in seconds of the oldest job that is due {step}.
        JOB_OLDEST_PENDING_AGE_SECONDS: Gauge = "stanch_job_oldest_pending_age_seconds";
        /// Jobs that wait {step}.
        JOBS_PENDING: Gauge = "stanch_jobs_pending";
        /// Fetches of an origin's key list {origin, outcome}.
        KEY_LIST_FETCHES_TOTAL: Counter = "stanch_key_list_fetches_total";
        /// Entries of a fetched key list that could not be used {origin}.
        KEY_LIST_REJECTED_ENTRIES: Gauge = "stanch_key_list_rejected_entries";
        /// Key look-ups: `hit`, `miss`, `retired` or `stale` {origin, outcome}.
        KEY_LOOKUPS_TOTAL: Counter = "stanch_key_lookups_total";
        /// Results dropped because the lease was lost {step}.
        LEASE_LOST_TOTAL: Counter = "stanch_lease_lost_total";
        /// Tokens known to live and not yet revoked {issuer}.
        LIVE_UNREVOKED_TOKENS: Gauge = "stanch_live_unrevoked_tokens";
        /// Macaroons of the built-in issuer that were accepted, by whether a bearer had narrowed them {attenuated}.
        MACAROONS_ACCEPTED_TOTAL: Counter = "stanch_macaroons_accepted_total";
        /// Mails to owners {outcome}.
        NOTICES_TOTAL: Counter = "stanch_notices_total";
        /// When an origin's key list was last confirmed, in seconds since 1970 {origin}.
        PUBLIC_KEY_LAST_REFRESH_TIMESTAMP_SECONDS: Gauge = "stanch_public_key_last_refresh_timestamp_seconds";
        /// Rows whose purge date has passed.
        PURGE_OVERDUE_ROWS: Gauge = "stanch_purge_overdue_rows";
        /// 1 for a reporter of whose many reports of a week none is ours {origin}.
        REPORTER_NEVER_VALID: Gauge = "stanch_reporter_never_valid";
        /// Records of committed deliveries {origin, kind, outcome}.
        REPORTS_TOTAL: Counter = "stanch_reports_total";
        /// Revocations by their result {issuer, outcome}.
        REVOCATIONS_TOTAL: Counter = "stanch_revocations_total";
        /// Deliveries refused because their signature did not hold {origin, reason}.
        SIGNATURE_FAILURES_TOTAL: Counter = "stanch_signature_failures_total";
        /// Days of this month (UTC) on which an answer came too late for the reporter's agreement {origin}.
        SLOW_ANSWER_DAYS_MONTH: Gauge = "stanch_slow_answer_days_month";
        /// When a step last succeeded in this process {step}.
        STEP_LAST_SUCCESS_TIMESTAMP_SECONDS: Gauge = "stanch_step_last_success_timestamp_seconds";
        /// Incidents that wait for a person {step}.
        STUCK_INCIDENTS: Gauge = "stanch_stuck_incidents";
        /// Seconds from the receipt of a report to the mail about its token.
        TIME_TO_NOTIFY_SECONDS: Histogram = "stanch_time_to_notify_seconds";
        /// Seconds from the receipt of a report to the confirmed revocation {issuer}.
        TIME_TO_REVOKE_SECONDS: Histogram = "stanch_time_to_revoke_seconds";
    }
}

/// How the log is written. It goes to standard error: standard output is for data.
#[derive(Clone, Debug)]
pub struct LogSettings {
    pub format: LogFormat,
    /// Directives as `tracing-subscriber` reads them: `info`, `info,stanch::work=debug`.
    pub filter: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One object per line, for machines.
    Json,
    /// One line per event, for people.
    Text,
}

/// Telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the log filter cannot be read")]
    Filter(#[source] tracing_subscriber::filter::ParseError),
    #[error("a log or a metrics recorder is installed already")]
    Installed,
}

/// Starts the log and makes panics silent about their message.
///
/// # Errors
/// When the filter cannot be read, or a log was started before.
pub fn start_log(settings: &LogSettings) -> Result<(), Error> {
    let filter = EnvFilter::try_new(&settings.filter).map_err(Error::Filter)?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match settings.format {
        LogFormat::Json => log.json().flatten_event(true).try_init(),
        LogFormat::Text => log.with_ansi(io::stderr().is_terminal()).try_init(),
    }
    .map_err(|_| Error::Installed)?;
    panic::set_hook(Box::new(|panic| {
        // Never the message: the one of a failed string slice quotes the string.
        let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        tracing::error!(place, "panicked at {place}");
    }));
    Ok(())
}

#[cfg(feature = "server")]
pub use recorder::Metrics;

#[cfg(feature = "server")]
mod recorder {
    use std::sync::OnceLock;
    use std::time::Duration;

    use metrics::{Unit, describe_counter, describe_gauge, describe_histogram, gauge};
    use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

    use super::Error;
    use super::metric::{self, Kind};

    /// The process's metrics. Cheap to clone.
    #[derive(Clone)]
    pub struct Metrics(PrometheusHandle);

    impl Metrics {
        /// Installs the recorder; called again, gives the one that is installed.
        ///
        /// # Errors
        /// When another recorder was installed before.
        pub fn install() -> Result<Self, Error> {
            static INSTALLED: OnceLock<Result<PrometheusHandle, ()>> = OnceLock::new();
            let handle = INSTALLED.get_or_init(|| {
                // Answers are counted in milliseconds, mails and revocations in seconds and minutes.
                let handle = PrometheusBuilder::new()
                    .set_buckets_for_metric(Matcher::Full(metric::DELIVERY_DURATION_SECONDS.into()), ANSWERS)
                    .and_then(|builder| builder.set_buckets(SPANS))
                    .and_then(PrometheusBuilder::install_recorder)
                    .map_err(|_| ())?;
                describe();
                gauge!(metric::BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
                Ok(handle)
            });
            handle.clone().map(Self).map_err(|()| Error::Installed)
        }

        /// All metrics in Prometheus' text format 0.0.4.
        pub fn render(&self) -> String {
            self.0.render()
        }

        /// Folds recorded spans into their buckets for ever. Without it they pile up while nobody asks for the metrics.
        pub async fn keep_up(&self) {
            let mut ticks = tokio::time::interval(Duration::from_secs(5));
            loop {
                ticks.tick().await;
                self.0.run_upkeep();
            }
        }
    }

    const ANSWERS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0];
    const SPANS: &[f64] =
        &[0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 21_600.0, 86_400.0];

    fn describe() {
        for (kind, name, text) in metric::ALL {
            let text = text.trim();
            match kind {
                Kind::Counter => describe_counter!(*name, text),
                Kind::Gauge => describe_gauge!(*name, text),
                Kind::Histogram => describe_histogram!(*name, Unit::Seconds, text),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_metric_has_one_prefix_one_name_and_its_unit() {
        let mut seen = HashSet::new();
        for (kind, name, text) in metric::ALL {
            assert!(seen.insert(name), "{name} twice");
            assert!(name.starts_with("stanch_") && !text.trim().is_empty(), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == metric::Kind::Counter, "{name}");
            assert!(*kind != metric::Kind::Histogram || name.ends_with("_seconds"), "{name}");
        }
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_refused() {
        let settings = LogSettings { format: LogFormat::Text, filter: "stanch=loud".into() };
        assert!(matches!(start_log(&settings), Err(Error::Filter(_))));
    }

    #[cfg(feature = "server")]
    #[test]
    fn the_recorder_is_installed_once_and_found_again() {
        let first = Metrics::install().expect("nothing else installs one");
        metrics::counter!(metric::LEASE_LOST_TOTAL, "step" => "verify").increment(1);
        let second = Metrics::install().expect("the same");
        for shown in [first.render(), second.render()] {
            assert!(shown.contains("stanch_lease_lost_total{step=\"verify\"}"), "{shown}");
        }
    }
}
