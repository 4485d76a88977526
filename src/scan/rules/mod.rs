//! Rules: kinds of token as files, of our own form and of others'.

mod export;
mod import;
mod own;

pub use export::{Form, export, regex};
pub use import::{Applies, RulePaths, Rules};
pub use own::{BadRules, read};
