//! The store's suite. Every test runs on a real SQLite file and on a real PostgreSQL.
#![cfg(feature = "server")]

#[path = "../support/db.rs"]
mod db;
mod given;
mod grants;

mod audit;
mod brake;
mod commits;
mod delivery;
mod incidents;
mod jobs;
mod lifecycle;
mod lists;
mod notices;
mod once;
mod opening;
mod operators;
mod origins;
mod secrets;
mod settle;
mod sweep;
mod tokens;
mod vanished;
mod working;

/// Makes two tests of each: one on SQLite, one on PostgreSQL.
macro_rules! on_both_databases {
    ($(async fn $name:ident($db:ident) $body:block)*) => {$(
        mod $name {
            #[allow(unused_imports, clippy::allow_attributes, reason = "not every test needs all of them")]
            use super::*;

            async fn check($db: $crate::db::TestDb) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                check($crate::db::TestDb::sqlite()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                check($crate::db::TestDb::postgres().await).await;
            }
        }
    )*};
}
use on_both_databases;
