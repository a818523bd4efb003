//! Benchmark 10: what recording costs: CPU of a long answer, bytes of a usual one, and how a session grows.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use aichat_engine::{Engine, ModelRef, Send};
use aichat_mock::{Mock, Workload};
use aichat_providers::{Driver, Endpoint, Http, OpenaiChat, Profile, Tap};
use aichat_store::{Sled, Store};

use crate::Outcome;
use crate::measure::{Sample, Subject, interleave};
use crate::parties::Parties;
use crate::table::{at_most, ms, print};

/// The answers whose CPU is taken: one as fast as it can come, where the chunks of a moment are one read and nothing
/// else happens; one at a thousand tokens a second, faster than most models; and one that takes what every turn does and
/// next to nothing for its chunks.
const LONG: &str = "c10000";
const PACED: &str = "c4000-d1000";
const SHORT: &str = "c10";
/// The answer whose bytes are taken: one token a chunk.
const USUAL: &str = "c4000";
/// How many of those are kept, so that what the store takes in steps does not count.
const KEPT: usize = 20;
const ROUNDS: usize = 25;
/// How often the one with pauses is taken: it takes seconds, and differs little.
const PACED_ROUNDS: usize = 11;
/// The turns of a session at which its growth is shown.
const TURNS: [usize; 4] = [10, 50, 100, 200];

/// Runs it.
pub(crate) fn run() -> Outcome {
    let parties = Parties::find()?;
    let mock = Mock::start()?;
    let work = tempfile::tempdir()?;
    cpu(&parties, &mock, work.path())?;
    bytes(&parties, &mock, work.path())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(growth(&mock, &work.path().join("growth")))
}

/// Returns a home whose configuration says of which calls the wire is kept.
fn home(work: &Path, name: &str, wire: &str) -> Result<std::path::PathBuf, Box<dyn Error>> {
    let home = work.join(name);
    fs::create_dir_all(home.join("config/aichat"))?;
    fs::write(home.join("config/aichat/aichat.toml"), format!("[record]\nwire = \"{wire}\"\n"))?;
    Ok(home)
}

fn read(parties: &Parties, home: &Path) -> Command {
    let mut command = parties.aichat(home, None);
    command.args(["sessions", "list", "-q"]);
    command
}

/// Returns an answer that is not recorded, one that is, and one that is with the wire.
fn three<'a>(
    parties: &Parties,
    mock: &Mock,
    work: &Path,
    workload: &str,
) -> Result<Vec<Subject<'a>>, Box<dyn Error>> {
    let ways = [("not recorded", "off"), ("recorded", "off"), ("with the wire", "on")];
    let subject = |(how, wire)| {
        let name = format!("{workload}, {how}");
        let mut command = parties.send(&home(work, &name, wire)?, mock, workload, "hi");
        if how == "not recorded" {
            command.arg("-n");
        }
        Ok(Subject::of(&name, command))
    };
    ways.into_iter().map(subject).collect()
}

