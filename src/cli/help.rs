//! The first page of help: commands by what one wants to do, not in the order of the alphabet.

use std::fmt::Write as _;

use clap::{Command, CommandFactory as _};

use super::Cli;

/// What one wants to do, and the commands for it. A command that is missing here is shown under `More`.
const GROUPS: &[(&str, &[&str])] = &[
    ("Run the service", &["serve", "work", "demo"]),
    ("Set it up", &["init", "doctor", "config", "keys"]),
    (
        "Look after leaked tokens",
        &["incident", "issuer", "reporter", "queue", "statistics", "drill", "export", "audit", "operator"],
    ),
    ("Mint tokens of the built-in issuer", &["token"]),
    ("Search for tokens", &["scan", "view", "rules", "hook", "completions", "man"]),
    ("Play the reporter", &["send"]),
];

#[cfg(feature = "server")]
const EXAMPLES: &str = "\
Examples:
  stanch demo                        See a token leak and die, on this machine alone
  stanch init && stanch doctor       Write a configuration, then have it checked
  stanch serve --config stanch.toml  Take in reports
  stanch incident list --state stuck See what waits for a person

Standard output is data, standard error is talk.
Exit codes: 0 done, 1 failed, 2 wrong usage or refused configuration";

#[cfg(not(feature = "server"))]
const EXAMPLES: &str = "\
Examples:
  stanch scan                        Search the files of this folder
  stanch scan dist/*.whl             Search what is about to be published
  git diff | stanch scan -           Search a stream

Standard output is data, standard error is talk. This build searches only; it has no service in it.
Exit codes: 0 clean and complete, 1 tokens found, 2 wrong usage, 3 not everything was read";

/// The parser with its first page of help.
pub fn command() -> Command {
    let command = Cli::command();
    let commands = grouped(&command);
    let template = format!("{{about}}\n\n{{usage-heading}} {{usage}}\n{commands}\nOptions:\n{{options}}{{after-help}}");
    command.help_template(template).after_help(EXAMPLES)
}

fn grouped(command: &Command) -> String {
    let mut text = String::new();
    let mut rest: Vec<&Command> = command.get_subcommands().filter(|each| !each.is_hide_set()).collect();
    for (title, names) in GROUPS {
        let (named, others) = rest.into_iter().partition(|each| names.contains(&each.get_name()));
        rest = others;
        write_group(&mut text, title, named, names);
    }
    write_group(&mut text, "More", rest, &[]);
    text
}

fn write_group(text: &mut String, title: &str, mut commands: Vec<&Command>, order: &[&str]) {
    commands.sort_by_key(|command| order.iter().position(|name| *name == command.get_name()));
    if commands.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{title}:");
    for command in commands {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(text, "  {:<10} {about}", command.get_name());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parser_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn the_first_page_names_every_command() {
        let help = command().render_help().to_string();
        for each in command().get_subcommands() {
            assert!(help.contains(&format!("\n  {:<10} ", each.get_name())), "{} is missing", each.get_name());
            assert!(each.get_about().is_some(), "{} has no description", each.get_name());
        }
    }
}
