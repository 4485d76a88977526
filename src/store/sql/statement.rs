//! Statements: one SQL text for both databases, with marks where they differ.

use std::sync::{Arc, OnceLock};

use sqlx::AssertSqlSafe;

/// A statement of both databases. Marks in its text:
///
/// - `{incident}`: the columns of an incident;
/// - `{token}`: the columns of a token of the built-in issuer and of its owner;
/// - `{uses $1}`: the rows of token, time, network and count in the JSON list of lists `$1`;
/// - `{in $1}`: is one of the texts in the JSON list `$1`;
/// - `{pairs $1}`: the rows of two texts in the JSON list of lists `$1`;
/// - `{claimable: CONDITION}`: is one of the jobs that meet the condition and that no other claim is taking just now,
///   except the steps of the list `$7`, those that call an issuer of the list `$5`, and what a person paused; the
///   oldest `$6` of them;
/// - `{lock}`: lock the rows that are read; SQLite has one writer and needs none;
/// - `{plain COLUMN}`: the column, which SQLite is not to look for in an index: it has no statistics to choose by.
///   PostgreSQL has them and chooses;
/// - `{after $1 $2}`: the event stands behind this number of a transaction and this position, in the `{trail}` order of
///   the audit trail. SQLite knows positions alone, and would walk from the first event if it were asked for the number;
/// - `{settled_below}`: every transaction with a lower number is over, and what it wrote is visible;
/// - `{next_transaction}`: no transaction has this number yet.
pub(in crate::store) struct Statement {
    text: &'static str,
    rendered: [OnceLock<Arc<str>>; 2],
}

/// An `INSERT` of many rows. `{rows}` in its text stands for them.
pub(in crate::store) struct Bulk {
    text: &'static str,
    pub(super) columns: usize,
    rendered: [[OnceLock<Arc<str>>; CHUNKS.len()]; 2],
}

/// Rows of one bulk statement. A few fixed sizes, so that each text is prepared once a connection.
pub(super) const CHUNKS: [usize; 3] = [64, 8, 1];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Postgres,
    Sqlite,
}

impl Statement {
    pub(in crate::store) const fn new(text: &'static str) -> Self {
        Self { text, rendered: [const { OnceLock::new() }; 2] }
    }

    pub(super) fn for_dialect(&self, dialect: Dialect) -> AssertSqlSafe<Arc<str>> {
        let text = self.rendered[dialect as usize].get_or_init(|| render(self.text, dialect).into());
        AssertSqlSafe(Arc::clone(text))
    }
}

#[cfg(test)]
impl Statement {
    /// As SQLite gets it.
    pub(in crate::store) fn sqlite(&self) -> String {
        sqlite(self.text)
    }
}

#[cfg(test)]
pub(super) fn sqlite(text: &str) -> String {
    render(text, Dialect::Sqlite)
}

impl Bulk {
    pub(in crate::store) const fn new(columns: usize, text: &'static str) -> Self {
        Self { text, columns, rendered: [const { [const { OnceLock::new() }; CHUNKS.len()] }; 2] }
    }

    pub(super) fn for_dialect(&self, dialect: Dialect, chunk: usize) -> AssertSqlSafe<Arc<str>> {
        let text = self.rendered[dialect as usize][chunk].get_or_init(|| {
            let rows: Vec<String> = (0..CHUNKS[chunk]).map(|row| placeholders(row, self.columns, dialect)).collect();
            render(self.text, dialect).replace("{rows}", &rows.join(", ")).into()
        });
        AssertSqlSafe(Arc::clone(text))
    }
}

fn placeholders(row: usize, columns: usize, dialect: Dialect) -> String {
    // SQLite finds a numbered parameter by walking the list of all of them, so many rows of many columns would cost
    // their square; unnamed ones are counted.
    let place = |column: usize| match dialect {
        Dialect::Postgres => format!("${}", row * columns + column + 1),
        Dialect::Sqlite => "?".to_owned(),
    };
    format!("({})", (0..columns).map(place).collect::<Vec<_>>().join(", "))
}

/// The text of a statement that was put together.
pub(super) fn rendered(text: &str, dialect: Dialect) -> AssertSqlSafe<Arc<str>> {
    AssertSqlSafe(render(text, dialect).into())
}

