//! What came of a replayed turn beside what was recorded of it.

use serde::Serialize;

use aichat_events::{
    Draft, Event, Fact, Hash, LlmRequestRerouted, LlmRequestRetried, LlmRequestStarted, LlmResponseCompleted,
    LlmResponseFailed, LlmResponseFirstChunk, LlmResponseInterrupted, MessageAssistant, MessageSystem,
    MessageUser, SessionHeadMoved, SessionModelSwitched, TurnCompleted, TurnFailed, TurnInterrupted,
    TurnStarted, WarningRaised, json_difference,
};
use aichat_message::{Json, Message, PartKind};

use super::plan::Plan;
use crate::wire;

/// The events that are compared; what a turn costs, and what becomes of its record, is another matter.
const COMPARED: [&str; 17] = [
    TurnStarted::TYPE,
    SessionModelSwitched::TYPE,
    SessionHeadMoved::TYPE,
    MessageSystem::TYPE,
    MessageUser::TYPE,
    WarningRaised::TYPE,
    LlmRequestStarted::TYPE,
    LlmRequestRetried::TYPE,
    LlmRequestRerouted::TYPE,
    LlmResponseFirstChunk::TYPE,
    LlmResponseCompleted::TYPE,
    LlmResponseFailed::TYPE,
    LlmResponseInterrupted::TYPE,
    MessageAssistant::TYPE,
    TurnCompleted::TYPE,
    TurnFailed::TYPE,
    TurnInterrupted::TYPE,
];

/// The fields that are times, by the last word of their paths.
const TIMES: [&str; 8] = [
    "first_content_us",
    "first_byte_us",
    "total_us",
    "queue_us",
    "longest_gap_us",
    "delay_ms",
    "retry_after_ms",
    "adapter",
];

/// The first difference between a replay and what was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Divergence {
    /// The place of the event that was recorded there; nothing where the recording had ended.
    pub seq: Option<u64>,
    /// The type of the event that was recorded there, or of the one that came instead of nothing.
    pub event: String,
    /// The field that differs, such as `message.parts[0].text`; `type` where another event came.
    pub field: String,
    /// The JSON that was recorded.
    pub expected: Option<Json>,
    /// The JSON that came.
    pub got: Option<Json>,
}

impl Divergence {
    /// Says that a request would be written with another body.
    pub(super) fn of_body(seq: u64, expected: &Hash, got: &Hash) -> Self {
        let event = LlmRequestStarted::TYPE.to_owned();
        Self {
            seq: Some(seq),
            event,
            field: "body_hash".to_owned(),
            expected: json(expected),
            got: json(got),
        }
    }
}

/// Returns the first difference between what was recorded of a turn and what came of it once more.
pub(super) fn first(recorded: &[&Event], got: &[Draft], plan: &Plan) -> Option<Divergence> {
    let expected: Vec<Said<'_>> = recorded.iter().filter_map(|event| Said::of_event(event)).collect();
    let got: Vec<Said<'_>> = got.iter().filter_map(Said::of_draft).collect();
    let expected = lenient(expected, &got);
    let (mut expected, mut got) = (expected.into_iter().peekable(), got.into_iter().peekable());
    loop {
        if plan.is_recovered {
            // A moment more or less of the answer is in either.
            let first = |said: &Said<'_>| said.kind == LlmResponseFirstChunk::TYPE;
            let answer = |said: &Said<'_>| said.kind == MessageAssistant::TYPE;
            for is_it in [first as fn(&Said<'_>) -> bool, answer] {
                match (expected.peek().is_some_and(is_it), got.peek().is_some_and(is_it)) {
                    (true, false) => drop(expected.next()),
                    (false, true) => drop(got.next()),
                    _ => {}
                }
            }
        }
        let (expected, got) = match (expected.next(), got.next()) {
            (None, None) => return None,
            (Some(expected), Some(got)) if expected.kind == got.kind => (expected, got),
            (expected, got) => {
                let kind = |said: &Option<Said<'_>>| said.as_ref().and_then(|said| json(said.kind));
                return Some(Divergence {
                    seq: expected.as_ref().and_then(|said| said.seq),
                    event: expected
                        .as_ref()
                        .or(got.as_ref())
                        .map(|said| said.kind.to_owned())
                        .unwrap_or_default(),
                    field: "type".to_owned(),
                    expected: kind(&expected),
                    got: kind(&got),
                });
            }
        };
        let is_known_in_part = plan.is_recovered
            && [LlmResponseFirstChunk::TYPE, LlmResponseInterrupted::TYPE].contains(&expected.kind);
        if is_known_in_part || plan.is_recovered && begins_alike(&expected, &got) {
            continue;
        }
        let skip = |path: &str| is_left_out(expected.kind, path);
        if let Some(found) = json_difference(expected.payload.get(), got.payload.get(), skip) {
            let json = |text: Option<String>| text.and_then(|text| Json::new(text).ok());
            return Some(Divergence {
                seq: expected.seq,
                event: expected.kind.to_owned(),
                field: found.path,
                expected: json(found.a),
                got: json(found.b),
            });
        }
    }
}

/// What an event says, recorded or not.
#[derive(Clone, Copy)]
struct Said<'a> {
    seq: Option<u64>,
    kind: &'a str,
    payload: &'a Json,
}

