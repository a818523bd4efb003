//! Branches, forks, archives and purges on the command line.

use serde_json::Value;

use crate::common::Home;

fn items(home: &Home, line: &str) -> Vec<Value> {
    let done = home.run(&format!("{line} --json"));
    assert_eq!(done.code, 0, "{line}: {}", done.err);
    let list: Value = serde_json::from_str(&done.out).unwrap();
    list["items"].as_array().unwrap().clone()
}

/// The texts of the messages that the latest request held.
fn sent(home: &Home) -> Vec<String> {
    let body: Value = serde_json::from_str(&home.mock.requests().last().unwrap().body).unwrap();
    let messages = body["messages"].as_array().unwrap();
    messages.iter().map(|message| message["content"].as_str().unwrap().to_owned()).collect()
}

fn id(home: &Home, session: &str, number: usize) -> String {
    items(home, &format!("sessions tree {session}"))[number]["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_branch_is_begun_switched_and_drawn() {
    let home = Home::new();
    for text in ["one", "two"] {
        assert_eq!(home.run(&format!("send -s s -m openai/echo {text}")).code, 0);
    }
    let first = id(&home, "s", 1);
    let done = home.run(&format!("sessions branch s --at {first} --name other"));
    assert_eq!((done.code, done.err.as_str()), (0, ""));
    assert_eq!(home.run("send -s s three").out, "three\n");
    assert_eq!(sent(&home), ["one", "one", "three"]);
    insta::assert_snapshot!(home.plain(&home.run("sessions tree s").out), @r"
    - msg_ID user: one
      msg_ID assistant: one
      - msg_ID user: two
        msg_ID assistant: two [main]
      - msg_ID user: three
      * msg_ID assistant: three [other]
    ");
    insta::assert_snapshot!(home.plain(&home.run("sessions heads s").out), @"
       main   msg_ID
    *  other  msg_ID
    ");
    assert_eq!(home.run("sessions heads s --switch main").code, 0);
    assert_eq!(home.run("send -s s four").out, "four\n");
    assert_eq!(sent(&home), ["one", "one", "two", "two", "four"]);
    let done = home.run("sessions heads s --switch never");
    assert_eq!((done.code, done.err.contains("has no branch \"never\"")), (66, true), "{}", done.err);
    assert_eq!(home.run("sessions branch s --at msg_u").code, 66);
    assert_eq!(home.run(&format!("sessions branch s --at {first} --name main")).code, 66);
    assert_eq!(home.run("sessions branch s --at @last~3").code, 0);
    assert_eq!(items(&home, "sessions heads s").len(), 3);
    let shown = home.run("sessions show s").out;
    assert!(shown.contains("one") && !shown.contains("four"), "{shown}");
    assert_eq!(home.run("events verify s").code, 0);
}

#[test]
fn a_message_is_gone_on_from_in_a_fork() {
    let home = Home::new();
    for text in ["one", "two"] {
        assert_eq!(home.run(&format!("send -s s -m openai/echo {text}")).code, 0);
    }
    let (question, answer) = (id(&home, "s", 0), id(&home, "s", 1));
    let before = home.run("sessions export s").out;
    let done = home.run(&format!("send --fork-at {answer} --json three"));
    let result: Value = serde_json::from_str(&done.out).unwrap();
    let fork = result["session_id"].as_str().unwrap().to_owned();
    assert_eq!(sent(&home), ["one", "one", "three"]);
    assert_eq!(home.run(&format!("send --fork-at {} -s named four", &answer[..12])).code, 0);
    assert_eq!(sent(&home), ["one", "one", "four"]);
    assert_eq!(home.run("send -s s --fork-at @last~2 five").code, 0);
    assert_eq!(sent(&home), ["one", "one", "five"]);
    assert_eq!(
        home.run(&format!("send --no-stdin --fork-at {question}")).out,
        "one\n",
        "it is answered again"
    );
    assert_eq!(sent(&home), ["one"]);
    assert_eq!(home.run("sessions export s").out, before, "the session itself is as it was");
    assert_eq!(home.run("send -s named --no-stdin").code, 66);
    assert_eq!(home.run("send -s never-begun -m openai/echo --no-stdin").code, 66);
    assert_eq!(home.run(&format!("send --fork-at {answer} --no-stdin")).code, 66, "an answer is no question");
    let done = home.run(&format!("send --fork-at {answer} -m anthropic/x six"));
    assert_eq!(done.code, 77, "there is no key for it: {}", done.err);
    let done = home.run(&format!("send --fork-at {answer} --dry-run --json six"));
    assert!(done.out.contains("six") && done.code == 0, "{}", done.all());
    assert_eq!(items(&home, "sessions list").len(), 5, "nothing is begun by looking");

    let clone = home.run("sessions clone named --name copy").out;
    assert_eq!(home.run("send -s copy seven").code, 0);
    assert_eq!(sent(&home), ["one", "one", "four", "four", "seven"]);
    let done = home.run(&format!("sessions fork s@{answer} --name from-s"));
    assert_eq!(done.code, 0, "{}", done.err);
    let event = items(&home, "events list s")[1]["id"].as_str().unwrap().to_owned();
    assert_eq!(home.run(&format!("sessions fork s@{event}")).code, 0);
    assert_eq!(home.run("sessions fork s").code, 2);
    assert_eq!(home.run("sessions fork s@msg_u").code, 66);
    assert_eq!(home.run("sessions clone s --name copy").code, 66, "the name is taken");

    let done = home.run("sessions purge s --yes");
    assert_eq!(done.code, 66);
    assert!(done.err.contains(&fork) && done.err.contains(clone.trim()), "{}", done.err);
    assert_eq!(home.run("events verify --all").code, 0);
    let listed = home.run("sessions list --json").out;
    assert_eq!(home.run("store rebuild").code, 0);
    assert_eq!(home.run("sessions list --json").out, listed);
}

#[test]
fn a_session_is_put_away_and_taken_up_again() {
    let home = Home::new();
    assert_eq!(home.run("send -s s -m openai/echo one").code, 0);
    assert_eq!(home.run("sessions archive s").code, 0);
    assert_eq!(items(&home, "sessions list").len(), 0);
    assert_eq!(items(&home, "sessions list --archived")[0]["name"], "s");
    assert_eq!(home.run("send -c two").code, 66, "nobody goes on there by accident");
    assert_eq!(home.run("send -s s two").code, 0);
    assert_eq!(home.run("sessions archive s --undo").code, 0);
    assert_eq!(items(&home, "sessions list").len(), 1);
}

#[test]
fn what_was_purged_is_in_no_answer_and_no_table() {
    let home = Home::new();
    assert_eq!(home.run("send -s CANARY -m openai/echo CANARY").code, 0);
    assert_eq!(home.run("sessions clone CANARY").code, 0);
    let id = items(&home, "sessions list")[1]["id"].as_str().unwrap().to_owned();
    let exported = home.run("sessions export CANARY").out;
    let done = home.run("sessions purge CANARY");
    assert_eq!((done.code, done.err.contains("--yes")), (2, true), "{}", done.err);
    assert_eq!(home.run("sessions delete CANARY").code, 0);
    assert_eq!(home.run(&format!("sessions purge {id} --yes")).code, 66, "a fork depends on it");
    let done = home.run(&format!("sessions purge {id} --yes --with-forks --json"));
    let purged: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(purged["items"].as_array().unwrap().len(), 2, "{}", done.all());
    for line in ["sessions list", "sessions list --archived", "sessions list --json", "events verify --all"] {
        let done = home.run(line);
        assert!(done.code == 0 && !done.all().contains("CANARY"), "{line}: {}", done.all());
    }
    assert!(!home.run(&format!("events list {id} --json")).all().contains("CANARY"));
    assert_eq!(home.run(&format!("sessions show {id}")).code, 66);
    assert_eq!(home.run("sessions purge ses_u --yes").code, 66);
    assert_eq!(home.pipe("sessions import -", exported.as_bytes()).code, 66, "it does not come back");
    assert_eq!(home.run("send -s CANARY -m openai/echo anew").code, 0, "the name is free");
}
