//! The promises of stanch, tested on the real program: one file a promise.
#![cfg(feature = "server")]

#[path = "../support/cluster.rs"]
mod cluster;
#[path = "../support/db.rs"]
#[expect(dead_code, reason = "other test targets use the rest")]
mod db;
#[path = "../support/issuer.rs"]
#[expect(dead_code, reason = "other test targets use the rest")]
mod issuer;
#[path = "../support/process.rs"]
mod process;
#[path = "../support/smtp.rs"]
#[expect(dead_code, reason = "other test targets use the rest")]
mod smtp;

/// The same promises on both databases: `name: function(arguments)` calls the function with a database and the arguments.
macro_rules! on_both_databases {
    ($($name:ident: $promise:ident($($argument:expr),*);)*) => {
        mod sqlite {
            use super::*;

            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$promise(Kind::Sqlite, $($argument),*).await;
            })*
        }

        mod postgres {
            use super::*;

            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$promise(Kind::Postgres, $($argument),*).await;
            })*
        }
    };
}

mod accepted_is_durable;
mod api_document;
mod brakes;
mod demo;
mod drill;
mod effectively_once;
mod every_kind;
mod graceful_stop;
mod key_endpoint;
mod leases;
mod mail_never_touches_revocation;
mod metrics;
mod no_secret_at_rest;
mod old_proxy;
mod on_time_and_gone;
mod operate;
mod outage;
mod revoke_first;
#[cfg(feature = "scan")]
mod scan_asks;
mod sentinel;
mod unknown_is_not_dead;
