//! Transcripts: what is folded, which branch is walked, and Markdown that hostile text cannot break.

use aichat_events::{
    Event, Interruption, LlmResponseFailed, LlmResponseInterrupted, MessageAssistant, MessageTool,
    MessageUser, SessionCreated, SessionDeleted, SessionRenamed, Sum, Transcript, TurnFailed,
    TurnInterrupted, TurnStatus, WarningRaised,
};
use aichat_message::{ErrorKind, Json, Message, Part, PartKind, ReasoningBlock, Role};

use crate::log::{EPOCH, Log, message_id};

fn talk() -> Log {
    let mut log = Log::new();
    log.add(&SessionCreated { name: Some("old".into()), model: Some("openai/gpt".into()), scope: None });
    log.at(10).ask(1, None, "Why?").request(1).responded(Some((3, 5))).say(1, "Because.", false).complete(1);
    log.add_raw("later.happened", 1, Json::new("[]").unwrap());
    log.at(20).ask(2, Some(3), "And then?").request(1).responded(None).say(2, "Then.", false).complete(2);
    log.add(&SessionRenamed { name: Some("sky".into()) });
    log
}

fn texts(transcript: &Transcript, head: u8) -> Vec<String> {
    transcript.branch(&message_id(head)).iter().map(|entry| entry.message.text()).collect()
}

#[test]
fn a_session_is_folded_with_its_name_its_turns_and_what_is_not_known() {
    let transcript = Transcript::fold(&talk().events);
    assert_eq!(transcript.name.as_deref(), Some("sky"));
    assert_eq!(transcript.model.as_deref(), Some("openai/gpt"));
    assert_eq!((transcript.created, transcript.updated), (Some(EPOCH), Some(EPOCH + 20_000)));
    assert!(!transcript.deleted && transcript.warnings.is_empty());
    assert_eq!(texts(&transcript, 5), ["Why?", "Because.", "And then?", "Then."]);
    assert_eq!(transcript.head().unwrap().id, message_id(5));
    let turn = &transcript.turns[1];
    assert_eq!((turn.input.clone(), turn.answer.clone()), (Some(message_id(4)), Some(message_id(5))));
    assert!(matches!(turn.status, TurnStatus::Completed { finish: Some(_) }));
    assert_eq!(transcript.tokens.calls, 2);
    assert_eq!(transcript.tokens.output, Sum { known: Some(5), unknown: 1 });
    assert_eq!(transcript.tokens.input.to_string(), "at least 3");
    assert_eq!(Transcript::fold(&[]), Transcript::default());
}

#[test]
fn a_branch_follows_parents_and_not_the_order_of_the_log() {
    let mut log = talk();
    log.ask(3, Some(3), "Or else?");
    let transcript = Transcript::fold(&log.events);
    assert_eq!(texts(&transcript, 6), ["Why?", "Because.", "Or else?"]);
    assert_eq!(texts(&transcript, 5), ["Why?", "Because.", "And then?", "Then."]);
    assert_eq!(texts(&transcript, 99), [""; 0]);
}

#[test]
fn results_of_tools_stand_between_the_call_and_the_answer() {
    let mut log = Log::new();
    log.ask(3, None, "weather?");
    let result = MessageTool {
        id: message_id(9),
        parent: Some(message_id(6)),
        message: Message::new(Role::Tool, vec![Part::tool_result("a", "sunny")]),
    };
    log.add(&result);
    let transcript = Transcript::fold(&log.events);
    let head = transcript.head().unwrap();
    assert_eq!((head.role, &head.id, &head.turn), (Role::Tool, &result.id, &log.turn));
    let roles: Vec<Role> = transcript.branch(&result.id).iter().map(|entry| entry.role).collect();
    assert_eq!(roles, [Role::User, Role::Tool]);
    let erased: Vec<Event> = log.events.iter().map(Event::erase).collect();
    assert_eq!(
        Transcript::fold(&erased).head().map(|entry| (entry.role, entry.erased)),
        Some((Role::Tool, true))
    );
}

