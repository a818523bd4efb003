//! A request as the JSON body of a chat: the same request gives the same bytes.

use std::borrow::Cow;

use serde::Serialize;

use aichat_message::{Extra, Json, MediaKind, Part, PartKind, Role, Source, ToolSpec};

use super::wire::FUNCTION;
use crate::body::{Body, is_forced};
use crate::driver::Encoded;
use crate::error::Error;
use crate::history::{Echo, History, Ids, RESPONSE, Rules, Said, Turn, Warnings, one_text};
use crate::provider::Info;
use crate::request::{Output, Reasoning, Request, ToolChoice};

/// Fields that `Options::other` cannot replace.
const OWN: &[&str] = &["model", "messages", "tools", "stream", "options"];

/// Fields of `Options::other` that stand beside the messages; all others are options.
const BESIDE: &[&str] = &["format", "keep_alive", "logprobs", "shift", "think", "top_logprobs", "truncate"];

/// Families of models that are told how much to reason, and cannot be told not to. All others can only be told
/// whether to reason; servers refuse a level for them.
const LEVELLED: &[&str] = &["gpt-oss"];

pub(super) fn encode(info: &Info, request: &Request) -> Result<Encoded, Error> {
    let role = |role| if role == Role::Developer { Role::System } else { role };
    let rules = Rules {
        role,
        system_apart: false,
        merge: false,
        ids: Ids::Any,
        shares: |_, _| true,
        failures: false,
    };
    let mut warnings = Warnings::default();
    let history = History::of(request, info, &rules, &mut warnings);
    let mut messages = Vec::new();
    for turn in &history.turns {
        write(turn, &mut messages, &mut warnings);
    }
    let (beside, inside) = sort(&request.options.other);
    let mut body = Body::new(&beside, OWN);
    body.set("model", &request.model);
    body.set("messages", &messages);
    let tools = tools(request, &mut warnings);
    if !tools.is_empty() {
        body.set("tools", tools);
    }
    // A server streams unless it is told not to.
    body.set("stream", request.stream);
    match &request.output {
        Some(Output::Json) => body.set("format", "json"),
        Some(Output::Schema { schema, .. }) => body.set("format", schema),
        None => {}
    }
    if let Some(reasoning) = request.options.reasoning.as_ref().filter(|_| body.is_ours("think")) {
        think(&request.model, reasoning, &mut body, &mut warnings);
    }
    if let Some(options) = options(request, &inside, &mut warnings)? {
        body.set("options", options);
    }
    let body = body.finish(&mut warnings)?;
    Ok(Encoded { body, warnings: warnings.into_vec() })
}

/// Takes the caller's own fields apart: those beside the messages, and those inside the options.
fn sort(other: &Extra) -> (Extra, Extra) {
    let (mut beside, mut inside) = (Extra::new(), Extra::new());
    for (name, value) in other.iter() {
        match name {
            "options" => match value.to::<Extra>() {
                Ok(options) => options.iter().for_each(|(name, value)| inside.set(name, value.clone())),
                Err(_) => beside.set(name, value.clone()),
            },
            _ if BESIDE.contains(&name) || OWN.contains(&name) => beside.set(name, value.clone()),
            _ => inside.set(name, value.clone()),
        }
    }
    (beside, inside)
}

fn options(request: &Request, inside: &Extra, warnings: &mut Warnings) -> Result<Option<Json>, Error> {
    let options = &request.options;
    let mut body = Body::new(inside, &[]);
    if let Some(most) = options.max_tokens {
        body.set("num_predict", most);
    }
    if let Some(temperature) = options.temperature {
        body.set("temperature", temperature);
    }
    if let Some(top_p) = options.top_p {
        body.set("top_p", top_p);
    }
    if let Some(top_k) = options.top_k {
        body.set("top_k", top_k);
    }
    if !options.stop.is_empty() {
        body.set("stop", &options.stop);
    }
    if let Some(seed) = options.seed {
        body.set("seed", seed);
    }
    let object = String::from_utf8(body.finish(warnings)?).expect("JSON is UTF-8");
    let object = Json::new(object).expect("a body is a JSON object");
    Ok(Some(object).filter(|object| object.get() != "{}"))
}

/// Returns the tools to offer. The protocol has no word for a choice among them, but what is not offered is not
/// called.
fn tools<'a>(request: &'a Request, warnings: &mut Warnings) -> Vec<WireTool<'a>> {
    let only = match &request.tool_choice {
        Some(ToolChoice::None) => return Vec::new(),
        Some(ToolChoice::Tool(name)) => Some(name),
        _ => None,
    };
    if is_forced(request) {
        warnings.add("a tool call cannot be demanded of this server; the model decides");
    }
    let offered = request.tools.iter().filter(|tool| only.is_none_or(|name| *name == tool.name));
    offered
        .map(|tool| {
            if tool.strict == Some(true) {
                warnings.add("this server does not enforce the schema of a tool's arguments");
            }
            WireTool { r#type: "function", function: WireSpec::of(tool) }
        })
        .collect()
}

