//! Statements put together at run time, for lists with any set of filters.
//!
//! Each piece of the text is a constant of this crate, and what comes from outside is only ever bound. Only the pieces
//! that are needed are there: a condition like `$1 = '' OR state = $1` would keep PostgreSQL from using an index.

use std::fmt::Write as _;

use super::value::Value;

/// A statement in the making, with the values bound so far. `{?}` in a piece stands for the next value.
pub(in crate::store) struct Assembled {
    pub(super) text: String,
    pub(super) binds: Vec<Value>,
}

impl Assembled {
    pub(in crate::store) fn new(text: &'static str) -> Self {
        Self { text: text.to_owned(), binds: Vec::new() }
    }

    /// Appends a piece and the values of its marks, in order.
    pub(in crate::store) fn push(&mut self, piece: &'static str, values: Vec<Value>) {
        self.text.push('\n');
        let mut rest = piece;
        for value in values {
            let (before, after) = rest.split_once("{?}").unwrap_or((rest, ""));
            self.binds.push(value);
            let _ = write!(self.text, "{before}${}", self.binds.len());
            rest = after;
        }
        self.text.push_str(rest);
    }

    /// Appends a piece if there is a value for it.
    pub(in crate::store) fn push_if<V: Into<Value>>(&mut self, piece: &'static str, value: Option<V>) {
        if let Some(value) = value {
            self.push(piece, vec![value.into()]);
        }
    }
}

#[cfg(test)]
impl Assembled {
    /// As SQLite gets it.
    pub(in crate::store) fn sqlite(&self) -> String {
        super::statement::sqlite(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_number_their_values_in_the_order_they_come() {
        let mut statement = Assembled::new("SELECT 1");
        statement.push("WHERE a = {?} AND b IN {?}", vec![Value::from(1_i64), Value::from(2_i64)]);
        statement.push_if("AND c = {?}", None::<i64>);
        statement.push_if("LIMIT {?}", Some(3_i64));
        assert_eq!(statement.text, "SELECT 1\nWHERE a = $1 AND b IN $2\nLIMIT $3");
        assert_eq!(statement.binds.len(), 3);
    }
}
