//! Bringing a schema up to date, with the files of `migrations/` that the binary carries.
//!
//! Each file is applied in one transaction with the line that records it. A schema that a newer version wrote, or a
//! file that was changed after it had been applied, is refused.

use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator};

use super::OpenError;

/// Number, name, and the text for each database.
struct Files {
    version: i64,
    name: &'static str,
    postgres: &'static str,
    sqlite: &'static str,
}

const FILES: &[Files] = &[
    Files {
        version: 1,
        name: "spine",
        postgres: include_str!("../../migrations/postgres/0001_spine.sql"),
        sqlite: include_str!("../../migrations/sqlite/0001_spine.sql"),
    },
    Files {
        version: 2,
        name: "tokens",
        postgres: include_str!("../../migrations/postgres/0002_tokens.sql"),
        sqlite: include_str!("../../migrations/sqlite/0002_tokens.sql"),
    },
    Files {
        version: 3,
        name: "brake",
        postgres: include_str!("../../migrations/postgres/0003_brake.sql"),
        sqlite: include_str!("../../migrations/sqlite/0003_brake.sql"),
    },
    Files {
        version: 4,
        name: "operators",
        postgres: include_str!("../../migrations/postgres/0004_operators.sql"),
        sqlite: include_str!("../../migrations/sqlite/0004_operators.sql"),
    },
    Files {
        version: 5,
        name: "operations",
        postgres: include_str!("../../migrations/postgres/0005_operations.sql"),
        sqlite: include_str!("../../migrations/sqlite/0005_operations.sql"),
    },
    Files {
        version: 6,
        name: "proxy",
        postgres: include_str!("../../migrations/postgres/0006_proxy.sql"),
        sqlite: include_str!("../../migrations/sqlite/0006_proxy.sql"),
    },
    Files {
        version: 7,
        name: "once",
        postgres: include_str!("../../migrations/postgres/0007_once.sql"),
        sqlite: include_str!("../../migrations/sqlite/0007_once.sql"),
    },
    Files {
        version: 8,
        name: "drills",
        postgres: include_str!("../../migrations/postgres/0008_drills.sql"),
        sqlite: include_str!("../../migrations/sqlite/0008_drills.sql"),
    },
    Files {
        version: 9,
        name: "providers",
        postgres: include_str!("../../migrations/postgres/0009_providers.sql"),
        sqlite: include_str!("../../migrations/sqlite/0009_providers.sql"),
    },
    Files {
        version: 10,
        name: "totals",
        postgres: include_str!("../../migrations/postgres/0010_totals.sql"),
        sqlite: include_str!("../../migrations/sqlite/0010_totals.sql"),
    },
    Files {
        version: 11,
        name: "owners",
        postgres: include_str!("../../migrations/postgres/0011_owners.sql"),
        sqlite: include_str!("../../migrations/sqlite/0011_owners.sql"),
    },
    Files {
        version: 12,
        name: "revoke_tried",
        postgres: include_str!("../../migrations/postgres/0012_revoke_tried.sql"),
        sqlite: include_str!("../../migrations/sqlite/0012_revoke_tried.sql"),
    },
];

pub(super) fn postgres() -> Migrator {
    migrator(|files| files.postgres)
}

pub(super) fn sqlite() -> Migrator {
    migrator(|files| files.sqlite)
}

fn migrator(text: fn(&Files) -> &'static str) -> Migrator {
    let migration = |files: &Files| {
        let text = sqlx::SqlSafeStr::into_sql_str(text(files));
        Migration::new(files.version, files.name.into(), MigrationType::Simple, text, false)
    };
    Migrator::with_migrations(FILES.iter().map(migration).collect())
}

pub(super) async fn apply(migrator: &Migrator, connection: &mut impl Migrate) -> Result<(), OpenError> {
    let newest = FILES.iter().map(|files| files.version).max().unwrap_or(0);
    migrator.run_direct(None, connection, false).await.map_err(|error| match error {
        MigrateError::VersionMissing(version) => OpenError::Refused(format!(
            "the database has schema {version}, written by a newer stanch; this one knows schemas up to {newest}: \
             start the newer version, or restore a backup from before it"
        )),
        MigrateError::VersionMismatch(version) => OpenError::Refused(format!(
            "schema {version} of the database was made from another text than this stanch carries: \
             start the version that made it"
        )),
        other => OpenError::unavailable(other),
    })
}

/// How SQLite would go about these statements in a database of the newest schema.
#[cfg(test)]
pub(super) async fn planned(texts: &[String]) -> Vec<Vec<String>> {
    use sqlx::{Connection as _, Row as _};

    let mut database = sqlx::SqliteConnection::connect("sqlite::memory:").await.expect("it opens");
    apply(&sqlite(), &mut database).await.expect("the schema is made");
    let mut plans = Vec::new();
    for text in texts {
        let text = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {text}"));
        let plan = sqlx::raw_sql(text).fetch_all(&mut database).await.expect("a plan");
        plans.push(plan.iter().map(|row| row.get("detail")).collect());
    }
    plans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_databases_have_the_same_migrations_and_the_binary_carries_them_all() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
        let carried: Vec<String> =
            FILES.iter().map(|files| format!("{:04}_{}.sql", files.version, files.name)).collect();
        for dialect in ["postgres", "sqlite"] {
            let folder = std::fs::read_dir(root.join(dialect)).expect("the folder is part of the repository");
            let mut names: Vec<String> =
                folder.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned()).collect();
            names.sort();
            assert_eq!(names, carried, "{dialect}");
        }
    }
}
