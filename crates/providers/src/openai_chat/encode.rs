//! A request as the JSON body of a chat completion: the same request gives the same bytes.

use std::borrow::Cow;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::{Value, json};

use aichat_message::{
    ErrorKind, Executor, Extra, Json, MediaKind, Message, OpaqueKind, Part, PartKind, Protocol, Role, Source,
    ToolSpec,
};

use super::profile::{Effort, Profile, Replay};
use super::wire::RESPONSE;
use crate::driver::Encoded;
use crate::error::Error;
use crate::provider::Info;
use crate::request::{Reasoning, Request, ToolChoice};

pub(super) fn encode(profile: &Profile, info: &Info, request: &Request) -> Result<Encoded, Error> {
    let mut writer =
        Writer { profile, info, model: &request.model, warnings: Vec::new(), ids: Ids::default() };
    let mut messages = Vec::new();
    for message in &request.messages {
        writer.message(message, &mut messages);
    }
    let mut fields = Fields { other: &request.options.other, fields: Vec::new() };
    writer.options(request, &mut fields);
    let body = Body { request, messages, fields: fields.fields };
    let body = serde_json::to_vec(&body)
        .map_err(|_| Error::new(ErrorKind::InvalidRequest, "the request cannot be written as JSON"))?;
    Ok(Encoded { body, warnings: writer.warnings })
}

struct Body<'a> {
    request: &'a Request,
    messages: Vec<WireMessage<'a>>,
    fields: Vec<(&'static str, Value)>,
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("model", &self.request.model)?;
        map.serialize_entry("messages", &self.messages)?;
        if !self.request.tools.is_empty() {
            let tools: Vec<_> =
                self.request.tools.iter().map(|f| Tool { r#type: "function", function: f }).collect();
            map.serialize_entry("tools", &tools)?;
        }
        for (name, value) in &self.fields {
            map.serialize_entry(name, value)?;
        }
        for (name, value) in self.request.options.other.iter().filter(|(name, _)| !OURS.contains(name)) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// Fields that `Options::other` cannot replace.
const OURS: [&str; 4] = ["model", "messages", "tools", "stream"];

#[derive(Serialize)]
struct Tool<'a> {
    r#type: &'static str,
    function: &'a ToolSpec,
}

/// The fields after messages and tools; one that `other` names is left to it.
struct Fields<'a> {
    other: &'a Extra,
    fields: Vec<(&'static str, Value)>,
}

impl Fields<'_> {
    fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        if OURS.contains(&name) || self.other.get(name).is_none() {
            self.fields.push((name, value.into()));
        }
    }
}

/// One message on the wire.
#[derive(Default, Serialize)]
struct WireMessage<'a> {
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Content<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_details: Option<Json>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<WireCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<String>,
    #[serde(flatten, skip_serializing_if = "Echo::is_empty")]
    echo: Echo<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Text(Cow<'a, str>),
    Parts(Vec<Json>),
}

struct WireCall<'a> {
    id: String,
    name: &'a str,
    arguments: &'a str,
    echo: Echo<'a>,
}

impl Serialize for WireCall<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Function<'a> {
            name: &'a str,
            arguments: &'a str,
        }
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("type", "function")?;
        map.serialize_entry("function", &Function { name: self.name, arguments: self.arguments })?;
        for (name, value) in &self.echo.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// Fields this version does not know, on their way back to who sent them.
#[derive(Default)]
struct Echo<'a>(Vec<(&'a str, &'a Json)>);

impl Echo<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Echo<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

/// Ids of tool calls as the target takes them. Missing ones are made up, in order, for calls and results alike.
#[derive(Default)]
struct Ids {
    calls: usize,
    results: usize,
    short: Vec<String>,
}

impl Ids {
    fn legal(&mut self, id: String, short: bool) -> String {
        if !short || id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return id;
        }
        let at = self.short.iter().position(|known| *known == id).unwrap_or_else(|| {
            self.short.push(id);
            self.short.len() - 1
        });
        format!("call{at:05}")
    }
}

struct Writer<'a> {
    profile: &'a Profile,
    info: &'a Info,
    model: &'a str,
    warnings: Vec<String>,
    ids: Ids,
}

impl<'a> Writer<'a> {
    fn warn(&mut self, text: &str) {
        if !self.warnings.iter().any(|known| known == text) {
            self.warnings.push(text.to_owned());
        }
    }

    /// Tells whether a message was made by this provider, by a model of the same family.
    fn is_own(&self, message: &Message) -> bool {
        message.origin.as_ref().is_some_and(|origin| {
            let family = |model: &'a str| model.split_once('/').map(|(vendor, _)| vendor);
            let theirs = origin.model.split_once('/').map(|(vendor, _)| vendor);
            origin.provider == self.info.name
                && origin.protocol == Protocol::OpenaiChat
                && match (family(self.model), theirs) {
                    (Some(ours), Some(theirs)) => ours == theirs,
                    _ => true,
                }
        })
    }

