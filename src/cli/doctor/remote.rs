//! What lies elsewhere: the mail server, the reporters' keys, the issuers.

use std::time::Duration;

use super::super::{ready, when};
use super::finding::Finding;
use crate::clock::Clock;
use crate::config::Config;
use crate::store::Store;

/// A key list that is answered in more time leaves little of the reporter's limit.
const SLOW: Duration = Duration::from_secs(3);

pub async fn mail(config: &Config) -> Vec<Finding> {
    let mailer = match ready::mailer(config) {
        Ok(mailer) => mailer,
        Err(error) => return vec![Finding::of_error("mail", &error, "correct `[mail]` in the configuration")],
    };
    vec![match mailer.check().await {
        Ok(says) if config.mail.smtp.is_none() => {
            let hint = "set `[mail.smtp]` to have it sent; until then no owner is told";
            Finding::warn("mail", says, hint)
        }
        Ok(says) => Finding::ok("mail", says),
        Err(says) => Finding::fail("mail", says, "correct `[mail]`, or wait until the server is back: mail waits too"),
    }]
}

pub async fn origins(config: &Config, store: Option<&Store>, clock: &Clock) -> Vec<Finding> {
    let origins = match ready::origins(config) {
        Ok(origins) => origins,
        Err(error) => return vec![Finding::of_error("origins", &error, "correct `[origin.…]` in the configuration")],
    };
    if origins.is_empty() {
        let hint = "enable `[origin.github]`, or add a reporter";
        return vec![Finding::warn("origins", "nobody may report a leak", hint)];
    }
    let mut findings = Vec::new();
    for mut origin in origins {
        let part = format!("origin {}", origin.name);
        let stored = match store {
            Some(store) => store.key_list(&origin.name).await.ok().flatten(),
            None => None,
        };
        let age = stored.as_ref().map(|list| clock.now().since(list.fetched_at));
        let kept =
            age.map_or("; none is stored yet".into(), |age| format!("; the stored list is {} old", when::coarse(age)));
        let (handed_over, stale_limit) = (origin.static_keys.len(), origin.stale_limit);
        let started_at = clock.now();
        let answer = origin.fetch_keys(started_at).await;
        let took = clock.now().since(started_at);
        findings.push(match answer {
            Ok(None) => Finding::ok(part, format!("keys handed over: {handed_over}")),
            Ok(Some(published)) if published.keys == 0 => {
                Finding::fail(part, "its key endpoint lists no key that can be used", "check `key_url`")
            }
            Ok(Some(published)) => {
                let rejected =
                    if published.rejected > 0 { format!(", unusable: {}", published.rejected) } else { String::new() };
                let says = format!("keys fetched: {}{rejected}, in {}{kept}", published.keys, when::measured(took));
                if took > SLOW {
                    Finding::warn(part, says, "look for what is slow between here and the endpoint")
                } else {
                    Finding::ok(part, says)
                }
            }
            // Reports go on being checked with the stored keys.
            Err(why) if age.is_some_and(|age| age < stale_limit) => {
                Finding::warn(part, format!("{why}{kept}"), "see that this machine reaches `key_url`")
            }
            Err(why) => Finding::fail(part, format!("{why}{kept}"), "see that this machine reaches `key_url`"),
        });
    }
    findings
}

pub async fn issuers(config: &Config, store: Option<&Store>, clock: &Clock) -> Vec<Finding> {
    // Without a database the built-in issuer cannot be asked; the database's own line says why.
    let Some(store) = store else { return Vec::new() };
    let issuers = match ready::issuers(config, store, clock) {
        Ok(issuers) => issuers,
        Err(error) => return vec![Finding::of_error("issuers", &error, "correct `[issuer.…]` in the configuration")],
    };
    let mut findings = Vec::new();
    for issuer in issuers.iter() {
        let part = format!("issuer {}", issuer.name());
        findings.push(match issuer.check().await {
            Ok(says) => Finding::ok(part, says),
            Err(says) => {
                let hint = format!("correct `[issuer.{}]`, or wait until it is back: work waits too", issuer.name());
                Finding::fail(part, says, hint)
            }
        });
    }
    if findings.is_empty() {
        let hint = "enable `[issuer.builtin]`, or describe your issuer in `[issuer.NAME.http]`";
        findings.push(Finding::warn("issuers", "no issuer can be asked, so nothing is ever revoked", hint));
    }
    findings
}
