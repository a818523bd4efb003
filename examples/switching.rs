//! One conversation, several providers: what each would be sent of what another one said. Nothing leaves the
//! machine: a call is prepared without any I/O.
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::sync::Arc;

use aichat_message::{Message, Opaque, OpaqueKind, Part, PartKind, ReasoningBlock, Role, Start};
use aichat_providers::{
    Adapter, Anthropic, Driver, Endpoint, Fault, Gemini, Ollama, OpenaiResponses, Provider, Request,
    ResponsesProfile,
};

fn provider(
    name: &str,
    adapter: impl Adapter + 'static,
) -> Result<Driver<impl Adapter>, aichat_providers::Error> {
    // A transport that refuses to carry anything; a program that wants answers gives `Http::new()`.
    Driver::new(Endpoint::new(name, "https://api.example.com/v1", Arc::new(Fault::new([]))), adapter)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let claude = provider("anthropic", Anthropic::new())?;

    // An answer of Claude's: it reasoned, signed its reasoning, and called a tool.
    let signature =
        Opaque { provider: "anthropic".into(), kind: OpaqueKind::Signature, data: "EqQBCg…".into() };
    let blocks = vec![ReasoningBlock::Text("I should look at the clock.".into())];
    let reasoning = Part { opaque: vec![signature], ..Part::new(PartKind::Reasoning { blocks }) };
    let call = Part::tool_call("toolu_01", "clock", r#"{"zone":"UTC"}"#);
    let mut answer = Message::new(Role::Assistant, vec![reasoning, call]);
    answer.origin = Some(claude.info().origin("claude-sonnet-4-5", &Start::default()));
    let conversation = vec![
        Message::user("What time is it?"),
        answer,
        Message::new(Role::Tool, vec![Part::tool_result("toolu_01", "12:00")]),
    ];

    let others: Vec<(&str, Box<dyn Provider>)> = vec![
        ("claude-sonnet-4-5", Box::new(claude)),
        (
            "gpt-5",
            Box::new(provider("openai", OpenaiResponses::new(ResponsesProfile::for_host("api.openai.com")))?),
        ),
        ("gemini-2.5-flash", Box::new(provider("gemini", Gemini::new())?)),
        ("qwen3", Box::new(provider("ollama", Ollama::new())?)),
    ];
    for (model, provider) in others {
        let call = provider.prepare(Request::new(model, conversation.clone()))?;
        println!("{}: {}", provider.info().name, String::from_utf8_lossy(&call.body));
        for warning in &call.warnings {
            println!("  warning: {warning}");
        }
    }
    Ok(())
}
