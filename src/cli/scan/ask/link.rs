//! Links: where a forge shows the place of a finding, as far as the repository says which forge that is.
//!
//! Read from the repository's own configuration as text; whatever stands there ends in a report and is asked for nothing.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::redact::inert;
use crate::scan::{Finding, Source, Target};

/// The scanned folders that are repositories with a home on a forge.
pub struct Forges(Vec<Forge>);

struct Forge {
    /// The folder as it was named, with `/`, no `./` in front and none behind.
    folder: String,
    /// `https://host/owner/name`.
    home: String,
    style: Style,
}

/// How a forge writes the address of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Bitbucket,
    Forgejo,
    Github,
    Gitlab,
}

/// A configuration larger than this is none that git wrote.
const MAX_CONFIG: u64 = 1 << 20;
const MAX_LINK: usize = 1_000;

impl Forges {
    pub fn of(targets: &[Target]) -> Self {
        let home = |target: &Target| if let Target::Path(path) = target { Forge::of(path) } else { None };
        Self(targets.iter().filter_map(home).collect())
    }

    /// The address of the place if a forge shows it, else the place itself.
    pub fn link(&self, finding: &Finding) -> String {
        let link = self.0.iter().find_map(|forge| forge.link(finding));
        let place = || match finding.position.line {
            0 | 1 => finding.provenance.shown(),
            number => format!("{}#L{number}", finding.provenance.shown()),
        };
        inert(&link.unwrap_or_else(place), MAX_LINK)
    }
}

/// What kind of thing the token was found in, in the words of the partner program.
pub fn source(finding: &Finding) -> &'static str {
    match &finding.provenance.source {
        Source::Git(commit) if commit.object_kind != "blob" => "commit",
        Source::Stdin => "unknown",
        _ => "content",
    }
}

impl Forge {
    fn of(folder: &Path) -> Option<Self> {
        let file = [folder.join(".git/config"), folder.join("config")]
            .into_iter()
            .find(|path| fs::symlink_metadata(path).is_ok_and(|about| about.is_file() && about.len() <= MAX_CONFIG))?;
        let config = fs::read_to_string(file).ok()?;
        let (home, style) = home(origin(&config)?)?;
        let folder = slashed(folder);
        Some(Self { folder, home, style })
    }

    fn link(&self, finding: &Finding) -> Option<String> {
        let commit = finding.commit().filter(|commit| !commit.id.is_empty())?;
        let Self { home, style, .. } = self;
        if finding.provenance.commit().is_some_and(|commit| commit.object_kind == "commit") {
            let way = match style {
                Style::Bitbucket => "commits",
                Style::Gitlab => "-/commit",
                Style::Forgejo | Style::Github => "commit",
            };
            return Some(format!("{home}/{way}/{}", commit.id));
        }
        let path = finding.provenance.path.as_str();
        let path = match self.folder.as_str() {
            "" => path,
            folder => path.strip_prefix(folder)?.strip_prefix('/')?,
        };
        let way = match style {
            Style::Bitbucket => "src",
            Style::Forgejo => "src/commit",
            Style::Github => "blob",
            Style::Gitlab => "-/blob",
        };
        let mark = if *style == Style::Bitbucket { "lines-" } else { "L" };
        let mut link = format!("{home}/{way}/{}/{}", commit.id, encoded(path));
        if finding.provenance.members.is_empty() {
            // Writing to a string cannot fail.
            let _ = write!(link, "#{mark}{}", finding.position.line);
        }
        Some(link)
    }
}

fn slashed(path: &Path) -> String {
    let text = path.to_string_lossy().replace('\\', "/");
    let text = text.trim_end_matches('/');
    let text = text.strip_prefix("./").unwrap_or(text);
    if text == "." { String::new() } else { text.to_owned() }
}

/// The URL of the remote called origin.
fn origin(config: &str) -> Option<&str> {
    let mut lines = config.lines().map(str::trim).skip_while(|line| *line != "[remote \"origin\"]").skip(1);
    lines.by_ref().take_while(|line| !line.starts_with('[')).find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "url").then(|| value.trim())
    })
}

/// The page of a repository on a forge that is known by its host's name. Credentials in the URL are left out.
fn home(url: &str) -> Option<(String, Style)> {
    let rest = ["https://", "http://", "ssh://", "git://"].into_iter().find_map(|scheme| url.strip_prefix(scheme));
    let (host, path) = match rest {
        Some(rest) => rest.split_once('/')?,
        // The form of `scp`.
        None => url.split_once(':')?,
    };
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    // A port belongs to the protocol of the clone, not to the pages.
    let host = host.split(':').next()?.to_ascii_lowercase();
    let style = match host.as_str() {
        "bitbucket.org" => Style::Bitbucket,
        "codeberg.org" => Style::Forgejo,
        name if name == "github.com" || name.starts_with("github.") => Style::Github,
        name if name.starts_with("gitlab.") || name.contains(".gitlab.") => Style::Gitlab,
        name if name.starts_with("gitea.") || name.starts_with("forgejo.") => Style::Forgejo,
        _ => return None,
    };
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./~".contains(&byte);
    let is_path =
        path.contains('/') && path.bytes().all(fine) && !path.split('/').any(|part| part.is_empty() || part == "..");
    (is_path && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte)))
        .then(|| (format!("https://{host}/{path}"), style))
}

/// The path of a URL (RFC 3986 section 3.3).
fn encoded(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_of_a_repository_is_read_from_its_remote() {
        let home = |url: &str| home(url).map(|(home, style)| format!("{home} {style:?}")).unwrap_or_default();
        for url in [
            "https://github.com/o/r.git",
            "git@github.com:o/r.git",
            "ssh://git@github.com:22/o/r",
            "https://x:secret@github.com/o/r/",
        ] {
            assert_eq!(home(url), "https://github.com/o/r Github", "{url}");
        }
        assert_eq!(home("https://gitlab.example.org/a/b/c.git"), "https://gitlab.example.org/a/b/c Gitlab");
        assert_eq!(home("git@codeberg.org:a/b"), "https://codeberg.org/a/b Forgejo");
        for url in [
            "/srv/git/r.git",
            "file:///srv/git/r",
            "https://example.org/o/r",
            "https://github.com/o",
            "https://github.com/../r",
            "https://github.com/o/r\"onload",
            "",
        ] {
            assert_eq!(home(url), "", "{url}");
        }
    }

    #[test]
    fn only_the_remote_called_origin_counts() {
        let config = "[core]\n\turl = no\n[remote \"other\"]\n\turl = no\n[remote \"origin\"]\n\tfetch = x\n\turl = yes\n[x]\nurl = no\n";
        assert_eq!(origin(config), Some("yes"));
        assert_eq!(origin("[remote \"origin\"]\n[x]\nurl = no\n"), None);
        assert_eq!(origin(""), None);
    }
}
