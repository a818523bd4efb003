//! Benchmark 3: an answer of 10,000 chunks to a pipe, recorded: what one more chunk costs.

use std::fs;

use aichat_mock::{Mock, Workload};

use crate::Outcome;
use crate::measure::{Sample, Subject, interleave};
use crate::parties::Parties;
use crate::table::{at_most, print};

const MIB: f64 = 1048576.0;
const CHUNKS: f64 = 10_000.0;
const LONG: &str = "c10000";
const SHORT: &str = "c1";
/// So much text that memory which grows with it is seen.
const FAT: &str = "c10000-l1000";

/// Runs it.
pub(crate) fn run() -> Outcome {
    let parties = Parties::find()?;
    let mock = Mock::start()?;
    let work = tempfile::tempdir()?;
    let mut subjects = Vec::new();
    for workload in [SHORT, LONG] {
        let home = work.path().join(workload);
        fs::create_dir_all(&home)?;
        let commands = [
            ("aichat", Some(parties.send(&home, &mock, workload, "hi"))),
            ("curl -N", parties.curl_send(&home, &mock, workload, "hi")),
            ("the other aichat", parties.peer_send(&home, &mock, workload, "hi")?),
            ("llm", parties.llm_send(&home, &mock, workload, "hi")?),
        ];
        for (name, command) in commands {
            if let Some(command) = command {
                subjects.push(Subject::of(&format!("{name} {workload}"), command));
            }
        }
    }
    let home = work.path().join(FAT);
    subjects.push(Subject::of(&format!("aichat {FAT}"), parties.send(&home, &mock, FAT, "hi")));
    let medians = interleave(&mut subjects, 11);
    print(&subjects, &medians);

    let median = |name: &str, workload: &str| {
        let name = format!("{name} {workload}");
        subjects.iter().position(|subject| subject.name == name).and_then(|index| medians[index])
    };
    let marginal = |name: &str| {
        let (short, long): (Sample, Sample) = (median(name, SHORT)?, median(name, LONG)?);
        Some((long.cpu.as_secs_f64() - short.cpu.as_secs_f64()) * 1e6 / (CHUNKS - 1.0))
    };
    let Some(ours) = marginal("aichat") else { return Ok(()) };
    println!("marginal CPU per chunk: aichat {ours:.2} us");
    for (name, goal) in [("curl -N", 1.5), ("the other aichat", 0.06), ("llm", f64::INFINITY)] {
        if let Some(theirs) = marginal(name) {
            println!("marginal CPU per chunk: {name} {theirs:.2} us");
            if goal.is_finite() {
                at_most(&format!("marginal CPU, aichat / {name}"), ours / theirs, goal);
            }
        }
    }
    if let (Some(short), Some(fat)) = (median("aichat", SHORT), median("aichat", FAT)) {
        let work = Workload::parse(FAT).ok_or("the mock does not know its own words")?;
        let text = work.texts("").concat().len() as f64;
        let grown = fat.rss.saturating_sub(short.rss) as f64 * 1024.0;
        println!("{FAT}: the text has {:.1} MiB, peak memory grows by {:.1} MiB", text / MIB, grown / MIB);
        at_most("growth of peak memory / text", grown / text, 2.0);
    }
    Ok(())
}
