//! `chat` in a pseudo terminal and with lines that are piped in, and prompts that are written in an editor.

use std::os::unix::fs::PermissionsExt;

use crate::common::{Home, signal};
use crate::pty::Terminal;

/// Makes a program for `EDITOR` out of what it does to the file `$1`.
fn editor(home: &Home, what: &str) -> String {
    let path = home.path().join("editor");
    std::fs::write(&path, format!("#!/bin/sh\n{what}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

fn prompts(home: &Home) -> Vec<String> {
    home.mock.requests().into_iter().map(|request| request.prompt).collect()
}

#[test]
fn a_session_is_talked_in_taken_back_and_gone_on_with() {
    let home = Home::new();
    std::fs::write(home.path().join("note.txt"), "from the note").unwrap();
    let editor = editor(&home, r#"printf 1st >"$1""#);
    let mut terminal =
        Terminal::with(&home, "chat -m openai/c3", &[("TERM", "xterm"), ("EDITOR", editor.as_str())]);
    terminal.until("1> ");
    terminal.say("first");
    terminal.until("0 1 2");
    terminal.until("2> ");
    terminal.say("second");
    terminal.until("0 1 2");
    terminal.until("3> ");
    terminal.say(".undo");
    terminal.until("taken back: second (it is kept as branch main; this is branch-2)");
    terminal.until("2> ");
    terminal.say(".retry openai/c4");
    terminal.until("0 1 2 3");
    terminal.until("2> ");
    terminal.say(".attach note.txt");
    terminal.until("the next message goes with note.txt");
    terminal.until("2> ");
    terminal.say("third");
    terminal.until("0 1 2");
    terminal.until("3> ");
    terminal.say(".edit 1");
    terminal.until("0 1 2");
    terminal.until("2> ");
    terminal.say(".modle");
    terminal.until("did you mean .model?");
    terminal.until("2> ");
    terminal.say(".model openai/c2");
    terminal.until("openai/c2 answers from now on");
    terminal.until("2> ");
    terminal.say("\\.dotted");
    terminal.until("0 1\n");
    terminal.until("3> ");
    terminal.say(".copy");
    terminal.until("copied 4 characters, by the terminal (OSC 52)");
    assert!(terminal.raw().contains("\x1b]52;c;MCAxIA==\x07"));
    terminal.until("3> ");
    terminal.say(".cost");
    terminal.until("6 calls");
    terminal.until("3> ");
    terminal.say(".fork");
    terminal.until("goes on from here");
    terminal.until("3> ");
    terminal.say(".quit");
    assert_eq!(terminal.end(), 0);

    let asked = prompts(&home);
    assert_eq!(asked[..3], ["first", "second", "first"]);
    assert!(asked[3].starts_with("third") && asked[3].contains("from the note"), "{}", asked[3]);
    assert_eq!(asked[4..], ["1st", ".dotted"]);
    let sessions = home.run("sessions list");
    assert_eq!(sessions.out.lines().count(), 2, "{}", sessions.out);
    let heads = home.run("sessions heads @last~1").out;
    assert_eq!(heads.lines().count(), 3, "{heads}");
    let all = home.run("sessions show @last~1").out;
    assert!(all.contains("1st") && all.contains(".dotted") && !all.contains("second"), "{all}");
    assert_eq!(home.run("events verify --all").code, 0);
}

#[test]
fn ctrl_c_stops_the_answer_and_nothing_else() {
    let home = Home::new();
    let mut terminal = Terminal::run(&home, "chat -m openai/c9-stall2");
    terminal.until("1> ");
    terminal.say("hello");
    terminal.until("0 1");
    terminal.press("\x03");
    terminal.until("interrupted; what had arrived is kept: ses_");
    terminal.until("2> ");
    terminal.press("never sent\x03");
    terminal.until("2> ");
    terminal.say(".model openai/c1");
    terminal.until("2> ");
    terminal.say("again");
    terminal.until("3> ");
    terminal.press("\x04");
    assert_eq!(terminal.end(), 0);
    assert_eq!(prompts(&home), ["hello", "again"]);
    assert!(home.run("sessions show @last --json").out.contains(r#""partial":true"#));
}

#[test]
fn a_signal_ends_it_and_keeps_what_had_arrived() {
    let home = Home::new();
    let mut terminal = Terminal::run(&home, "chat -m openai/c9-stall2 hello");
    terminal.until("0 1");
    signal(&terminal.child, "TERM");
    assert_eq!(terminal.end(), 143);
    assert!(home.run("sessions show @last --json").out.contains(r#""partial":true"#));
    let mut terminal = Terminal::run(&home, "chat -c");
    terminal.until("continuing ses_");
    terminal.until("2> ");
    signal(&terminal.child, "TERM");
    assert_eq!(terminal.end(), 143);
}

#[test]
fn ten_thousand_lines_are_one_prompt() {
    let home = Home::new();
    let mut terminal = Terminal::run(&home, "chat -m openai/c1");
    terminal.until("1> ");
    let pasted: String = (0..10_000).map(|n| format!("line {n} \\\n")).collect();
    terminal.press(&format!("\x1b[200~{pasted}end\x1b[201~"));
    terminal.press("\r");
    terminal.until("2> ");
    terminal.press("\x04");
    assert_eq!(terminal.end(), 0);
    let asked = prompts(&home);
    assert_eq!(asked.len(), 1);
    assert!(asked[0] == format!("{pasted}end"), "{} bytes arrived", asked[0].len());
}

#[test]
fn what_fails_is_said_and_ends_nothing() {
    let home = Home::new();
    let mut terminal = Terminal::run(&home, "chat -m openai/e400");
    terminal.until("1> ");
    terminal.say("hello");
    terminal.until("error: ");
    terminal.until("1> ");
    terminal.say(".retry openai/c2");
    terminal.until("0 1");
    terminal.until("2> ");
    terminal.say(".quit");
    assert_eq!(terminal.end(), 0);
    assert_eq!(prompts(&home), ["hello", "hello"]);
}

#[test]
fn a_dumb_terminal_gets_plain_lines() {
    let home = Home::new();
    let mut terminal = Terminal::with(&home, "chat -m openai/c2", &[("TERM", "dumb")]);
    terminal.until("1> ");
    terminal.press("\"\"\"one\n");
    terminal.until(": ");
    terminal.press("two\\\n");
    terminal.until(": ");
    terminal.press("\"\"\"\n");
    terminal.until("0 1");
    terminal.until("2> ");
    terminal.press("never \\\n");
    terminal.until(": ");
    terminal.press("\x03");
    terminal.until("2> ");
    terminal.press("three\n");
    terminal.until("3> ");
    assert!(!terminal.raw().contains('\x1b'), "{:?}", terminal.raw());
    terminal.press("\x04");
    assert_eq!(terminal.end(), 0);
    assert_eq!(prompts(&home), ["one\ntwo\\", "three"]);
}

#[test]
fn what_was_typed_is_kept_for_its_owner() {
    let home = Home::new();
    let state = home.path().join("state");
    let state = [
        ("TERM", "xterm"),
        ("XDG_STATE_HOME", state.to_str().unwrap()),
        ("OPENAI_API_KEY", "sk-test-secret"),
    ];
    let mut terminal = Terminal::with(&home, "chat -m openai/c1", &state);
    terminal.until("1> ");
    terminal.say("is sk-test-secret mine?");
    terminal.until("2> ");
    terminal.press("\x04");
    assert_eq!(terminal.end(), 0);
    let file = home.path().join("state/aichat/history");
    let kept = std::fs::read_to_string(&file).unwrap();
    assert!(kept.starts_with("is ") && kept.ends_with(" mine?\n") && !kept.contains("sk-test"), "{kept}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let mut terminal = Terminal::with(&home, "chat -n -m openai/c1", &state);
    terminal.until("1> ");
    terminal.say("not kept");
    terminal.until("2> ");
    terminal.press("\x04");
    assert_eq!(terminal.end(), 0);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), kept);
    assert_eq!(home.run("sessions list").out.lines().count(), 1);
}

#[test]
fn lines_that_are_piped_in_are_prompts_of_one_session() {
    let home = Home::new();
    let done = home.pipe("chat -m openai/c2", b"one\n\ntwo \\\nand more\n.cost\n");
    assert_eq!((done.code, done.out.as_str()), (0, "0 1 \n0 1 \n"), "{}", done.err);
    assert!(done.err.contains("2 calls") && !done.err.contains("> "), "{}", done.err);
    assert_eq!(prompts(&home), ["one", "two \nand more"]);
    let listed = home.run("sessions list").out;
    assert_eq!(listed.lines().count(), 1, "{listed}");
    // What fails is told, the lines that follow are asked, and the exit code says so.
    let done = home.pipe("chat -c -m openai/e400", b"three\n.model openai/c2\nfour\n");
    assert_eq!((done.code, done.out.as_str()), (1, "0 1 \n"), "{}", done.err);
    assert!(done.err.contains("error: ") && done.err.contains("continuing ses_"), "{}", done.err);
    for line in ["chat --json", "chat -f -"] {
        let done = home.run(line);
        assert!(done.code == 2 && done.all().contains("aichat send"), "{}", done.all());
    }
    assert_eq!(home.run("chat -m openai/c1").code, 0, "nothing is asked where there is nothing to read");
}

#[test]
fn a_prompt_is_written_in_an_editor() {
    let home = Home::new();
    let add = editor(&home, r#"printf ' and more' >>"$1""#);
    let variables = [("TERM", "xterm"), ("EDITOR", add.as_str())];
    let mut terminal = Terminal::with(&home, "send -e -m openai/c2 some words", &variables);
    terminal.until("0 1");
    assert_eq!(terminal.end(), 0);
    assert_eq!(prompts(&home), ["some words and more"]);
    let mut terminal =
        Terminal::with(&home, "send -e -m openai/c2", &[("VISUAL", "true"), ("EDITOR", "false")]);
    terminal.until("nothing to send");
    assert_eq!(terminal.end(), 66);
    let mut terminal = Terminal::with(&home, "send -e -m openai/c2", &[("TERM", "xterm")]);
    terminal.until("set EDITOR");
    assert_eq!(terminal.end(), 78);
    let done = home.run("send -e -m openai/c2 words");
    assert!(done.code == 2 && done.err.contains("leave out -e"), "{}", done.err);
    assert_eq!(prompts(&home).len(), 1);
}

#[test]
fn tab_completes_and_up_calls_back() {
    let home = Home::new();
    assert_eq!(home.run("send -m openai/c1 -s holiday hello").code, 0);
    let mut terminal = Terminal::run(&home, "chat -m openai/c2");
    terminal.until("1> ");
    terminal.press(".sess\t");
    terminal.until(".session");
    terminal.press("holi\t");
    terminal.until("holiday");
    terminal.resize((40, 12));
    terminal.press("\r");
    terminal.until("(holiday): 1 turn, ");
    terminal.until("2> ");
    terminal.say("漢字");
    terminal.until("0\n");
    terminal.until("3> ");
    terminal.press("\x1b[A");
    terminal.until("漢字");
    terminal.press("\r");
    terminal.until("4> ");
    terminal.press("\x04");
    assert_eq!(terminal.end(), 0);
    assert_eq!(prompts(&home), ["hello", "漢字", "漢字"]);
    assert_eq!(home.run("sessions list").out.lines().count(), 1);
}
