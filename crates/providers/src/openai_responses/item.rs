//! What an item of the output is in our words: the parts it stands for, with all that they need to go back.

use serde_json::value::RawValue;

use aichat_message::{Extra, Json, MediaKind, Opaque, OpaqueKind, Part, PartKind, ReasoningBlock, Source};

use super::wire::{Fields, json, text};

/// Begins the name of a kept field that stood in a message's content, and of the kind of content that is not known.
pub(super) const CONTENT: &str = "content.";

/// The type of a call whose input is free text.
pub(super) const CUSTOM_CALL: &str = "custom_tool_call";

/// Returns the parts that an item stands for: those of its content if it is a message, else one.
pub(super) fn parts(item: &RawValue, provider: &str) -> Vec<Part> {
    let fields = Fields::read(item);
    let kind = fields.text("type");
    let mut parts = match &*kind {
        "message" => message(&fields),
        "reasoning" => vec![reasoning(&fields, provider)],
        "function_call" | CUSTOM_CALL => vec![call(&fields)],
        "image_generation_call" if !fields.text("result").is_empty() => vec![image(&fields)],
        _ => vec![unknown(&kind, item)],
    };
    let id = fields.text("id");
    for part in parts.iter_mut().filter(|_| !id.is_empty()) {
        part.id = Some(id.clone().into_owned());
    }
    parts
}

fn unknown(kind: &str, raw: &RawValue) -> Part {
    Part::new(PartKind::Unknown { type_name: kind.to_owned(), raw: Json::from_raw(raw.to_owned()) })
}

fn message(fields: &Fields<'_>) -> Vec<Part> {
    let mut parts: Vec<Part> = match fields.get("content") {
        Some(plain) if plain.get().starts_with('"') => vec![Part::text(text(plain))],
        _ => fields.list("content").into_iter().map(content).collect(),
    };
    if let Some(first) = parts.first_mut() {
        let mut extra = fields.besides(&["type", "id", "role", "content"]);
        first.extra.iter().for_each(|(name, value)| extra.push(name, value.clone()));
        first.extra = extra;
    }
    parts
}

fn content(raw: &RawValue) -> Part {
    let fields = Fields::read(raw);
    let kind = match &*fields.text("type") {
        "output_text" | "text" => {
            let annotations = fields.list("annotations").into_iter().map(ToOwned::to_owned);
            PartKind::Text {
                text: fields.text("text").into_owned(),
                annotations: annotations.map(Json::from_raw).collect(),
            }
        }
        "refusal" => PartKind::Refusal { text: fields.text("refusal").into_owned() },
        other => return unknown(&format!("{CONTENT}{other}"), raw),
    };
    // One logprob per token, and only on request: the recorded wire bytes have them.
    let rest = fields.besides(&["type", "text", "refusal", "annotations", "logprobs"]);
    let extra = rest.iter().map(|(name, value)| (format!("{CONTENT}{name}"), value.clone()));
    Part { extra: extra.collect(), ..Part::new(kind) }
}

fn reasoning(fields: &Fields<'_>, provider: &str) -> Part {
    let mut extra = fields.besides(&["type", "id", "summary", "content", "encrypted_content"]);
    let mut blocks = Vec::new();
    for (list, kind) in [("summary", "summary_text"), ("content", "reasoning_text")] {
        let entries: Vec<_> = fields.list(list).into_iter().map(Fields::read).collect();
        blocks.extend(entries.iter().map(|entry| {
            let text = entry.text("text").into_owned();
            if list == "summary" { ReasoningBlock::Summary(text) } else { ReasoningBlock::Text(text) }
        }));
        let is_plain =
            |entry: &Fields<'_>| entry.text("type") == kind && entry.besides(&["type", "text"]).is_empty();
        if let Some(raw) = fields.get(list).filter(|_| !entries.iter().all(is_plain)) {
            extra.push(list, Json::from_raw(raw.to_owned()));
        }
    }
    let sealed = fields.get("encrypted_content").map(|data| Opaque {
        provider: provider.to_owned(),
        kind: OpaqueKind::EncryptedContent,
        data: text(data).into_owned(),
    });
    Part { opaque: sealed.into_iter().collect(), extra, ..Part::new(PartKind::Reasoning { blocks }) }
}

