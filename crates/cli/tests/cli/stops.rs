//! Stopping in the middle: Ctrl-C, SIGTERM, a reader that goes away.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::common::{Home, code, signal};

/// Starts an answer that never ends and returns once its first text is there.
fn begun(home: &Home, args: &[&str]) -> (Child, String) {
    let mut child = home.command(["send", "-m", "openai/c9-l40-stall3"].iter().chain(args)).spawn().unwrap();
    let mut first = vec![0; 40];
    child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    (child, String::from_utf8(first).unwrap())
}

fn rest(child: &mut Child) -> (String, String) {
    let (mut out, mut err) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    (out, err)
}

#[test]
fn a_signal_keeps_what_had_arrived() {
    for (name, number) in [("INT", 130), ("TERM", 143)] {
        let home = Home::new();
        let (mut child, first) = begun(&home, &["hi"]);
        signal(&child, name);
        let (out, err) = rest(&mut child);
        assert_eq!(code(child.wait().unwrap()), number);
        assert!(err.contains("what had arrived is kept: ses_") && err.contains("msg_"), "{err}");
        let text = format!("{first}{out}");
        let shown = home.run("sessions show @last --json").out;
        assert!(text.starts_with("0") && shown.contains(text.trim_end()), "{text} {shown}");
        assert_eq!(home.run("send -s @last -m openai/c1 on").code, 0, "the session goes on");
    }
}

#[test]
fn a_terminal_that_has_gone_ends_it_at_once_and_what_had_arrived_is_kept() {
    // Whoever began this may have seen to it that it outlives its terminal, and so does what it begins.
    let outlives = Command::new("sh").args(["-c", "kill -s HUP $$; echo on"]).output().unwrap();
    if !outlives.stdout.is_empty() {
        eprintln!("skipped: SIGHUP is ignored here");
        return;
    }
    let home = Home::new();
    let (mut child, first) = begun(&home, &["hi"]);
    // It is written down a moment after it is shown.
    let is_written = || {
        let journals = std::fs::read_dir(home.data().join("journal")).unwrap();
        let mut written = journals.filter_map(|journal| std::fs::read(journal.unwrap().path()).ok());
        written.any(|bytes| String::from_utf8_lossy(&bytes).contains(first.trim_end()))
    };
    while !is_written() {
        std::thread::yield_now();
    }
    signal(&child, "HUP");
    assert_eq!(code(child.wait().unwrap()), 129);
    assert!(
        include_str!("../../../../docs/exit-codes.md").contains("\n| 129 | the terminal has gone (SIGHUP")
    );
    let shown = home.run("sessions show @last --json").out;
    assert!(shown.contains("interrupted") && shown.contains(first.trim_end()), "{shown}");
}

#[test]
fn an_interrupted_turn_says_so_in_json() {
    let home = Home::new();
    let mut child = home.command(["send", "--json", "-m", "openai/c9-stall3", "hi"]).spawn().unwrap();
    while home.mock.chunks_sent() < 3 {
        std::thread::yield_now();
    }
    signal(&child, "INT");
    let (out, _) = rest(&mut child);
    assert_eq!(code(child.wait().unwrap()), 130);
    let result: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(result["status"], "interrupted");
    assert_eq!(result["error"]["kind"], "cancelled");
}

#[test]
fn a_reader_that_leaves_stops_the_request_quietly() {
    let home = Home::new();
    let mut child = home.command(["send", "-m", "openai/c100000-d1000-l80", "hi"]).spawn().unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut some = vec![0; 80];
    reader.read_exact(&mut some).unwrap();
    drop(reader);
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((code(child.wait().unwrap()), err.as_str()), (141, ""));
    let kept = home.run("sessions show @last --json").out;
    assert!(kept.contains("interrupted") && kept.contains("0..."), "{kept}");
}

#[test]
fn lists_end_quietly_too() {
    let home = Home::new();
    let mut child = home.command(["completions", "zsh"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut reader = BufReader::with_capacity(16, child.stdout.take().unwrap());
    reader.fill_buf().unwrap();
    drop(reader);
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    // A script that fits into the pipe was written before anybody left.
    assert!([0, 141].contains(&code(child.wait().unwrap())));
    assert_eq!(err, "");
}

#[test]
fn a_stuck_reader_does_not_hold_up_ctrl_c() {
    let home = Home::new();
    // More than a pipe holds, and nobody reads it.
    let mut child = home.command(["send", "-m", "openai/c3000-l400", "hi"]).spawn().unwrap();
    while home.mock.chunks_sent() < 3000 {
        std::thread::yield_now();
    }
    signal(&child, "INT");
    signal(&child, "INT");
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None => {
                std::thread::sleep(std::time::Duration::from_millis(20));
                signal(&child, "INT");
            }
        }
    };
    assert_eq!(code(status), 130);
}

