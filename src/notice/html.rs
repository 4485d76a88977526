//! The HTML part: the letter laid out for programs that show HTML.
//!
//! Styles are inline and nothing is loaded from anywhere. Text and background keep the reader's own colours, light or
//! dark (`color-scheme`); only lines and tints are set, in greys and a green that stand out from both. The template
//! escapes every value, and its only `href` are the operator's pages.

use askama::Template;

use super::letter::Letter;

pub(super) fn render(letter: &Letter) -> Result<String, askama::Error> {
    Page { letter }.render()
}

#[derive(Template)]
#[template(path = "notice.html", config = "src/notice/askama.toml")]
struct Page<'a> {
    letter: &'a Letter,
}
