//! From the configuration to ready values: what `serve`, `work` and the operator's commands are made of.

use std::collections::BTreeMap;

use anyhow::Context as _;

use super::HintExt as _;
use crate::clock::Clock;
use crate::config::{Config, Refused};
use crate::store::{OpenError, Store};
use crate::token::FingerprintRing;

/// Opens every key and credential once, to tell all that is wrong with them at the same time.
pub fn credentials(config: &Config) -> Result<(), Refused> {
    let problems = [
        config.keys.open().err(),
        config.database.settings(config.work.keep_reports.0).err(),
        config.mail.settings(config.environment(), BTreeMap::new()).err(),
    ];
    Refused::unless_empty(problems.into_iter().flatten().collect())
}

/// Opens the database with the sealing keys, and refuses fingerprint keys it was not written with.
pub async fn open_store(config: &Config, clock: &Clock) -> anyhow::Result<Store> {
    let settings = config.database.settings(config.work.keep_reports.0)?;
    let keys = config.keys.open()?;
    let opened = async {
        let store = Store::open(&settings, keys.seal, clock.clone()).await?;
        store.check_fingerprint_keys(&keys.fingerprint).await?;
        Ok::<_, OpenError>(store)
    };
    opened.await.context("the database cannot be used").hint("run `stanch doctor` to see what is wrong")
}

/// The keys under which tokens are named in the database.
pub fn fingerprint_ring(config: &Config) -> anyhow::Result<FingerprintRing> {
    Ok(config.keys.open()?.fingerprint)
}
