//! Forks with changes on the command line, and answers in them.

use serde_json::Value;

use crate::common::Home;

/// A session of two turns with a standing instruction, and the id of the second question.
fn begun() -> (Home, String) {
    let home = Home::new();
    assert_eq!(home.run("send -s s -m openai/echo --system brief one").code, 0);
    assert_eq!(home.run("send -s s two").code, 0);
    let tree: Value = serde_json::from_str(&home.run("sessions tree s --json").out).unwrap();
    let question = tree["items"][3]["id"].as_str().unwrap().to_owned();
    (home, question)
}

fn bodies(home: &Home) -> Vec<Value> {
    home.mock.requests().iter().map(|request| serde_json::from_str(&request.body).unwrap()).collect()
}

fn said(body: &Value) -> Vec<String> {
    let messages = body["messages"].as_array().unwrap();
    messages.iter().map(|message| message["content"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn forks_are_begun_with_changes_and_nothing_is_sent() {
    let (home, question) = begun();
    let before = bodies(&home).len();
    std::fs::write(home.path().join("long.md"), "be long\n").unwrap();
    let file = home.path().join("long.md").display().to_string();
    let line = format!(
        "sessions fork s@{question} --set model=openai/echo-c7 --set system=@{file} --edit 2=uno --edit @last=due --drop 3 \
         --n 2 --name other"
    );
    let done = home.run(&line);
    assert_eq!((done.code, done.err.as_str()), (0, ""));
    insta::assert_snapshot!(home.plain(&done.out), @r"
    ses_ID  other-1
    ses_ID  other-2
    ");
    assert_eq!(bodies(&home).len(), before);
    for name in ["other-1", "other-2"] {
        assert_eq!(home.run(&format!("send -s {name} --no-stdin")).out, "due\n");
        let body = bodies(&home).pop().unwrap();
        assert_eq!(
            (body["model"].as_str(), said(&body)),
            (Some("echo-c7"), vec!["be long".into(), "uno".into(), "due".into()])
        );
    }
    let shown = home.run("sessions show other-1").out;
    assert!(shown.contains(", edited\n\n> uno"), "{shown}");
    assert_eq!(home.run("events verify --all").code, 0);
    let done = home.run(&format!("sessions fork s@{question} --json"));
    let summary: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(summary["schema"], "aichat.summary/1");
    let done = home.run(&format!("sessions fork s@{question} --n 3 --json"));
    let list: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(list["items"].as_array().unwrap().len(), 3);
}

#[test]
fn each_fork_is_answered_with_the_options_of_send() {
    let (home, question) = begun();
    let before = bodies(&home).len();
    let done =
        home.run(&format!("sessions fork s@{question} --edit @last=due --n 2 --answer -- -o max_tokens=5"));
    assert_eq!(done.code, 0, "{}", done.err);
    insta::assert_snapshot!(home.plain(&done.out), @r"
    ses_ID
    ses_ID
    due
    due
    ");
    let asked = bodies(&home).split_off(before);
    assert_eq!(asked.iter().map(|body| body["max_tokens"].as_u64()).collect::<Vec<_>>(), [Some(5), Some(5)]);
    let done = home.run(&format!("sessions fork s@{question} --n 2 --answer --json -- and three"));
    let results: Vec<Value> = done.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(results.len(), 2, "{}", done.all());
    assert!(
        results.iter().all(|result| result["schema"] == "aichat.result/1" && result["text"] == "and three")
    );
    assert_ne!(results[0]["session_id"], results[1]["session_id"]);
}

#[test]
fn what_makes_no_sense_begins_nothing() {
    let (home, question) = begun();
    let place = format!("sessions fork s@{question}");
    for (options, code, what) in [
        ("--edit 5=x", 66, "there are 4"),
        ("--edit 0=x", 66, "there are 4"),
        ("--drop msg_u", 66, "no message"),
        ("--edit 2=x --drop 2", 2, "changed twice"),
        ("--edit 2", 2, "no terminal"),
        ("--edit 2=@nowhere", 66, "nowhere"),
        ("--set colour=red", 2, "model and system"),
        ("--set model=nobody/x", 69, "nobody"),
        ("--n 0", 2, "0"),
        ("--drop 4 --answer", 66, "nothing to answer"),
        ("--answer -- -s other", 2, "nowhere else"),
        ("--answer -- --nonsense", 2, "--nonsense"),
        ("--answer -- --json", 2, "goes before it"),
        ("-- -o a=1", 2, "--answer"),
    ] {
        let done = home.run(&format!("{place} {options}"));
        assert_eq!((done.code, done.err.contains(what)), (code, true), "{options}: {}", done.err);
    }
    let list: Value = serde_json::from_str(&home.run("sessions list --json").out).unwrap();
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
}

#[test]
fn sessions_are_compared() {
    let (home, question) = begun();
    assert_eq!(home.run(&format!("sessions fork s@{question} --edit @last=due --name f --answer")).code, 0);
    let done = home.run("sessions diff s f");
    assert_eq!(done.code, 1, "{}", done.err);
    assert!(done.out.contains("3 messages shared") && !done.out.contains('\x1b'), "{}", done.out);
    assert!(done.out.contains("- two\n+ due") && done.out.contains("→"), "{}", done.out);
    let coloured = home.run("sessions diff s f --color always").out;
    assert!(
        coloured.contains("\x1b[31m- two\x1b[0m") || coloured.contains("\x1b[31m- \x1b[0m"),
        "{coloured:?}"
    );
    let done = home.run("sessions diff s f --json");
    let diff: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(
        (done.code, &diff["schema"], &diff["shared"]["messages"]),
        (1, &Value::from("aichat.diff/1"), &Value::from(3))
    );
    assert_eq!(diff["steps"][1]["a"]["figures"]["status"], "completed");
    let done = home.run("sessions diff s s");
    assert_eq!((done.code, done.out.contains("both say the same")), (0, true));
    assert_eq!(home.run("sessions diff s never").code, 66);
}
