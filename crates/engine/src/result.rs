//! The result of a turn: what came of it, in fixed fields for programs.

use aichat_events::{CostCalculated, Redactor};
use aichat_message::{
    CostStatus, Currency, ErrorKind, Finish, Json, Message, MessageId, Money, Opaque, OpaqueKind, PartKind,
    SessionId, TurnId, Usage,
};
use serde::Serialize;

use crate::report::{Report, millis};
use crate::turn::{Outcome, Status};

/// The schema of a result.
pub(crate) const SCHEMA: &str = "aichat.result/1";

/// What came of a turn; `aichat.result/1`. The answer in it is the model's, unaltered; everything else has its
/// secrets masked.
#[derive(Serialize)]
pub struct TurnResult {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    line_type: Option<&'static str>,
    schema: &'static str,
    /// Which line of a batch it is of.
    #[serde(flatten)]
    of: Option<OfLine>,
    status: Status,
    text: String,
    /// The code block that was asked for, where one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    block: Option<Option<String>>,
    /// The JSON in the answer that keeps to the form that was asked for, where one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    json: Option<Option<Json>>,
    /// How many answers before this one did not keep to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    mended: Option<u32>,
    reasoning: Vec<Reasoning>,
    tool_calls: Vec<ToolCall>,
    /// The model's words for declining, where it said them apart from its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<String>,
    finish: Option<Finish>,
    usage: Counts,
    cost: Price,
    provider: Option<String>,
    model: Option<String>,
    session_id: Option<SessionId>,
    turn_id: Option<TurnId>,
    message_id: Option<MessageId>,
    request_id: Option<String>,
    timing: Timing,
    warnings: Vec<String>,
    error: Option<Report>,
}

/// The line of a batch that a result is of.
#[derive(Serialize)]
struct OfLine {
    index: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Json>,
    input_hash: String,
}

#[derive(Serialize)]
struct Reasoning {
    text: Option<String>,
    signature: Option<String>,
    opaque: Option<String>,
    kind: Option<OpaqueKind>,
}

#[derive(Serialize)]
struct ToolCall {
    id: String,
    name: String,
    arguments: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments_raw: Option<String>,
}

#[derive(Default, Serialize)]
struct Counts {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
    reasoning_tokens: Option<u64>,
    raw: Option<Json>,
}

#[derive(Serialize)]
struct Price {
    amount: Option<Money>,
    currency: Currency,
    status: CostStatus,
    /// What it costs by the price table, where the provider named the amount.
    #[serde(skip_serializing_if = "Option::is_none")]
    calculated: Option<Money>,
}

#[derive(Default, Serialize)]
struct Timing {
    first_token_ms: Option<u64>,
    total_ms: Option<u64>,
}

impl TurnResult {
    /// Returns the result of a turn, and `error` as that of [`Outcome::report`]; `saved` says whether its ids can be used
    /// again.
    pub fn of(outcome: &Outcome, error: Option<Report>, saved: bool, redactor: &Redactor) -> Self {
        let usage = outcome.usage.clone().unwrap_or_default();
        Self {
            line_type: None,
            schema: SCHEMA,
            of: None,
            status: outcome.status,
            text: outcome.message.text(),
            block: None,
            json: outcome.output.as_ref().map(|_| json(outcome)),
            mended: outcome.output.as_ref().map(|_| outcome.mended),
            reasoning: reasoning(&outcome.message),
            tool_calls: tool_calls(&outcome.message),
            refusal: refusal(&outcome.message),
            finish: outcome.finish.clone(),
            usage: Counts::from(usage),
            cost: Price::from(&outcome.cost()),
            provider: Some(outcome.model.provider.clone()),
            model: Some(outcome.model.model.clone()),
            session_id: saved.then(|| outcome.session.clone()),
            turn_id: saved.then(|| outcome.turn.clone()),
            message_id: outcome.answer.clone().filter(|_| saved),
            request_id: outcome.request_id.as_deref().map(|id| redactor.redact_str(id).into_owned()),
            timing: Timing {
                first_token_ms: outcome.first_content.map(millis),
                total_ms: Some(millis(outcome.total)),
            },
            warnings: outcome.warnings.iter().map(|text| redactor.redact_str(text).into_owned()).collect(),
            error: error.map(|report| report.within().masked(redactor)),
        }
    }

