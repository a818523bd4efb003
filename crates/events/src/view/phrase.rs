//! What an event says, in one phrase.

use aichat_message::{Finish, FinishReason, Message, Money, PartKind, Usage};

use crate::envelope::Event;
use crate::fact::{
    AgentRef, BudgetCommitted, BudgetExceeded, BudgetReleased, BudgetReserved, CostCalculated, CostRevised,
    DocumentDeleted, DocumentSaved, Fact, LlmRequestRerouted, LlmRequestRetried, LlmRequestStarted,
    LlmResponseCompleted, LlmResponseFailed, LlmResponseFirstChunk, LlmResponseInterrupted, LlmWireKept,
    MessageAssistant, MessageDropped, MessageEdited, MessageSystem, MessageTool, MessageUser, SecretRedacted,
    SessionArchived, SessionCreated, SessionForked, SessionHeadMoved, SessionImportedFrom,
    SessionModelSwitched, SessionRenamed, SessionSettingsChanged, TurnCompleted, TurnFailed, TurnInterrupted,
    TurnRecovered, TurnStarted, WarningRaised,
};
use crate::time;

/// How much of an unknown payload is looked at, in characters.
const UNKNOWN: usize = 240;

/// Returns what an event says, not yet safe to show and of any length.
pub(super) fn phrase(event: &Event) -> String {
    if event.payload().is_none() {
        return "erased".to_owned();
    }
    known(event).unwrap_or_else(|| {
        let payload = event.payload().map_or("", |payload| payload.get());
        payload.chars().take(UNKNOWN).collect()
    })
}

fn known(event: &Event) -> Option<String> {
    Some(match event.kind() {
        TurnStarted::TYPE => {
            let fact = TurnStarted::of(event)?;
            with(fact.model, fact.agent.as_ref().map(agent))
        }
        TurnCompleted::TYPE => finish(&TurnCompleted::of(event)?.finish),
        TurnFailed::TYPE => TurnFailed::of(event).map(|fact| format!("{}: {}", fact.kind, fact.message))?,
        TurnInterrupted::TYPE => TurnInterrupted::of(event)?.reason.to_string(),
        TurnRecovered::TYPE => {
            let fact = TurnRecovered::of(event)?;
            format!("{} records, {} bytes", fact.records, fact.bytes)
        }
        MessageSystem::TYPE => said(&MessageSystem::of(event)?.message),
        MessageUser::TYPE => said(&MessageUser::of(event)?.message),
        MessageTool::TYPE => said(&MessageTool::of(event)?.message),
        MessageAssistant::TYPE => {
            let fact = MessageAssistant::of(event)?;
            with(said(&fact.message), fact.partial.then(|| "cut off".to_owned()))
        }
        MessageEdited::TYPE => said(&MessageEdited::of(event)?.message),
        MessageDropped::TYPE => format!("{} left out", MessageDropped::of(event)?.id),
        LlmRequestStarted::TYPE => {
            let fact = LlmRequestStarted::of(event)?;
            let attempt =
                if fact.attempt > 1 { format!("attempt {}, ", fact.attempt) } else { String::new() };
            format!("{attempt}{} at {}, {}", fact.model, fact.host, bytes(fact.body_bytes))
        }
        LlmRequestRetried::TYPE => {
            let fact = LlmRequestRetried::of(event)?;
            let wait = time::duration(fact.delay_ms.saturating_mul(1000));
            let what = what(fact.kind.as_str(), fact.status);
            format!("attempt {} {what}, waits {wait}: {}", fact.attempt, fact.message)
        }
        LlmRequestRerouted::TYPE => {
            let fact = LlmRequestRerouted::of(event)?;
            let what = what(fact.kind.as_str(), fact.status);
            format!("from {} to {}, {what}: {}", fact.from, fact.to, fact.message)
        }
        LlmResponseFirstChunk::TYPE => {
            let fact = LlmResponseFirstChunk::of(event)?;
            format!("first content after {}", time::duration(fact.first_content_us))
        }
        LlmResponseCompleted::TYPE => {
            let fact = LlmResponseCompleted::of(event)?;
            with(format!("{}, {}", finish(&fact.finish), tokens(fact.usage.as_ref())), fact.model)
        }
        LlmResponseFailed::TYPE => {
            let fact = LlmResponseFailed::of(event)?;
            format!("{}: {}", what(fact.kind.as_str(), fact.status), fact.message)
        }
        LlmResponseInterrupted::TYPE => {
            let fact = LlmResponseInterrupted::of(event)?;
            format!("{}, {}", fact.reason, tokens(fact.usage.as_ref()))
        }
        SessionCreated::TYPE => {
            let fact = SessionCreated::of(event)?;
            with(fact.name.unwrap_or_else(|| "without a name".to_owned()), fact.model)
        }
        SessionRenamed::TYPE => {
            SessionRenamed::of(event)?.name.unwrap_or_else(|| "its name was taken away".to_owned())
        }
        SessionSettingsChanged::TYPE => SessionSettingsChanged::of(event)?.model?,
        SessionForked::TYPE => {
            let fact = SessionForked::of(event)?;
            with(format!("from {} at event {}", fact.parent, fact.seq), fact.name)
        }
        SessionHeadMoved::TYPE => {
            let fact = SessionHeadMoved::of(event)?;
            let to = fact.head.map_or_else(|| "the beginning".to_owned(), |head| head.to_string());
            format!("branch {} to {to}", fact.branch)
        }
        SessionArchived::TYPE => match SessionArchived::of(event)?.archived {
            true => "put away".to_owned(),
            false => "taken up again".to_owned(),
        },
        SessionImportedFrom::TYPE => SessionImportedFrom::of(event)?.tool,
        DocumentSaved::TYPE => {
            let fact = DocumentSaved::of(event)?;
            format!("{} {}, version {}", fact.kind, fact.name, fact.version)
        }
        DocumentDeleted::TYPE => {
            let fact = DocumentDeleted::of(event)?;
            format!("{} {}, version {}", fact.kind, fact.name, fact.version)
        }
        LlmWireKept::TYPE => {
            let fact = LlmWireKept::of(event)?;
            format!("{}, {}", counted(fact.exchanges.len() as u64, "exchange"), bytes(fact.bytes))
        }
        SessionModelSwitched::TYPE => {
            let fact = SessionModelSwitched::of(event)?;
            format!("from {} to {}", fact.from, fact.to)
        }
        WarningRaised::TYPE => WarningRaised::of(event)?.text,
        SecretRedacted::TYPE => {
            let counts = SecretRedacted::of(event)?.counts;
            counts
                .iter()
                .map(|secret| format!("{} ×{}", secret.name, secret.count))
                .collect::<Vec<_>>()
                .join(", ")
        }
        CostCalculated::TYPE => cost(&CostCalculated::of(event)?),
        CostRevised::TYPE => {
            let fact = CostRevised::of(event)?;
            format!("{}, was {}", cost(&fact.cost), dollars(fact.was))
        }
        BudgetReserved::TYPE => format!("${} set aside", BudgetReserved::of(event)?.amount),
        BudgetCommitted::TYPE => {
            let fact = BudgetCommitted::of(event)?;
            format!("${} of ${} spent", fact.amount, fact.reserved)
        }
        BudgetReleased::TYPE => format!("${} free again", BudgetReleased::of(event)?.amount),
        BudgetExceeded::TYPE => {
            let fact = BudgetExceeded::of(event)?;
            format!(
                "{}: ${} of ${} left, {} needed",
                fact.budget,
                fact.remaining,
                fact.limit,
                dollars(fact.needed)
            )
        }
        _ => return None,
    })
}

