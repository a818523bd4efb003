//! The conversation as turns of content blocks, the way this protocol wants them.

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};

use aichat_message::{ErrorKind, Executor, Json, MediaKind, OpaqueKind, Part, PartKind, Role, Source};

use super::decode::SERVER_CALL;
use super::profile::Profile;
use crate::error::Error;
use crate::history::{History, Said, Turn, Warnings};

/// Fields of a block that a caller may give to what it says itself: where to cache, and how to treat a document.
const MARKS: [&str; 4] = ["cache_control", "citations", "context", "title"];

/// Images the protocol takes, and how the base64 of each begins.
const IMAGES: [(&str, &str); 4] =
    [("image/png", "iVBOR"), ("image/jpeg", "/9j/"), ("image/gif", "R0lGOD"), ("image/webp", "UklGR")];

/// Blocks of reasoning.
const REASONING: [&str; 2] = ["thinking", "redacted_thinking"];

/// A conversation ready to be sent.
pub(super) struct Conversation<'a> {
    pub(super) turns: Vec<WireTurn<'a>>,
    /// Whether reasoning on a budget may go on: calls that are being answered were made with it, and no answer
    /// is being continued.
    pub(super) reasons: bool,
}

/// One turn on the wire.
#[derive(Serialize)]
pub(super) struct WireTurn<'a> {
    role: &'static str,
    content: Vec<Block<'a>>,
}

/// One content block.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Block<'a> {
    /// As it came.
    Raw(&'a Json),
    /// Field by field, its type first.
    Fields(Fields<'a>),
}

pub(super) struct Fields<'a>(Vec<(&'a str, Json)>);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'a> Block<'a> {
    fn new(name: &str) -> Self {
        Self::Fields(Fields(vec![("type", to_json(name))]))
    }

    fn with(mut self, name: &'a str, value: impl Serialize) -> Self {
        if let Self::Fields(fields) = &mut self {
            fields.0.push((name, to_json(value)));
        }
        self
    }

    fn with_extra(self, said: &Said<'a>) -> Self {
        let told = said.part.extra.iter();
        told.filter(|(name, _)| *name != "type" && (said.own || MARKS.contains(name)))
            .fold(self, |block, (name, value)| block.with(name, value))
    }

    fn is(&self, names: &[&str]) -> bool {
        match self {
            Self::Raw(_) => false,
            Self::Fields(fields) => names.iter().any(|name| fields.0[0].1 == to_json(name)),
        }
    }
}

fn to_json(value: impl Serialize) -> Json {
    Json::from_value(&value).expect("a value in memory is JSON")
}

/// Returns the standing instructions.
pub(super) fn system<'a>(history: &History<'a>, warnings: &mut Warnings) -> Vec<Block<'a>> {
    let mut blocks = Vec::new();
    for said in &history.system {
        match &said.part.kind {
            PartKind::Text { text, .. } => blocks.extend(text_block(text, said, warnings)),
            _ => warnings.add("only the text of an instruction is sent"),
        }
    }
    blocks
}

