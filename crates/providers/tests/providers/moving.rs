//! A conversation that moves from provider to provider, with tools and reasoning in it, and back.

use std::sync::Arc;

use aichat_message::{Executor, Json, Message, Origin, Part, PartKind, Role, ToolSpec};
use aichat_providers::{
    Adapter, Anthropic, Driver, Endpoint, Gemini, Ollama, OpenaiChat, OpenaiResponses, Profile, Provider,
    Request, ResponsesProfile, Transport,
};
use futures::StreamExt;
use serde_json::{Value, json};

use crate::doubles::{self, ARGUMENTS, Double, PLACE};

/// One provider's share of the conversation.
struct Stop {
    name: &'static str,
    model: &'static str,
    provider: Box<dyn Provider>,
}

fn stop<A: Adapter + 'static>(
    name: &'static str,
    model: &'static str,
    adapter: A,
    double: Arc<dyn Transport>,
) -> Stop {
    let endpoint = Endpoint::new(name, "http://localhost:1", double);
    Stop { name, model, provider: Box::new(Driver::new(endpoint, adapter).unwrap()) }
}

/// Asks, answers what tools are called, and returns when the model has nothing more to call.
async fn talk(stop: &Stop, messages: &mut Vec<Message>, question: &str) -> Vec<String> {
    let mut warnings = Vec::new();
    messages.push(Message::user(question));
    loop {
        let mut request = Request::new(stop.model, messages.clone());
        let parameters = Json::new(r#"{"type":"object","properties":{"zone":{"type":"string"}}}"#).unwrap();
        request.tools = ["clock", "date"]
            .map(|name| ToolSpec {
                name: name.into(),
                description: None,
                parameters: parameters.clone(),
                strict: None,
            })
            .to_vec();
        let call = stop.provider.prepare(request).unwrap();
        warnings.extend(call.warnings.clone());
        let mut stream =
            stop.provider.stream(call).await.unwrap_or_else(|error| panic!("{}: {error}", stop.name));
        let mut fold = aichat_message::Fold::new();
        while let Some(delta) = stream.next().await {
            fold.apply(&delta.unwrap_or_else(|error| panic!("{}: {error}", stop.name)));
        }
        let mut answer = fold.message();
        let info = stop.provider.info();
        answer.origin = Some(Origin {
            provider: info.name.clone(),
            protocol: info.protocol.clone(),
            model: stop.model.into(),
            response_id: None,
        });
        let results: Vec<_> = answer.parts.iter().filter_map(result).collect();
        messages.push(answer);
        if results.is_empty() {
            return warnings;
        }
        messages.push(Message::new(Role::Tool, results));
    }
}

fn result(part: &Part) -> Option<Part> {
    match &part.kind {
        PartKind::ToolCall { call_id, name, executor: Executor::Client, .. } => {
            Some(Part::tool_result(call_id.as_str(), format!("{name}: noon")))
        }
        _ => None,
    }
}

#[tokio::test]
async fn a_conversation_moves_and_comes_back() {
    let anthropic = doubles::anthropic(vec![
        anthropic_answer("one", true),
        anthropic_answer("one", false),
        anthropic_answer("two", true),
        anthropic_answer("two", false),
    ]);
    let openai = doubles::openai_responses(vec![responses_answer(true), responses_answer(false)]);
    let mistral = doubles::mistral(vec![chat_answer(true), chat_answer(false)]);
    let gemini =
        doubles::gemini("gemini", vec![gemini_answer("gemini", true), gemini_answer("gemini", false)]);
    let twin = doubles::gemini("twin", vec![gemini_answer("twin", true), gemini_answer("twin", false)]);
    let ollama = doubles::ollama(vec![ollama_answer(true), ollama_answer(false)]);
    let home = stop("anthropic", "claude-sonnet-4-5", Anthropic::new(), anthropic.clone());
    let stops = [
        stop(
            "openai",
            "gpt-5",
            OpenaiResponses::new(ResponsesProfile::named("openai").unwrap()),
            openai.clone(),
        ),
        stop(
            "mistral",
            "mistral-small",
            OpenaiChat::new(Profile::named("mistral").unwrap()),
            mistral.clone(),
        ),
        stop("gemini", "gemini-3-pro-preview", Gemini::new(), gemini.clone()),
        // The same protocol and the same model at somebody else's: signatures are still foreign.
        stop("twin", "gemini-3-pro-preview", Gemini::new(), twin.clone()),
        stop("ollama", "qwen3", Ollama::new(), ollama.clone()),
    ];

    let mut messages = vec![Message::new(Role::System, vec![Part::text("Be brief.")])];
    let first = talk(&home, &mut messages, "What time is it?").await;
    assert!(first.is_empty(), "at home nothing is lost: {first:?}");
    for stop in &stops {
        // Two turns of one side in a row, which some protocols refuse.
        messages.push(Message::user("One moment."));
        let warnings = talk(stop, &mut messages, "And now?").await;
        assert!(warnings.iter().any(|text| text.contains("reasoning")), "{}: {warnings:?}", stop.name);
    }
    talk(&home, &mut messages, "And here again?").await;

    // Each was sent every call so far with its result: two at a time, one provider more each time.
    let last = |double: &Double| double.seen.lock().unwrap().last().unwrap().clone();
    let results = |double: &Double, field: &str| last(double).matches(field).count();
    assert_eq!(results(&openai, "\"function_call_output\""), 4);
    assert_eq!(results(&mistral, "\"tool_call_id\""), 6);
    assert_eq!(results(&gemini, "\"functionResponse\""), 8);
    assert_eq!(results(&twin, "\"functionResponse\""), 10);
    assert_eq!(results(&ollama, "\"tool_name\""), 12);
    let text = last(&anthropic);
    assert_eq!(text.matches("\"tool_result\"").count(), 14);
    // Whoever called: the arguments keep their digits, their order and their white space.
    assert_eq!(text.matches(ARGUMENTS).count(), 14);
    // What it signed comes back in its place.
    for signature in ["sealed-by-anthropic one", "sealed-by-anthropic two"] {
        assert_eq!(text.matches(signature).count(), 1, "{signature}");
    }
    let body: Value = serde_json::from_str(&text).unwrap();
    let blocks = body["messages"][1]["content"].as_array().unwrap();
    let kinds: Vec<_> = blocks.iter().map(|block| block["type"].clone()).collect();
    assert_eq!(kinds, ["thinking", "text", "tool_use", "tool_use"].map(Value::from));
}

fn anthropic_answer(which: &str, calls: bool) -> Vec<Value> {
    let block = |index: u32, start: Value, deltas: Vec<Value>| {
        let mut events = vec![json!({"type": "content_block_start", "index": index, "content_block": start})];
        events.extend(
            deltas
                .into_iter()
                .map(|delta| json!({"type": "content_block_delta", "index": index, "delta": delta})),
        );
        events.push(json!({"type": "content_block_stop", "index": index}));
        events
    };
    let call = |index: u32, name: &str| {
        block(
            index,
            json!({"type": "tool_use", "id": format!("toolu_{which}_{name}"), "name": name, "input": {}}),
            vec![json!({"type": "input_json_delta", "partial_json": ARGUMENTS})],
        )
    };
    let usage = json!({"input_tokens": 10, "output_tokens": 1});
    let mut events = vec![json!({"type": "message_start", "message":
        {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": [], "usage": usage}})];
    if calls {
        let signature = format!("sealed-by-anthropic {which}");
        let thinking = vec![
            json!({"type": "thinking_delta", "thinking": "hm"}),
            json!({"type": "signature_delta", "signature": signature}),
        ];
        events.extend(block(0, json!({"type": "thinking", "thinking": "", "signature": ""}), thinking));
    }
    let text = vec![json!({"type": "text_delta", "text": "Let me see."})];
    events.extend(block(1, json!({"type": "text", "text": ""}), text));
    if calls {
        events.extend(call(2, "clock"));
        events.extend(call(3, "date"));
    }
    let reason = if calls { "tool_use" } else { "end_turn" };
    let delta = json!({"stop_reason": reason, "stop_sequence": null});
    events.push(json!({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 5}}));
    events.push(json!({"type": "message_stop"}));
    events
}

fn responses_answer(calls: bool) -> Vec<Value> {
    let call = |name: &str| {
        json!({"type": "function_call", "id": format!("fc_{name}"), "call_id": format!("call|{name}"), "name": name,
            "arguments": ARGUMENTS, "status": "completed"})
    };
    let reasoning = json!({"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}],
        "encrypted_content": "sealed-by-openai"});
    let text = json!({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": "Let me see.", "annotations": []}]});
    let items = if calls { vec![reasoning, call("clock"), call("date")] } else { vec![text] };
    let response = json!({"id": "resp_1", "model": "gpt-5", "status": "in_progress", "output": []});
    let mut events = vec![json!({"type": "response.created", "sequence_number": 0, "response": response})];
    for (at, item) in items.iter().enumerate() {
        events.push(json!({"type": "response.output_item.added", "output_index": at, "item": item}));
        events.push(json!({"type": "response.output_item.done", "output_index": at, "item": item}));
    }
    let response = json!({"id": "resp_1", "model": "gpt-5", "status": "completed", "output": items,
        "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}});
    events.push(json!({"type": "response.completed", "sequence_number": 9, "response": response}));
    events
}

fn chat_answer(calls: bool) -> Vec<Value> {
    let call = |index: u32, id: &str, name: &str| json!({"index": index, "id": id, "function": {"name": name, "arguments": ARGUMENTS}});
    let (said, reason) = match calls {
        true => (
            json!({"content": "", "tool_calls": [call(0, "abcdefgh1", "clock"), call(1, "abcdefgh2", "date")]}),
            "tool_calls",
        ),
        false => (json!({"content": "Noon."}), "stop"),
    };
    vec![json!({"id": "c", "model": "m", "choices": [{"index": 0, "delta": said, "finish_reason": reason}]})]
}

fn gemini_answer(name: &str, calls: bool) -> Vec<Value> {
    let seal = format!("sealed-by-{name}");
    let parts = match calls {
        true => json!([
            {"text": "hm", "thought": true},
            {"functionCall": {"name": "clock", "args": PLACE}, "thoughtSignature": seal},
            {"functionCall": {"name": "date", "args": PLACE}},
        ]),
        false => json!([{"text": "Noon."}, {"text": "", "thoughtSignature": seal}]),
    };
    let candidate = json!({"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0});
    let usage = json!({"promptTokenCount": 1, "candidatesTokenCount": 2, "totalTokenCount": 3});
    vec![json!({"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-3-pro-preview"})]
}

fn ollama_answer(calls: bool) -> Vec<Value> {
    let call = |name: &str| json!({"function": {"name": name, "arguments": PLACE}});
    let message = match calls {
        true => {
            json!({"role": "assistant", "content": "", "thinking": "hm", "tool_calls": [call("clock"), call("date")]})
        }
        false => json!({"role": "assistant", "content": "Noon."}),
    };
    vec![
        json!({"model": "qwen3", "message": message, "done": false}),
        json!({"model": "qwen3", "message": {"role": "assistant", "content": ""}, "done": true, "done_reason": "stop"}),
    ]
}
