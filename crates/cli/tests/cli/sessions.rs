//! Sessions and events: listed, shown, renamed, exported, imported, verified, rebuilt.

use serde_json::Value;

use crate::common::Home;

fn items(text: &str) -> Vec<Value> {
    let list: Value = serde_json::from_str(text).unwrap();
    assert_eq!((&list["schema"], &list["next"]), (&"aichat.list/1".into(), &Value::Null));
    list["items"].as_array().unwrap().clone()
}

#[test]
fn a_session_lives() {
    let home = Home::new();
    let id = home.run("sessions create trip -m openai/echo").out;
    assert!(id.starts_with("ses_"), "{id}");
    let id = id.trim();
    assert_eq!(home.run("sessions create trip").code, 66, "names are unique");
    assert_eq!(home.run("send -s trip hello").out, "hello\n");
    assert_eq!(home.run("send -m openai/c1 another").code, 0);
    let list = items(&home.run("sessions list --json").out);
    assert_eq!((list.len(), &list[1]["name"], &list[1]["turns"]), (2, &"trip".into(), &1.into()));
    assert_eq!(items(&home.run("sessions list --json --limit 1").out).len(), 1);
    for text in [id, &id[..10], "trip", "@last~1"] {
        let shown = home.run(&format!("sessions show {text}"));
        assert!(shown.out.contains("hello"), "{text}: {}", shown.all());
    }
    assert_eq!(home.run("sessions rename trip voyage").code, 0);
    assert_eq!(home.run("sessions show trip").code, 66);
    assert_eq!(home.run("sessions delete voyage").code, 0);
    assert_eq!(home.run("sessions show voyage").code, 66);
    assert_eq!(home.run(&format!("send -s {id} hi")).code, 66, "what is deleted is not written to");
    assert_eq!(items(&home.run("sessions list --json").out).len(), 1);
    assert_eq!(home.run("events verify --all").code, 0);
}

#[test]
fn an_export_can_be_imported_and_exported_again() {
    let home = Home::new();
    assert_eq!(home.run("send -s trip -m openai/echo hello").code, 0);
    assert_eq!(home.run("send -s trip again").code, 0);
    for format in ["json", "jsonl"] {
        let exported = home.run(&format!("sessions export trip --format {format}"));
        assert_eq!(exported.code, 0, "{}", exported.err);
        let other = Home::new();
        let imported = other.pipe("sessions import -", exported.out.as_bytes());
        assert_eq!(imported.code, 0, "{}", imported.err);
        let again = other.run(&format!("sessions export @last --format {format}"));
        assert_eq!(again.out, exported.out, "{format}");
        assert_eq!(other.run("events verify --all").code, 0);
        let listed = other.run("sessions list --json").out;
        assert_eq!(other.run("store rebuild").code, 0);
        assert_eq!(other.run("sessions list --json").out, listed);
    }
    let redacted = home.run("sessions export trip --redact").out;
    assert!(!redacted.contains("hello") && redacted.contains("message.user"), "{redacted}");
    let markdown = home.run("sessions export trip --format md").out;
    assert!(markdown.contains("hello") && markdown.starts_with('#'), "{markdown}");
    let damaged = home.run("sessions export trip").out.replacen("hello", "jello", 1);
    assert_ne!(Home::new().pipe("sessions import -", damaged.as_bytes()).code, 0);
}

#[test]
fn a_deleted_session_is_not_brought_back_by_an_import() {
    let home = Home::new();
    assert_eq!(home.run("send -s trip -m openai/echo hello").code, 0);
    let exported = home.run("sessions export trip").out;
    assert_eq!(home.run("sessions delete trip").code, 0);
    for line in ["sessions import -", "sessions import - --json"] {
        let imported = home.pipe(line, exported.as_bytes());
        assert_eq!(imported.code, 66, "{}", imported.all());
        assert!(imported.all().contains("was deleted"), "{}", imported.all());
    }
}

#[test]
fn a_name_that_cannot_be_given_is_refused_with_the_reason() {
    let home = Home::new();
    let name = "x".repeat(201);
    let refused = home.run(&format!("send -m openai/echo -s {name} hello"));
    assert_eq!(refused.code, 66, "{}", refused.all());
    assert!(refused.err.contains("it is longer than 200 bytes"), "{}", refused.err);
}

#[test]
fn events_are_listed_and_drawn() {
    let home = Home::new();
    assert_eq!(home.run("send -m openai/c2 hello").code, 0);
    let events = items(&home.run("events list @last --json").out);
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!((kinds[0], kinds[kinds.len() - 1]), ("session.created", "llm.wire.kept"));
    let drawn = home.run("events timeline @last");
    assert!(drawn.code == 0 && drawn.out.contains("openai/c2"), "{}", drawn.all());
    let verified = home.run("events verify @last");
    assert!(verified.out.contains("holds"), "{}", verified.out);
    let listed = home.run("events list @last").out;
    assert_eq!(listed.lines().count(), events.len());
    assert!(
        listed.contains("came to its end") && listed.contains(events[0]["id"].as_str().unwrap()),
        "{listed}"
    );
    let some = home.run("events list @last --type message --text HELLO").out;
    assert!(some.lines().count() == 1 && some.contains("message.user"), "{some}");
    assert_eq!(home.run("events list @last --errors").out, "");
    assert_eq!(items(&home.run("events list @last --json --type turn.*").out).len(), 2);
}

