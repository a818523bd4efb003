//! What was said, for whoever asks for it: as JSON, in the shape of the conventions.

use aichat_message::{Message, Part, PartKind};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use serde_json::{Value, json};

use super::call::Call;
use super::value::field;
use super::{Turn, names};
use crate::envelope::Event;
use crate::fact::{Fact, MessageAssistant, MessageSystem, MessageTool, MessageUser};

/// Returns what was said in a turn before a call, and what the call answered. What was said in earlier turns is in theirs.
pub(super) fn said(turn: &Turn<'_>, call: &Call<'_>) -> Vec<KeyValue> {
    let before = turn.events.iter().filter(|event| event.seq() < call.start.seq());
    let input: Vec<Value> = before.filter_map(|event| message(event)).collect();
    let mut after = turn.events.iter().filter(|event| event.seq() > call.end.seq());
    let output = after.find_map(|event| MessageAssistant::of(event)).map(|fact| of(&fact.message));
    let mut attributes = Vec::new();
    if !input.is_empty() {
        attributes.push(field(names::INPUT_MESSAGES, Value::from(input).to_string()));
    }
    attributes.extend(output.map(|output| field(names::OUTPUT_MESSAGES, json!([output]).to_string())));
    attributes
}

fn message(event: &Event) -> Option<Value> {
    let message = MessageUser::of(event)
        .map(|fact| fact.message)
        .or_else(|| MessageSystem::of(event).map(|fact| fact.message))
        .or_else(|| MessageTool::of(event).map(|fact| fact.message))
        .or_else(|| MessageAssistant::of(event).map(|fact| fact.message))?;
    Some(of(&message))
}

fn of(message: &Message) -> Value {
    json!({ "role": message.role.as_str(), "parts": message.parts.iter().map(part).collect::<Vec<_>>() })
}

/// Returns a part; of media, what they are and not their bytes.
fn part(part: &Part) -> Value {
    match &part.kind {
        PartKind::Text { text, .. } | PartKind::Refusal { text } => {
            json!({ "type": "text", "content": text })
        }
        PartKind::Reasoning { blocks } => {
            let text: Vec<&str> = blocks.iter().map(|block| block.text()).collect();
            json!({ "type": "reasoning", "content": text.join("\n") })
        }
        PartKind::ToolCall { call_id, name, arguments, .. } => {
            json!({ "type": "tool_call", "id": call_id, "name": name, "arguments": arguments.as_str() })
        }
        PartKind::ToolResult { call_id, content, .. } => {
            let text: Vec<Value> = content.iter().map(self::part).collect();
            json!({ "type": "tool_call_response", "id": call_id, "response": text })
        }
        PartKind::Media { mime, name, .. } => json!({ "type": "media", "mime_type": mime, "name": name }),
        PartKind::Unknown { type_name, .. } => json!({ "type": type_name }),
        _ => json!({ "type": "unknown" }),
    }
}
