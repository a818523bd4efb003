//! How far long work is: a bar on a terminal, lines elsewhere, and nothing where only errors are wanted.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::time::Duration;

use crate::common::{Home, code};
use crate::pty::Terminal;

/// Work on a store, what is said of it, and of how many where that is known.
const WORK: &[(&str, &str)] = &[
    ("sessions export --all", "exporting sessions: 0 of 3"),
    ("sessions import far.jsonl", "taking in sessions: 1"),
    ("store rebuild", "reading sessions: 0 of 3"),
    ("store compact", "looking through blobs …"),
    ("store verify", "verifying sessions: 0 of 3"),
    ("store backup backup", "copying sessions: 0 of 3"),
];

/// What is said while a store is not to be had.
const WAITING: &str = "waiting for the store";
/// What passes before a bar shows.
const BAR: Duration = Duration::from_millis(400);
/// What passes before a line is said where nobody looks.
const SILENCE: Duration = Duration::from_secs(5);

/// A home with three sessions, and one to be taken in.
fn lived() -> Home {
    let home = Home::new();
    let other = Home::new();
    assert_eq!(other.run("send -s far -m openai/echo far").code, 0);
    std::fs::write(home.path().join("far.jsonl"), other.run("sessions export far").out).unwrap();
    for name in ["one", "two", "three"] {
        assert_eq!(home.run(&format!("send -s {name} -m openai/echo {name}")).code, 0);
    }
    assert_eq!(home.run("sessions list").code, 0);
    home
}

/// Keeps everybody else out of the store, so that work takes as long as a test wants.
fn hold(home: &Home) -> File {
    let lock = File::options().write(true).open(home.data().join("lock")).unwrap();
    lock.lock().unwrap();
    lock
}

/// Returns how many bars were drawn, and checks that none of them is left.
fn bars(terminal: &mut Terminal, said: &str) -> usize {
    assert_eq!(terminal.ended(), 0, "{}", terminal.raw());
    let screen = terminal.screen().contents();
    assert!(
        !screen.contains(said) && !screen.contains('━') && !screen.contains('·'),
        "{said} is left:\n{screen}"
    );
    terminal.raw().matches(&format!("{said}\x1b[K")).count()
}

/// Tries all work at once, loud and quiet, each in a home of its own whose store is held until it is dropped.
fn each(tried: impl Fn(&Home, File, &str, &str, bool) + Sync) {
    std::thread::scope(|scope| {
        for (line, said) in WORK {
            for quiet in [false, true] {
                let tried = &tried;
                scope.spawn(move || {
                    let home = lived();
                    let lock = hold(&home);
                    tried(&home, lock, line, said, quiet);
                });
            }
        }
    });
}

#[test]
fn on_a_terminal_work_has_a_bar_which_goes_when_it_is_done() {
    each(|home, lock, line, said, quiet| {
        let words = line.split(' ').chain(quiet.then_some("-q"));
        let mut terminal = Terminal::sized(home, words, (80, 24), &[("TERM", "xterm")], Some(Stdio::null()));
        match quiet {
            true => std::thread::sleep(BAR),
            false => drop(terminal.until(WAITING)),
        }
        drop(lock);
        let bars = bars(&mut terminal, said);
        let raw = terminal.raw();
        assert!(if quiet { raw.is_empty() } else { bars > 0 }, "{line}: {raw:?}");
    });
}

#[test]
fn elsewhere_work_has_a_line_now_and_then_and_quiet_means_quiet() {
    each(|home, lock, line, said, quiet| {
        let words = line.split(' ').chain(quiet.then_some("-q"));
        let mut child = home.command(words).stdout(Stdio::null()).spawn().unwrap();
        let mut err = BufReader::new(child.stderr.take().unwrap());
        let mut told = String::new();
        while !quiet && !told.contains(WAITING) {
            assert!(err.read_line(&mut told).unwrap() > 0, "{line}: {told}");
        }
        // Less would be enough; what is wanted is that there is something to tell by now.
        std::thread::sleep(SILENCE);
        drop(lock);
        err.read_to_string(&mut told).unwrap();
        assert_eq!(code(child.wait().unwrap()), 0, "{line}: {told}");
        match quiet {
            true => assert_eq!(told, "", "{line}"),
            false => assert!(told.lines().any(|line| line == said), "{line}: {told}"),
        }
        assert!(!told.contains(['\r', '\x1b', '━']), "{line}: {told:?}");
    });
}

#[test]
fn a_batch_tells_how_many_are_answered() {
    let home = Home::new();
    // Each takes longer than a bar waits before it shows.
    let prompts: String = (0..3).map(|n| format!("{{\"prompt\":\"{n}\"}}\n")).collect();
    std::fs::write(home.path().join("prompts.jsonl"), prompts).unwrap();
    let begin = |more: &str, output: Stdio| {
        let line = format!("batch prompts.jsonl -j 1 -n -m openai/c1-t450000 {more}");
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Terminal::sized(&home, words, (80, 24), &[("TERM", "xterm")], Some(output))
    };
    let mut terminal = begin("", Stdio::null());
    assert_eq!(terminal.ended(), 0, "{}", terminal.raw());
    for done in 1..=3 {
        assert!(terminal.raw().contains(&format!("asking: {done} of 3\x1b[K")), "{:?}", terminal.raw());
    }
    let screen = terminal.screen().contents();
    assert!(screen.starts_with("3 answered") && !screen.contains('━'), "{screen}");
    let mut quiet = begin("-q", Stdio::null());
    assert_eq!((quiet.ended(), quiet.raw().as_str()), (0, ""));

    let words = "batch prompts.jsonl -j 3 -n -m openai/c1-t5050000".split(' ');
    let done = crate::common::Done::from(home.command(words).output().unwrap());
    assert!(done.err.lines().any(|line| line == "asking: 1 of 3"), "{}", done.err);
    assert!(!done.err.contains(['\r', '\x1b']), "{:?}", done.err);
}