#[test]
fn what_was_cut_off_is_gone_on_with() {
    let home = Home::new();
    let (mut child, first) = begun(&home, &["-s", "s", "count"]);
    signal(&child, "INT");
    let _ = rest(&mut child);
    assert_eq!(code(child.wait().unwrap()), 130);
    let refused = home.run("send -s fresh -m openai/c1 --continue-partial --no-stdin");
    assert_eq!(refused.code, 66, "{}", refused.err);
    let done = home.run("send -s s -m openai/echo --continue-partial --no-stdin");
    assert_eq!(done.code, 0, "{}", done.err);
    let body: Value = serde_json::from_str(&home.mock.requests().last().unwrap().body).unwrap();
    let messages = body["messages"].as_array().unwrap();
    assert_eq!(messages[0]["content"], "count");
    assert!(messages[1]["content"].as_str().unwrap().starts_with(first.trim_end()), "{messages:?}");
    assert!(messages[2]["content"].as_str().unwrap().contains("Go on exactly where it stops"));
    let whole = home.run("send -s s --continue-partial --no-stdin");
    assert_eq!((whole.code, whole.err.contains("was not cut off")), (66, true), "{}", whole.err);
}

#[test]
fn beside_a_turn_in_flight_a_fork_goes_on() {
    let home = Home::new();
    assert_eq!(home.run("send -s s -m openai/echo one").code, 0);
    let (mut child, _) = begun(&home, &["-s", "s", "two"]);
    let busy = home.run("send -s s -m openai/echo three");
    assert_eq!((busy.code, busy.err.contains("in flight")), (75, true), "{}", busy.err);
    let forked = home.run("send -s s -m openai/echo --fork three");
    assert_eq!((forked.code, forked.out.as_str()), (0, "three\n"), "{}", forked.err);
    assert!(forked.err.contains("this goes on in its fork ses_"), "{}", forked.err);
    let body: Value = serde_json::from_str(&home.mock.requests().last().unwrap().body).unwrap();
    let texts: Vec<_> = body["messages"].as_array().unwrap().iter().map(|m| m["content"].clone()).collect();
    assert_eq!(texts, ["one", "one", "three"]);
    signal(&child, "INT");
    let _ = rest(&mut child);
    assert_eq!(code(child.wait().unwrap()), 130);
    let done = home.run("send -s s -m openai/echo --fork four");
    assert!(done.code == 0 && !done.err.contains("fork"), "what is idle is gone on with: {}", done.err);
    assert_eq!(home.run("events verify --all").code, 0);
}

#[test]
fn a_signal_ends_the_search_for_a_key_and_whoever_is_asked() {
    for (name, number, line) in [
        ("INT", 130, "send hi"),
        ("TERM", 143, "send hi"),
        ("INT", 130, "send -m w/c1 hi"),
        ("INT", 130, "batch -m w/c1 prompts.jsonl"),
        ("INT", 130, "keys test"),
        ("TERM", 143, "keys test v"),
        ("INT", 130, "models list"),
        ("INT", 130, "models show w/c1"),
        ("INT", 130, "providers test --all"),
        ("INT", 130, "doctor"),
    ] {
        let home = Home::new();
        std::fs::write(home.path().join("prompts.jsonl"), "{\"prompt\":\"hi\"}\n").unwrap();
        let asked = home.path().join("asked");
        let script = format!(
            "echo >> {0}.all; sleep 600 & echo $! > {0}.new; mv {0}.new {0}; wait; echo k",
            asked.display()
        );
        for provider in ["v", "w"] {
            let section = format!(
                "[providers.{provider}]\nprotocol = \"openai-chat\"\nbase_url = \"{}\"\n\
                 api_key_command = [\"sh\", \"-c\", {script:?}]\n",
                home.mock.url()
            );
            let before = std::fs::read_to_string(home.config_file()).unwrap_or_default();
            home.configure(&(before + &section));
        }
        let mut child = home.command(line.split(' ')).env_remove("OPENAI_BASE_URL").spawn().unwrap();
        while !asked.exists() {
            assert!(child.try_wait().unwrap().is_none(), "{line}: it ended by itself");
            std::thread::yield_now();
        }
        signal(&child, name);
        let (out, err) = rest(&mut child);
        assert_eq!(code(child.wait().unwrap()), number, "{line}: {err}");
        // What a batch was asked has an end that it tells.
        let is_told = line.starts_with("batch") && out.contains(r#""status":"interrupted""#);
        assert!(out.is_empty() || is_told, "{line}: {out}");
        let pid = std::fs::read_to_string(&asked).unwrap();
        // It ends once it has its turn, and whoever takes it in may take a while to bury it.
        let sleeps = || {
            let state = Command::new("ps").args(["-o", "stat=", "-p", pid.trim()]).output().unwrap();
            !state.stdout.is_empty() && !state.stdout.starts_with(b"Z")
        };
        assert!((0..200).any(|_| !sleeps()), "{line}: it sleeps on");
        let begun = std::fs::read_to_string(home.path().join("asked.all")).unwrap();
        assert_eq!(begun, "\n", "{line}: nobody else is asked any more");
    }
}
