//! `[log]`: how much is logged, and in which form.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

use super::environment::Variable;
use super::layers::{Layers, Section};
use crate::telemetry;

/// `text` or `json`. Default: `text`. Effect: `log.format`.
pub const FORMAT: Variable = Variable { name: "STANCH_LOG_FORMAT", key: "log.format" };

/// What is logged: `error`, `warn`, `info`, `debug`, or a filter such as `info,stanch::work=debug`. Default: `info`.
/// Effect: `log.level`.
pub const LEVEL: Variable = Variable { name: "STANCH_LOG", key: "log.level" };

/// How much is logged, and in which form.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    pub format: LogFormat,
    pub level: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line, for machines.
    Json,
    /// One line of text, for people.
    #[default]
    Text,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: "info".into() }
    }
}

impl Log {
    /// What the log is started with.
    pub fn settings(&self) -> telemetry::LogSettings {
        let format = match self.format {
            LogFormat::Json => telemetry::LogFormat::Json,
            LogFormat::Text => telemetry::LogFormat::Text,
        };
        telemetry::LogSettings { format, filter: self.level.clone() }
    }
}

impl Section for Log {
    fn rebase(&mut self, _folder: &Path) {}

    fn read_environment(&mut self, layers: &mut Layers) {
        layers.set(&FORMAT, &mut self.format);
        layers.set(&LEVEL, &mut self.level);
    }

    fn check(&self, layers: &mut Layers) {
        if EnvFilter::try_new(&self.level).is_err() {
            let hint = "write `error`, `warn`, `info` or `debug`, or a filter such as `info,stanch::work=debug`";
            layers.refuse("log.level", "not a log level", hint);
        }
    }
}

/// Neither `json` nor `text`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither `json` nor `text`")]
pub struct UnknownFormat(String);

impl FromStr for LogFormat {
    type Err = UnknownFormat;

    fn from_str(word: &str) -> Result<Self, UnknownFormat> {
        match word {
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            other => Err(UnknownFormat(other.chars().take(32).collect())),
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json => "json",
            Self::Text => "text",
        })
    }
}
