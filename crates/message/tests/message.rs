//! Properties of the vocabulary: a fold does not see the cuts, and what is written is read again as it was.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use aichat_message::{
    Delta, ErrorKind, Executor, Extra, Fold, Json, MediaKind, Message, Opaque, OpaqueKind, Origin, Part,
    PartKind, Protocol, ReasoningBlock, Role, Source, Usage,
};
use proptest::prelude::*;

/// Text with multi-byte characters, combining marks, quotes, controls and line breaks in it.
fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![
            "[a-z ]{0,6}",
            Just("é".to_owned()),
            Just("e\u{301}".to_owned()),
            Just("👩‍👩‍👧‍👦".to_owned()),
            Just("\"\\\n\r\t\u{0}\u{2028}".to_owned()),
        ],
        0..8,
    )
    .prop_map(|pieces| pieces.concat())
}

/// JSON that a `Value` would change: 30-digit integers, odd key orders, doubled keys, escapes, blanks.
fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        "[1-9][0-9]{29}",
        "-?[1-9][0-9]{0,3}\\.[0-9]{0,3}[1-9]e[+-][0-9]{1,2}",
        Just("\"\\u00e9\\/\\n\"".to_owned()),
        Just("null".to_owned()),
        Just("1.0".to_owned()),
    ];
    let value = leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4)
                .prop_map(|items| format!("[{}]", items.join(" ,"))),
            proptest::collection::vec(("[zab]{1,2}", inner), 0..4).prop_map(|fields| {
                let fields: Vec<String> = fields.into_iter().map(|(k, v)| format!("\"{k}\" :{v}")).collect();
                format!("{{ {} }}", fields.join(","))
            }),
        ]
    });
    value.prop_map(|text| Json::new(text).unwrap())
}

fn extra() -> impl Strategy<Value = Extra> {
    proptest::collection::vec(("[zab_]{1,3}", json()), 0..4).prop_map(Extra::from_iter)
}

fn opaque() -> impl Strategy<Value = Opaque> {
    let kind = prop_oneof![
        Just(OpaqueKind::Signature),
        Just(OpaqueKind::RedactedThinking),
        Just(OpaqueKind::ReasoningDetails),
        Just(OpaqueKind::Other("vendor_blob".into())),
    ];
    (kind, text()).prop_map(|(kind, data)| Opaque { provider: "p".into(), kind, data })
}

fn kind() -> impl Strategy<Value = PartKind> {
    let block = prop_oneof![text().prop_map(ReasoningBlock::Text), text().prop_map(ReasoningBlock::Summary)];
    prop_oneof![
        (text(), proptest::collection::vec(json(), 0..2))
            .prop_map(|(text, annotations)| PartKind::Text { text, annotations }),
        text().prop_map(|text| PartKind::Refusal { text }),
        proptest::collection::vec(block, 0..3).prop_map(|blocks| PartKind::Reasoning { blocks }),
        (text(), text(), any::<bool>()).prop_map(|(name, arguments, server)| PartKind::ToolCall {
            call_id: "call_1".into(),
            name,
            arguments: arguments.into(),
            executor: if server { Executor::Server } else { Executor::Client },
        }),
        (text(), any::<bool>()).prop_map(|(text, is_error)| PartKind::ToolResult {
            call_id: "call_1".into(),
            name: is_error.then(|| "tool".to_owned()),
            content: vec![Part::text(text)],
            is_error,
        }),
        text().prop_map(|data| PartKind::Media {
            media: MediaKind::Image,
            source: Source::Base64(data),
            mime: Some("image/png".into()),
            name: None,
        }),
        json().prop_map(|raw| PartKind::Unknown { type_name: "server_thing".into(), raw }),
    ]
}

fn part() -> impl Strategy<Value = Part> {
    let id = proptest::option::of("[a-z]{1,4}");
    (kind(), id, proptest::collection::vec(opaque(), 0..3), extra())
        .prop_map(|(kind, id, opaque, extra)| Part { kind, id, opaque, extra })
}

