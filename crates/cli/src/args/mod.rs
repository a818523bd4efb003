//! The grammar: every command, argument and flag.

mod batch;
#[cfg(feature = "chat")]
mod chat;
mod cost;
mod documents;
mod events;
mod examples;
mod providers;
mod send;
mod sessions;
mod settings;
mod store;
mod turn;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum, ValueHint};

use crate::env::Env;

pub(crate) use batch::Batch;
#[cfg(feature = "chat")]
pub(crate) use chat::Chat;
pub(crate) use cost::{By, Cost};
pub(crate) use documents::{AgentFields, Agents, Kept, Templates};
pub(crate) use events::{Chains, Events, Otel};
pub(crate) use providers::{Keys, Models, Providers, SetKey, Test, TestKeys};
pub(crate) use send::{Form, Send};
pub(crate) use sessions::{Export, Fork, Format, Role, Search, Sessions, Setting};
pub(crate) use settings::Settings;
pub(crate) use store::Store;
pub(crate) use turn::Turn;

/// Talks to large language models and remembers every conversation.
#[derive(Parser)]
#[command(name = "aichat", bin_name = "aichat", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Returns the grammar, with examples of every command.
pub(crate) fn grammar() -> clap::Command {
    examples::with_examples(Cli::command())
}

/// Reads a line.
///
/// # Errors
/// Fails with what is wrong with it, or with help where that was asked for.
pub(crate) fn parse(line: &[OsString]) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line).map_err(|error| match error.kind() {
        // Only who reads help needs the examples.
        ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            grammar().try_get_matches_from(line).err().unwrap_or(error)
        }
        _ => error,
    })
}

/// What every command understands.
#[derive(Args, Clone)]
pub(crate) struct Global {
    /// Directory or database (postgres://…) where sessions are kept
    #[arg(long, global = true, value_name = "default|PATH|URL", help_heading = "Global options")]
    pub(crate) store: Option<String>,
    /// Configuration file to use instead of the usual one
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Global options")]
    pub(crate) config: Option<PathBuf>,
    /// Proxy for every request, instead of those the environment names
    #[arg(long, global = true, value_name = "URL", value_hint = ValueHint::Url, help_heading = "Global options")]
    pub(crate) proxy: Option<String>,
    /// When to colour messages
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = "Global options")]
    pub(crate) color: Color,
    /// Print JSON
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) json: bool,
    /// Print errors only, no notes and no warnings
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub(crate) quiet: bool,
}

/// When to colour messages; auto means on a terminal.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

impl Color {
    /// Tells whether to colour what goes to a terminal, or to something else.
    pub(crate) fn applies(self, env: &Env, is_terminal: bool) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => {
                is_terminal
                    && env.text("NO_COLOR").is_none()
                    && env.text("TERM").is_none_or(|term| term != "dumb")
            }
        }
    }
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Send a prompt and print the answer
    Send(Box<Send>),
    /// Talk: one prompt after the other, in one session
    #[cfg(feature = "chat")]
    Chat(Box<Chat>),
    /// Ask many prompts, so many at a time, and print a result for each
    Batch(Box<Batch>),
    /// Create, list, show, search, branch, fork, rename, archive, delete, purge, export and import sessions
    #[command(subcommand)]
    Sessions(Sessions),
    /// Keep agents: a model, its options and a standing instruction under one name
    #[command(subcommand)]
    Agents(Agents),
    /// Keep templates: prompts with places to fill in
    #[command(subcommand)]
    Templates(Templates),
    /// List, show, draw, follow and verify what happened in sessions
    #[command(subcommand)]
    Events(Events),
    /// Look at sessions, turns and events in the terminal, while they happen
    #[cfg(feature = "inspect")]
    Inspect {
        /// Name, id, prefix of an id, @last or @last~1; without one, the list of sessions
        #[arg(value_name = "SESSION")]
        session: Option<String>,
    },
    /// Show what calls cost, by model, day, session, agent or provider
    Cost(Cost),
    /// List and show models, offered or known
    #[command(subcommand)]
    Models(Models),
    /// Keep keys, and say where each comes from
    #[command(subcommand)]
    Keys(Keys),
    /// List, show and test providers
    #[command(subcommand)]
    Providers(Providers),
    /// Show and change the configuration
    #[command(subcommand)]
    Settings(Settings),
    /// Look after the place where sessions are kept
    #[command(subcommand)]
    Store(Store),
    /// Look whether everything is in order: configuration, keys, store, network, providers and terminal
    #[command(after_help = "Exits with 0, or with 1 where there is a problem.")]
    Doctor,
    /// Print where configuration, sessions, state and cache are kept
    Paths,
    /// Print the JSON Schemas of everything printed as JSON
    Schema,
    /// Print the script that makes a shell complete commands, models, sessions, agents and templates
    Completions {
        /// The shell to complete in
        shell: clap_complete::Shell,
    },
    /// Print the manual page of a command, or write all of them
    Man {
        /// The command, such as send or sessions export; without one, the page that all others are named on
        #[arg(value_name = "COMMAND")]
        command: Vec<String>,
        /// Directory to write every page to, instead of printing one
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "command")]
        output: Option<PathBuf>,
    },
}

/// The session a command is about.
#[derive(Args)]
pub(crate) struct Session {
    /// Name, id, prefix of an id, @last or @last~1
    #[arg(value_name = "SESSION")]
    pub(crate) session: String,
}

/// How much of a list to print.
#[derive(Args)]
pub(crate) struct Limit {
    /// Most entries to print
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn r_stays_unassigned() {
        fn check(command: &clap::Command) {
            assert!(
                command.get_arguments().all(|arg| arg.get_short() != Some('r')),
                "{}",
                command.get_name()
            );
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }
}
