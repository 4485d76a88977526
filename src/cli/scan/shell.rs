//! For shells: completions and the manual page, made from the parser itself.

use std::io;
use std::process::ExitCode;

use clap::Args;
use clap_complete::Shell;

use crate::cli::help;

#[derive(Args, Debug)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Args, Debug)]
pub struct Man {
    /// The command whose page is written; the program's own without it
    command: Option<String>,
}

impl Completions {
    pub fn run(self) -> ExitCode {
        clap_complete::generate(self.shell, &mut help::command(), "stanch", &mut io::stdout());
        ExitCode::SUCCESS
    }
}

impl Man {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let mut command = help::command();
        command.build();
        let title = self.command.as_ref().map_or_else(|| "stanch".to_owned(), |name| format!("stanch-{name}"));
        let page = match &self.command {
            None => command,
            Some(name) => match command.find_subcommand(name) {
                Some(found) => found.clone(),
                None => return Err(super::super::Usage(format!("there is no command `{name}`")).into()),
            },
        };
        clap_mangen::Man::new(page).title(title).render(&mut io::stdout())?;
        Ok(ExitCode::SUCCESS)
    }
}
