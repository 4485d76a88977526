//! A load, and its figures in words.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use rand::rngs::StdRng;
use tokio_util::sync::CancellationToken;

use super::records::Reported;
use crate::cli::out::{self, Colour, Ink};
use crate::cli::{HintExt as _, Usage};
use crate::config::Span;
use crate::send::{Courier, Load, Quantiles, Report, Signer, Signing};

#[derive(Args)]
#[command(next_help_heading = "Load")]
pub(super) struct LoadArgs {
    /// Deliveries to send [default: as many as there are records for, or as the duration allows]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=Load::MAX_COUNT))]
    count: Option<u64>,
    /// Deliveries to start per second, whether or not answers keep up [default: as fast as answers come]
    #[arg(long, value_name = "PER_SECOND", value_parser = rate)]
    rate: Option<f64>,
    /// Start nothing new after this long [default: 10m with `--count`, else 10s]
    #[arg(long, value_name = "SPAN")]
    duration: Option<Span>,
    /// Deliveries under way at the same time
    #[arg(long, value_name = "COUNT", default_value_t = 16, value_parser = concurrency)]
    concurrency: usize,
    /// Sign everything before the first delivery, so that signing takes nothing from a receiver on this machine
    #[arg(long)]
    presign: bool,
    /// Allow more than 100 deliveries to another machine. Ask its owner first
    #[arg(long)]
    allow_remote: bool,
}

/// What anybody may send anywhere: enough for staging, too little to hurt.
const REMOTE_COUNT: u64 = 100;
/// Signed deliveries wait in memory, a record of them taking about this much.
const PRESIGNED_RECORD_BYTES: u64 = 256;
const MAX_PRESIGNED_BYTES: u64 = 1 << 30;

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (0.001..=Load::MAX_RATE).contains(rate));
    rate.ok_or_else(|| format!("a number from 0.001 to {}", Load::MAX_RATE))
}

fn concurrency(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=Load::MAX_CONCURRENCY).contains(count));
    count.ok_or_else(|| format!("a number from 1 to {}", Load::MAX_CONCURRENCY))
}

impl LoadArgs {
    pub(super) fn is_asked_for(&self) -> bool {
        self.count.is_some_and(|count| count > 1) || self.rate.is_some() || self.duration.is_some()
    }

    pub(super) async fn run(
        &self,
        courier: &Courier,
        signer: &Signer,
        reported: Reported,
        json: bool,
        colour: Colour,
        rng: StdRng,
    ) -> anyhow::Result<ExitCode> {
        let load = self.plan(&reported, courier.is_local())?;
        if let Some(bodies) = reported.deliveries()
            && load.planned() > bodies
        {
            out::talk(format!(
                "{bodies} different deliveries are sent again and again: the receiver sees redeliveries"
            ));
        }
        let stop = CancellationToken::new();
        let on_signal = stop.clone();
        let interruption = super::interruption()?;
        let watch = tokio::spawn(async move {
            interruption.await;
            out::talk("stopping; what is under way is waited for");
            on_signal.cancel();
        });
        if load.signing == Signing::Before {
            out::talk(format!("signing {} deliveries", grouped(load.planned())));
        }
        let each = reported.each();
        let report = load.run(courier, signer, reported.feed(), &stop, rng).await?;
        watch.abort();
        if json {
            out::data(serde_json::to_string(&report)?)?;
        } else {
            out::data(words(&report, each, load.concurrency, colour).trim_end())?;
        }
        Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn plan(&self, reported: &Reported, is_local: bool) -> anyhow::Result<Load> {
        let default_duration = if self.count.is_some() { Duration::from_mins(10) } else { Duration::from_secs(10) };
        let endless = if self.rate.is_some() || self.duration.is_some() { Load::MAX_COUNT } else { 1 };
        let load = Load {
            count: self.count.or(reported.deliveries()).unwrap_or(endless),
            duration: self.duration.map_or(default_duration, |span| span.0),
            rate: self.rate,
            concurrency: self.concurrency,
            signing: if self.presign { Signing::Before } else { Signing::Ahead },
        };
        if load.planned() > REMOTE_COUNT && !is_local && !self.allow_remote {
            return Err(Usage(format!("more than {REMOTE_COUNT} deliveries to another machine")))
                .hint("a load belongs on loopback; if the receiver is yours and expects it, add `--allow-remote`");
        }
        let waiting = load.planned().saturating_mul(reported.each() as u64).saturating_mul(PRESIGNED_RECORD_BYTES);
        if self.presign && waiting > MAX_PRESIGNED_BYTES {
            return Err(Usage(format!("{} deliveries are too many to sign beforehand", grouped(load.planned()))))
                .hint("give `--count`, or both `--rate` and `--duration`, or leave out `--presign`");
        }
        Ok(load)
    }
}

/// The report as a person reads it.
fn words(report: &Report, each: usize, concurrency: usize, colour: Colour) -> String {
    let mut text = String::new();
    let strong = |words: &str| colour.paint(Ink::Bold, words);
    let dim = |words: &str| colour.paint(Ink::Dim, words);
    let seconds = report.elapsed_ms / 1_000.0;
    let records = if each == 1 { "1 record".to_owned() } else { format!("{} records", grouped(each as u64)) };
    let sent = grouped(report.sent);
    // Writing to a `String` cannot fail.
    let _ = writeln!(text, "{sent} deliveries of {records} in {seconds:.2} s, at most {concurrency} at a time\n");
    let offered = report.offered_per_s.map(|rate| format!("   of {}/s offered", pace(rate))).unwrap_or_default();
    for (name, count, rate, rest) in [
        ("deliveries", report.accepted, report.deliveries_per_s, offered.as_str()),
        ("records", report.accepted_records, report.records_per_s, ""),
    ] {
        let figures = format!("{:>12} accepted {:>12}/s", grouped(count), pace(rate));
        let _ = writeln!(text, "  {name:<11}{}{}", strong(&figures), dim(rest));
    }
    let statuses = report.statuses.iter().map(|(status, count)| format!("{} of {status}", grouped(*count)));
    let failures = report.failures.iter().map(|(failure, count)| format!("{} {failure}", grouped(*count)));
    let _ = writeln!(text, "  {:<11}  {}", "answers", statuses.chain(failures).collect::<Vec<_>>().join(", "));
    let (out, back) = (size(report.sent_bytes), size(report.answer_bytes));
    let _ = writeln!(text, "  {:<11}  {out} sent, {back} received\n", "bytes");
    let head = format!("  {:<11}{:>10}{:>10}{:>10}{:>10}{:>10}", "ms", "p50", "p90", "p99", "p99.9", "max");
    let _ = writeln!(text, "{}", dim(&head));
    for (name, quantiles, about) in [
        ("latency", report.latency_ms, "from the intended start"),
        ("exchange", report.exchange_ms, "from the moment it was sent"),
    ] {
        if let Some(Quantiles { p50, p90, p99, p999, max }) = quantiles {
            let _ =
                writeln!(text, "  {name:<11}{p50:>10.2}{p90:>10.2}{p99:>10.2}{p999:>10.2}{max:>10.2}   {}", dim(about));
        }
    }
    let unsent = report.planned.saturating_sub(report.sent);
    if unsent > 0 {
        let _ = writeln!(text, "\n  {} planned deliveries were not sent: the time was up", grouped(unsent));
    }
    if report.starved > 0 {
        let _ = writeln!(
            text,
            "\n  {} deliveries waited to be signed; `--presign` signs beforehand",
            grouped(report.starved)
        );
    }
    text
}

/// Whole numbers from a thousand on: nobody needs a tenth of them.
fn pace(rate: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rates are small and not negative")]
    if rate >= 1_000.0 { grouped(rate.round() as u64) } else { format!("{rate:.1}") }
}

/// `1234567` as `1,234,567`.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn size(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let bytes = bytes as f64;
    match bytes {
        small if small < 1024.0 => format!("{small:.0} B"),
        middle if middle < 1024.0 * 1024.0 => format!("{:.1} KiB", middle / 1024.0),
        large => format!("{:.1} MiB", large / 1024.0 / 1024.0),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use rand::SeedableRng as _;

    use super::*;
    use crate::send::Generator;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        load: LoadArgs,
    }

