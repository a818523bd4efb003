//! That the projection depends on the events alone, not on how they were committed.

use std::collections::BTreeMap;

use aichat_events::{Draft, Event, Hash, Salt};
use aichat_message::{CostStatus, EventId, Json, SessionId, TurnId, WriterId};
use proptest::prelude::*;

use super::*;

/// Types and payloads, right and wrong, known and of a later version.
const SAID: &[(&str, u32, &str)] = &[
    ("session.created", 1, r#"{"name":"one","model":"p/m","scope":"desk"}"#),
    ("session.renamed", 1, r#"{"name":"two"}"#),
    ("session.renamed", 1, "{}"),
    ("session.archived", 1, r#"{"archived":true}"#),
    ("session.archived", 1, r#"{"archived":false}"#),
    ("session.deleted", 1, "{}"),
    ("session.erased", 1, "{}"),
    ("session.head.moved", 1, r#"{"branch":"other","head":"msg_1"}"#),
    ("session.head.moved", 1, r#"{"branch":"main"}"#),
    ("turn.started", 1, r#"{"input":"msg_1","model":"p/m","scope":"lap"}"#),
    ("turn.started", 2, r#"{"input":"msg_1","model":"p/m","scope":"lap"}"#),
    (
        "message.user",
        1,
        r#"{"id":"msg_1","message":{"role":"user","parts":[{"type":"text","text":"Why?"}]}}"#,
    ),
    (
        "message.assistant",
        1,
        r#"{"id":"msg_2","parent":"msg_1","message":{"role":"assistant","parts":[{"type":"media","media":"file","source":{"blob":"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"}}]}}"#,
    ),
    ("message.user", 1, r#"{"id":"msg_3","parent":"msg_2","message":{"role":"user"}}"#),
    ("message.tool", 1, r#"{"id":"msg_4","parent":"msg_3","message":{"role":"tool"}}"#),
    ("message.assistant", 9, r#"{"id":"msg_5","later":true}"#),
    (
        "llm.response.completed",
        1,
        r#"{"finish":{"reason":"stop"},"usage":{"input_tokens":3,"output_tokens":4}}"#,
    ),
    ("llm.response.interrupted", 1, r#"{"reason":"user"}"#),
    ("llm.response.failed", 1, r#"{"kind":"server","timing":{"first_content_us":1}}"#),
    (
        "cost.calculated",
        1,
        r#"{"amount":"0.5","status":"exact","provider":"p","model":"m","asked_us":1,"ended_us":2}"#,
    ),
    ("cost.calculated", 1, r#"{"status":"unknown"}"#),
    ("cost.revised", 1, r#"{"was":null,"cost":{"amount":"0.25","status":"estimated","ended_us":2}}"#),
    ("budget.committed", 1, r#"{"attempt":1,"amount":"3","reserved":"3","unproven":"2"}"#),
    ("turn.completed", 1, r#"{"answer":"msg_2","finish":{"reason":"stop"}}"#),
    ("turn.failed", 1, r#"{"kind":"server"}"#),
    ("turn.interrupted", 1, r#"{"reason":"kill","answer":"msg_2"}"#),
    ("later.happened", 1, "[1]"),
];

fn log(steps: &[(usize, u8, i64, bool)]) -> Vec<Event> {
    let mut prev = Hash::ZERO;
    let mut seal = |(n, (which, turn, ts, erased)): (usize, &(usize, u8, i64, bool))| {
        let (kind, tv, payload) = SAID[*which];
        let bits = |n: usize| {
            let mut bits = [0; 10];
            bits[..8].copy_from_slice(&(n as u64).to_be_bytes());
            bits
        };
        let draft = Draft {
            id: EventId::from_bits(bits(n)),
            session: SessionId::from_bits([1; 10]),
            ts: *ts,
            mono_us: 0,
            writer: WriterId::from_bits([1; 10]),
            kind: kind.into(),
            tv,
            turn: (*turn > 0).then(|| TurnId::from_bits([*turn; 10])),
            run: None,
            call: None,
            span: None,
            parent_span: None,
            cause: None,
            salt: Salt([7; 16]),
            payload: Json::new(payload).unwrap(),
        };
        let event = draft.seal(n as u64 + 1, &prev);
        prev = *event.hash();
        if *erased { event.erase() } else { event }
    };
    steps.iter().enumerate().map(&mut seal).collect()
}

/// Returns what the tables hold after the events were committed in these batches, with what is known of the session
/// read back from the tables each time.
fn tables<'a>(batches: impl IntoIterator<Item = &'a [Event]>) -> BTreeMap<(String, Vec<u8>), Vec<u8>> {
    let mut tables: BTreeMap<(String, Vec<u8>), Vec<u8>> = BTreeMap::new();
    let key = SessionId::from_bits([1; 10]).as_str().as_bytes().to_vec();
    for batch in batches {
        let summary = tables.get(&(format!("{:?}", Table::Sessions), key.clone()));
        let mut projection = Projection::after(summary.map(|row| Summary::decode(row).unwrap()));
        batch.iter().for_each(|event| projection.apply(event));
        for write in projection.finish().1 {
            let place = (format!("{:?}", write.table), write.key);
            match write.value {
                Some(value) => drop(tables.insert(place, value)),
                None => drop(tables.remove(&place)),
            }
        }
    }
    tables
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn however_events_are_committed_the_tables_hold_the_same_bytes(
        steps in prop::collection::vec((0..SAID.len(), 0u8..3, 0i64..9, prop::bool::weighted(0.1)), 1..40),
        len in 1usize..9,
    ) {
        let events = log(&steps);
        let whole = tables([&events[..]]);
        prop_assert!(!whole.is_empty());
        prop_assert_eq!(&tables(events.chunks(1)), &whole);
        prop_assert_eq!(&tables(events.chunks(len)), &whole);
        let copies: Vec<Event> = events.iter().map(|event| Event::parse(event.line()).unwrap()).collect();
        prop_assert_eq!(&tables(copies.rchunks(len).rev()), &whole);
    }
}

#[test]
fn a_cost_in_a_list_is_short_and_says_what_it_is_worth() {
    let total = |amounts: &[Option<i128>]| {
        let mut total = Total::default();
        for amount in amounts {
            let status = if amount.is_some() { CostStatus::Exact } else { CostStatus::Unknown };
            total.count(amount.map(Money::from_pico_dollars), status);
        }
        in_words(&total)
    };
    assert_eq!(total(&[Some(0)]), "0");
    assert_eq!(total(&[None, None]), "?");
    assert_eq!(total(&[Some(1)]), "<0.000001");
    assert_eq!(total(&[Some(123_000_000)]), "0.000123");
    assert_eq!(total(&[Some(123_000_000), None]), "≥0.000123");
    assert_eq!(total(&[Some(12_345_678_000_000)]), "12.34");
}
