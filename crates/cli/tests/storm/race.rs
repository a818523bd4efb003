//! Two of the same at once: turns of one session, sessions of one name.

use std::sync::mpsc;

use crate::common::{Done, Home, Server};
use crate::ledger;

#[test]
fn a_second_turn_is_refused_or_waits() {
    let home = Home::new();
    // Its answer comes when it is told to.
    let (go, told) = mpsc::channel();
    let server = Server::start(move |_, _| {
        told.recv().unwrap();
        let message = r#"{"role":"assistant","content":"here at last"}"#;
        let body = format!(r#"{{"choices":[{{"index":0,"message":{message},"finish_reason":"stop"}}]}}"#);
        (200, "application/json", body)
    });
    let url = format!("{}/v1", server.url);
    home.configure(&format!("[providers.slow]\nprotocol = \"openai-chat\"\nbase_url = \"{url}\"\n"));
    assert_eq!(home.run("send -s one -m openai/c1 begin").code, 0);
    let slow = home.command(["send", "-s", "one", "-m", "slow/m", "slow"]).spawn().unwrap();
    while server.requests().is_empty() {
        std::thread::yield_now();
    }

    let refused = home.run("send --json -s one -m openai/c1 refused");
    assert_eq!(refused.code, 75, "{}", refused.err);
    let result: serde_json::Value = serde_json::from_str(&refused.out).unwrap();
    assert_eq!((&result["error"]["kind"], &result["error"]["retryable"]), (&"busy".into(), &true.into()));

    let waits = home.command(["send", "--wait", "-s", "one", "-m", "openai/c1", "waits"]).spawn().unwrap();
    go.send(()).unwrap();
    let waits = Done::from(waits.wait_with_output().unwrap());
    assert_eq!((waits.code, waits.out.as_str()), (0, "0 \n"), "{}", waits.err);
    assert_eq!(Done::from(slow.wait_with_output().unwrap()).code, 0);

    let session = &ledger::sessions(&home)[0];
    let prompts: Vec<_> =
        ledger::exchanges_of(&home, session).into_iter().map(|(prompt, _)| prompt).collect();
    assert_eq!(prompts, ["begin", "slow", "waits"]);
    let seen: Vec<_> = home.mock.requests().into_iter().map(|request| request.prompt).collect();
    assert_eq!(seen, ["begin", "waits"], "the refused one was never sent");
    assert_eq!(server.requests().len(), 1);
    let last = home.mock.requests().pop().unwrap().body;
    assert!(last.contains("slow") && last.contains("here at last"), "it waited for the answer: {last}");
    ledger::verify(&home);
}

#[test]
fn of_many_turns_at_once_each_is_whole_or_refused() {
    let home = Home::new();
    assert_eq!(home.run("send -s one -m openai/c1 begin").code, 0);
    let start = |index: usize| {
        let prompt = format!("turn {index}");
        let mut args = vec!["send", "-s", "one", "-m", "openai/c5-d1000", &prompt];
        if index.is_multiple_of(2) {
            args.push("--wait");
        }
        home.command(args).spawn().unwrap()
    };
    let children: Vec<_> = (0..8).map(start).collect();
    let mut expected = vec!["begin".to_owned()];
    for (index, child) in children.into_iter().enumerate() {
        let done = Done::from(child.wait_with_output().unwrap());
        match done.code {
            0 => expected.push(format!("turn {index}")),
            75 if index % 2 == 1 => assert!(done.out.is_empty(), "{done:?}"),
            _ => panic!("{done:?}"),
        }
    }
    let session = &ledger::sessions(&home)[0];
    let exchanges = ledger::exchanges_of(&home, session);
    let mut kept: Vec<_> = exchanges.iter().map(|(prompt, _)| prompt.clone()).collect();
    let seen: Vec<_> = home.mock.requests().into_iter().map(|request| request.prompt).collect();
    assert_eq!(kept, seen, "one after another, in the order they were sent");
    kept.sort();
    expected.sort();
    assert_eq!(kept, expected);
    assert!(exchanges.iter().all(|(_, kept)| kept.status == "completed"));
    let shown = home.run(&format!("sessions show --json {session}")).out;
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let entries = shown["entries"].as_array().unwrap();
    for pair in entries.windows(2) {
        assert_eq!(pair[1]["parent"], pair[0]["id"], "one line of messages without branches");
    }
    ledger::verify(&home);
}

#[test]
fn a_new_name_is_given_once() {
    let home = Home::new();
    for round in 0..4 {
        let name = format!("name{round}");
        let created: Vec<_> =
            (0..6).map(|_| home.command(["sessions", "create", &name]).spawn().unwrap()).collect();
        let codes: Vec<_> =
            created.into_iter().map(|child| Done::from(child.wait_with_output().unwrap()).code).collect();
        assert_eq!(codes.iter().filter(|code| **code == 0).count(), 1, "{codes:?}");
        assert!(codes.iter().all(|code| [0, 66].contains(code)), "{codes:?}");
    }
    for round in 0..4 {
        let name = format!("sent{round}");
        let send = |index: usize| {
            let prompt = format!("{name}, question {index}");
            let mut args = vec!["send", "-s", &name, "-m", "openai/c2", &prompt];
            if index.is_multiple_of(2) {
                args.push("--wait");
            }
            home.command(args).spawn().unwrap()
        };
        let sent: Vec<_> = (0..6).map(send).collect();
        let mut turns = 0;
        for (index, child) in sent.into_iter().enumerate() {
            let done = Done::from(child.wait_with_output().unwrap());
            match done.code {
                0 => assert_eq!(done.out, "0 1 \n"),
                // The name is there by now, and a turn of it in flight.
                75 if index % 2 == 1 => assert_eq!(done.out, ""),
                _ => panic!("{done:?}"),
            }
            turns += usize::from(done.code == 0);
        }
        let sessions = ledger::items(&home);
        let named: Vec<_> = sessions.iter().filter(|session| session["name"] == *name).collect();
        assert_eq!(named.len(), 1, "{named:?}");
        assert_eq!(named[0]["turns"], turns);
    }
    ledger::verify(&home);
}
