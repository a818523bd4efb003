//! Servers that are stricter than the real ones: each refuses what its vendor refuses, and says why.

use std::sync::{Arc, Mutex};

use aichat_providers::{Error, HttpRequest, HttpResponse, Transport};
use async_trait::async_trait;
use futures::StreamExt;
use serde_json::{Value, json};

/// Begins every opaque text that a double makes; its own name follows.
const SEAL: &str = "sealed-by-";

/// The arguments of every call, which stand in an answer as they are: large numbers, the order of keys and
/// white space are the model's own.
pub(crate) const ARGUMENTS: &str = r#"{"zone": "UTC", "at": 12345678901234567890123, "a": 1.50}"#;

/// Stands in an answer for [`ARGUMENTS`], which a value would round.
pub(crate) const PLACE: &str = "the arguments";

/// What a server holds against a request.
pub(crate) type Verdict = Result<(), String>;

/// A server that checks what it is sent, and answers from a list.
pub(crate) struct Double {
    name: &'static str,
    check: fn(&Value) -> Verdict,
    answers: Mutex<Vec<Vec<Value>>>,
    framing: Framing,
    /// The bodies it was sent, refused ones included.
    pub(crate) seen: Mutex<Vec<String>>,
}

#[derive(Clone, Copy)]
enum Framing {
    Sse,
    Ndjson,
}

impl Double {
    fn new(
        name: &'static str,
        framing: Framing,
        check: fn(&Value) -> Verdict,
        mut answers: Vec<Vec<Value>>,
    ) -> Arc<Self> {
        answers.reverse();
        Arc::new(Self { name, check, answers: Mutex::new(answers), framing, seen: Mutex::default() })
    }

    fn answer(&self, text: &str) -> (u16, String) {
        let body: Value = serde_json::from_str(text).unwrap();
        let verdict = foreign(&body, self.name).and_then(|()| (self.check)(&body));
        self.seen.lock().unwrap().push(text.to_owned());
        if let Err(why) = verdict {
            return (400, json!({"error": {"message": format!("{}: {why}", self.name)}}).to_string());
        }
        let events = self.answers.lock().unwrap().pop().expect("an answer is left");
        let line = |event: &Value| match self.framing {
            Framing::Ndjson => format!("{event}\n"),
            Framing::Sse => {
                let name = event["type"].as_str().map(|name| format!("event: {name}\n")).unwrap_or_default();
                format!("{name}data: {event}\n\n")
            }
        };
        let place = format!("\"{PLACE}\"");
        (200, events.iter().map(|event| line(event).replace(&place, ARGUMENTS)).collect())
    }
}

#[async_trait]
impl Transport for Double {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Error> {
        let (status, text) = self.answer(std::str::from_utf8(request.body()).unwrap());
        let kind = match (status, self.framing) {
            (200, Framing::Sse) => "text/event-stream",
            (200, Framing::Ndjson) => "application/x-ndjson",
            _ => "application/json",
        };
        let body = futures::stream::iter([Ok(text.into())]).boxed();
        Ok(http::Response::builder().status(status).header("content-type", kind).body(body).unwrap())
    }
}

/// Refuses opaque data that somebody else made, wherever it stands.
fn foreign(value: &Value, name: &str) -> Verdict {
    match value {
        Value::String(text) => match text.split(SEAL).skip(1).find(|rest| !rest.starts_with(name)) {
            Some(rest) => Err(format!("a foreign signature, {SEAL}{rest}")),
            None => Ok(()),
        },
        Value::Array(list) => list.iter().try_for_each(|item| foreign(item, name)),
        Value::Object(fields) => fields.values().try_for_each(|item| foreign(item, name)),
        _ => Ok(()),
    }
}

fn ensure(holds: bool, why: impl Into<String>) -> Verdict {
    if holds { Ok(()) } else { Err(why.into()) }
}

fn only(object: &Value, allowed: &[&str]) -> Verdict {
    let unknown =
        object.as_object().into_iter().flatten().find(|(name, _)| !allowed.contains(&name.as_str()));
    unknown.map_or(Ok(()), |(name, _)| Err(format!("an unknown field {name} in {object}")))
}

fn list<'a>(object: &'a Value, name: &str) -> &'a [Value] {
    object[name].as_array().map_or(&[], Vec::as_slice)
}

