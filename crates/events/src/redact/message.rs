//! Redaction of structured values: JSON stays JSON, and what only its provider understands stays as it is.

use std::borrow::Cow;
use std::fmt;

use aichat_message::{Arguments, Extra, Json, Message, Part, PartKind, ReasoningBlock, Source};
use serde::de::{Deserialize, Deserializer, Error, Visitor};

use super::Redactor;

impl Redactor {
    /// Returns `json` with every secret masked inside its strings, field names included, and all else as it was.
    ///
    /// Strings are looked at as what they say, however they are escaped. A number that holds a secret becomes a
    /// string.
    pub fn redact_json(&self, json: &Json) -> Json {
        if self.is_none() {
            return json.clone();
        }
        let text = json.get();
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find(|c: char| c == '"' || c == '-' || c.is_ascii_digit()) {
            out.push_str(&rest[..start]);
            let token = &rest[start..start + token_len(&rest[start..])];
            out.push_str(&self.redact_token(token));
            rest = &rest[start + token.len()..];
        }
        out.push_str(rest);
        Json::new(out).expect("a string in the place of a string or a number keeps JSON valid")
    }

    fn redact_token(&self, token: &str) -> String {
        let said = serde_json::from_str(token).map_or_else(|_| token.to_owned(), |Said(text)| text);
        match self.redact_str(&said) {
            Cow::Borrowed(_) => token.to_owned(),
            Cow::Owned(masked) => serde_json::Value::String(masked).to_string(),
        }
    }

    /// Returns `message` with every secret masked, in unknown fields too.
    ///
    /// Left alone is the data of [`Opaque`](aichat_message::Opaque): signatures and encrypted blocks, which would
    /// be worthless with a single byte changed.
    pub fn redact_message(&self, message: &Message) -> Message {
        let mut message = message.clone();
        if self.is_none() {
            return message;
        }
        message.parts.iter_mut().for_each(|part| self.part(part));
        if let Some(origin) = &mut message.origin {
            self.text(&mut origin.model);
            origin.response_id.iter_mut().for_each(|id| self.text(id));
        }
        self.extra(&mut message.extra);
        message
    }

    /// Returns `part` with every secret masked, as [`Redactor::redact_message`] does it.
    pub fn redact_part(&self, part: &Part) -> Part {
        let mut part = part.clone();
        if !self.is_none() {
            self.part(&mut part);
        }
        part
    }

    fn part(&self, part: &mut Part) {
        match &mut part.kind {
            PartKind::Text { text, annotations } => {
                self.text(text);
                annotations.iter_mut().for_each(|annotation| *annotation = self.redact_json(annotation));
            }
            PartKind::Refusal { text } => self.text(text),
            PartKind::Reasoning { blocks } => {
                for block in blocks {
                    match block {
                        ReasoningBlock::Summary(text) | ReasoningBlock::Text(text) => self.text(text),
                        other => *other = ReasoningBlock::Text(self.redact_str(other.text()).into_owned()),
                    }
                }
            }
            PartKind::ToolCall { call_id, name, arguments, .. } => {
                self.text(call_id);
                self.text(name);
                // Whole arguments are masked as the JSON they are, cut-off ones as text.
                *arguments = match Json::new(arguments.as_str()) {
                    Ok(json) if json.get() == arguments.as_str() => self.redact_json(&json).get().into(),
                    _ => Arguments::from(self.redact_str(arguments.as_str()).into_owned()),
                };
            }
            PartKind::ToolResult { call_id, name, content, .. } => {
                self.text(call_id);
                name.iter_mut().for_each(|name| self.text(name));
                content.iter_mut().for_each(|part| self.part(part));
            }
            PartKind::Media { source, mime, name, .. } => {
                match source {
                    Source::Base64(text) | Source::Url(text) | Source::FileId(text) => self.text(text),
                    _ => {}
                }
                mime.iter_mut().chain(name).for_each(|text| self.text(text));
            }
            PartKind::Unknown { type_name, raw } => {
                self.text(type_name);
                *raw = self.redact_json(raw);
            }
            _ => {}
        }
        part.id.iter_mut().for_each(|id| self.text(id));
        self.extra(&mut part.extra);
    }

    fn text(&self, text: &mut String) {
        if let Cow::Owned(masked) = self.redact_str(text) {
            *text = masked;
        }
    }

    fn extra(&self, extra: &mut Extra) {
        *extra = extra
            .iter()
            .map(|(name, value)| (self.redact_str(name).into_owned(), self.redact_json(value)))
            .collect();
    }
}

/// What a JSON string says; half a surrogate pair, which JSON allows and Unicode does not, becomes U+FFFD.
struct Said(String);

impl<'de> Deserialize<'de> for Said {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Said;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Said, E> {
                Ok(Said(String::from_utf8_lossy(bytes).into_owned()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// Returns the length of the string or the number that a valid JSON text begins with.
fn token_len(json: &str) -> usize {
    if !json.starts_with('"') {
        let is_number = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
        return json.find(|c| !is_number(c)).unwrap_or(json.len());
    }
    let mut escaped = false;
    for (at, byte) in json.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    json.len()
}