fn message() -> impl Strategy<Value = Message> {
    let origin = Origin {
        provider: "p".into(),
        protocol: Protocol::Other("later".into()),
        model: "m".into(),
        response_id: Some("r".into()),
    };
    (proptest::collection::vec(part(), 0..5), extra(), any::<bool>()).prop_map(move |(parts, extra, made)| {
        Message { role: Role::Assistant, parts, origin: made.then(|| origin.clone()), extra }
    })
}

/// What a stream says about one part, as the deltas that cannot be cut any further.
fn script(index: u32, part: &Part) -> Vec<Delta> {
    let mut bare = part.clone();
    bare.opaque.clear();
    bare.extra = Extra::new();
    let mut deltas = Vec::new();
    let letters = |text: &str| text.chars().map(String::from).collect::<Vec<_>>();
    match &mut bare.kind {
        PartKind::Text { text, annotations } => {
            deltas.extend(letters(text).into_iter().map(|text| Delta::Text { index, text }));
            deltas.extend(annotations.drain(..).map(|annotation| Delta::Annotation { index, annotation }));
            text.clear();
        }
        PartKind::Refusal { text } => {
            deltas.extend(letters(text).into_iter().map(|text| Delta::Text { index, text }));
            text.clear();
        }
        PartKind::Reasoning { blocks } => {
            for block in blocks.drain(..) {
                let empty = match block {
                    ReasoningBlock::Summary(_) => ReasoningBlock::Summary(String::new()),
                    _ => ReasoningBlock::Text(String::new()),
                };
                deltas.push(Delta::ReasoningBlock { index, block: empty });
                deltas.extend(letters(block.text()).into_iter().map(|text| Delta::Reasoning { index, text }));
            }
        }
        PartKind::ToolCall { arguments, .. } => {
            deltas
                .extend(letters(arguments.as_str()).into_iter().map(|text| Delta::Arguments { index, text }));
            *arguments = "".into();
        }
        _ => {}
    }
    deltas.extend(part.opaque.iter().cloned().map(|opaque| Delta::Opaque { index, opaque }));
    let extra = part.extra.iter().map(|(name, value)| (name.to_owned(), value.clone()));
    deltas.extend(extra.map(|(name, value)| Delta::Extra { index, name, value }));
    deltas.insert(0, Delta::PartStart { index, part: Box::new(bare) });
    deltas.push(Delta::PartEnd { index, part: None });
    deltas
}

/// Joins neighbours where `join` says so, which is the same stream cut elsewhere.
fn recut(deltas: &[Delta], mut join: impl FnMut() -> bool) -> Vec<Delta> {
    let mut cut: Vec<Delta> = Vec::new();
    for delta in deltas {
        let joined = match (cut.last_mut(), delta) {
            (Some(Delta::Text { index: i, text }), Delta::Text { index, text: more })
            | (Some(Delta::Reasoning { index: i, text }), Delta::Reasoning { index, text: more })
            | (Some(Delta::Arguments { index: i, text }), Delta::Arguments { index, text: more })
                if i == index && join() =>
            {
                text.push_str(more);
                true
            }
            _ => false,
        };
        if !joined {
            cut.push(delta.clone());
        }
    }
    cut
}

fn fold(deltas: &[Delta]) -> Message {
    let mut fold = Fold::new();
    deltas.iter().for_each(|delta| fold.apply(delta));
    assert_eq!(fold.message(), fold.clone().into_message());
    fold.message()
}

/// Fields as the fold keeps them: of two of one name, the last value in the place of the first.
fn settled(extra: &Extra) -> Extra {
    let mut settled = Extra::new();
    extra.iter().for_each(|(name, value)| settled.set(name, value.clone()));
    settled
}