fn render(text: &str, dialect: Dialect) -> String {
    let lock = match dialect {
        Dialect::Postgres => "FOR NO KEY UPDATE",
        Dialect::Sqlite => "",
    };
    let (settled_below, next_transaction) = match dialect {
        Dialect::Postgres => (
            "pg_snapshot_xmin(pg_current_snapshot())::text::bigint",
            "pg_snapshot_xmax(pg_current_snapshot())::text::bigint",
        ),
        // One writer: every transaction has the number 0, and whoever reads sees all of them.
        Dialect::Sqlite => ("1", "1"),
    };
    let text = text
        .replace("{lock}", lock)
        .replace("{settled_below}", settled_below)
        .replace("{next_transaction}", next_transaction)
        .replace("{incident}", super::super::incident_row::COLUMNS);
    let text = text.replace("{token}", super::super::tokens::COLUMNS);
    let text = replace_mark(&text, "{uses ", |list| {
        let columns = |number: &str| {
            format!(
                "value ->> 0 AS id, {number}value ->> 1) AS used_at, value ->> 2 AS used_from, {number}value ->> 3) AS uses"
            )
        };
        match dialect {
            Dialect::Postgres => {
                format!("(SELECT {} FROM json_array_elements({list}::json))", columns("int8("))
            }
            Dialect::Sqlite => format!("(SELECT {} FROM json_each({list}))", columns("(")),
        }
    });
    let trail = match dialect {
        Dialect::Postgres => "written_in, position",
        Dialect::Sqlite => "position",
    };
    let text = text.replace("{trail}", trail);
    let text = replace_mark(&text, "{after ", |place| {
        let (number, position) = place.split_once(' ').unwrap_or((place, place));
        match dialect {
            Dialect::Postgres => format!("(written_in, position) > ({number}, {position})"),
            Dialect::Sqlite => format!("position > {position}"),
        }
    });
    let text = replace_mark(&text, "{plain ", |column| match dialect {
        Dialect::Postgres => column.to_owned(),
        Dialect::Sqlite => format!("+{column}"),
    });
    let text = replace_mark(&text, "{claimable: ", |condition| {
        let jobs = format!(
            "SELECT id FROM jobs WHERE {condition} \
             AND NOT (step IN ('verify', 'revoke') AND COALESCE(issuer, '') {{in $5}}) \
             AND NOT (step {{in $7}}) \
             AND NOT (step IN ('verify', 'revoke') AND issuer IS NOT NULL \
                      AND EXISTS (SELECT 1 FROM pauses WHERE pauses.issuer = jobs.issuer)) \
             AND NOT (step <> 'close' AND EXISTS (SELECT 1 FROM pauses WHERE pauses.issuer = '*')) \
             ORDER BY due_at LIMIT $6"
        );
        match dialect {
            // The array is computed once; a subquery could be run again for each row and take more than the limit.
            Dialect::Postgres => format!("= ANY (ARRAY({jobs} FOR UPDATE SKIP LOCKED))"),
            Dialect::Sqlite => format!("IN ({jobs})"),
        }
    });
    let text = replace_mark(&text, "{in ", |list| match dialect {
        // An array is used with an index; a join with a set could read the whole table.
        Dialect::Postgres => format!("= ANY (ARRAY(SELECT json_array_elements_text({list}::json)))"),
        Dialect::Sqlite => format!("IN (SELECT value FROM json_each({list}))"),
    });
    replace_mark(&text, "{pairs ", |list| match dialect {
        Dialect::Postgres => format!("(SELECT value ->> 0, value ->> 1 FROM json_array_elements({list}::json))"),
        Dialect::Sqlite => format!("(SELECT value ->> 0, value ->> 1 FROM json_each({list}))"),
    })
}

/// Replaces every `{mark ARGUMENT}`.
fn replace_mark(text: &str, mark: &str, with: impl Fn(&str) -> String) -> String {
    let mut done = String::with_capacity(text.len() + 64);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(mark) {
        let (argument, after) = after.split_once('}').unwrap_or((after, ""));
        done.push_str(before);
        done.push_str(&with(argument));
        rest = after;
    }
    done.push_str(rest);
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_serves_both_databases() {
        let text = "SELECT 1 FROM jobs WHERE id {in $1} AND (id, x) IN {pairs $2} {lock}";
        assert_eq!(
            render(text, Dialect::Sqlite).trim_end(),
            "SELECT 1 FROM jobs WHERE id IN (SELECT value FROM json_each($1)) \
             AND (id, x) IN (SELECT value ->> 0, value ->> 1 FROM json_each($2))"
        );
        assert!(render(text, Dialect::Postgres).ends_with("FOR NO KEY UPDATE"));
    }

    #[test]
    fn a_bulk_insert_numbers_every_value_once() {
        assert_eq!(placeholders(2, 3, Dialect::Postgres), "($7, $8, $9)");
        assert_eq!(placeholders(2, 3, Dialect::Sqlite), "(?, ?, ?)");
    }
}
