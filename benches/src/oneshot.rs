//! Benchmark 2: one prompt, durable on exit, in a fresh store and in a big one; and the first read after many.

use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use aichat_mock::Mock;

use crate::Outcome;
use crate::measure::{Subject, interleave, once};
use crate::parties::Parties;
use crate::table::{at_most, ms, print, ratio};

const SESSIONS: usize = 10_000;
const UNFOLDED: usize = 200;
const WORKLOAD: &str = "c1";

/// Runs it.
pub(crate) fn run() -> Outcome {
    let parties = Parties::find()?;
    let mock = Mock::start()?;
    let work = tempfile::tempdir()?;
    let folder = |name: &str| {
        let path = work.path().join(name);
        fs::create_dir_all(&path).map(|()| path)
    };
    let (plain, big, peer_home, llm_home) =
        (folder("plain")?, folder("big")?, folder("peer")?, folder("llm")?);

    let start = Instant::now();
    fill(&parties, &mock, &big, SESSIONS)?;
    once(parties.aichat(&big, None).args(["sessions", "list", "--limit", "1"]))?;
    println!("{SESSIONS} sessions were made in {:.0} s\n", start.elapsed().as_secs_f64());

    let run = Cell::new(0);
    let fresh = || {
        run.set(run.get() + 1);
        work.path().join(format!("fresh-{}", run.get()))
    };
    let mut subjects = vec![
        Subject {
            name: "aichat, fresh store".into(),
            command: Box::new(|| parties.send(&fresh(), &mock, WORKLOAD, "hi")),
        },
        Subject {
            name: format!("aichat, {SESSIONS} sessions"),
            command: Box::new(|| parties.send(&big, &mock, WORKLOAD, "hi")),
        },
        Subject {
            name: "aichat -n".into(),
            command: Box::new(|| {
                let mut command = parties.send(&plain, &mock, WORKLOAD, "hi");
                command.arg("-n");
                command
            }),
        },
    ];
    let (ours, in_big, unsaved) = (0, 1, 2);
    let mut goals = Vec::new();
    let curl = parties.curl_send(&plain, &mock, WORKLOAD, "hi");
    let peer = parties.peer_send(&peer_home, &mock, WORKLOAD, "hi")?;
    let llm = parties.llm_send(&llm_home, &mock, WORKLOAD, "hi")?;
    for (name, command, goal) in
        [("curl -N", curl, 0.5), ("the other aichat", peer, 0.5), ("llm", llm, 0.006)]
    {
        if let Some(command) = command {
            goals.push((subjects.len(), goal));
            subjects.push(Subject::of(name, command));
        }
    }
    let medians = interleave(&mut subjects, 21);
    print(&subjects, &medians);
    let Some(mine) = medians[ours] else { return Ok(()) };
    for (peer, goal) in goals {
        let name = &subjects[peer].name;
        let Some(theirs) = medians[peer] else { continue };
        at_most(&format!("CPU, fresh store / {name}"), ratio(mine.cpu, theirs.cpu), goal);
        if name == "curl -N" {
            // A fresh store also waits for the disk to take its new directories.
            for (index, goal) in [(ours, 1.0), (in_big, 1.0), (unsaved, 0.6)] {
                if let Some(median) = medians[index] {
                    at_most(
                        &format!("first byte, {} / {name}", subjects[index].name),
                        ratio(median.first, theirs.first),
                        goal,
                    );
                }
            }
        }
    }
    if let Some(big) = medians[in_big] {
        at_most("CPU, big store / fresh store", ratio(big.cpu, mine.cpu), 1.1);
    }

    let home = folder("unfolded")?;
    fill(&parties, &mock, &home, UNFOLDED)?;
    let mut list = parties.aichat(&home, None);
    list.args(["sessions", "list", "--limit", "1"]);
    let (folding, again) = (once(&list)?, once(&list)?);
    println!(
        "\nthe first read after {UNFOLDED} unfolded sends: CPU {:.1} ms, wall {:.1} ms; the next: CPU {:.1} ms, wall {:.1} ms",
        ms(folding.cpu),
        ms(folding.wall),
        ms(again.cpu),
        ms(again.wall)
    );
    Ok(())
}

/// Sends `count` prompts, some at a time, each in a session of its own.
fn fill(parties: &Parties, mock: &Mock, home: &Path, count: usize) -> Outcome {
    let next = AtomicUsize::new(0);
    let failed = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while next.fetch_add(1, Ordering::Relaxed) < count {
                    let output = parties.send(home, mock, WORKLOAD, "hi").output();
                    if !output.is_ok_and(|output| output.status.success()) {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    match failed.into_inner() {
        0 => Ok(()),
        failed => Err(format!("{failed} of {count} sends failed").into()),
    }
}
