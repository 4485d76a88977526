//! Forms of reports, as they are typed.

use clap::ValueEnum;

use crate::scan::report::Format;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    Csv,
    GithubActions,
    GitleaksJson,
    Html,
    #[value(alias = "pretty", alias = "plain", alias = "text")]
    Human,
    Json,
    Jsonl,
    Junit,
    Sarif,
    TrufflehogJson,
}

impl From<Form> for Format {
    fn from(form: Form) -> Self {
        match form {
            Form::Csv => Self::Csv,
            Form::GithubActions => Self::GithubActions,
            Form::GitleaksJson => Self::GitleaksJson,
            Form::Html => Self::Html,
            Form::Human => Self::Human,
            Form::Json => Self::Json,
            Form::Jsonl => Self::Jsonl,
            Form::Junit => Self::Junit,
            Form::Sarif => Self::Sarif,
            Form::TrufflehogJson => Self::TrufflehogJson,
        }
    }
}
