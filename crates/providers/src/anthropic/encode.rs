//! A request as the JSON body of a message: the same request gives the same bytes.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Value, json};

use aichat_message::{Extra, Json, Role, ToolSpec};

use super::content::{self, Conversation};
use super::profile::{self, Off, Profile, Sampling, Thinking};
use crate::body::{self, Body};
use crate::driver::Encoded;
use crate::error::Error;
use crate::history::{History, Ids, Rules, Warnings};
use crate::instruct::instructed;
use crate::provider::Info;
use crate::request::{Options, Output, Reasoning, Request, ToolChoice};

/// Fields that `Options::other` cannot replace; its `tools`, those the provider runs, stand beside the caller's.
const OWN: &[&str] = &["model", "messages", "stream", "tools"];

/// Most tokens of an answer, its reasoning apart, where the request does not say.
const ANSWER: u64 = 16_384;

/// Least tokens that reasoning may be given.
const LEAST_BUDGET: u64 = 1024;

pub(super) fn encode(info: &Info, request: &Request) -> Result<Encoded, Error> {
    let rules = Rules {
        role: |role| if role == Role::Tool { Role::User } else { role },
        system_apart: true,
        merge: true,
        ids: Ids::Word,
        shares: profile::shares_reasoning,
        failures: true,
    };
    let profile = Profile::of(&request.model);
    let is_native = profile.schema && matches!(request.output, Some(Output::Schema { .. }));
    let request = &*if is_native { Cow::Borrowed(request) } else { instructed(request) };
    let mut warnings = Warnings::default();
    let history = History::of(request, info, &rules, &mut warnings);
    let system = content::system(&history, &mut warnings);
    let conversation = content::conversation(&history, &profile, &mut warnings)?;
    let (tools, other) = tools(request, &mut warnings);
    let plan = Plan::of(request, &profile, &conversation, &mut warnings);

    let options = &request.options;
    let mut body = Body::new(&other, OWN);
    body.set("model", &request.model);
    body.set("max_tokens", options.max_tokens.unwrap_or(profile.output_limit.min(ANSWER + plan.tokens)));
    if !system.is_empty() {
        body.set("system", system);
    }
    body.set("messages", &conversation.turns);
    if !tools.is_empty() {
        body.set("tools", &tools);
    }
    if let Some(choice) = tool_choice(request, &profile, !tools.is_empty(), &mut warnings) {
        body.set("tool_choice", choice);
    }
    let config = OutputConfig { effort: plan.effort, format: format(request, &profile) };
    if config.effort.is_some() || config.format.is_some() {
        body.set("output_config", config);
    }
    sampling(options, &profile, plan.is_on(), &mut body, &mut warnings);
    if let Some(thinking) = plan.thinking {
        body.set("thinking", thinking);
    }
    let stop: Vec<_> = options.stop.iter().filter(|stop| !stop.trim().is_empty()).collect();
    if stop.len() < options.stop.len() {
        warnings.add("a stop sequence of nothing but white space is not sent");
    }
    if !stop.is_empty() {
        body.set("stop_sequences", stop);
    }
    if request.stream {
        body.set("stream", true);
    }
    if options.seed.is_some() {
        warnings.add("a seed is not known to this protocol and not sent");
    }
    let body = body.finish(&mut warnings)?;
    Ok(Encoded { body, warnings: warnings.into_vec() })
}

/// Returns the tools, the caller's and then the provider's, and the extra fields without the latter.
fn tools(request: &Request, warnings: &mut Warnings) -> (Vec<Json>, Extra) {
    #[derive(Serialize)]
    struct Tool<'a> {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        input_schema: Json,
        #[serde(skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
    }
    let ours = request.tools.iter().map(|tool| Tool {
        name: &tool.name,
        description: tool.description.as_deref(),
        input_schema: input_schema(tool),
        strict: tool.strict,
    });
    let mut tools: Vec<_> =
        ours.map(|tool| Json::from_value(&tool).expect("a value in memory is JSON")).collect();
    let mut other = Extra::new();
    for (name, value) in request.options.other.iter() {
        match (name, value.to::<Vec<Json>>()) {
            ("tools", Ok(theirs)) => tools.extend(theirs),
            ("tools", Err(_)) => warnings.add("extra tools that are not a list are not sent"),
            _ => other.push(name, value.clone()),
        }
    }
    (tools, other)
}

/// Returns the schema of a tool's arguments, which must say that they are an object.
fn input_schema(tool: &ToolSpec) -> Json {
    let fields = tool.parameters.to::<Extra>().unwrap_or_default();
    if fields.get("type").is_some() {
        return tool.parameters.clone();
    }
    let object = ("type".to_owned(), Json::new("\"object\"").expect("a text is JSON"));
    let fields = fields.iter().map(|(name, value)| (name.to_owned(), value.clone()));
    let fields: Extra = std::iter::once(object).chain(fields).collect();
    Json::from_value(&fields).expect("fields that were read from JSON are JSON")
}

fn tool_choice(
    request: &Request,
    profile: &Profile,
    has_tools: bool,
    warnings: &mut Warnings,
) -> Option<Value> {
    Some(match body::tool_choice(request, has_tools, warnings)? {
        ToolChoice::Auto => json!({"type": "auto"}),
        ToolChoice::None => json!({"type": "none"}),
        ToolChoice::Required | ToolChoice::Tool(_) if !profile.forced => {
            warnings.add("a tool call cannot be demanded of this model; it decides");
            json!({"type": "auto"})
        }
        ToolChoice::Required => json!({"type": "any"}),
        ToolChoice::Tool(name) => json!({"type": "tool", "name": name}),
    })
}

