//! Facts about calls of a model: what was asked, how long it took, and the one way in which it ended.

use aichat_message::{ErrorKind, Finish, Json, MessageId, Protocol, Usage};
use serde::{Deserialize, Serialize};

use super::turn::Interruption;
use crate::hex::Hash;

/// A request is sent; it refers to messages and does not repeat them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LlmRequestStarted {
    /// Which attempt of its call it is; the first is 1.
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
    /// The messages sent, in order.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Vec<crate::schema::MessageId>"))]
    pub messages: Vec<MessageId>,
    /// The hash of the exact bytes of the body.
    pub body_hash: Hash,
    /// The length of the body in bytes.
    #[serde(default)]
    pub body_bytes: u64,
    /// The version of the crate that made the body.
    #[serde(default)]
    pub adapter: String,
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

/// The first content arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct LlmResponseFirstChunk {
    /// How long it took from the start of the request until the response began, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte_us: Option<u64>,
    /// How long that took from the start of the request, in microseconds.
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
}

/// How long a response took, in microseconds since its request started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Timing {
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
    LlmRequestStarted = "llm.request.started";
    LlmRequestRetried = "llm.request.retried";
    LlmResponseFirstChunk = "llm.response.first_chunk";
    LlmResponseCompleted = "llm.response.completed";
    LlmResponseFailed = "llm.response.failed";
    LlmResponseInterrupted = "llm.response.interrupted";
}