    fn message(&mut self, message: &'a Message, out: &mut Vec<WireMessage<'a>>) {
        let own = self.is_own(message);
        let mut wire = WireMessage {
            role: match message.role {
                Role::System => "system",
                Role::Developer if self.profile.developer => "developer",
                Role::Developer => "system",
                Role::Assistant => "assistant",
                _ => "user",
            },
            ..WireMessage::default()
        };
        let (mut texts, mut media, mut thoughts) = (Vec::new(), Vec::new(), String::new());
        for part in &message.parts {
            self.opaque(part, own, &mut wire);
            match &part.kind {
                PartKind::Text { text, .. } => {
                    texts.push(text.as_str());
                    media.push(to_json(&json!({"type": "text", "text": text})));
                }
                PartKind::Refusal { text } => wire.refusal.get_or_insert_default().push_str(text),
                PartKind::Reasoning { blocks } if own => {
                    thoughts.extend(blocks.iter().map(|block| block.text()));
                }
                PartKind::Reasoning { .. } => self.warn("reasoning of another provider is not sent"),
                PartKind::ToolCall { executor: Executor::Server, .. } => {
                    self.warn("a tool call that another provider ran itself is not sent");
                }
                PartKind::ToolCall { call_id, name, arguments, .. } => {
                    let echo =
                        if own && self.profile.echo { part.extra.iter().collect() } else { Vec::new() };
                    self.ids.calls += 1;
                    let id = or_numbered(call_id, self.ids.calls);
                    let id = self.ids.legal(id, self.profile.short_ids);
                    let arguments = match arguments.as_str().trim() {
                        "" => "{}",
                        _ => arguments.as_str(),
                    };
                    wire.tool_calls.push(WireCall { id, name, arguments, echo: Echo(echo) });
                }
                PartKind::ToolResult { call_id, content, .. } => {
                    let result = self.result(call_id, content);
                    out.push(result);
                }
                PartKind::Media { .. } => media.extend(self.media(part).as_ref().map(to_json)),
                PartKind::Unknown { raw, .. } if own => media.push(raw.clone()),
                _ => self.warn("a part that this protocol does not know is not sent"),
            }
        }
        if message.role == Role::Tool && texts.is_empty() && media.is_empty() {
            return;
        }
        if message.role == Role::User && media.is_empty() && message.parts.iter().any(is_result) {
            return;
        }
        wire.content = match media.len() == texts.len() {
            // What the model said is one text; what it is told in several parts stays apart.
            true if message.role == Role::Assistant => Some(Content::Text(texts.concat().into())),
            true => Some(Content::Text(match texts.as_slice() {
                [one] => Cow::Borrowed(*one),
                many => many.join("\n\n").into(),
            })),
            false => Some(Content::Parts(media)),
        };
        let says_nothing = matches!(&wire.content, Some(Content::Text(text)) if text.is_empty());
        // A refusal alone is not enough for several servers: they want content or calls.
        if says_nothing && !wire.tool_calls.is_empty() && !self.profile.empty_content {
            wire.content = None;
        }
        if !thoughts.is_empty() && self.profile.replay == Replay::Content {
            wire.reasoning_content = Some(thoughts);
        }
        if own && self.profile.echo {
            let fields = message.extra.iter().filter(|(name, _)| !name.starts_with(RESPONSE));
            wire.echo = Echo(fields.collect());
        }
        out.push(wire);
    }

    fn opaque(&mut self, part: &Part, own: bool, wire: &mut WireMessage<'_>) {
        for opaque in &part.opaque {
            let data = match (&opaque.kind, self.profile.replay) {
                (OpaqueKind::ReasoningDetails, Replay::Details)
                    if own && opaque.provider == self.info.name =>
                {
                    Json::new(opaque.data.as_str()).ok()
                }
                _ => None,
            };
            match data {
                Some(data) => wire.reasoning_details = Some(data),
                None => self.warn("opaque data that this server does not take back is not sent"),
            }
        }
    }