fn think(model: &str, reasoning: &Reasoning, body: &mut Body<'_>, warnings: &mut Warnings) {
    let name = model.rsplit('/').next().unwrap_or(model).to_ascii_lowercase();
    let levelled = LEVELLED.iter().any(|family| name.starts_with(family));
    match (reasoning, levelled) {
        (Reasoning::None, _) => {
            body.set("think", false);
            if levelled {
                warnings.add("this model always reasons");
            }
        }
        (Reasoning::Low, true) => body.set("think", "low"),
        (Reasoning::Medium, true) => body.set("think", "medium"),
        (Reasoning::High, true) => body.set("think", "high"),
        _ => {
            body.set("think", true);
            warnings.add("the amount of reasoning cannot be told to this model, only whether it reasons");
        }
    }
}

/// One message on the wire.
#[derive(Default, Serialize)]
struct WireMessage<'a> {
    role: &'static str,
    content: Cow<'a, str>,
    #[serde(skip_serializing_if = "String::is_empty")]
    thinking: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<WireCall<'a>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    tool_name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    tool_call_id: &'a str,
    #[serde(flatten)]
    echo: Echo<'a>,
}

#[derive(Serialize)]
struct WireCall<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'a str,
    function: WireFunction<'a>,
    #[serde(flatten)]
    echo: Echo<'a>,
}

#[derive(Serialize)]
struct WireFunction<'a> {
    index: usize,
    name: &'a str,
    arguments: Json,
    #[serde(flatten)]
    echo: Echo<'a>,
}

#[derive(Serialize)]
struct WireTool<'a> {
    r#type: &'static str,
    function: WireSpec<'a>,
}

#[derive(Serialize)]
struct WireSpec<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    parameters: &'a Json,
}

impl<'a> WireSpec<'a> {
    fn of(tool: &'a ToolSpec) -> Self {
        Self { name: &tool.name, description: tool.description.as_deref(), parameters: &tool.parameters }
    }
}

fn write<'a>(turn: &'a Turn<'a>, out: &mut Vec<WireMessage<'a>>, warnings: &mut Warnings) {
    let role = match turn.role {
        Role::Tool => "user",
        role => role.as_str(),
    };
    let (mut wire, mut texts, mut results) = (WireMessage { role, ..WireMessage::default() }, Vec::new(), 0);
    for said in &turn.parts {
        match &said.part.kind {
            PartKind::Text { text, .. } | PartKind::Refusal { text } => texts.push(text.as_str()),
            PartKind::Reasoning { blocks } => {
                wire.thinking.extend(blocks.iter().map(|block| block.text()));
            }
            PartKind::ToolCall { call_id, name, .. } => {
                let (of_call, of_function) = echoes(said);
                let (index, arguments) = (wire.tool_calls.len(), said.arguments(warnings));
                let function = WireFunction { index, name, arguments, echo: of_function };
                wire.tool_calls.push(WireCall { id: id(said, call_id), function, echo: of_call });
            }
            PartKind::ToolResult { call_id, name, content, .. } => {
                results += 1;
                let tool = if said.tool.is_empty() { name.as_deref().unwrap_or("") } else { said.tool };
                let wire = WireMessage { role: "tool", tool_name: tool, ..WireMessage::default() };
                out.push(result(WireMessage { tool_call_id: id(said, call_id), ..wire }, content, warnings));
            }
            PartKind::Media { .. } => wire.images.extend(image(said.part, warnings)),
            _ => warnings.add("a part that this protocol does not know is not sent"),
        }
    }
    if results > 0 && texts.is_empty() && wire.images.is_empty() {
        return;
    }
    wire.content = match turn.role {
        // What the model said is one text; what it is told in several parts stays apart.
        Role::Assistant => texts.concat().into(),
        _ => one_text(&texts),
    };
    let extra = turn.extra.into_iter().flat_map(Extra::iter);
    wire.echo = Echo(extra.filter(|(name, _)| !name.starts_with(RESPONSE)).collect());
    out.push(wire);
}

/// Returns the id of a call. Calls without ids are understood by their order; an id that was made up says no more.
fn id<'a>(said: &'a Said<'a>, given: &str) -> &'a str {
    if given.is_empty() { "" } else { &said.call_id }
}

/// Returns the unknown fields of a call, and those of its function.
fn echoes<'a>(said: &Said<'a>) -> (Echo<'a>, Echo<'a>) {
    let (mut of_call, mut of_function) = (Echo::default(), Echo::default());
    for (name, value) in said.extra() {
        match name.strip_prefix(FUNCTION) {
            Some(name) => of_function.0.push((name, value)),
            None => of_call.0.push((name, value)),
        }
    }
    (of_call, of_function)
}

fn result<'a>(mut wire: WireMessage<'a>, content: &'a [Part], warnings: &mut Warnings) -> WireMessage<'a> {
    let mut texts = Vec::new();
    for part in content {
        match &part.kind {
            PartKind::Text { text, .. } => texts.push(text.as_str()),
            PartKind::Media { .. } => wire.images.extend(image(part, warnings)),
            _ => warnings.add("only text and images of a tool result are sent"),
        }
    }
    wire.content = one_text(&texts);
    wire
}

fn image<'a>(part: &'a Part, warnings: &mut Warnings) -> Option<&'a str> {
    match &part.kind {
        PartKind::Media { media: MediaKind::Image, source: Source::Base64(data), .. } => Some(data),
        PartKind::Media { media: MediaKind::Image, .. } => {
            warnings.add("an image that is elsewhere is not sent; this protocol takes only its bytes");
            None
        }
        _ => {
            warnings.add("media of a kind that this protocol does not take is not sent");
            None
        }
    }
}