fn alternate(turns: &[Value], first: &str) -> Verdict {
    ensure(
        turns.first().is_some_and(|turn| turn["role"] == json!(first)),
        format!("the first is not {first}'s"),
    )?;
    let twice = turns.windows(2).find(|pair| pair[0]["role"] == pair[1]["role"]);
    ensure(twice.is_none(), format!("two turns of one side in a row: {twice:?}"))
}

/// Messages: sides alternate, blocks are complete, every call is answered at once, thinking is signed.
pub(crate) fn anthropic(answers: Vec<Vec<Value>>) -> Arc<Double> {
    Double::new("anthropic", Framing::Sse, check_anthropic, answers)
}

fn check_anthropic(body: &Value) -> Verdict {
    ensure(body["max_tokens"].as_u64().is_some_and(|most| most > 0), "no max_tokens")?;
    let turns = list(body, "messages");
    alternate(turns, "user")?;
    let mut waiting: Vec<String> = Vec::new();
    for turn in turns {
        only(turn, &["role", "content"])?;
        let text = [json!({"type": "text", "text": turn["content"]})];
        let blocks = if turn["content"].is_string() { &text } else { list(turn, "content") };
        ensure(!blocks.is_empty(), "a turn without content")?;
        let results: Vec<_> =
            blocks.iter().take_while(|block| block["type"] == json!("tool_result")).collect();
        let answered: Vec<_> = results.iter().filter_map(|block| block["tool_use_id"].as_str()).collect();
        let unanswered = waiting.iter().find(|id| !answered.contains(&id.as_str()));
        ensure(unanswered.is_none(), format!("a call without its result, {unanswered:?}"))?;
        let orphan = answered.iter().find(|id| !waiting.iter().any(|call| call == *id));
        ensure(orphan.is_none(), format!("a result without its call, {orphan:?}"))?;
        waiting.clear();
        for block in &blocks[results.len()..] {
            match block["type"].as_str().unwrap_or_default() {
                "text" => ensure(
                    block["text"].as_str().is_some_and(|text| !text.trim().is_empty()),
                    "an empty text",
                )?,
                "thinking" => {
                    only(block, &["type", "thinking", "signature"])?;
                    ensure(
                        block["signature"].as_str().is_some_and(|s| s.contains(SEAL)),
                        "unsigned thinking",
                    )?;
                }
                "tool_use" => {
                    let id = block["id"].as_str().unwrap_or_default();
                    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
                    ensure(!id.is_empty() && id.bytes().all(legal), format!("an illegal id {id:?}"))?;
                    ensure(block["input"].is_object(), "an input that is no object")?;
                    ensure(turn["role"] == json!("assistant"), "a call by the user")?;
                    waiting.push(id.to_owned());
                }
                other => return Err(format!("a block of type {other:?} out of place")),
            }
        }
    }
    ensure(waiting.is_empty(), "a call at the end")
}

/// Responses: items are complete, reasoning is encrypted and followed by what it led to, calls have outputs.
pub(crate) fn openai_responses(answers: Vec<Vec<Value>>) -> Arc<Double> {
    Double::new("openai", Framing::Sse, check_responses, answers)
}

fn check_responses(body: &Value) -> Verdict {
    ensure(body.get("messages").is_none(), "messages instead of input")?;
    let mut waiting: Vec<&str> = Vec::new();
    let items = list(body, "input");
    for (at, item) in items.iter().enumerate() {
        let id = item["call_id"].as_str().unwrap_or_default();
        match item["type"].as_str().unwrap_or("message") {
            "message" => {
                let role = item["role"].as_str().unwrap_or_default();
                ensure(["user", "assistant", "system", "developer"].contains(&role), format!("role {role}"))?;
                for part in list(item, "content") {
                    let kind = part["type"].as_str().unwrap_or_default();
                    ensure(
                        kind.starts_with("output_") == (role == "assistant"),
                        format!("{kind} of {role}"),
                    )?;
                }
            }
            "reasoning" => {
                ensure(
                    item["encrypted_content"].as_str().is_some_and(|s| s.contains(SEAL)),
                    "unsealed reasoning",
                )?;
                ensure(item["summary"].is_array(), "reasoning without a summary")?;
                let next = items.get(at + 1).is_some_and(|next| next["role"] != json!("user"));
                ensure(next, "reasoning without what it led to")?;
            }
            "function_call" => {
                ensure(!id.is_empty() && id.len() <= 64, format!("an illegal id {id:?}"))?;
                ensure(item["arguments"].is_string(), "arguments that are no text")?;
                ensure(item["id"].as_str().is_none_or(|id| id.starts_with("fc_")), "an id that is not ours")?;
                waiting.push(id);
            }
            "function_call_output" => {
                let call = waiting.iter().position(|call| *call == id).ok_or("a result without its call")?;
                waiting.remove(call);
            }
            other => return Err(format!("an item of type {other}")),
        }
    }
    ensure(waiting.is_empty(), format!("calls without results: {waiting:?}"))
}

