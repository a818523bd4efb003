//! `completions`: a completion script for a shell.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Cli;
use crate::exit;
use crate::failure::Failure;
use crate::output::Output;

pub(crate) fn run(shell: Shell) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "aichat", &mut script);
    let mut output = Output::stdout()?;
    output.line(&String::from_utf8_lossy(&script))?;
    output.finish()?;
    Ok(exit::OK)
}
