//! A request as the JSON body of `generateContent`: the same request gives the same bytes.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::json;

use aichat_message::{Executor, Extra, Json, MediaKind, OpaqueKind, Part, PartKind, Role, Source, ToolSpec};

use super::thinking::Family;
use super::{FILE_DATA, FUNCTION_CALL, INLINE_DATA};
use crate::body::{Body, tool_choice};
use crate::driver::Encoded;
use crate::error::Error;
use crate::history::{History, Ids, RESPONSE, Rules, Said, Turn, Warnings};
use crate::provider::Info;
use crate::request::{Options, Output, Request, ToolChoice};

/// Fields that `Options::other` cannot replace; tools that it holds in a list stand beside the request's own.
const OWN: &[&str] = &["contents", "tools"];

/// Stands for the signature of a call that has none because another model made it,
/// <https://ai.google.dev/gemini-api/docs/thought-signatures>.
const UNSIGNED: &str = "skip_thought_signature_validator";

const RULES: Rules = Rules {
    role: |role| match role {
        Role::Tool => Role::User,
        Role::Developer => Role::System,
        role => role,
    },
    system_apart: true,
    merge: true,
    ids: Ids::Any,
    shares: |_, _| true,
    failures: true,
};

pub(super) fn encode(info: &Info, request: &Request) -> Result<Encoded, Error> {
    let mut warnings = Warnings::default();
    let history = History::of(request, info, &RULES, &mut warnings);
    let mut writer = Writer { family: Family::of(&request.model), warnings };
    let contents: Vec<_> = history.turns.iter().filter_map(|turn| writer.content(turn)).collect();
    // What the caller gives of these goes along with what is made of the request.
    let (merged, other): (Vec<_>, Vec<_>) = fields(&request.options.other).partition(|(name, value)| {
        name == "generationConfig" || name == "tools" && value.get().starts_with('[')
    });
    let (merged, other): (Extra, Extra) = (merged.into_iter().collect(), other.into_iter().collect());
    let mut body = Body::new(&other, OWN);
    if !history.system.is_empty() {
        body.set(
            "systemInstruction",
            Content { role: None, parts: writer.system(&history.system), echo: vec![] },
        );
    }
    body.set("contents", &contents);
    let tools = tools(&request.tools, merged.get("tools"));
    if !tools.is_empty() {
        body.set("tools", &tools);
    }
    let choice = tool_choice(request, !request.tools.is_empty(), &mut writer.warnings);
    if let Some(config) = calling(request, choice) {
        body.set("toolConfig", json!({"functionCallingConfig": config}));
    }
    let config = writer.generation_config(request, merged.get("generationConfig"));
    if !config.is_empty() {
        body.set("generationConfig", &config);
    }
    let body = body.finish(&mut writer.warnings)?;
    Ok(Encoded { body, warnings: writer.warnings.into_vec() })
}

fn fields(extra: &Extra) -> impl Iterator<Item = (String, Json)> {
    extra.iter().map(|(name, value)| (name.to_owned(), value.clone()))
}

/// What one side says.
struct Content<'a> {
    role: Option<&'static str>,
    parts: Vec<Extra>,
    /// Fields this version does not know, on their way back to who sent them.
    echo: Vec<(&'a str, &'a Json)>,
}

impl Serialize for Content<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(role) = self.role {
            map.serialize_entry("role", role)?;
        }
        map.serialize_entry("parts", &self.parts)?;
        for (name, value) in &self.echo {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FunctionCall<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'a str,
    name: &'a str,
    args: &'a Json,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FunctionResponse<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'a str,
    name: &'a str,
    response: Json,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parts: Vec<Extra>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FunctionDeclaration<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    parameters_json_schema: &'a Json,
}

/// Returns the tools: functions of the request, then what the caller gives as the provider's own.
fn tools(functions: &[ToolSpec], own: Option<&Json>) -> Vec<Json> {
    let declarations: Vec<_> = functions
        .iter()
        .map(|tool| FunctionDeclaration {
            name: &tool.name,
            description: tool.description.as_deref(),
            parameters_json_schema: &tool.parameters,
        })
        .collect();
    let mut tools = Vec::new();
    if !declarations.is_empty() {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Functions<'a> {
            function_declarations: Vec<FunctionDeclaration<'a>>,
        }
        tools.push(to_json(&Functions { function_declarations: declarations }));
    }
    tools.extend(own.and_then(|own| own.to::<Vec<Json>>().ok()).unwrap_or_default());
    tools
}

