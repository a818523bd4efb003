//! One code block instead of the whole answer: `-x` and `--xl`.

use std::io::Read;

use serde_json::Value;

use crate::common::{Done, Home, code};

const ANSWER: &str = "Two ways:\n\n```sh\nls -a\n```\n\n- or\n\n  ~~~\n  ls -l\n  ~~~\n";

fn said(home: &Home, flags: &[&str], answer: &str) -> Done {
    let args = ["send", "-m", "openai/c7-echo"].iter().chain(flags).chain([&answer]);
    Done::from(home.command(args).output().unwrap())
}

#[test]
fn one_block_is_printed_and_the_whole_answer_is_kept() {
    let home = Home::new();
    for (flag, block) in [("-x", "ls -a\n"), ("--xl", "ls -l\n"), ("--extract", "ls -a\n")] {
        let done = said(&home, &[flag], ANSWER);
        assert_eq!((done.code, done.out.as_str(), done.err.as_str()), (0, block, ""), "{flag}");
        assert!(home.run("sessions show @last").out.contains("Two ways:"));
        let done = said(&home, &[flag, "--output", "answer", "-S"], ANSWER);
        assert_eq!((done.code, done.out.as_str()), (0, ""), "{flag}");
        assert_eq!(std::fs::read_to_string(home.path().join("answer")).unwrap(), block);
    }
    assert_eq!(said(&home, &["-x"], "open:\n```\nand cut").out, "and cut\n", "its line is ended");
    assert_eq!(said(&home, &["-x", "--xl"], ANSWER).code, 2);
    assert_eq!(said(&home, &["-x", "--schema", "a"], ANSWER).code, 2);
}

#[test]
fn the_object_holds_the_answer_and_its_block() {
    let home = Home::new();
    let result = |flags: &[&str], answer| {
        let done = said(&home, flags, answer);
        let last = done.out.lines().last().unwrap().to_owned();
        (done.code, serde_json::from_str::<Value>(&last).unwrap())
    };
    for form in ["--json", "--output-format=stream-json"] {
        let (code, object) = result(&[form, "--xl"], ANSWER);
        assert_eq!((code, &object["text"], &object["block"]), (0, &ANSWER.into(), &"ls -l\n".into()));
        let (code, object) = result(&[form, "-x"], "none");
        assert_eq!((code, &object["text"], &object["block"]), (65, &"none".into(), &Value::Null));
        assert_eq!((&object["status"], &object["error"]["kind"]), (&"completed".into(), &"schema".into()));
    }
    assert_eq!(result(&["--json"], ANSWER).1.get("block"), None);
}

#[test]
fn an_answer_without_a_block_prints_nothing_and_says_so() {
    let home = Home::new();
    insta::assert_snapshot!(home.plain(&said(&home, &["-x"], "only `inline` code").all()), @r"
    65
    error: openai/c7-echo: there is no fenced code block in the answer
    hint: `aichat sessions show ses_ID` shows the whole answer
    ");
    assert!(home.run("sessions show @last").out.contains("only `inline` code"));
    insta::assert_snapshot!(said(&home, &["-n", "--xl"], "").all(), @r"
    66
    error: there is no prompt
    hint: write it after `aichat send`, or pipe it in
    ");
}

#[test]
fn the_first_block_is_printed_before_the_answer_ends() {
    let home = Home::new();
    let prompt = format!("```\nls\n```\n{}", "and so on\n".repeat(40));
    let args = ["send", "-m", "openai/c9-echo-stall5", "-x", &prompt];
    let mut child = home.command(args).spawn().unwrap();
    let mut block = [0; 3];
    child.stdout.as_mut().unwrap().read_exact(&mut block).unwrap();
    assert_eq!(&block, b"ls\n");
    crate::common::signal(&child, "INT");
    assert_eq!(code(child.wait().unwrap()), 130);
}
