//! Conversations of other tools: imported, listed, shown, exported, gone on with.

use serde_json::Value;

use crate::common::Home;

const RIVERS: &str = include_str!("../../../engine/tests/engine/samples/aichat-rivers.yaml");
const LLM: &str = include_str!("../../../engine/tests/engine/samples/llm-0.36.json");

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_session_file_of_another_aichat_becomes_a_session_and_goes_on() {
    let home = Home::new();
    std::fs::write(home.path().join("rivers.yaml"), RIVERS).unwrap();
    let imported = home.run("sessions import rivers.yaml");
    assert_eq!(imported.code, 0, "{}", imported.all());
    let id = imported.out.trim();
    assert!(
        id.starts_with("ses_") && imported.err.contains("came without: temperature: 0.5; top_p: 0.9"),
        "{}",
        imported.all()
    );

    let list = json(&home.run("sessions list --json").out);
    let session = &list["items"][0];
    assert_eq!(
        (&session["id"], &session["name"], &session["turns"]),
        (&id.into(), &"rivers".into(), &3.into())
    );
    assert_eq!((&session["model"], &session["calls_without_usage"]), (&"lab/mock-chat".into(), &3.into()));
    let shown = home.run("sessions show rivers").out;
    for text in ["> You are terse.", ">   indented: \"quotes\"", "Please: «Größe» 🏞️", "3. 長江"] {
        assert!(shown.contains(text), "{text} is not in {shown}");
    }

    let again = json(&home.run("sessions import rivers.yaml --json").out);
    assert_eq!((&again["schema"], &again["present"]), (&"aichat.import/1".into(), &1.into()));
    let item = &again["items"][0];
    assert_eq!(
        (&item["id"], &item["status"], &item["new_turns"]),
        (&id.into(), &"present".into(), &0.into())
    );
    assert_eq!((&item["tool"], item["lost"].as_array().unwrap().len()), (&"sigoden/aichat".into(), 4));

    let exported = home.run("sessions export rivers --format jsonl");
    let first = json(exported.out.lines().nth(1).unwrap());
    assert_eq!((&first["type"], &first["payload"]["lost"]), (&"session.imported_from".into(), &item["lost"]));
    let other = Home::new();
    assert_eq!(other.pipe("sessions import -", exported.out.as_bytes()).code, 0);
    assert_eq!(other.run("sessions export rivers --format jsonl").out, exported.out);

    let sent = home.run("send -s rivers -m openai/echo And_lakes?");
    assert_eq!((sent.code, sent.out.as_str()), (0, "And_lakes?\n"), "{}", sent.all());
    let body = json(&home.mock.requests()[0].body);
    let messages = body["messages"].as_array().unwrap();
    let roles: Vec<&str> = messages.iter().map(|message| message["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "user", "assistant", "user", "assistant", "user"]);
    assert_eq!(messages[1]["content"], "hello there");
    assert_eq!(
        messages[4]["content"],
        "1. Rhône\n2. Ångermanälven\n3. 長江 🏞️\n\n```yaml\nkey: \"- not a list\"\n```\n"
    );
    assert_eq!(messages[7]["content"], "And_lakes?");
    assert_eq!(home.run("events verify --all").code, 0);
}

#[test]
fn a_log_of_llm_becomes_a_session_for_each_conversation() {
    let home = Home::new();
    let imported = home.pipe("sessions import - --json", LLM.as_bytes());
    assert_eq!(imported.code, 0, "{}", imported.all());
    let list = json(&imported.out);
    let items = list["items"].as_array().unwrap();
    assert_eq!((items.len(), &list["taken_in"]), (8, &8.into()));
    let weather = items.iter().find(|item| item["name"] == "weather please").unwrap();
    assert_eq!(weather["conversation"], "01m8fadz9twrde87axsbdkrzfc");
    let id = weather["id"].as_str().unwrap();
    let sent = home.run(&format!("send -s {id} -m openai/echo tomorrow?"));
    assert_eq!(sent.code, 0, "{}", sent.all());
    let body = json(&home.mock.requests()[0].body);
    let messages = body["messages"].as_array().unwrap();
    assert_eq!(messages[1]["tool_calls"][1]["function"]["arguments"], "{\"city\":\"Rome\"}");
    assert_eq!(
        (&messages[3]["tool_call_id"], &messages[3]["content"]),
        (&"call_2".into(), &"sunny in Rome ☀".into())
    );
    assert_eq!(messages[9]["content"], "tomorrow?");

    assert_eq!(home.run(&format!("sessions delete {id}")).code, 0);
    let again = home.pipe("sessions import -", LLM.as_bytes());
    assert_eq!((again.code, again.out.lines().count()), (0, 7), "{}", again.all());
    assert!(again.err.contains("(weather please) was deleted here"), "{}", again.err);
    assert!(again.err.contains("0 taken in, 7 here already, 1 deleted here"), "{}", again.err);
    assert_eq!(home.run("events verify --all").code, 0);
}

#[test]
fn a_damaged_file_is_refused_with_its_place_and_leaves_nothing() {
    let home = Home::new();
    let bomb = RIVERS.replace("- role: user\n  content: Shorter", "- &a [x]\n- [*a, *a]");
    for (text, what) in [
        (bomb.as_bytes(), "line 34 of the file: it holds an alias"),
        (&LLM.as_bytes()[..LLM.len() - 2], "the log is no JSON array: line"),
        (b"model: a:b\nmessages:\n- \xff", "not UTF-8"),
        (b"[]", "the file is no export of a session"),
    ] {
        for line in ["sessions import -", "sessions import - --json"] {
            let refused = home.pipe(line, text);
            assert_eq!(refused.code, 66, "{}", refused.all());
            assert!(refused.all().contains(what), "{what} is not in {}", refused.all());
        }
    }
    assert_eq!(json(&home.run("sessions list --json").out)["items"], json("[]"));
}
