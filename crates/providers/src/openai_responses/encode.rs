//! A request as the JSON body of the Responses protocol: the same request gives the same bytes.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::json as value;

use aichat_message::{
    Executor, Extra, Json, MediaKind, OpaqueKind, Part, PartKind, ReasoningBlock, Role, Source,
};

use super::item::{CONTENT, CUSTOM_CALL};
use super::profile::Profile;
use super::wire::json;
use crate::body::{Body, tool_choice};
use crate::driver::Encoded;
use crate::error::Error;
use crate::history::{History, Ids, Rules, Said, Turn, Warnings};
use crate::provider::Info;
use crate::request::{Output, Reasoning, Request, ToolChoice};

/// Fields that `Options::other` cannot replace; tools that it holds stand beside the request's own.
const OWN: &[&str] = &["model", "input", "tools", "stream"];

/// Beginnings of the names of models that do not reason and refuse to be asked for encrypted reasoning.
const PLAIN_MODELS: &[&str] = &["gpt-3.5", "gpt-4", "chatgpt-"];

pub(super) fn encode(profile: &Profile, info: &Info, request: &Request) -> Result<Encoded, Error> {
    let rules = Rules {
        role: |role| role,
        system_apart: false,
        merge: false,
        ids: if profile.strict { Ids::Word } else { Ids::Any },
        shares: |_, _| true,
        failures: false,
    };
    let mut warnings = Warnings::default();
    let history = History::of(request, info, &rules, &mut warnings);
    let (other, hosted) = without_tools(&request.options.other);
    let stored = other.get("store").is_some_and(|store| store.get() == "true");
    let mut writer = Writer {
        profile,
        warnings,
        stored,
        items: Vec::new(),
        open: None,
        waiting: Vec::new(),
        bare: false,
        custom: Vec::new(),
    };
    for turn in &history.turns {
        writer.turn(turn);
    }
    writer.forget_waiting();

    let mut body = Body::new(&other, OWN);
    body.set("model", &request.model);
    body.set("input", &writer.items);
    let tools = request.tools.iter().map(|tool| Tool {
        r#type: "function",
        name: &tool.name,
        description: tool.description.as_deref(),
        parameters: &tool.parameters,
        strict: tool.strict,
    });
    let tools: Vec<_> = tools.map(|tool| json(&tool)).chain(hosted).collect();
    let has_tools = !tools.is_empty();
    if has_tools {
        body.set("tools", tools);
    }
    // The conversation lives with the caller, reasoning included.
    body.set("store", false);
    if !stored && may_reason(profile, request) {
        body.set("include", ["reasoning.encrypted_content"]);
    }
    writer.options(request, has_tools, &mut body);
    let body = body.finish(&mut writer.warnings)?;
    Ok(Encoded { body, warnings: writer.warnings.into_vec() })
}

/// Tells whether an answer may hold reasoning, as far as anyone can tell.
fn may_reason(profile: &Profile, request: &Request) -> bool {
    if profile.renamed {
        return !matches!(request.options.reasoning, None | Some(Reasoning::None));
    }
    let model = request.model.rsplit('/').next().unwrap_or_default();
    let model = model.strip_prefix("ft:").unwrap_or(model);
    let is_chat = model.starts_with("gpt-5") && model.contains("-chat");
    !is_chat && !PLAIN_MODELS.iter().any(|plain| model.starts_with(plain))
}

/// Takes the tools that the provider runs itself out of the fields that are passed through.
fn without_tools(other: &Extra) -> (Cow<'_, Extra>, Vec<Json>) {
    let Some(tools) = other.get("tools").and_then(|tools| tools.to::<Vec<Json>>().ok()) else {
        return (Cow::Borrowed(other), Vec::new());
    };
    let rest = other.iter().filter(|(name, _)| *name != "tools");
    (Cow::Owned(rest.map(|(name, value)| (name.to_owned(), value.clone())).collect()), tools)
}

#[derive(Serialize)]
struct Tool<'a> {
    r#type: &'static str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    parameters: &'a Json,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

/// One entry of the input.
#[derive(Serialize)]
#[serde(untagged)]
enum Item<'a> {
    Made(Extra),
    Kept(&'a Json),
}

/// A message under way.
struct Open<'a> {
    role: Role,
    /// The id that its parts have in common, whether it is sent or not.
    id: Option<&'a str>,
    content: Vec<Json>,
    /// Its text, if that is all it holds.
    text: Option<&'a str>,
    fields: Extra,
}

