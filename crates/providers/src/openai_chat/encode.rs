//! A request as the JSON body of a chat completion: the same request gives the same bytes.

use std::borrow::Cow;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::{Value, json};

use aichat_message::{Json, MediaKind, OpaqueKind, Part, PartKind, Role, Source, ToolSpec};

use super::profile::{Effort, Profile, Replay};
use crate::body::{Body, tool_choice};
use crate::driver::Encoded;
use crate::error::Error;
use crate::history::{Echo, History, Ids, RESPONSE, Rules, Said, Turn, Warnings, one_text};
use crate::instruct::instructed;
use crate::provider::Info;
use crate::request::{Output, Reasoning, Request, ToolChoice};

/// Fields that `Options::other` cannot replace.
const OWN: &[&str] = &["model", "messages", "tools", "stream"];

pub(super) fn encode(profile: &Profile, info: &Info, request: &Request) -> Result<Encoded, Error> {
    let rules = Rules {
        role: if profile.developer { |role| role } else { without_developer },
        system_apart: false,
        merge: false,
        ids: if profile.short_ids { Ids::Nine } else { Ids::Any },
        shares: |_, _| true,
        failures: false,
    };
    let is_native = profile.schema || !matches!(request.output, Some(Output::Schema { .. }));
    let request = &*if is_native { Cow::Borrowed(request) } else { instructed(request) };
    let mut warnings = Warnings::default();
    let history = History::of(request, info, &rules, &mut warnings);
    let mut writer = Writer { profile, warnings };
    let mut messages = Vec::new();
    for turn in &history.turns {
        writer.turn(turn, &mut messages);
    }
    let mut body = Body::new(&request.options.other, OWN);
    body.set("model", &request.model);
    body.set("messages", &messages);
    if !request.tools.is_empty() {
        let tools: Vec<_> = request.tools.iter().map(|f| Tool { r#type: "function", function: f }).collect();
        body.set("tools", tools);
    }
    writer.options(request, &mut body);
    let body = body.finish(&mut writer.warnings)?;
    Ok(Encoded { body, warnings: writer.warnings.into_vec() })
}

fn without_developer(role: Role) -> Role {
    if role == Role::Developer { Role::System } else { role }
}

#[derive(Serialize)]
struct Tool<'a> {
    r#type: &'static str,
    function: &'a ToolSpec,
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
    tool_call_id: Option<&'a str>,
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
    id: &'a str,
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

struct Writer<'a> {
    profile: &'a Profile,
    warnings: Warnings,
}

impl Writer<'_> {
    fn turn<'a>(&mut self, turn: &'a Turn<'a>, out: &mut Vec<WireMessage<'a>>) {
        let mut wire = WireMessage {
            role: match turn.role {
                Role::Tool => "user",
                role => role.as_str(),
            },
            ..WireMessage::default()
        };
        let (mut texts, mut content, mut thoughts) = (Vec::new(), Vec::new(), String::new());
        let mut results = 0;
        for said in &turn.parts {
            self.opaque(said, &mut wire);
            match &said.part.kind {
                PartKind::Text { text, .. } => {
                    texts.push(text.as_str());
                    content.push(to_json(&json!({"type": "text", "text": text})));
                }
                PartKind::Refusal { text } => wire.refusal.get_or_insert_default().push_str(text),
                PartKind::Reasoning { blocks } => thoughts.extend(blocks.iter().map(|block| block.text())),
                PartKind::ToolCall { name, arguments, .. } => {
                    let echo = if self.profile.echo { said.extra().collect() } else { Vec::new() };
                    let arguments = match arguments.as_str().trim() {
                        "" => "{}",
                        _ => arguments.as_str(),
                    };
                    wire.tool_calls.push(WireCall { id: &said.call_id, name, arguments, echo: Echo(echo) });
                }
                PartKind::ToolResult { content, .. } => {
                    results += 1;
                    let result = self.result(said, content);
                    out.push(result);
                }
                PartKind::Media { .. } => content.extend(self.media(said.part).as_ref().map(to_json)),
                PartKind::Unknown { raw, .. } => content.push(raw.clone()),
                _ => self.warnings.add("a part that this protocol does not know is not sent"),
            }
        }
        if results > 0 && content.is_empty() {
            return;
        }
        wire.content = match content.len() == texts.len() {
            // What the model said is one text; what it is told in several parts stays apart.
            true if turn.role == Role::Assistant => Some(Content::Text(texts.concat().into())),
            true => Some(Content::Text(one_text(&texts))),
            false => Some(Content::Parts(content)),
        };
        let says_nothing = matches!(&wire.content, Some(Content::Text(text)) if text.is_empty());
        // A refusal alone is not enough for several servers: they want content or calls.
        if says_nothing && !wire.tool_calls.is_empty() && !self.profile.empty_content {
            wire.content = None;
        }
        if !thoughts.is_empty() && self.profile.replay == Replay::Content {
            wire.reasoning_content = Some(thoughts);
        }
        if let (Some(extra), true) = (turn.extra, self.profile.echo) {
            wire.echo = Echo(extra.iter().filter(|(name, _)| !name.starts_with(RESPONSE)).collect());
        }
        out.push(wire);
    }

    fn opaque(&mut self, said: &Said<'_>, wire: &mut WireMessage<'_>) {
        if !said.own || said.part.opaque.is_empty() {
            return;
        }
        let details = said
            .opaque(&OpaqueKind::ReasoningDetails)
            .filter(|_| self.profile.replay == Replay::Details)
            .and_then(|data| Json::new(data).ok());
        match details {
            Some(details) => wire.reasoning_details = Some(details),
            None => self.warnings.add("opaque data that this server does not take back is not sent"),
        }
    }

    fn result<'a>(&mut self, said: &'a Said<'a>, content: &'a [Part]) -> WireMessage<'a> {
        let mut texts = Vec::new();
        for part in content {
            match &part.kind {
                PartKind::Text { text, .. } => texts.push(text.as_str()),
                _ => self.warnings.add("only the text of a tool result is sent"),
            }
        }
        WireMessage {
            role: "tool",
            content: Some(Content::Text(one_text(&texts))),
            tool_call_id: Some(&said.call_id),
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
                self.warnings.add("media of a kind or source that this protocol does not take is not sent");
                return None;
            }
        };
        Some(value)
    }

    fn options(&mut self, request: &Request, body: &mut Body<'_>) {
        let (options, profile) = (&request.options, self.profile);
        if let Some(choice) = tool_choice(request, !request.tools.is_empty(), &mut self.warnings) {
            body.set(
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
            body.set("stream", true);
            if profile.stream_options {
                body.set("stream_options", json!({"include_usage": true}));
            }
        }
        if let Some(most) = options.max_tokens {
            body.set(profile.max_tokens, most);
        }
        if let Some(temperature) = options.temperature {
            body.set("temperature", temperature);
        }
        if let Some(top_p) = options.top_p {
            body.set("top_p", top_p);
        }
        match options.top_k {
            Some(top_k) if profile.top_k => body.set("top_k", top_k),
            Some(_) => self.warnings.add("top_k is not known to this server and not sent"),
            None => {}
        }
        if !options.stop.is_empty() {
            body.set("stop", &options.stop);
        }
        if let Some(seed) = options.seed {
            body.set(profile.seed, seed);
        }
        if let Some(reasoning) = &options.reasoning {
            self.reasoning(reasoning, body);
        }
        match &request.output {
            Some(Output::Schema { name, schema, strict }) if profile.schema => {
                let json_schema = JsonSchema { name, schema, strict: *strict };
                body.set("response_format", ResponseFormat { r#type: "json_schema", json_schema });
            }
            Some(_) => body.set("response_format", json!({"type": "json_object"})),
            None => {}
        }
    }

    fn reasoning(&mut self, reasoning: &Reasoning, body: &mut Body<'_>) {
        let word = match reasoning {
            Reasoning::None => Some("none"),
            Reasoning::Low => Some("low"),
            Reasoning::Medium => Some("medium"),
            Reasoning::High => Some("high"),
            Reasoning::Tokens(_) => None,
        };
        match (self.profile.effort, reasoning, word) {
            (Effort::Word, _, Some(word)) => body.set("reasoning_effort", word),
            (Effort::Object, Reasoning::None, _) => body.set("reasoning", json!({"enabled": false})),
            (Effort::Object, Reasoning::Tokens(most), _) => {
                body.set("reasoning", json!({"max_tokens": most}))
            }
            (Effort::Object, _, Some(word)) => body.set("reasoning", json!({"effort": word})),
            (Effort::Switch, Reasoning::None, _) => body.set("thinking", json!({"type": "disabled"})),
            (Effort::Switch, ..) => {
                body.set("thinking", json!({"type": "enabled"}));
                self.warnings.add("this server can only switch reasoning on or off");
            }
            _ => self.warnings.add("the amount of reasoning cannot be told to this server"),
        }
    }
}

fn to_json(value: &Value) -> Json {
    Json::from_value(value).expect("a value in memory is JSON")
}

#[derive(Serialize)]
struct ResponseFormat<'a> {
    r#type: &'static str,
    json_schema: JsonSchema<'a>,
}

#[derive(Serialize)]
struct JsonSchema<'a> {
    name: &'a str,
    schema: &'a Json,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}