/// Returns the conversation.
///
/// # Errors
/// Fails with kind `invalid_request` where nothing is said in it.
pub(super) fn conversation<'a>(
    history: &'a History<'a>,
    profile: &Profile,
    warnings: &mut Warnings,
) -> Result<Conversation<'a>, Error> {
    let answered: HashSet<String> =
        history.turns.iter().flat_map(|turn| &turn.parts).filter_map(|said| answers(said.part)).collect();
    let mut turns: Vec<WireTurn<'a>> = Vec::new();
    let mut is_paused = false;
    for (at, turn) in history.turns.iter().enumerate() {
        if turn.role != Role::Assistant {
            let content = question(turn, warnings);
            is_paused &= content.is_empty();
            put(&mut turns, "user", content);
            continue;
        }
        let (next, is_last) = (history.turns.get(at + 1), at + 1 == history.turns.len());
        // The provider is still at it where it paused, and where its call waits for one of the caller's.
        let pending = is_last || at + 2 == history.turns.len() && next.is_some_and(has_results);
        let mut messages =
            turn.parts.chunk_by(|one, next| profile.prefill || one.message == next.message).peekable();
        while let Some(message) = messages.next() {
            let is_end = messages.peek().is_none();
            let (mut content, ends_with_server) = answer(message, &answered, pending && is_end, warnings);
            if !ends_with_server {
                close(&mut content, warnings);
            }
            if is_last && is_end && !ends_with_server {
                trim(&mut content, warnings);
            }
            if content.is_empty() {
                continue;
            }
            if !is_paused {
                carry_on(&mut turns, profile, warnings);
            }
            is_paused = ends_with_server;
            put(&mut turns, "assistant", content);
        }
    }
    match turns.first() {
        None => return Err(Error::new(ErrorKind::InvalidRequest, "there is no message to answer")),
        Some(first) if first.role == "assistant" => {
            warnings.add("a conversation must begin with the user: \"Begin.\" is put before it");
            turns.insert(
                0,
                WireTurn { role: "user", content: vec![Block::new("text").with("text", "Begin.")] },
            );
        }
        Some(_) => {}
    }
    if !is_paused {
        carry_on(&mut turns, profile, warnings);
    }
    let goes_on = turns.last().is_some_and(|last| last.role == "assistant");
    let reasons = is_paused || !goes_on && begins_with_reasoning(&turns);
    Ok(Conversation { turns, reasons })
}

/// Adds what one side says next.
fn put<'a>(turns: &mut Vec<WireTurn<'a>>, role: &'static str, content: Vec<Block<'a>>) {
    match turns.last_mut().filter(|last| last.role == role) {
        Some(last) => last.content.extend(content),
        None if content.is_empty() => {}
        None => turns.push(WireTurn { role, content }),
    }
}

/// Asks for more of an answer, of a model that does not continue one by itself.
fn carry_on(turns: &mut Vec<WireTurn<'_>>, profile: &Profile, warnings: &mut Warnings) {
    if !profile.prefill && turns.last().is_some_and(|last| last.role == "assistant") {
        warnings.add("this model does not continue an answer: \"Continue.\" is put after it");
        put(turns, "user", vec![Block::new("text").with("text", "Continue.")]);
    }
}

/// Tells whether the answer whose calls are now answered began with reasoning; true where there are none.
fn begins_with_reasoning(turns: &[WireTurn<'_>]) -> bool {
    let is_answered = |pair: &&[WireTurn<'_>]| pair[1].content[0].is(&["tool_result"]);
    let first = turns.rchunks_exact(2).take_while(is_answered).last();
    first.is_none_or(|pair| pair[0].content[0].is(&REASONING))
}

fn has_results(turn: &Turn<'_>) -> bool {
    turn.parts.iter().any(|said| matches!(said.part.kind, PartKind::ToolResult { .. }))
}

/// Tells whether a part is a call that the provider runs itself, or what came of one.
fn is_server_s(part: &Part) -> bool {
    matches!(part.kind, PartKind::ToolCall { executor: Executor::Server, .. }) || answers(part).is_some()
}

/// Returns the id of the provider's own call that a block answers.
fn answers(part: &Part) -> Option<String> {
    #[derive(Deserialize)]
    struct Answer {
        tool_use_id: String,
    }
    match &part.kind {
        PartKind::Unknown { raw, .. } => raw.to::<Answer>().ok().map(|answer| answer.tool_use_id),
        _ => None,
    }
}

/// Writes what the model said; tells whether it ends at work of the provider's own, where answers pause.
/// Calls of that kind have results among the `answered`, or stay where the provider is still at them.
fn answer<'a>(
    message: &'a [Said<'a>],
    answered: &HashSet<String>,
    pending: bool,
    warnings: &mut Warnings,
) -> (Vec<Block<'a>>, bool) {
    let (mut blocks, mut ends_with_server) = (Vec::new(), false);
    for said in message {
        let before = blocks.len();
        match &said.part.kind {
            PartKind::Text { text, .. } | PartKind::Refusal { text } => {
                blocks.extend(text_block(text, said, warnings));
            }
            PartKind::Reasoning { .. } => blocks.extend(reasoning(said, warnings)),
            PartKind::ToolCall { name, executor, arguments, .. } => {
                let stays = || answered.contains(&*said.call_id) || pending && arguments.json().is_ok();
                if *executor == Executor::Server && !stays() {
                    warnings.add("a tool call that the provider itself did not finish is not sent");
                    continue;
                }
                let kind = said.part.extra.get("type").and_then(|kind| kind.to::<String>().ok());
                let kind = match executor {
                    Executor::Client => "tool_use".to_owned(),
                    Executor::Server => kind.unwrap_or_else(|| SERVER_CALL.to_owned()),
                };
                let block = Block::new(&kind).with("id", &said.call_id).with("name", name);
                blocks.push(block.with("input", said.arguments(warnings)).with_extra(said));
            }
            PartKind::Unknown { raw, .. } => blocks.push(Block::Raw(raw)),
            PartKind::Media { .. } => warnings.add("media in an answer is not sent"),
            _ => warnings.add("a part that this protocol does not know is not sent"),
        }
        if blocks.len() > before {
            ends_with_server = is_server_s(said.part);
        }
    }
    (blocks, ends_with_server)
}

