//! `inspect` in a real terminal, as far as tmux is one.

use std::process::Command;

use crate::common::Home;
use crate::terminal::Terminal;

fn two_sessions() -> Home {
    let home = Home::new();
    assert_eq!(home.run("send -m openai/c5 -s sky first").code, 0);
    assert_eq!(home.run("send -s sky second").code, 0);
    let sent =
        home.pipe("send -m openai/echo -s evil -", "漢字 \u{1b}]0;owned\u{7}\u{1b}[2J\u{202e}".as_bytes());
    assert_eq!(sent.code, 0);
    home
}

#[test]
fn without_a_terminal_it_says_what_else_there_is() {
    let home = Home::new();
    for line in ["inspect", "inspect --json"] {
        let done = home.run(line);
        let said = format!("{}{}", done.out, done.err);
        assert_eq!(done.code, 2);
        assert!(said.contains("needs a terminal") && said.contains("events list"), "{said}");
    }
}

#[test]
fn where_nothing_is_it_makes_nothing_and_waits_for_the_first_session() {
    let home = Home::new();
    let line = "AICHAT inspect nobody; echo exit $?; AICHAT inspect; echo exit $?; sleep 600";
    let Some(terminal) = Terminal::run(&home, (80, 24), line) else { return };
    for what in ["no session matches \"nobody\"", "exit 66", "no sessions yet"] {
        terminal.shows(what);
    }
    assert!(!home.path().join(".local").exists());
    assert_eq!(home.run("send -m openai/c2 -s sky first").code, 0);
    terminal.shows("sky");
    terminal.press(&["q"]);
    terminal.shows("exit 0");
}

#[test]
fn every_key_goes_where_it_says() {
    let home = two_sessions();
    let line = "AICHAT inspect; echo exit $?; read line; echo got $line; sleep 600";
    let Some(terminal) = Terminal::run(&home, (80, 24), line) else { return };
    for what in ["2 sessions", "⏎ open", "evil"] {
        terminal.shows(what);
    }
    terminal.press(&["/", "s", "k", "y"]);
    terminal.shows("1 of 2 sessions");
    terminal.press(&["Escape"]);
    terminal.until("all sessions again", |screen| screen.contains(" 2 sessions") && !screen.contains("/sky"));
    terminal.press(&["?"]);
    terminal.shows("PgUp PgDn");
    terminal.press(&["x", "Down", "Enter"]);
    terminal.shows("aichat › sky");
    for what in ["── turn 2 ─", "stream", "first content"] {
        terminal.shows(what);
    }
    terminal.press(&["Up"]);
    terminal.shows("── turn 1 ─");
    terminal.press(&["b"]);
    terminal.shows("sky › branches");
    terminal.shows("4 messages");
    terminal.press(&["Home", "Enter"]);
    terminal.shows("[rendered]");
    // Two in one piece are one.
    terminal.press(&["Escape"]);
    terminal.shows("sky › branches");
    terminal.press(&["Escape", "a"]);
    terminal.shows("sky › all events");
    terminal.press(&["t"]);
    terminal.shows("type session");
    terminal.press(&["t"]);
    terminal.shows("type turn");
    terminal.press(&["e"]);
    terminal.shows("no event is like that");
    terminal.press(&["e", "Escape", "Enter"]);
    terminal.shows("sky › turn 1");
    terminal.press(&["End", "PageUp", "Down", "Enter"]);
    terminal.shows("message.user");
    for tab in ["[payload]", "[request]", "[response]", "[cost]", "[causes]", "[rendered]"] {
        terminal.press(&["Right"]);
        terminal.shows(tab);
    }
    terminal.press(&["Left"]);
    terminal.shows("[causes]");
    terminal.press(&["Tab", "n"]);
    terminal.shows("llm.request.started");
    terminal.press(&["p"]);
    terminal.shows("message.user");
    terminal.press(&["q"]);
    assert_eq!(terminal.left(0), "0 1\n");
    // Lines are lines again, and what is typed is seen.
    terminal.press(&["h", "i", "Enter"]);
    terminal.shows("got hi");
}

#[test]
fn what_happens_elsewhere_is_seen_while_it_happens() {
    let home = two_sessions();
    let Some(terminal) = Terminal::run(&home, (80, 24), "AICHAT inspect sky; echo exit $?; sleep 600") else {
        return;
    };
    terminal.shows("2 turns");
    assert_eq!(home.run("send -s sky third").code, 0);
    terminal.shows("3 turns");
    terminal.shows("── turn 3 ─");
    terminal.press(&["a", "End"]);
    terminal.shows("… ");
    assert_eq!(home.run("sessions rename sky heaven").code, 0);
    terminal.shows("session.renamed");
    terminal.shows("heaven › all events");
    assert_eq!(home.run("sessions purge heaven --yes").code, 0);
    terminal.until("what was erased is off the screen", |screen| !screen.contains("third"));
    terminal.press(&["C-c"]);
    assert_eq!(terminal.left(0), "0 1\n");
}

#[test]
fn it_keeps_to_the_size_of_the_terminal_and_to_its_rules() {
    let home = two_sessions();
    let pid = home.path().join("pid");
    let line =
        format!("sh -c 'echo $$ >{}; exec AICHAT inspect evil'; echo exit $?; sleep 600", pid.display());
    let Some(terminal) = Terminal::run(&home, (40, 12), &line) else { return };
    terminal.shows("── turn 1 ─");
    terminal.press(&["a"]);
    let screen = terminal.shows("漢字 ␛]0;owned␇␛[2J");
    assert!(screen.lines().all(|line| line.chars().count() <= 40), "{screen}");
    terminal.tmux(&["resize-window", "-x", "120", "-y", "30"]);
    terminal.until("as wide as the terminal", |screen| screen.lines().any(|line| line.chars().count() > 80));
    let title = terminal.tmux(&["display-message", "-p", "#{pane_title}"]);
    assert!(!title.contains("owned"), "{title}");
    let pid = std::fs::read_to_string(pid).unwrap();
    assert!(Command::new("kill").args(["-s", "TERM", pid.trim()]).status().unwrap().success());
    assert_eq!(terminal.left(143), "0 1\n");
}
