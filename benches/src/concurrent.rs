//! Benchmark 7: many prompts at once on one data directory, and one in ten killed.

use std::collections::HashSet;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use aichat_mock::Mock;

use crate::Outcome;
use crate::measure::{children_cpu, once};
use crate::parties::Parties;
use crate::table::{at_most, ms};

/// Runs it.
pub(crate) fn run() -> Outcome {
    let parties = Parties::find()?;
    let work = tempfile::tempdir()?;
    for count in [8, 64] {
        for (kind, killed) in [("fresh", false), ("warm", false), ("fresh", true), ("warm", true)] {
            let home = work.path().join(format!("{count}-{kind}-{killed}"));
            fs::create_dir_all(&home)?;
            if kind == "warm" {
                let mock = Mock::start()?;
                once(&parties.send(&home, &mock, "c1", "warm"))?;
                once(parties.aichat(&home, None).args(["sessions", "list"]))?;
            }
            ours(&parties, &home, count, kind, killed)?;
        }
    }
    theirs(&parties, work.path())
}

fn ours(parties: &Parties, home: &Path, count: usize, kind: &str, killed: bool) -> Outcome {
    let mock = Mock::start()?;
    let workload = if killed { "echo-c20-d2000" } else { "echo" };
    let prompt = |index: usize| format!("prompt-{index:04}-end");
    let commands = (0..count).map(|index| parties.send(home, &mock, workload, &prompt(index))).collect();
    let burst = burst(commands, killed)?;
    let wrong = burst
        .answers
        .iter()
        .enumerate()
        .filter(|(index, answer)| answer.as_deref() != Some(&format!("{}\n", prompt(*index))))
        .filter(|(index, _)| !(killed && victim(*index)))
        .count();

    let stored = stored(parties, home)?;
    let seen: HashSet<String> = mock.requests().into_iter().map(|exchange| exchange.prompt).collect();
    let times = |prompt: &String| stored.iter().filter(|session| session.contains(prompt.as_str())).count();
    let lost = seen.iter().filter(|prompt| times(prompt) == 0).count();
    let twice = seen.iter().filter(|prompt| times(prompt) > 1).count();
    let verified = parties.aichat(home, None).args(["events", "verify", "--all"]).output()?.status.success();

    let cores = thread::available_parallelism()?.get() as f64;
    println!(
        "{count} at once, {kind} store{}: wall {:.0} ms, CPU {:.0} ms; failed {wrong}, lost {lost}, doubled {twice}, chains {}",
        if killed { ", one in ten killed" } else { "" },
        ms(burst.wall),
        ms(burst.cpu),
        if verified { "hold" } else { "BROKEN" },
    );
    if !killed {
        at_most("  wall / CPU-bound ideal", burst.wall.as_secs_f64() * cores / burst.cpu.as_secs_f64(), 1.5);
    }
    Ok(())
}

/// Lets llm do the same: eight at once on a fresh and on a migrated database.
fn theirs(parties: &Parties, work: &Path) -> Outcome {
    let mock = Mock::start()?;
    for kind in ["fresh", "warm"] {
        let home = work.join(format!("llm-{kind}"));
        fs::create_dir_all(&home)?;
        if kind == "warm"
            && let Some(command) = parties.llm_send(&home, &mock, "echo", "warm")?
        {
            once(&command)?;
        }
        let mut commands = Vec::new();
        for index in 0..8 {
            commands.extend(parties.llm_send(&home, &mock, "echo", &format!("prompt-{index}"))?);
        }
        if !commands.is_empty() {
            let burst = burst(commands, false)?;
            let failed = burst.answers.iter().filter(|answer| answer.is_none()).count();
            println!(
                "llm, 8 at once, {kind} store: wall {:.0} ms, CPU {:.0} ms; failed {failed}",
                ms(burst.wall),
                ms(burst.cpu)
            );
        }
    }
    Ok(())
}

/// Returns the exports of all sessions.
fn stored(parties: &Parties, home: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let print = |arguments: &[&str]| -> Result<String, Box<dyn Error>> {
        let output = parties.aichat(home, None).args(arguments).output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
        Ok(String::from_utf8(output.stdout)?)
    };
    let list: serde_json::Value =
        serde_json::from_str(&print(&["sessions", "list", "--limit", "1000", "--json"])?)?;
    let sessions = list["items"].as_array().ok_or("the list has no items")?;
    let ids = sessions.iter().filter_map(|session| session["id"].as_str());
    ids.map(|id| print(&["sessions", "export", id, "--format", "jsonl"])).collect()
}

/// What became of processes that ran at once.
struct Burst {
    /// What each printed, where it ended well.
    answers: Vec<Option<String>>,
    wall: Duration,
    cpu: Duration,
}

/// Whether the process of this index is one of those that are killed.
fn victim(index: usize) -> bool {
    index % 10 == 3
}

/// Runs all commands at once; with `killed`, one in ten is killed at an instant of its own.
fn burst(commands: Vec<Command>, killed: bool) -> Result<Burst, Box<dyn Error>> {
    let before = children_cpu()?;
    let start = Instant::now();
    let answers = thread::scope(|scope| {
        let runs: Vec<_> = commands
            .into_iter()
            .enumerate()
            .map(|(index, mut command)| {
                scope.spawn(move || {
                    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
                    let mut child = command.spawn().ok()?;
                    if killed && victim(index) {
                        thread::sleep(Duration::from_millis(5 + 7 * index as u64 % 90));
                        child.kill().ok()?;
                    }
                    let output = child.wait_with_output().ok()?;
                    let text = String::from_utf8(output.stdout).ok()?;
                    output.status.success().then_some(text)
                })
            })
            .collect();
        runs.into_iter().map(|run| run.join().ok().flatten()).collect()
    });
    Ok(Burst { answers, wall: start.elapsed(), cpu: children_cpu()? - before })
}
