//! Sessions at a terminal that go wrong in the ways in which terminals do: resized, interrupted, narrow, lied to.

use std::process::Command;

use serde_json::{Value, json};

use crate::common::{Done, Home, Server, signal};
use crate::dictated::Dictated;
use crate::pty;
use crate::terminal;

/// A terminal with colours.
const COLOURED: &[(&str, &str)] = &[("TERM", "xterm"), ("NO_COLOR", "")];

/// What a model, or who writes in its place, may try to do to a terminal: its title, its clipboard, its other screen,
/// its cursor, its colours, the order of its characters; with seven bits and with eight.
const HOSTILE: &[&str] = &[
    "\x1b]0;owned\x07",
    "\x1b]52;c;b3duZWQ=\x07",
    "\x1b]8;;http://owned.invalid\x1b\\link\x1b]8;;\x1b\\",
    "\x1b[?1049h",
    "\x1b[31;7H",
    "\x1b[2J",
    "\x1b[8m",
    "\x1b[5n",
    "\x1bP+q544e\x1b\\",
    "\x1bc",
    "\u{9b}31m",
    "\u{9d}0;owned\u{9c}",
    "\u{202e}desrever\u{202c}",
    "\u{2066}isolated\u{2069}",
    "over\rwritten",
    "rubbed\x08\x08out",
    "bell\x07",
];

fn numbered(numbers: std::ops::Range<usize>) -> String {
    numbers.map(|n| format!("w{n} ")).collect()
}

/// Returns the words of a text that are a letter and a number.
fn numbers(text: &str) -> Vec<usize> {
    text.split_whitespace().filter_map(|word| word.strip_prefix('w')?.parse().ok()).collect()
}

#[test]
fn a_terminal_that_shrinks_in_the_middle_of_an_answer_loses_nothing() {
    for command in ["send", "chat"] {
        let home = Home::new();
        let server = Dictated::start(&home);
        let line = format!("AICHAT {command} -m own/m hi; echo exit $?; sleep 600");
        let Some(terminal) = terminal::Terminal::run(&home, (80, 24), &line) else { return };
        let mut answer = server.answer();
        answer.say(&format!("# Title\n\nSome **strong** words.\n\n- one\n\n{}", numbered(0..150)));
        terminal.shows("w149");
        terminal.resize((40, 24));
        answer.say(&numbered(150..300));
        terminal.shows("w299");
        terminal.resize((100, 30));
        answer.say(&numbered(300..400));
        answer.end();
        if command == "chat" {
            terminal.shows("2>");
            terminal.press(&["C-d"]);
        }
        terminal.shows("exit 0");
        let all = terminal.tmux(&["capture-pane", "-p", "-J", "-S", "-"]);
        let kept = home.run("sessions show @last").out;
        assert_eq!(numbers(&kept), (0..400).collect::<Vec<_>>(), "{command}:\n{kept}");
        assert_eq!(numbers(&all), (0..400).collect::<Vec<_>>(), "{command}:\n{all}");
        for text in ["Title", "Some strong words.", "• one"] {
            assert_eq!(all.matches(text).count(), 1, "{command}: {text} in\n{all}");
        }
    }
}

#[test]
fn an_interrupted_table_and_an_interrupted_fence_leave_nothing_behind() {
    for (begun, shown) in [
        ("| name | what |\n|---|---|\n| **first** | one |\n| sec", "first"),
        ("Look:\n\n```rust\nfn main() {\n    // half", "half"),
    ] {
        let home = Home::new();
        let server = Dictated::start(&home);
        let mut terminal = pty::Terminal::with(&home, "chat -m own/m", COLOURED);
        let before = terminal.settings();
        terminal.until("1> ");
        terminal.say("show me");
        let mut answer = server.answer();
        answer.say(begun);
        terminal.until(shown);
        terminal.press("\x03");
        terminal.until("interrupted; what had arrived is kept: ses_");
        terminal.until("2> ");
        let screen = terminal.screen();
        assert!(!screen.hide_cursor() && !screen.alternate_screen() && !screen.bold(), "{begun:?}");
        assert_eq!((screen.fgcolor(), screen.bgcolor()), Default::default(), "{begun:?}");
        terminal.say("go on");
        let mut answer = server.answer();
        let messages = answer.asked["messages"].as_array().unwrap();
        assert_eq!(messages[1]["content"], begun, "what had arrived is what it goes on from");
        answer.say("Plainly **strong** and nothing else\n");
        answer.end();
        terminal.until("strong");
        terminal.until("3> ");
        let screen = terminal.screen();
        let contents = screen.contents();
        let row = contents.lines().position(|line| line == "Plainly strong and nothing else");
        let row = row.unwrap_or_else(|| panic!("{begun:?}:\n{contents}")) as u16;
        let bold = |column| screen.cell(row, column).unwrap().bold();
        assert_eq!([0, 8, 13, 15].map(bold), [false, true, true, false], "{begun:?}:\n{contents}");
        terminal.press("\x04");
        assert_eq!(terminal.ended(), 0);
        let after = terminal.settings();
        assert_eq!(format!("{before:?}"), format!("{after:?}"), "the terminal is as it was");
        assert!(!terminal.screen().bracketed_paste() && !terminal.screen().hide_cursor());
        let kept: Value = serde_json::from_str(&home.run("sessions show @last --json").out).unwrap();
        let partial = &kept["entries"][1];
        assert_eq!(
            (&partial["partial"], &partial["message"]["parts"][0]["text"]),
            (&true.into(), &begun.into())
        );
    }
}

