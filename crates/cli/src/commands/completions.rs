//! `completions`: the script that makes a shell complete.

use clap_complete::Shell;

use crate::complete;
use crate::exit;
use crate::failure::Failure;
use crate::output::Output;

pub(crate) fn run(shell: Shell) -> Result<u8, Failure> {
    let mut output = Output::stdout()?;
    output.line(&String::from_utf8_lossy(&complete::script(shell)))?;
    output.finish()?;
    Ok(exit::OK)
}