#[test]
fn an_event_is_shown_whole() {
    let home = Home::new();
    assert_eq!(home.run("send -m openai/echo hello").code, 0);
    let events = items(&home.run("events list @last --json --type llm.response.completed").out);
    let shown = home.run(&format!("events show @last {}", events[0]["seq"])).out;
    for text in
        ["llm.response.completed", "finish:", "\npayload\n", "\nrequest\n", "\ncauses\n", "turn.started"]
    {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    let id = &events[0]["id"].as_str().unwrap()[..12];
    let object: Value =
        serde_json::from_str(&home.run(&format!("events show @last {id} --json")).out).unwrap();
    assert_eq!((&object["schema"], &object["payload"]), (&"aichat.event/1".into(), &events[0]["payload"]));
    assert_eq!(object["event"]["type"], "llm.response.completed");
    assert_eq!(home.run("sessions list").code, 0, "what is recorded is kept by whoever folds");
    let shown = home.run(&format!("events show @last {id}")).out;
    assert!(shown.contains("POST /v1/chat/completions") && shown.contains("HTTP 200"), "{shown}");
    assert!(shown.contains("data: {") && home.run("events report").out.contains("answer as it came"));
    for nothing in ["999", "evt_", "evt_u", "x"] {
        assert_eq!(home.run(&format!("events show @last {nothing}")).code, 66, "{nothing}");
    }
}

#[test]
fn a_session_is_reported_as_a_page() {
    let home = Home::new();
    assert_eq!(home.run("events report").code, 66);
    assert_eq!(home.run("send -m openai/echo -s a hello").code, 0);
    let done = home.run("events report a -o page.html");
    assert_eq!(done.all(), "0\n", "the page is in the file");
    let page = std::fs::read_to_string(home.path().join("page.html")).unwrap();
    assert!(page.contains("Turn 1") && page.contains("llm.response.completed") && page.contains("hello"));
    assert_eq!(home.run("events report").out, page, "without a file it is printed");
    assert_eq!(home.run("events report a -o no/such/file").code, 74);
}

#[test]
fn what_was_said_is_found() {
    let home = Home::new();
    let sent = home.pipe(
        "send -m openai/echo -s trip -",
        "Die STRASSE nach \u{1b}[31mRom\n\nund cafe\u{301}".as_bytes(),
    );
    assert_eq!(sent.code, 0, "{}", sent.err);
    assert_eq!(home.run("send -m openai/echo something else").code, 0);
    let hits = items(&home.run("sessions search --json straße CAFÉ").out);
    assert_eq!(hits.len(), 2, "{hits:?}");
    assert_eq!((&hits[0]["role"], &hits[1]["role"]), (&"assistant".into(), &"user".into()));
    assert_eq!((&hits[0]["name"], &hits[0]["model"]), (&"trip".into(), &"openai/echo".into()));
    assert_eq!(hits[0]["matches"], serde_json::json!([[4, 11], [30, 35]]));
    assert!(hits[0]["message"].as_str().unwrap().starts_with("msg_"));
    assert_eq!(items(&home.run("sessions search --json --role user --session trip rom").out).len(), 1);
    assert_eq!(items(&home.run("sessions search --json --since 1h rom").out).len(), 2);
    assert_eq!(items(&home.run("sessions search --json --until 1h rom").out).len(), 0);
    assert_eq!(items(&home.run("sessions search --json --model gpt rom").out).len(), 0);
    let shown = home.run("sessions search --limit 1 --color always trip");
    assert!(
        shown.out.contains("  name  ") && shown.out.contains("    \u{1b}[1mtrip\u{1b}[0m\n"),
        "{}",
        shown.all()
    );
    let plain = home.run("sessions search --limit 1 rom");
    assert!(plain.out.ends_with("    Die STRASSE nach ␛[31mRom und cafe\u{301}\n"), "{}", plain.all());
    assert!(plain.err.contains("--limit"), "more is there: {}", plain.err);
    assert_eq!(home.run("sessions search").code, 2);
    assert_eq!(home.run("sessions search --since yesterday rom").code, 2);
    let nothing = home.run("sessions search \"\"");
    assert_eq!((nothing.code, nothing.out.as_str()), (66, ""), "{}", nothing.err);
}

#[test]
fn one_is_not_many() {
    let home = Home::new();
    assert_eq!(home.run("send -s one -m openai/c1 hi").code, 0);
    assert!(home.run("doctor").out.contains("1 session, "));
    assert_eq!(home.run("send -s two -m openai/c2 hi").code, 0);
    assert_eq!(home.run("send -s two hi").code, 0);
    let list = home.run("sessions list").out;
    assert!(list.contains("  2 turns  openai/c2") && list.contains("  1 turn   openai/c1"), "{list}");
    assert_eq!(home.run("cost --limit 1").err, "this is 1 group; --limit asks for more\n");
    assert!(home.run("doctor").out.contains("2 sessions, "));
}
