//! What is reported: from arguments, a file, standard input, or made up.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::cli::{HintExt as _, Usage};
use crate::send::{Feed, Generator, Record, parse_records};
use crate::token::pat;

#[derive(Args)]
#[command(next_help_heading = "Records")]
pub(super) struct RecordArgs {
    /// Token to report; can be repeated. Other users of this machine see arguments: prefer `--from -`
    #[arg(long = "token", value_name = "TOKEN", conflicts_with = "from")]
    tokens: Vec<String>,
    /// Type of the tokens, one for all or one for each [default: `stanch_pat`, with the prefix]
    #[arg(long = "type", value_name = "TYPE")]
    kinds: Vec<String>,
    /// Address where the tokens lie, one for all or one for each
    #[arg(long = "url", value_name = "URL")]
    urls: Vec<String>,
    /// Kind of place where the tokens lie, one for all or one for each
    #[arg(long = "source", value_name = "SOURCE")]
    sources: Vec<String>,
    /// Report what this file holds, a JSON array as the protocol has it or one token per line; `-` is standard input
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Records in each delivery; tokens that nobody issued are made up unless some were given
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    records: Option<u32>,
    /// Prefix of made-up tokens, as in `stanch_pat_…`
    #[arg(long, value_name = "PREFIX", default_value = "stanch", value_parser = prefix)]
    prefix: String,
}

/// Records as they were given, or what makes them.
pub(super) enum Reported {
    Given { records: Vec<Record>, each: usize },
    Made { generator: Box<Generator<StdRng>>, each: usize },
}

impl Reported {
    pub(super) fn read(args: &RecordArgs, rng: &mut StdRng) -> anyhow::Result<Self> {
        let each = args.records.map(|count| usize::try_from(count).unwrap_or(usize::MAX));
        let records = match &args.from {
            Some(file) => parse_records(&text_of(file)?, &args.like(0)?)
                .with_context(|| format!("the records in `{}` cannot be read", file.display()))?,
            None => args.named()?,
        };
        if records.is_empty() {
            if args.from.is_some() {
                return Err(Usage("there is no record to report".into()))
                    .hint("leave out `--from` to report made-up tokens");
            }
            let kind = args.kinds.first().cloned().unwrap_or_else(|| format!("{}_pat", args.prefix));
            let generator = Box::new(Generator::new(&args.prefix, &kind, StdRng::from_rng(rng)));
            return Ok(Self::Made { generator, each: each.unwrap_or(1) });
        }
        let each = each.unwrap_or(records.len());
        Ok(Self::Given { records, each })
    }

    /// How many deliveries the given records make; none if they never end.
    pub(super) fn deliveries(&self) -> Option<u64> {
        match self {
            Self::Given { records, each } => Some(records.len().div_ceil(*each) as u64),
            Self::Made { .. } => None,
        }
    }

    /// How many records are in each delivery, the last of the given ones perhaps apart.
    pub(super) fn each(&self) -> usize {
        match self {
            Self::Given { each, .. } | Self::Made { each, .. } => *each,
        }
    }

    /// The records of one delivery: new ones if they are made up.
    pub(super) fn one(&mut self) -> Vec<Record> {
        match self {
            Self::Given { records, .. } => records.clone(),
            Self::Made { generator, each } => generator.records(*each),
        }
    }

    pub(super) fn feed(self) -> Feed {
        match self {
            Self::Given { records, each } => Feed::given(&records, each),
            Self::Made { generator, each } => Feed::made(*generator, each),
        }
    }
}

impl RecordArgs {
    /// The records named by arguments.
    fn named(&self) -> anyhow::Result<Vec<Record>> {
        let with_token = |(at, token): (usize, &String)| Ok(Record { token: token.clone(), ..self.like(at)? });
        self.tokens.iter().enumerate().map(with_token).collect()
    }

    /// All but the token of record number `at`.
    fn like(&self, at: usize) -> anyhow::Result<Record> {
        let pick = |name: &str, values: &[String]| match values {
            [] => Ok(None),
            [one] => Ok(Some(one.clone())),
            many if many.len() == self.tokens.len() => Ok(many.get(at).cloned()),
            many => Err(Usage(format!("{} times `--{name}` for {} tokens", many.len(), self.tokens.len())))
                .hint(format!("give `--{name}` once for all, or once for each")),
        };
        Ok(Record {
            token: String::new(),
            kind: pick("type", &self.kinds)?.unwrap_or_else(|| format!("{}_pat", self.prefix)),
            url: pick("url", &self.urls)?.unwrap_or_default(),
            source: pick("source", &self.sources)?.or_else(|| Some("content".to_owned())),
        })
    }
}

fn prefix(text: &str) -> Result<String, String> {
    if pat::is_prefix(text) {
        Ok(text.to_owned())
    } else {
        Err("2 to 32 lower-case letters and digits, a letter first".into())
    }
}

fn text_of(file: &Path) -> anyhow::Result<String> {
    if file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("standard input cannot be read")?;
        return Ok(text);
    }
    std::fs::read_to_string(file).with_context(|| format!("the file `{}` cannot be read", file.display()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        records: RecordArgs,
    }

    fn read(typed: &[&str]) -> anyhow::Result<Reported> {
        let typed = Typed::try_parse_from(std::iter::once(&"send").chain(typed)).expect("well formed");
        Reported::read(&typed.records, &mut StdRng::seed_from_u64(1))
    }

    #[test]
    fn one_type_serves_all_tokens_and_as_many_as_tokens_are_paired() {
        let mut reported =
            read(&["--token", "a", "--token", "b", "--type", "k", "--url", "u1", "--url", "u2"]).expect("2");
        let records = reported.one();
        let pairs: Vec<_> = records.iter().map(|record| (record.kind.as_str(), record.url.as_str())).collect();
        assert_eq!(pairs, [("k", "u1"), ("k", "u2")]);
        let refused = read(&["--token", "a", "--type", "k", "--type", "l"]).err().expect("refused");
        assert!(refused.to_string().contains("2 times `--type` for 1 tokens"), "{refused}");
    }

    #[test]
    fn given_records_are_split_and_made_ones_never_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("tokens.txt");
        std::fs::write(&file, "a\nb\nc\n").expect("written");
        let path = file.to_str().expect("text");
        assert_eq!(read(&["--from", path]).expect("three").deliveries(), Some(1));
        assert_eq!(read(&["--from", path, "--records", "2"]).expect("three").deliveries(), Some(2));
        assert_eq!(read(&["--records", "2"]).expect("made up").deliveries(), None);
        std::fs::write(&file, "\n").expect("written");
        assert!(read(&["--from", path]).is_err(), "an empty file does not report made-up tokens");
    }
}