/// Returns which functions may or must be called, where anything is said about that.
fn calling(request: &Request, choice: Option<&ToolChoice>) -> Option<Json> {
    let strict = request.tools.iter().any(|tool| tool.strict == Some(true));
    Some(to_json(&match choice {
        None | Some(ToolChoice::Auto) if strict => json!({"mode": "VALIDATED"}),
        None => return None,
        Some(ToolChoice::Auto) => json!({"mode": "AUTO"}),
        Some(ToolChoice::None) => json!({"mode": "NONE"}),
        Some(ToolChoice::Required) => json!({"mode": "ANY"}),
        Some(ToolChoice::Tool(name)) => json!({"mode": "ANY", "allowedFunctionNames": [name]}),
    }))
}

struct Writer {
    family: Family,
    warnings: Warnings,
}

impl Writer {
    fn system(&mut self, said: &[Said<'_>]) -> Vec<Extra> {
        let mut parts = Vec::new();
        for said in said {
            match &said.part.kind {
                PartKind::Text { text, .. } => parts.push(one("text", text)),
                _ => self.warnings.add("only the text of an instruction is sent"),
            }
        }
        parts
    }

    fn content<'a>(&mut self, turn: &Turn<'a>) -> Option<Content<'a>> {
        let (mut parts, mut beside, mut calls) = (Vec::new(), Vec::new(), 0);
        for said in &turn.parts {
            if let PartKind::ToolResult { content, is_error, name, .. } = &said.part.kind {
                let name = if said.tool.is_empty() { name.as_deref().unwrap_or_default() } else { said.tool };
                parts.push(self.result(said, name, content, *is_error, &mut beside));
                continue;
            }
            // Media of results come after all of them, before anything else is said.
            parts.append(&mut beside);
            let is_call = matches!(said.part.kind, PartKind::ToolCall { .. });
            if let Some(part) = self.part(said, turn.role, is_call && calls == 0) {
                parts.push(part);
            }
            calls += usize::from(is_call);
        }
        parts.append(&mut beside);
        if turn.lost {
            self.warnings.add("unknown fields of an answer that is made one with the next are not sent");
        }
        let echo =
            turn.extra.into_iter().flat_map(Extra::iter).filter(|(name, _)| !name.starts_with(RESPONSE));
        let role = if turn.role == Role::Assistant { "model" } else { "user" };
        (!parts.is_empty()).then(|| Content { role: Some(role), parts, echo: echo.collect() })
    }

    fn part(&mut self, said: &Said<'_>, role: Role, first_call: bool) -> Option<Extra> {
        let mut signature = said.opaque(&OpaqueKind::ThoughtSignature);
        let mut part = match &said.part.kind {
            PartKind::Text { text, .. } | PartKind::Refusal { text } => {
                let says_nothing = text.is_empty() && signature.is_none() && said.extra().next().is_none();
                if says_nothing && role == Role::Assistant {
                    return None;
                }
                one("text", text)
            }
            PartKind::Reasoning { blocks } => {
                let text: String = blocks.iter().map(|block| block.text()).collect();
                if text.is_empty() && signature.is_none() && said.extra().next().is_none() {
                    return None;
                }
                let mut part = one("text", &text);
                part.push("thought", to_json(&true));
                part
            }
            PartKind::ToolCall { call_id, name, executor: Executor::Client, .. } => {
                let args = said.arguments(&mut self.warnings);
                if first_call && signature.is_none() && self.family.wants_signatures() {
                    self.warnings.add("a call that this model did not sign is sent with a placeholder");
                    signature = Some(UNSIGNED);
                }
                // An id made up for want of one is nothing this provider ever saw.
                one(FUNCTION_CALL, &FunctionCall { id: call_id, name, args: &args })
            }
            PartKind::Media { .. } => self.media(said.part)?,
            PartKind::Unknown { raw, .. } => raw.to().unwrap_or_default(),
            _ => {
                self.warnings.add("a part that this protocol does not know is not sent");
                return None;
            }
        };
        for (name, value) in said.extra() {
            match name.split_once('.').filter(|(place, _)| part.get(place).is_some()) {
                Some((place, name)) => {
                    let mut inner: Extra =
                        part.get(place).and_then(|inner| inner.to().ok()).unwrap_or_default();
                    inner.set(name, value.clone());
                    part.set(place, to_json(&inner));
                }
                None => part.set(name, value.clone()),
            }
        }
        if let Some(signature) = signature {
            part.set("thoughtSignature", to_json(signature));
        }
        Some(part)
    }

    /// Returns the result of a call. Media go inside it where the model takes that, else `beside` it.
    fn result(
        &mut self,
        said: &Said<'_>,
        name: &str,
        content: &[Part],
        is_error: bool,
        beside: &mut Vec<Extra>,
    ) -> Extra {
        let (mut texts, mut parts) = (Vec::new(), Vec::new());
        for part in content {
            match &part.kind {
                PartKind::Text { text, .. } => texts.push(text.as_str()),
                PartKind::Media { source, .. } => {
                    let inside =
                        matches!(source, Source::Base64(_)) && matches!(self.family, Family::Level { .. });
                    let place = if inside { &mut parts } else { &mut *beside };
                    place.extend(self.media(part));
                }
                _ => self.warnings.add("only the text and the media of a tool result are sent"),
            }
        }
        // A number inside the response would lose its digits on the way, a text keeps them.
        let response = one(if is_error { "error" } else { "result" }, &texts.join("\n\n"));
        let id = match &said.part.kind {
            PartKind::ToolResult { call_id, .. } => call_id.as_str(),
            _ => "",
        };
        one("functionResponse", &FunctionResponse { id, name, response: to_json(&response), parts })
    }

    fn media(&mut self, part: &Part) -> Option<Extra> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Blob<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            mime_type: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            data: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            file_uri: Option<&'a str>,
        }
        let PartKind::Media { media, source, mime, .. } = &part.kind else { return None };
        let usual = match media {
            MediaKind::Image => "image/png",
            MediaKind::Audio => "audio/wav",
            MediaKind::Video => "video/mp4",
            _ => "application/octet-stream",
        };
        Some(match source {
            Source::Base64(data) => {
                let mime_type = Some(mime.as_deref().unwrap_or(usual));
                one(INLINE_DATA, &Blob { mime_type, data: Some(data), file_uri: None })
            }
            Source::Url(uri) | Source::FileId(uri) => {
                one(FILE_DATA, &Blob { mime_type: mime.as_deref(), data: None, file_uri: Some(uri) })
            }
            _ => {
                self.warnings.add("media of a source that this protocol does not take is not sent");
                return None;
            }
        })
    }

    fn generation_config(&mut self, request: &Request, given: Option<&Json>) -> Extra {
        let Options { max_tokens, temperature, top_p, top_k, stop, seed, reasoning, .. } = &request.options;
        let mut config = Extra::new();
        let mut set = |name: &str, value: Option<Json>| {
            if let Some(value) = value {
                config.push(name, value);
            }
        };
        set("maxOutputTokens", max_tokens.as_ref().map(to_json));
        set("temperature", temperature.as_ref().map(to_json));
        set("topP", top_p.as_ref().map(to_json));
        set("topK", top_k.as_ref().map(to_json));
        set("stopSequences", (!stop.is_empty()).then(|| to_json(stop)));
        set("seed", seed.as_ref().map(to_json));
        let thinking = reasoning.as_ref().and_then(|much| self.family.config(much, &mut self.warnings));
        set("thinkingConfig", thinking.as_ref().map(to_json));
        match &request.output {
            Some(Output::Json) => set("responseMimeType", Some(to_json("application/json"))),
            Some(Output::Schema { schema, .. }) => {
                set("responseMimeType", Some(to_json("application/json")));
                set("responseJsonSchema", Some(schema.clone()));
            }
            None => {}
        }
        match given.map(Json::to::<Extra>) {
            Some(Ok(given)) => given.iter().for_each(|(name, value)| config.set(name, value.clone())),
            Some(Err(_)) => self.warnings.add("a generationConfig that is no object is not sent"),
            None => {}
        }
        config
    }
}

/// Returns an object of one field.
fn one(name: &str, value: &(impl Serialize + ?Sized)) -> Extra {
    let mut object = Extra::new();
    object.push(name, to_json(value));
    object
}

fn to_json(value: &(impl Serialize + ?Sized)) -> Json {
    Json::from_value(value).expect("a value in memory is JSON")
}