proptest! {
    #[test]
    fn a_fold_does_not_see_how_deltas_were_cut_or_interleaved(
        parts in proptest::collection::vec(part(), 1..5),
        picks in proptest::collection::vec(any::<u16>(), 64),
        joins in proptest::collection::vec(any::<bool>(), 64),
    ) {
        let scripts: Vec<Vec<Delta>> = parts.iter().zip(0..).map(|(part, index)| script(index, part)).collect();
        // Parts begin in order; after that, any one of them that has begun may go on.
        let mut mixed = Vec::new();
        let mut at = vec![0; scripts.len()];
        let mut pick = picks.iter().cycle();
        while at.iter().zip(&scripts).any(|(at, script)| *at < script.len()) {
            let begun = at.iter().take_while(|at| **at > 0).count();
            let n = usize::from(*pick.next().unwrap()) % (begun + 1).min(scripts.len());
            if at[n] < scripts[n].len() {
                mixed.push(scripts[n][at[n]].clone());
                at[n] += 1;
            } else if begun < scripts.len() {
                mixed.push(scripts[begun][0].clone());
                at[begun] += 1;
            } else if let Some(n) = (0..scripts.len()).find(|n| at[*n] < scripts[*n].len()) {
                mixed.push(scripts[n][at[n]].clone());
                at[n] += 1;
            }
        }
        let mut join = joins.iter().cycle();
        let recut = recut(&mixed, || *join.next().unwrap());
        let straight: Vec<Delta> = scripts.concat();
        prop_assert_eq!(fold(&mixed), fold(&straight));
        prop_assert_eq!(fold(&recut), fold(&straight));
        let expected: Vec<Part> =
            parts.iter().map(|part| Part { extra: settled(&part.extra), ..part.clone() }).collect();
        prop_assert_eq!(fold(&straight).parts, expected, "parts stand in the order in which they began");
    }

    #[test]
    fn what_is_written_is_read_again_as_it_was(message in message()) {
        let written = serde_json::to_string(&message).unwrap();
        prop_assert!(!written.contains(['\n', '\r']), "one line");
        let read: Message = serde_json::from_str(&written).unwrap();
        prop_assert_eq!(&read, &message);
        prop_assert_eq!(serde_json::to_string(&read).unwrap(), written);
    }

    #[test]
    fn deltas_are_read_again_as_they_were(part in part(), json in json()) {
        let mut deltas = script(7, &part);
        deltas.push(Delta::PartEnd { index: 7, part: Some(Box::new(part)) });
        // `null` and absent are one in a usage object.
        let raw = (!json.is_null()).then_some(json);
        deltas.push(Delta::Usage(Usage { input_tokens: Some(3), raw, ..Usage::default() }));
        for delta in deltas {
            let written = serde_json::to_string(&delta).unwrap();
            prop_assert_eq!(serde_json::from_str::<Delta>(&written).unwrap(), delta);
        }
    }
}

#[test]
fn a_part_of_a_later_version_is_kept_whole() {
    let text = r#"{"type":"hologram","voxels":123456789012345678901234567890,"a":{"z":1,"b":2}}"#;
    let part: Part = serde_json::from_str(text).unwrap();
    let PartKind::Unknown { type_name, raw } = &part.kind else { panic!("{part:?}") };
    assert_eq!((type_name.as_str(), raw.get()), ("hologram", text));
}

#[test]
fn a_part_that_is_nested_without_end_is_refused() {
    let deep = format!(
        "{}{}{}",
        r#"{"type":"tool_result","content":["#.repeat(50_000),
        r#"{"type":"text","text":"x"}"#,
        "]}".repeat(50_000)
    );
    assert!(serde_json::from_str::<Part>(&deep).is_err());
    let brackets = r#"{"type":"text","text":"[[[[{{{{\"[["}"#;
    assert!(serde_json::from_str::<Part>(brackets).is_ok());
}

#[test]
fn every_kind_of_error_reads_as_it_is_written() {
    for kind in ErrorKind::ALL {
        assert_eq!(kind.as_str().parse(), Ok(*kind));
        assert_eq!(serde_json::to_string(kind).unwrap(), format!("\"{kind}\""));
    }
    assert_eq!(serde_json::from_str::<ErrorKind>("\"later\"").unwrap(), ErrorKind::Server);
}

#[test]
fn deltas_for_a_part_that_never_began_begin_it_and_strange_ones_change_nothing() {
    let mut fold = Fold::new();
    fold.apply(&Delta::Arguments { index: 3, text: "{".into() });
    fold.apply(&Delta::Text { index: 3, text: "no text goes into a call".into() });
    fold.apply(&Delta::ToolCall { index: 3, call_id: Some("c".into()), name: None });
    fold.apply(&Delta::Heartbeat);
    assert_eq!(fold.message().parts, [Part::tool_call("c", "", "{")]);
}