/// Takes from an answer the reasoning it was broken off in: nothing may end with it.
fn close(content: &mut Vec<Block<'_>>, warnings: &mut Warnings) {
    while content.pop_if(|last| last.is(&REASONING)).is_some() {
        warnings.add("reasoning that nothing follows is not sent");
    }
}

/// Takes the white space from the end of an answer that is to be continued.
fn trim(content: &mut [Block<'_>], warnings: &mut Warnings) {
    if let Some(Block::Fields(fields)) = content.last_mut()
        && let Some((_, value)) = fields.0.iter_mut().find(|(name, _)| *name == "text")
        && let Ok(text) = value.to::<String>()
        && text.trim_end() != text
    {
        *value = to_json(text.trim_end());
        warnings.add("white space at the end of an answer to be continued is not sent");
    }
}

/// Writes what the model is told, the results of its calls first.
fn question<'a>(turn: &'a Turn<'a>, warnings: &mut Warnings) -> Vec<Block<'a>> {
    let (mut results, mut blocks) = (Vec::new(), Vec::new());
    for said in &turn.parts {
        match &said.part.kind {
            PartKind::ToolResult { content, is_error, .. } => {
                results.push(result(said, content, *is_error, warnings));
            }
            PartKind::Text { text, .. } | PartKind::Refusal { text } => {
                blocks.extend(text_block(text, said, warnings));
            }
            PartKind::Media { .. } => {
                blocks.extend(media(said.part, warnings).map(|block| block.with_extra(said)));
            }
            PartKind::Unknown { raw, .. } => blocks.push(Block::Raw(raw)),
            _ => warnings.add("a part that this protocol does not know is not sent"),
        }
    }
    results.extend(blocks);
    results
}

/// Writes a text; one without a word in it is illegal.
fn text_block<'a>(text: &str, said: &Said<'a>, warnings: &mut Warnings) -> Option<Block<'a>> {
    if text.trim().is_empty() {
        if !text.is_empty() {
            warnings.add("a text of nothing but white space is not sent");
        }
        return None;
    }
    let mut block = Block::new("text").with("text", text);
    if let PartKind::Text { annotations, .. } = &said.part.kind
        && !annotations.is_empty()
    {
        match said.own {
            true => block = block.with("citations", annotations),
            false => warnings.add("citations of another provider are not sent"),
        }
    }
    Some(block.with_extra(said))
}

