//! `kill -9` at random instants: what was asked is there, and what was answered up to a moment before.

use std::process::Child;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use aichat_mock::Workload;

use crate::chance;
use crate::common::{Home, code};
use crate::ledger;

/// How long ago a chunk must have been sent to be sure to survive.
const SURE: Duration = Duration::from_millis(100);
/// An answer of 60 numbered chunks that takes a quarter of a second.
const MODEL: &str = "c60-d4000";
const CHUNKS: usize = 60;

/// The same, and never ends by itself: who waits for chunks of it kills it in the middle, however slow the machine is.
const STALLING: &str = "c60-d4000-stall55";

/// A prompt, and when its process was killed if it had not ended.
struct Round {
    prompt: String,
    killed: Option<Kill>,
}

/// When a process was killed, and how long it had waited for a processor before that, all its threads together; `None`
/// where the system does not tell.
struct Kill {
    at: SystemTime,
    waited: Option<Duration>,
}

fn waited(process: u32) -> Option<Duration> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).ok()?;
    let waited = tasks.flatten().map(|task| {
        // Nanoseconds on a processor, nanoseconds waiting for one, and how often it got it.
        let told = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        told.split_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
    });
    waited.sum()
}

/// Kills a process, unless it has ended by itself.
fn kill(mut child: Child) -> Option<Kill> {
    if let Some(status) = child.try_wait().unwrap() {
        assert_eq!(code(status), 0);
        return None;
    }
    let kill = Kill { at: SystemTime::now(), waited: waited(child.id()) };
    child.kill().unwrap();
    match code(child.wait().unwrap()) {
        137 => Some(kill),
        other => {
            assert_eq!(other, 0);
            None
        }
    }
}

/// Waits until the mock has sent `count` chunks of the answer to `prompt`, or a while.
fn wait_for(home: &Home, prompt: &str, count: usize) {
    let start = Instant::now();
    let sent = || {
        let requests = home.mock.requests();
        requests
            .iter()
            .find(|one| one.prompt == prompt)
            .and_then(|one| one.sent.last().map(|(_, count)| *count))
    };
    while sent().unwrap_or(0) < count {
        assert!(start.elapsed() < Duration::from_secs(30), "{prompt} was never sent");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn what_was_asked_and_answered_survives_kill_9() {
    let rounds = chance::number("AICHAT_STORM_ROUNDS", 30);
    let home = Home::new();
    let texts = Workload::parse(MODEL).unwrap().texts("");
    let mut done = Vec::new();
    let (mut before, mut folds) = (0, 0);
    for index in 0..rounds {
        let prompt = format!("question {index} of {rounds}");
        let model = format!("openai/{}", if index % 2 == 0 { STALLING } else { MODEL });
        let mut args = vec!["send", "-q", "-m", &model];
        if index % 5 == 4 {
            args.extend(["-s", "storm"]);
        }
        args.push(&prompt);
        let child = home.command(args).spawn().unwrap();
        if index % 2 == 0 {
            wait_for(&home, &prompt, 1 + chance::below(CHUNKS as u64 - 6) as usize);
            thread::sleep(chance::shorter_than(Duration::from_millis(4)));
        } else {
            thread::sleep(chance::shorter_than(Duration::from_millis(500)));
        }
        let killed = kill(child);
        done.push(Round { prompt, killed });
        if index % 3 == 2 {
            let lister = home.command(["sessions", "list"]).spawn().unwrap();
            thread::sleep(chance::shorter_than(Duration::from_millis(60)));
            folds += usize::from(kill(lister).is_some());
        }
    }

    ledger::verify(&home);
    let kept = ledger::exchanges(&home);
    let requests = home.mock.requests();
    let (mut middle, mut whole, mut bounded, mut least) = (0, 0, 0, Duration::MAX);
    for round in done.iter() {
        let Some(request) = requests.iter().find(|request| request.prompt == round.prompt) else {
            // Killed before the request left: the question may be there, an answer may not.
            before += 1;
            assert!(kept.get(&round.prompt).is_none_or(|kept| kept.answer.is_empty()));
            continue;
        };
        let kept = kept.get(&round.prompt).unwrap_or_else(|| panic!("{:?} was asked and lost", round.prompt));
        let all = texts.concat();
        assert!(all.starts_with(&kept.answer), "no prefix: {:?}", kept.answer);
        let Some(Kill { at: killed, waited }) = round.killed else {
            assert_eq!((kept.answer.as_str(), kept.status.as_str()), (all.as_str(), "completed"));
            whole += 1;
            continue;
        };
        // A process that was not let run had no part in what it lost.
        let sure = waited.map_or(0, |waited| request.sent_by(killed - SURE - waited));
        bounded += usize::from(sure > 0);
        let sure = texts[..sure].concat();
        assert!(kept.answer.starts_with(&sure), "{:?} kept {:?} of {sure:?}", round.prompt, kept.answer);
        middle += usize::from((1..CHUNKS).contains(&request.sent_by(killed)));
        // How old the first chunk is that was sent and is not there.
        let lost = request.sent.iter().find(|(_, count)| texts[..*count].concat().len() > kept.answer.len());
        if let Some(age) = lost.and_then(|(at, _)| killed.duration_since(*at).ok()) {
            least = if least == Duration::MAX { age } else { least.max(age) };
        }
        assert!(kept.status == "interrupted" || kept.answer == all, "{kept:?}");
    }
    println!(
        "{rounds} rounds: {middle} killed in mid-stream, {before} before the request, {whole} ended first; \
         {folds} lists killed; in {bounded} what was sent {SURE:?} before must be there; \
         oldest chunk lost: {least:?} before the kill"
    );
    assert!(middle * 3 >= rounds, "only {middle} of {rounds} in mid-stream");
    assert!(kept.keys().all(|prompt| done.iter().any(|round| round.prompt == *prompt)), "nobody asked that");

    let ids = ledger::sessions(&home);
    for id in &ids {
        let next = home.run(&format!("send -s {id} -m openai/c2 and on in {id}"));
        assert_eq!((next.code, next.out.as_str()), (0, "0 1 \n"), "{}", next.err);
    }
    ledger::verify(&home);
    assert_eq!(ledger::exchanges(&home).len(), kept.len() + ids.len());
}
