//! Benchmark 6: bytes to deltas, from memory, for every protocol; beside what reading the same JSON alone costs.

use std::borrow::Cow;
use std::error::Error;
use std::time::Duration;

use aichat_message::Delta;
use aichat_providers::{
    Adapter, Anthropic, Decoder, Gemini, Info, Intake, Ollama, OpenaiChat, OpenaiResponses, Profile,
    ResponsesProfile,
};
use serde::Deserialize;
use serde_json::Value;

use crate::Outcome;
use crate::measure::thread_cpu;
use crate::table::at_most;

const CORPUS: usize = 100 << 20;
/// What one read of a socket may give.
const CHUNK: usize = 16 << 10;
const ROUNDS: usize = 5;

/// An answer in one protocol.
struct Answer {
    name: &'static str,
    decoder: fn() -> Box<dyn Decoder>,
    content_type: &'static str,
    /// The name of its events, where they have one.
    event: &'static str,
    /// Writes the frame of this number.
    frame: fn(usize) -> String,
    /// Where the text stands in a frame.
    pointer: &'static str,
    /// Returns the length of a frame's text, by serde into borrowed fields; unknown fields are skipped.
    borrowed: fn(&str) -> Option<usize>,
}

const SSE: &str = "text/event-stream";

const ANSWERS: &[Answer] = &[
    Answer {
        name: "openai-chat",
        decoder: openai_chat,
        content_type: SSE,
        event: "",
        frame: |index| chat(&format!(r#"{{"content":"{index} "}}"#), ""),
        pointer: "/choices/0/delta/content",
        borrowed: |json| Some(chat_said(json)?.content.len()),
    },
    Answer {
        name: "openai-chat, padded",
        decoder: openai_chat,
        content_type: SSE,
        event: "",
        frame: |index| {
            let padding = &"aB3dE6gH9kL2nO5qR8"[..index % 16];
            let text = if index % 10 == 0 { "\\n\\n" } else { " word" };
            chat(&format!(r#"{{"content":"{text}"}}"#), &format!(r#","obfuscation":"{padding}""#))
        },
        pointer: "/choices/0/delta/content",
        borrowed: |json| Some(chat_said(json)?.content.len()),
    },
    Answer {
        name: "openai-chat, arguments",
        decoder: openai_chat,
        content_type: SSE,
        event: "",
        frame: |index| {
            let text = if index % 4 == 0 { "\\\"," } else { " word" };
            let name = if index == 0 { r#","id":"call_1","type":"function""# } else { "" };
            chat(
                &format!(r#"{{"tool_calls":[{{"index":0{name},"function":{{"arguments":"{text}"}}}}]}}"#),
                "",
            )
        },
        pointer: "/choices/0/delta/tool_calls/0/function/arguments",
        borrowed: |json| Some(chat_said(json)?.tool_calls.first()?.function.arguments.len()),
    },
    Answer {
        name: "openai-chat, all unlike",
        decoder: openai_chat,
        content_type: SSE,
        event: "",
        frame: |index| chat(&format!(r#"{{"content":"{index} "}}"#), &format!(r#","elapsed":{index}.5"#)),
        pointer: "/choices/0/delta/content",
        borrowed: |json| Some(chat_said(json)?.content.len()),
    },
    Answer {
        name: "openai-responses",
        decoder: || decoder(OpenaiResponses::new(ResponsesProfile::generic())),
        content_type: SSE,
        event: "response.output_text.delta",
        frame: |index| {
            let (number, padding) = (index + 4, &"aB3dE6gH9kL2nO5qR8"[..index % 16]);
            format!(
                r#"{{"type":"response.output_text.delta","sequence_number":{number},"item_id":"msg_01830d662ab3856501693c3215","output_index":0,"content_index":0,"delta":" {index}","logprobs":[],"obfuscation":"{padding}"}}"#
            )
        },
        pointer: "/delta",
        borrowed: |json| Some(serde_json::from_str::<Responses<'_>>(json).ok()?.delta.len()),
    },
    Answer {
        name: "anthropic",
        decoder: || decoder(Anthropic::new()),
        content_type: SSE,
        event: "content_block_delta",
        frame: |index| {
            format!(
                r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":" {index}"}}}}"#
            )
        },
        pointer: "/delta/text",
        borrowed: |json| Some(serde_json::from_str::<Messages<'_>>(json).ok()?.delta.text.len()),
    },
    Answer {
        name: "gemini",
        decoder: || decoder(Gemini::new()),
        content_type: SSE,
        event: "",
        frame: |index| {
            let total = index + 9;
            format!(
                r#"{{"candidates":[{{"content":{{"parts":[{{"text":" word {index} and the dozen words that a chunk of this service has on average, or more"}}],"role":"model"}},"index":0}}],"usageMetadata":{{"promptTokenCount":9,"candidatesTokenCount":{index},"totalTokenCount":{total},"promptTokensDetails":[{{"modality":"TEXT","tokenCount":9}}]}},"modelVersion":"gemini-bench","responseId":"Yq8PaYaxFISTq8YP"}}"#
            )
        },
        pointer: "/candidates/0/content/parts/0/text",
        borrowed: |json| {
            let answer = serde_json::from_str::<Generate<'_>>(json).ok()?;
            Some(answer.candidates.first()?.content.parts.first()?.text.len())
        },
    },
    Answer {
        name: "ollama",
        decoder: || decoder(Ollama::new()),
        content_type: "application/x-ndjson",
        event: "",
        frame: |index| {
            let micros = index % 1_000_000;
            format!(
                r#"{{"model":"bench:4b","created_at":"2026-08-05T08:11:08.{micros:06}Z","message":{{"role":"assistant","content":" {index}"}},"done":false}}"#
            )
        },
        pointer: "/message/content",
        borrowed: |json| Some(serde_json::from_str::<OllamaLine<'_>>(json).ok()?.message.content.len()),
    },
];

/// Runs it.
pub(crate) fn run() -> Outcome {
    println!("{:<26}{:>12}{:>18}{:>14}", "ns per frame", "aichat", "borrowed serde", "serde Value");
    let mut ratios = Vec::new();
    for answer in ANSWERS {
        let (frames, count) = frames(answer);
        let parties: [&dyn Fn() -> Result<usize, Box<dyn Error>>; 3] =
            [&|| ours(answer, &frames), &|| each(&frames, answer.borrowed), &|| {
                each(&frames, |json| {
                    Some(serde_json::from_str::<Value>(json).ok()?.pointer(answer.pointer)?.as_str()?.len())
                })
            }];
        let mut times = [const { Vec::new() }; 3];
        let mut found = None;
        for _ in 0..ROUNDS {
            for (party, times) in parties.iter().zip(&mut times) {
                let before = thread_cpu()?;
                let bytes = party()?;
                times.push(thread_cpu()? - before);
                if *found.get_or_insert(bytes) != bytes {
                    return Err(format!("{}: {bytes} bytes of text, others {found:?}", answer.name).into());
                }
            }
        }
        let [ours, borrowed, value] = times.map(|mut times: Vec<Duration>| {
            times.sort_unstable();
            times[times.len() / 2].as_secs_f64() * 1e9 / count as f64
        });
        println!("{:<26}{ours:>12.0}{borrowed:>18.0}{value:>14.0}", answer.name);
        ratios.push((answer.name, ours / borrowed, ours / value));
    }
    println!();
    for (name, borrowed, value) in ratios {
        at_most(&format!("{name}, aichat / borrowed serde"), borrowed, 1.2);
        at_most(&format!("{name}, aichat / serde Value"), value, 0.35);
    }
    Ok(())
}

/// Returns the body of an answer of nothing but frames, and how many they are.
fn frames(answer: &Answer) -> (Vec<u8>, usize) {
    let mut body = Vec::with_capacity(CORPUS);
    for index in 0.. {
        let frame = (answer.frame)(index);
        let frame = match (answer.content_type, answer.event) {
            (SSE, "") => format!("data: {frame}\n\n"),
            (SSE, event) => format!("event: {event}\ndata: {frame}\n\n"),
            _ => format!("{frame}\n"),
        };
        if body.len() + frame.len() > CORPUS {
            return (body, index);
        }
        body.extend_from_slice(frame.as_bytes());
    }
    unreachable!("the body has an end")
}

/// Returns the length of all text that the deltas hold.
fn ours(answer: &Answer, body: &[u8]) -> Result<usize, Box<dyn Error>> {
    let mut intake = Intake::new(Some(answer.content_type), (answer.decoder)());
    let (mut deltas, mut bytes) = (Vec::new(), 0);
    for chunk in body.chunks(CHUNK) {
        intake.push(chunk, &mut deltas)?;
        for delta in deltas.drain(..) {
            if let Delta::Text { text, .. } | Delta::Arguments { text, .. } = delta {
                bytes += text.len();
            }
        }
    }
    Ok(bytes)
}

/// Returns the sum of what `length` says of every frame.
fn each(body: &[u8], length: impl Fn(&str) -> Option<usize>) -> Result<usize, Box<dyn Error>> {
    let (mut bytes, mut start) = (0, 0);
    for end in memchr::memchr_iter(b'\n', body) {
        let line = std::str::from_utf8(&body[start..end])?;
        start = end + 1;
        if !line.is_empty() && !line.starts_with("event: ") {
            bytes +=
                length(line.strip_prefix("data: ").unwrap_or(line)).ok_or("a frame is not understood")?;
        }
    }
    Ok(bytes)
}

fn decoder(adapter: impl Adapter) -> Box<dyn Decoder> {
    let protocol = adapter.protocol();
    adapter.decoder(&Info::new("bench", protocol))
}

fn openai_chat() -> Box<dyn Decoder> {
    decoder(OpenaiChat::new(Profile::generic()))
}

fn chat(delta: &str, more: &str) -> String {
    format!(
        r#"{{"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,"model":"bench","system_fingerprint":"fp_bench","choices":[{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":null}}]{more}}}"#
    )
}

#[derive(Deserialize)]
struct Chat<'a> {
    #[serde(borrow)]
    choices: Vec<Choice<'a>>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    delta: Said<'a>,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Said<'a> {
    #[serde(borrow)]
    content: Cow<'a, str>,
    #[serde(borrow)]
    tool_calls: Vec<Call<'a>>,
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    function: Function<'a>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow)]
    arguments: Cow<'a, str>,
}

fn chat_said(json: &str) -> Option<Said<'_>> {
    Some(serde_json::from_str::<Chat<'_>>(json).ok()?.choices.into_iter().next()?.delta)
}

#[derive(Deserialize)]
struct Responses<'a> {
    #[serde(borrow)]
    delta: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Messages<'a> {
    #[serde(borrow)]
    delta: Block<'a>,
}

#[derive(Deserialize)]
struct Block<'a> {
    #[serde(borrow)]
    text: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Generate<'a> {
    #[serde(borrow)]
    candidates: Vec<Candidate<'a>>,
}

#[derive(Deserialize)]
struct Candidate<'a> {
    #[serde(borrow)]
    content: Content<'a>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    parts: Vec<Block<'a>>,
}

#[derive(Deserialize)]
struct OllamaLine<'a> {
    #[serde(borrow)]
    message: Message<'a>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Cow<'a, str>,
}
