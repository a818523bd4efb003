//! Answers on a terminal: markdown while it streams, and what is left of it.

use crate::common::Home;
use crate::terminal::Terminal;

const ANSWER: &str = "# Title\n\nSome **strong** and `code`, wrapped where the screen ends, not before.\n\n- one\n  - two\n\n```sh\necho \"a line of code that is longer than the screen is wide\"\n```\n\n| a | b |\n|---|--:|\n| 漢字 | 2 |\n\n\u{1b}[2J\u{1b}]52;c;aGk=\u{7}end\n";

/// Runs `send` in a terminal of forty columns and waits for its end.
fn shown(home: &Home, before: &str, flags: &str) -> Option<Terminal> {
    std::fs::write(home.path().join("answer"), ANSWER).unwrap();
    let answer = home.path().join("answer");
    let send = format!("{before} AICHAT send -n -m openai/echo-c90 {flags} - < {}", answer.display());
    let terminal = Terminal::run(home, (40, 24), &format!("{send}; echo exit $?; sleep 600"))?;
    terminal.shows("exit 0");
    Some(terminal)
}

#[test]
fn an_answer_is_markdown_on_a_terminal() {
    let home = Home::new();
    let Some(terminal) = shown(&home, "", "") else { return };
    insta::assert_snapshot!(terminal.screen().trim_end(), @r#"
    Title

    Some strong and code, wrapped where the
    screen ends, not before.

    • one
      ◦ two

    ─── sh ─────────────
    echo "a line of code that is longer than
     the screen is wide"
    ────────────────────

    a    │ b
    ─────┼──
    漢字 │ 2

    ␛[2J␛]52;c;aGk=␇end
    exit 0
    "#);
    let styled = terminal.tmux(&["capture-pane", "-e", "-p"]);
    assert!(styled.contains("\u{1b}[1mstrong") && styled.contains("\u{1b}[36m"), "{styled}");
    assert_eq!(terminal.tmux(&["display-message", "-p", "#{cursor_flag}"]).trim(), "1");
}

#[test]
fn without_colour_the_form_stays_and_a_dumb_terminal_gets_the_text() {
    let home = Home::new();
    let Some(terminal) = shown(&home, "", "--color never") else { return };
    let styled = terminal.tmux(&["capture-pane", "-e", "-p"]);
    assert!(
        styled.contains("• one") && styled.contains("`code`") && !styled.contains("\u{1b}[36m"),
        "{styled}"
    );
    let Some(terminal) = shown(&home, "KIND=dumb;", "") else { return };
    let screen = terminal.screen();
    assert!(
        screen.contains("# Title") && screen.contains("- one") && screen.contains("**strong**"),
        "{screen}"
    );
    assert!(screen.contains("␛[2J␛]52;c;aGk=␇end"), "{screen}");
}

#[test]
fn what_goes_elsewhere_is_as_the_model_wrote_it() {
    let home = Home::new();
    assert_eq!(home.pipe("send -n -m openai/echo-c90 -", ANSWER.as_bytes()).out, ANSWER);
    let copy = home.path().join("copy");
    let Some(_) = shown(&home, "", &format!("--output {}", copy.display())) else { return };
    assert_eq!(std::fs::read_to_string(copy).unwrap(), ANSWER);
}

#[test]
fn an_interrupted_answer_leaves_what_there_was() {
    let home = Home::new();
    let line =
        "AICHAT send -m openai/echo-c4-d1000-stall3 '**strong words and `some code'; echo exit $?; sleep 600";
    let Some(terminal) = Terminal::run(&home, (40, 24), line) else { return };
    terminal.shows("strong words and som");
    terminal.press(&["C-c"]);
    let screen = terminal.shows("exit 130");
    assert!(
        screen.contains("**strong words and `som") && screen.contains("what had arrived is kept"),
        "{screen}"
    );
    let styled = terminal.tmux(&["capture-pane", "-e", "-p"]);
    assert!(!styled.lines().any(|line| line.contains("exit") && line.contains("\u{1b}[")), "{styled}");
}

#[test]
fn who_waits_sees_that_nothing_hangs() {
    let home = Home::new();
    let line = "AICHAT send -n -m openai/c3-t900000 hi; echo exit $?; sleep 600";
    let Some(terminal) = Terminal::run(&home, (40, 24), line) else { return };
    terminal.until("turned", |screen| screen.chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c)));
    let screen = terminal.shows("exit 0");
    assert!(screen.starts_with("0 1 2\nexit 0"), "{screen}");
}