    /// Returns the result of a turn that never began.
    pub fn failed(report: Report, redactor: &Redactor) -> Self {
        Self {
            line_type: None,
            schema: SCHEMA,
            of: None,
            status: match report.kind {
                ErrorKind::Cancelled => Status::Interrupted,
                _ => Status::Failed,
            },
            text: String::new(),
            block: None,
            json: None,
            mended: None,
            reasoning: Vec::new(),
            tool_calls: Vec::new(),
            refusal: None,
            finish: None,
            usage: Counts::default(),
            cost: Price::from(&CostCalculated::default()),
            provider: report.model.as_ref().map(|model| model.provider.clone()),
            model: report.model.as_ref().map(|model| model.model.clone()),
            session_id: None,
            turn_id: None,
            message_id: None,
            request_id: report.request_id.as_deref().map(|id| redactor.redact_str(id).into_owned()),
            timing: Timing::default(),
            warnings: Vec::new(),
            error: Some(report.within().masked(redactor)),
        }
    }

    /// Adds the code block that was asked for, where the answer has it.
    #[must_use]
    pub fn with_block(mut self, block: Option<String>) -> Self {
        self.block = Some(block);
        self
    }

    /// Returns the result as that of a line of a batch, with its own name, and what tells it from another line.
    #[must_use]
    pub fn of_line(mut self, index: u64, id: Option<Json>, hash: u64) -> Self {
        self.of = Some(OfLine { index, id, input_hash: format!("{hash:016x}") });
        self
    }

    /// Returns the result as the last line of a stream.
    #[must_use]
    pub fn into_line(mut self) -> Self {
        self.line_type = Some("result");
        self
    }
}

impl From<Usage> for Counts {
    fn from(usage: Usage) -> Self {
        Self {
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cache_read_tokens: usage.cache_read_tokens,
            cache_write_tokens: usage.cache_write_tokens,
            reasoning_tokens: usage.reasoning_tokens,
            raw: usage.raw,
        }
    }
}

impl From<&CostCalculated> for Price {
    fn from(cost: &CostCalculated) -> Self {
        Self {
            amount: cost.amount,
            currency: cost.currency,
            status: cost.status,
            calculated: cost.calculated,
        }
    }
}

fn json(outcome: &Outcome) -> Option<Json> {
    Json::new(outcome.formed.as_ref()?.as_ref().ok()?.as_str()).ok()
}

fn reasoning(message: &Message) -> Vec<Reasoning> {
    let mut all = Vec::new();
    for part in &message.parts {
        let PartKind::Reasoning { blocks } = &part.kind else { continue };
        let signs =
            |opaque: &&Opaque| matches!(opaque.kind, OpaqueKind::Signature | OpaqueKind::ThoughtSignature);
        let mut rest = part.opaque.iter().filter(|opaque| !signs(opaque));
        let first = rest.next();
        all.push(Reasoning {
            text: (!blocks.is_empty()).then(|| blocks.iter().map(|block| block.text()).collect()),
            signature: part.opaque.iter().find(signs).map(|opaque| opaque.data.clone()),
            opaque: first.map(|opaque| opaque.data.clone()),
            kind: first.map(|opaque| opaque.kind.clone()),
        });
        all.extend(rest.map(|opaque| Reasoning {
            text: None,
            signature: None,
            opaque: Some(opaque.data.clone()),
            kind: Some(opaque.kind.clone()),
        }));
    }
    all
}

/// Returns the model's words for declining, where it said them apart from its text.
pub(crate) fn refusal(message: &Message) -> Option<String> {
    let words: Vec<&str> = message
        .parts
        .iter()
        .filter_map(|part| match &part.kind {
            PartKind::Refusal { text } => Some(text.as_str()),
            _ => None,
        })
        .collect();
    (!words.is_empty()).then(|| words.concat())
}

fn tool_calls(message: &Message) -> Vec<ToolCall> {
    let mut calls = Vec::new();
    for part in &message.parts {
        let PartKind::ToolCall { call_id, name, arguments, .. } = &part.kind else { continue };
        let json = arguments.json().ok();
        calls.push(ToolCall {
            id: call_id.clone(),
            name: name.clone(),
            arguments_raw: json.is_none().then(|| arguments.as_str().to_owned()),
            arguments: json,
        });
    }
    calls
}

#[cfg(test)]
mod tests {
    use super::*;
    use aichat_message::Part;

    #[test]
    fn a_refusal_is_told_apart_from_the_text() {
        let parts = vec![Part::refusal("I would "), Part::text("well"), Part::refusal("rather not")];
        let message = Message::new(aichat_message::Role::Assistant, parts);
        assert_eq!(refusal(&message).as_deref(), Some("I would rather not"));
        assert_eq!(refusal(&Message::assistant("yes")), None);
    }
}
