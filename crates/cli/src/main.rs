//! The `aichat` command line: parses the arguments, runs the command, exits.

mod args;
mod assemble;
mod attach;
mod batch;
#[cfg(feature = "chat")]
mod chat;
mod choice;
mod commands;
mod complete;
mod config;
mod directory;
mod display;
mod editor;
mod env;
mod exit;
mod failure;
mod fallback;
mod fenced;
#[cfg(feature = "inspect")]
mod inspect;
mod keys;
mod location;
mod markdown;
mod meter;
mod options;
mod output;
mod panics;
mod paths;
mod pen;
#[cfg(feature = "postgres")]
mod pgpass;
mod place;
mod prompt;
mod result;
mod schema;
mod scope;
mod signals;
mod since;
mod spinner;
mod stdin;
mod talk;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

fn main() -> ExitCode {
    let secrets = aichat_engine::Secrets::new();
    panics::install(secrets.clone());
    let run = || commands::run(std::env::args_os().collect(), secrets);
    ExitCode::from(catch_unwind(AssertUnwindSafe(run)).unwrap_or(exit::OTHER))
}