    fn result(&mut self, call_id: &str, content: &'a [Part]) -> WireMessage<'a> {
        let mut texts = Vec::new();
        for part in content {
            match &part.kind {
                PartKind::Text { text, .. } => texts.push(text.as_str()),
                _ => self.warn("only the text of a tool result is sent"),
            }
        }
        self.ids.results += 1;
        let id = or_numbered(call_id, self.ids.results);
        WireMessage {
            role: "tool",
            content: Some(Content::Text(match texts.as_slice() {
                [one] => Cow::Borrowed(*one),
                many => many.join("\n\n").into(),
            })),
            tool_call_id: Some(self.ids.legal(id, self.profile.short_ids)),
            ..WireMessage::default()
        }
    }

    fn media(&mut self, part: &Part) -> Option<Value> {
        let PartKind::Media { media, source, mime, name } = &part.kind else { return None };
        let mime = mime.as_deref();
        let url = |data: &str, default: &str| format!("data:{};base64,{data}", mime.unwrap_or(default));
        let value = match (media, source) {
            (MediaKind::Image, Source::Url(address)) => {
                json!({"type": "image_url", "image_url": {"url": address}})
            }
            (MediaKind::Image, Source::Base64(data)) => {
                json!({"type": "image_url", "image_url": {"url": url(data, "image/png")}})
            }
            (MediaKind::Audio, Source::Base64(data)) => {
                let format = match mime {
                    Some("audio/mpeg" | "audio/mp3") => "mp3",
                    Some(other) => other.trim_start_matches("audio/").trim_start_matches("x-"),
                    None => "wav",
                };
                json!({"type": "input_audio", "input_audio": {"data": data, "format": format}})
            }
            (MediaKind::File, Source::Base64(data)) => {
                let name = name.as_deref().unwrap_or("file");
                let data = url(data, "application/octet-stream");
                json!({"type": "file", "file": {"filename": name, "file_data": data}})
            }
            (MediaKind::File, Source::FileId(id)) => json!({"type": "file", "file": {"file_id": id}}),
            _ => {
                self.warn("media of a kind or source that this protocol does not take is not sent");
                return None;
            }
        };
        Some(value)
    }

    fn options(&mut self, request: &'a Request, fields: &mut Fields<'_>) {
        let (options, profile) = (&request.options, self.profile);
        if let Some(choice) = &request.tool_choice {
            fields.set(
                "tool_choice",
                match choice {
                    ToolChoice::Auto => json!("auto"),
                    ToolChoice::None => json!("none"),
                    ToolChoice::Required => json!("required"),
                    ToolChoice::Tool(name) => json!({"type": "function", "function": {"name": name}}),
                },
            );
        }
        if request.stream {
            fields.set("stream", true);
            if profile.stream_options {
                fields.set("stream_options", json!({"include_usage": true}));
            }
        }
        if let Some(most) = options.max_tokens {
            fields.set(profile.max_tokens, most);
        }
        if let Some(temperature) = options.temperature {
            fields.set("temperature", temperature);
        }
        if let Some(top_p) = options.top_p {
            fields.set("top_p", top_p);
        }
        match options.top_k {
            Some(top_k) if profile.top_k => fields.set("top_k", top_k),
            Some(_) => self.warn("top_k is not known to this server and not sent"),
            None => {}
        }
        if !options.stop.is_empty() {
            fields.set("stop", options.stop.clone());
        }
        if let Some(seed) = options.seed {
            fields.set(profile.seed, seed);
        }
        if let Some(reasoning) = &options.reasoning {
            self.reasoning(reasoning, fields);
        }
        if options.other.iter().any(|(name, _)| OURS.contains(&name)) {
            self.warn("model, messages, tools and stream cannot be replaced by extra fields");
        }
    }

    fn reasoning(&mut self, reasoning: &Reasoning, fields: &mut Fields<'_>) {
        let word = match reasoning {
            Reasoning::None => Some("none"),
            Reasoning::Low => Some("low"),
            Reasoning::Medium => Some("medium"),
            Reasoning::High => Some("high"),
            Reasoning::Tokens(_) => None,
        };
        match (self.profile.effort, reasoning, word) {
            (Effort::Word, _, Some(word)) => fields.set("reasoning_effort", word),
            (Effort::Object, Reasoning::None, _) => fields.set("reasoning", json!({"enabled": false})),
            (Effort::Object, Reasoning::Tokens(most), _) => {
                fields.set("reasoning", json!({"max_tokens": most}))
            }
            (Effort::Object, _, Some(word)) => fields.set("reasoning", json!({"effort": word})),
            (Effort::Switch, Reasoning::None, _) => fields.set("thinking", json!({"type": "disabled"})),
            (Effort::Switch, ..) => {
                fields.set("thinking", json!({"type": "enabled"}));
                self.warn("this server can only switch reasoning on or off");
            }
            _ => self.warn("the amount of reasoning cannot be told to this server"),
        }
    }
}

fn to_json(value: &Value) -> Json {
    Json::from_value(value).expect("a value in memory is JSON")
}

fn is_result(part: &Part) -> bool {
    matches!(part.kind, PartKind::ToolResult { .. })
}

fn or_numbered(id: &str, number: usize) -> String {
    match id {
        "" => format!("call_{number}"),
        id => id.to_owned(),
    }
}
