//! Conversations of other tools, read from what those tools wrote and taken in.

use aichat_engine::{Adopted, Engine, Foreign, Said, Secrets, Send, recognise};
use aichat_events::{Fact, LlmResponseCompleted, SessionImportedFrom, Transcript};
use aichat_message::{ErrorKind, Message, Part, PartKind, ReasoningBlock, Source};
use aichat_providers::Scripted;
use aichat_store::Memory;

use crate::support::{assert_rebuilds, engine, export, kinds, model, say};

const RIVERS: &str = include_str!("samples/aichat-rivers.yaml");
const PICTURE: &str = include_str!("samples/aichat-picture.yaml");
const WEATHER: &str = include_str!("samples/aichat-weather.yaml");
const UNPACKED: &str = include_str!("samples/aichat-packed-before.yaml");
const PACKED: &str = include_str!("samples/aichat-packed.yaml");
const TOUR: &str = include_str!("samples/aichat-tour.yaml");
const LLM: &str = include_str!("samples/llm-0.36.json");
const LLM_OLD: &str = include_str!("samples/llm-0.26.json");
const LLM_EXPANDED: &str = include_str!("samples/llm-0.26-expanded.json");

fn read(text: &str) -> (&'static str, Vec<Foreign>) {
    let importer = recognise(text).expect("the text is recognised");
    (importer.tool(), importer.read(text).unwrap())
}

async fn adopt(engine: &Engine, text: &str) -> Vec<Adopted> {
    let (tool, conversations) = read(text);
    engine.adopt(tool, &conversations).await.unwrap()
}

fn part(part: &Part) -> String {
    match &part.kind {
        PartKind::Text { text, .. } => format!("{text:?}"),
        PartKind::Reasoning { blocks } => {
            format!("reasoning {:?}", blocks.iter().map(ReasoningBlock::text).collect::<Vec<_>>())
        }
        PartKind::ToolCall { call_id, name, arguments, .. } => {
            format!("call {call_id} {name} {}", arguments.as_str())
        }
        PartKind::ToolResult { call_id, content, is_error, .. } => {
            let content: Vec<String> = content.iter().map(self::part).collect();
            format!("result {call_id}{} {}", if *is_error { " failed" } else { "" }, content.join(", "))
        }
        PartKind::Media { source: Source::Base64(data), mime, .. } => {
            format!("{mime:?} of {} letters", data.len())
        }
        PartKind::Media { source: Source::Url(url), mime, .. } => format!("{mime:?} at {url}"),
        PartKind::Unknown { type_name, raw } => format!("{type_name} {raw}"),
        other => format!("{other:?}"),
    }
}

fn told(foreign: &[Foreign]) -> String {
    let mut lines = Vec::new();
    for one in foreign {
        lines.push(format!("{} {}", one.id.as_deref().unwrap_or("-"), one.name.as_deref().unwrap_or("-")));
        for said in &one.said {
            let parts: Vec<String> = said.message.parts.iter().map(part).collect();
            lines.push(format!("  {}: {}", said.message.role.as_str(), parts.join(", ")));
        }
        lines.extend(one.lost.iter().map(|lost| format!("  lost: {lost}")));
    }
    lines.join("\n")
}