fn cost(cost: &CostCalculated) -> String {
    format!("{} ({})", dollars(cost.amount), cost.status)
}

fn dollars(amount: Option<Money>) -> String {
    amount.map_or_else(|| "unknown".to_owned(), |amount| format!("${amount}"))
}

fn with(text: String, more: Option<String>) -> String {
    match more.filter(|more| !more.is_empty()) {
        Some(more) => format!("{text} ({more})"),
        None => text,
    }
}

fn agent(agent: &AgentRef) -> String {
    format!("agent {}, version {}", agent.name, agent.version)
}

fn what(kind: &str, status: Option<u16>) -> String {
    with(kind.to_owned(), status.map(|status| status.to_string()))
}

fn finish(finish: &Finish) -> String {
    let reason = match finish.reason {
        FinishReason::Stop => "came to its end",
        FinishReason::Length => "ended at the limit of its length",
        FinishReason::ToolCalls => "calls tools",
        FinishReason::ContentFilter => "cut off by the provider's filter",
        FinishReason::Refusal => "the model declined",
        FinishReason::Pause => "paused by the provider",
        FinishReason::ContextWindow => "the context window is full",
        FinishReason::Other => return finish.raw.clone().unwrap_or_else(|| "ended".to_owned()),
        _ => "ended",
    };
    reason.to_owned()
}

fn tokens(usage: Option<&Usage>) -> String {
    let (input, output) = usage.map_or((None, None), |usage| (usage.input_tokens, usage.output_tokens));
    match (input, output) {
        (None, None) => "tokens unknown".to_owned(),
        (input, output) => format!("{} in, {} out", count(input), count(output)),
    }
}

fn count(tokens: Option<u64>) -> String {
    tokens.map_or_else(|| "unknown".to_owned(), |tokens| tokens.to_string())
}

fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{}.{} kB", bytes / 1_000, bytes / 100 % 10),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10),
    }
}

/// Returns the beginning of what a message says, and what else is in it.
fn said(message: &Message) -> String {
    let text = message.text();
    let mut words: Vec<String> = Vec::new();
    if !text.trim().is_empty() {
        words.push(text.split_whitespace().take(60).collect::<Vec<_>>().join(" "));
    }
    for part in &message.parts {
        match &part.kind {
            PartKind::ToolCall { name, .. } => words.push(format!("[calls {name}]")),
            PartKind::ToolResult { is_error: true, .. } => words.push("[tool error]".to_owned()),
            PartKind::ToolResult { .. } => words.push("[tool result]".to_owned()),
            PartKind::Media { name, mime, .. } => {
                let what = name.as_deref().or(mime.as_deref()).unwrap_or("media");
                words.push(format!("[attached {what}]"));
            }
            PartKind::Refusal { text } => words.push(format!("[refused] {text}")),
            PartKind::Reasoning { .. } if text.trim().is_empty() => words.push("[reasoning]".to_owned()),
            _ => {}
        }
    }
    words.join(" ")
}