#[derive(Serialize)]
struct OutputConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format<'a>>,
}

#[derive(Serialize)]
struct Format<'a> {
    r#type: &'static str,
    schema: &'a Json,
}

fn format<'a>(request: &'a Request, profile: &Profile) -> Option<Format<'a>> {
    match &request.output {
        Some(Output::Schema { schema, .. }) if profile.schema => {
            Some(Format { r#type: "json_schema", schema })
        }
        _ => None,
    }
}

/// What is asked for in the way of reasoning.
#[derive(Default)]
struct Plan {
    thinking: Option<Value>,
    effort: Option<&'static str>,
    /// How many tokens it is meant to take.
    tokens: u64,
}

impl Plan {
    fn of(request: &Request, profile: &Profile, talk: &Conversation<'_>, warnings: &mut Warnings) -> Self {
        let Some(wish) = &request.options.reasoning else { return Self::default() };
        let (effort, tokens) = match wish {
            Reasoning::None | Reasoning::Tokens(0) => return Self::off(profile, warnings),
            Reasoning::Low => ("low", 2048),
            Reasoning::Medium => ("medium", 8192),
            Reasoning::High => ("high", 24_576),
            Reasoning::Tokens(most @ ..=2048) => ("low", *most),
            Reasoning::Tokens(most @ ..=8192) => ("medium", *most),
            Reasoning::Tokens(most) => ("high", *most),
        };
        let by_tokens = matches!(wish, Reasoning::Tokens(_));
        let forced = profile.forced && body::is_forced(request);
        if forced {
            warnings.add("reasoning is not asked for where a tool call is demanded");
        }
        match profile.thinking {
            Thinking::No => {
                warnings.add("this model does not reason");
                Self::default()
            }
            Thinking::Either if !by_tokens => {
                let thinking = (!forced).then(|| json!({"type": "adaptive"}));
                Self { thinking, effort: Some(effort), tokens }
            }
            Thinking::Effort => {
                if by_tokens {
                    warnings.add("this model takes no number of tokens to reason with, only an effort");
                }
                let thinking = (!forced).then(|| json!({"type": "adaptive", "display": "summarized"}));
                Self { thinking, effort: Some(effort), tokens }
            }
            Thinking::Budget | Thinking::Either if forced => Self::default(),
            Thinking::Budget | Thinking::Either if !talk.reasons => {
                warnings.add("reasoning is not asked for in the middle of an answer that began without it");
                Self::default()
            }
            Thinking::Budget | Thinking::Either => {
                let all = request.options.max_tokens.unwrap_or(profile.output_limit);
                if all <= LEAST_BUDGET {
                    warnings.add("the answer has too few tokens to reason with");
                    return Self::default();
                }
                let budget = tokens.clamp(LEAST_BUDGET, all - 1);
                if budget != tokens {
                    warnings.add(format!("reasoning is given {budget} tokens, which are between {LEAST_BUDGET} and the tokens of the answer"));
                }
                let thinking = Some(json!({"type": "enabled", "budget_tokens": budget}));
                Self { thinking, effort: None, tokens: budget }
            }
        }
    }

    fn off(profile: &Profile, warnings: &mut Warnings) -> Self {
        match profile.off {
            Off::Silence => Self::default(),
            Off::Word => Self { thinking: Some(json!({"type": "disabled"})), ..Self::default() },
            Off::Never => {
                warnings.add("this model always reasons; the least effort is asked for");
                Self { effort: Some("low"), ..Self::default() }
            }
        }
    }

    /// Tells whether reasoning restricts the sampling.
    fn is_on(&self) -> bool {
        self.tokens > 0 && self.thinking.is_some()
    }
}

fn sampling(
    options: &Options,
    profile: &Profile,
    reasons: bool,
    body: &mut Body<'_>,
    warnings: &mut Warnings,
) {
    let fixed = profile.sampling == Sampling::Fixed;
    let mut loses = |name: &str| {
        let why = if fixed { "for this model" } else { "together with reasoning" };
        warnings.add(format!("{name} cannot be set {why} and is not sent"));
    };
    // One is the default, which every model takes as said.
    let temperature = options.temperature.filter(|wish| {
        let stays = !fixed && !reasons;
        if !stays && *wish != 1.0 {
            loses("temperature");
        }
        stays
    });
    let top_p = options.top_p.filter(|wish| {
        let stays = !fixed && (!reasons || *wish >= 0.95);
        if !stays && *wish != 1.0 {
            loses("top_p");
        }
        stays
    });
    let top_k = options.top_k.filter(|_| {
        let stays = !fixed && !reasons;
        if !stays {
            loses("top_k");
        }
        stays
    });
    if let Some(temperature) = temperature {
        if temperature > 1.0 {
            warnings.add("a temperature above 1 is sent as 1");
        }
        body.set("temperature", temperature.min(1.0));
    }
    match top_p {
        Some(_) if temperature.is_some() && profile.sampling == Sampling::One => {
            warnings.add("top_p cannot be set together with temperature and is not sent");
        }
        Some(top_p) => body.set("top_p", top_p),
        None => {}
    }
    if let Some(top_k) = top_k {
        body.set("top_k", top_k);
    }
}