impl<'a> Said<'a> {
    fn of_event(event: &'a Event) -> Option<Self> {
        let payload = event.payload()?;
        COMPARED.contains(&event.kind()).then(|| Self { seq: Some(event.seq()), kind: event.kind(), payload })
    }

    fn of_draft(draft: &'a Draft) -> Option<Self> {
        let is_compared = COMPARED.contains(&draft.kind.as_str());
        is_compared.then_some(Self { seq: None, kind: &draft.kind, payload: &draft.payload })
    }
}

/// Leaves those warnings out of what is expected that are not about what was asked and answered: about keys, agents and
/// attachments before the request, and about the record after it.
fn lenient<'a>(expected: Vec<Said<'a>>, got: &[Said<'_>]) -> Vec<Said<'a>> {
    let mut is_asked = false;
    let is_due = |said: &Said<'_>| {
        is_asked |= said.kind == LlmRequestStarted::TYPE;
        if said.kind != WarningRaised::TYPE {
            return true;
        }
        let is_about_record = said.payload.get().contains(wire::ABOUT);
        let comes = || got.iter().any(|got| got.kind == said.kind && got.payload.get() == said.payload.get());
        if is_asked { !is_about_record } else { comes() }
    };
    let mut is_due = is_due;
    expected.into_iter().filter(|said| is_due(said)).collect()
}

fn is_left_out(kind: &str, path: &str) -> bool {
    let last = path.rsplit('.').next().unwrap_or(path);
    let is_named = match kind {
        MessageAssistant::TYPE => path == "id",
        // The body was held against its hash before.
        LlmRequestStarted::TYPE => path.starts_with("body_"),
        TurnCompleted::TYPE | TurnFailed::TYPE | TurnInterrupted::TYPE => path == "answer",
        _ => false,
    };
    is_named || kind.starts_with("llm.") && TIMES.contains(&last)
}

/// Tells whether two answers that were cut off say the same as far as both go.
fn begins_alike(expected: &Said<'_>, got: &Said<'_>) -> bool {
    let (Ok(expected), Ok(got)) =
        (expected.payload.to::<MessageAssistant>(), got.payload.to::<MessageAssistant>())
    else {
        return false;
    };
    let (a, b) = (words(&expected.message), words(&got.message));
    a.starts_with(&b) || b.starts_with(&a)
}

/// Returns everything that a message says and calls, one after another.
fn words(message: &Message) -> String {
    let mut words = String::new();
    for part in &message.parts {
        match &part.kind {
            PartKind::Text { text, .. } | PartKind::Refusal { text } => words.push_str(text),
            PartKind::Reasoning { blocks } => blocks.iter().for_each(|block| words.push_str(block.text())),
            PartKind::ToolCall { name, arguments, .. } => {
                words.push_str(name);
                words.push_str(arguments.as_str());
            }
            _ => {}
        }
    }
    words
}

fn json<T: Serialize + ?Sized>(value: &T) -> Option<Json> {
    Json::from_value(value).ok()
}