/// Chat completions of a vendor that wants ids of nine letters and knows no other fields.
pub(crate) fn mistral(answers: Vec<Vec<Value>>) -> Arc<Double> {
    Double::new("mistral", Framing::Sse, check_mistral, answers)
}

fn check_mistral(body: &Value) -> Verdict {
    let mut waiting: Vec<&str> = Vec::new();
    for message in list(body, "messages") {
        only(message, &["role", "content", "tool_calls", "tool_call_id", "name", "prefix"])?;
        if message["role"] == json!("tool") {
            let id = message["tool_call_id"].as_str().unwrap_or_default();
            let call = waiting.iter().position(|call| *call == id).ok_or("a result without its call")?;
            waiting.remove(call);
            continue;
        }
        ensure(waiting.is_empty(), format!("calls without results: {waiting:?}"))?;
        for call in list(message, "tool_calls") {
            let id = call["id"].as_str().unwrap_or_default();
            let legal = id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
            ensure(legal, format!("an illegal id {id:?}"))?;
            ensure(call["function"]["arguments"].is_string(), "arguments that are no text")?;
            waiting.push(id);
        }
    }
    ensure(waiting.is_empty(), format!("calls without results: {waiting:?}"))
}

/// Gemini 3: sides alternate, every call has its response by name and in order, and a signature.
pub(crate) fn gemini(name: &'static str, answers: Vec<Vec<Value>>) -> Arc<Double> {
    Double::new(name, Framing::Sse, check_gemini, answers)
}

fn check_gemini(body: &Value) -> Verdict {
    let turns = list(body, "contents");
    alternate(turns, "user")?;
    let mut waiting: Vec<&Value> = Vec::new();
    for turn in turns {
        only(turn, &["role", "parts"])?;
        ensure(["user", "model"].map(Value::from).contains(&turn["role"]), "an unknown role")?;
        ensure(!list(turn, "parts").is_empty(), "a turn without parts")?;
        let mut answered = Vec::new();
        let mut first_call = true;
        let mut calls = Vec::new();
        for part in list(turn, "parts") {
            only(
                part,
                &["text", "thought", "thoughtSignature", "functionCall", "functionResponse", "inlineData"],
            )?;
            if let Some(call) = part.get("functionCall") {
                only(call, &["id", "name", "args"])?;
                ensure(call["args"].is_object(), "args that are no object")?;
                ensure(!first_call || part["thoughtSignature"].is_string(), "a call without a signature")?;
                first_call = false;
                calls.push(&call["name"]);
            }
            if let Some(response) = part.get("functionResponse") {
                ensure(response["response"].is_object(), "a response that is no object")?;
                answered.push(&response["name"]);
            }
        }
        ensure(answered == waiting, format!("called {waiting:?}, answered {answered:?}"))?;
        waiting = calls;
    }
    ensure(waiting.is_empty(), "a call at the end")
}

/// Ollama: arguments are objects, results name their tool, and nothing else is understood.
pub(crate) fn ollama(answers: Vec<Vec<Value>>) -> Arc<Double> {
    Double::new("ollama", Framing::Ndjson, check_ollama, answers)
}

fn check_ollama(body: &Value) -> Verdict {
    only(body, &["model", "messages", "tools", "format", "options", "think", "stream", "keep_alive"])?;
    ensure(body["stream"].is_boolean(), "stream is not spelled out")?;
    let mut waiting: Vec<&Value> = Vec::new();
    for message in list(body, "messages") {
        only(message, &["role", "content", "thinking", "images", "tool_calls", "tool_name", "tool_call_id"])?;
        if message["role"] == json!("tool") {
            let name = &message["tool_name"];
            let call = waiting.iter().position(|call| *call == name).ok_or("a result without its call")?;
            waiting.remove(call);
            continue;
        }
        ensure(waiting.is_empty(), format!("calls without results: {waiting:?}"))?;
        for call in list(message, "tool_calls") {
            ensure(call["function"]["arguments"].is_object(), "arguments that are no object")?;
            waiting.push(&call["function"]["name"]);
        }
    }
    ensure(waiting.is_empty(), format!("calls without results: {waiting:?}"))
}