/// Compares an answer that is not recorded with one that is, without and with the wire, and the folds of both.
fn cpu(parties: &Parties, mock: &Mock, work: &Path) -> Outcome {
    let mut subjects = three(parties, mock, work, LONG)?;
    subjects.extend(three(parties, mock, work, SHORT)?);
    for (name, wire) in [("fold", "off"), ("fold with the wire", "on")] {
        let home = home(work, name, wire)?;
        let read = || read(parties, &home);
        // The store is there, and each run finds one turn to fold.
        let again = {
            let home = home.clone();
            move || {
                let sent = parties.send(&home, mock, LONG, "hi").output();
                assert!(sent.is_ok_and(|sent| sent.status.success()), "a prompt fails");
                let mut command = parties.aichat(&home, None);
                command.args(["sessions", "list", "-q"]);
                command
            }
        };
        read().output()?;
        subjects.push(Subject { name: name.to_owned(), command: Box::new(again) });
    }
    let medians = interleave(&mut subjects, ROUNDS);
    print(&subjects, &medians);
    let mut subjects = three(parties, mock, work, PACED)?;
    let paced = interleave(&mut subjects, PACED_ROUNDS);
    print(&subjects, &paced);
    let all = medians.into_iter().chain(paced).collect::<Option<Vec<Sample>>>().ok_or("a run failed")?;
    let [plain, recorded, wire, short_plain, short_recorded, short_wire, fold, fold_wire, paced @ ..] =
        &all[..]
    else {
        return Err("a run is missing".into());
    };
    let cpu = |sample: &Sample| sample.cpu.as_secs_f64();
    let fold = (cpu(fold_wire) - cpu(fold)).max(0.0);
    println!(
        "keeping the wire, ms: {:.2} while it streams, {:.2} in the fold",
        ms(wire.cpu) - ms(recorded.cpu),
        fold * 1e3
    );
    println!(
        "what recording a turn takes however short it is, ms: {:.2} without the wire, {:.2} with it",
        ms(short_recorded.cpu) - ms(short_plain.cpu),
        ms(short_wire.cpu) - ms(short_plain.cpu)
    );
    let chunks = |long: &Sample, short: &Sample| cpu(long) - cpu(short);
    println!(
        "CPU of the chunks alone, recorded / not recorded: {:.3} without the wire, {:.3} with it and its fold",
        chunks(recorded, short_recorded) / chunks(plain, short_plain),
        (chunks(wire, short_wire) + fold) / chunks(plain, short_plain)
    );
    let [plain_paced, recorded_paced, wire_paced] = paced else { return Err("a run is missing".into()) };
    // The fold of the longer answer stands for its own.
    for (how, plain, recorded, wire) in [
        ("as fast as it can", plain, recorded, wire),
        ("a thousand tokens a second", plain_paced, recorded_paced, wire_paced),
    ] {
        let name = format!("CPU, {how}, recorded without the wire / not recorded");
        at_most(&name, cpu(recorded) / cpu(plain), 1.05);
        let name = format!("CPU, {how}, recorded with the wire, its fold included / not recorded");
        at_most(&name, (cpu(wire) + fold) / cpu(plain), 1.25);
    }
    Ok(())
}

/// Counts what usual answers take on the disk, once they are in the log.
fn bytes(parties: &Parties, mock: &Mock, work: &Path) -> Outcome {
    let mut sizes = Vec::new();
    for wire in ["off", "on"] {
        let home = home(work, &format!("bytes {wire}"), wire)?;
        let mut taken = Vec::new();
        for count in [1, KEPT] {
            for _ in 0..count {
                parties.send(&home, mock, USUAL, "hi").output()?;
            }
            read(parties, &home).output()?;
            taken.push(size(&home.join("data"))?);
        }
        sizes.push((taken[1] - taken[0]) as f64 / KEPT as f64 / 1024.0);
    }
    println!(
        "\nan answer of 4,000 tokens, KB on disk: {:.1} without the wire, {:.1} with it",
        sizes[0], sizes[1]
    );
    at_most("KB on disk of an answer of 4,000 tokens, all in all", sizes[1], 40.0);
    Ok(())
}

fn size(dir: &Path) -> Result<u64, Box<dyn Error>> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        let (entry, path) = (entry.as_ref().map_err(|_| "a directory changes")?.metadata()?, entry?.path());
        bytes += if entry.is_dir() { size(&path)? } else { entry.len() };
    }
    Ok(bytes)
}

/// Shows what one more turn takes in a session that grows.
async fn growth(mock: &Mock, dir: &Path) -> Outcome {
    let store = Sled::at(dir);
    let endpoint = Endpoint::new("mock", mock.url(), Arc::new(Tap::new(Http::new())));
    let provider = Driver::new(endpoint, OpenaiChat::new(Profile::generic()))?;
    let engine = Engine::builder(store.clone()).provider(provider).build();
    let workload = "c20";
    Workload::parse(workload).ok_or("no such workload")?;
    let (mut session, mut before) = (None, 0);
    println!("\n{:<10}{:>16}{:>16}{:>16}", "turn", "journal bytes", "log bytes", "wire bytes");
    for turn in 1..=TURNS[TURNS.len() - 1] {
        let mut send = Send::new(ModelRef::new("mock", workload), "and what comes next?");
        send.session = session.clone();
        let outcome = engine.send(send).await?.outcome().await?;
        let (_, journal) = store.backlog().await?;
        engine.fold().await?;
        let blobs = store.info().await?.blob_bytes;
        if TURNS.contains(&turn) {
            let events = engine.events(&outcome.session).await?;
            let of = events.iter().filter(|event| event.turn() == Some(&outcome.turn));
            let log: usize = of.map(|event| event.line().len()).sum();
            println!("{turn:<10}{journal:>16}{log:>16}{:>16}", blobs - before);
        }
        (session, before) = (Some(outcome.session), blobs);
    }
    Ok(())
}