struct Writer<'a> {
    profile: &'a Profile,
    warnings: Warnings,
    /// Whether the provider keeps what it says.
    stored: bool,
    items: Vec<Item<'a>>,
    open: Option<Open<'a>>,
    /// Reasoning that goes only before what it led to.
    waiting: Vec<Item<'a>>,
    /// Whether reasoning of the answer at hand was left out: the ids of what it led to would ask for it.
    bare: bool,
    /// Ids of calls whose input is free text.
    custom: Vec<&'a str>,
}

impl<'a> Writer<'a> {
    fn turn(&mut self, turn: &'a Turn<'a>) {
        if turn.role != Role::Assistant || turn.parts.iter().any(|said| !said.own) {
            self.forget_waiting();
            self.bare = false;
        }
        for said in &turn.parts {
            match &said.part.kind {
                PartKind::Text { text, annotations } => self.text(turn.role, said, text, annotations),
                PartKind::Refusal { text } => self.refusal(turn.role, said, text),
                PartKind::Reasoning { blocks } => self.reasoning(said, blocks),
                PartKind::ToolCall { executor: Executor::Client, .. } => self.call(said),
                PartKind::ToolResult { content, .. } => self.result(said, content),
                PartKind::Media { source, .. } if turn.role == Role::Assistant => self.image(said, source),
                PartKind::Media { .. } => {
                    if let Some(entry) = self.media(said.part) {
                        self.say(turn.role, None, entry, None);
                    }
                }
                PartKind::Unknown { type_name, raw } if type_name.starts_with(CONTENT) => {
                    self.say(turn.role, said.id(), raw.clone(), None);
                }
                PartKind::Unknown { raw, .. } => self.push(Item::Kept(raw)),
                _ => self.warnings.add("a part that this protocol does not know is not sent"),
            }
        }
        self.close();
    }

