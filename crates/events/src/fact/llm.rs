//! Facts about calls of a model: what was asked, how long it took, and the one way in which it ended.

use std::collections::BTreeMap;

use aichat_message::{ErrorKind, Finish, Json, JsonError, MessageId, Protocol, Usage};
use serde::{Deserialize, Serialize};

use super::turn::Interruption;
use crate::hex::{Hash, Span};

/// A request is sent; it refers to messages and does not repeat them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LlmRequestStarted {
    /// Which attempt of its turn it is; the first is 1.
    #[serde(default)]
    pub attempt: u32,
    /// The name the provider is configured under.
    #[serde(default)]
    pub provider: String,
    /// The wire protocol.
    #[cfg_attr(test, schemars(with = "crate::schema::Protocol"))]
    pub protocol: Protocol,
    /// The profile of the protocol, by name, where the protocol has profiles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The version of the protocol that is asked for, where one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// The host that it goes to.
    #[serde(default)]
    pub host: String,
    /// The path there, without its query; empty where that is nowhere.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// Whether the provider is declared to ask for nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub local: bool,
    /// The model asked for, as the provider names it.
    #[serde(default)]
    pub model: String,
    /// The options of the request, an object.
    #[cfg_attr(test, schemars(with = "crate::schema::Json"))]
    pub options: Json,
    /// What form the answer shall have, an object; free text where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::schema::Json>"))]
    pub output: Option<Json>,
    /// Whether the answer shall be streamed.
    #[serde(default)]
    pub stream: bool,
    /// The messages sent.
    #[serde(default)]
    pub messages: Messages,
    /// The hash of the exact bytes of the body.
    pub body_hash: Hash,
    /// The length of the body in bytes.
    #[serde(default)]
    pub body_bytes: u64,
    /// The version of the crate that made the body.
    #[serde(default)]
    pub adapter: String,
}

/// Which messages a request repeats: those of a branch, by its end, so that a long session's requests say no more than
/// a short one's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Messages {
    /// The last message; with it go all before it on its branch.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::schema::MessageId>"))]
    pub last: Option<MessageId>,
    /// Those of the branch that are left out, because nothing of them can be repeated.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(test, schemars(with = "Vec<crate::schema::MessageId>"))]
    pub left_out: Vec<MessageId>,
    /// All that are sent, in order, where the first version of the payload lists them; then it alone counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<Vec<crate::schema::MessageId>>"))]
    pub listed: Option<Vec<MessageId>>,
}

/// Reads a payload of version 1, which lists the messages.
fn listed(payload: &Json) -> Result<Json, JsonError> {
    #[derive(Deserialize)]
    struct Of {
        #[serde(default)]
        messages: Vec<MessageId>,
    }
    let listed = payload.to::<Of>()?.messages;
    let messages = Messages { last: listed.last().cloned(), left_out: Vec::new(), listed: Some(listed) };
    let mut fields: BTreeMap<String, Json> = payload.to()?;
    fields.insert("messages".to_owned(), Json::from_value(&messages)?);
    Json::from_value(&fields)
}

/// An attempt failed and another one follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LlmRequestRetried {
    /// The attempt that failed.
    #[serde(default)]
    pub attempt: u32,
    /// How long the next one waits, in milliseconds.
    #[serde(default)]
    pub delay_ms: u64,
    /// What went wrong.
    #[cfg_attr(test, schemars(with = "crate::schema::ErrorKind"))]
    pub kind: ErrorKind,
    /// The same in a phrase.
    #[serde(default)]
    pub message: String,
    /// The HTTP status, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
}

/// A model gave no answer, and the next of those that may stand in for it is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LlmRequestRerouted {
    /// The model that gave none, `provider/model`.
    #[serde(default)]
    pub from: String,
    /// The model that is asked next, `provider/model`.
    #[serde(default)]
    pub to: String,
    /// What went wrong.
    #[cfg_attr(test, schemars(with = "crate::schema::ErrorKind"))]
    pub kind: ErrorKind,
    /// The same in a phrase.
    #[serde(default)]
    pub message: String,
    /// The HTTP status, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
}

