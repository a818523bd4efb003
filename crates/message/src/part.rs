//! Parts: text, reasoning, tool calls and results, media, and whatever else a provider sends.

use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::json::{Extra, Json};
use crate::tool::Arguments;

/// How deep a part may be nested, JSON brackets counted, to be read.
const MAX_DEPTH: usize = 256;

/// One part of a message, with the opaque data and the unknown fields that came with it.
///
/// In JSON a part is one flat object whose `type` names its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What the part is.
    pub kind: PartKind,
    /// The provider's id of the part, where it has one.
    pub id: Option<String>,
    /// Data that only its provider understands, byte for byte, in order.
    pub opaque: Vec<Opaque>,
    /// Fields of the part that the adapter did not know.
    pub extra: Extra,
}

/// What a part is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PartKind {
    /// Visible text.
    Text {
        /// The text.
        text: String,
        /// Citations and the like, in the provider's own shape.
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
        /// The arguments as they came.
        arguments: Arguments,
        /// Who runs it.
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
    /// A part of a kind that this version does not know, kept whole.
    Unknown {
        /// The provider's name of the kind.
        type_name: String,
        /// The part as it came.
        raw: Json,
    },
}

/// One block of reasoning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReasoningBlock {
    /// A summary of the reasoning.
    Summary(String),
    /// The reasoning itself.
    Text(String),
}

impl ReasoningBlock {
    /// Returns the block's text.
    pub fn text(&self) -> &str {
        match self {
            Self::Summary(text) | Self::Text(text) => text,
        }
    }
}

/// Data that only its provider understands: a signature, an encrypted block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opaque {
    /// The provider that made it, by its configured name; nobody else is sent it.
    pub provider: String,
    /// What it is.
    pub kind: OpaqueKind,
    /// The data, byte for byte.
    pub data: String,
}

/// What a piece of opaque data is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OpaqueKind {
    /// The signature of a reasoning block.
    Signature,
    /// A reasoning block that the provider redacted.
    RedactedThinking,
    /// Reasoning in encrypted form.
    EncryptedContent,
    /// OpenRouter's `reasoning_details`, a JSON array.
    ReasoningDetails,
    /// Gemini's signature of any part.
    ThoughtSignature,
    /// Something else, by the name of its field.
    #[serde(untagged)]
    Other(String),
}

/// Who runs a tool call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Executor {
    /// The caller, who then sends the result.
    #[default]
    Client,
    /// The provider, which sends the result itself.
    Server,
}

/// Which kind of media a part holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MediaKind {
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Source {
    /// In the part itself, in base64.
    Base64(String),
    /// At an address the provider fetches.
    Url(String),
    /// At the provider, under an id it gave.
    FileId(String),
    /// In a store, under their BLAKE3 hash, 64 hex digits. No provider is sent this: whoever makes a request puts the
    /// bytes in its place.
    Blob(String),
}

impl Part {
    /// Returns a part of this kind with nothing attached.
    pub fn new(kind: PartKind) -> Self {
        Self { kind, id: None, opaque: Vec::new(), extra: Extra::new() }
    }

    /// Returns a text part.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(PartKind::Text { text: text.into(), annotations: Vec::new() })
    }

    /// Returns a refusal.
    pub fn refusal(text: impl Into<String>) -> Self {
        Self::new(PartKind::Refusal { text: text.into() })
    }

    /// Returns an empty reasoning part.
    pub fn reasoning() -> Self {
        Self::new(PartKind::Reasoning { blocks: Vec::new() })
    }

    /// Returns a call that the caller runs.
    pub fn tool_call(
        call_id: impl Into<String>,
        name: impl Into<String>,
        arguments: impl Into<Arguments>,
    ) -> Self {
        Self::new(PartKind::ToolCall {
            call_id: call_id.into(),
            name: name.into(),
            arguments: arguments.into(),
            executor: Executor::Client,
        })
    }

    /// Returns the result of a call as one text.
    pub fn tool_result(call_id: impl Into<String>, text: impl Into<String>) -> Self {
        Self::new(PartKind::ToolResult {
            call_id: call_id.into(),
            name: None,
            content: vec![Self::text(text)],
            is_error: false,
        })
    }
}