fn call(fields: &Fields<'_>) -> Part {
    let is_custom = fields.text("type") == CUSTOM_CALL;
    let arguments = if is_custom { "input" } else { "arguments" };
    let mut extra = Extra::new();
    if is_custom {
        extra.push("type", json(CUSTOM_CALL));
    }
    let rest = fields.besides(&["type", "id", "call_id", "name", arguments]);
    rest.iter().for_each(|(name, value)| extra.push(name, value.clone()));
    let part = Part::tool_call(fields.text("call_id"), fields.text("name"), &*fields.text(arguments));
    Part { extra, ..part }
}

fn image(fields: &Fields<'_>) -> Part {
    let (data, format) = (fields.text("result").into_owned(), fields.text("output_format"));
    let is_url = data.starts_with("http://") || data.starts_with("https://");
    let kind = PartKind::Media {
        media: MediaKind::Image,
        source: if is_url { Source::Url(data) } else { Source::Base64(data) },
        mime: (!format.is_empty()).then(|| format!("image/{format}")),
        name: None,
    };
    Part { extra: fields.besides(&["type", "id", "result"]), ..Part::new(kind) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Vec<Part> {
        parts(&RawValue::from_string(json.to_owned()).unwrap(), "here")
    }

    #[test]
    fn a_message_is_its_content() {
        let read = read(
            r#"{"type":"message","id":"msg_1","phase":"final_answer","status":"completed","content":[
                {"type":"output_text","text":"a","annotations":[{"z":1.0}],"logprobs":[],"odd":7},
                {"type":"refusal","refusal":"no"},{"type":"output_hologram","x":[]}]}"#,
        );
        assert!(read.iter().all(|part| part.id.as_deref() == Some("msg_1")));
        let extra = serde_json::to_string(&read[0].extra).unwrap();
        assert_eq!(extra, r#"{"phase":"final_answer","status":"completed","content.odd":7}"#);
        let PartKind::Text { annotations, .. } = &read[0].kind else { panic!("{read:?}") };
        assert_eq!(annotations[0].get(), r#"{"z":1.0}"#);
        assert_eq!(read[1].kind, PartKind::Refusal { text: "no".into() });
        assert!(
            matches!(&read[2].kind, PartKind::Unknown { type_name, .. } if type_name == "content.output_hologram")
        );
    }

    #[test]
    fn reasoning_keeps_what_a_list_of_texts_would_lose() {
        let plain = read(
            r#"{"type":"reasoning","id":"rs","summary":[{"type":"summary_text","text":"s"}],"content":[],
                "encrypted_content":"gA==","status":null}"#,
        );
        assert_eq!(plain[0].kind, PartKind::Reasoning { blocks: vec![ReasoningBlock::Summary("s".into())] });
        assert_eq!((plain[0].opaque[0].data.as_str(), plain[0].extra.is_empty()), ("gA==", true));
        let odd = read(r#"{"type":"reasoning","summary":[{"type":"summary_text","text":"s","lang":"en"}]}"#);
        assert!(odd[0].extra.get("summary").unwrap().get().contains("lang"));
    }

    #[test]
    fn an_item_that_is_not_known_is_kept_whole() {
        let raw = r#"{"type":"web_search_call","id":"ws_1","action":{"n":12345678901234567890123}}"#;
        let read = read(raw);
        assert_eq!(read[0].id.as_deref(), Some("ws_1"));
        assert!(matches!(&read[0].kind, PartKind::Unknown { raw: kept, .. } if kept.get() == raw));
    }
}
