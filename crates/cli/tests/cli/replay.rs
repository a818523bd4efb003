//! `events replay`: conversations made from events, and turns run again over their recordings.

use serde_json::Value;

use crate::common::Home;

#[test]
fn a_session_is_replayed_without_network_key_and_configuration() {
    let home = Home::new();
    assert_eq!(home.run("send -s s -m openai/echo --system brief one").code, 0);
    assert_eq!(home.run("send -s s -S two").code, 0);
    assert_ne!(home.run("send -s s -m openai/401 three").code, 0);
    let shown = home.run("sessions show s");
    let asked = home.mock.requests().len();
    let done = home.run("events replay s");
    assert_eq!((done.code, &done.out, done.err.as_str()), (0, &shown.out, ""));
    let exported = home.run("sessions export s").out;

    // Elsewhere, where nothing is configured.
    let other = Home::new();
    assert_eq!(other.pipe("sessions import -", exported.as_bytes()).code, 0);
    for home in [&home, &other] {
        let mut command = home.command(["events", "replay", "s", "--offline"]);
        for name in ["OPENAI_API_KEY", "OPENAI_BASE_URL"] {
            command.env_remove(name);
        }
        let done = command.output().unwrap();
        let err = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(
            (done.status.code(), String::from_utf8_lossy(&done.stdout)),
            (Some(0), shown.out.as_str().into()),
            "{err}"
        );
        assert_eq!(err, "3 of 3 turns replayed\n");
    }
    assert_eq!(home.mock.requests().len(), asked, "nobody was asked");
    assert_eq!(home.run("sessions export s").out, exported, "nothing was written");
    let report: Value = serde_json::from_str(&home.run("events replay s --offline --json").out).unwrap();
    assert_eq!((&report["schema"], &report["same"]), (&Value::from("aichat.replay/1"), &Value::from(true)));
    assert_eq!(report["turns"][2]["outcome"], "same");
    assert_eq!(home.run("events replay never --offline").code, 66);
}

#[test]
fn what_was_recorded_before_there_was_a_wire_is_not_said_to_be_the_same() {
    let home = Home::new();
    let later = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/exports/later.jsonl");
    let text = std::fs::read(later).unwrap();
    let done = home.pipe("sessions import - --json", &text);
    let list: Value = serde_json::from_str(&done.out).unwrap();
    let id = list["items"][0]["id"].as_str().or(list["items"][0]["session"].as_str()).unwrap().to_owned();
    let done = home.run(&format!("events replay {id} --offline"));
    assert_eq!((done.code, done.out.as_str()), (66, ""), "{}", done.err);
    assert!(done.err.contains("was not replayed") && done.err.contains("can be replayed"), "{}", done.err);
    assert_eq!(home.run(&format!("events replay {id}")).code, 0);
}
