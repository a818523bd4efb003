//! Search: `aichat sessions search` as a whole process over many messages.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::Outcome;
use crate::corpus::{self, RARE};
use crate::measure::{Subject, interleave};
use crate::parties::Parties;
use crate::table::{at_most, ms, print};

/// How many messages there are.
pub(crate) const MESSAGES: usize = 100_000;
/// How many messages a session has.
const PER_SESSION: usize = 10;
/// How long an answer may take, in milliseconds.
const GOAL: f64 = 300.0;

/// Runs it.
pub(crate) fn run(messages: usize) -> Outcome {
    let parties = Parties::find()?;
    // A disk in earnest: temporary directories are often kept in memory.
    let place = std::env::current_exe()?.parent().ok_or("no directory")?.to_path_buf();
    let home = tempfile::Builder::new().prefix("bench-search-").tempdir_in(place)?;
    let data = home.path().join("data/aichat");
    std::fs::create_dir_all(&data)?;
    let start = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let sessions = messages.div_ceil(PER_SESSION);
    let events = runtime.block_on(corpus::fill(&data, sessions, PER_SESSION / 2))?;
    println!(
        "{} messages, {events} events, {sessions} sessions; made in {:.0} s\n",
        sessions * PER_SESSION,
        start.elapsed().as_secs_f64()
    );
    measure(&parties, home.path());
    Ok(())
}

fn measure(parties: &Parties, home: &Path) {
    let search = |words: &'static [&'static str]| -> Command {
        let mut command = parties.aichat(home, None);
        command.args(["sessions", "search", "--json"]).args(words);
        command
    };
    let mut list = parties.aichat(home, None);
    list.args(["sessions", "list", "--limit", "1"]);
    let mut subjects = vec![
        Subject::of("list 1, for comparison", list),
        Subject::of("a rare word", search(&[RARE])),
        Subject::of("a word nobody said", search(&["xylophonist"])),
        Subject::of("two words", search(&["größe", "привет"])),
        Subject::of("a frequent word", search(&["a"])),
        Subject::of("a role and a phrase", search(&["--role", "user", "\"no such phrase\""])),
    ];
    let medians = interleave(&mut subjects, 9);
    print(&subjects, &medians);
    for (subject, median) in subjects.iter().zip(&medians).skip(1) {
        if let Some(median) = median {
            at_most(&format!("wall ms, {}", subject.name), ms(median.wall), GOAL);
        }
    }
}
