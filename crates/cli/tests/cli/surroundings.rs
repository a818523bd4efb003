//! Wherever it is run: without a terminal, an input, a language, a home that can be written to.

use std::fs;
use std::process::Command;

use crate::common::{Done, Home};

/// Runs a line of a shell in a home, with nothing else in its environment.
fn shell(home: &Home, line: &str) -> Done {
    let mut shell = Command::new("sh");
    shell.args(["-c", line]).env_clear().env("A", env!("CARGO_BIN_EXE_aichat"));
    shell.env("HOME", home.path()).env("OPENAI_BASE_URL", home.mock.url()).current_dir(home.path());
    Done::from(shell.output().unwrap())
}

#[test]
fn a_closed_input_is_an_empty_one() {
    let home = Home::new();
    let done = shell(&home, "exec \"$A\" send -q -m openai/c3 hi <&-");
    assert_eq!((done.code, done.out.as_str(), done.err.as_str()), (0, "0 1 2 \n", ""));
    let done = shell(&home, "exec \"$A\" chat -q -m openai/c3 <&-");
    assert_eq!(done.out, "", "{}", done.err);
}

#[test]
fn closed_outputs_are_as_good_as_ones_that_nobody_reads() {
    let home = Home::new();
    for line in
        ["send -m openai/c3 hi", "send --json -m openai/c3 hi", "sessions list", "sessions list --json"]
    {
        for closed in [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"] {
            let done = shell(&home, &format!("exec \"$A\" {line} {closed}"));
            assert_eq!((done.code, done.err.as_str()), (0, ""), "{line} {closed}");
        }
    }
    let done = shell(&home, "exec \"$A\" send -m openai/e400 hi >&- 2>&-");
    assert_eq!((done.code, done.out.as_str()), (1, ""), "what fails still fails");
    // Nothing that is opened takes their place and is written into.
    let done = shell(&home, "exec \"$A\" events verify --all");
    assert_eq!(done.code, 0, "{}", done.all());
}

#[test]
fn names_with_blanks_and_letters_of_any_language_are_names() {
    let home = Home::new();
    let place = home.path().join("a b/c d");
    fs::create_dir_all(&place).unwrap();
    fs::write(place.join("f ü.txt"), "größer\n").unwrap();
    let line = "cd 'a b/c d' && export HOME=\"$PWD\" LC_ALL=C LANG=C && \
        \"$A\" send -q -s 'mein Gespräch' -m openai/echo -f 'f ü.txt' 'grüß' < /dev/null && \"$A\" sessions list";
    let done = shell(&home, line);
    assert_eq!((done.code, done.err.as_str()), (0, ""));
    assert!(done.out.contains("grüß") && done.out.contains("größer"), "{}", done.out);
    assert!(done.out.contains("mein Gespräch"), "{}", done.out);
    assert!(place.join(".local/share/aichat").exists());
}

#[test]
fn a_home_that_cannot_be_written_to_keeps_nobody_from_asking() {
    let home = Home::new();
    fs::write(home.path().join("file"), "").unwrap();
    let send = |flags: &str| {
        shell(&home, &format!("HOME=\"$PWD/file/below\" \"$A\" send -q {flags} -m openai/c3 hi < /dev/null"))
    };
    let done = send("");
    assert_eq!((done.code, done.out.as_str()), (74, ""), "nothing is asked that cannot be kept");
    assert!(done.err.contains("--store names another place"), "{}", done.err);
    assert!(home.mock.requests().is_empty());
    let done = send("-n");
    assert_eq!((done.code, done.out.as_str(), done.err.as_str()), (0, "0 1 2 \n", ""));
}

#[test]
fn without_the_variable_the_system_knows_the_home() {
    let home = Home::new();
    let done = shell(&home, "unset HOME; exec \"$A\" paths --json");
    match done.code {
        0 => {
            let paths: serde_json::Value = serde_json::from_str(&done.out).unwrap();
            assert!(paths["data"].as_str().unwrap().starts_with('/'), "{paths}");
        }
        // Nobody knows a home of this user.
        code => assert!(code == 78 && done.out.contains("HOME"), "{code} {}", done.out),
    }
}

#[test]
fn in_json_mode_a_disk_that_is_full_is_told_in_words() {
    if !fs::exists("/dev/full").unwrap() {
        eprintln!("skipped: there is no /dev/full here");
        return;
    }
    let home = Home::new();
    let full = "cannot write the output: no space left on device";
    for line in ["sessions list", "send -m openai/c3 hi", "send --output-format stream-json -m openai/c3 hi"]
    {
        let done = shell(&home, &format!("exec \"$A\" --json {line} >/dev/full"));
        assert_eq!((done.code, done.err.matches(full).count()), (74, 1), "{line}: {}", done.err);
    }
    // What it was about is told as well.
    let done = shell(&home, "exec \"$A\" --json sessions show ses_00000000 >/dev/full");
    let told: Vec<&str> = done.err.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!((done.code, told.len()), (74, 2), "{}", done.err);
    assert!(told[0].contains("ses_00000000") && told[1].ends_with(full), "{}", done.err);
}