    fn plan(typed: &[&str], is_local: bool) -> anyhow::Result<Load> {
        let typed = Typed::try_parse_from(std::iter::once(&"send").chain(typed)).expect("well formed");
        let generator = Box::new(Generator::new("acme", "acme_pat", StdRng::seed_from_u64(1)));
        typed.load.plan(&Reported::Made { generator, each: 1 }, is_local)
    }

    #[test]
    fn every_load_ends() {
        assert_eq!(plan(&["--count", "5"], true).expect("a load").planned(), 5);
        let open = plan(&["--rate", "2.5"], true).expect("a load");
        assert_eq!((open.planned(), open.duration), (25, Duration::from_secs(10)));
        let closed = plan(&["--duration", "1s"], true).expect("a load");
        assert_eq!(closed.planned(), Load::MAX_COUNT);
        assert_eq!(plan(&[], true).expect("a load").planned(), 1);
    }

    #[test]
    fn a_load_leaves_this_machine_only_if_told_to() {
        assert!(plan(&["--count", "101"], true).is_ok());
        assert!(plan(&["--count", "100"], false).is_ok());
        let refused = plan(&["--count", "101"], false).expect_err("refused");
        assert!(refused.to_string().contains("another machine"), "{refused}");
        assert!(plan(&["--duration", "1s"], false).is_err());
        assert!(plan(&["--rate", "50", "--duration", "1s"], false).is_ok());
        assert!(plan(&["--count", "101", "--allow-remote"], false).is_ok());
    }

    #[test]
    fn signing_beforehand_is_bounded_by_memory() {
        assert!(plan(&["--presign", "--count", "1000"], true).is_ok());
        assert!(plan(&["--presign", "--duration", "1s"], true).is_err());
    }

    #[test]
    fn figures_are_told_in_words() {
        let quantiles = Quantiles { p50: 1.5, p90: 2.25, p99: 12.0, p999: 100.125, max: 1_234.5 };
        let report = Report {
            elapsed_ms: 2_000.0,
            planned: 1_002,
            sent: 1_000,
            accepted: 998,
            accepted_records: 99_800,
            deliveries_per_s: 499.0,
            records_per_s: 49_900.0,
            offered_per_s: Some(500.0),
            statuses: [(204, 998), (503, 1)].into(),
            failures: [("no answer in time".to_owned(), 1)].into(),
            sent_bytes: 21_000_000,
            answer_bytes: 512,
            latency_ms: Some(quantiles),
            exchange_ms: Some(quantiles),
            starved: 3,
        };
        insta::assert_snapshot!(words(&report, 100, 16, Colour::Off));
    }
}
