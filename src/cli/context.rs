//! What every command starts from: the flags before the command, the environment, the clock.

use std::path::PathBuf;

use clap::Args;

use crate::clock::Clock;
use crate::config::{Config, Environment, Flags, Refused, Sources};

const CONFIG_HELP: &str = "Configuration file [env: STANCH_CONFIG] [default: stanch.toml, if it is there]";
const DATA_HELP: &str = "Data folder [env: STANCH_DATA] [default: stanch-data]";

/// Flags that every command takes.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// The configuration file.
    #[arg(long, global = true, value_name = "FILE", help = CONFIG_HELP)]
    pub config: Option<PathBuf>,
    /// The data folder.
    #[arg(long, global = true, value_name = "FOLDER", help = DATA_HELP)]
    pub data: Option<PathBuf>,
}

/// What a command is run with.
pub struct Context {
    pub clock: Clock,
    pub environment: Environment,
    pub global: Global,
}

impl Context {
    pub fn new(global: Global) -> Self {
        Self { clock: Clock::system(), environment: Environment::of_process(), global }
    }

    /// The effective configuration.
    pub fn config(&self) -> Result<Config, Refused> {
        self.config_with(&self.flags())
    }

    /// The flags before the command, to which a command may add its own.
    pub fn flags(&self) -> Flags {
        Flags { data: self.global.data.clone(), ..Flags::default() }
    }

    /// The effective configuration, with the flags of a command: [`Context::flags`] and its own.
    pub fn config_with(&self, flags: &Flags) -> Result<Config, Refused> {
        Config::load(Sources {
            file: self.global.config.clone(),
            environment: self.environment.clone(),
            flags: flags.clone(),
        })
    }
}