#[test]
fn parents_in_a_circle_or_missing_end_the_walk() {
    let mut log = Log::new();
    let user = |id, parent| MessageUser {
        id: message_id(id),
        parent: Some(message_id(parent)),
        message: Message::user(id.to_string()),
    };
    log.add(&user(1, 2)).add(&user(2, 1)).add(&user(3, 3)).add(&user(4, 77));
    let transcript = Transcript::fold(&log.events);
    assert_eq!(texts(&transcript, 2), ["1", "2"]);
    assert_eq!(texts(&transcript, 3), ["3"]);
    assert_eq!(texts(&transcript, 4), ["4"]);
}

#[test]
fn a_late_completion_wins_over_an_interruption_and_nothing_wins_over_an_end() {
    let interrupted = TurnInterrupted { reason: Interruption::Kill, answer: Some(message_id(3)) };
    let mut log = Log::new();
    log.ask(1, None, "Why?").say(1, "Be", true).add(&interrupted);
    let status = |log: &Log| Transcript::fold(&log.events).turns[0].status.clone();
    assert_eq!(status(&log), TurnStatus::Interrupted { reason: Some(Interruption::Kill) });
    log.say(1, "Because.", false).complete(1);
    assert!(matches!(status(&log), TurnStatus::Completed { .. }));
    log.add(&interrupted).add(&TurnFailed { kind: ErrorKind::Server, message: String::new(), answer: None });
    assert!(matches!(status(&log), TurnStatus::Completed { .. }));

    let transcript = Transcript::fold(&log.events);
    assert_eq!(texts(&transcript, 3), ["Why?", "Because."]);
    assert!(!transcript.entries[1].partial && transcript.warnings.is_empty());
}

#[test]
fn a_failure_keeps_its_kind_and_a_refused_request_costs_nothing() {
    let mut log = Log::new();
    let mut failed = LlmResponseFailed {
        kind: ErrorKind::Auth,
        message: "refused".into(),
        status: Some(401),
        code: None,
        request_id: None,
        retryable: false,
        retry_after_ms: None,
        usage: None,
        timing: None,
        kept: None,
    };
    log.ask(1, None, "Why?").add(&failed);
    assert_eq!(Transcript::fold(&log.events).tokens.output, Sum { known: Some(0), unknown: 0 });
    failed.status = None;
    log.add(&failed).add(&LlmResponseInterrupted {
        reason: Interruption::User,
        usage: None,
        timing: None,
        kept: None,
    });
    log.add(&TurnFailed { kind: ErrorKind::Auth, message: "refused".into(), answer: None });
    let transcript = Transcript::fold(&log.events);
    assert_eq!(transcript.tokens.output, Sum { known: Some(0), unknown: 2 });
    let status = TurnStatus::Failed { kind: Some(ErrorKind::Auth), message: "refused".into() };
    assert_eq!(transcript.turns[0].status, status);
}

#[test]
fn erased_messages_are_tombstones_that_branches_still_lead_through() {
    let erase = |events: &[Event], kinds: &[&str]| -> Vec<Event> {
        events.iter().map(|e| if kinds.contains(&e.kind()) { e.erase() } else { e.clone() }).collect()
    };
    let log = talk();
    let transcript = Transcript::fold(&erase(&log.events[..8], &["message.user", "message.assistant"]));
    let ids: Vec<_> = transcript.entries.iter().map(|entry| (entry.id.clone(), entry.erased)).collect();
    assert_eq!(ids, [(message_id(2), true), (message_id(3), true)]);
    let mut events = erase(&log.events[..8], &["message.user", "message.assistant"]);
    events.extend_from_slice(&log.events[8..]);
    assert_eq!(texts(&Transcript::fold(&events), 5), ["", "", "And then?", "Then."]);

    let everything: Vec<Event> = log.events.iter().map(Event::erase).collect();
    let transcript = Transcript::fold(&everything);
    let head = transcript.head().unwrap();
    assert_eq!(transcript.branch(&head.id).len(), 4);
    assert_eq!((head.role, head.erased, transcript.turns.len()), (Role::Assistant, true, 2));
    assert_eq!(transcript.tokens.output, Sum { known: None, unknown: 2 });
    assert!(transcript.to_markdown().contains("*erased*"));
}

