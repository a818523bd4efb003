//! A model that calls tools: offer them, run what it calls, send the results, until it has nothing more to call.
//!
//! `cargo run --example tools [BASE_URL MODEL]`; a key, if the server wants one, is read from `API_KEY`.
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::sync::Arc;

use aichat_message::{Fold, Json, Message, Part, PartKind, Role, ToolSpec};
use aichat_providers::{Driver, Endpoint, Http, OpenaiChat, Profile, Provider, Request, Scripted, Turn};
use futures::StreamExt;
use serde::Deserialize;

#[derive(Deserialize)]
struct Add {
    numbers: Vec<f64>,
}

/// Runs a call. Arguments are the model's own bytes: they may be anything.
fn run(name: &str, arguments: &str) -> Result<String, String> {
    let arguments: Json = Json::new(arguments).map_err(|error| error.to_string())?;
    match name {
        "add" => {
            let Add { numbers } = arguments.to().map_err(|error| error.to_string())?;
            Ok(numbers.iter().sum::<f64>().to_string())
        }
        other => Err(format!("there is no tool named {other}")),
    }
}

/// Turns a call into the result that goes back; other parts need none.
fn result(part: &Part) -> Option<Part> {
    let PartKind::ToolCall { call_id, name, arguments, .. } = &part.kind else { return None };
    let told = run(name, arguments.as_str());
    println!("{name}({}) -> {told:?}", arguments.as_str());
    let (text, is_error) = match told {
        Ok(text) => (text, false),
        Err(text) => (text, true),
    };
    let content = vec![Part::text(text)];
    // The id pairs the result with its call; a failure is told to the model, which may do better.
    let (call_id, name) = (call_id.clone(), Some(name.clone()));
    Some(Part::new(PartKind::ToolResult { call_id, name, content, is_error }))
}

/// A model that first calls a tool which nobody offered.
fn script() -> Scripted {
    Scripted::new([
        Turn::new().part(0, Part::tool_call("call_1", "sum", r#"{"numbers": [2, 3]}"#)).stop(),
        Turn::new().part(0, Part::tool_call("call_2", "add", r#"{"numbers": [2, 3]}"#)).stop(),
        Turn::text("Two and three are five."),
    ])
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (provider, model): (Arc<dyn Provider>, _) = match args.as_slice() {
        [base_url, model] => {
            let mut endpoint = Endpoint::new("server", base_url, Arc::new(Http::new()));
            if let Ok(key) = std::env::var("API_KEY") {
                endpoint = endpoint.with_key(key.into());
            }
            (Arc::new(Driver::new(endpoint, OpenaiChat::new(Profile::generic()))?), model.clone())
        }
        [] => (Arc::new(script()), "script".to_owned()),
        _ => return Err("usage: tools [BASE_URL MODEL]".into()),
    };
    let numbers = r#"{"type":"array","items":{"type":"number"}}"#;
    let parameters =
        format!(r#"{{"type":"object","properties":{{"numbers":{numbers}}},"required":["numbers"]}}"#);
    let description = Some("Adds numbers.".to_owned());
    let add =
        ToolSpec { name: "add".to_owned(), description, parameters: Json::new(parameters)?, strict: None };

    let mut messages = vec![Message::user("What are two and three?")];
    loop {
        let mut request = Request::new(&model, messages.clone());
        request.tools = vec![add.clone()];
        let mut stream = provider.stream(provider.prepare(request)?).await?;
        let mut fold = Fold::new();
        while let Some(delta) = stream.next().await {
            fold.apply(&delta?);
        }

        // With its origin an answer goes back as it came, signatures and all.
        let origin = provider.info().origin(&model, fold.started());
        let answer = Message { origin: Some(origin), ..fold.into_message() };
        let results: Vec<_> = answer.parts.iter().filter_map(result).collect();
        if results.is_empty() {
            println!("{}", answer.text());
            return Ok(());
        }
        messages.extend([answer, Message::new(Role::Tool, results)]);
    }
}
