//! Benchmark 1: `--version` and `--help`, whole processes.

use std::process::Command;

use crate::Outcome;
use crate::measure::{Subject, interleave};
use crate::parties::Parties;
use crate::table::{at_most, print, ratio};

/// Runs it.
pub(crate) fn run() -> Outcome {
    let parties = Parties::find()?;
    let home = tempfile::tempdir()?;
    let home = home.path();
    let with = |mut command: Command, argument: &str| {
        command.arg(argument);
        command
    };
    let mut subjects = vec![
        Subject::of("/bin/true", Command::new("/bin/true")),
        Subject::of("aichat --version", with(parties.aichat(home, None), "--version")),
        Subject::of("aichat --help", with(parties.aichat(home, None), "--help")),
    ];
    let aichat = 1;
    let mut goals = Vec::new();
    for (name, command, goal) in [
        ("curl", parties.curl(home), 0.2),
        ("the other aichat", parties.peer(home), 0.6),
        ("llm", parties.llm(home), 0.0),
    ] {
        if let Some(command) = command {
            goals.push((subjects.len(), goal));
            subjects.push(Subject::of(&format!("{name} --version"), with(command, "--version")));
        }
    }
    let medians = interleave(&mut subjects, 41);
    print(&subjects, &medians);
    for (peer, goal) in goals {
        if let (Some(ours), Some(theirs)) = (medians[aichat], medians[peer])
            && goal > 0.0
        {
            at_most(&format!("CPU, aichat / {}", subjects[peer].name), ratio(ours.cpu, theirs.cpu), goal);
        }
    }
    Ok(())
}
