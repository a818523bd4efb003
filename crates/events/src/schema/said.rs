//! The schemas of the vocabulary, as far as payloads use it.
#![expect(dead_code, reason = "its types are read by their derived schemas only")]

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// Types whose values are text of one pattern.
macro_rules! texts {
    ($($name:ident = $pattern:literal;)*) => {
        $(pub(crate) struct $name;)*
        super::text! { $($name = $pattern;)* }
    };
}

texts! {
    SessionId = "^ses_[0-9a-hjkmnp-tv-z]{1,64}$";
    MessageId = "^msg_[0-9a-hjkmnp-tv-z]{1,64}$";
    TurnId = "^trn_[0-9a-hjkmnp-tv-z]{1,64}$";
    EventId = "^evt_[0-9a-hjkmnp-tv-z]{1,64}$";
    CallId = "^cal_[0-9a-hjkmnp-tv-z]{1,64}$";
    WriterId = "^wrt_[0-9a-hjkmnp-tv-z]{1,64}$";
    Money = "^-?[0-9]+([.][0-9]{1,12})?$";
}

/// Any JSON, kept as the bytes that it came in.
pub(crate) struct Json;

impl JsonSchema for Json {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Json".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({})
    }
}

/// What went wrong. A reader takes a word that it does not know for `server`.
pub(crate) struct ErrorKind;

impl JsonSchema for ErrorKind {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ErrorKind".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let kinds: Vec<_> = aichat_message::ErrorKind::ALL.iter().map(|kind| kind.as_str()).collect();
        json_schema!({
            "description": "What went wrong. A reader takes a word that it does not know for `server`.",
            "type": "string",
            "enum": kinds,
        })
    }
}

/// A wire protocol: `openai-chat`, `openai-responses`, `anthropic`, `gemini`, `azure-chat`, `azure-responses`, `ollama`,
/// or another.
#[derive(JsonSchema)]
pub(crate) struct Protocol(String);

/// Why an answer ended.
#[derive(JsonSchema)]
pub(crate) struct Finish {
    /// The reason in one vocabulary for all providers.
    reason: FinishReason,
    /// The provider's word, where it gave one.
    #[serde(default)]
    raw: Option<String>,
}

/// Why an answer ended, in one vocabulary for all providers. A reader takes a word that it does not know for `other`.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum FinishReason {
    /// The model came to its end, or to a stop sequence.
    Stop,
    /// The output limit was reached.
    Length,
    /// The model waits for the results of its tool calls.
    ToolCalls,
    /// The provider's filter cut the answer off.
    ContentFilter,
    /// The model declined.
    Refusal,
    /// The provider paused a long turn; sending it back continues it.
    Pause,
    /// The context window is full.
    ContextWindow,
    /// Something else; the raw word says what.
    Other,
}

/// Token counts of one call. A count that the provider did not give is absent, never zero.
#[derive(JsonSchema)]
pub(crate) struct Usage {
    /// Everything the model read, cached tokens included.
    input_tokens: Option<u64>,
    /// Everything the model wrote, reasoning included.
    output_tokens: Option<u64>,
    /// The part of the input that was read from a cache.
    cache_read_tokens: Option<u64>,
    /// The part of the input that was written to a cache, whatever its lifetime.
    cache_write_tokens: Option<u64>,
    /// The part of `cache_write_tokens` with a lifetime of an hour.
    cache_write_1h_tokens: Option<u64>,
    /// The part of the output that was reasoning.
    reasoning_tokens: Option<u64>,
    /// The part of the input that was audio.
    audio_input_tokens: Option<u64>,
    /// The part of the output that was audio.
    audio_output_tokens: Option<u64>,
    /// What the call costs in dollars by the provider's own account.
    cost: Option<Money>,
    /// The provider's own usage object, unchanged.
    raw: Option<Json>,
}

/// A currency.
#[derive(JsonSchema)]
pub(crate) enum Currency {
    /// United States dollars.
    #[serde(rename = "USD")]
    Usd,
}

/// How far an amount can be trusted. A reader takes a word that it does not know for `unknown`.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CostStatus {
    /// Every token was counted and priced.
    Exact,
    /// Every token was priced, but the counts contradict or overlap each other, something is billed that was not
    /// counted, or the price is an assumption.
    Estimated,
    /// Some tokens have no known price; the amount is the sum of the others, a lower bound.
    Partial,
    /// The provider is local and asks for nothing.
    LocalFree,
    /// The provider named the amount itself.
    ProviderReported,
    /// There is no amount.
    Unknown,
}

