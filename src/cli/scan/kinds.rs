//! The kinds that were asked for: those of the catalogue, and those of a file.

use std::path::Path;

use super::args::read;
use super::ask;
use crate::cli::{Usage, out};
use crate::recognize::{self, Recognizer};
use crate::scan::rules::{self, RulePaths, Rules};
use crate::token::{KindId, catalogue, macaroon, pat};

/// The recognizer of the kinds that were asked for.
pub fn recognizer(only: &[String], without: &[String], config: Option<&Path>) -> anyhow::Result<Recognizer> {
    recognizer_with(Vec::new(), only, without, config).map(|(recognizer, _)| recognizer)
}

/// The same with kinds of this installation, and where imported rules apply. What of them could not be kept is told.
pub fn recognizer_with(
    mut own: Vec<catalogue::Kind>,
    only: &[String],
    without: &[String],
    config: Option<&Path>,
) -> anyhow::Result<(Recognizer, RulePaths)> {
    let mut builder = Recognizer::builder();
    let mut file = Rules::default();
    if let Some(path) = config.filter(|path| !ask::is_service(path)) {
        let text = read(path)?;
        file = rules::read(&text).map_err(|bad| Usage(format!("{bad}: `{}`", path.display())))?;
        for told in &file.not_kept {
            out::talk(format!("Note: {told}"));
        }
    }
    own.append(&mut file.kinds);
    // Tokens of a built-in issuer that has no prefix of its own are known without its configuration.
    let opaque = pat::Mark::ALL.into_iter().map(|mark| pat::kind_marked(pat::PREFIX, mark));
    for kind in opaque.chain([macaroon::kind(pat::PREFIX, pat::PREFIX)]) {
        let kind = kind.map_err(|bad| Usage(bad.0))?;
        if !own.iter().any(|other| other.id == kind.id) {
            own.push(kind);
        }
    }
    let ids: Vec<_> =
        own.iter().chain(file.patterns.iter().map(|(kind, _)| kind)).map(|kind| kind.id.clone()).collect();
    if !only.is_empty() {
        builder = builder.only(&named(only, &ids)?);
    }
    builder = builder.without(&named(without, &ids)?);
    let is = |list: &[String], id: &str| list.iter().any(|name| fits(name, id));
    let is_wanted = |id: &str| (only.is_empty() || is(only, id)) && !is(without, id);
    for kind in own {
        if is_wanted(&kind.id) {
            builder = builder.with_kind(kind);
        }
    }
    for (kind, pattern) in file.patterns {
        if is_wanted(&kind.id) {
            builder = builder.with_pattern(kind, pattern);
        }
    }
    let recognizer = builder.build().map_err(|error: recognize::Error| Usage(error.to_string()))?;
    Ok((recognizer, file.paths))
}

/// The kinds of the catalogue that the names mean.
fn named(names: &[String], own: &[std::borrow::Cow<'static, str>]) -> anyhow::Result<Vec<KindId>> {
    let mut all = Vec::new();
    for name in names {
        let fitting = catalogue::builtin().iter().filter(|kind| fits(name, &kind.id));
        let before = all.len();
        all.extend(fitting.map(|kind| KindId::new(&kind.id)));
        if all.len() == before && !own.iter().any(|id| fits(name, id)) {
            return Err(Usage(format!("no kind is named `{name}`; `stanch rules list` shows all")).into());
        }
    }
    Ok(all)
}

fn fits(name: &str, id: &str) -> bool {
    id.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}
