//! Pages of a list: newest first, each continued from the last row of the one before.
//!
//! A cursor names a place in the order, not a row: rows that come or go meanwhile shift nothing.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::clock::Timestamp;

/// Most rows of one page.
pub const MAX_PAGE: u32 = 1_000;

/// Which page to read.
#[derive(Clone, Debug)]
pub struct PageRequest {
    /// Where the page before ended; none for the first.
    pub after: Option<Cursor>,
    /// Rows at most; between 1 and [`MAX_PAGE`], whatever is asked for.
    pub limit: u32,
}

impl PageRequest {
    /// The first page.
    pub fn first(limit: u32) -> Self {
        Self { after: None, limit }
    }

    pub(super) fn rows(&self) -> u32 {
        self.limit.clamp(1, MAX_PAGE)
    }
}

/// Some rows of a list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Where the next page goes on; none at the end.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// Makes a page of what was read: one row more than asked for, if there is one.
    pub(super) fn of(mut items: Vec<T>, rows: u32, place: impl Fn(&T) -> Cursor) -> Self {
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        let more = items.len() > rows;
        items.truncate(rows);
        let next = items.last().filter(|_| more).map(place);
        Self { items, next }
    }
}

/// A place in a list that is ordered by an instant and a text. Opaque to whoever carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(super) at: Timestamp,
    pub(super) id: String,
}

/// The text is no cursor that this service gave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of a list")]
pub struct InvalidCursor;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64_URL_SAFE_NO_PAD.encode(format!("{}.{}", self.at.as_millis(), self.id)))
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidCursor)?;
        let text = String::from_utf8(bytes).map_err(|_| InvalidCursor)?;
        let (at, id) = text.split_once('.').ok_or(InvalidCursor)?;
        let at = at.parse().map(Timestamp::from_millis).map_err(|_| InvalidCursor)?;
        let known = id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if known { Ok(Self { at, id: id.to_owned() }) } else { Err(InvalidCursor) }
    }
}

impl serde::Serialize for Cursor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_cursor_survives_its_text() {
        let cursor =
            Cursor { at: Timestamp::from_millis(1_795_395_604_123), id: "inc_01h455vb4pex5vsknk084sn02q".into() };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
    }

    #[test]
    fn a_page_knows_whether_there_is_more() {
        let place = |at: &i64| Cursor { at: Timestamp::from_millis(*at), id: String::new() };
        let page = Page::of(vec![9, 8, 7], 2, place);
        assert_eq!((page.items, page.next), (vec![9, 8], Some(place(&8))));
        assert_eq!(Page::of(vec![9, 8], 2, place).next, None);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_cursor_panic(text in any::<String>()) {
            let _ = text.parse::<Cursor>();
        }
    }
}
