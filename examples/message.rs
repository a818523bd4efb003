//! What is said: deltas become a message, and JSON from elsewhere survives the round trip byte for byte.
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use aichat_message::{Delta, Finish, FinishReason, Fold, Json, Message, Part, PartKind, Usage};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // An answer arrives in increments. Parts may interleave, and a tool call may be cut anywhere.
    let arguments = |text: &str| Delta::Arguments { index: 1, text: text.into() };
    let deltas = [
        Delta::Text { index: 0, text: "Let me ".into() },
        Delta::PartStart { index: 1, part: Box::new(Part::tool_call("call_1", "factor", "")) },
        arguments(r#"{"n": 1234567890123"#),
        Delta::Text { index: 0, text: "work that out.".into() },
        arguments("45678901234567890}"),
        Delta::Usage(Usage { input_tokens: Some(12), ..Usage::default() }),
        Delta::Finish(Finish { reason: FinishReason::ToolCalls, raw: Some("tool_calls".into()) }),
    ];
    let mut fold = Fold::new();
    deltas.iter().for_each(|delta| fold.apply(delta));
    println!("text:      {}", fold.message().text());

    // Arguments stay text, because a number of thirty digits fits into no number type.
    if let [_, Part { kind: PartKind::ToolCall { name, arguments, .. }, .. }] = &fold.message().parts[..] {
        println!("call:      {name}({})", arguments.as_str());
    }

    // A count that nobody reported is unknown, not zero.
    let usage = fold.usage().cloned().unwrap_or_default();
    println!("tokens:    {:?} in, {:?} out", usage.input_tokens, usage.output_tokens);

    // A part of a kind that this version has never heard of is kept as it came and goes back as it came.
    let hologram = r#"{"type": "hologram", "beams": 1e400}"#;
    let message: Message = Json::new(format!(r#"{{"role": "assistant", "parts": [{hologram}]}}"#))?.to()?;
    if let PartKind::Unknown { type_name, raw } = &message.parts[0].kind {
        println!("unknown:   {type_name}, kept whole: {}", raw.get() == hologram);
    }
    let again: Message = Json::from_value(&message)?.to()?;
    println!("roundtrip: {}", again == message);
    Ok(())
}