#[test]
fn a_terminal_is_as_it_was_when_a_signal_ends_the_program() {
    let home = Home::new();
    let server = Dictated::start(&home);
    for answers in [false, true] {
        let mut terminal = pty::Terminal::with(&home, "chat -m own/m", COLOURED);
        let before = format!("{:?}", terminal.settings());
        terminal.until("1> ");
        let mut answer = None;
        match answers {
            true => {
                terminal.say("hi");
                let answer = answer.insert(server.answer());
                answer.say("**begun");
                terminal.until("begun");
            }
            false => {
                terminal.press("half a li");
                terminal.until("half a li");
                assert_ne!(format!("{:?}", terminal.settings()), before, "the editor has the terminal");
            }
        }
        signal(&terminal.child, "TERM");
        assert_eq!(terminal.ended(), 143);
        assert_eq!(format!("{:?}", terminal.settings()), before, "{answers}");
        let screen = terminal.screen();
        assert!(!screen.bracketed_paste() && !screen.hide_cursor() && !screen.bold(), "{answers}");
    }
}

#[test]
fn wide_characters_are_asked_answered_and_wrapped_at_forty_columns() {
    let home = Home::new();
    let server = Dictated::start(&home);
    let mut terminal =
        pty::Terminal::sized(&home, ["chat", "-m", "own/m"], (40, 24), &[("TERM", "xterm")], None);
    terminal.until("1> ");
    let asked = "漢字とかな 👩‍👩‍👧‍👦 и ещё é e\u{301} 한국어 which is more than a line of forty columns holds";
    terminal.say(asked);
    let mut answer = server.answer();
    assert_eq!(answer.asked["messages"][0]["content"], asked);
    answer.say(
        "春はあけぼの。やうやう白くなりゆく山ぎは、すこしあかりて、紫だちたる雲のほそくたなびきたる。\n\n",
    );
    answer.say(
        "| 語 | means |\n|---|---|\n| 山ぎは | the edge of the mountains against the sky |\n| 👩‍🚀 | e\u{301}t",
    );
    answer.say("é |\n\nEnd 🦀.\n");
    answer.end();
    terminal.until("End 🦀.");
    terminal.until("2> ");
    terminal.press("\x04");
    assert_eq!(terminal.ended(), 0);
    let contents = terminal.screen().contents();
    insta::assert_snapshot!(contents.trim_end(), @r"
    own/m; .help lists commands, Ctrl-D ends
    1> 漢字とかな 👩‍👩‍👧‍👦 и ещё é é 한국어 which is more than a line of forty columns holds
    春はあけぼの。やうやう白くなりゆく山ぎ
    は、すこしあかりて、紫だちたる雲のほそく
    たなびきたる。

    語     │ means
    ───────┼────────────────────────────────
    山ぎは │ the edge of the mountains
           │ against the sky
    ───────┼────────────────────────────────
    👩‍🚀   │ été
    ───────┼────────────────────────────────

    End 🦀.
    2>
    ");
    let kept = home.run("sessions show @last").out;
    assert!(kept.contains(asked) && kept.contains("👩‍🚀 | e\u{301}té |"), "{kept}");
}

/// Checks that nothing of what is hostile came to a terminal, and that it was not passed over.
fn is_plain(what: &str, raw: &str) {
    let parts = ["\x07", "\x1b]", "\x1bP", "\x1bc", "\x08", "\u{202e}", "\u{2066}", "\u{9b}", "\u{9d}"];
    for forbidden in HOSTILE.iter().chain(&parts) {
        assert!(!raw.contains(forbidden), "{what}: {forbidden:?} in {raw:?}");
    }
    assert!(raw.contains("owned"), "{what}: {raw:?}");
}

/// Checks that nothing of an answer that is hostile came to the terminal, and that all of it is to be seen.
fn is_harmless(terminal: &pty::Terminal) {
    let raw = terminal.raw();
    is_plain("the answer", &raw);
    for shown in ["␛]0;owned␇", "␛]52;c;b3duZWQ=␇", "␛[?1049h", "␛[31;7H", "over␍written", "rubbed␈␈out"]
    {
        assert!(raw.contains(shown), "{shown} is not in {raw:?}");
    }
    assert!(!terminal.screen().alternate_screen() && terminal.screen().contents().contains("the end"));
}

#[test]
fn a_hostile_answer_steers_nothing() {
    let hostile: String = HOSTILE.concat();
    for command in ["send", "chat"] {
        for split in [false, true] {
            let home = Home::new();
            let server = Dictated::start(&home);
            let words = [command, "-m", "own/m", "hi"];
            let mut terminal = pty::Terminal::sized(&home, words, (80, 60), COLOURED, None);
            let mut answer = server.answer();
            match split {
                true => hostile.chars().for_each(|c| answer.think(&c.to_string())),
                false => answer.think(&hostile),
            }
            match split {
                true => hostile.chars().for_each(|c| answer.say(&c.to_string())),
                false => answer.say(&hostile),
            }
            answer.say("\n\n```\n");
            HOSTILE.iter().for_each(|piece| answer.say(piece));
            answer.say("\n```\n\n| a |\n|---|\n| ");
            HOSTILE.iter().for_each(|piece| answer.say(piece));
            answer.say(" |\n\nthe end\n");
            answer.end();
            terminal.until("the end");
            if command == "chat" {
                terminal.until("2> ");
                terminal.press("\x04");
            }
            assert_eq!(terminal.ended(), 0);
            is_harmless(&terminal);
        }
    }
}

#[test]
fn what_is_kept_and_shown_later_steers_nothing_either() {
    let home = Home::new();
    let hostile = format!("{}the end", HOSTILE.concat());
    let named = Done::from(home.command(["sessions", "create", "a\x1b]0;owned\x07b"]).output().unwrap());
    assert_ne!(named.code, 0, "no name steers a terminal");
    let sent = Done::from(home.command(["send", "-m", "openai/echo", &hostile]).output().unwrap());
    assert_eq!(sent.out, format!("{hostile}\n"), "elsewhere it is the model's: {}", sent.err);
    for line in [
        "sessions show @last",
        "sessions list",
        "sessions tree @last",
        "sessions search end",
        "events list @last",
        "events show @last 3",
        "events tail @last",
        "events replay @last",
    ] {
        let mut terminal = pty::Terminal::with(&home, line, COLOURED);
        assert_eq!(terminal.ended(), 0, "{line}");
        is_plain(line, &terminal.raw());
    }
}

#[test]
fn a_hostile_server_steers_nothing_by_its_errors_and_its_models() {
    let home = Home::new();
    let hostile = HOSTILE.concat();
    let server = Server::start(move |line, _| match line.starts_with("GET") {
        true => (200, "application/json", json!({"data": [{"id": hostile, "object": "model"}]}).to_string()),
        false => {
            (400, "application/json", json!({"error": {"message": hostile, "code": hostile}}).to_string())
        }
    });
    home.configure(&format!(
        "[providers.own]\nprotocol = \"openai-chat\"\nbase_url = \"{}/v1\"\n",
        server.url
    ));
    for (line, code) in [
        ("send -m own/m hi", 1),
        ("models list own", 0),
        ("providers test own -m m", 1),
        ("sessions show @last", 0),
        ("events show @last 5", 0),
    ] {
        let mut terminal = pty::Terminal::with(&home, line, COLOURED);
        assert_eq!(terminal.ended(), code, "{line}: {}", terminal.raw());
        is_plain(line, &terminal.raw());
    }
}

impl terminal::Terminal {
    /// Gives the terminal another size, and returns once programs in it see it.
    fn resize(&self, (columns, lines): (u32, u32)) {
        let [x, y] = [columns, lines].map(|side| side.to_string());
        self.tmux(&["resize-window", "-x", &x, "-y", &y]);
        let tty = self.tmux(&["display-message", "-p", "#{pane_tty}"]);
        let size = format!("{lines} {columns}\n");
        let seen =
            || Command::new("sh").args(["-c", &format!("stty size <{}", tty.trim())]).output().unwrap();
        while seen().stdout != size.as_bytes() {}
    }
}