impl Serialize for Part {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match &self.kind {
            PartKind::Text { text, annotations } => {
                map.serialize_entry("type", "text")?;
                map.serialize_entry("text", text)?;
                if !annotations.is_empty() {
                    map.serialize_entry("annotations", annotations)?;
                }
            }
            PartKind::Refusal { text } => {
                map.serialize_entry("type", "refusal")?;
                map.serialize_entry("text", text)?;
            }
            PartKind::Reasoning { blocks } => {
                map.serialize_entry("type", "reasoning")?;
                map.serialize_entry("blocks", blocks)?;
            }
            PartKind::ToolCall { call_id, name, arguments, executor } => {
                map.serialize_entry("type", "tool_call")?;
                map.serialize_entry("call_id", call_id)?;
                map.serialize_entry("name", name)?;
                map.serialize_entry("arguments", arguments)?;
                if *executor != Executor::Client {
                    map.serialize_entry("executor", executor)?;
                }
            }
            PartKind::ToolResult { call_id, name, content, is_error } => {
                map.serialize_entry("type", "tool_result")?;
                map.serialize_entry("call_id", call_id)?;
                if let Some(name) = name {
                    map.serialize_entry("name", name)?;
                }
                map.serialize_entry("content", content)?;
                if *is_error {
                    map.serialize_entry("is_error", is_error)?;
                }
            }
            PartKind::Media { media, source, mime, name } => {
                map.serialize_entry("type", "media")?;
                map.serialize_entry("media", media)?;
                map.serialize_entry("source", source)?;
                if let Some(mime) = mime {
                    map.serialize_entry("mime", mime)?;
                }
                if let Some(name) = name {
                    map.serialize_entry("name", name)?;
                }
            }
            PartKind::Unknown { type_name, raw } => {
                map.serialize_entry("type", "unknown")?;
                map.serialize_entry("type_name", type_name)?;
                map.serialize_entry("raw", raw)?;
            }
        }
        if let Some(id) = &self.id {
            map.serialize_entry("id", id)?;
        }
        if !self.opaque.is_empty() {
            map.serialize_entry("opaque", &self.opaque)?;
        }
        if !self.extra.is_empty() {
            map.serialize_entry("extra", &self.extra)?;
        }
        map.end()
    }
}

/// Returns how deep the brackets of a JSON text are nested.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Every field a part of any kind may have, as it is stored.
#[derive(Deserialize)]
#[serde(default)]
struct Fields {
    r#type: String,
    text: String,
    annotations: Vec<Json>,
    blocks: Vec<ReasoningBlock>,
    call_id: String,
    name: Option<String>,
    arguments: Arguments,
    executor: Executor,
    content: Vec<Part>,
    is_error: bool,
    media: MediaKind,
    source: Source,
    mime: Option<String>,
    type_name: String,
    raw: Option<Json>,
    id: Option<String>,
    opaque: Vec<Opaque>,
    extra: Extra,
}

impl Default for Fields {
    fn default() -> Self {
        Self {
            r#type: String::new(),
            text: String::new(),
            annotations: Vec::new(),
            blocks: Vec::new(),
            call_id: String::new(),
            name: None,
            arguments: Arguments::default(),
            executor: Executor::Client,
            content: Vec::new(),
            is_error: false,
            media: MediaKind::File,
            source: Source::Url(String::new()),
            mime: None,
            type_name: String::new(),
            raw: None,
            id: None,
            opaque: Vec::new(),
            extra: Extra::new(),
        }
    }
}

/// The field that tells the kinds apart; read first, so that a kind of a later version can be kept whole.
#[derive(Deserialize)]
struct Tag<'a> {
    #[serde(borrow)]
    r#type: std::borrow::Cow<'a, str>,
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        // Each nested part is read by a parser of its own, which knows nothing of the depth around it.
        if depth(raw.get()) > MAX_DEPTH {
            return Err(D::Error::custom("a part is nested too deep"));
        }
        let tag: Tag<'_> = serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
        let known = ["text", "refusal", "reasoning", "tool_call", "tool_result", "media", "unknown"]
            .contains(&&*tag.r#type);
        if !known {
            let type_name = tag.r#type.into_owned();
            return Ok(Self::new(PartKind::Unknown { type_name, raw: Json::from_raw(raw) }));
        }
        let f: Fields = serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
        let kind = match f.r#type.as_str() {
            "text" => PartKind::Text { text: f.text, annotations: f.annotations },
            "refusal" => PartKind::Refusal { text: f.text },
            "reasoning" => PartKind::Reasoning { blocks: f.blocks },
            "tool_call" => PartKind::ToolCall {
                call_id: f.call_id,
                name: f.name.unwrap_or_default(),
                arguments: f.arguments,
                executor: f.executor,
            },
            "tool_result" => PartKind::ToolResult {
                call_id: f.call_id,
                name: f.name,
                content: f.content,
                is_error: f.is_error,
            },
            "media" => PartKind::Media { media: f.media, source: f.source, mime: f.mime, name: f.name },
            _ => PartKind::Unknown {
                type_name: f.type_name,
                raw: f.raw.unwrap_or_else(|| Json::new("null").expect("null is JSON")),
            },
        };
        Ok(Self { kind, id: f.id, opaque: f.opaque, extra: f.extra })
    }
}