#[test]
fn what_cannot_be_read_is_said_and_a_deleted_session_says_so() {
    let mut log = Log::new();
    log.add_raw("message.user", 1, Json::new(r#"{"id":7}"#).unwrap());
    log.add(&WarningRaised { text: "odd".into() }).add(&SessionDeleted {});
    let transcript = Transcript::fold(&log.events);
    assert!(transcript.deleted && transcript.entries.is_empty());
    let texts: Vec<&str> = transcript.warnings.iter().map(|warning| warning.text.as_str()).collect();
    assert_eq!(texts, ["the message of event 1 cannot be read", "odd"]);
}

#[test]
fn markdown_shows_each_message_as_a_quote_under_its_heading() {
    let mut log = talk();
    log.at(30).ask(3, Some(5), "List\n\n```rust\nfn main() {}\n```");
    let mut message = Message::assistant("Well");
    message
        .parts
        .insert(0, Part::new(PartKind::Reasoning { blocks: vec![ReasoningBlock::Text("hm\nhm".into())] }));
    message.parts.push(Part::tool_call("c", "read_file", "{\"path\":\"```\"}"));
    message.parts.push(Part::tool_result("c", "done"));
    log.add(&MessageAssistant { id: message_id(7), parent: Some(message_id(6)), message, partial: true });
    log.add(&TurnInterrupted { reason: Interruption::User, answer: Some(message_id(7)) });
    log.add(&WarningRaised { text: "half *an* answer".into() });
    insta::assert_snapshot!(Transcript::fold(&log.events).to_markdown(), @r#"
    # sky

    - session: ses_040g2081040g2081
    - model: openai/gpt
    - created: 2026-01-01T00:00:00Z
    - tokens: at least 3 in, at least 5 out

    ## User, 2026-01-01T00:00:00Z

    > Why?

    ## Assistant, 2026-01-01T00:00:00Z

    > Because.

    ## User, 2026-01-01T00:00:00Z

    > And then?

    ## Assistant, 2026-01-01T00:00:00Z

    > Then.

    ## User, 2026-01-01T00:00:00Z

    > List
    >
    > ```rust
    > fn main() {}
    > ```

    ## Assistant, 2026-01-01T00:00:00Z

    > *reasoning:*
    >
    > > hm
    > > hm
    >
    > Well
    >
    > *calls read\_file:*
    >
    > ````
    > {"path":"```"}
    > ````
    >
    > *tool result:*
    >
    > > done

    *cut off here*

    *interrupted: user*

    *Warning: half \*an\* answer*
    "#);
}

#[test]
fn hostile_text_stays_inside_its_quote() {
    let evil = "```\nopen\n\n## User, now\n\n<!-- \x1b[2J\r\n</details>\n~~~\r\u{202e}";
    let mut log = Log::new();
    log.add(&SessionCreated {
        name: Some("a\n# b\x1b]0;x\x07".into()),
        model: Some("<img src=x>".into()),
        scope: None,
    });
    log.ask(1, None, evil).say(1, evil, true);
    log.add(&TurnFailed { kind: ErrorKind::Server, message: evil.into(), answer: Some(message_id(3)) });
    log.add(&WarningRaised { text: evil.into() });
    let text = Transcript::fold(&log.events).to_markdown();
    assert!(text.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{text:?}");
    let structure: Vec<&str> = text.lines().filter(|line| !line.starts_with('>')).collect();
    insta::assert_snapshot!(structure.join("\n"), @r"
    # a \# b␛\]0;x␇

    - session: ses_040g2081040g2081
    - model: \<img src=x\>
    - created: 2026-01-01T00:00:00Z

    ## User, 2026-01-01T00:00:00Z


    ## Assistant, 2026-01-01T00:00:00Z


    *cut off here*

    *failed: \`\`\` open  \#\# User, now  \<\!-- ␛\[2J␍ \</details\> \~\~\~␍�*

    *Warning: \`\`\` open  \#\# User, now  \<\!-- ␛\[2J␍ \</details\> \~\~\~␍�*
    ");
}
