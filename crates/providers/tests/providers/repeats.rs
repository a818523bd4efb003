//! Chunks that repeat the one before them with another text are read in a quick way: it must not show.

use aichat_message::Delta;
use aichat_providers::{Decoder, Error, Frame};

use crate::recordings::{chats, spoken};

/// A frame, with the name of the event if it is one.
#[derive(Clone, Debug)]
struct Owned(Option<String>, String);

/// Decodes frames up to the end or the first error; with `apart`, blanks make each of them unlike all before it.
fn decode(mut decoder: Box<dyn Decoder>, frames: &[Owned], apart: bool) -> (Vec<Delta>, Option<String>) {
    let mut out = Vec::new();
    let told = |error: Error| format!("{:?}: {}", error.kind(), error.message());
    for (count, Owned(name, text)) in frames.iter().enumerate() {
        let blanks = " ".repeat(if apart { count } else { 0 });
        let data = text.strip_prefix('{').map_or_else(|| text.clone(), |rest| format!("{{{blanks}{rest}"));
        let frame = match name {
            Some(name) => Frame::Event { name, data: &data },
            None => Frame::Value(&data),
        };
        if let Err(error) = decoder.push(frame, &mut out) {
            return (out, Some(told(error)));
        }
        if matches!(out.last(), Some(Delta::Finish(_))) {
            return (out, None);
        }
    }
    let error = decoder.finish(&mut out).err().map(told);
    (out, error)
}

/// Returns the frames of a body.
fn frames(body: &[u8]) -> Vec<Owned> {
    let (mut name, mut all) = (String::new(), Vec::new());
    for line in String::from_utf8_lossy(body).lines() {
        if let Some(event) = line.strip_prefix("event:") {
            event.trim().clone_into(&mut name);
        } else if let Some(data) = line.strip_prefix("data:") {
            all.push(Owned(Some(std::mem::take(&mut name)), data.trim().to_owned()));
        } else if line.starts_with('{') {
            all.push(Owned(None, line.trim().to_owned()));
        }
    }
    all
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end.max(1)
    }
}

/// Changes one frame, or puts it in once more in a changed form.
fn mutate(frames: &mut Vec<Owned>, dice: &mut Dice) {
    const BITS: [&str; 16] =
        ["\"", "\\", "{", "}", "[", ",", ":", "0", "7", "a", "é", "\n", "\\n", "\\u00e9", "\\ud800", "null"];
    let at = dice.below(frames.len());
    let again = frames[at].clone();
    let mut text: Vec<char> = again.1.chars().collect();
    for _ in 0..=dice.below(2) {
        let from = dice.below(text.len());
        let to = text.len().min(from + dice.below(3));
        text.splice(from..to, BITS[dice.below(BITS.len())].chars());
    }
    let changed = Owned(again.0.clone(), text.into_iter().collect());
    match dice.below(4) {
        0 => frames[at] = changed,
        1 => frames.insert(at, changed),
        2 => frames.insert(at + 1, changed),
        _ => drop(frames.splice(at + 1..at + 1, [again.clone(), changed, again])),
    }
}

#[test]
fn recordings_and_what_chance_makes_of_them() {
    let mut dice = Dice(7);
    for recording in chats() {
        let check = |frames: &[Owned]| {
            let decoder = recording.spoken.decoder;
            let (quick, whole) = (decode(decoder(), frames, false), decode(decoder(), frames, true));
            assert_eq!(quick, whole, "{}: {frames:#?}", recording.name);
        };
        let frames = frames(&recording.body);
        check(&frames);
        if frames.is_empty() {
            continue;
        }
        for _ in 0..60_000 / recording.body.len().clamp(100, 2_000) {
            let mut frames = frames[..frames.len().min(200)].to_vec();
            for _ in 0..=dice.below(3) {
                mutate(&mut frames, &mut dice);
            }
            check(&frames);
        }
    }
}

/// Chunks of OpenAI's chat protocol in which `@` stands for a text.
const CHUNKS: [&str; 31] = [
    r#"{"id":"r","model":"m","choices":[{"index":0,"delta":{"content":"@"},"finish_reason":null}]}"#,
    r#"{"id":"r","created":12,"choices":[{"index":0,"delta":{"content":"@"}}],"obfuscation":"xyz"}"#,
    r#"{"id":"r","created":7,"choices":[{"index":0,"delta":{"content":"@"}}],"obfuscation":""}"#,
    r#"{"id":"r","created":12,"choices":[{"index":0,"delta":{"content":"@"}}],"obfuscation":"@"}"#,
    r#"{"choices":[{"delta":{"role":"assistant","content":"@","refusal":null}}]}"#,
    r#"{"choices":[{"delta":{"content":null,"reasoning_content":"@"}}]}"#,
    r#"{"choices":[{"delta":{"content":"","reasoning":"@","reasoning_content":""}}]}"#,
    r#"{"choices":[{"delta":{"content":"@","reasoning":"@"}}]}"#,
    r#"{"choices":[{"delta":{"reasoning":"@","reasoning_content":"@"}}]}"#,
    r#"{"choices":[{"delta":{"reasoning_details":[{"type":"reasoning.text","text":"@","index":0}]}}]}"#,
    r#"{"choices":[{"delta":{"reasoning":"@","reasoning_details":[{"type":"reasoning.text","text":"b","index":0}]}}]}"#,
    r#"{"choices":[{"delta":{"refusal":"@"}}]}"#,
    r#"{"choices":[{"delta":{"content":[{"type":"text","text":"@"}]}}]}"#,
    r#"{"choices":[{"delta":{"content":"@","annotations":[{"a":1}]}}]}"#,
    r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"@"}}]}}]}"#,
    r#"{"choices":[{"delta":{"tool_calls":[{"index":1,"function":{"arguments":"@"}}]}}]}"#,
    r#"{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"@"}}]}}]}"#,
    r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"@"}}]}}]}"#,
    r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"g","arguments":"@"}}]}}]}"#,
    r#"{"choices":[{"delta":{"content":"@","tool_calls":[{"index":2,"function":{"arguments":""}}]}}]}"#,
    r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"x":1,"function":{"arguments":"@"}}]}}]}"#,
    r#"{"choices":[{"delta":{"content":"@"}}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
    r#"{"choices":[{"delta":{"content":"@"}}],"usage":{"prompt_tokens":1,"completion_tokens":3},"new":1}"#,
    r#"{"choices":[{"delta":{"content":"@","new":2}},{"index":1,"delta":{"content":"@"}}],"new":2}"#,
    r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"d","function":{"arguments":"@"}}]}}]}"#,
    r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"e","function":{"arguments":"@"}}]}}]}"#,
    r#"{"choices":[{"delta":{"content":"@","tool_calls":[{"index":0,"function":{"arguments":"b"}},{"index":1}]}}]}"#,
    r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":9}}"#,
    r#"{"choices":[],"new":9}"#,
    r#"{"choices":[{"delta":{"content":"@"},"finish_reason":"stop"}]}"#,
    r#"{"choices":[{"delta":{"content":"@"},"finish_reason":""}],"error":{"message":"@"}}"#,
];