    /// Adds an entry to the open message, or opens one. `text` is the entry's text if it is nothing but that.
    fn say(&mut self, role: Role, id: Option<&'a str>, entry: Json, text: Option<&'a str>) -> &mut Open<'a> {
        if self.open.as_ref().is_some_and(|open| open.id != id) {
            self.close();
        }
        let fresh = || Open { role, id, content: Vec::new(), text, fields: Extra::new() };
        let open = self.open.get_or_insert_with(fresh);
        if !open.content.is_empty() {
            open.text = None;
        }
        open.content.push(entry);
        open
    }

    /// Adds an entry with the unknown fields that came with it and with its message.
    fn entry(&mut self, role: Role, said: &'a Said<'a>, mut entry: Extra, text: Option<&'a str>) {
        let bare = self.bare;
        let (mut fields, mut plain) = (Extra::new(), text);
        for (name, value) in said.extra() {
            match name.strip_prefix(CONTENT) {
                Some(name) => {
                    plain = None;
                    entry.push(name, value.clone());
                }
                None if bare && name == "status" => {}
                None => fields.push(name, value.clone()),
            }
        }
        let open = self.say(role, said.id(), json(&entry), plain);
        fields.iter().for_each(|(name, value)| open.fields.set(name, value.clone()));
    }

    fn text(&mut self, role: Role, said: &'a Said<'a>, text: &'a str, annotations: &'a [Json]) {
        let kind = if role == Role::Assistant { "output_text" } else { "input_text" };
        let mut entry = made(kind);
        entry.push("text", json(text));
        let cited = said.own && !annotations.is_empty();
        if cited {
            entry.push("annotations", json(annotations));
        }
        self.entry(role, said, entry, (!cited).then_some(text));
    }

    fn refusal(&mut self, role: Role, said: &'a Said<'a>, text: &'a str) {
        if !said.own {
            return self.text(role, said, text, &[]);
        }
        let mut entry = made("refusal");
        entry.push("refusal", json(text));
        self.entry(role, said, entry, None);
    }

    /// Ends the open message.
    fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        // A message that never ended has an id that the provider does not know; its status would be there.
        let id = open.id.filter(|_| !self.bare && open.fields.get("status").is_some());
        let mut item = made("message");
        push_some(&mut item, "id", id);
        let role = if open.role == Role::Tool { Role::User } else { open.role };
        item.push("role", json(role.as_str()));
        match open.text.filter(|_| id.is_none()) {
            Some(text) => item.push("content", json(text)),
            None => item.push("content", json(&open.content)),
        }
        open.fields.iter().for_each(|(name, value)| item.push(name, value.clone()));
        self.put(Item::Made(item));
    }

    /// Adds an entry to the input, after the message before it and the reasoning that led to it.
    fn push(&mut self, item: Item<'a>) {
        self.close();
        self.put(item);
    }

    fn put(&mut self, item: Item<'a>) {
        self.items.append(&mut self.waiting);
        self.items.push(item);
    }

    fn forget_waiting(&mut self) {
        if !self.waiting.is_empty() {
            self.waiting.clear();
            self.warnings.add("reasoning without what it led to is not sent");
        }
    }

    fn reasoning(&mut self, said: &'a Said<'a>, blocks: &[ReasoningBlock]) {
        self.close();
        let sealed = said.opaque(&OpaqueKind::EncryptedContent);
        if self.profile.strict && sealed.is_none() && !self.stored {
            self.bare = true;
            self.warnings.add("reasoning that came without its encrypted content is not sent");
            return;
        }
        let is_worded = blocks.iter().any(|block| matches!(block, ReasoningBlock::Text(_)));
        if self.profile.worded && !is_worded {
            self.warnings.add("reasoning that this server takes only in words is not sent");
            return;
        }
        let kept = |name| said.extra().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
        let entry = |kind: &str, text: &str| value!({"type": kind, "text": text});
        let summary = blocks.iter().filter_map(|block| match block {
            ReasoningBlock::Summary(text) => Some(entry("summary_text", text)),
            _ => None,
        });
        let content: Vec<_> = blocks
            .iter()
            .filter_map(|block| match block {
                ReasoningBlock::Text(text) => Some(entry("reasoning_text", text)),
                _ => None,
            })
            .collect();
        let mut item = made("reasoning");
        push_some(&mut item, "id", said.id());
        item.push("summary", kept("summary").unwrap_or_else(|| json(&summary.collect::<Vec<_>>())));
        if let Some(content) = kept("content").or_else(|| (!content.is_empty()).then(|| json(&content))) {
            item.push("content", content);
        }
        push_some(&mut item, "encrypted_content", sealed);
        let rest = said.extra().filter(|(name, _)| !["summary", "content"].contains(name));
        rest.for_each(|(name, value)| item.push(name, value.clone()));
        match self.profile.strict {
            true => self.waiting.push(Item::Made(item)),
            false => self.put(Item::Made(item)),
        }
    }

    fn call(&mut self, said: &'a Said<'a>) {
        let PartKind::ToolCall { name, arguments, .. } = &said.part.kind else { return };
        let is_custom = said.extra().any(|(name, kind)| name == "type" && *kind == json(CUSTOM_CALL));
        let mut item = made(if is_custom { CUSTOM_CALL } else { "function_call" });
        push_some(&mut item, "id", said.id().filter(|_| !self.bare));
        item.push("call_id", json(&*said.call_id));
        item.push("name", json(name));
        match arguments.as_str() {
            text if is_custom => {
                self.custom.push(&said.call_id);
                item.push("input", json(text));
            }
            text if text.trim().is_empty() => item.push("arguments", json("{}")),
            _ if !said.own => item.push("arguments", json(said.arguments(&mut self.warnings).get())),
            text => item.push("arguments", json(text)),
        }
        let rest = said.extra().filter(|(name, _)| *name != "type");
        rest.for_each(|(name, value)| item.push(name, value.clone()));
        self.push(Item::Made(item));
    }

    fn result(&mut self, said: &'a Said<'a>, content: &[Part]) {
        let is_custom = self.custom.contains(&&*said.call_id);
        let mut item = made(if is_custom { "custom_tool_call_output" } else { "function_call_output" });
        item.push("call_id", json(&*said.call_id));
        let mut texts = Vec::new();
        let entries: Vec<_> = content
            .iter()
            .filter_map(|part| match &part.kind {
                PartKind::Text { text, .. } => {
                    texts.push(text.as_str());
                    Some(json(&value!({"type": "input_text", "text": text})))
                }
                PartKind::Media { .. } => self.media(part),
                _ => {
                    self.warnings.add("only texts, images and files of a tool result are sent");
                    None
                }
            })
            .collect();
        item.push(
            "output",
            match entries.len() == texts.len() {
                true => json(&texts.join("\n\n")),
                false => json(&entries),
            },
        );
        self.push(Item::Made(item));
    }

    /// Sends an image back that this provider made itself.
    fn image(&mut self, said: &'a Said<'a>, source: &Source) {
        match (said.id(), source) {
            (Some(id), Source::Base64(data) | Source::Url(data)) => {
                let mut item = made("image_generation_call");
                item.push("id", json(id));
                item.push("result", json(data));
                said.extra().for_each(|(name, value)| item.push(name, value.clone()));
                self.push(Item::Made(item));
            }
            _ => self.warnings.add("media that another provider made are not sent"),
        }
    }

    fn media(&mut self, part: &Part) -> Option<Json> {
        let PartKind::Media { media, source, mime, name } = &part.kind else { return None };
        let data =
            |data: &str, default: &str| format!("data:{};base64,{data}", mime.as_deref().unwrap_or(default));
        let entry = match (media, source) {
            (MediaKind::Image, Source::Url(url)) => value!({"type": "input_image", "image_url": url}),
            (MediaKind::Image, Source::Base64(bytes)) => {
                value!({"type": "input_image", "image_url": data(bytes, "image/png")})
            }
            (MediaKind::Image, Source::FileId(id)) => value!({"type": "input_image", "file_id": id}),
            (MediaKind::File, Source::Url(url)) => value!({"type": "input_file", "file_url": url}),
            (MediaKind::File, Source::Base64(bytes)) => {
                let name = name.as_deref().unwrap_or("file");
                let data = data(bytes, "application/octet-stream");
                value!({"type": "input_file", "filename": name, "file_data": data})
            }
            (MediaKind::File, Source::FileId(id)) => value!({"type": "input_file", "file_id": id}),
            _ => {
                self.warnings.add("media of a kind or source that this protocol does not take is not sent");
                return None;
            }
        };
        Some(json(&entry))
    }

    fn options(&mut self, request: &Request, has_tools: bool, body: &mut Body<'_>) {
        let options = &request.options;
        match tool_choice(request, has_tools, &mut self.warnings) {
            Some(ToolChoice::Auto) => body.set("tool_choice", "auto"),
            Some(ToolChoice::None) => body.set("tool_choice", "none"),
            Some(ToolChoice::Required) => body.set("tool_choice", "required"),
            Some(ToolChoice::Tool(name)) => {
                body.set("tool_choice", value!({"type": "function", "name": name}));
            }
            None => {}
        }
        if request.stream {
            body.set("stream", true);
        }
        if let Some(most) = options.max_tokens {
            body.set("max_output_tokens", most);
        }
        if let Some(temperature) = options.temperature {
            body.set("temperature", temperature);
        }
        if let Some(top_p) = options.top_p {
            body.set("top_p", top_p);
        }
        let stop = (!options.stop.is_empty()).then(|| json(&options.stop));
        let sampling = [
            ("stop", stop),
            ("seed", options.seed.map(|n| json(&n))),
            ("top_k", options.top_k.map(|n| json(&n))),
        ];
        for (name, told) in sampling {
            match told {
                Some(told) if self.profile.chat_fields => body.set(name, told),
                Some(_) => self.warnings.add(format!("{name} is not known to this protocol and not sent")),
                None => {}
            }
        }
        if let Some(reasoning) = &options.reasoning {
            self.effort(reasoning, body);
        }
        match &request.output {
            Some(Output::Schema { name, schema, strict }) => {
                let kind = "json_schema";
                let schema = |r#type| Schema { r#type, name, schema, strict: *strict };
                match self.profile.chat_fields {
                    true => body.set("response_format", Nested { r#type: kind, json_schema: schema(None) }),
                    false => body.set("text", Text { format: schema(Some(kind)) }),
                }
            }
            Some(Output::Json) if self.profile.chat_fields => {
                body.set("response_format", value!({"type": "json_object"}));
            }
            Some(Output::Json) => body.set("text", value!({"format": {"type": "json_object"}})),
            None => {}
        }
    }

    fn effort(&mut self, reasoning: &Reasoning, body: &mut Body<'_>) {
        let effort = match reasoning {
            Reasoning::None => return body.set("reasoning", value!({"effort": "none"})),
            Reasoning::Low => "low",
            Reasoning::Medium => "medium",
            Reasoning::High => "high",
            Reasoning::Tokens(most) if self.profile.budget => {
                return body.set("reasoning", value!({"max_tokens": most}));
            }
            Reasoning::Tokens(_) => {
                return self.warnings.add("the amount of reasoning in tokens cannot be told to this server");
            }
        };
        // A summary is refused to organisations that are not verified: who wants one says so.
        body.set("reasoning", value!({"effort": effort}));
    }
}

/// Returns an object that has its type.
fn made(kind: &str) -> Extra {
    let mut object = Extra::new();
    object.push("type", json(kind));
    object
}

fn push_some(object: &mut Extra, name: &str, text: Option<&str>) {
    if let Some(text) = text {
        object.push(name, json(text));
    }
}

#[derive(Serialize)]
struct Text<'a> {
    format: Schema<'a>,
}

#[derive(Serialize)]
struct Nested<'a> {
    r#type: &'static str,
    json_schema: Schema<'a>,
}

#[derive(Serialize)]
struct Schema<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
    name: &'a str,
    schema: &'a Json,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}
