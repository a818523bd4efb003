//! How recorded requests for chat completions are read back, and what they may differ in.

use std::sync::Arc;

use aichat_message::{MediaKind, Message, Opaque, OpaqueKind, Part, PartKind, ReasoningBlock, Role, Source};
use aichat_providers::{OpenaiChat, Profile, Provider, Transport};
use serde_json::{Value, json};

use crate::followups::{Writing, each, remove_if};
use crate::recordings::provider;

fn chat(profile: &str, transport: Arc<dyn Transport>) -> Box<dyn Provider> {
    provider(transport, OpenaiChat::new(Profile::named(profile).unwrap()))
}

pub(crate) const WRITING: Writing = Writing {
    protocol: "openai-chat",
    folders: &[
        ("openai-chat", |transport| chat("openai", transport)),
        ("deepseek-chat", |transport| chat("deepseek", transport)),
        ("groq-chat", |transport| chat("groq", transport)),
        ("llamacpp-chat", |transport| chat("llamacpp", transport)),
        ("mistral-chat", |transport| chat("mistral", transport)),
        ("openrouter-chat", |transport| chat("openrouter", transport)),
    ],
    list: "messages",
    fields: &["tools"],
    head: |_| Vec::new(),
    tools: |body| {
        let tools = body["tools"].as_array().into_iter().flatten();
        tools.map(|tool| serde_json::from_value(tool["function"].clone()).unwrap()).collect()
    },
    read: read_chat,
    is_answer: |entry| entry["role"] == json!("assistant"),
    alike: &[
        ("a list of one text is that text", |body| {
            each(body, "messages", |message| {
                if let Some([part]) = message["content"].as_array().map(Vec::as_slice)
                    && part["type"] == json!("text")
                {
                    message["content"] = part["text"].clone();
                }
            });
        }),
        ("an answer without words has an empty content, null or none", |body| {
            each(body, "messages", |message| {
                if message["role"] == json!("assistant")
                    && [json!(""), json!(null)].contains(&message["content"])
                {
                    message.as_object_mut().unwrap().remove("content");
                }
            });
        }),
        ("an empty answer before another says nothing", |body| {
            let entries = body["messages"].as_array_mut().unwrap();
            entries.retain(|message| *message != json!({"role": "assistant"}));
        }),
        ("what is the default need not be said", |body| {
            each(body, "messages", |message| {
                remove_if(message, "prefix", &json!(false));
                each(message, "content", |part| {
                    if part["image_url"].is_object() {
                        remove_if(&mut part["image_url"], "detail", &json!("auto"));
                    }
                });
                each(message, "tool_calls", |call| {
                    call.as_object_mut().map(|call| call.remove("index")).map_or((), drop)
                });
            });
            remove_if(body, "stream", &json!(false));
            remove_if(body, "stream_options", &json!({"include_usage": true}));
            each(body, "tools", |tool| remove_if(&mut tool["function"], "strict", &json!(null)));
        }),
        ("the recorded client wrote arguments anew, where we keep their bytes", |body| {
            each(body, "messages", |message| {
                each(message, "tool_calls", |call| {
                    let text = call["function"]["arguments"].as_str().unwrap();
                    call["function"]["arguments"] = serde_json::from_str(text).unwrap();
                });
            });
        }),
        ("the recorded client lost the format and the id of reasoning details, which we keep", |body| {
            each(body, "messages", |message| {
                each(message, "reasoning_details", |detail| {
                    detail
                        .as_object_mut()
                        .unwrap()
                        .retain(|name, _| !["format", "id"].contains(&name.as_str()));
                });
            });
        }),
        ("ids are compared by their order", |body| {
            let mut known = Vec::new();
            let mut number = |id: &mut Value| {
                let at = known.iter().position(|other| other == id).unwrap_or_else(|| {
                    known.push(id.clone());
                    known.len() - 1
                });
                *id = json!(at);
            };
            each(body, "messages", |message| {
                each(message, "tool_calls", |call| number(&mut call["id"]));
                if message["tool_call_id"].is_string() {
                    number(&mut message["tool_call_id"]);
                }
            });
        }),
    ],
};

fn read_chat(entry: &Value) -> Message {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let role = match entry["role"].as_str().unwrap() {
        "system" => Role::System,
        "developer" => Role::Developer,
        "assistant" => Role::Assistant,
        "tool" => {
            let result = Part::tool_result(text(&entry["tool_call_id"]), text(&entry["content"]));
            return Message::new(Role::Tool, vec![result]);
        }
        _ => Role::User,
    };
    let mut parts = Vec::new();
    if let Some(thought) = entry["reasoning_content"].as_str() {
        parts.push(Part::new(PartKind::Reasoning { blocks: vec![ReasoningBlock::Text(thought.to_owned())] }));
    }
    if entry["reasoning_details"].is_array() {
        let kind = OpaqueKind::ReasoningDetails;
        let data = entry["reasoning_details"].to_string();
        let opaque = vec![Opaque { provider: "test".to_owned(), kind, data }];
        parts.push(Part { opaque, ..Part::reasoning() });
    }
    match &entry["content"] {
        Value::String(text) => parts.push(Part::text(text)),
        Value::Array(list) => parts.extend(list.iter().map(read_chat_part)),
        _ => {}
    }
    for call in entry["tool_calls"].as_array().into_iter().flatten() {
        let function = &call["function"];
        parts.push(Part::tool_call(text(&call["id"]), text(&function["name"]), text(&function["arguments"])));
    }
    Message::new(role, parts)
}

fn read_chat_part(part: &Value) -> Part {
    let data = |url: &Value| {
        let (mime, data) =
            url.as_str().unwrap().strip_prefix("data:").unwrap().split_once(";base64,").unwrap();
        (Some(mime.to_owned()), Source::Base64(data.to_owned()))
    };
    match part["type"].as_str().unwrap() {
        "text" => Part::text(part["text"].as_str().unwrap()),
        "image_url" => {
            let (mime, source) = data(&part["image_url"]["url"]);
            Part::new(PartKind::Media { media: MediaKind::Image, source, mime, name: None })
        }
        "file" => {
            let (mime, source) = data(&part["file"]["file_data"]);
            let name = part["file"]["filename"].as_str().map(str::to_owned);
            Part::new(PartKind::Media { media: MediaKind::File, source, mime, name })
        }
        other => panic!("a part of type {other}"),
    }
}