/// The first content arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct LlmResponseFirstChunk {
    /// How long it took from the start of the request to the first byte of the answer, its head, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte_us: Option<u64>,
    /// How long it took to the first content, in microseconds.
    pub first_content_us: u64,
}

/// An answer ended as its protocol says it should.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LlmResponseCompleted {
    /// The model that answered, as the provider names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The provider's id of the response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_id: Option<String>,
    /// The provider's id of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Why the answer ended.
    #[cfg_attr(test, schemars(with = "crate::schema::Finish"))]
    pub finish: Finish,
    /// What it consumed, where the provider said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::schema::Usage>"))]
    pub usage: Option<Usage>,
    /// How long it took.
    #[serde(default)]
    pub timing: Timing,
    /// Response headers about rate limits, in order: lower-case name, value.
    #[serde(default)]
    pub rate_limits: Vec<(String, String)>,
}

/// A request failed for good, or an answer broke off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LlmResponseFailed {
    /// What went wrong.
    #[cfg_attr(test, schemars(with = "crate::schema::ErrorKind"))]
    pub kind: ErrorKind,
    /// The same in a phrase.
    #[serde(default)]
    pub message: String,
    /// The HTTP status, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The provider's own code or type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The provider's id of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Whether the same request may succeed later.
    #[serde(default)]
    pub retryable: bool,
    /// How long the provider asks to wait, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// What it consumed, where the provider said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::schema::Usage>"))]
    pub usage: Option<Usage>,
    /// How long it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timing: Option<Timing>,
    /// What there was of the answer; nothing where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Kept>,
}

/// An answer was stopped before its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LlmResponseInterrupted {
    /// What stopped it.
    pub reason: Interruption,
    /// What it consumed, where the provider said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::schema::Usage>"))]
    pub usage: Option<Usage>,
    /// How long it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timing: Option<Timing>,
    /// What there was of the answer; nothing where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Kept>,
}

/// What went over the network for a turn is kept, as one blob; whoever brings the turn into the log says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LlmWireKept {
    /// The hash of the blob: exchanges packed and compressed with zstd.
    pub blob: Hash,
    /// The length of the blob in bytes.
    #[serde(default)]
    pub bytes: u64,
    /// The exchanges in it, in the order in which they began.
    #[serde(default)]
    pub exchanges: Vec<WireExchange>,
}

/// One exchange over the network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct WireExchange {
    /// The span of the attempt that it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span: Option<Span>,
    /// The HTTP status, where an answer came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// In how many pieces the body came.
    pub chunks: u64,
    /// The length of the body in bytes.
    pub bytes: u64,
    /// How it ended: `complete`, `dropped` by the caller or `failed`; absent where the recording broke off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
}

/// What there was of an answer that did not come to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Kept {
    /// How many parts of the message.
    pub parts: u64,
    /// How much text, in bytes.
    pub text_bytes: u64,
}

/// How long a response took, in microseconds since its request started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Timing {
    /// From the beginning of the turn to the start of the request, earlier attempts included; before the other times.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_us: Option<u64>,
    /// Until the first byte of the answer, its head.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte_us: Option<u64>,
    /// Until the first content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_content_us: Option<u64>,
    /// Until the end.
    pub total_us: u64,
    /// How many deltas came.
    pub chunks: u64,
    /// The longest wait between two of them.
    pub longest_gap_us: u64,
}

super::fact! {
    LlmRequestStarted = "llm.request.started" upcast [listed];
    LlmRequestRetried = "llm.request.retried";
    LlmRequestRerouted = "llm.request.rerouted";
    LlmResponseFirstChunk = "llm.response.first_chunk";
    LlmResponseCompleted = "llm.response.completed";
    LlmResponseFailed = "llm.response.failed";
    LlmResponseInterrupted = "llm.response.interrupted";
    LlmWireKept = "llm.wire.kept";
}