/// One message of a conversation.
#[derive(JsonSchema)]
pub(crate) struct Message {
    /// Who says it.
    role: Role,
    /// What is said, in the order of the wire.
    #[serde(default)]
    parts: Vec<Part>,
    /// Who made it, for an answer of a model.
    origin: Option<Origin>,
    /// Fields of the message that the adapter did not know.
    #[serde(default)]
    extra: BTreeMap<String, Json>,
}

/// Who says a message.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Role {
    /// The operator's standing instruction.
    System,
    /// A standing instruction that ranks below the system's, where a provider tells them apart.
    Developer,
    /// The person or program asking.
    User,
    /// The model.
    Assistant,
    /// Results of tools.
    Tool,
}

/// Which provider made a message, over which protocol, with which model.
#[derive(JsonSchema)]
struct Origin {
    /// The name the provider is configured under.
    provider: String,
    /// The wire protocol spoken.
    protocol: Protocol,
    /// The model that answered, as the provider names it.
    model: String,
    /// The provider's id of the response.
    response_id: Option<String>,
}

/// One part of a message. A reader keeps a part of a type that it does not know as it is.
#[derive(JsonSchema)]
struct Part {
    #[serde(flatten)]
    kind: PartKind,
    /// The provider's id of the part, where it has one.
    id: Option<String>,
    /// Data that only its provider understands, byte for byte, in order.
    #[serde(default)]
    opaque: Vec<Opaque>,
    /// Fields of the part that the adapter did not know.
    #[serde(default)]
    extra: BTreeMap<String, Json>,
}

/// What a part is.
#[derive(JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
enum PartKind {
    /// Visible text.
    Text {
        /// The text.
        text: String,
        /// Citations and the like, in the provider's own shape.
        #[serde(default)]
        annotations: Vec<Json>,
    },
    /// The model's words for declining, apart from its text.
    Refusal {
        /// The words.
        text: String,
    },
    /// The model's reasoning; may hold no text at all and still matter for its signature.
    Reasoning {
        /// Summaries and texts, in order.
        blocks: Vec<ReasoningBlock>,
    },
    /// A call of a tool.
    ToolCall {
        /// The id that the result must name; empty where the provider gives none.
        call_id: String,
        /// The tool's name.
        name: String,
        /// The arguments as they came: text that is JSON, unless it was cut off.
        arguments: String,
        /// Who runs it.
        #[serde(default)]
        executor: Executor,
    },
    /// The result of a tool call.
    ToolResult {
        /// The id of the call.
        call_id: String,
        /// The tool's name, which some protocols want repeated.
        name: Option<String>,
        /// What the tool returned.
        content: Vec<Part>,
        /// Whether the tool failed.
        #[serde(default)]
        is_error: bool,
    },
    /// An image, a sound, a video or a file.
    Media {
        /// Which of them.
        media: MediaKind,
        /// Where its bytes are.
        source: Source,
        /// Its media type, `image/png` for example.
        mime: Option<String>,
        /// Its file name.
        name: Option<String>,
    },
    /// A part of a type that the adapter did not know, kept whole.
    Unknown {
        /// The provider's name of the type.
        type_name: String,
        /// The part as it came.
        raw: Json,
    },
}

/// One block of reasoning.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ReasoningBlock {
    /// A summary of the reasoning.
    Summary(String),
    /// The reasoning itself.
    Text(String),
}

/// Data that only its provider understands: a signature, an encrypted block.
#[derive(JsonSchema)]
struct Opaque {
    /// The provider that made it, by its configured name; nobody else is sent it.
    provider: String,
    /// What it is: `signature`, `redacted_thinking`, `encrypted_content`, `reasoning_details`, `thought_signature`, or
    /// the name of its field.
    kind: String,
    /// The data, byte for byte.
    data: String,
}

/// Who runs a tool call.
#[derive(Default, JsonSchema, serde::Serialize)]
#[serde(rename_all = "snake_case")]
enum Executor {
    /// The caller, who then sends the result.
    #[default]
    Client,
    /// The provider, which sends the result itself.
    Server,
}

/// Which kind of media a part holds.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum MediaKind {
    /// A picture.
    Image,
    /// Sound.
    Audio,
    /// Moving pictures.
    Video,
    /// Any other file.
    File,
}

/// Where the bytes of a media part are.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Source {
    /// In the part itself, in base64.
    Base64(String),
    /// At an address the provider fetches.
    Url(String),
    /// At the provider, under an id it gave.
    FileId(String),
    /// In a store, under their BLAKE3 hash, 64 hex digits.
    Blob(String),
}