#[test]
fn sessions_of_aichat_are_read() {
    insta::assert_snapshot!(told(&read(RIVERS).1), @r##"
    - -
      system: "You are terse.\n\nAnswer in \"one line\": no more."
      user: "hello there"
      assistant: "Hello from the mock, nice to meet you."
      user: "name a river\n\n  indented: \"quotes\"\n# not a comment\n\nPlease: «Größe» 🏞\u{fe0f}\n"
      assistant: "1. Rhône\n2. Ångermanälven\n3. 長江 🏞\u{fe0f}\n\n```yaml\nkey: \"- not a list\"\n```\n"
      user: "Shorter"
      assistant: "Rhône."
      lost: temperature: 0.5
      lost: top_p: 0.9
      lost: save_session: true
      lost: role_name: terse
    "##);
    insta::assert_snapshot!(told(&read(PICTURE).1), @r##"
    - -
      user: "what is in this picture", Some("image/png") of 96 letters
      assistant: "One red pixel."
      user: "what does the fragment say\n\n============ FILE: /srv/me/note.txt ============\nA note.\nIt says:\n\ttabs and \"quotes\".\n"
      assistant: "It says what a fragment says."
      lost: use_tools: all
      lost: save_session: true
      lost: data_urls: where 1 of the attachments came from
    "##);
    insta::assert_snapshot!(told(&read(WEATHER).1), @r##"
    - -
      user: "weather please"
      assistant: call call_1 get_weather {"city":"Paris"}, call call_2 get_weather {"city":"Rome"}
      tool: result call_1 "{\"sky\":\"sunny\",\"degrees\":21.5,\"big\":12345678901234567890,\"ok\":true,\"none\":null,\"text\":\"7\"}", result call_2 "{\"sky\":\"sunny\",\"degrees\":21.5,\"big\":12345678901234567890,\"ok\":true,\"none\":null,\"text\":\"7\"}"
      assistant: "Sunny in both."
      user: "hello"
      assistant: "Hello from the mock, nice to meet you."
      lost: use_tools: all
      lost: save_session: true
    "##);
    insta::assert_snapshot!(told(&read(UNPACKED).1), @r##"
    - -
      system: "You speak of rivers"
      user: "name a river"
      assistant: "1. Rhône\n2. Ångermanälven\n3. 長江 🏞\u{fe0f}\n\n```yaml\nkey: \"- not a list\"\n```\n"
      user: "Shorter"
      assistant: "Rhône."
      lost: save_session: true
      lost: role_name: %%
    "##);
    insta::assert_snapshot!(told(&read(PACKED).1), @r##"
    - -
      system: "You speak of rivers"
      user: "name a river"
      assistant: "1. Rhône\n2. Ångermanälven\n3. 長江 🏞\u{fe0f}\n\n```yaml\nkey: \"- not a list\"\n```\n"
      user: "Shorter"
      assistant: "Rhône."
      system: "You speak of rivers\n\nThis is a summary of the chat history as a recap: The user asked for rivers and got three: Rhône, Ångermanälven, 長江."
      user: "hello again"
      assistant: "Hello from the mock, nice to meet you."
      lost: save_session: true
      lost: role_name: %%
      lost: compressed_messages: that the first 5 messages were no longer sent
    "##);
    insta::assert_snapshot!(told(&read(TOUR).1), @r##"
    - -
      system: "You guide through the north."
      user: "name a river"
      assistant: "1. Rhône\n2. Ångermanälven\n3. 長江 🏞\u{fe0f}\n\n```yaml\nkey: \"- not a list\"\n```\n"
      lost: use_tools: all
      lost: save_session: true
      lost: agent_variables: region
    "##);
}

#[test]
fn logs_of_llm_are_read() {
    insta::assert_snapshot!(told(&read(LLM).1), @r##"
    01m8fadkjmwyggsq7bnqh04ws9 hello there
      system: "You are terse.\nAnswer in one line."
      user: "hello there"
      assistant: "Hello from the mock, nice to meet you."
      user: "name a river\n\nPlease: «Größe» 🏞\u{fe0f}"
      assistant: "1. Rhône\n2. Ångermanälven\n3. 長江 🏞\u{fe0f}\n\n```yaml\nkey: \"- not a list\"\n```\n"
      user: "Shorter"
      assistant: "Rhône."
      lost: options of answers (1): temperature
      lost: raw responses, but for their id and the reason of their end (3)
    01m8fadr3exk45b0cjsnfseb8w hello, name nothing; think abou…
      user: "hello, name nothing; think about it"
      assistant: "Thought through."
      lost: raw responses, but for their id and the reason of their end (1)
    01m8fadsp5yb537gzv5z8fee7f what is in this picture
      user: "what is in this picture", llm.attachment {"type":"image/png"}, Some("image/png") at https://example.org/blue.png
      assistant: "One red pixel."
      lost: raw responses, but for their id and the reason of their end (1)
      lost: the bytes of attachments (1): image/png
    01m8fadv7w0hwr64aksnv5za6x A note. It says: tabs and "quot…
      system: "A note.\nIt says:\n\ttabs and \"quotes\"."
      user: "A note.\nIt says:\n\ttabs and \"quotes\".\n\nwhat does the fragment say"
      assistant: "It says what a fragment says."
      lost: raw responses, but for their id and the reason of their end (1)
      lost: which texts came from fragments (2)
    01m8fadwkz7jx30e0t2q2czkp2 a dog
      user: "a dog"
      assistant: "{\"name\":\"Bello\",\"age\":3}"
      lost: raw responses, but for their id and the reason of their end (1)
      lost: schemas of answers (1)
    01m8fadxx0d9fvya00x9cgw3qx picture on stdin
      user: "picture on stdin", llm.attachment {"type":"image/png"}
      assistant: "One red pixel."
      lost: raw responses, but for their id and the reason of their end (1)
      lost: the bytes of attachments (1): image/png
    01m8fadz9twrde87axsbdkrzfc weather please
      user: "weather please"
      assistant: call call_1 get_weather {"city":"Paris"}, call call_2 get_weather {"city":"Rome"}
      tool: result call_1 "sunny in Paris ☀", result call_2 "sunny in Rome ☀"
      assistant: "Sunny in both."
      user: "it fails now"
      assistant: call call_9 always_fails {}
      tool: result call_9 failed "Error: no luck"
      assistant: "It did not work."
      lost: definitions of tools (2): always_fails, get_weather
      lost: raw responses, but for their id and the reason of their end (4)
    01m8fafs03e7v2r7jk8yg2arh3 think once more
      user: "think once more"
      assistant: reasoning ["Let me think about it.\nTwo steps."], "Thought through."
      lost: raw responses, but for their id and the reason of their end (1)
    "##);
    insta::assert_snapshot!(told(&read(LLM_OLD).1), @r##"
    01m8fagf786k5p84yryz4fbavf hello there
      system: "You are terse.\nAnswer in one line."
      user: "hello there"
      assistant: "Hello from the mock, nice to meet you."
      user: "name a river\n\nPlease: «Größe» 🏞\u{fe0f}"
      assistant: "1. Rhône\n2. Ångermanälven\n3. 長江 🏞\u{fe0f}\n\n```yaml\nkey: \"- not a list\"\n```\n"
      lost: options of answers (1): temperature
      lost: raw requests (2)
      lost: raw responses, but for their id and the reason of their end (2)
    01m8fagh60jxa3xgrmw3k7bxcx what is in this picture
      user: "what is in this picture", llm.attachment {"type":"image/png","path":"/srv/me/red.png"}
      assistant: "One red pixel."
      lost: raw requests (1)
      lost: raw responses, but for their id and the reason of their end (1)
      lost: the bytes of attachments (1): image/png
    01m8fagjaf6517dkjdgb4nqnxs A note. It says: tabs and "quot…
      system: "A note.\nIt says:\n\ttabs and \"quotes\"."
      user: "A note.\nIt says:\n\ttabs and \"quotes\".\n\nA long note about nothing. A long note about nothing. A long note about nothing. A long note abou...\nwhat does the fragment say"
      assistant: "It says what a fragment says."
      lost: raw requests (1)
      lost: raw responses, but for their id and the reason of their end (1)
      lost: the ends of fragments, since the log was printed without --expand (1)
      lost: which texts came from fragments (2)
    01m8fagk5fv4k7wptct8rj6qa3 weather please
      user: "weather please"
      assistant: call call_1 get_weather {"city":"Paris"}, call call_2 get_weather {"city":"Rome"}
      tool: result call_1 "sunny in Paris ☀", result call_2 "sunny in Rome ☀"
      assistant: "Sunny in both."
      lost: definitions of tools (2): always_fails, get_weather
      lost: raw requests (2)
      lost: raw responses, but for their id and the reason of their end (2)
    "##);
    insta::assert_snapshot!(told(&read(LLM_EXPANDED).1), @r##"
    01m8fagjaf6517dkjdgb4nqnxs A note. It says: tabs and "quot…
      system: "A note.\nIt says:\n\ttabs and \"quotes\"."
      user: "A note.\nIt says:\n\ttabs and \"quotes\".\n\nA long note about nothing. A long note about nothing. A long note about nothing. A long note about nothing. A long note about nothing. A long note about nothing. A long note about nothing. A long note about nothing. A long note about nothing. A long note about nothing. \n\nwhat does the fragment say"
      assistant: "It says what a fragment says."
      lost: raw requests (1)
      lost: raw responses, but for their id and the reason of their end (1)
      lost: which texts came from fragments (2)
    "##);
}

#[tokio::test]
async fn what_is_taken_in_is_a_session_like_any_other_and_taking_it_in_again_changes_nothing() {
    let store = Memory::new();
    let engine = engine(&store, &Scripted::echo());
    let mut all = Vec::new();
    for text in [RIVERS, PICTURE, WEATHER, PACKED, TOUR, LLM, LLM_OLD] {
        let adopted = adopt(&engine, text).await;
        assert!(adopted.iter().all(|one| one.new_turns == one.turns && one.notes.is_empty()), "{adopted:?}");
        all.extend(adopted);
    }
    let sessions = engine.sessions().await.unwrap();
    assert_eq!(sessions.len(), all.len());
    let mut exports = Vec::new();
    for one in &all {
        assert_eq!(engine.verify(&one.session).await.unwrap().fault, None);
        let events = engine.events(&one.session).await.unwrap();
        assert_eq!(kinds(&events)[..2], ["session.imported_from", "session.created"]);
        let import = SessionImportedFrom::of(&events[0]).unwrap();
        assert_eq!(
            (&import.tool, &import.conversation, &import.lost),
            (&one.tool, &one.conversation, &one.lost)
        );
        let summary = engine.session(&one.session).await.unwrap();
        let transcript = Transcript::fold(&events);
        assert_eq!((summary.turns, transcript.turns.len() as u64), (one.turns, one.turns));
        assert_eq!(summary.heads.head.as_ref(), transcript.head().map(|head| &head.id));
        let branch = transcript.branch(summary.heads.head.as_ref().unwrap());
        assert_eq!(branch.len(), transcript.entries.len(), "one branch holds everything");
        assert_eq!(transcript.warnings, []);
        exports.push(export(&engine, &one.session).await);
    }
    assert_rebuilds(&engine, &store).await;
    for text in [LLM_OLD, TOUR, LLM, RIVERS, PICTURE, WEATHER, PACKED] {
        assert!(
            adopt(&engine, text)
                .await
                .iter()
                .all(|one| one.new_turns == 0 && all.iter().any(|a| a.session == one.session))
        );
    }
    for (one, before) in all.iter().zip(exports) {
        assert_eq!(export(&engine, &one.session).await, before);
    }
}

#[tokio::test]
async fn calls_results_times_and_counts_are_in_the_log() {
    let engine = engine(&Memory::new(), &Scripted::echo());
    let adopted = adopt(&engine, LLM).await;
    let of = |name: &str| adopted.iter().find(|one| one.name.as_deref() == Some(name)).unwrap();
    let events = engine.events(&of("weather please").session).await.unwrap();
    let turn = [
        "turn.started",
        "message.user",
        "llm.response.completed",
        "message.assistant",
        "message.tool",
        "llm.response.completed",
        "message.assistant",
        "turn.completed",
    ];
    assert_eq!(kinds(&events)[2..], [turn, turn].concat());
    let events = engine.events(&of("hello there").session).await.unwrap();
    let responses: Vec<_> = events.iter().filter_map(LlmResponseCompleted::of).collect();
    let usage = responses[1].usage.as_ref().unwrap();
    assert_eq!(
        (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens),
        (Some(31), Some(19), None)
    );
    assert_eq!(responses[0].response_id.as_deref(), Some("chatcmpl-UYl0P3lbb-yDnMrJ"));
    assert_eq!(responses[0].timing.total_us, 159_000);
    let summary = engine.session(&of("hello there").session).await.unwrap();
    assert_eq!((summary.input_tokens, summary.output_tokens, summary.calls_without_usage), (89, 26, 0));
    assert_eq!(
        (summary.model.as_deref(), summary.name, summary.title.as_deref()),
        (Some("llm/mock-chat"), None, Some("hello there"))
    );
    // 2026-11-27T20:16:18.006606Z, and the last answer 109 ms after it was asked for.
    assert_eq!((summary.created_us, summary.updated_us), (1_795_810_578_006_606, 1_795_810_580_195_707));
    let rivers = &adopt(&engine, RIVERS).await[0];
    let summary = engine.session(&rivers.session).await.unwrap();
    assert_eq!((summary.input_tokens, summary.calls_without_usage), (0, 3), "unknown is not zero");
    assert_eq!(summary.model.as_deref(), Some("lab/mock-chat"));
}

#[tokio::test]
async fn a_conversation_that_went_on_adds_what_is_new_whatever_became_of_its_beginning() {
    let store = Memory::new();
    let engine = engine(&store, &Scripted::echo());
    let first = &adopt(&engine, UNPACKED).await[0];
    let then = &adopt(&engine, PACKED).await[0];
    assert_eq!((&then.session, first.new_turns, then.new_turns, then.turns), (&first.session, 2, 1, 3));
    let events = engine.events(&first.session).await.unwrap();
    assert_eq!(events.iter().filter_map(SessionImportedFrom::of).count(), 2);
    let transcript = Transcript::fold(&events);
    assert_eq!(transcript.branch(&transcript.head().unwrap().id).len(), 8);
    assert_eq!(adopt(&engine, UNPACKED).await[0].new_turns, 0);

    let (tool, mut log) = read(LLM);
    let mut whole = log.remove(0);
    whole.said.truncate(5);
    let id = engine.adopt(tool, &[whole]).await.unwrap()[0].session.clone();
    // The whole log again, and then the last two answers of it, as `llm logs` prints them on its own.
    let (_, log) = read(LLM);
    let again = engine.adopt(tool, &log[..1]).await.unwrap();
    assert_eq!((&again[0].session, again[0].new_turns, again[0].notes.len()), (&id, 1, 0));
    let late = Foreign { said: log[0].said[3..].to_vec(), ..log[0].clone() };
    let late = engine.adopt(tool, &[late]).await.unwrap();
    assert_eq!((&late[0].session, late[0].new_turns), (&id, 0));
    let turns = engine.transcript(&id).await.unwrap().turns;
    assert_eq!(turns[2].base.as_ref(), Some(&turns[1].id));
    assert_eq!(engine.verify(&id).await.unwrap().fault, None);
    assert_rebuilds(&engine, &store).await;
}

#[tokio::test]
async fn a_log_without_its_beginning_and_the_whole_of_it_are_two_sessions() {
    let engine = engine(&Memory::new(), &Scripted::echo());
    let (tool, log) = read(LLM);
    let late = Foreign { said: log[0].said[3..].to_vec(), ..log[0].clone() };
    let late = &engine.adopt(tool, &[late]).await.unwrap()[0];
    let whole = &engine.adopt(tool, &log[..1]).await.unwrap()[0];
    assert_ne!(late.session, whole.session);
    assert_eq!((late.new_turns, whole.new_turns), (2, 3));
    for again in [&log[..1], &log[..1]] {
        let again = &engine.adopt(tool, again).await.unwrap()[0];
        assert_eq!((&again.session, again.new_turns), (&whole.session, 0));
    }
}

#[tokio::test]
async fn what_changed_or_went_on_in_both_places_is_a_branch() {
    let engine = engine(&Memory::new(), &Scripted::echo());
    let id = adopt(&engine, UNPACKED).await[0].session.clone();
    let other = UNPACKED.replace("content: Rhône.", "content: Rhine.");
    assert_ne!(other, UNPACKED);
    let regenerated = &adopt(&engine, &other).await[0];
    assert_eq!((&regenerated.session, regenerated.new_turns, regenerated.notes.len()), (&id, 1, 1));
    say(&engine, Some(&id), "and here").await;
    let longer = &adopt(
        &engine,
        &other.replace("Rhine.", "Rhine.\n- role: user\n  content: more\n- role: assistant\n  content: less"),
    )
    .await[0];
    assert_eq!((&longer.session, longer.new_turns, longer.notes.len()), (&id, 1, 1));
    let transcript = engine.transcript(&id).await.unwrap();
    let texts =
        |head| transcript.branch(head).iter().map(|entry| entry.message.text()).skip(3).collect::<Vec<_>>();
    let heads: Vec<_> = transcript.turns.iter().map(|turn| texts(turn.answer.as_ref().unwrap())).collect();
    let expected = [
        &[][..],
        &["Shorter", "Rhône."],
        &["Shorter", "Rhine."],
        &["Shorter", "Rhine.", "and here", "and here"],
        &["Shorter", "Rhine.", "more", "less"],
    ];
    assert_eq!(heads, expected);
    assert_eq!(
        engine.session(&id).await.unwrap().heads.head.as_ref(),
        transcript.head().map(|head| &head.id)
    );
}

#[tokio::test]
async fn a_further_turn_is_sent_with_everything_that_was_said() {
    let engine = engine(&Memory::new(), &Scripted::echo());
    for text in [WEATHER, LLM] {
        let adopted = adopt(&engine, text).await;
        let id = &adopted.iter().find(|one| one.turns == 2).unwrap().session;
        let mut send = Send::to(id.clone(), "and tomorrow?");
        send.model = Some(model());
        let call = engine.preview(send.clone()).await.unwrap().remove(0).ask.unwrap().call;
        let roles: Vec<&str> = call.request.messages.iter().map(|message| message.role.as_str()).collect();
        assert_eq!(roles[..4], ["user", "assistant", "tool", "assistant"]);
        assert_eq!(call.request.messages.last().unwrap().text(), "and tomorrow?");
        assert_eq!(call.request.messages.len(), if text == LLM { 9 } else { 7 });
        engine.send(send).await.unwrap().outcome().await.unwrap();
        assert_eq!(engine.verify(id).await.unwrap().fault, None);
    }
}

#[tokio::test]
async fn a_name_is_given_where_it_is_free() {
    let engine = engine(&Memory::new(), &Scripted::echo());
    let (tool, read) = read(RIVERS);
    let named = |name: &str| Foreign { name: Some(name.to_owned()), ..read[0].clone() };
    engine.create(Some("taken"), None, None).await.unwrap();
    let adopted =
        engine.adopt(tool, &[named("rivers"), named("taken"), named("a\nb"), named("rivers")]).await.unwrap();
    assert_eq!(engine.resolve("rivers").await.unwrap(), adopted[0].session);
    assert_eq!(adopted.iter().map(|one| one.notes.len()).collect::<Vec<_>>(), [0, 1, 1, 0]);
    assert_eq!((&adopted[3].session, adopted[3].new_turns), (&adopted[0].session, 0));
    let sessions: std::collections::HashSet<_> = adopted.iter().map(|one| &one.session).collect();
    assert_eq!(sessions.len(), 3, "a conversation without an id is known by its name as well");
}

#[tokio::test]
async fn what_was_deleted_here_stays_so_and_keeps_nothing_else_out() {
    let engine = engine(&Memory::new(), &Scripted::echo());
    let (tool, log) = read(LLM);
    let first = engine.adopt(tool, &log[..1]).await.unwrap()[0].session.clone();
    engine.delete(&first).await.unwrap();
    let all = adopt(&engine, LLM).await;
    assert_eq!((&all[0].session, all[0].deleted, all[0].new_turns), (&first, true, 0));
    assert!(all[1..].iter().all(|one| !one.deleted && one.new_turns > 0));
    assert_eq!(engine.list(None).await.unwrap().len(), all.len() - 1);
}

#[tokio::test]
async fn secrets_in_what_is_taken_in_are_masked_and_counted() {
    const CANARY: &str = "sk-canary-0123456789abcdef";
    let secrets = Secrets::new();
    secrets.learn("CANARY", CANARY);
    let engine = Engine::builder(Memory::new()).provider(Scripted::echo()).secrets(secrets).build();
    let (tool, read) = read(WEATHER);
    let mut foreign = read[0].clone();
    foreign.id = Some(format!("id-{CANARY}"));
    foreign.name = Some(format!("name {CANARY}"));
    foreign.lost.push(format!("the key {CANARY}"));
    foreign.said[0].message = Message::user(format!("my key is {CANARY}"));
    foreign.said[1].message.parts.push(Part::tool_call("x", "f", format!("{{\"key\":\"{CANARY}\"}}")));
    foreign.said[1].message.origin.as_mut().unwrap().model = CANARY.to_owned();
    foreign.said[2].message.parts.push(Part::tool_result("x", CANARY));
    let adopted = engine.adopt(tool, &[foreign]).await.unwrap();
    let exported = export(&engine, &adopted[0].session).await;
    let shown = serde_json::to_string(&adopted).unwrap();
    assert!(!exported.contains(CANARY) && !shown.contains(CANARY), "{exported}\n{shown}");
    assert!(exported.contains("‹secret:CANARY›") && exported.contains("secret.redacted"), "{exported}");
}

#[tokio::test]
async fn conversations_that_are_empty_or_whose_ids_repeat_are_refused_and_leave_nothing() {
    let engine = engine(&Memory::new(), &Scripted::echo());
    let said = |id: &str, text: &str| Said { id: Some(id.to_owned()), ..Said::new(Message::user(text)) };
    let twice = Foreign { said: vec![said("a", "x"), said("a", "y")], ..Foreign::default() };
    for foreign in [twice, Foreign::default()] {
        let error = engine.adopt("test", &[foreign]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input, "{error}");
    }
    assert_eq!(engine.sessions().await.unwrap(), []);
    // Without ids, the same words twice are two turns. Neither has an answer.
    let said = || Said::new(Message::user("again"));
    let foreign = Foreign { said: vec![said(), said()], ..Foreign::default() };
    let adopted = engine.adopt("test", &[foreign]).await.unwrap();
    assert_eq!((adopted[0].turns, adopted[0].new_turns), (2, 2));
    let events = engine.events(&adopted[0].session).await.unwrap();
    assert_eq!(kinds(&events).iter().filter(|kind| **kind == "turn.interrupted").count(), 2);
}

#[test]
fn a_damaged_file_is_refused_with_the_place() {
    let yaml = |messages: &str| format!("model: a:b\nmessages:\n{messages}");
    let laughs = yaml("- &a {role: user, content: x}\n- *a\n");
    let llm =
        |entry: &str| format!(r#"[{{"id":"1","model":"m","conversation_id":"c","response":"r"}},{entry}]"#);
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for (text, what) in [
        (yaml("- role: user\n"), "line 3 of the file: the message has no content"),
        (yaml("- role: narrator\n  content: x\n"), "line 3 of the file: there is no role \"narrator\""),
        (yaml("- role: user\n  content: {a: b}\n"), "line 4 of the file: content is no text"),
        (yaml("- role: user\n  content:\n"), "line 4 of the file: content is no text"),
        (yaml("- role: tool\n  content: x\n"), "line 4 of the file: the message of tools has no fields"),
        (yaml("- role: user\n  content:\n  - type: text\n"), "line 5 of the file: the part has no text"),
        (yaml("- just text\n"), "line 3 of the file: the message has no fields"),
        (yaml("- role: user\n  role: user\n"), "line 4 of the file: \"role\" stands there twice"),
        (laughs, "line 4 of the file: it holds an alias, which no session has"),
        (yaml(&"- ".repeat(100_000)), "line 3 of the file: it is nested too deep"),
        ("model: a:b\nmessages: 5\n".to_owned(), "line 2 of the file: messages is no list"),
        (llm("1"), "entry 2 of the log: it is no object"),
        (llm("{}"), "entry 2 of the log: it has no id"),
        (llm(r#"{"id":"1"}"#), "entry 2 of the log: it has the id of entry 1"),
        (llm(r#"{"id":"2"}"#), "entry 2 of the log: it has no model"),
        (llm(r#"{"id":2}"#), "entry 2 of the log: id is not what it should be"),
        (llm(r#"{"id":"2","model":"m","prompt":[]}"#), "entry 2 of the log: prompt is not what it should be"),
        (
            llm(r#"{"id":"2","model":"m","input_tokens":-1}"#),
            "entry 2 of the log: input_tokens is not what it should be",
        ),
        (
            llm(r#"{"id":"2","model":"m","input_tokens":1e400}"#),
            "entry 2 of the log: input_tokens is not what it should be",
        ),
        (llm(r#"{"id":"2","datetime_utc":"soon"}"#), "entry 2 of the log: datetime_utc is no time"),
        (
            llm(&format!(r#"{{"id":"2","model":"m","token_details":{deep}}}"#)),
            "entry 2 of the log: token_details is not what it should be",
        ),
        (llm(r#"{"id":"2""#), "the log is no JSON array: line 1 column 71"),
        (llm(&"[".repeat(100_000)), "the log is no JSON array"),
    ] {
        let error = recognise(&text).expect(&text).read(&text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input);
        assert!(error.to_string().starts_with(what), "{error}, not {what}");
    }
}

#[test]
fn no_cut_and_no_changed_byte_makes_a_reader_panic() {
    const BYTES: [&str; 17] =
        ["", "\0", "\n", "\t", " ", "\"", ":", "-", "&", "*", "!", "|", "{", "[", "%", "9", "é"];
    for text in [PICTURE, WEATHER, PACKED, LLM_EXPANDED] {
        let importer = recognise(text).unwrap();
        for (n, (at, c)) in text.char_indices().enumerate().step_by(2) {
            let changed = [&text[..at], BYTES[n / 2 % BYTES.len()], &text[at + c.len_utf8()..]].concat();
            for text in [&text[..at], &changed] {
                importer.recognises(text);
                if let Err(error) = importer.read(text) {
                    assert_eq!(error.kind(), ErrorKind::Input);
                }
            }
        }
    }
}

#[test]
fn other_files_are_not_taken_for_these() {
    for text in [
        "",
        "{}",
        "[]",
        "[{}]",
        "[1]",
        "model: x",
        "messages: []",
        "hello",
        "{\"schema\":\"aichat.session/1\"}",
        "\u{feff}",
    ] {
        assert!(recognise(text).is_none(), "{text}");
    }
    let dated = |text: &str| format!("\u{feff}{text}");
    assert_eq!(recognise(&dated(RIVERS)).unwrap().tool(), "sigoden/aichat");
    assert_eq!(read(&dated(LLM)).1, read(LLM).1);
}

#[tokio::test]
async fn pictures_are_kept_as_blobs_and_sent_as_bytes() {
    let engine = engine(&Memory::new(), &Scripted::echo());
    let session = adopt(&engine, PICTURE).await[0].session.clone();
    let media = |messages: &[Message]| {
        let parts = messages.iter().flat_map(|message| message.parts.clone());
        let sources = parts.filter_map(|part| match part.kind {
            PartKind::Media { source, .. } => Some(source),
            _ => None,
        });
        sources.collect::<Vec<_>>()
    };
    let transcript = engine.transcript(&session).await.unwrap();
    let said: Vec<Message> = transcript.entries.into_iter().map(|entry| entry.message).collect();
    assert!(matches!(&media(&said)[..], [Source::Blob(_)]), "{said:?}");
    let mut send = Send::to(session, "and now?");
    send.model = Some(model());
    let call = engine.preview(send).await.unwrap().remove(0).ask.unwrap().call;
    assert!(matches!(&media(&call.request.messages)[..], [Source::Base64(data)] if data.len() == 96));
}
