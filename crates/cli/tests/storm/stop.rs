//! Ctrl-C, SIGTERM and a reader that leaves, as a shell sees them.

use std::io::Read;
use std::process::{Child, Command};

use aichat_mock::Workload;

use crate::common::{Done, Home, code, signal};
use crate::ledger;

/// Starts an answer that stalls after three chunks and returns once those are on standard output.
fn stalled(home: &Home) -> Child {
    let mut child = home.command(["send", "-m", "openai/c9-l20-stall3", "wait for it"]).spawn().unwrap();
    child.stdout.as_mut().unwrap().read_exact(&mut [0; 60]).unwrap();
    child
}

#[test]
fn a_signal_names_what_is_kept() {
    for (name, number) in [("INT", 130), ("TERM", 143)] {
        let home = Home::new();
        let child = stalled(&home);
        signal(&child, name);
        let done = Done::from(child.wait_with_output().unwrap());
        assert_eq!(done.code, number, "{}", done.err);
        let id = |kind: &str| {
            let at = done.err.find(kind).unwrap_or_else(|| panic!("no {kind} in {:?}", done.err));
            done.err[at..].split_whitespace().next().unwrap().to_owned()
        };
        let kept = ledger::exchanges_of(&home, &id("ses_"));
        let texts = ["0", "1", "2"].map(|number| format!("{number:.<19} ")).concat();
        assert_eq!((kept[0].1.answer.as_str(), kept[0].1.status.as_str()), (texts.as_str(), "interrupted"));
        assert!(home.run(&format!("sessions show --json {}", id("ses_"))).out.contains(&id("msg_")));
        ledger::verify(&home);
    }
}

#[test]
fn a_second_ctrl_c_ends_at_once_and_loses_nothing() {
    let home = Home::new();
    let mut child = stalled(&home);
    signal(&child, "INT");
    signal(&child, "INT");
    let status = child.wait().unwrap();
    assert_eq!(code(status), 130);
    let kept = ledger::exchanges(&home);
    assert!(kept["wait for it"].answer.starts_with("0..."), "{kept:?}");
    assert_eq!(kept["wait for it"].status, "interrupted");
}

#[test]
fn a_question_without_an_answer_is_kept() {
    let home = Home::new();
    let child = home.command(["send", "-m", "openai/c1-t5000000", "anybody there?"]).spawn().unwrap();
    while home.mock.requests().is_empty() {
        std::thread::yield_now();
    }
    signal(&child, "INT");
    let done = Done::from(child.wait_with_output().unwrap());
    assert_eq!((done.code, done.out.as_str()), (130, ""), "{}", done.err);
    assert!(done.err.contains("ses_"), "{}", done.err);
    let kept = &ledger::exchanges(&home)["anybody there?"];
    assert_eq!((kept.answer.as_str(), kept.status.as_str()), ("", "interrupted"));
    assert_eq!(home.run("send -s @last -m openai/c1 on").code, 0);
}

#[test]
fn head_ends_it_quietly_and_the_partial_is_kept() {
    let home = Home::new();
    let lines: String = (0..2000).map(|line| format!("line {line}\n")).collect();
    let ready = home.command(["send", "-m", "openai/echo-c2000-d1000", &lines]);
    // The shell's own environment is that of the command.
    let mut shell = Command::new("bash");
    shell.args(["-c", "\"$@\" 2>err | head -1; echo ${PIPESTATUS[0]}", "bash"]).arg(ready.get_program());
    shell.args(ready.get_args()).current_dir(home.path()).env_clear();
    shell.envs(ready.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let done = Done::from(shell.output().unwrap());
    assert_eq!(done.out, "line 0\n141\n");
    assert_eq!(std::fs::read_to_string(home.path().join("err")).unwrap(), "");
    let kept = ledger::exchanges(&home);
    let kept = kept.get(&lines).or_else(|| kept.get(lines.trim_end())).unwrap();
    assert!(kept.answer.starts_with("line 0\n") && lines.starts_with(&kept.answer), "{kept:?}");
    assert_eq!(kept.status, "interrupted");
    // The mock finds out as it writes on: an answer that nobody stopped would end, and never be left.
    let all = Workload::parse("echo-c2000").unwrap().texts(&lines).len();
    let request = || home.mock.requests()[0].clone();
    while !request().client_left {
        assert!(request().sent.len() < all, "the request was not stopped");
        std::thread::yield_now();
    }
}