fn reasoning<'a>(said: &Said<'a>, warnings: &mut Warnings) -> Option<Block<'a>> {
    let PartKind::Reasoning { blocks } = &said.part.kind else { return None };
    if let Some(data) = said.opaque(&OpaqueKind::RedactedThinking) {
        return Some(Block::new("redacted_thinking").with("data", data).with_extra(said));
    }
    let Some(signature) = said.opaque(&OpaqueKind::Signature) else {
        warnings.add("reasoning without its signature is not sent");
        return None;
    };
    let text: String = blocks.iter().map(|block| block.text()).collect();
    Some(Block::new("thinking").with("thinking", text).with("signature", signature).with_extra(said))
}

fn result<'a>(said: &Said<'a>, content: &'a [Part], is_error: bool, warnings: &mut Warnings) -> Block<'a> {
    let mut blocks = Vec::new();
    for part in content {
        match &part.kind {
            PartKind::Text { text, .. } if text.trim().is_empty() => {}
            PartKind::Text { text, .. } => blocks.push(Block::new("text").with("text", text)),
            PartKind::Media { .. } => blocks.extend(media(part, warnings)),
            _ => warnings.add("of a tool result only text, images and documents are sent"),
        }
    }
    // A failure without a word is illegal.
    if is_error && blocks.is_empty() {
        blocks.push(Block::new("text").with("text", "the tool failed"));
    }
    let mut block = Block::new("tool_result").with("tool_use_id", &said.call_id);
    if !blocks.is_empty() {
        block = block.with("content", blocks);
    }
    if is_error {
        block = block.with("is_error", true);
    }
    block.with_extra(said)
}

fn media<'a>(part: &Part, warnings: &mut Warnings) -> Option<Block<'a>> {
    let PartKind::Media { media, source, mime, name } = &part.kind else { return None };
    let mime = mime.as_deref().map(|mime| mime.split(';').next().unwrap_or(mime).trim());
    let source = match (media, source) {
        (MediaKind::Image, Source::Base64(data)) => image(data, mime),
        (MediaKind::File, Source::Base64(data)) => document(data, mime),
        (MediaKind::Image | MediaKind::File, Source::Url(url)) => Ok(json!({"type": "url", "url": url})),
        (MediaKind::Image | MediaKind::File, Source::FileId(id)) => {
            Ok(json!({"type": "file", "file_id": id}))
        }
        _ => Err("media that is neither an image nor a file is not sent"),
    };
    let source = source.map_err(|loss| warnings.add(loss)).ok()?;
    Some(match (media, name) {
        (MediaKind::Image, _) => Block::new("image").with("source", source),
        (_, None) => Block::new("document").with("source", source),
        (_, Some(name)) => Block::new("document").with("source", source).with("title", name),
    })
}

fn image(data: &str, mime: Option<&str>) -> Result<Value, &'static str> {
    let mime = match mime {
        Some("image/jpg") => Some("image/jpeg"),
        Some(mime) => IMAGES.iter().map(|(known, _)| *known).find(|known| *known == mime),
        None => IMAGES.iter().find(|(_, head)| data.starts_with(head)).map(|(known, _)| *known),
    };
    let mime = mime.ok_or("an image that is not PNG, JPEG, GIF or WebP is not sent")?;
    Ok(json!({"type": "base64", "media_type": mime, "data": data}))
}

fn document(data: &str, mime: Option<&str>) -> Result<Value, &'static str> {
    match mime {
        None | Some("application/pdf") => {
            Ok(json!({"type": "base64", "media_type": "application/pdf", "data": data}))
        }
        Some(mime) if mime.starts_with("text/") || mime == "application/json" => {
            let text = STANDARD.decode(data).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let text = text.ok_or("a text file that is not UTF-8 is not sent")?;
            Ok(json!({"type": "text", "media_type": "text/plain", "data": text}))
        }
        Some(_) => Err("a file that is neither PDF nor text is not sent"),
    }
}
