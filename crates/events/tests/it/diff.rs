//! Two sessions beside each other: what is shared, what stands for what, and figures that nobody makes up.

use aichat_events::diff::Change;
use aichat_events::{CostCalculated, Diff, Line, MessageAssistant, SessionCreated};
use aichat_message::{CostStatus, Message, Part, Role};

use crate::log::{Log, message_id};

fn begun() -> Log {
    let mut log = Log::new();
    log.add(&SessionCreated { name: None, model: Some("openai/gpt".into()), scope: None });
    log.at(10).ask(1, None, "Why is the sky blue?").request(1).responded(Some((3, 5)));
    log.say(1, "Because of the light.\n\nIt scatters.", false).complete(1);
    log
}

fn text(diff: &Diff) -> String {
    diff.lines().iter().map(Line::text).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_is_shared_is_shared_exactly_and_figures_never_make_a_difference() {
    let mut a = begun();
    let mut b = begun();
    assert!(!Diff::of(&a.events, &b.events).differs);
    a.at(20).ask(2, Some(3), "And at night?").request(1).responded(Some((9, 2)));
    a.add(&CostCalculated {
        amount: Some("0.25".parse().unwrap()),
        status: CostStatus::Exact,
        ..CostCalculated::default()
    });
    a.say(2, "It is dark\nand still.", false).complete(2);
    b.at(30)
        .ask(2, Some(3), "And at night?")
        .request(1)
        .responded(None)
        .say(2, "It is black\nand still.", false)
        .complete(2);
    let diff = Diff::of(&a.events, &b.events);
    assert!(diff.differs);
    assert_eq!(
        (diff.shared.messages, diff.shared.last.clone(), diff.shared.alike),
        (2, Some(message_id(3)), 1)
    );
    insta::assert_snapshot!(text(&diff), @r"
    --- ses_040g2081040g2081  openai/gpt  4 messages, 12 tokens in, 7 out, at least $0.25 (1 call unpriced)
    +++ ses_040g2081040g2081  openai/gpt  4 messages, at least 3 tokens in, at least 5 out, cost unknown
    2 messages shared, then 1 the same by what they say

    assistant: changed
      openai/gpt; completed; 9 → unknown tokens in; 2 → unknown out; $0.25 → cost unknown; first content unknown; total 0 us
    - It is dark
    + It is black
      and still.
    ");
    let same = Diff::of(&a.events, &a.events);
    assert_eq!((same.differs, same.shared.messages, same.steps.len()), (false, 4, 0));
    assert!(Diff::of(&[], &[]).steps.is_empty());
    let json = serde_json::to_value(&diff).unwrap();
    assert_eq!(json["steps"][0]["change"], "changed");
    assert_eq!(json["steps"][0]["text"][0], serde_json::json!({"whose": "both", "text": "It is "}));
    assert_eq!(json["steps"][0]["b"]["figures"]["tokens"]["input"]["known"], serde_json::Value::Null);
}

#[test]
fn messages_stand_beside_what_is_like_them() {
    let talk = |texts: &[&str]| {
        let mut log = Log::new();
        let mut parent = None;
        for (n, text) in (1u8..).zip(texts) {
            log.ask(n, parent, text).say(n, &format!("to {text}"), false).complete(n);
            parent = Some(n * 2 + 1);
        }
        log
    };
    let (a, b) = (talk(&["one", "two", "three", "four"]), talk(&["one", "three", "four"]));
    let diff = Diff::of(&a.events, &b.events);
    let changes: Vec<Change> = diff.steps.iter().map(|step| step.change).collect();
    let (only, same) = (Change::OnlyA, Change::Same);
    assert_eq!(changes, [only, only, same, same, same, same]);
    assert_eq!((diff.shared.messages, diff.shared.alike), (2, 0));
    let back = Diff::of(&b.events, &a.events);
    assert!(back.steps[..2].iter().all(|step| step.change == Change::OnlyB));
    assert!(diff.steps[..2].iter().zip(&back.steps).all(|(a, b)| a.a == b.b));
    // Roles do not stand for each other.
    assert!(diff.steps.iter().all(|step| step.role != Role::System));
}

#[test]
fn calls_are_compared_by_name_and_by_what_their_arguments_say() {
    let calling = |calls: &[(&str, &str)]| {
        let mut log = Log::new();
        log.ask(1, None, "weather?");
        let parts = calls.iter().map(|(name, arguments)| Part::tool_call("c", *name, *arguments)).collect();
        log.add(&MessageAssistant {
            id: message_id(3),
            parent: Some(message_id(2)),
            message: Message::new(Role::Assistant, parts),
            partial: false,
        });
        log.complete(1).events.clone()
    };
    let one = calling(&[("weather", r#"{"city":"Rome","days":1}"#), ("time", "{}")]);
    assert!(
        !Diff::of(&one, &calling(&[("weather", r#"{ "days":1, "city":"Rome" }"#), ("time", "{ }")])).differs
    );
    let other = calling(&[("time", "{}"), ("weather", r#"{"city":"Oslo","days":1}"#), ("news", "{}")]);
    let diff = Diff::of(&one, &other);
    let pairs: Vec<_> =
        diff.steps[0].calls.iter().map(|c| (c.name.as_str(), c.same, c.a.is_some(), c.b.is_some())).collect();
    assert_eq!(
        pairs,
        [("weather", false, true, true), ("time", true, true, true), ("news", false, false, true)]
    );
    assert!(text(&diff).contains("+ calls news {}"), "{}", text(&diff));
    // What is not JSON is compared as text.
    assert!(Diff::of(&calling(&[("a", "{")]), &calling(&[("a", "[")])).differs);
    assert!(!Diff::of(&calling(&[("a", "{")]), &calling(&[("a", "{")])).differs);
}

#[test]
fn hostile_text_steers_nothing_and_long_texts_are_cut_to_what_differs() {
    let log = |answer: &str| {
        let mut log = Log::new();
        log.ask(1, None, "go").say(1, answer, false).complete(1);
        log.events
    };
    let lines = |last: &str| (0..40).map(|n| format!("line {n}\n")).collect::<String>() + last;
    let diff = Diff::of(&log(&lines("\x1b]0;owned\x07 \u{202e}a")), &log(&lines("b")));
    let shown = text(&diff);
    assert!(!shown.contains('\x1b') && !shown.contains('\u{202e}') && shown.contains("␛]0;owned"), "{shown}");
    assert!(shown.contains("… 37 lines the same") && !shown.contains("line 3\n"), "{shown}");
}
