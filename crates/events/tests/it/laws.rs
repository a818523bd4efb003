//! Laws of the folds: they depend on the lines of the log alone, and never end in a panic.

use aichat_events::{Event, Timeline, Transcript};
use aichat_message::Json;
use proptest::prelude::*;

use crate::log::Log;

/// Every type of event with a payload that is right for some and wrong for most.
const KINDS: &[&str] = &[
    "session.created",
    "session.renamed",
    "session.deleted",
    "turn.started",
    "turn.completed",
    "turn.failed",
    "turn.interrupted",
    "turn.recovered",
    "message.system",
    "message.user",
    "message.assistant",
    "llm.request.started",
    "llm.request.retried",
    "llm.response.first_chunk",
    "llm.response.completed",
    "llm.response.failed",
    "llm.response.interrupted",
    "warning.raised",
    "secret.redacted",
    "later.happened",
];

const PAYLOADS: &[&str] = &[
    "null",
    "{}",
    "[]",
    r#"{"input":"msg_0","answer":"msg_1","finish":{"reason":"stop"},"kind":"server"}"#,
    r#"{"id":"msg_0","parent":"msg_1","message":{"role":"user","parts":[{"type":"later","x":1}]}}"#,
    r#"{"id":"msg_1","parent":"msg_0","message":{"role":"tool"},"partial":true}"#,
    r#"{"kind":"timeout","reason":"user","usage":{"output_tokens":18446744073709551615},"timing":{"total_us":9}}"#,
    r#"{"first_content_us":18446744073709551615,"delay_ms":18446744073709551615,"kind":"server","text":"\u001b"}"#,
    r#"{"protocol":"later","options":{},"body_hash":"0000000000000000000000000000000000000000000000000000000000000000"}"#,
];

proptest! {
    #[test]
    fn events_in_any_order_with_any_payload_are_folded_without_panic(
        steps in prop::collection::vec(
            ((0..KINDS.len(), 0u32..3), 0..PAYLOADS.len(), 0u64..99, 1u8..3, any::<bool>()), 0..40),
    ) {
        let mut log = Log::new();
        for ((kind, tv), payload, ms, writer, erased) in &steps {
            log.writer = *writer;
            log.turn = Some(aichat_message::TurnId::from_bits([*writer; 10]));
            log.at(*ms).add_raw(KINDS[*kind], *tv, Json::new(PAYLOADS[*payload]).unwrap());
            if *erased {
                let last = log.events.pop().unwrap();
                log.events.push(last.erase());
            }
        }
        let transcript = Transcript::fold(&log.events);
        for entry in &transcript.entries {
            prop_assert!(transcript.branch(&entry.id).last().is_some());
        }
        let text = transcript.to_markdown() + &Timeline::of(&log.events).render(80);
        prop_assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");

        // What is folded once more out of nothing but the lines is the same, in every form.
        let copies: Vec<Event> = log.events.iter().map(|event| Event::parse(event.line()).unwrap()).collect();
        let again = Transcript::fold(&copies);
        prop_assert_eq!(&again, &transcript);
        prop_assert_eq!(again.to_markdown() + &Timeline::of(&copies).render(80), text);
        prop_assert_eq!(serde_json::to_string(&again).unwrap(), serde_json::to_string(&transcript).unwrap());
    }
}