const TEXTS: [&str; 9] = ["a", "b c", "", "\\n", "{\\\"k\\\":", "é👩‍🚀", "\\ud800", "\t", "\\"];

/// Events of the Responses protocol in which `@` stands for a text.
const EVENTS: [&str; 17] = [
    r#"{"type":"response.output_text.delta","sequence_number":7,"item_id":"m","output_index":0,"content_index":0,"delta":"@","obfuscation":"xy"}"#,
    r#"{"type":"response.output_text.delta","sequence_number":12,"item_id":"m","output_index":0,"content_index":0,"delta":"@","obfuscation":""}"#,
    r#"{"type":"response.output_text.delta","item_id":"m","output_index":0,"content_index":1,"delta":"@"}"#,
    r#"{"type":"response.output_text.delta","item_id":"n","output_index":0,"content_index":0,"delta":"@"}"#,
    r#"{"type":"response.output_text.delta","output_index":1,"delta":"@"}"#,
    r#"{"type":"response.output_text.done","item_id":"m","output_index":0,"content_index":0,"text":"@","delta":"@"}"#,
    r#"{"type":"response.refusal.delta","item_id":"m","output_index":0,"content_index":0,"delta":"@"}"#,
    r#"{"type":"response.function_call_arguments.delta","item_id":"c","output_index":2,"delta":"@"}"#,
    r#"{"type":"response.custom_tool_call_input.delta","item_id":"c","output_index":2,"delta":"@"}"#,
    r#"{"type":"response.reasoning_summary_text.delta","item_id":"r","output_index":3,"summary_index":0,"delta":"@"}"#,
    r#"{"type":"response.reasoning_summary_text.delta","item_id":"r","output_index":3,"summary_index":1,"delta":"@"}"#,
    r#"{"type":"response.reasoning_text.delta","item_id":"r","output_index":3,"content_index":0,"delta":"@"}"#,
    r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"message","id":"m","content":[]}}"#,
    r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"message","id":"m","content":[{"type":"output_text","text":"@"}]}}"#,
    r#"{"type":"response.output_item.done","output_index":3,"item":{"type":"reasoning","id":"r","summary":[]}}"#,
    r#"{"delta":"@"}"#,
    r#"{"type":"error","message":"@"}"#,
];

/// Events of the Messages protocol in which `@` stands for a text.
const FRAGMENTS: [&str; 14] = [
    r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"@"}}"#,
    r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":""}}"#,
    r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"c","name":"f","input":{}}}"#,
    r#"{"type":"content_block_start","index":1,"content_block":{"type":"new","text":"@"}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"@"}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"@","thinking":"@"}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"@"}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"@"}}"#,
    r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"@"}}"#,
    r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"@"}}"#,
    r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"@"}}"#,
    r#"{"type":"content_block_stop","index":0}"#,
    r#"{"type":"content_block_stop","index":1}"#,
    r#"{"type":"message_start","message":{"id":"m","content":[]}}"#,
];

#[test]
fn frames_of_all_kinds_in_any_order() {
    for (protocol, kinds) in
        [("openai-chat", &CHUNKS[..]), ("openai-responses", &EVENTS), ("anthropic", &FRAGMENTS)]
    {
        let (mut dice, decoder) = (Dice(11), spoken(protocol).decoder);
        for _ in 0..40_000 {
            // Few kinds at a time, so that they meet again.
            let some = [(); 3].map(|()| kinds[dice.below(kinds.len())]);
            let mut frames = Vec::new();
            while frames.len() < 9 {
                let frame = some[dice.below(some.len())];
                for _ in 0..=dice.below(3) {
                    // Texts that break the frame are rare, so that most answers get far.
                    let texts = if dice.below(12) == 0 { TEXTS.len() } else { 6 };
                    let text = TEXTS[dice.below(texts)];
                    frames.push(Owned(Some(String::new()), frame.replace('@', text)));
                }
            }
            let (quick, whole) = (decode(decoder(), &frames, false), decode(decoder(), &frames, true));
            assert_eq!(quick, whole, "{protocol}: {frames:#?}");
        }
    }
}
