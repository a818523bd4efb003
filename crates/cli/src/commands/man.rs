//! `man`: the manual pages, from the grammar.

use std::fs;
use std::path::Path;

use aichat_engine::phrase;
use aichat_message::ErrorKind;
use clap::Command;
use clap_mangen::Man;

use crate::args;
use crate::exit;
use crate::failure::Failure;
use crate::output::Output;

pub(crate) fn run(path: &[String], directory: Option<&Path>) -> Result<u8, Failure> {
    let mut grammar = args::grammar();
    grammar.build();
    let mut output = Output::stdout()?;
    match directory {
        Some(directory) => {
            write(&grammar, directory)?;
            output.line(&format!("the manual pages are in {}", directory.display()))?;
        }
        None => {
            let mut command = &grammar;
            for name in path {
                command = command.find_subcommand(name).ok_or_else(|| {
                    Failure::new(ErrorKind::Usage, format!("there is no command {}", path.join(" ")))
                        .hint("`aichat --help` lists the commands")
                })?;
            }
            output.line(&String::from_utf8_lossy(&page(command)?))?;
        }
    }
    output.finish()?;
    Ok(exit::OK)
}

/// Writes the page of a command and those of all below it.
fn write(command: &Command, directory: &Path) -> Result<(), Failure> {
    let failed = |path: &Path, error| Failure::file(ErrorKind::Input, "cannot write", path, &error);
    fs::create_dir_all(directory).map_err(|error| failed(directory, error))?;
    let path = directory.join(format!("{}.1", name(command)));
    fs::write(&path, page(command)?).map_err(|error| failed(&path, error))?;
    command
        .get_subcommands()
        .filter(|it| it.get_name() != "help" && !it.is_hide_set())
        .try_for_each(|it| write(it, directory))
}

fn page(command: &Command) -> Result<Vec<u8>, Failure> {
    let mut page = Vec::new();
    let made = Man::new(command.clone()).render(&mut page);
    made.map_err(|error| Failure::new(ErrorKind::Input, format!("no page can be made: {}", phrase(&error))))?;
    Ok(page)
}

/// Returns the name of a page: `aichat-sessions-export`.
fn name(command: &Command) -> String {
    command.get_bin_name().unwrap_or("aichat").replace(' ', "-")
}
